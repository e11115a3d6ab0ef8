"""Eligibility: who may swap and which lots, and how what they bring is divided among them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise

from exchange.errors import NotEligible
from exchange.lots import Lot, LotId
from exchange.rules import Eligible

DAY_S = 86_400


def may_go(lots: Iterable[Lot[LotId]], eligible: Eligible, now: int) -> list[Lot[LotId]]:
    """Those of the lots that the terms let go at `now` (Unix seconds), and that may be swapped on at all."""
    return [lot for lot in lots if lot.onward and _meets(lot, eligible, now)]


def _meets(lot: Lot[LotId], eligible: Eligible, now: int) -> bool:
    if lot.received and eligible.earned_only:
        return False
    age = max(0, now - lot.earned_at)  # a clock that was set back makes nothing younger than new
    if age < eligible.age_min_days * DAY_S:
        return False
    if eligible.age_max_days is not None and age > eligible.age_max_days * DAY_S:
        return False
    return lot.expires_at is None or lot.expires_at - now >= eligible.left_min_days * DAY_S


def require_standing(eligible: Eligible, member_since: int, linked_since: int, now: int, field: str) -> None:
    """Raises `NotEligible` where the member is too new, or the link is; `nearest` is from when on neither is.

    Moments are in Unix seconds; the nearest one is written as ISO 8601 has it, in UTC.
    """
    asked = (
        (eligible.member_min_days, member_since, "a member"),
        (eligible.linked_min_days, linked_since, "linked to the membership at the destination"),
    )
    days, since, what = max(asked, key=lambda each: each[1] + each[0] * DAY_S)  # by then the other is met as well
    if max(0, now - since) < days * DAY_S:  # nobody is newer than new, where a clock was set back
        possible = f"{datetime.fromtimestamp(since + days * DAY_S, UTC):%Y-%m-%dT%H:%M:%SZ}"
        raise NotEligible(
            f"these terms are for who has been {what} for {days:,} days; that is so from {possible} on",
            field=field,
            limit=days,
            nearest=possible,
        )


def divided(total: int, parts: Sequence[int]) -> list[int]:
    """`total` divided in proportion to the parts, in whole points that sum to it exactly.

    Each point goes to the part in which its place falls: the floors of the running sums, so that none is lost or made.
    """
    whole = sum(parts)
    assert whole > 0 and min(parts) >= 0, "something is divided among parts that are there"
    marks = [total * upto // whole for upto in accumulate(parts, initial=0)]
    return [after - before for before, after in pairwise(marks)]
