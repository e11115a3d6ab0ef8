"""Operations: every accepted request that changes points, found again by id or by idempotency key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from bridge.store import pages, requests
from bridge.store.database import IN_LIST_MAX
from bridge.store.requests import Known
from bridge.store.schema import (
    WAITING,
    WAITING_EXPIRY,
    adjustment,
    batch,
    debt_change,
    holder_event,
    operation,
    quote_hop,
    swap,
)
from exchange.errors import UnknownOperation
from exchange.operations import OperationKind, OperationState

NOTHING_EARNED = "nothing-earned"
NOTHING_POSTED = "nothing-posted"
#: Why an operation is done as soon as it is remembered: the chain has nothing to do with it.
AT_ONCE = (NOTHING_EARNED, NOTHING_POSTED)


@dataclass(frozen=True, slots=True)
class SwapHop:
    """What a swap does in one direction, before bonuses."""

    from_program_id: str
    to_program_id: str
    terms_id: str
    amount_in: int
    amount_out: int
    settlement_micro: int


@dataclass(frozen=True, slots=True)
class SwapExtra:
    """A bonus or a fee of a swap: an operation of its own, in the program whose points they are."""

    operation_id: str
    kind: str
    program_id: str
    points: int
    state: str


@dataclass(frozen=True, slots=True)
class SwapSide:
    """What a swap adds to its operation; a holder's own swap has no quote, names no terms and tells no hops.

    `terms_id` is that of the first hop. `points_out` is what the swap itself brings: bonuses are operations of their
    own, and stand with the fee among the extras.
    """

    to_program_id: str
    to_member_id: str | None
    points_out: int
    quote_id: str | None
    terms_id: str | None
    settlement_micro: int | None
    hops: tuple[SwapHop, ...] = ()
    extras: tuple[SwapExtra, ...] = ()

    @property
    def path(self) -> list[str]:
        """The programs along the way, from the source on; empty for a holder's own swap."""
        return [*(hop.from_program_id for hop in self.hops[:1]), *(hop.to_program_id for hop in self.hops)]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Why an adjustment was made, and who stands for it; `points` are below zero where they were taken."""

    adjustment_id: str
    points: int
    reason: str
    proposed_by: str
    approved_by: str


_SIDE = tuple(name for name in SwapSide.__slots__ if name not in ("hops", "extras"))


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation with the steps of the batch that carries it.

    One that a holder made on the chain has neither key nor tag nor batch, and no member where the wallet has none here.
    `after_id` is the swap that a bonus or a fee comes after, the credit that a repayment is made of, or
    the earn that an expiry is of by which a debt may fall. One that is
    `restored` was known from the chain alone, and has a key only since its request was repeated.
    """

    id: str
    kind: str
    program_id: str
    member_id: str | None
    points: int
    state: str
    reason: str | None
    idempotency_key: str | None
    tag: bytes | None
    occurred_ms: int | None
    created_ms: int
    batch_id: str | None = None
    after_id: str | None = None
    restored: bool = False
    #: the limit under which its batch waits for room: name, needed, available
    throttled: dict[str, Any] | None = None
    submitted_ms: int | None = None
    confirmed_ms: int | None = None
    final_ms: int | None = None
    transaction_hash: bytes | None = None
    block_number: int | None = None
    #: when an earn's points come, where that was put off
    release_ms: int | None = None
    #: whether they are still to come
    pending: bool = False
    #: the hold that a redemption captured from
    hold_id: str | None = None
    #: what a reversal takes back
    reverses_id: str | None = None
    #: and of which kind that was
    reversed_kind: str | None = None
    #: points of a reversal that had expired
    expired_points: int | None = None
    #: by how much it changed what its member owes
    debt_change: int = 0
    swap: SwapSide | None = None
    #: None also where nobody has asked here for an adjustment that the chain told of
    adjustment: Adjusted | None = None


