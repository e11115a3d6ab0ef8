"""Lots: the points of one earn with their own expiry, spent first-expiring first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from exchange.errors import InsufficientPoints
from exchange.points import Points

LotId = TypeVar("LotId", int, str)


# No slots: a frozen class with slots cannot be called as `Lot[int](...)` in Python 3.11.
@dataclass(frozen=True)
class Lot(Generic[LotId]):
    """What is left of the points of one earn.

    Times are Unix seconds. From `expires_at` on the points are expired; None means never. `received` says that a swap
    brought them, `onward` whether they may be swapped again.
    """

    id: LotId
    remaining: Points
    expires_at: int | None
    earned_at: int
    received: bool = False
    onward: bool = True

    def __post_init__(self) -> None:
        assert self.remaining >= 0, "a lot never holds less than nothing"


@dataclass(frozen=True)
class Take(Generic[LotId]):
    """How much of one lot is spent."""

    lot_id: LotId
    amount: Points


def spend(lots: Iterable[Lot[LotId]], amount: Points, now: int) -> list[Take[LotId]]:
    """Which lots `amount` comes from, first-expiring first.

    Never-expiring lots come last; among equals the earliest earned goes first, then the least id. Expired
    points are never spent. Raises `InsufficientPoints` with what can be spent.
    """
    assert amount > 0, "only a positive amount is spent"
    live = [lot for lot in in_order(lots) if not _is_expired(lot, now)]
    there = sum(lot.remaining for lot in live)
    if there < amount:
        raise InsufficientPoints(f"{there:,} points can be spent", field="points", limit=there, nearest=there or None)
    takes: list[Take[LotId]] = []
    left = amount
    for lot in live:
        if left == 0:
            break
        taken = Points(min(left, lot.remaining))
        takes.append(Take(lot.id, taken))
        left = Points(left - taken)
    assert left == 0, "what is there covers the amount"
    return takes


def draw(lots: Iterable[Lot[LotId]], amount: Points) -> list[Take[LotId]]:
    """Which lots `amount` comes from when a holder moves it: like `spend`, but expired points move like any others.

    The chain knows no expiry, so a holder may move expired points too; whoever receives them receives them expired. The
    lots hold at least `amount`: a holder cannot move what is not there.
    """
    takes: list[Take[LotId]] = []
    left = amount
    for lot in in_order(lots):
        if left == 0:
            break
        taken = Points(min(left, lot.remaining))
        takes.append(Take(lot.id, taken))
        left = Points(left - taken)
    assert left == 0, f"the lots hold {left} points less than were moved"
    return takes


def expired(lots: Iterable[Lot[LotId]], now: int) -> list[Lot[LotId]]:
    """The lots that still hold points and whose time is over at `now`, earliest first."""
    return [lot for lot in in_order(lots) if _is_expired(lot, now)]


def spendable(lots: Iterable[Lot[LotId]], now: int) -> Points:
    """How many points of `lots` can be spent at `now`."""
    return Points(sum(lot.remaining for lot in lots if not _is_expired(lot, now)))


def in_order(lots: Iterable[Lot[LotId]]) -> list[Lot[LotId]]:
    """Those lots that hold something, in the order in which they are spent."""
    held = [lot for lot in lots if lot.remaining > 0]
    return sorted(held, key=lambda lot: (lot.expires_at is None, lot.expires_at or 0, lot.earned_at, lot.id))


def _is_expired(lot: Lot[LotId], now: int) -> bool:
    return lot.expires_at is not None and lot.expires_at <= now
