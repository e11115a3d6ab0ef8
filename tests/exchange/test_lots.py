"""Lots: spent first-expiring first, never more than there is, never what has expired."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import InsufficientPoints
from exchange.lots import Lot, Take, draw, expired, spend, spendable
from exchange.points import Points

NOW = 50

lots_strategy = st.lists(
    st.builds(
        Lot[int],
        id=st.integers(0, 10**6),
        remaining=st.integers(0, 30).map(Points),
        expires_at=st.none() | st.integers(0, 100),
        earned_at=st.integers(0, 3),
    ),
    unique_by=lambda lot: lot.id,
    max_size=12,
)


def lot(id: str, remaining: int, expires_at: int | None = None, earned_at: int = 0) -> Lot[str]:
    return Lot(id, Points(remaining), expires_at, earned_at)


def test_spend__of_several_lots__takes_the_first_to_expire_first() -> None:
    lots = [lot("never", 5), lot("late", 5, 90), lot("soon", 5, 60)]
    assert spend(lots, Points(12), NOW) == [
        Take("soon", Points(5)),
        Take("late", Points(5)),
        Take("never", Points(2)),
    ]


def test_spend__of_lots_that_expire_together__takes_the_earliest_earned_then_the_least_id() -> None:
    lots = [lot("c", 1, 60, 2), lot("b", 1, 60, 1), lot("a", 1, 60, 2), lot("y", 1, None, 1), lot("x", 1)]
    takes = spend(lots, Points(5), NOW)
    assert [take.lot_id for take in takes] == ["b", "a", "c", "x", "y"]


@pytest.mark.parametrize(("expires_at", "there"), [(NOW - 1, 0), (NOW, 0), (NOW + 1, 5), (None, 5)])
def test_spendable__around_the_moment_of_expiry__ends_with_it(expires_at: int | None, there: int) -> None:
    lots = [lot("a", 5, expires_at)]
    assert spendable(lots, NOW) == there
    assert expired(lots, NOW) == (lots if there == 0 else [])


def test_expired__of_lots_already_empty__says_nothing() -> None:
    assert expired([lot("a", 0, 10)], NOW) == []


@pytest.mark.parametrize(("remaining", "nearest"), [(5, 5), (0, None)])
def test_spend__of_more_than_there_is__names_what_there_is(remaining: int, nearest: int | None) -> None:
    with pytest.raises(InsufficientPoints) as refusal:
        spend([lot("a", remaining), lot("gone", 9, 1)], Points(6), NOW)
    error = refusal.value
    assert (error.field, error.limit, error.nearest) == ("points", remaining, nearest)


@pytest.mark.parametrize("amount", [0, -1])
def test_spend__of_nothing__is_a_bug(amount: int) -> None:
    with pytest.raises(AssertionError):
        spend([lot("a", 5)], Points(amount), NOW)


def test_lot__of_less_than_nothing__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        lot("a", -1)


@given(lots_strategy, st.integers(1, 200).map(Points))
def test_spend__of_any_lots__conserves_and_keeps_the_order(lots: list[Lot[int]], amount: Points) -> None:
    there = sum(each.remaining for each in lots if each.expires_at is None or each.expires_at > NOW)
    assert spendable(lots, NOW) == there
    if amount > there:
        with pytest.raises(InsufficientPoints):
            spend(lots, amount, NOW)
        return
    taken = {take.lot_id: take.amount for take in spend(lots, amount, NOW)}
    assert sum(taken.values()) == amount
    assert all(each > 0 for each in taken.values())
    for each in lots:
        part = taken.get(each.id, 0)
        assert part <= each.remaining
        if part:
            assert each.expires_at is None or each.expires_at > NOW
        if part < each.remaining and (each.expires_at is None or each.expires_at > NOW):
            assert not [later for later in lots if later.id in taken and later.id != each.id and after(later, each)]


@given(lots_strategy, st.randoms(use_true_random=False), st.integers(1, 60).map(Points))
def test_spend__of_the_same_lots_in_another_order__is_the_same(
    lots: list[Lot[int]], random: Random, amount: Points
) -> None:
    shuffled = list(lots)
    random.shuffle(shuffled)
    if amount <= spendable(lots, NOW):
        assert spend(shuffled, amount, NOW) == spend(lots, amount, NOW)


@given(lots_strategy, st.integers(1, 60).map(Points))
def test_draw__of_no_more_than_there_is__takes_it_in_the_same_order_expired_or_not(
    lots: list[Lot[int]], amount: Points
) -> None:
    if amount > sum(each.remaining for each in lots):
        with pytest.raises(AssertionError):
            draw(lots, amount)
        return
    timeless = spend(lots, amount, -1)
    assert draw(lots, amount) == timeless


@given(lots_strategy)
def test_expired__and_spendable__share_out_all_points(lots: list[Lot[int]]) -> None:
    over = sum(each.remaining for each in expired(lots, NOW))
    assert over + spendable(lots, NOW) == sum(each.remaining for each in lots)


def after(one: Lot[int], other: Lot[int]) -> bool:
    """Whether `one` must wait until `other` is used up, said without the sort that is under test."""
    one_end = one.expires_at if one.expires_at is not None else 10**9
    other_end = other.expires_at if other.expires_at is not None else 10**9
    return (one_end, one.earned_at, one.id) > (other_end, other.earned_at, other.id)