# Written once: building a statement anew costs more than running it.
_KNOWN = sa.select(
    operation.c.idempotency_key,
    operation.c.id,
    operation.c.points,
    operation.c.state,
    operation.c.reason,
    operation.c.request_hash,
).where(
    operation.c.program_id == sa.bindparam("program"),
    operation.c.idempotency_key.in_(sa.bindparam("keys", expanding=True)),
)


def known(connection: sa.Connection, program_id: str, keys: Sequence[str]) -> dict[str, Known]:
    """Those of these idempotency keys that the program has used, for operations or for other requests."""
    found = requests.known(connection, program_id, keys)
    for start in range(0, len(keys), IN_LIST_MAX):
        for row in connection.execute(_KNOWN, {"program": program_id, "keys": keys[start : start + IN_LIST_MAX]}):
            found[row.idempotency_key] = Known(row.id, row.points, row.state, row.reason, row.request_hash)
    return found


_reversed = operation.alias("reversed")


def _select() -> sa.Select[Any]:
    return (
        sa.select(
            operation,
            batch.c.throttled,
            batch.c.submitted_ms,
            # What a holder did travelled in no batch: the chain's own word of it says when and where.
            sa.func.coalesce(batch.c.confirmed_ms, holder_event.c.seen_ms).label("confirmed_ms"),
            sa.func.coalesce(batch.c.final_ms, holder_event.c.booked_ms).label("final_ms"),
            sa.func.coalesce(batch.c.transaction_hash, holder_event.c.transaction_hash).label("transaction_hash"),
            sa.func.coalesce(batch.c.block_number, holder_event.c.block_number).label("block_number"),
            swap.c.to_program_id,
            swap.c.to_member_id,
            swap.c.points_out,
            swap.c.quote_id,
            quote_hop.c.terms_id,
            swap.c.settlement_micro,
            sa.func.coalesce(debt_change.c.points, 0).label("debt_change"),
            _reversed.c.kind.label("reversed_kind"),
        )
        .outerjoin(batch, batch.c.id == operation.c.batch_id)
        .outerjoin(swap, swap.c.operation_id == operation.c.id)
        .outerjoin(quote_hop, sa.and_(quote_hop.c.quote_id == swap.c.quote_id, quote_hop.c.place == 0))
        .outerjoin(holder_event, holder_event.c.operation_id == operation.c.id)
        .outerjoin(debt_change, debt_change.c.operation_id == operation.c.id)
        .outerjoin(_reversed, _reversed.c.id == operation.c.reverses_id)
    )


def _operation(row: Any) -> Operation:
    fields = dict(row._mapping)
    side = {name: fields.pop(name) for name in _SIDE}
    for unused in ("seq", "request_hash"):
        del fields[unused]
    streamless = fields.pop("stream_id") is None
    fields["pending"] = streamless and row.release_ms is not None and row.state == OperationState.ACCEPTED.value
    return Operation(swap=SwapSide(**side) if side["to_program_id"] is not None else None, **fields)


def by_id(connection: sa.Connection, operation_id: str, program_id: str | None = None) -> Operation:
    """The operation with this id; where a program is named, one that concerns it. Raises UnknownOperation."""
    row = connection.execute(_select().where(operation.c.id == operation_id)).one_or_none()
    if row is None or (program_id is not None and program_id not in (row.program_id, row.to_program_id)):
        raise UnknownOperation(f"there is no operation {operation_id}", field="operation_id")
    return _with_details(connection, [_operation(row)])[0]


