"""Eligibility: which lots may go, and how what they bring is divided."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.eligibility import DAY_S, divided, may_go, require_standing
from exchange.errors import NotEligible
from exchange.lots import Lot
from exchange.points import Points
from exchange.rules import Eligible

NOW = 1_000 * DAY_S


def _lot(age_s: int, *, left_s: int | None = None, received: bool = False, onward: bool = True) -> Lot[int]:
    expires_at = None if left_s is None else NOW + left_s
    return Lot(1, Points(5), expires_at, NOW - age_s, received, onward)


@pytest.mark.parametrize(
    ("lot", "eligible", "goes"),
    [
        (_lot(0), Eligible(), True),
        (_lot(-3_600), Eligible(), True),  # earned before the clock was set back
        (_lot(-3_600), Eligible(age_min_days=1), False),
        (_lot(0, onward=False), Eligible(), False),
        (_lot(0, received=True), Eligible(), True),
        (_lot(0, received=True), Eligible(earned_only=True), False),
        (_lot(10 * DAY_S), Eligible(age_min_days=10), True),
        (_lot(10 * DAY_S - 1), Eligible(age_min_days=10), False),
        (_lot(10 * DAY_S), Eligible(age_max_days=10), True),
        (_lot(10 * DAY_S + 1), Eligible(age_max_days=10), False),
        (_lot(0, left_s=3 * DAY_S), Eligible(left_min_days=3), True),
        (_lot(0, left_s=3 * DAY_S - 1), Eligible(left_min_days=3), False),
        (_lot(0), Eligible(left_min_days=3), True),
    ],
)
def test_may_go__of_a_lot__asks_its_age_its_end_and_where_it_came_from(
    lot: Lot[int], eligible: Eligible, goes: bool
) -> None:
    assert (may_go([lot], eligible, NOW) == [lot]) is goes


@pytest.mark.parametrize(
    ("days", "since", "refused"),
    [
        ((30, 0), (900, 990), ""),
        ((0, 0), (1_001, 1_001), ""),  # enrolled before the clock was set back
        ((101, 0), (900, 990), "1972-09-28 a member for 101 days"),
        ((0, 11), (900, 990), "1972-09-28 linked to the membership at the destination for 11 days"),
        ((101, 12), (900, 990), "1972-09-29 linked to the membership at the destination for 12 days"),
        ((102, 11), (900, 990), "1972-09-29 a member for 102 days"),
        ((100, 11), (900, 990), "1972-09-28 linked to the membership at the destination for 11 days"),
    ],
)
def test_require_standing__of_who_is_too_new__names_when_they_are_not_in_any_way(
    days: tuple[int, int], since: tuple[int, int], refused: str
) -> None:
    eligible = Eligible(member_min_days=days[0], linked_min_days=days[1])
    member, linked = (each * DAY_S for each in since)
    if not refused:
        require_standing(eligible, member, linked, NOW, "amount_in")
        return
    day, what = refused.split(" ", 1)
    with pytest.raises(NotEligible) as refusal:
        require_standing(eligible, member, linked, NOW, "amount_in")
    assert what in refusal.value.detail
    assert refusal.value.nearest == f"{day}T00:00:00Z"
    possible = int(datetime.fromisoformat(refusal.value.nearest).timestamp())
    require_standing(eligible, member, linked, possible, "amount_in")
    with pytest.raises(NotEligible):
        require_standing(eligible, member, linked, possible - 1, "amount_in")


@settings(max_examples=100)
@given(st.integers(0, 2**48), st.lists(st.integers(1, 2**48), min_size=1, max_size=8))
def test_divided__of_any_total__sums_to_it_and_gives_each_its_share(total: int, parts: list[int]) -> None:
    found = divided(total, parts)
    assert sum(found) == total
    whole = sum(parts)
    assert all(abs(one * whole - total * part) < whole for one, part in zip(found, parts, strict=True))


def test_divided__of_little__may_give_a_part_nothing() -> None:
    assert divided(2, [1, 1, 1]) == [0, 1, 1]
