"""Freezing: which operations wait for a batch, and the batch they become."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import batches, streams
from bridge.store.batches import Batch
from bridge.store.ids import new_id
from bridge.store.schema import account, batch, entry, operation, stream, swap, terms
from bridge.store.streams import Stream
from exchange.operations import OperationState
from exchange.words import EntryKind


@dataclass(frozen=True, slots=True)
class Item:
    """An entry that waits to be posted: everything its word on the chain will say."""

    entry_id: int
    operation_id: str
    reference: bytes
    kind: EntryKind
    amount: int
    tag: bytes
    terms_version: int | None


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a new batch is to be: a stream's items under the next sequence, as the call that posts them."""

    purpose: str
    sequence: int
    valid_until: int
    digest: bytes
    target: bytes
    calldata: bytes
    gas_limit: int


def waiting_streams(connection: sa.Connection) -> list[tuple[Stream, int, int]]:
    """Streams with operations that wait for a batch: how many, and since when the oldest (milliseconds)."""
    rows = connection.execute(
        sa.select(stream, sa.func.count(), sa.func.min(operation.c.created_ms))
        .join(operation, operation.c.stream_id == stream.c.id)
        .where(sa.text("operation.state = 'accepted' AND operation.batch_id IS NULL"))
        .group_by(stream.c.id)
        .order_by(stream.c.id)
    )
    return [(Stream(*row[:-2]), row[-2], row[-1]) for row in rows]


def waiting_items(connection: sa.Connection, stream_id: int, entries_max: int) -> list[Item]:
    """The oldest waiting entries of a stream, whole operations, at most `entries_max`, credits before debits.

    Swap legs of one batch share the version of their terms, since the contract takes one version for each hop.
    """
    oldest = (
        sa.select(operation.c.id, operation.c.seq, operation.c.tag)
        .where(
            operation.c.stream_id == stream_id,
            sa.text("operation.state = 'accepted' AND operation.batch_id IS NULL"),
        )
        .order_by(operation.c.seq)
        .limit(entries_max)
        .subquery()
    )
    rows = connection.execute(
        sa.select(
            entry.c.id,
            entry.c.operation_id,
            entry.c.kind,
            entry.c.amount,
            account.c.reference,
            oldest.c.tag,
            terms.c.version,
        )
        .join(oldest, oldest.c.id == entry.c.operation_id)
        .join(account, account.c.id == entry.c.account_id)
        .outerjoin(swap, swap.c.operation_id == entry.c.operation_id)
        .outerjoin(terms, terms.c.id == swap.c.terms_id)
        # A swap's credit is minted by the leg that its debit is.
        .where(sa.or_(entry.c.kind != EntryKind.SWAP.value, entry.c.credit.is_(False)))
        .order_by(oldest.c.seq, entry.c.id)
    )
    items = [
        Item(row.id, row.operation_id, row.reference, EntryKind(row.kind), row.amount, row.tag, row.version)
        for row in rows
    ]
    chosen = _whole_operations(items, entries_max)
    return sorted(chosen, key=lambda item: not item.kind.is_credit)


def _whole_operations(items: Sequence[Item], entries_max: int) -> list[Item]:
    chosen: list[Item] = []
    end = 0
    for index, item in enumerate(items):
        if index >= entries_max or item.terms_version != items[0].terms_version:
            break
        if index + 1 == len(items) or items[index + 1].operation_id != item.operation_id:
            end = index + 1
    chosen = list(items[:end])
    assert chosen or not items, f"one operation has more than {entries_max} entries"
    return chosen


def freeze(connection: sa.Connection, of: Stream, items: Sequence[Item], frozen: Frozen, now_ms: int) -> Batch:
    """Freeze these items into the stream's next batch."""
    assert frozen.sequence == of.last_sequence + 1
    batch_id = new_id("batch")
    connection.execute(
        batch.insert().values(
            id=batch_id,
            kind=of.kind,
            stream_id=of.id,
            lane_id=of.lane_id,
            sequence=frozen.sequence,
            valid_until=frozen.valid_until,
            digest=frozen.digest,
            purpose=frozen.purpose,
            target=frozen.target,
            calldata=frozen.calldata,
            gas_limit=frozen.gas_limit,
            item_count=len(items),
            entry_ids=struct.pack(f">{len(items)}Q", *(item.entry_id for item in items)),
            state=batches.FROZEN,
            created_ms=now_ms,
        )
    )
    connection.execute(
        operation.update()
        .where(operation.c.id.in_(sorted({item.operation_id for item in items})))
        .values(batch_id=batch_id)
    )
    streams.set_last_sequence(connection, of.id, frozen.sequence)
    return batches.by_id(connection, batch_id)


def waiting_terms(connection: sa.Connection, stream_id: int) -> list[str]:
    """The terms under which swaps of this stream wait for a batch."""
    rows = connection.execute(
        sa.select(swap.c.terms_id)
        .distinct()
        .join(operation, operation.c.id == swap.c.operation_id)
        .where(
            operation.c.stream_id == stream_id,
            operation.c.batch_id.is_(None),
            operation.c.state == OperationState.ACCEPTED.value,
        )
    )
    return list(rows.scalars())