def _with_details(connection: sa.Connection, found: Sequence[Operation]) -> list[Operation]:
    """The same operations, the swaps among them with their hops and extras, the adjustments with their reasons."""
    found = _with_reasons(connection, found)
    ids = [one.id for one in found if one.swap is not None]
    if not ids:
        return list(found)
    hops: dict[str, list[SwapHop]] = {}
    columns = (quote_hop.c[name] for name in SwapHop.__slots__)
    asked = sa.select(swap.c.operation_id, *columns).join(quote_hop, quote_hop.c.quote_id == swap.c.quote_id)
    for row in connection.execute(asked.where(swap.c.operation_id.in_(ids)).order_by(quote_hop.c.place)):
        hops.setdefault(row.operation_id, []).append(SwapHop(*row[1:]))
    extras: dict[str, list[SwapExtra]] = {}
    own = operation.c
    coming = sa.select(own.after_id, own.id, own.kind, own.program_id, own.points, own.state)
    for row in connection.execute(coming.where(own.after_id.in_(ids)).order_by(own.seq)):
        extras.setdefault(row.after_id, []).append(SwapExtra(*row[1:]))
    return [
        one
        if one.swap is None
        else replace(
            one,
            swap=replace(one.swap, hops=tuple(hops.get(one.id, ())), extras=tuple(extras.get(one.id, ()))),
        )
        for one in found
    ]


def _with_reasons(connection: sa.Connection, found: Sequence[Operation]) -> Sequence[Operation]:
    ids = [one.id for one in found if one.kind == OperationKind.ADJUSTMENT.value]
    if not ids:
        return found
    own = adjustment.c
    asked = sa.select(own.operation_id, own.id, own.points, own.reason, own.proposed_by, own.decided_by)
    rows = connection.execute(asked.where(own.operation_id.in_(ids)))
    told = {row.operation_id: Adjusted(*row[1:]) for row in rows}
    return [replace(one, adjustment=told.get(one.id)) for one in found]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which operations a list shows; None stands for any. A swap concerns both its members."""

    program_id: str | None = None
    member_id: str | None = None
    kind: str | None = None
    state: str | None = None


def page(connection: sa.Connection, wanted: Filter, ask: pages.Ask) -> pages.Page[Operation]:
    """Operations, newest first."""
    query = _select()
    if wanted.member_id is not None:
        query = query.where(sa.or_(operation.c.member_id == wanted.member_id, swap.c.to_member_id == wanted.member_id))
    if wanted.program_id is not None:
        query = query.where(
            sa.or_(operation.c.program_id == wanted.program_id, swap.c.to_program_id == wanted.program_id)
        )
    if wanted.kind is not None:
        query = query.where(operation.c.kind == wanted.kind)
    if wanted.state is not None:
        query = query.where(operation.c.state == wanted.state)
    page = pages.read(connection, query, operation.c.seq, ask, _operation, newest_first=True)
    return replace(page, items=_with_details(connection, page.items))


def set_state(connection: sa.Connection, batch_id: str, state: OperationState) -> None:
    """Every operation of a batch that has not failed reaches `state`."""
    connection.execute(
        operation.update()
        .where(operation.c.batch_id == batch_id, operation.c.state.not_in(("failed", "cancelled")))
        .values(state=state.value)
    )


def fail(connection: sa.Connection, operation_ids: Iterable[str], reason: str) -> None:
    """These operations will never take effect."""
    connection.execute(
        operation.update()
        .where(operation.c.id.in_(list(operation_ids)))
        .values(state=OperationState.FAILED.value, reason=reason)
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much is accepted and not yet frozen into a batch."""

    count: int
    oldest_ms: int | None


#: Since when an operation can be posted: an earn that was put off, since its points were due.
WAITS_SINCE_MS = sa.case(
    (operation.c.release_ms > operation.c.created_ms, operation.c.release_ms), else_=operation.c.created_ms
)


def waiting(connection: sa.Connection) -> Waiting:
    """What waits for a batch, over all streams."""
    found = [
        connection.execute(
            sa.select(sa.func.count(), sa.func.min(WAITS_SINCE_MS)).where(
                operation.c.stream_id.is_not(None), sa.text(where)
            )
        ).one()
        for where in (WAITING, WAITING_EXPIRY)
    ]
    since = [oldest_ms for _, oldest_ms in found if oldest_ms is not None]
    return Waiting(sum(count for count, _ in found), min(since, default=None))


def count(connection: sa.Connection) -> int:
    """How many operations the ledger holds; what was numbered is never removed."""
    return connection.scalar(sa.select(sa.func.coalesce(sa.func.max(operation.c.seq), 0))) or 0
