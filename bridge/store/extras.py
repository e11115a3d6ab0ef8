"""Extras: the bonuses and fees of a swap, operations of their own that come after it.

They are accepted together with the swap, in one transaction. They enter the streams of their programs when the swap is
final, and fail when it fails; once the swap is final they may wait for room in a limit, and never fail. Until then a
bonus is incoming, and a fee's points are held.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, entries, events, lots, spending, streams
from bridge.store.entries import Leg
from bridge.store.ids import new_id
from bridge.store.quotes import Quote
from bridge.store.schema import entry, lot, operation
from exchange.operations import OperationKind, OperationState
from exchange.points import Points
from exchange.words import EntryKind, entry_tag


@dataclass(frozen=True, slots=True)
class Portion:
    """So many of the points that arrive, and when they expire (None: never)."""

    amount: int
    expires_ms: int | None


def accept(
    connection: sa.Connection, offer: Quote, swap_id: str, portions: Sequence[Portion], *, onward: bool, now_ms: int
) -> None:
    """Accept the bonus and the fee that were quoted with a swap, whose own points are held already.

    `portions` are the bonus by its expiry; `onward` says whether it may be swapped again. Raises InsufficientPoints and
    CannotSplit for the fee.
    """
    if offer.bonus:
        _accept_bonus(connection, offer, swap_id, portions, onward=onward, now_ms=now_ms)
    if offer.fee_points:
        _accept_fee(connection, offer, swap_id, now_ms)


def of_swap(connection: sa.Connection, swap_id: str) -> list[str]:
    """The operations that come after a swap."""
    rows = connection.execute(
        sa.select(operation.c.id).where(operation.c.after_id == swap_id).order_by(operation.c.seq)
    )
    return list(rows.scalars())


def release(connection: sa.Connection, batch_id: str) -> None:
    """The swaps of this batch that did not fail are final: what comes after them enters its program's stream.

    A bonus is from now on like any other credit in the queue.
    """
    swaps = sa.select(operation.c.id).where(
        operation.c.batch_id == batch_id,
        operation.c.kind == OperationKind.SWAP.value,
        operation.c.state == OperationState.FINAL.value,
    )
    rows = connection.execute(
        sa.select(operation.c.id, operation.c.program_id, entry.c.account_id, entry.c.amount, entry.c.credit)
        .join(entry, entry.c.operation_id == operation.c.id)
        .where(operation.c.after_id.in_(swaps))
        .order_by(entry.c.id)
    ).all()
    changes = accounts.Changes()
    for row in rows:
        if row.credit:
            changes.add(row.account_id, "incoming_pending", -row.amount)
            changes.add(row.account_id, "credits_pending", row.amount)
    changes.apply(connection)
    lots.release(connection, [(row.id, row.account_id) for row in rows if row.credit])
    for program_id in sorted({row.program_id for row in rows}):
        ids = {row.id for row in rows if row.program_id == program_id}
        stream_id = streams.for_program(connection, program_id).id
        connection.execute(operation.update().where(operation.c.id.in_(ids)).values(stream_id=stream_id))


def _accept_bonus(
    connection: sa.Connection, offer: Quote, swap_id: str, portions: Sequence[Portion], *, onward: bool, now_ms: int
) -> None:
    assert sum(one.amount for one in portions) == offer.bonus, "the bonus is divided, not changed"
    operation_id = _operation(connection, OperationKind.BONUS, swap_id, offer, now_ms)
    into = accounts.of_member(connection, offer.to_member_id)[0].id
    legs = [Leg(operation_id, into, offer.bonus)]
    entries.enter(connection, offer.to_program_id, EntryKind.BONUS, legs, coming=True)
    connection.execute(
        lot.insert(),
        [
            {
                "account_id": into,
                "operation_id": operation_id,
                "amount": one.amount,
                "remaining": one.amount,
                "pending": True,
                "received": True,
                "onward": onward,
                "earned_ms": now_ms,
                "expires_ms": one.expires_ms,
            }
            for one in portions
        ],
    )


def _accept_fee(connection: sa.Connection, offer: Quote, swap_id: str, now_ms: int) -> None:
    taken = spending.purse(connection, offer.member_id, now_ms).take(Points(offer.fee_points))
    operation_id = _operation(connection, OperationKind.FEE, swap_id, offer, now_ms)
    legs = [Leg(operation_id, account_id, sum(one.amount for one in takes)) for account_id, takes in taken.items()]
    entries.enter(connection, offer.program_id, EntryKind.FEE, legs)
    spending.hold(connection, operation_id, list(taken.items()))


def _operation(connection: sa.Connection, kind: OperationKind, swap_id: str, offer: Quote, now_ms: int) -> str:
    is_bonus = kind is OperationKind.BONUS
    program_id = offer.to_program_id if is_bonus else offer.program_id
    operation_id = new_id("operation")
    connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=kind.value,
            program_id=program_id,
            member_id=offer.to_member_id if is_bonus else offer.member_id,
            points=offer.bonus if is_bonus else offer.fee_points,
            state=OperationState.ACCEPTED.value,
            # It has no key of its own: one derived from the swap's could be the key of another request.
            tag=entry_tag(program_id, f"{swap_id}:{kind.value}"),
            after_id=swap_id,
            created_ms=now_ms,
        )
    )
    events.operations_changed(connection, [(program_id, operation_id)], OperationState.ACCEPTED, now_ms)
    return operation_id
