"""Captures: redemptions of points that a hold has.

A capture goes to the chain like any redemption. Its tag says from which hold it is, so that a ledger that was restored
from an older copy, which may have the hold still whole, knows what of it the chain has burned already.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, adoption, held_lots, holds, limits, operations, redemptions
from bridge.store.adoption import Asked
from bridge.store.holds import Hold
from bridge.store.ids import request_hash
from bridge.store.redemptions import Entered
from bridge.store.requests import Known
from bridge.store.schema import operation
from exchange.errors import InsufficientPoints
from exchange.lots import Lot, Take, draw
from exchange.operations import OperationKind
from exchange.points import Points, points
from exchange.words import capture_tag, is_captured_from


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """A capture as it was asked for; `points` None: all that is left. After a `final` one the rest is free."""

    key: str
    hold_id: str
    points: int | None = None
    final: bool = False

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        return request_hash("capture", self.hold_id, self.points, self.final)


def accept(connection: sa.Connection, program_id: str, request: CaptureRequest, now_ms: int) -> tuple[str, bool]:
    """Queue the burning of held points, those that expire first before others.

    Answers the operation's id and whether it was accepted before. Raises IdempotencyKeyReused, UnknownHold, HoldClosed,
    InvalidAmount, InsufficientPoints, OverLimit.
    """
    before = operations.known(connection, program_id, [request.key]).get(request.key)
    if before is not None:
        before.require_same(request.fingerprint())
        return before.id, True
    restored = _restored(connection, program_id, request)
    if restored is not None:
        if request.final:
            _end(connection, program_id, request.hold_id, restored.id, now_ms)
        return restored.id, True
    found = holds.by_id(connection, request.hold_id, program_id).at(now_ms)
    found.require_open()
    taken = _taken(connection, found, request)
    amounts = redemptions.amounts_of(taken)
    amount = sum(amounts.values())
    limits.require(limits.capacity(connection, program_id, limits.REDEMPTION), amount, limits.REDEMPTION)
    holds.move_held(connection, amounts, -1)
    tag = capture_tag(program_id, found.id, request.key)
    entered = Entered(program_id, found.member_id, request.key, request.fingerprint(), tag, amounts, found.id)
    operation_id = redemptions.enter(connection, entered, now_ms)
    held_lots.capture(connection, found.id, operation_id, [one for takes in taken.values() for one in takes])
    holds.captured(connection, found, operation_id, amount, now_ms, last=request.final)
    return operation_id, False


def restore(
    connection: sa.Connection, operation_id: str, tag: bytes, owners: list[str], amounts: dict[int, int], now_ms: int
) -> bool:
    """A redemption that only the chain tells of, of so much of each account: captured from an open hold, if it was.

    Its points are the operation's then, in lots and counters up to the debit itself, and so is the hold's history.
    """
    program_id: str = connection.scalars(sa.select(operation.c.program_id).where(operation.c.id == operation_id)).one()
    for found in holds.open_of(connection, owners):
        held = held_lots.of_hold(connection, found.id)
        if not is_captured_from(tag, program_id, found.id) or any(
            sum(one.remaining for one in held.get(account_id, ())) < amount for account_id, amount in amounts.items()
        ):
            continue
        takes = [one for each, amount in amounts.items() for one in draw(held[each], Points(amount))]
        holds.move_held(connection, amounts, -1)
        held_lots.capture(connection, found.id, operation_id, takes)
        connection.execute(operation.update().where(operation.c.id == operation_id).values(hold_id=found.id))
        holds.captured(connection, found, operation_id, sum(amounts.values()), now_ms, last=False)
        return True
    return False


def _restored(connection: sa.Connection, program_id: str, request: CaptureRequest) -> Known | None:
    """What the chain knows of this capture, which was made by a ledger that knew more; the hold itself may be lost."""
    found = holds.find(connection, program_id, request.hold_id)
    asked = Asked(
        request.key,
        OperationKind.REDEMPTION,
        request.fingerprint(),
        request.points,
        None if found is None else found.member_id,
    )
    tags = {capture_tag(program_id, request.hold_id, request.key): request.key}
    rows = adoption.tagged(connection, program_id, tags).get(request.key, ())
    return adoption.adopt(connection, program_id, asked, rows)


def _end(connection: sa.Connection, program_id: str, hold_id: str, operation_id: str, now_ms: int) -> None:
    """The chain told of a capture, and its repeat that it was the last: what the hold still has here is free."""
    found = holds.find(connection, program_id, hold_id)
    if found is not None and found.at(now_ms).state == holds.OPEN:
        holds.captured(connection, found, operation_id, 0, now_ms, last=True)


def _taken(connection: sa.Connection, found: Hold, request: CaptureRequest) -> dict[int, list[Take[int]]]:
    """What is captured, by account; none of it of accounts that are frozen, where the chain may lack it."""
    held = held_lots.of_hold(connection, found.id)
    frozen = {one.id for one in accounts.of_member(connection, found.member_id) if one.frozen}
    usable = {each: there for each, there in held.items() if each not in frozen}
    there = sum(one.remaining for lots in usable.values() for one in lots)
    amount = points(found.left if request.points is None else request.points)
    if amount > there:
        raise _short(found, amount, there)
    owner = {one.id: account_id for account_id, lots in usable.items() for one in lots}
    every: list[Lot[int]] = [one for lots in usable.values() for one in lots]
    taken: dict[int, list[Take[int]]] = {}
    for one in draw(every, amount):
        taken.setdefault(owner[one.lot_id], []).append(one)
    return taken


def _short(found: Hold, amount: int, there: int) -> InsufficientPoints:
    frozen = found.left - there
    barred = f", {frozen:,} of them in an account that is frozen, since ledger and chain disagree" if frozen else ""
    return InsufficientPoints(
        f"{amount:,} points were to be captured, {found.left:,} are left of the hold{barred}",
        field="points",
        limit=there,
        nearest=there or None,
    )
