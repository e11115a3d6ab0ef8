"""Outcomes: what the chain made of a batch, and what follows for its operations."""

import logging
from collections.abc import Collection

import sqlalchemy as sa

from bridge.store import (
    accounts,
    attempts,
    batches,
    blocks,
    debts,
    entries,
    events,
    extras,
    operations,
    restored,
    streams,
    usage,
)
from bridge.store.batches import Batch, Mined, Throttle
from bridge.store.schema import batch, entry, operation, quote_hop, swap
from exchange.operations import OperationKind, OperationState

SHORT_ON_CHAIN = "the chain holds fewer points in this account than the ledger: the debit was skipped"
SWAP_FAILED = "the swap that it comes after failed"
SWAP_FAILED_PARTLY = "the chain carried only a part of the swap that it comes after"
NOT_RELEASED = "the chain did not release the points: the wallet was not bound, or not yet, when the batch was posted"

_log = logging.getLogger(__name__)

#: What an event says of operations whose batch waits for room under a limit; they stay accepted.
THROTTLED = "throttled"


def submitted(connection: sa.Connection, batch_id: str, now_ms: int) -> None:
    """The batch's signed bytes were sent for the first time."""
    done = connection.execute(
        batch.update()
        .where(batch.c.id == batch_id, batch.c.state == batches.FROZEN)
        .values(state=batches.SUBMITTED, submitted_ms=now_ms)
    )
    if done.rowcount:
        operations.set_state(connection, batch_id, OperationState.SUBMITTED)
        _tell(connection, batch_id, OperationState.SUBMITTED, now_ms)


def throttle(connection: sa.Connection, found: Batch, why: Throttle | None, now_ms: int) -> None:
    """The batch waits unsigned for room under a limit, or (None) no longer does. That it waits is told once."""
    if why is None and found.throttled is None:
        return
    batches.throttle(connection, found.id, why)
    if found.throttled is None:
        _tell(connection, found.id, THROTTLED, now_ms)


def confirm(connection: sa.Connection, batch_id: str, mined: Mined, skipped: Collection[int], now_ms: int) -> None:
    """The batch is in a canonical block, which skipped the debits at the `skipped` places.

    Nothing moves in the books yet: they hold what is final, so that a reorganisation has nothing to undo in them.
    """
    found = batches.by_id(connection, batch_id)
    assert found.state in batches.UNMINED, f"batch {batch_id} is {found.state} already"
    if found.submitted_ms is None:  # seen on the chain before our own send was answered
        submitted(connection, batch_id, now_ms)
    connection.execute(
        batch.update()
        .where(batch.c.id == batch_id)
        .values(
            state=batches.CONFIRMED,
            confirmed_ms=now_ms,
            transaction_hash=mined.transaction_hash,
            block_number=mined.block_number,
            place=mined.place,
            gas_used=mined.gas_used,
            skipped=batches.packed_places(skipped),
        )
    )
    if found.stream_id is None:
        return
    operations.set_state(connection, batch_id, OperationState.CONFIRMED)
    _tell(connection, batch_id, OperationState.CONFIRMED, now_ms)


def unconfirm(connection: sa.Connection, batch_id: str, now_ms: int) -> None:
    """The block that held the batch is no longer canonical: the batch is to be sent again.

    A foreign one is forgotten: nothing but the block told of it, and nothing of it was in the books.
    """
    found = batches.by_id(connection, batch_id)
    if found.origin == batches.FOREIGN:
        assert found.state == batches.CONFIRMED and found.stream_id is not None
        batches.remove_foreign(connection, batch_id)
        streams.set_last_sequence(connection, found.stream_id, batches.last_used(connection, found.stream_id))
        return
    assert found.state in (batches.CONFIRMED, batches.FAILED), (
        f"batch {batch_id} is {found.state}: below finality nothing is undone"
    )
    if found.stream_id is not None:
        operations.set_state(connection, batch_id, OperationState.SUBMITTED)
        _tell(connection, batch_id, OperationState.SUBMITTED, now_ms)
    connection.execute(
        batch.update()
        .where(batch.c.id == batch_id)
        .values(
            state=batches.SUBMITTED,
            reason=None,
            confirmed_ms=None,
            transaction_hash=None,
            block_number=None,
            place=0,
            gas_used=None,
            skipped=b"",
        )
    )


