"""Freezing: which operations wait for a batch, and the batch they become."""

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bridge.store import batches, limits, operations, programs, streams
from bridge.store import terms as agreed
from bridge.store.batches import Batch
from bridge.store.ids import new_id
from bridge.store.schema import (
    WAITING,
    WAITING_EXPIRY,
    account,
    batch,
    entry,
    operation,
    quote_hop,
    stream,
    swap,
    terms,
    wallet,
)
from bridge.store.streams import Stream
from exchange.operations import OperationKind, OperationState
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.words import WORD_BYTES, EntryKind, EntryWord, binding_words

OVER_CAP = "the cap of the terms was lowered, and is less than this swap alone"
OVER_CREDIT = "this swap alone comes to more than a program along its path may owe"

#: What gives way under a limit: it is left waiting while others go, since the limit may take a day to refill. Its
#: points are held, so nothing that overtakes it can take what it needs, and the credits it counts on stay ahead of it.
GIVES_WAY: Mapping[str, OperationKind] = {
    limits.RELEASE: OperationKind.RELEASE,
    limits.REDEMPTION: OperationKind.EXPIRY,
}
#: The key, among the bounds of a batch, of what expires in it.
_EXPIRING = "expiring"

#: How many entries' room in a batch an item takes, where it is not one: what concerns wallets writes more slots, and a
#: binding is two words.
WEIGHTS = {EntryKind.RELEASE: 2, EntryKind.BIND: 2}


