"""Gaining amounts: what is claimed is true, what must be found is found, and the sentence says no more."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import prod

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exchange.best_rate import best_rate
from exchange.cycle import Cycle
from exchange.errors import GainingCycle, SarrafError
from exchange.gain import (
    DIRECTIONS_MAX,
    GIVEN_UP,
    NO_WAY_ROUND,
    TOO_LONG,
    WORK_MAX,
    Gain,
    Search,
    explain_refusal,
    gaining_amount,
)
from exchange.gate import Gate
from exchange.points import MicroUnits, Points
from exchange.pricing import price
from exchange.ratio import Ratio
from exchange.rules import (
    PLAIN,
    Bonus,
    Cap,
    Eligible,
    MoneyFee,
    Period,
    PointsFee,
    Received,
    Rounding,
    Rules,
    Side,
    When,
)
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms
from tests.exchange.strategies import make_terms, ratios
from tests.exchange.strategies_rich import rich_terms

NAMES = {"prg_0": "AIR", "prg_1": "BANK", "prg_2": "CARD"}
TRIED_MAX = 400


def ratio(from_units: int, to_units: int) -> Ratio:
    return Ratio(Points(from_units), Points(to_units))


def ring(*each: Terms) -> list[Terms]:
    """The terms, made to lead from one program to the next and back to the first."""
    return [
        replace(terms, source=f"prg_{place}", destination=f"prg_{(place + 1) % len(each)}")
        for place, terms in enumerate(each)
    ]


def direction(from_units: int, to_units: int, minimum: int = 1, increment: int = 1, rules: Rules = PLAIN) -> Terms:
    return replace(make_terms(ratio(from_units, to_units), minimum, increment), rules=rules)


def cycle_of(terms: list[Terms], now: int = 0) -> Cycle:
    return Cycle(tuple(each.source for each in terms), tuple(best_rate(each, now) for each in terms))


def assert_true(terms: list[Terms], gain: Gain) -> None:
    """Every swap of the claim can be made with what the one before brought, and the last brings more than went in."""
    place = next(place for place, each in enumerate(terms) if each is gain.steps[0].terms)
    assert [step.terms for step in gain.steps] == [*terms[place:], *terms[:place]]
    for step in gain.steps:
        priced = price(step.terms, step.amount_in, step.situation)
        assert (priced.amount_in, priced.fee_points) == (step.amount_in, step.fee_points)
        assert (priced.amount_out, tuple(each.name for each in priced.bonuses)) == (step.amount_out, step.bonuses)
    assert all(after.amount_in + after.fee_points <= before.amount_out for before, after in pairwise(gain.steps))
    assert gain.steps[-1].amount_out > gain.steps[0].amount_in + gain.steps[0].fee_points
    assert (gain.began, gain.ended) == (gain.steps[0].taken, gain.steps[-1].amount_out)


def gains_by_trying(terms: list[Terms]) -> bool:
    """Whether some small amount gains on plain terms, each swap made of all that the one before brought."""
    for place in range(len(terms)):
        for amount in range(1, TRIED_MAX):
            standing = amount
            try:
                for each in [*terms[place:], *terms[:place]]:
                    standing = price(each, standing, PLAIN_SITUATION).amount_out
            except SarrafError:
                continue
            if standing > amount:
                return True
    return False


@settings(max_examples=100)
@given(st.lists(ratios(1_000), min_size=2, max_size=4))
def test_gaining_amount__where_ratios_alone_gain__is_found_and_where_they_do_not__never(some: list[Ratio]) -> None:
    terms = ring(*(make_terms(each) for each in some))
    search = gaining_amount(terms, 0)
    if prod(each.exact for each in some) <= 1:
        assert search.gain is None
        return
    assert search.gain is not None
    assert_true(terms, search.gain)


@settings(max_examples=50)
@given(st.lists(rich_terms(), min_size=2, max_size=3), st.integers(0, 12))
def test_gaining_amount__of_any_terms__is_true_and_the_gate_would_refuse_the_cycle(some: list[Terms], now: int) -> None:
    terms = ring(*some)
    search = gaining_amount(terms, now, work_max=500)
    if search.gain is not None:
        assert_true(terms, search.gain)
        assert cycle_of(terms, now).gains
        assert all(step.situation.at >= now for step in search.gain.steps)


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(direction, st.integers(1, 6), st.integers(1, 6), st.integers(1, 50), st.integers(1, 20)),
        min_size=2,
        max_size=3,
    )
)
def test_gaining_amount__that_trying_small_amounts_finds__is_found(some: list[Terms]) -> None:
    terms = ring(*some)
    assume(cycle_of(terms).gains and gains_by_trying(terms))
    assert gaining_amount(terms, 0).gain is not None


def found(*some: Terms, now: int = 0) -> Gain | None:
    terms = ring(*some)
    search = gaining_amount(terms, now)
    if search.gain is not None:
        assert_true(terms, search.gain)
    return search.gain


def test_gaining_amount__that_a_cap_leaves_too_small_for_whole_points__is_not_found() -> None:
    rules = Rules(caps=(Cap(Period.TRANSFER, Points(9)),))
    assert found(direction(10, 11, rules=rules), direction(1, 1)) is None
    assert found(direction(10, 11, rules=replace(rules, caps=(Cap(Period.YEAR, Points(10)),))), direction(1, 1))


def test_gaining_amount__that_lies_between_a_minimum_and_a_cap__is_found_at_the_edge() -> None:
    thin = Rules(caps=(Cap(Period.TRANSFER, Points(1_009), side=Side.IN),))
    gain = found(direction(1, 1, minimum=1_000), direction(1_000, 1_001, rules=thin))
    assert gain is not None and 1_000 <= gain.began < 1_009


def test_gaining_amount__of_a_bonus_at_a_threshold__is_found_there() -> None:
    bonus = Bonus("great", flat=Points(700), when=When(at_least=Points(12_345)))
    gain = found(direction(1, 1, rules=Rules(bonuses=(bonus,))), direction(20, 19))
    assert gain is not None and 12_345 <= gain.steps[0].amount_in < 15_000
    assert [step.bonuses for step in gain.steps] == [("great",), ()]


def test_gaining_amount__that_only_some_members_reach_at_some_time__says_who_and_when() -> None:
    when = When(tiers=frozenset({"gold"}), starts=500, ends=600, nth_per=Period.YEAR, nth_from=3)
    rules = Rules(bonuses=(Bonus("late", share=ratio(10, 1), when=when),))
    gain = found(direction(1, 1, rules=rules), direction(1, 1), now=550)
    assert gain is not None
    situation = next(step.situation for step in gain.steps if step.bonuses)
    assert (situation.tier, situation.at, situation.before[Period.YEAR]) == ("gold", 550, 2)
    assert found(direction(1, 1, rules=rules), direction(1, 1), now=600) is None


def test_gaining_amount__of_two_promotions_at_different_times__is_found_for_points_can_wait() -> None:
    early = Rules(bonuses=(Bonus("early", share=ratio(10, 1), when=When(starts=0, ends=10)),))
    late = Rules(bonuses=(Bonus("late", share=ratio(10, 1), when=When(starts=20, ends=30)),))
    gain = found(direction(1, 1, rules=early), direction(100, 83, rules=late))
    assert gain is not None and {step.situation.at for step in gain.steps} == {0, 20}


def test_gaining_amount__where_points_may_not_go_on__is_found_only_from_where_they_need_not() -> None:
    stuck = Rules(received=Received(onward=False))
    gain = found(direction(1, 2, rules=stuck), direction(1, 1))
    assert gain is not None and gain.steps[0].terms.source == "prg_1"
    terms = ring(direction(1, 2, rules=stuck), direction(1, 1, rules=stuck))
    search = gaining_amount(terms, 0)
    assert search == Search(None, 0, NO_WAY_ROUND)
    assert search.describe(NAMES).startswith("Whether an amount gains is not known: what is received there may not")


def test_gaining_amount__where_only_earned_points_may_go__is_found_only_from_there() -> None:
    earned = Rules(eligible=Eligible(earned_only=True))
    gain = found(direction(1, 2), direction(1, 1, rules=earned))
    assert gain is not None and gain.steps[0].terms.source == "prg_1"


def test_gaining_amount__with_a_fee_in_points__counts_the_fee() -> None:
    fee = Rules(fees=(PointsFee(Points(1_000)),), caps=(Cap(Period.TRANSFER, Points(10_000)),))
    assert found(direction(100, 109, rules=fee), direction(1, 1)) is None
    gain = found(direction(100, 111, rules=fee), direction(1, 1))
    assert gain is not None and gain.began > 10_000 - 1_000


def test_gaining_amount__with_a_fee_in_money__does_not_count_it() -> None:
    fee = Rules(fees=(MoneyFee("USD", flat=MicroUnits(10**12)),))
    assert found(direction(1, 2, rules=fee), direction(1, 1)) is not None


def test_gaining_amount__among_listed_amounts_and_whole_points_only__is_one_of_them() -> None:
    rules = Rules(amounts=(Points(7), Points(30), Points(77)), rounding=Rounding.WHOLE)
    gain = found(direction(3, 4, rules=rules), direction(1, 1))
    assert gain is not None
    assert {step.amount_in for step in gain.steps if step.terms.rules.amounts} == {30}


def test_gaining_amount__with_nothing_left_to_work_with__has_tried_nothing_and_says_so() -> None:
    terms = ring(direction(1, 2), direction(1, 1))
    search = gaining_amount(terms, 0, work_max=0)
    assert search == Search(None, 0, GIVEN_UP)
    said = explain_refusal(cycle_of(terms), search, NAMES)
    assert said.endswith("more. Whether an amount gains is not known: the search was given up.")


def test_gaining_amount__of_a_cycle_that_has_none__tries_all_that_is_likely() -> None:
    closed = Rules(caps=(Cap(Period.TRANSFER, Points(9)),))
    search = gaining_amount(ring(*[direction(10, 11, rules=closed)] * DIRECTIONS_MAX), 0)
    assert (search.gain, search.cut_short) == (None, None)
    assert 100 <= search.tried <= WORK_MAX


def test_gaining_amount__of_a_cycle_longer_than_is_searched__has_tried_none_and_says_so() -> None:
    terms = ring(*[direction(1, 2)] * (DIRECTIONS_MAX + 1))
    search = gaining_amount(terms, 0)
    assert search == Search(None, 0, TOO_LONG)
    said = explain_refusal(cycle_of(terms), search, NAMES)
    assert said.endswith("Whether an amount gains is not known: amounts are tried on cycles of up to 12 directions.")


def many_parts(most: int) -> Rules:
    """As many bonuses and fees as there can be, for six tiers, at dates and thresholds that differ."""
    bonuses = tuple(
        Bonus(
            f"bonus {place}",
            share=ratio(1_000 + place, 1),
            most=Points(10_000 + place),
            when=When(tiers=frozenset({f"tier {place % 6}"}), starts=place * 10, at_least=Points(100 + place)),
        )
        for place in range(32)
    )
    fees = tuple(PointsFee(Points(1), when=When(at_least=Points(50 + place))) for place in range(32))
    return Rules(bonuses=bonuses, fees=fees, caps=(Cap(Period.TRANSFER, Points(most)),))


@pytest.mark.parametrize("directions", [2, DIRECTIONS_MAX])
def test_gaining_amount__of_as_many_parts_as_there_can_be__is_given_up_in_time_and_says_so(
    directions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = [0]
    meets = Situation.meets

    def counting(self: Situation, when: When, amount: int) -> bool:
        met[0] += 1
        return meets(self, when, amount)

    monkeypatch.setattr(Situation, "meets", counting)
    terms = ring(*[direction(1_000, 700, 7, 3, many_parts(9_999))] * directions)
    search = gaining_amount(terms, 0)
    assert (search.gain, search.cut_short) == (None, GIVEN_UP)
    assert met[0] <= 2 * WORK_MAX, "the work that is charged is the work that is done"
    said = explain_refusal(cycle_of(terms), search, NAMES)
    assert said.endswith("the search was given up.")


def test_gaining_amount__in_a_year_of_promotions__looks_at_few_of_them_and_finds_the_best() -> None:
    week = 7 * 86_400
    bonuses = tuple(
        Bonus(f"week {place}", share=ratio(100, place + 1), when=When(starts=place * week, ends=(place + 1) * week))
        for place in range(30)
    )
    gain = found(direction(1, 1, 500, 500, Rules(bonuses=bonuses)), direction(100, 77))
    assert gain is not None
    assert [step.bonuses for step in gain.steps if step.bonuses] == [("week 29",)]


def test_explain_refusal__with_a_gain__shows_each_swap() -> None:
    bonus = Rules(bonuses=(Bonus("summer", flat=Points(50)),))
    terms = ring(direction(1, 1, minimum=100, rules=bonus), direction(4, 3))
    said = explain_refusal(cycle_of(terms), gaining_amount(terms, 0), NAMES)
    assert said == (
        "AIR to BANK at 2:3, BANK to AIR at 4:3: 9/8 of what went in could come back, 12.50% more. "
        "An amount that gains: 160 BANK become 120 AIR, 120 of these become 170 BANK (with summer)."
    )


def test_explain_refusal__of_a_search_that_was_given_up__says_so_after_what_was_tried() -> None:
    assert Search(None, 7, GIVEN_UP).describe(NAMES) == (
        "No amount that gains was found among 7 amounts tried, with one swap in each direction; "
        "then the search was given up"
    )


@pytest.mark.parametrize(("tried", "said"), [(1, "1 amount"), (1_234, "1,234 amounts")])
def test_explain_refusal__without_a_gain__says_how_many_amounts_were_tried_and_no_more(tried: int, said: str) -> None:
    cycle = cycle_of(ring(direction(10, 11), direction(1, 1)))
    assert explain_refusal(cycle, Search(None, tried), NAMES) == (
        "AIR to BANK at 10:11, BANK to AIR at 1:1: 11/10 of what went in could come back, 10.00% more. "
        f"No amount that gains was found among {said} tried, with one swap in each direction."
    )


def test_require__with_an_explanation__says_it_in_the_refusal() -> None:
    terms = ring(direction(10, 11), direction(1, 1))
    gate = Gate.from_rates([("prg_1", "prg_0", Fraction(1))])
    with pytest.raises(GainingCycle, match=r"An amount that gains: 10 AIR become 11 BANK, 11 of these become 11 AIR\."):
        gate.require(
            "prg_0",
            "prg_1",
            Fraction(11, 10),
            NAMES,
            explain=lambda cycle: explain_refusal(cycle, gaining_amount(terms, 0), NAMES),
        )


def test_gaining_amount__where_exactly_what_went_in_returns__is_none() -> None:
    assert found(direction(1, 1), direction(1, 1)) is None
    assert found(direction(2, 3), direction(3, 2)) is None
