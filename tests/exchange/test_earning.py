"""Earning: a spend becomes whole points, never more than it is worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.earning import EarningRate
from exchange.errors import InvalidAmount, InvalidRatio
from exchange.points import POINTS_MAX, Points


def rate(points: int, per_minor_units: int) -> EarningRate:
    return EarningRate(Points(points), per_minor_units)


@pytest.mark.parametrize(
    ("sides", "spend", "earned"),
    [((2, 100), 1999, 39), ((1, 100), 99, 0), ((1, 100), 0, 0), ((5, 1), 7, 35)],
)
def test_award__of_a_spend__rounds_down(sides: tuple[int, int], spend: int, earned: int) -> None:
    assert rate(*sides).award(spend) == earned


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_award__of_a_spend_in_two_parts__never_earns_more(side: int, per: int, one: int, other: int) -> None:
    each = rate(side, per)
    assert each.award(one) + each.award(other) <= each.award(one + other)


@given(st.integers(1, POINTS_MAX), st.integers(1, POINTS_MAX))
def test_award__at_its_limit__is_the_most_that_one_earn_holds(side: int, per: int) -> None:
    each = rate(side, per)
    with pytest.raises(InvalidAmount) as refusal:
        each.award(POINTS_MAX * POINTS_MAX + POINTS_MAX)
    most = refusal.value.nearest
    assert isinstance(most, int)
    assert each.award(most) <= POINTS_MAX
    assert (most + 1) * side // per > POINTS_MAX


def test_award__of_a_negative_spend__is_refused() -> None:
    with pytest.raises(InvalidAmount) as refusal:
        rate(1, 1).award(-1)
    assert (refusal.value.field, refusal.value.nearest) == ("spend_minor", 0)


@pytest.mark.parametrize("spend", [1.0, True])
def test_award__of_no_whole_number__is_refused(spend: int) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        rate(1, 1).award(spend)
    assert refusal.value.field == "spend_minor"


@pytest.mark.parametrize(("sides", "field"), [((0, 1), "points"), ((1, 0), "per_minor_units")])
def test_earning_rate__with_an_empty_side__names_it(sides: tuple[int, int], field: str) -> None:
    with pytest.raises(InvalidRatio) as refusal:
        rate(*sides)
    assert refusal.value.field == field