@dataclass(frozen=True, slots=True)
class Item:
    """An entry that waits to be posted: everything its word on the chain will say.

    A binding is no entry, since it moves no points: its `entry_id` is 0, and `wallet` the address that is bound, or
    None where a binding ends. A leg of a swap has the version of the terms of each hop; `crossing` is what it takes
    from the limits along its path, in points and, for what programs may owe, in micro-units: below zero where it gives.
    """

    entry_id: int
    operation_id: str
    reference: bytes
    kind: EntryKind
    amount: int
    tag: bytes
    versions: tuple[int, ...] | None
    crossing: Mapping[str, int] = field(default_factory=dict)
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
            return dict(self.crossing)
        if self.kind is EntryKind.RELEASE:
            return {limits.RELEASE: self.amount}
        if self.kind is EntryKind.BIND:
            return {}
        return {limits.ISSUANCE if self.kind.is_credit else limits.REDEMPTION: self.amount}

    @property
    def bounded(self) -> dict[str, int]:
        """What the item counts for among the bounds of a batch."""
        return self.takes | ({_EXPIRING: self.amount} if self.kind is EntryKind.EXPIRY else {})


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a batch in a stream: how many operations, and since when the oldest (milliseconds).

    Where nothing but `expiries` waits, of which there may be very many, they are not counted: 0.
    """

    stream: Stream
    count: int
    oldest_ms: int
    expiries: bool


def waiting_streams(connection: sa.Connection) -> list[Waiting]:
    """Streams with operations that wait for a batch."""
    others = connection.execute(
        sa.select(stream, sa.func.count(), sa.func.min(operations.WAITS_SINCE_MS))
        .join(operation, operation.c.stream_id == stream.c.id)
        .where(sa.text(WAITING))
        .group_by(stream.c.id)
    )
    found = {row[0]: Waiting(Stream(*row[:-2]), row[-2], row[-1], expiries=False) for row in others}
    first_expiry = (
        sa.select(operation.c.created_ms)
        .where(operation.c.stream_id == stream.c.id, sa.text(WAITING_EXPIRY))
        .order_by(operation.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    for row in connection.execute(sa.select(stream, first_expiry).where(stream.c.id.not_in(found))):
        if row[-1] is not None:
            found[row[0]] = Waiting(Stream(*row[:-1]), 0, row[-1], expiries=True)
    return [found[one] for one in sorted(found)]


def is_in_the_way(connection: sa.Connection, stream_id: int, batch_id: str, kind: OperationKind) -> bool:
    """Whether the batch holds what gives way, of this kind, and something else is frozen with it or waits behind it.

    Expiries are nothing for which others would give way.
    """
    held = sa.select(operation.c.seq).where(operation.c.batch_id == batch_id, operation.c.kind == kind.value)
    beside = sa.select(operation.c.seq).where(
        operation.c.stream_id == stream_id,
        operation.c.state == OperationState.ACCEPTED.value,
        operation.c.kind.not_in({kind.value, OperationKind.EXPIRY.value}),
        sa.or_(operation.c.batch_id.is_(None), operation.c.batch_id == batch_id),
    )
    return all(connection.execute(query.limit(1)).first() is not None for query in (held, beside))


def waiting_items(
    connection: sa.Connection, stream_id: int, entries_max: int, *, without: OperationKind | None = None
) -> list[Item]:
    """The oldest waiting entries of a stream, whole operations, at most `entries_max`, in the contract's order.

    Swap legs of one batch share the versions of their terms, since the contract takes one version for each hop.
    Together the items take no more than any limit can ever let through at once; only a single operation that takes more
    than that stands alone, and waits until the limit is raised. What gives way is left waiting where it is of the kind
    `without`. Expiries get the places that are left, whatever their age, and together no more than one batch lets
    expire: one that is more, since the limit was lowered, waits until it is raised, and lets the others pass.
    """
    ceilings = _ceilings(connection, stream_id)
    others = sa.true() if without is None else operation.c.kind != without.value
    expiries = operation.c.points <= ceilings.get(_EXPIRING, 0)
    if without is OperationKind.EXPIRY:
        expiries = sa.false()
    parts = (
        _oldest(stream_id, WAITING, others, entries_max, last=0),
        _oldest(stream_id, WAITING_EXPIRY, expiries, entries_max, last=1),
    )
    oldest = sa.union_all(*(sa.select(one) for one in parts)).subquery()
    rows = connection.execute(
        sa.select(
            entry.c.id,
            entry.c.operation_id,
            entry.c.kind,
            entry.c.amount,
            account.c.reference,
            oldest.c.seq,
            oldest.c.tag,
            oldest.c.last,
        )
        .join(oldest, oldest.c.id == entry.c.operation_id)
        .join(account, account.c.id == entry.c.account_id)
        # A swap's credit is minted by the leg that its debit is.
        .where(sa.or_(entry.c.kind != EntryKind.SWAP.value, entry.c.credit.is_(False)))
        .order_by(oldest.c.last, oldest.c.seq, entry.c.id)
    ).all()
    paths = _paths(connection, oldest)
    items = [((row.last, row.seq), _item(row, paths.get(row.operation_id))) for row in rows]
    found = sorted([*items, *_bindings(connection, oldest)], key=lambda one: one[0])
    if not found:
        return []
    if rows and rows[0].operation_id in paths:
        ceilings |= {limits.cap_of(*hop.direction): hop.managed_cap for hop in paths[rows[0].operation_id]}
    chosen = _whole_operations([item for _, item in found], entries_max, ceilings)
    return sorted(chosen, key=lambda item: _PLACES.get(item.kind, _CREDIT if item.kind.is_credit else _DEBIT))


def _oldest(stream_id: int, where: str, also: sa.ColumnElement[bool], count_max: int, *, last: int) -> sa.Subquery:
    """The first of the operations that wait in a stream, with their place: all of the `last` come last."""
    return (
        sa.select(operation.c.id, operation.c.seq, operation.c.tag, sa.literal(last).label("last"))
        .where(operation.c.stream_id == stream_id, sa.text(where), also)
        .order_by(operation.c.seq)
        .limit(count_max)
        .subquery()
    )


# The contract takes credits first, then debits, then what concerns wallets.
_CREDIT, _DEBIT, _WALLET = 1, 2, 3
_PLACES = {EntryKind.RELEASE: _WALLET, EntryKind.BIND: _WALLET}


@dataclass(frozen=True, slots=True)
class _Hop:
    """The terms of one hop as the contract has them."""

    direction: tuple[str, str]
    version: int
    ratio: Ratio
    price_micro: int
    managed_cap: int


def _paths(connection: sa.Connection, oldest: sa.Subquery) -> dict[str, list[_Hop]]:
    """The hops of those of these operations that are swaps, in their order."""
    rows = connection.execute(
        sa.select(
            oldest.c.id,
            quote_hop.c.from_program_id,
            quote_hop.c.to_program_id,
            terms.c.version,
            terms.c.from_units,
            terms.c.to_units,
            terms.c.settlement_price_micro,
            terms.c.managed_cap,
        )
        .join(swap, swap.c.operation_id == oldest.c.id)
        .join(quote_hop, quote_hop.c.quote_id == swap.c.quote_id)
        .join(terms, terms.c.id == quote_hop.c.terms_id)
        .order_by(oldest.c.seq, quote_hop.c.place)
    )
    found: dict[str, list[_Hop]] = {}
    for operation_id, source, destination, version, from_units, to_units, price, cap in rows:
        hop = _Hop((source, destination), version, Ratio(Points(from_units), Points(to_units)), price, cap)
        found.setdefault(operation_id, []).append(hop)
    return found


def _item(row: Any, hops: Sequence[_Hop] | None) -> Item:
    versions = None if hops is None else tuple(hop.version for hop in hops)
    crossing = {} if hops is None else _crossing(row.amount, hops)
    kind = EntryKind(row.kind)
    return Item(row.id, row.operation_id, row.reference, kind, row.amount, row.tag, versions, crossing)


def _crossing(amount: int, hops: Sequence[_Hop]) -> dict[str, int]:
    """What a leg takes from the caps and the credit along its path.

    At each hop the source comes to owe the destination what arrived there; a program between owes only what it passes
    on for more than it got. The last program only gains.
    """
    taken: dict[str, int] = {}
    standing, received = amount, 0
    for hop in hops:
        taken[limits.cap_of(*hop.direction)] = standing
        standing = hop.ratio.convert(Points(standing))
        paid = standing * hop.price_micro
        taken[limits.credit_of(hop.direction[0])] = paid - received
        received = paid
    return taken


def _bindings(connection: sa.Connection, oldest: sa.Subquery) -> list[tuple[tuple[int, int], Item]]:
    """The bindings of wallets, and the ends of bindings, among these operations: each with its place in their order."""
    rows = connection.execute(
        sa.select(
            oldest.c.id,
            oldest.c.seq,
            oldest.c.tag,
            oldest.c.last,
            account.c.reference,
            sa.case((wallet.c.bind_operation_id == oldest.c.id, wallet.c.address)).label("wallet"),
        )
        .join(wallet, sa.or_(wallet.c.bind_operation_id == oldest.c.id, wallet.c.unbind_operation_id == oldest.c.id))
        .join(account, account.c.id == wallet.c.account_id)
    )
    return [
        ((row.last, row.seq), Item(0, row.id, row.reference, EntryKind.BIND, 0, row.tag, None, wallet=row.wallet))
        for row in rows
    ]


def is_too_large(connection: sa.Connection, found: Batch) -> bool:
    """Whether a frozen batch takes more than a limit ever lets through at once, while smaller ones might not."""
    return bool(_beyond(connection, found)) and _lone(connection, found) is None


@dataclass(frozen=True, slots=True)
class Hopeless:
    """A swap that no batch can ever carry, and why."""

    operation_id: str
    reason: str


def hopeless(connection: sa.Connection, found: Batch, now_s: int) -> Hopeless | None:
    """The swap that is alone in a frozen batch, where there is no use in freezing it anew.

    A cap of its terms is less than it: caps of a version are only ever lowered. Or what a program may owe is less than
    it alone comes to, and while its batch lived neither was that raised nor did others owe the program enough.
    """
    if found.kind != streams.PATH or (alone := _lone(connection, found)) is None:
        return None
    beyond = {limits.name_of(name) for name in _beyond(connection, found)}
    if limits.MANAGED_CAP in beyond:
        return Hopeless(alone, OVER_CAP)
    assert found.valid_until is not None, "a stream's batch has an end"
    waited = found.throttled is not None and found.throttled["limit"] == limits.CREDIT and found.valid_until < now_s
    return Hopeless(alone, OVER_CREDIT) if limits.CREDIT in beyond and waited else None


def _beyond(connection: sa.Connection, found: Batch) -> list[str]:
    """The limits of which a frozen batch takes more than they ever let through at once."""
    assert found.stream_id is not None
    ceilings = _ceilings(connection, found.stream_id)
    if found.kind == streams.PATH:
        ceilings |= agreed.caps_of_batch(connection, found.id)
    return [name for name, needed in found.demand.items() if needed > ceilings[name]]


def _lone(connection: sa.Connection, found: Batch) -> str | None:
    """The operation that is alone in a batch, or None where there are several."""
    held = (
        connection.execute(sa.select(operation.c.id).where(operation.c.batch_id == found.id).limit(2)).scalars().all()
    )
    return held[0] if len(held) == 1 else None


def _ceilings(connection: sa.Connection, stream_id: int) -> dict[str, int]:
    """The most that the stream's limits ever let through at once."""
    of = streams.by_id(connection, stream_id)
    if of.kind == streams.PATH:
        owing = (programs.by_id(connection, one) for one in of.programs[:-1])
        return {limits.credit_of(one.id): one.credit_limit_micro for one in owing}
    found = {name: bounds.capacity for name, bounds in limits.of_program(connection, of.key).items()}
    return found | {_EXPIRING: limits.expiring_max(found[limits.REDEMPTION])}


