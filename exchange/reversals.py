"""Reversals: what it comes to when an earn or a redemption is taken back, in whole or in part.

Either leaves the member as if the original had been smaller from the start. What a redemption spent first, it would
have spent all the same; so a part of it gives back what it spent last. What expired of an earn is gone, and counts as
taken back; what was spent of it comes from the member's other points, and what is not there may be owed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

from exchange.errors import MoreThanOriginal, PointsSpent
from exchange.lots import Lot, LotId, Take, in_order, spend, spendable
from exchange.points import Points, points


def part_of(original: int, taken_back: int, asked: int | None) -> Points:
    """How much a reversal is to take back: what is `asked`, or all that is left (None).

    `taken_back` is what reversals before it took back. Raises InvalidAmount, and MoreThanOriginal: all reversals of one
    operation together never take back more than it was.
    """
    left = Points(original - taken_back)
    assert 0 <= left <= original, "no more is ever taken back than there was"
    wanted = left if asked is None else points(asked)
    if wanted > left or left == 0:
        raise MoreThanOriginal(
            f"of {original:,} points {taken_back:,} are reversed already, so {left:,} can be",
            field="points",
            limit=left,
            nearest=left or None,
        )
    return wanted


def give_back(taken: Iterable[Lot[LotId]], amount: Points) -> list[Take[LotId]]:
    """To which lots `amount` of what a redemption took returns: to those that expire last first.

    Each of `taken` is a lot with, as what remains, what the redemption still has of it; together at least `amount`.
    """
    back: list[Take[LotId]] = []
    left = amount
    for one in reversed(in_order(taken)):
        if left == 0:
            break
        returned = Points(min(left, one.remaining))
        back.append(Take(one.id, returned))
        left = Points(left - returned)
    assert left == 0, "a redemption took all that it gives back"
    return back


# No slots: as with `Lot`, a generic class with slots cannot be called with its type in Python 3.11.
@dataclass(frozen=True)
class TakenBack(Generic[LotId]):
    """What the reversal of an earn is made of; the four parts sum to its points.

    `expired` is gone already. `ahead` was paid before the debt was known here. `takes` come from lots, and what is
    `owed` is nowhere: the member owes it from now on.
    """

    expired: Points
    ahead: Points
    takes: list[Take[LotId]]
    owed: Points

    @property
    def debt_change(self) -> Points:
        """By how much the member's debt rises; one that was paid ahead rises to nothing first."""
        return Points(self.ahead + self.owed)


def take_back(
    amount: Points,
    *,
    expired: Points,
    own: Sequence[Lot[LotId]],
    others: Sequence[Lot[LotId]],
    debt: int,
    debt_limit: int,
    now: int,
) -> TakenBack[LotId]:
    """What taking `amount` of an earn back comes to.

    First counts what `expired` of the earn and no reversal counted yet, then what was paid ahead (a `debt` below zero).
    Then the earn's `own` lots give what they still hold, expired or not, and `others` what can be spent of them, first
    expiring first. The rest is owed, while the whole debt stays within `debt_limit`. Raises PointsSpent.
    """
    gone = Points(min(amount, expired))
    ahead = Points(min(amount - gone, max(0, -debt)))
    left = Points(amount - gone - ahead)
    takes: list[Take[LotId]] = []
    for one in in_order(own):
        if left:
            takes.append(Take(one.id, Points(min(left, one.remaining))))
            left = Points(left - takes[-1].amount)
    there = Points(min(left, spendable(others, now)))
    if there:
        takes += spend(others, there, now)
    owed = Points(left - there)
    may_owe = max(0, debt_limit - max(0, debt))
    if owed > may_owe:
        nearest = amount - owed + may_owe
        raise PointsSpent(
            f"{owed:,} of these {amount:,} points are spent already, and the member may owe {may_owe:,} more:"
            f" {nearest:,} can be taken back",
            field="points",
            limit=nearest,
            nearest=nearest or None,
        )
    return TakenBack(gone, ahead, takes, owed)


def owed_no_longer(taken: int, made: int, debt: int) -> Points:
    """By how much a debt falls when expiry takes so much of an earn, whose reversals made so much of it a debt.

    What expires is gone, as if it had expired before the reversal; nobody owes it. What other earns paid off of the
    `debt` meanwhile stays paid.
    """
    return Points(max(0, min(taken, made, debt)))


def paid_off(earned: int, debt: int, most: int) -> Points:
    """What an earn pays off of its member's debt: as much as it can, up to the `most` that can be burned at once."""
    return Points(max(0, min(earned, debt, most)))


def part_at(takes: Iterable[Take[LotId]], amount: int) -> tuple[list[Take[LotId]], list[Take[LotId]]]:
    """The first `amount` points of some takes, or all where they are fewer, and what is left of them."""
    first: list[Take[LotId]] = []
    rest: list[Take[LotId]] = []
    left = amount
    for one in takes:
        taken = min(left, one.amount)
        first += [Take(one.lot_id, Points(taken))] if taken else []
        rest += [Take(one.lot_id, Points(one.amount - taken))] if taken < one.amount else []
        left -= taken
    return first, rest
