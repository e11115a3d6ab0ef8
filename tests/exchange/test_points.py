"""Amounts: what may move and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import InvalidAmount
from exchange.points import POINTS_MAX, points


def test_points_max__in_bytes__is_what_six_can_say() -> None:
    assert POINTS_MAX.to_bytes(6, "big") == b"\xff" * 6


@given(st.integers(1, POINTS_MAX))
def test_points__within_bounds__is_the_value(value: int) -> None:
    assert points(value) == value


@pytest.mark.parametrize("value", [1, POINTS_MAX])
def test_points__at_a_bound__is_accepted(value: int) -> None:
    assert points(value) == value


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        (0, 1),
        (-1, 1),
        (POINTS_MAX + 1, POINTS_MAX),
        pytest.param(10**5000, POINTS_MAX, id="too long for Python to print"),
    ],
)
def test_points__beyond_a_bound__names_field_limit_and_nearest(value: int, bound: int) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        points(value, "amount_in")
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == ("amount_in", bound, bound)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 1e9])
def test_points__of_no_whole_number__is_refused(value: object) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        points(value)
    assert (refusal.value.field, refusal.value.nearest) == ("points", None)
