"""Explanations: every line, in words and numbers."""

from dataclasses import replace
from fractions import Fraction

import pytest

from exchange.conversion import MoneyDue, Yield
from exchange.explanation import (
    LAST_SECOND,
    Value,
    Worth,
    lines_of_fees,
    lines_of_hop,
    lines_of_rest,
    lines_of_value,
    money,
    percent,
    reason_of,
    value_of,
)
from exchange.points import MicroUnits, Points
from exchange.pricing import price
from exchange.ratio import Ratio
from exchange.rules import TIME_MAX, Bonus, MoneyFee, Period, PointsFee, Rules, When
from exchange.situation import Situation
from tests.exchange.strategies import make_terms


def ratio(from_units: int, to_units: int) -> Ratio:
    return Ratio(Points(from_units), Points(to_units))


def test_price__with_everything__explains_each_point() -> None:
    rules = Rules(
        bonuses=(
            Bonus("Gold", ratio=ratio(2, 1), when=When(tiers=frozenset({"gold"}))),
            Bonus("Spring", share=ratio(100, 15), most=Points(70)),
        ),
        fees=(PointsFee(Points(25)), MoneyFee("EUR", flat=MicroUnits(1_500_000))),
    )
    terms = replace(make_terms(ratio(3, 1), 100, 7), rules=rules)
    worth = Worth(Fraction(10_000), Fraction(12_345), "USD", "1 EUR = 1.10 USD on 2026-01-02")
    priced = price(terms, 1_004, Situation(tier="gold"), worth)
    assert [(line.label, line.detail, line.points, line.program) for line in priced.lines] == [
        ("burned", "1,003 points leave", 1_003, "prg_a"),
        ("base", "1,003 at 3:1", 334, "prg_b"),
        ("bonus", "Gold: 2:1 instead of the ratio that all get, for gold", 167, "prg_b"),
        ("bonus", "Spring: 15 more for each 100 received, at most 70", 70, "prg_b"),
        ("rounding", "1/2 of a point is left out: only whole points are created", 0, "prg_b"),
        ("fee", "25 points are burned on top", 25, "prg_a"),
        ("fee", "1.50 EUR are owed to the source program", 0, None),
        ("remainder", "1 points would add nothing and stay", 1, "prg_a"),
        ("value given", "10.28 USD at home", 0, None),
        ("value received", "7.048995 USD; 1 EUR = 1.10 USD on 2026-01-02", 0, None),
        ("loss", "31.43% lost against redeeming at home", 0, None),
    ]
    assert priced.value == Value(MicroUnits(10_280_000), MicroUnits(7_048_995), "USD", 3_143)


@pytest.mark.parametrize(
    ("bonus", "said"),
    [
        (Bonus("x", ratio=ratio(2, 1)), "2:1 instead of the ratio that all get"),
        (Bonus("x", share=ratio(100, 15)), "15 more for each 100 received"),
        (Bonus("x", per=ratio(60_000, 5_000)), "5,000 more for each 60,000 sent"),
        (
            Bonus("x", flat=Points(1_000), group="spring", most=Points(7)),
            "1,000 more for the transfer, at most 7, the best of spring",
        ),
        (
            Bonus("x", flat=Points(1), when=When(at_least=Points(1_000), tiers=frozenset({"b", "a"}))),
            "1 more for the transfer, from 1,000 points on, for a or b",
        ),
        (
            Bonus("x", flat=Points(1), when=When(starts=0, ends=86_399)),
            "1 more for the transfer, from 1970-01-01 00:00 UTC, until 1970-01-01 23:59 UTC",
        ),
        (
            Bonus("x", flat=Points(1), when=When(starts=LAST_SECOND, ends=TIME_MAX)),
            "1 more for the transfer, from 9999-12-31 23:59 UTC, until second 9,223,372,036,854,775,807",
        ),
        (
            Bonus("x", flat=Points(1), when=When(nth_per=Period.YEAR, nth_from=3)),
            "1 more for the transfer, transfers of the year: from number 3 on",
        ),
        (
            Bonus("x", flat=Points(1), when=When(nth_per=Period.DAY, nth_to=2)),
            "1 more for the transfer, transfers of the day: numbers 1-2",
        ),
        (
            Bonus("x", flat=Points(1), when=When(except_tiers=frozenset({"b", "a"}), nth_per=Period.EVER, nth_to=1)),
            "1 more for the transfer, for all but a and b, transfers ever: numbers 1-1",
        ),
        (
            Bonus("x", flat=Points(2), member_most=Points(5_000), member_per=Period.YEAR),
            "2 more for the transfer, at most 5,000 for one member in a year",
        ),
    ],
)
def test_reason_of__each_kind_and_condition__is_said_in_words(bonus: Bonus, said: str) -> None:
    assert reason_of(bonus) == said


@pytest.mark.parametrize(
    ("source", "destination", "given", "received", "lost_bp"),
    [
        (10_000, 10_000, 1_000, 375, 6_250),
        (10_000, 10_000, 3, 2, 3_333),
        (10_000, 10_000, 3, 4, -3_334),
        (10_000, 10_000, 5, 5, 0),
        (0, 10_000, 5, 5, 0),
    ],
)
def test_value_of__points_given_and_received__loses_in_hundredths_of_a_percent(
    source: int, destination: int, given: int, received: int, lost_bp: int
) -> None:
    worth = Worth(Fraction(source), Fraction(destination), "USD", "")
    value = value_of(worth, given, received)
    assert (value.given, value.received, value.lost_bp) == (given * source, received * destination, lost_bp)


def test_value_of__parts_of_a_micro_unit__are_rounded_down() -> None:
    value = value_of(Worth(Fraction(5, 3), Fraction(5, 3), "USD", ""), 1, 2)
    assert (value.given, value.received) == (1, 3)


def test_lines_of_value__where_the_member_gains__say_so() -> None:
    worth = Worth(Fraction(1), Fraction(2), "USD", "n")
    assert lines_of_value(value_of(worth, 100, 100), worth)[-1].detail == "100.00% gained against redeeming at home"
    assert lines_of_value(None, None) == []


def test_lines_of_hop__that_converts_whole__say_nothing_of_rounding() -> None:
    terms = make_terms(ratio(3, 1))
    assert [line.label for line in lines_of_hop(terms, 9)] == ["through"]
    assert [line.label for line in lines_of_hop(terms, 10)] == ["through", "rounding"]


def test_lines__of_nothing__are_none() -> None:
    assert lines_of_fees(Points(0), (), "prg_a") == lines_of_rest(Points(0), "prg_a") == []
    due = MoneyDue("EUR", MicroUnits(7))
    assert [(line.micro, line.currency) for line in lines_of_fees(Points(0), (due,), "prg_a")] == [(7, "EUR")]
    assert Yield(Points(3), ()).total == 3


def test_money__micro_units__has_two_places_or_more() -> None:
    assert [money(each) for each in (0, 1, 1_500_000, 1_234_567_890)] == ["0.00", "0.000001", "1.50", "1,234.56789"]
    assert [percent(each) for each in (6_250, 5, 10_000)] == ["62.50%", "0.05%", "100.00%"]
