"""Ratios: conversion rounds down, and its inverse is the least that suffices."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import InvalidRatio
from exchange.points import POINTS_MAX, Points
from exchange.ratio import Ratio
from tests.exchange.strategies import amounts, ratios


def ratio(from_units: int, to_units: int) -> Ratio:
    return Ratio(Points(from_units), Points(to_units))


@pytest.mark.parametrize(
    ("sides", "amount", "out"),
    [
        ((1, 1), 1000, 1000),
        ((3, 1), 2999, 999),
        ((4, 3), 2503, 1877),
        ((250, 200), 625, 500),
        ((200, 1), 199, 0),
        ((5, 8), 5, 8),
        ((1, POINTS_MAX), POINTS_MAX, POINTS_MAX**2),
    ],
)
def test_convert__of_published_ratios__rounds_down(sides: tuple[int, int], amount: int, out: int) -> None:
    assert ratio(*sides).convert(Points(amount)) == out


@given(ratios(), amounts())
def test_convert__of_any_amount__is_the_floor_of_the_exact_product(rate: Ratio, amount: Points) -> None:
    out = rate.convert(amount)
    assert out <= amount * rate.exact < out + 1


@given(ratios(), amounts(), amounts())
def test_convert__of_more__is_never_less(rate: Ratio, one: Points, other: Points) -> None:
    assert rate.convert(min(one, other)) <= rate.convert(max(one, other))


@given(ratios(), amounts(), amounts())
def test_convert__of_two_parts__never_gives_more_than_the_whole(rate: Ratio, one: Points, other: Points) -> None:
    assert rate.convert(one) + rate.convert(other) <= rate.convert(Points(one + other))


@given(ratios(), amounts())
def test_needed_for__any_amount_out__is_the_least_that_suffices(rate: Ratio, out: Points) -> None:
    needed = rate.needed_for(out)
    assert rate.convert(needed) >= out > rate.convert(Points(needed - 1))


@given(ratios(), st.integers(1, 1000))
def test_reduced__in_whole_blocks__converts_without_rounding(rate: Ratio, blocks: int) -> None:
    low = rate.reduced()
    assert low.exact == rate.exact
    assert low.reduced() == low
    assert rate.convert(Points(blocks * low.from_units)) == blocks * low.to_units


def test_ratio__not_in_lowest_terms__is_kept_as_agreed() -> None:
    rate = ratio(250, 200)
    assert (str(rate), rate.reduced(), rate.exact) == ("250:200", ratio(5, 4), Fraction(4, 5))
    assert rate != rate.reduced()


@pytest.mark.parametrize(
    ("sides", "field", "bound"),
    [
        ((0, 1), "from_units", 1),
        ((1, 0), "to_units", 1),
        ((-3, 1), "from_units", 1),
        ((POINTS_MAX + 1, 1), "from_units", POINTS_MAX),
        ((1, POINTS_MAX + 1), "to_units", POINTS_MAX),
    ],
)
def test_ratio__with_a_side_out_of_bounds__names_it(sides: tuple[int, int], field: str, bound: int) -> None:
    with pytest.raises(InvalidRatio) as refusal:
        ratio(*sides)
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == (field, bound, bound)


@pytest.mark.parametrize("side", [1.5, True, "2"])
def test_ratio__with_a_side_that_is_no_whole_number__is_refused(side: int) -> None:
    with pytest.raises(InvalidRatio) as refusal:
        Ratio(Points(2), Points(side))
    assert refusal.value.field == "to_units"
