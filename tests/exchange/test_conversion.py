"""Conversion: base, bonuses and fees of one amount, against the twin that reads the rules in words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.conversion import Conversion, Granted, MoneyDue, fees_on, sum_by_currency
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import FEE_MAX, Bonus, MoneyFee, PointsFee, Rules, When
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms
from tests.exchange.strategies import amounts, make_terms, ratios, ruled_terms, situations
from tests.exchange.twin import bonus_of, fee_points


def ratio(from_units: int, to_units: int) -> Ratio:
    return Ratio(Points(from_units), Points(to_units))


def with_bonuses(*bonuses: Bonus, sides: tuple[int, int] = (3, 1)) -> Terms:
    return replace(make_terms(ratio(*sides)), rules=Rules(bonuses=bonuses))


def granted(terms: Terms, amount: int, situation: Situation = PLAIN_SITUATION) -> dict[str, int]:
    return {each.name: each.points for each in Conversion(terms, situation).yield_of(Points(amount)).bonuses}


@given(ratios(), amounts())
def test_convert__without_bonuses__is_the_floor_of_the_exact_ratio(sides: Ratio, amount: Points) -> None:
    given_ = Conversion(make_terms(sides), PLAIN_SITUATION).yield_of(amount)
    assert given_.base == given_.total == amount * sides.to_units // sides.from_units
    assert given_.bonuses == ()


@given(ruled_terms(), amounts(400), st.data())
def test_convert__under_whole_rules__grants_what_the_rules_say(
    terms: Terms, amount: Points, data: st.DataObject
) -> None:
    situation = data.draw(situations(terms))
    given_ = Conversion(terms, situation).yield_of(amount)
    assert given_.base == amount * terms.ratio.to_units // terms.ratio.from_units
    assert sum(each.points for each in given_.bonuses) == bonus_of(terms, amount, situation)
    assert all(each.points > 0 for each in given_.bonuses)
    assert len({each.name for each in given_.bonuses}) == len(given_.bonuses)
    assert fees_on(terms, amount, situation)[0] == fee_points(terms, amount, situation)


@given(ruled_terms(), st.integers(0, 400), st.data())
def test_least_for__any_total__is_the_least_of_all_that_give_it(terms: Terms, total: int, data: st.DataObject) -> None:
    conversion = Conversion(terms, data.draw(situations(terms)))
    least = conversion.least_for(total)
    assert least == next(each for each in range(least + 1) if conversion.yield_of(each).total >= total)
    assert conversion.total_of(least) == conversion.yield_of(least).total
    assert conversion.is_plain or terms.rules.bonuses


@pytest.mark.parametrize("total", [1, 12_900, 516_000, 10**9, POINTS_MAX, POINTS_MAX + 1])
def test_least_for__with_bonuses_on_large_amounts__asks_of_few_amounts(
    total: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = Bonus("share", share=ratio(100, 30))
    gift = Bonus("gift", flat=Points(50), when=When(at_least=Points(10_000)))
    conversion, asked = Conversion(with_bonuses(share, gift, sides=(1_000, 430)), PLAIN_SITUATION), list[int]()
    total_of = conversion.total_of
    monkeypatch.setattr(conversion, "total_of", lambda amount: asked.append(amount) or total_of(amount))
    least = conversion.least_for(total)
    assert total_of(least - 1) < total <= total_of(least)
    assert len(asked) < 16


def test_convert__at_a_threshold__adds_so_many_for_each_so_many() -> None:
    terms = with_bonuses(Bonus("threshold", per=ratio(60_000, 5_000)))
    assert [granted(terms, amount).get("threshold", 0) for amount in (59_999, 60_000, 119_999, 120_000)] == [
        0,
        5_000,
        5_000,
        10_000,
    ]


def test_convert__with_two_better_ratios__counts_the_best_and_builds_shares_on_it() -> None:
    terms = with_bonuses(
        Bonus("good", ratio=ratio(2, 1)),
        Bonus("best", ratio=ratio(1, 1), when=When(at_least=Points(10))),
        Bonus("share", share=ratio(100, 50)),
    )
    assert granted(terms, 9) == {"good": 1, "share": 2}
    assert granted(terms, 12) == {"best": 8, "share": 6}
    assert granted(with_bonuses(Bonus("a", ratio=ratio(2, 1)), Bonus("b", ratio=ratio(4, 2))), 12) == {"a": 2}


def test_convert__of_one_group__counts_only_the_best_and_the_first_of_equals() -> None:
    terms = with_bonuses(
        Bonus("first", flat=Points(5), group="g"),
        Bonus("second", flat=Points(5), group="g"),
        Bonus("third", share=ratio(1, 1), group="g"),
        Bonus("apart", flat=Points(2)),
        sides=(1, 1),
    )
    assert granted(terms, 5) == {"apart": 2, "first": 5}
    assert granted(terms, 6) == {"apart": 2, "third": 6}


def test_convert__with_a_bound__cuts_the_bonus_before_the_best_is_chosen() -> None:
    terms = with_bonuses(
        Bonus("cut", share=ratio(1, 1), most=Points(3), group="g"), Bonus("flat", flat=Points(4), group="g")
    )
    assert granted(terms, 90) == {"flat": 4}
    assert Granted("flat", Points(4)) in Conversion(terms, PLAIN_SITUATION).yield_of(Points(90)).bonuses


def test_fees_on__several_in_one_currency__add_up_in_the_order_of_the_terms() -> None:
    fees = (
        MoneyFee("EUR", flat=MicroUnits(5)),
        PointsFee(Points(3)),
        MoneyFee("USD", rate=MicroUnits(2), per=Points(10)),
        MoneyFee("EUR", rate=MicroUnits(1)),
        PointsFee(Points(4), when=When(at_least=Points(12))),
    )
    terms = replace(make_terms(ratio(1, 1)), rules=Rules(fees=fees))
    assert fees_on(terms, Points(11), PLAIN_SITUATION) == (
        3,
        (MoneyDue("EUR", MicroUnits(16)), MoneyDue("USD", MicroUnits(4))),
    )
    assert fees_on(terms, Points(12), PLAIN_SITUATION)[0] == 7


def test_sum_by_currency__of_more_than_money_can_say__is_cut() -> None:
    huge = MoneyDue("EUR", MICRO_UNITS_MAX)
    assert sum_by_currency([huge, MoneyDue("USD", MicroUnits(1)), huge]) == (huge, MoneyDue("USD", MicroUnits(1)))
    assert MoneyFee("EUR", rate=FEE_MAX).of(10**15) == MICRO_UNITS_MAX