def finalise(connection: sa.Connection, final_number: int, now_ms: int) -> list[int]:
    """Every confirmed batch up to this block is final: its entries are posted, but for those that the chain skipped.

    They are taken in the order of the chain, since of a foreign one only the books tell whether it can be followed.
    Answers the accounts that were frozen, because the chain was short of what the ledger had.
    """
    rows = connection.execute(
        sa.select(batch.c.id)
        .where(batch.c.state == batches.CONFIRMED, batch.c.block_number <= final_number)
        .order_by(batch.c.block_number, batch.c.place, batch.c.id)
    )
    frozen: list[int] = []
    for batch_id in rows.scalars().all():
        connection.execute(batch.update().where(batch.c.id == batch_id).values(state=batches.FINAL, final_ms=now_ms))
        found = batches.by_id(connection, batch_id)
        if found.origin != batches.OURS:
            _take_in(connection, found, now_ms)
            found = batches.by_id(connection, batch_id)
        if found.stream_id is not None:
            entries.post(connection, found)
            frozen += _settle_skipped(connection, batch_id, now_ms)
            operations.set_state(connection, batch_id, OperationState.FINAL)
            if found.kind == streams.PATH:
                extras.release(connection, batch_id)
            _tell(connection, batch_id, OperationState.FINAL, now_ms)
    return frozen


def _take_in(connection: sa.Connection, found: Batch, now_ms: int) -> None:
    """Read what a batch did that is not simply ours, once nothing of ours can be in its way any more."""
    assert found.stream_id is not None and found.sequence is not None and found.block_number is not None
    ours = batches.at_sequence(connection, found.stream_id, found.sequence)
    if ours is not None:  # its number is used up at a final block
        _free(connection, ours, now_ms)
    block = blocks.at(connection, found.block_number)
    assert block is not None, "a final batch stands in a block that was taken in"
    for torn_id in sorted(restored.take_in(connection, found, block.timestamp * 1000, now_ms).torn):
        torn = batches.by_id(connection, torn_id)
        assert torn.stream_id == found.stream_id and torn.sequence is not None
        batches.tear(connection, torn_id)
        if torn.state in batches.UNMINED and not attempts.signed_since(connection, torn.stream_id, torn.sequence):
            dissolve(connection, torn.stream_id, now_ms, torn.sequence)


def dissolve(connection: sa.Connection, stream_id: int, now_ms: int, since: int = 0) -> int:
    """The chain can take none of the stream's unposted batches: their operations wait again, in their old order.

    `since` is the sequence of the first of them; those before it stay. Answers how many batches were dissolved.
    """
    gone = [
        one for one in batches.unposted(connection, stream_id) if one.sequence is not None and one.sequence >= since
    ]
    assert gone
    for one in gone:
        _free(connection, one, now_ms)
    streams.set_last_sequence(connection, stream_id, batches.last_used(connection, stream_id))
    return len(gone)


def _free(connection: sa.Connection, one: Batch, now_ms: int) -> None:
    moved = connection.execute(
        operation.update()
        .where(operation.c.batch_id == one.id)
        .values(batch_id=None, state=OperationState.ACCEPTED.value)
        .returning(operation.c.id)
    )
    ids = list(moved.scalars())
    connection.execute(batch.update().where(batch.c.id == one.id).values(state=batches.DISSOLVED, throttled=None))
    events.operations_changed(connection, _concerned(connection, ids), OperationState.ACCEPTED, now_ms)


def fail_swaps(connection: sa.Connection, stream_id: int, dead_terms: Collection[str], reason: str, now_ms: int) -> int:
    """Waiting swaps of which any hop's terms are no longer in force fail, and their holds are given back.

    Answers how many.
    """
    rows = connection.execute(
        sa.select(operation.c.id, operation.c.seq)
        .distinct()
        .join(swap, swap.c.operation_id == operation.c.id)
        .join(quote_hop, quote_hop.c.quote_id == swap.c.quote_id)
        .where(
            operation.c.stream_id == stream_id,
            operation.c.batch_id.is_(None),
            operation.c.state == OperationState.ACCEPTED.value,
            quote_hop.c.terms_id.in_(list(dead_terms)),
        )
        .order_by(operation.c.seq)
    )
    failed = list(rows.scalars())
    for operation_id in failed:
        fail_swap(connection, operation_id, reason, now_ms)
    return len(failed)


