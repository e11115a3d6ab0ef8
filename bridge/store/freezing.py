"""Freezing: which operations wait for a batch, and the batch they become."""

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from bridge.store import batches, limits, programs, streams
from bridge.store import terms as agreed
from bridge.store.batches import Batch
from bridge.store.ids import new_id
from bridge.store.schema import account, batch, entry, operation, stream, swap, terms, wallet
from bridge.store.streams import Stream
from exchange.operations import OperationKind, OperationState
from exchange.points import Points
from exchange.words import WORD_BYTES, EntryKind, EntryWord, binding_words

#: How many entries' room in a batch an item takes, where it is not one: what concerns wallets writes more slots, and a
#: binding is two words.
WEIGHTS = {EntryKind.RELEASE: 2, EntryKind.BIND: 2}


@dataclass(frozen=True, slots=True)
class Item:
    """An entry that waits to be posted: everything its word on the chain will say.

    A binding is no entry, since it moves no points: its `entry_id` is 0, and `wallet` the address that is bound, or
    None where a binding ends.
    """

    entry_id: int
    operation_id: str
    reference: bytes
    kind: EntryKind
    amount: int
    tag: bytes
    terms_version: int | None
    #: what the source of a swap comes to owe for this leg, in micro-units
    owed_micro: int = 0
    wallet: bytes | None = None

    @property
    def words(self) -> bytes:
        """The item as the contract reads it: one word, or the two of a binding."""
        if self.kind is EntryKind.BIND:
            return binding_words(self.reference, self.wallet, self.tag)
        return EntryWord(self.reference, self.kind, Points(self.amount), self.tag).pack()

    @property
    def takes(self) -> dict[str, int]:
        """What the item takes from each limit that it meets on the chain."""
        if self.kind is EntryKind.SWAP:
            return {limits.MANAGED_CAP: self.amount, limits.CREDIT: self.owed_micro}
        if self.kind is EntryKind.RELEASE:
            return {limits.RELEASE: self.amount}
        if self.kind is EntryKind.BIND:
            return {}
        return {limits.ISSUANCE if self.kind.is_credit else limits.REDEMPTION: self.amount}


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


def waits_beside_releases(connection: sa.Connection, stream_id: int, batch_id: str) -> bool:
    """Whether something else than releases is frozen in the batch or waits behind it."""
    query = sa.select(operation.c.seq).where(
        operation.c.stream_id == stream_id,
        operation.c.state == OperationState.ACCEPTED.value,
        operation.c.kind != OperationKind.RELEASE.value,
        sa.or_(operation.c.batch_id.is_(None), operation.c.batch_id == batch_id),
    )
    return connection.execute(query.limit(1)).first() is not None


def waiting_items(connection: sa.Connection, stream_id: int, entries_max: int, *, releases: bool = True) -> list[Item]:
    """The oldest waiting entries of a stream, whole operations, at most `entries_max`, in the contract's order.

    Swap legs of one batch share the version of their terms, since the contract takes one version for each hop. Together
    the items take no more than any limit can ever let through at once; only a single operation that takes more than
    that stands alone, and waits until the limit is raised. Without `releases` these are left waiting: their points are
    held, so nothing that overtakes them can take what they need.
    """
    chosen_kinds = sa.true() if releases else operation.c.kind != OperationKind.RELEASE.value
    oldest = (
        sa.select(operation.c.id, operation.c.seq, operation.c.tag)
        .where(
            operation.c.stream_id == stream_id,
            sa.text("operation.state = 'accepted' AND operation.batch_id IS NULL"),
            chosen_kinds,
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
            oldest.c.seq,
            oldest.c.tag,
            terms.c.version,
            terms.c.from_units,
            terms.c.to_units,
            terms.c.settlement_price_micro,
            terms.c.managed_cap,
        )
        .join(oldest, oldest.c.id == entry.c.operation_id)
        .join(account, account.c.id == entry.c.account_id)
        .outerjoin(swap, swap.c.operation_id == entry.c.operation_id)
        .outerjoin(terms, terms.c.id == swap.c.terms_id)
        # A swap's credit is minted by the leg that its debit is.
        .where(sa.or_(entry.c.kind != EntryKind.SWAP.value, entry.c.credit.is_(False)))
        .order_by(oldest.c.seq, entry.c.id)
    ).all()
    found = sorted([*((row.seq, _item(row)) for row in rows), *_bindings(connection, oldest)], key=lambda one: one[0])
    if not found:
        return []
    ceilings = _ceilings(connection, stream_id)
    if rows and rows[0].managed_cap is not None:
        ceilings[limits.MANAGED_CAP] = rows[0].managed_cap
    chosen = _whole_operations([item for _, item in found], entries_max, ceilings)
    return sorted(chosen, key=lambda item: _PLACES.get(item.kind, _CREDIT if item.kind.is_credit else _DEBIT))