def _whole_operations(items: Sequence[Item], entries_max: int, ceilings: Mapping[str, int]) -> list[Item]:
    """The first of the items that end with a whole operation and stay within all bounds, but one operation at least."""
    end, weight, taken = 0, 0, Counter[str]()
    for index, item in enumerate(items):
        weight += WEIGHTS.get(item.kind, 1)
        taken.update(item.bounded)
        over = any(taken[name] > most for name, most in ceilings.items())
        if weight > entries_max or item.versions != items[0].versions or (over and end):
            break
        if index + 1 == len(items) or items[index + 1].operation_id != item.operation_id:
            end = index + 1
            if over:
                break
    assert end or not items, f"one operation has more than {entries_max} entries"
    return list(items[:end])


def demand_of(items: Iterable[Item]) -> dict[str, int]:
    """What the items together take from each limit; where they give more than they take they are left out."""
    taken = Counter[str]()
    for item in items:
        taken.update(item.takes)
    return dict(+taken)


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
        sa.select(quote_hop.c.terms_id)
        .distinct()
        .join(swap, swap.c.quote_id == quote_hop.c.quote_id)
        .join(operation, operation.c.id == swap.c.operation_id)
        .where(
            operation.c.stream_id == stream_id,
            operation.c.batch_id.is_(None),
            operation.c.state == OperationState.ACCEPTED.value,
        )
    )
    return list(rows.scalars())