def fail_swap(connection: sa.Connection, operation_id: str, reason: str, now_ms: int) -> None:
    """A waiting swap fails, and its hold is given back."""
    entries.void(connection, operation_id)
    _fail_swap(connection, operation_id, reason, now_ms)


def _settle_skipped(connection: sa.Connection, batch_id: str, now_ms: int) -> list[int]:
    """What the chain skipped, once that is final: the operation failed and the account is frozen.

    A swap and a fee give their hold back. So does a reversal, of which only what became a debt stands; and what a
    repayment or an expiry let fall of one is owed again. A redemption does not, since its reward may have been handed
    over. A release gives its hold back and freezes nothing: it is skipped where the wallet was unbound on the chain
    meanwhile.
    """
    short = connection.execute(
        sa.select(entry.c.operation_id, entry.c.account_id, operation.c.kind)
        .join(operation, operation.c.id == entry.c.operation_id)
        .where(operation.c.batch_id == batch_id, entry.c.state == "pending", entry.c.credit.is_(False))
        .order_by(entry.c.id)
    ).all()
    disagreeing = [row.account_id for row in short if row.kind != OperationKind.RELEASE.value]
    for account_id in disagreeing:
        accounts.freeze(connection, account_id)
    for operation_id, kind in {row.operation_id: row.kind for row in short}.items():
        if kind != OperationKind.REDEMPTION.value:
            entries.void(connection, operation_id)
        if kind in (OperationKind.REPAYMENT.value, OperationKind.EXPIRY.value):
            debts.undo(connection, operation_id)
        if kind == OperationKind.SWAP.value:
            _fail_swap(connection, operation_id, SHORT_ON_CHAIN, now_ms)
        else:
            reason = NOT_RELEASED if kind == OperationKind.RELEASE.value else SHORT_ON_CHAIN
            _fail(connection, operation_id, reason, now_ms)
    return disagreeing


def _fail_swap(connection: sa.Connection, operation_id: str, reason: str, now_ms: int) -> None:
    """A swap failed, and with it what was to come after it; what it used of caps is given back.

    Where the chain carried some of its legs these stand, and keep what they used.
    """
    moved = usage.give_back(connection, operation_id)
    if moved:
        _log.error("swap %s failed, but %d points of it were swapped: its other legs were skipped", operation_id, moved)
        reason = f"{reason}; {moved:,} points of the swap were carried"
    _fail(connection, operation_id, reason, now_ms)
    for extra_id in extras.of_swap(connection, operation_id):
        entries.void(connection, extra_id)
        _fail(connection, extra_id, SWAP_FAILED_PARTLY if moved else SWAP_FAILED, now_ms)


def _fail(connection: sa.Connection, operation_id: str, reason: str, now_ms: int) -> None:
    operations.fail(connection, [operation_id], reason)
    events.operations_changed(connection, _concerned(connection, [operation_id]), OperationState.FAILED, now_ms)


def _concerned(connection: sa.Connection, operation_ids: Collection[str]) -> list[tuple[str, str]]:
    """Each operation with each program that is to hear of it: a swap concerns both its programs."""
    rows = connection.execute(
        sa.select(operation.c.id, operation.c.program_id, swap.c.to_program_id)
        .outerjoin(swap, swap.c.operation_id == operation.c.id)
        .where(operation.c.id.in_(operation_ids))
        .order_by(operation.c.seq)
    )
    return [(one, row.id) for row in rows for one in (row.program_id, row.to_program_id) if one is not None]


def _tell(connection: sa.Connection, batch_id: str, state: str, now_ms: int) -> None:
    found = batches.by_id(connection, batch_id)
    if found.stream_id is None:
        return
    programs = streams.by_id(connection, found.stream_id).programs
    events.batch_changed(connection, batch_id, {programs[0], programs[-1]}, state, now_ms)
