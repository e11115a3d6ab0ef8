"""Reversals: afterwards all is as if the original had been smaller, and never more is taken back than there was."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import InvalidAmount, MoreThanOriginal, PointsSpent
from exchange.lots import Lot, Take, expired, spend, spendable
from exchange.points import Points
from exchange.reversals import TakenBack, give_back, owed_no_longer, paid_off, part_at, part_of, take_back

NOW = 50


def lot(id: str, remaining: int, expires_at: int | None = None, earned_at: int = 0) -> Lot[str]:
    return Lot(id, Points(remaining), expires_at, earned_at)


def lots(most: int = 8) -> st.SearchStrategy[list[Lot[int]]]:
    return st.lists(
        st.builds(
            Lot[int],
            id=st.integers(0, 10**6),
            remaining=st.integers(0, 30).map(Points),
            expires_at=st.none() | st.integers(0, 100),
            earned_at=st.integers(0, 3),
        ),
        unique_by=lambda one: one.id,
        max_size=most,
    )


def total(takes: list[Take[int]]) -> int:
    return sum(one.amount for one in takes)


@pytest.mark.parametrize(("asked", "wanted"), [(None, 60), (60, 60), (1, 1)])
def test_part__of_what_is_left__is_what_was_asked_for_or_all_of_it(asked: int | None, wanted: int) -> None:
    assert part_of(100, 40, asked) == wanted


@pytest.mark.parametrize(("taken_back", "asked", "nearest"), [(40, 61, 60), (100, 1, None), (100, None, None)])
def test_part__that_would_make_it_more_than_the_original__is_refused_and_names_what_is_left(
    taken_back: int, asked: int | None, nearest: int | None
) -> None:
    with pytest.raises(MoreThanOriginal) as refused:
        part_of(100, taken_back, asked)
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("points", nearest or 0, nearest)


@pytest.mark.parametrize("asked", [0, -1, 2**48])
def test_part__that_is_no_amount__is_refused(asked: int) -> None:
    with pytest.raises(InvalidAmount):
        part_of(100, 0, asked)


def test_part__of_more_taken_back_than_there_was__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        part_of(100, 101, None)


def test_give_back__of_a_part__goes_to_what_expires_last_first() -> None:
    taken = [lot("soon", 5, 60), lot("never", 2), lot("late", 3, 90), lot("gone", 4, 10)]
    assert give_back(taken, Points(9)) == [
        Take("never", Points(2)),
        Take("late", Points(3)),
        Take("soon", Points(4)),
    ]


@settings(max_examples=150)
@given(lots(), st.data())
def test_give_back__after_a_redemption__leaves_what_a_smaller_redemption_would_have_left(
    held: list[Lot[int]], data: st.DataObject
) -> None:
    there = spendable(held, NOW)
    if not there:
        return
    spent = Points(data.draw(st.integers(1, there)))
    taken = {one.lot_id: one.amount for one in spend(held, spent, NOW)}
    kept = [Lot(one.id, taken[one.id], one.expires_at, one.earned_at) for one in held if one.id in taken]
    for part in data.draw(st.lists(st.integers(1, spent), max_size=4)):
        part = min(part, sum(taken.values()))
        if not part:
            break
        for one in give_back(kept, Points(part)):
            taken[one.lot_id] = Points(taken[one.lot_id] - one.amount)
        kept = [Lot(one.id, taken[one.id], one.expires_at, one.earned_at) for one in kept]
    left = Points(sum(taken.values()))
    smaller = {one.lot_id: one.amount for one in spend(held, left, NOW)} if left else {}
    assert {lot_id: amount for lot_id, amount in taken.items() if amount} == smaller


def back(amount: int, **more: object) -> TakenBack[str]:
    given: dict[str, object] = {
        "expired": Points(0),
        "own": [],
        "others": [],
        "debt": 0,
        "debt_limit": 0,
        "now": NOW,
        **more,
    }
    return take_back(Points(amount), **given)  # type: ignore[arg-type]


def test_take_back__of_what_is_still_there__takes_the_earns_own_points_even_before_others_expire() -> None:
    came_to = back(8, own=[lot("own", 5)], others=[lot("soon", 9, 60)])
    assert came_to == TakenBack(Points(0), Points(0), [Take("own", Points(5)), Take("soon", Points(3))], Points(0))


def test_take_back__of_own_points_that_expired_and_are_still_there__takes_them() -> None:
    assert back(5, own=[lot("own", 5, 10)]).takes == [Take("own", Points(5))]


def test_take_back__never_takes_what_expired_of_other_earns() -> None:
    with pytest.raises(PointsSpent) as refused:
        back(5, own=[lot("own", 2, 10)], others=[lot("gone", 9, 10)])
    assert (refused.value.limit, refused.value.nearest) == (2, 2)


def test_take_back__of_what_expired_and_was_taken_away_for_it__does_not_take_it_twice() -> None:
    assert back(5, expired=Points(3), others=[lot("other", 9)]).takes == [Take("other", Points(2))]


def test_take_back__of_what_was_paid_ahead__takes_it_from_nowhere() -> None:
    came_to = back(5, debt=-3, others=[lot("other", 9)])
    assert (came_to.ahead, came_to.takes, came_to.debt_change) == (3, [Take("other", Points(2))], 3)


@pytest.mark.parametrize(("debt", "owed"), [(0, 5), (5, 5), (-2, 5)])
def test_take_back__of_what_is_spent__is_owed_up_to_the_limit(debt: int, owed: int) -> None:
    assert back(owed + max(0, -debt), debt=debt, debt_limit=10).owed == owed


@pytest.mark.parametrize(("debt", "limit", "nearest"), [(0, 0, 4), (0, 3, 7), (3, 3, 4), (9, 3, 4), (1, 3, 6)], ids=str)
def test_take_back__beyond_what_may_be_owed__is_refused_and_names_what_can_be_taken(
    debt: int, limit: int, nearest: int
) -> None:
    there = [lot("other", 4)]
    with pytest.raises(PointsSpent) as refused:
        back(8, others=there, debt=debt, debt_limit=limit)
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("points", nearest, nearest)
    assert back(nearest, others=there, debt=debt, debt_limit=limit).owed == nearest - 4


def test_take_back__where_nothing_can_be_taken__names_no_nearest() -> None:
    with pytest.raises(PointsSpent) as refused:
        back(1)
    assert (refused.value.limit, refused.value.nearest) == (0, None)


small = st.integers(0, 40)


@settings(max_examples=200)
@given(small, small, lots(2), lots(6), st.integers(-20, 40), small)
def test_take_back__of_anything__is_whole_and_never_more_than_there_is(
    amount: int, gone: int, own: list[Lot[int]], others: list[Lot[int]], debt: int, limit: int
) -> None:
    if not amount or {one.id for one in own} & {one.id for one in others}:
        return
    held = {one.id: one.remaining for one in own + others}
    late = {one.id for one in expired(others, NOW)}
    there = gone + max(0, -debt) + sum(one.remaining for one in own) + spendable(others, NOW)
    may_owe = max(0, limit - max(0, debt))
    given = {"expired": Points(gone), "own": own, "others": others, "debt": debt, "debt_limit": limit, "now": NOW}
    if amount > there + may_owe:
        with pytest.raises(PointsSpent) as refused:
            take_back(Points(amount), **given)  # type: ignore[arg-type]
        assert refused.value.limit == there + may_owe
        return
    came_to: TakenBack[int] = take_back(Points(amount), **given)  # type: ignore[arg-type]
    assert came_to.expired + came_to.ahead + total(came_to.takes) + came_to.owed == amount
    assert all(0 < one.amount <= held[one.lot_id] and one.lot_id not in late for one in came_to.takes)
    assert len({one.lot_id for one in came_to.takes}) == len(came_to.takes)
    assert came_to.owed == max(0, amount - there)
    assert debt + came_to.debt_change <= max(debt, limit)


@pytest.mark.parametrize(
    ("earned", "debt", "most", "paid"), [(5, 3, 9, 3), (3, 5, 9, 3), (5, 5, 2, 2), (5, 0, 9, 0), (5, -4, 9, 0)]
)
def test_paid_off__is_what_is_earned_owed_and_can_be_burned(earned: int, debt: int, most: int, paid: int) -> None:
    assert paid_off(earned, debt, most) == paid


def parts_of(amount: int) -> st.SearchStrategy[list[int]]:
    """Up to three parts, together no more than `amount`."""
    return st.lists(st.integers(1, max(1, amount)), max_size=3).filter(lambda parts: sum(parts) <= amount)


@pytest.mark.parametrize(
    ("taken", "made", "debt", "less"), [(5, 9, 9, 5), (9, 5, 9, 5), (9, 9, 5, 5), (5, 0, 9, 0), (5, 5, -1, 0)]
)
def test_owed_no_longer__is_what_expired_of_what_was_owed_for_it_and_still_is(
    taken: int, made: int, debt: int, less: int
) -> None:
    assert owed_no_longer(taken, made, debt) == less


@settings(max_examples=150)
@given(st.integers(1, 40), st.data())
def test_reversals_and_expiry__of_one_earn__leave_the_same_in_whatever_order_they_come(
    earned: int, data: st.DataObject
) -> None:
    """Some of it is spent for good, some comes back late, and some is taken back; in the end nothing is left of it."""
    spent = data.draw(st.integers(0, earned))
    away = data.draw(
        st.lists(st.integers(0, earned - spent), max_size=2).filter(lambda all: sum(all) <= earned - spent)
    )
    parts = data.draw(st.lists(st.integers(1, earned), max_size=3).filter(lambda all: sum(all) <= earned))
    events = [("back", one) for one in away] + [("reverse", one) for one in parts] + [("expiry", 0)] * 2
    lying, gone, counted, made, now = earned - spent - sum(away), 0, 0, 0, 0
    for what, amount in [*data.draw(st.permutations(events)), ("expiry", 0)]:
        if what == "back":
            lying += amount
        elif what == "reverse":
            own = [Lot("own", Points(lying), 10, 0)]
            came_to = take_back(
                Points(amount),
                expired=Points(gone - counted),
                own=own,
                others=[],
                debt=made,
                debt_limit=earned,
                now=now,
            )
            lying, counted = lying - sum(one.amount for one in came_to.takes), counted + came_to.expired
            made += came_to.debt_change
        else:  # from the first time on all of it is expired
            now = 20
            less = owed_no_longer(lying, made, made)
            lying, gone, counted, made = 0, gone + lying, counted + less, made - less
    assert (lying, made) == (0, max(0, sum(parts) - (earned - spent))), "what was kept of it, and nothing else"


@settings(max_examples=50)
@given(st.lists(st.integers(1, 9), max_size=5), st.integers(0, 50))
def test_part_at__any_point__cuts_there(amounts: list[int], at: int) -> None:
    takes = [Take(place, Points(amount)) for place, amount in enumerate(amounts)]
    first, rest = part_at(takes, at)
    assert total(first) == min(at, sum(amounts))
    assert [one.lot_id for one in first for _ in range(one.amount)] + [
        one.lot_id for one in rest for _ in range(one.amount)
    ] == [one.lot_id for one in takes for _ in range(one.amount)]