# The contract takes credits first, then debits, then what concerns wallets.
_CREDIT, _DEBIT, _WALLET = 1, 2, 3
_PLACES = {EntryKind.RELEASE: _WALLET, EntryKind.BIND: _WALLET}


def _item(row: Any) -> Item:
    item = Item(row.id, row.operation_id, row.reference, EntryKind(row.kind), row.amount, row.tag, row.version)
    if row.version is None:
        return item
    arriving = row.amount * row.to_units // row.from_units
    return replace(item, owed_micro=arriving * row.settlement_price_micro)


def _bindings(connection: sa.Connection, oldest: sa.Subquery) -> list[tuple[int, Item]]:
    """The bindings of wallets, and the ends of bindings, among these operations: each with its place in their order."""
    rows = connection.execute(
        sa.select(
            oldest.c.id,
            oldest.c.seq,
            oldest.c.tag,
            account.c.reference,
            sa.case((wallet.c.bind_operation_id == oldest.c.id, wallet.c.address)).label("wallet"),
        )
        .join(wallet, sa.or_(wallet.c.bind_operation_id == oldest.c.id, wallet.c.unbind_operation_id == oldest.c.id))
        .join(account, account.c.id == wallet.c.account_id)
    )
    return [
        (row.seq, Item(0, row.id, row.reference, EntryKind.BIND, 0, row.tag, None, wallet=row.wallet)) for row in rows
    ]


def is_too_large(connection: sa.Connection, found: Batch) -> bool:
    """Whether a frozen batch takes more than a limit ever lets through at once, while smaller ones might not."""
    assert found.stream_id is not None
    ceilings = _ceilings(connection, found.stream_id)
    if found.kind == streams.PATH:
        ceilings[limits.MANAGED_CAP] = agreed.cap_of_batch(connection, found.id)
    if not any(needed > ceilings[name] for name, needed in found.demand.items()):
        return False
    held = connection.scalar(sa.select(sa.func.count()).where(operation.c.batch_id == found.id)) or 0
    return held > 1


def _ceilings(connection: sa.Connection, stream_id: int) -> dict[str, int]:
    """The most that the stream's limits ever let through at once."""
    of = streams.by_id(connection, stream_id)
    if of.kind == streams.PATH:
        return {limits.CREDIT: programs.by_id(connection, of.programs[0]).credit_limit_micro}
    return {name: bounds.capacity for name, bounds in limits.of_program(connection, of.key).items()}


def _whole_operations(items: Sequence[Item], entries_max: int, ceilings: Mapping[str, int]) -> list[Item]:
    """The first of the items that end with a whole operation and stay within all bounds, but one operation at least."""
    end, weight, taken = 0, 0, Counter[str]()
    for index, item in enumerate(items):
        weight += WEIGHTS.get(item.kind, 1)
        taken.update(item.takes)
        over = any(taken[name] > most for name, most in ceilings.items())
        if weight > entries_max or item.terms_version != items[0].terms_version or (over and end):
            break
        if index + 1 == len(items) or items[index + 1].operation_id != item.operation_id:
            end = index + 1
            if over:
                break
    assert end or not items, f"one operation has more than {entries_max} entries"
    return list(items[:end])


def demand_of(items: Iterable[Item]) -> dict[str, int]:
    """What the items together take from each limit."""
    taken = Counter[str]()
    for item in items:
        taken.update(item.takes)
    return dict(taken)


def freeze(connection: sa.Connection, of: Stream, items: Sequence[Item], frozen: Frozen, now_ms: int) -> Batch:
    """Freeze these items into the stream's next batch."""
    assert frozen.sequence == of.last_sequence + 1
    batch_id = new_id("batch")
    # One id for each word, by whose place the chain names what it skipped.
    ids = [item.entry_id for item in items for _ in range(len(item.words) // WORD_BYTES)]
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
            item_count=len(ids),
            demand=demand_of(items),
            entry_ids=struct.pack(f">{len(ids)}Q", *ids),
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
