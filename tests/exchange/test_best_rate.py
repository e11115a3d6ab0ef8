"""Best rates: above everything that any amount gives in any situation, and reached where they can be."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.amounts import valid_amounts
from exchange.best_rate import best_rate, best_situations
from exchange.caps import room_in
from exchange.conversion import Conversion
from exchange.gate import Gate
from exchange.points import Points
from exchange.pricing import price
from exchange.ratio import Ratio
from exchange.rules import Bonus, Cap, Period, PointsFee, Rules, Side, TierMinimum, When
from exchange.situation import Situation
from exchange.terms import Terms
from tests.exchange.strategies import amounts, make_terms, ratios
from tests.exchange.strategies_rich import (
    all_situations,
    bonus_lists,
    none_worse,
    rich_terms,
    situations,
    whole_ratios,
    with_rules,
)
from tests.exchange.twin import is_meant, takes

TRIED_MAX = 220
"""Beyond every threshold of the made-up terms."""


def ratio(from_units: int, to_units: int) -> Ratio:
    return Ratio(Points(from_units), Points(to_units))


def terms_with(
    *bonuses: Bonus, base: Ratio | None = None, minimum: int = 1, increment: int = 1, **rules: object
) -> Terms:
    plain = make_terms(base or ratio(1, 1), minimum, increment)
    return with_rules(plain, Rules(bonuses=bonuses, **rules))  # type: ignore[arg-type]


def rates_of(terms: Terms, situation: Situation) -> list[Fraction]:
    """What arrives for one point given, for each amount that may go."""
    if not is_meant(situation.tier, terms.rules.tiers, terms.rules.except_tiers):
        return []
    valid = valid_amounts(terms, situation.tier)
    room_out, room_into = room_in(terms, situation)
    totals = {
        amount: Conversion(terms, situation).total_of(amount)
        for amount in range(1, min(TRIED_MAX, room_out) + 1)
        if takes(valid, amount)
    }
    return [Fraction(total, amount) for amount, total in totals.items() if total <= room_into]


@settings(max_examples=60)
@given(rich_terms(), situations, st.integers(0, 12))
def test_best_rate__against_every_amount_in_a_situation__is_never_exceeded(
    terms: Terms, situation: Situation, now: int
) -> None:
    later = replace(situation, at=max(now, situation.at))
    assert all(rate <= best_rate(terms, now) for rate in rates_of(terms, later))


@settings(max_examples=50)
@given(rich_terms(), situations, st.integers(0, 400))
def test_best_rate__with_little_work_allowed__is_coarser_and_still_never_exceeded(
    terms: Terms, situation: Situation, work_max: int
) -> None:
    coarse = best_rate(terms, 0, work_max)
    assert coarse >= best_rate(terms, 0)
    assert all(rate <= coarse for rate in rates_of(terms, situation))


@settings(max_examples=30)
@given(whole_ratios, bonus_lists(whole_ratios, most=3), st.integers(0, 12))
def test_best_rate__where_rounding_takes_nothing__is_reached(base: Ratio, bonuses: tuple[Bonus, ...], now: int) -> None:
    terms = terms_with(*none_worse(bonuses, base), base=base)
    starts = {1, *(each.when.at_least or 1 for each in bonuses)}
    reached = max(
        Fraction(Conversion(terms, situation).total_of(amount), amount)
        for situation in all_situations(terms, now)
        for amount in starts
    )
    assert best_rate(terms, now) == reached


@given(ratios(), st.integers(0, 10**10))
def test_best_rate__of_a_direction_that_only_converts__is_its_ratio(base: Ratio, now: int) -> None:
    assert best_rate(make_terms(base), now) == base.exact


@given(ratios(50), ratios(50), amounts(1000))
def test_best_rate__of_ratio_and_share__is_reached_at_whole_blocks(base: Ratio, share: Ratio, times: int) -> None:
    terms = terms_with(Bonus("more", share=share), base=base)
    blocks = base.from_units * share.from_units * times
    assert best_rate(terms, 0) == Fraction(price(terms, blocks).amount_out, blocks)


def test_best_rate__of_a_block_bonus__adds_it_to_the_ratio() -> None:
    terms = terms_with(Bonus("60,000", per=ratio(60_000, 5_000)), base=ratio(3, 1), minimum=3_000)
    assert best_rate(terms, 0) == Fraction(5, 12) == Fraction(price(terms, 60_000).amount_out, 60_000)


def test_best_rate__of_a_step_table__is_that_of_its_best_step() -> None:
    steps = Bonus("10,000 gives 11,000", flat=Points(6_000), when=When(at_least=Points(10_000)))
    terms = terms_with(steps, base=ratio(2, 1), amounts=(Points(3_000), Points(10_000)))
    assert best_rate(terms, 0) == Fraction(11, 10) == Fraction(price(terms, 10_000).amount_out, 10_000)


def test_best_rate__of_a_flat_bonus__is_taken_at_the_least_amount() -> None:
    assert best_rate(terms_with(Bonus("hello", flat=Points(50)), minimum=200), 0) == Fraction(5, 4)


def test_best_rate__of_bonuses_in_one_group__counts_only_the_greatest() -> None:
    small = Bonus("small", share=ratio(100, 15), group="sale")
    great = Bonus("great", flat=Points(40), group="sale")
    other = Bonus("other", share=ratio(100, 1))
    assert best_rate(terms_with(small, great, other, minimum=100), 0) == Fraction(141, 100)
    assert best_rate(terms_with(small, great, other, minimum=1_000), 0) == Fraction(116, 100)


def test_best_rate__of_thresholds_that_differ__does_not_add_what_never_meets() -> None:
    early = Bonus("early", flat=Points(50))
    late = Bonus("late", flat=Points(100), when=When(at_least=Points(1_000)))
    assert best_rate(terms_with(early, late, minimum=100), 0) == Fraction(3, 2)


def test_best_rate__of_a_bound_bonus__is_what_the_bound_leaves() -> None:
    assert best_rate(terms_with(Bonus("few", share=ratio(1, 1), most=Points(10)), minimum=100), 0) == Fraction(11, 10)


def test_best_rate__of_promotions__ends_with_the_last_second_before_their_end() -> None:
    sale = Bonus("sale", share=ratio(10, 3), when=When(starts=100, ends=200))
    next_sale = Bonus("next sale", share=ratio(10, 1), when=When(starts=200, ends=300))
    terms = terms_with(sale, next_sale)
    expected = {0: 13, 100: 13, 199: 13, 200: 11, 299: 11, 300: 10}
    assert {now: best_rate(terms, now) * 10 for now in expected} == expected


def test_best_rate__of_a_promotion_that_ends_before_the_terms_begin__leaves_it_out() -> None:
    terms = terms_with(Bonus("sale", share=ratio(10, 3), when=When(ends=200)))
    assert best_rate(replace(terms, effective_at=200), 0) == 1
    assert best_rate(replace(terms, effective_at=199), 0) == Fraction(13, 10)


def test_best_rate__of_promotions_that_meet__adds_them_and_of_others_takes_the_best() -> None:
    one = Bonus("one", share=ratio(10, 1), when=When(starts=0, ends=20))
    two = Bonus("two", share=ratio(10, 2), when=When(starts=10, ends=30))
    three = Bonus("three", share=ratio(10, 2), when=When(starts=30, ends=40))
    assert best_rate(terms_with(one, two, three), 0) == Fraction(13, 10)
    assert best_rate(terms_with(one, three), 0) == Fraction(12, 10)


def test_best_rate__of_tiers__does_not_add_what_two_tiers_get() -> None:
    gold = Bonus("gold", share=ratio(10, 2), when=When(tiers=frozenset({"gold"})))
    blue = Bonus("blue", share=ratio(10, 1), when=When(tiers=frozenset({"blue"})))
    assert best_rate(terms_with(gold, blue), 0) == Fraction(12, 10)
    assert best_rate(terms_with(gold, blue, tiers=frozenset({"blue"})), 0) == Fraction(11, 10)


def test_best_rate__of_the_n_th_transfer__counts_it() -> None:
    third = Bonus("third", ratio=ratio(1, 2), when=When(nth_per=Period.YEAR, nth_from=3, nth_to=3))
    fourth = Bonus("fourth", share=ratio(2, 1), when=When(nth_per=Period.YEAR, nth_from=4))
    assert best_rate(terms_with(third), 0) == 2
    assert best_rate(terms_with(third, fourth), 0) == 2


def test_best_rate__of_a_threshold_above_a_cap__leaves_it_out() -> None:
    far = Bonus("far", share=ratio(1, 1), when=When(at_least=Points(1_001)))
    assert best_rate(terms_with(far, caps=(Cap(Period.TRANSFER, Points(1_000)),)), 0) == 1
    assert best_rate(terms_with(far, caps=(Cap(Period.TRANSFER, Points(1_001)),)), 0) == 2


@pytest.mark.parametrize(("named", "expected"), [(8, Fraction(104, 100)), (32, Fraction(101, 100))])
def test_best_rate__of_as_many_parts_as_there_can_be__is_exact_and_with_no_work_adds_what_never_meets(
    named: int, expected: Fraction
) -> None:
    bonuses = tuple(
        Bonus(
            f"bonus {place}",
            share=ratio(100, 1),
            when=When(
                tiers=frozenset({f"tier {place % named}"}),
                starts=place,
                ends=1_000 - place,
                at_least=Points(100 + place),
                nth_per=(Period.DAY, Period.MONTH, Period.YEAR)[place % 3],
                nth_from=place + 1,
            ),
        )
        for place in range(32)
    )
    assert best_rate(terms_with(*bonuses), 0) == expected
    assert best_rate(terms_with(*bonuses), 0, work_max=0) == Fraction(132, 100)


def year_of_promotions() -> Terms:
    """Thirty weeks, one after another, each for one of three tiers, with shares and thresholds that differ."""
    week = 7 * 86_400
    bonuses = [
        Bonus(
            f"week {place}",
            share=ratio(100, 10 + place % 16),
            when=When(
                tiers=frozenset({("blue", "gold", "red")[place % 3]}),
                starts=place * week,
                ends=(place + 1) * week,
                at_least=Points(1_000 * (1 + place % 4)),
            ),
        )
        for place in range(30)
    ]
    welcome = Bonus("welcome", flat=Points(100), when=When(nth_per=Period.YEAR, nth_to=1, at_least=Points(10_000)))
    return terms_with(welcome, *bonuses, minimum=500)


def test_best_rate__of_a_year_of_promotions__is_that_of_the_best_week_and_the_gate_admits_what_is_harmless() -> None:
    year = year_of_promotions()
    rate = best_rate(year, 0)
    assert rate == 1 + Fraction(25, 100) + Fraction(100, 10_000)
    assert best_rate(year, 16 * 7 * 86_400) == 1 + Fraction(23, 100) + Fraction(100, 10_000), "the best week is over"
    gate = Gate.from_rates([("prg_b", "prg_a", Fraction(79, 100))])
    gate.put("prg_a", "prg_b", rate)
    narrow = gate.examine("prg_b", "prg_a", Fraction(79, 100))
    assert narrow is not None and narrow.product == Fraction(126 * 79, 10_000), "a member in the best week loses 0.46%"


@settings(max_examples=40)
@given(st.data())
def test_best_rate__of_many_dated_promotions__is_that_of_the_best_moment_tried_one_by_one(data: st.DataObject) -> None:
    """At a base of 1:1 and whole hundreds rounding takes nothing, so the best that is reached is the bound."""
    promotions = st.builds(
        lambda starts, lasts, share, tier: (When(tiers=frozenset(tier), starts=starts, ends=starts + lasts), share),
        st.integers(0, 300),
        st.integers(1, 40),
        st.integers(1, 30),
        st.sampled_from([(), ("gold",), ("blue",), ("blue", "gold")]),
    )
    drawn = data.draw(st.lists(promotions, min_size=15, max_size=32))
    bonuses = [Bonus(f"{place}", share=ratio(100, share), when=when) for place, (when, share) in enumerate(drawn)]
    terms = terms_with(*bonuses, minimum=100, increment=100)
    tried = [
        Fraction(Conversion(terms, Situation(at, tier)).total_of(100), 100)
        for at in {0, *(when.starts or 0 for when, _ in drawn)}
        for tier in (None, "blue", "gold")
    ]
    assert best_rate(terms, 0) == max(tried)


@settings(max_examples=60)
@given(rich_terms(), st.integers(0, 12), st.integers(1, 8))
def test_best_situations__of_any_terms__begin_with_the_best_and_none_gives_more_than_its_bound(
    terms: Terms, now: int, most: int
) -> None:
    found = best_situations(terms, now, most)
    bounds = [each.bound for each in found]
    assert 1 <= len(found) <= most
    assert bounds == sorted(bounds, reverse=True) and bounds[0] == best_rate(terms, now)
    for each in found:
        assert each.situation.at >= now
        assert all(rate <= each.bound for rate in rates_of(terms, each.situation))


@pytest.mark.parametrize("most", [1, 9])
def test_best_situations__where_one_bonus_is_for_some__are_with_it_and_then_without(most: int) -> None:
    gold = Bonus("gold", share=ratio(10, 1), when=When(tiers=frozenset({"gold"}), starts=50, ends=60))
    best, *others = best_situations(terms_with(gold), 0, most)
    assert (best.situation.tier, best.situation.at, best.bound) == ("gold", 50, Fraction(11, 10))
    assert len(others) <= min(most - 1, 2) and all(each.bound == 1 for each in others)


def test_best_situations__where_some_pay_a_fee__are_one_with_it_and_one_without() -> None:
    fee = PointsFee(Points(5), when=When(tiers=frozenset({"blue"})))
    found = best_situations(terms_with(fees=(fee,)), 0, 9)
    assert sorted(str(each.situation.tier) for each in found) == ["None", "blue"]


def test_best_rate__of_a_block_and_a_flat_bonus__does_not_add_the_flat_one_as_it_is_below_the_first_block() -> None:
    bonuses = Bonus("block", per=ratio(1_000, 1_000)), Bonus("flat", flat=Points(50))
    assert best_rate(terms_with(*bonuses, minimum=100), 0) == Fraction(205, 100)


def test_best_rate__under_a_cap_on_what_arrives__counts_each_threshold_that_fits_under_it() -> None:
    flat = Bonus("flat", flat=Points(60), when=When(at_least=Points(900)))
    for cap, expected in ((400, Fraction(2, 5)), (299, Fraction(1, 3))):
        caps = (Cap(Period.TRANSFER, Points(cap), side=Side.IN),)
        assert best_rate(terms_with(flat, base=ratio(3, 1), caps=caps), 0) == expected


@pytest.mark.parametrize(("at_least", "minimum_of_gold", "expected"), [(1, 10, 6), (60, 50, Fraction(3, 2))])
def test_best_rate__where_several_tiers_are_looked_at_together__counts_every_tiers_amounts(
    at_least: int, minimum_of_gold: int, expected: Fraction
) -> None:
    flat = Bonus("flat", flat=Points(50), when=When(at_least=Points(at_least)))
    minimums = (TierMinimum(frozenset({"gold"}), Points(minimum_of_gold)),)
    plain = make_terms(ratio(1, 1), minimum=100, increment=100)
    terms = with_rules(plain, Rules(bonuses=(flat,), minimums=minimums))
    assert best_rate(terms, 0) == best_rate(terms, 0, work_max=0) == expected
    (best,) = best_situations(terms, 0, 1)
    assert max(rates_of(terms, best.situation)) == expected, "others cannot begin with so few"
