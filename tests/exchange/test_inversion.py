"""Inversion: what tells that a ratio is the wrong way round, and what does not."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import InvertedRatio
from exchange.explanation import Worth
from exchange.inversion import inverse_of, looks_inverted, require_not_inverted
from exchange.points import POINTS_MAX, Points
from exchange.ratio import Ratio
from tests.exchange.strategies import ratios

micro = st.fractions(min_value=Fraction(1, 100), max_value=50_000)
worths = st.builds(Worth, source=micro, destination=micro, currency=st.just("USD"), note=st.just(""))


def ratio(from_units: int, to_units: int) -> Ratio:
    return Ratio(Points(from_units), Points(to_units))


def worth(source: int, destination: int) -> Worth:
    return Worth(Fraction(source), Fraction(destination), "USD", "as published")


@pytest.mark.parametrize(
    ("new", "previous"),
    [((4, 5), (5, 4)), ((1, 3), (3, 1)), ((1, 200), (250, 1)), ((2, 3), (1000, 999)), ((1, POINTS_MAX), (2, 1))],
)
def test_looks_inverted__where_the_version_before_lay_on_the_other_side__says_which(
    new: tuple[int, int], previous: tuple[int, int]
) -> None:
    said = looks_inverted(ratio(*new), previous=ratio(*previous))
    assert said is not None
    assert f"was {ratio(*previous)}" in said
    assert f"nearer to {new[1]}:{new[0]} than to {new[0]}:{new[1]}" in said


@pytest.mark.parametrize(
    ("new", "previous"),
    [((4, 5), (1, 1)), ((5, 4), (1, 1)), ((1, 1), (3, 1)), ((3, 1), (30, 1)), ((4, 5), (4, 5)), ((2, 1), (10, 9))],
)
def test_looks_inverted__where_the_version_before_lay_on_the_same_side__says_nothing(
    new: tuple[int, int], previous: tuple[int, int]
) -> None:
    assert looks_inverted(ratio(*new), previous=ratio(*previous)) is None


def test_looks_inverted__where_only_the_inverse_is_no_gift__says_what_each_gives() -> None:
    said = looks_inverted(ratio(1, 3), worth=worth(10_000, 9_000))
    assert said == "at 1:3 a member would receive 270.00% of the value given, at 3:1 30.00%"
    assert looks_inverted(ratio(3, 1), worth=worth(10_000, 9_000)) is None


@pytest.mark.parametrize(
    ("new", "values"),
    [
        ((3, 1), (10_000, 10_000)),  # a loss is normal
        ((1, 1), (10_000, 20_000)),  # the inverse is the same
        ((2, 3), (1_000, 9_000)),  # both would give value away
        ((1, 3), (30_000, 10_000)),  # exactly as much
        ((1, 3), (0, 10_000)),  # unknown
    ],
)
def test_looks_inverted__where_worth_does_not_tell__says_nothing(new: tuple[int, int], values: tuple[int, int]) -> None:
    assert looks_inverted(ratio(*new), worth=worth(*values)) is None


def test_looks_inverted__where_the_inverse_would_be_the_gift__trusts_worth_more_than_the_version_before() -> None:
    assert looks_inverted(ratio(3, 1), previous=ratio(1, 3)) is not None
    assert looks_inverted(ratio(3, 1), previous=ratio(1, 3), worth=worth(10_000, 9_000)) is None


@given(ratios(), st.none() | ratios(), st.none() | worths)
def test_looks_inverted__of_a_ratio_and_its_inverse__is_never_said_of_both(
    one: Ratio, previous: Ratio | None, values: Worth | None
) -> None:
    said = [looks_inverted(each, previous=previous, worth=values) for each in (one, inverse_of(one))]
    assert None in said


@given(ratios(), ratios())
def test_looks_inverted__by_the_version_before__is_said_exactly_on_the_other_side_of_one(
    one: Ratio, previous: Ratio
) -> None:
    other_side = (one.exact - 1) * (previous.exact - 1) < 0
    assert (looks_inverted(one, previous=previous) is not None) == other_side


def test_require_not_inverted__that_looks_so__names_the_inverse_which_passes() -> None:
    previous = ratio(250, 200)
    with pytest.raises(InvertedRatio) as refusal:
        require_not_inverted(ratio(200, 250), previous=previous)
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == ("ratio", "200:250", "250:200")
    require_not_inverted(ratio(250, 200), previous=previous)


def test_require_not_inverted__that_is_confirmed__is_taken() -> None:
    require_not_inverted(ratio(200, 250), previous=ratio(250, 200), confirmed=True)
    require_not_inverted(ratio(200, 250))
