"""Pending earns: their points come on a day that was agreed on, such as after a stay, a flight or a return window.

Until then an earn stands in no stream: it is incoming, cannot be spent, and can be changed or cancelled. From its time
on it cannot but be reversed, whether or not somebody has come round to releasing it, so that what a request is answered
does not hang on how busy the service is. Released it is like any other earn, and as old as its time: late, but not
younger. One that meanwhile became more than its program can post at once would hold up all behind it: it waits as it is
until the limit is raised, or until it is made smaller or cancelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import (
    accounts,
    chainstate,
    earns,
    entries,
    events,
    limits,
    lots,
    operations,
    programs,
    repayments,
    requests,
    streams,
)
from bridge.store.ids import request_hash
from bridge.store.repayments import Earned
from bridge.store.schema import UNRELEASED, entry, lot, operation, program_limit
from exchange.errors import EarnNotPending, UnknownOperation
from exchange.operations import OperationKind, OperationState, advance
from exchange.points import points

#: What an event says of an earn whose points have come, and of one that was changed; both stay accepted.
RELEASED = "released"
CHANGED = "changed"
CANCELLED = "cancelled on request before its points came"
#: Pending earns that one answer about a member lists.
LISTED_MAX = 200

_UNRELEASED = sa.text(UNRELEASED)


@dataclass(frozen=True, slots=True)
class Change:
    """What a pending earn is to become; None leaves it as it is."""

    key: str
    operation_id: str
    points: int | None
    release_ms: int | None

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        return request_hash("change", self.operation_id, self.points, self.release_ms)


@dataclass(frozen=True, slots=True)
class Cancellation:
    """That a pending earn is to be cancelled."""

    key: str
    operation_id: str

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        return request_hash("cancel", self.operation_id)


@dataclass(frozen=True, slots=True)
class Coming:
    """Points that a member will have."""

    operation_id: str
    points: int
    release_ms: int


def change(connection: sa.Connection, program_id: str, wanted: Change, now_ms: int) -> bool:
    """Change a pending earn, and release it where its time is not to come any more. Whether it is a repeat.

    Raises IdempotencyKeyReused, UnknownOperation, EarnNotPending, InvalidAmount, OverLimit, ReleaseTooFar.
    """
    if _is_repeat(connection, program_id, wanted):
        return True
    found = _pending(connection, program_id, wanted.operation_id, now_ms)
    earns.require_release(wanted.release_ms, now_ms)
    amount = found.points if wanted.points is None else points(wanted.points)
    earns.require_issuable(connection, program_id, amount, found.points)
    _resize(connection, found, amount)
    release_ms: int = found.release_ms
    if wanted.release_ms is not None:
        release_ms = max(wanted.release_ms, now_ms)
        _put_off(connection, found, release_ms)
    _remember(connection, program_id, wanted, now_ms)
    events.operations_changed(connection, [(program_id, found.id)], CHANGED, now_ms)
    if release_ms <= now_ms:
        _release(connection, [found.id], now_ms)
        _pay_off(connection, [found.id], now_ms)
    return False


def cancel(connection: sa.Connection, program_id: str, wanted: Cancellation, now_ms: int) -> bool:
    """The points of a pending earn will not come. Whether it is a repeat.

    Raises IdempotencyKeyReused, UnknownOperation, EarnNotPending.
    """
    if _is_repeat(connection, program_id, wanted):
        return True
    found = _pending(connection, program_id, wanted.operation_id, now_ms)
    entries.void(connection, found.id)
    state = advance(OperationState(found.state), OperationState.CANCELLED)
    connection.execute(operation.update().where(operation.c.id == found.id).values(state=state.value, reason=CANCELLED))
    _remember(connection, program_id, wanted, now_ms)
    events.operations_changed(connection, [(program_id, found.id)], state, now_ms)
    return False


def due_since(connection: sa.Connection, now_ms: int) -> int | None:
    """Since when the first pending earn is due; None: none is."""
    found: int | None = connection.scalar(_due(now_ms, operation.c.release_ms).limit(1))
    return found


def release_due(connection: sa.Connection, now_ms: int, most: int) -> int:
    """Release up to `most` of the earns that are due, the first due first; how many."""
    due = connection.execute(_due(now_ms, operation.c.id).limit(most)).scalars().all()
    if due:
        _release(connection, due, now_ms)
        _pay_off(connection, due, now_ms)
    return len(due)


def release_in_time(connection: sa.Connection, operation_id: str, now_ms: int) -> bool:
    """Release this earn if it is due and whoever keeps times has not come round to it; whether it was.

    Not while the ledger recovers: the chain may carry it already.
    """
    due = connection.scalar(_due(now_ms, operation.c.id).where(operation.c.id == operation_id))
    if due is None or chainstate.recovery(connection) is not None:
        return False
    _release(connection, [operation_id], now_ms)
    _pay_off(connection, [operation_id], now_ms)
    return True


def posted_elsewhere(connection: sa.Connection, operation_id: str, amount: int, now_ms: int) -> None:
    """The chain carries a pending earn, of `amount` points: a ledger that knew more than this one released it.

    What it paid off of a debt the chain tells of as well.
    """
    found = _row(connection, operation_id)
    assert found is not None and found.stream_id is None
    _resize(connection, found, amount)
    _release(connection, [operation_id], now_ms)


def of_member(connection: sa.Connection, member_id: str) -> list[Coming]:
    """What a member will have, the first to come first; up to LISTED_MAX."""
    rows = connection.execute(
        sa.select(operation.c.id, operation.c.points, operation.c.release_ms)
        .where(_UNRELEASED, operation.c.member_id == member_id)
        .order_by(operation.c.release_ms, operation.c.seq)
        .limit(LISTED_MAX)
    )
    return [Coming(*row) for row in rows]


# -- parts ------------------------------------------------------------------------------------


def _due(now_ms: int, what: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """This of the earns whose time has come, the first due first, but for those that no batch could carry."""
    return (
        sa.select(what)
        .join(program_limit, program_limit.c.program_id == operation.c.program_id)
        .where(_UNRELEASED, operation.c.release_ms <= now_ms)
        .where(program_limit.c.name == limits.ISSUANCE, operation.c.points <= program_limit.c.capacity)
        .order_by(operation.c.release_ms, operation.c.seq)
    )


def _is_repeat(connection: sa.Connection, program_id: str, wanted: Change | Cancellation) -> bool:
    before = operations.known(connection, program_id, [wanted.key]).get(wanted.key)
    if before is not None:
        before.require_same(wanted.fingerprint())
    return before is not None


def _remember(connection: sa.Connection, program_id: str, wanted: Change | Cancellation, now_ms: int) -> None:
    requests.remember(
        connection,
        program_id,
        wanted.key,
        request_hash=wanted.fingerprint(),
        subject=wanted.operation_id,
        now_ms=now_ms,
    )


def _row(connection: sa.Connection, operation_id: str) -> Any:
    return connection.execute(sa.select(operation).where(operation.c.id == operation_id)).one_or_none()


def _pending(connection: sa.Connection, program_id: str, operation_id: str, now_ms: int) -> Any:
    """The earn, if it can still be changed. Raises UnknownOperation and EarnNotPending."""
    found = _row(connection, operation_id)
    if found is None or found.program_id != program_id or found.kind != OperationKind.EARN.value:
        raise UnknownOperation(f"there is no earn {operation_id}", field="earn_id")
    if found.state == OperationState.CANCELLED.value:
        raise EarnNotPending("the earn was cancelled", field="earn_id")
    waits = found.release_ms is not None and found.stream_id is None and found.state == OperationState.ACCEPTED.value
    if not waits or (found.release_ms <= now_ms and not _is_stuck(connection, found)):
        raise EarnNotPending("the points of this earn have come; take them back by a reversal", field="earn_id")
    return found


def _is_stuck(connection: sa.Connection, found: Any) -> bool:
    """Whether an earn cannot be released, since no batch could carry it."""
    return bool(found.points > limits.capacity(connection, found.program_id, limits.ISSUANCE))


def _resize(connection: sa.Connection, found: Any, amount: int) -> None:
    """A pending earn is to bring `amount` points."""
    more = amount - found.points
    if not more:
        return
    row = connection.execute(sa.select(entry).where(entry.c.operation_id == found.id)).one()
    connection.execute(entry.update().where(entry.c.id == row.id).values(amount=amount))
    connection.execute(lot.update().where(lot.c.operation_id == found.id).values(amount=amount, remaining=amount))
    connection.execute(operation.update().where(operation.c.id == found.id).values(points=amount))
    changes = accounts.Changes()
    changes.add(row.account_id, "incoming_pending", more)
    changes.add(row.contra_id, "debits_pending", more)
    changes.apply(connection)


def _put_off(connection: sa.Connection, found: Any, release_ms: int) -> None:
    days = programs.by_id(connection, found.program_id).expiry_days
    connection.execute(lot.update().where(lot.c.operation_id == found.id).values(**earns.ages(release_ms, days)))
    connection.execute(operation.update().where(operation.c.id == found.id).values(release_ms=release_ms))


def _release(connection: sa.Connection, operation_ids: Sequence[str], now_ms: int) -> None:
    """From now on these are like any other credit in the queue."""
    rows = connection.execute(
        sa.select(operation.c.id, operation.c.program_id, entry.c.account_id, entry.c.amount)
        .join(entry, entry.c.operation_id == operation.c.id)
        .where(operation.c.id.in_(operation_ids))
        .order_by(operation.c.release_ms, operation.c.seq)
    ).all()
    assert len(rows) == len(operation_ids), "a pending earn has one entry"
    changes = accounts.Changes()
    for row in rows:
        changes.add(row.account_id, "incoming_pending", -row.amount)
        changes.add(row.account_id, "credits_pending", row.amount)
    changes.apply(connection)
    lots.release(connection, [(row.id, row.account_id) for row in rows])
    for program_id in sorted({row.program_id for row in rows}):
        ids = [row.id for row in rows if row.program_id == program_id]
        stream_id = streams.for_program(connection, program_id).id
        connection.execute(operation.update().where(operation.c.id.in_(ids)).values(stream_id=stream_id))
    events.operations_changed(connection, [(row.program_id, row.id) for row in rows], RELEASED, now_ms)


def _pay_off(connection: sa.Connection, operation_ids: Sequence[str], now_ms: int) -> None:
    """Like any other earn, one that was released pays off what its member owes."""
    rows = connection.execute(
        sa.select(operation, entry.c.account_id)
        .join(entry, entry.c.operation_id == operation.c.id)
        .where(operation.c.id.in_(operation_ids))
        .order_by(operation.c.release_ms, operation.c.seq)
    ).all()
    for program_id in sorted({row.program_id for row in rows}):
        earned = [
            Earned(row.id, row.tag, row.member_id, row.account_id, row.points)
            for row in rows
            if row.program_id == program_id
        ]
        repayments.pay_off_earned(connection, program_id, earned, now_ms)
