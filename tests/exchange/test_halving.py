"""Halving: the first number at which something holds, whatever the guess."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.halving import first_near
from exchange.points import POINTS_MAX


@given(st.integers(0, 40), st.integers(-3, 50), st.integers(0, 40))
def test_first_near__with_any_guess__finds_the_first(first: int, near: int, further: int) -> None:
    assert first_near(near, first + further, lambda each: each >= first) == first


def test_first_near__with_a_good_guess__looks_a_few_times() -> None:
    first, looks = 10**12, list[int]()
    assert first_near(first + 1, POINTS_MAX, lambda each: not looks.append(each) and each >= first) == first
    assert len(looks) <= 5
