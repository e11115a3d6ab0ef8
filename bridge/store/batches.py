"""Batches: what is posted in one transaction, and how far it has come.

A batch is never edited once it is frozen; only its state moves: frozen, submitted, confirmed, final, or dissolved when
the chain can no longer take it (its operations then wait for a new one), or failed for a call that sets the contracts
up.

The chain may tell of a batch that was not frozen here, because this ledger was restored from an older copy, or because
a key is stolen. It stands here all the same, as `foreign`; and a batch of ours is `torn` when something that it froze
was posted by a foreign one. What such a batch did is read from its words when it is final.
"""

import struct
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.ids import new_id
from bridge.store.schema import attempt, batch, nonce
from exchange.words import WORD_BYTES

FROZEN, SUBMITTED, CONFIRMED, FINAL, DISSOLVED, FAILED = (
    "frozen",
    "submitted",
    "confirmed",
    "final",
    "dissolved",
    "failed",
)
UNMINED = (FROZEN, SUBMITTED)
POST, SETTLE = "post", "settle"
OURS, FOREIGN, TORN = "ours", "foreign", "torn"


@dataclass(frozen=True, slots=True)
class Batch:
    """One frozen batch and how far it has come."""

    id: str
    kind: str
    stream_id: int | None
    lane_id: int
    sequence: int | None
    valid_until: int | None
    digest: bytes | None
    purpose: str
    subject: str | None
    target: bytes | None
    calldata: bytes
    value_wei: str
    gas_limit: int
    item_count: int
    entry_ids: bytes
    skipped: bytes
    origin: str
    told: dict[str, Any] | None
    demand: dict[str, int]
    throttled: dict[str, Any] | None
    due_ms: int | None
    state: str
    reason: str | None
    transaction_hash: bytes | None
    block_number: int | None
    place: int
    gas_used: int | None
    created_ms: int
    submitted_ms: int | None
    confirmed_ms: int | None
    final_ms: int | None


@dataclass(frozen=True, slots=True)
class Control:
    """One call that sets the contracts up, about one `subject` (a program, terms, a lane)."""

    purpose: str
    subject: str | None
    lane_id: int
    target: bytes | None
    calldata: bytes
    gas_limit: int
    value_wei: int = 0


@dataclass(frozen=True, slots=True)
class Mined:
    """Where a batch's transaction was found in the chain; `place` is its event's among those of the block."""

    transaction_hash: bytes
    block_number: int
    gas_used: int
    place: int = 0


def by_id(connection: sa.Connection, batch_id: str) -> Batch:
    """The batch with this id, which must exist."""
    return Batch(**connection.execute(sa.select(batch).where(batch.c.id == batch_id)).one()._mapping)


def of_transactions(connection: sa.Connection, hashes: Collection[bytes]) -> dict[bytes, Batch]:
    """For those of these transactions that are ours, the batch that each carries."""
    rows = connection.execute(
        sa.select(attempt.c.hash.label("attempt_hash"), batch)
        .join(nonce, sa.and_(nonce.c.lane_id == attempt.c.lane_id, nonce.c.number == attempt.c.nonce))
        .join(batch, batch.c.id == nonce.c.batch_id)
        .where(attempt.c.hash.in_(list(hashes)))
    )
    found = {}
    for row in rows:
        fields = dict(row._mapping)
        transaction_hash = fields.pop("attempt_hash")
        found[transaction_hash] = Batch(**fields)
    return found


@dataclass(frozen=True, slots=True)
class Throttle:
    """What keeps a batch from being signed: it needs more than a limit lets through now."""

    limit: str
    needed: int
    available: int


def throttle(connection: sa.Connection, batch_id: str, why: Throttle | None) -> None:
    """The batch waits for room under a limit, or (None) no longer does."""
    told = None if why is None else asdict(why)
    connection.execute(batch.update().where(batch.c.id == batch_id).values(throttled=told))


def count_throttled(connection: sa.Connection) -> int:
    """How many batches wait for room under a limit."""
    query = sa.select(sa.func.count()).where(batch.c.state.in_(UNMINED), batch.c.throttled.is_not(None))
    return connection.scalar(query) or 0


def count_unmined(connection: sa.Connection, now_ms: int) -> int:
    """How many batches are frozen or sent and in no canonical block; calls that are not due yet are not counted."""
    due = sa.or_(batch.c.due_ms.is_(None), batch.c.due_ms <= now_ms)
    return connection.scalar(sa.select(sa.func.count()).where(batch.c.state.in_(UNMINED), due)) or 0


def unposted(connection: sa.Connection, stream_id: int) -> list[Batch]:
    """A stream's batches that are in no canonical block, in their sequence."""
    rows = connection.execute(
        sa.select(batch).where(batch.c.stream_id == stream_id, batch.c.state.in_(UNMINED)).order_by(batch.c.sequence)
    )
    return [Batch(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class InFlight:
    """What a stream has under way: unposted batches, how many of them the chain refused, when the last one expires."""

    stream_id: int
    count: int
    refused: int
    valid_until: int


def in_flight(connection: sa.Connection) -> dict[int, InFlight]:
    """For each stream with unposted batches, how they stand."""
    rows = connection.execute(
        sa.select(
            batch.c.stream_id,
            sa.func.count(),
            sa.func.count(batch.c.reason),
            sa.func.max(batch.c.valid_until),
        )
        .where(batch.c.state.in_(UNMINED), batch.c.stream_id.is_not(None))
        .group_by(batch.c.stream_id)
    )
    return {row[0]: InFlight(*row) for row in rows}


def open_controls(connection: sa.Connection, purpose: str, subject: str | None) -> int:
    """How many calls for this purpose and subject have not failed."""
    return (
        connection.scalar(
            sa.select(sa.func.count()).where(
                batch.c.purpose == purpose,
                batch.c.subject.is_not_distinct_from(subject),
                batch.c.state != FAILED,
            )
        )
        or 0
    )


def unmined_controls(connection: sa.Connection) -> list[Batch]:
    """The calls that set the contracts up and are in no canonical block, oldest first."""
    rows = connection.execute(
        sa.select(batch).where(batch.c.kind == "control", batch.c.state.in_(UNMINED)).order_by(batch.c.id)
    )
    return [Batch(**row._mapping) for row in rows]


def add_control(connection: sa.Connection, control: Control, now_ms: int, due_ms: int | None = None) -> str:
    """Queue one call that sets the contracts up, not to be signed before `due_ms`."""
    batch_id = new_id("batch")
    connection.execute(
        batch.insert().values(
            id=batch_id,
            kind="control",
            lane_id=control.lane_id,
            purpose=control.purpose,
            subject=control.subject,
            target=control.target,
            calldata=control.calldata,
            value_wei=str(control.value_wei),
            gas_limit=control.gas_limit,
            item_count=0,
            entry_ids=b"",
            demand={},
            due_ms=due_ms,
            state=FROZEN,
            created_ms=now_ms,
        )
    )
    return batch_id


@dataclass(frozen=True, slots=True)
class Told:
    """What the chain says of a batch beyond its words.

    Of swaps, for each hop the version of its terms and these: from, to, price in micro-units. Of a program's batch, the
    wallets that its releases went to, by the places of their words.
    """

    hops: tuple[tuple[int, int, int, int], ...] = ()
    wallets: tuple[tuple[int, bytes], ...] = ()

    def written(self) -> dict[str, Any]:
        """As it is kept."""
        return {"hops": [list(hop) for hop in self.hops], "wallets": [[at, by.hex()] for at, by in self.wallets]}

    @classmethod
    def read(cls, kept: dict[str, Any]) -> "Told":
        """What `written` gave."""
        hops = tuple((version, of, to, price) for version, of, to, price in kept["hops"])
        return cls(hops, tuple((at, bytes.fromhex(by)) for at, by in kept["wallets"]))


@dataclass(frozen=True, slots=True)
class Foreign:
    """A batch that the chain tells of and this ledger did not freeze.

    Without words: nobody could read them. `skipped` are the places of the words that the chain skipped.
    """

    stream_id: int
    lane_id: int
    kind: str
    sequence: int
    digest: bytes
    words: bytes
    calldata: bytes
    told: Told
    skipped: Collection[int]


def add_foreign(connection: sa.Connection, one: Foreign, mined: Mined, now_ms: int) -> None:
    """Enter a foreign batch that stands in a canonical block."""
    connection.execute(
        batch.insert().values(
            id=new_id("batch"),
            kind=one.kind,
            stream_id=one.stream_id,
            lane_id=one.lane_id,
            sequence=one.sequence,
            digest=one.digest,
            purpose=FOREIGN,
            calldata=one.calldata,
            gas_limit=mined.gas_used,
            item_count=len(one.words) // WORD_BYTES,
            entry_ids=b"",
            skipped=packed_places(one.skipped),
            origin=FOREIGN,
            told=one.told.written(),
            demand={},
            state=CONFIRMED,
            transaction_hash=mined.transaction_hash,
            block_number=mined.block_number,
            place=mined.place,
            gas_used=mined.gas_used,
            created_ms=now_ms,
            confirmed_ms=now_ms,
        )
    )


def packed_places(places: Collection[int]) -> bytes:
    """Places of words as they are kept: 4 bytes each, in order."""
    return struct.pack(f">{len(places)}I", *sorted(places))


def unpacked_places(kept: bytes) -> tuple[int, ...]:
    """The places that were kept."""
    return struct.unpack(f">{len(kept) // 4}I", kept)


def words_of(found: Batch) -> bytes:
    """A stream's batch as the contract read it: the words are the last of what it was called with."""
    size = found.item_count * WORD_BYTES
    return found.calldata[len(found.calldata) - size :]


def remove_foreign(connection: sa.Connection, batch_id: str) -> None:
    """The block that told of a foreign batch is gone, and with it all that is known of it."""
    connection.execute(batch.delete().where(batch.c.id == batch_id, batch.c.origin == FOREIGN))


def tear(connection: sa.Connection, batch_id: str) -> None:
    """Something that the batch froze was posted by another: if it is mined, what it did is read from its words."""
    connection.execute(batch.update().where(batch.c.id == batch_id).values(origin=TORN))


def tell(connection: sa.Connection, batch_id: str, told: Told) -> None:
    """Keep what the chain says of a batch beyond its words."""
    connection.execute(batch.update().where(batch.c.id == batch_id).values(told=told.written()))


def last_used(connection: sa.Connection, stream_id: int) -> int:
    """The highest sequence that a batch of the stream has which was not dissolved, 0 without one."""
    query = sa.select(sa.func.max(batch.c.sequence)).where(batch.c.stream_id == stream_id, batch.c.state != DISSOLVED)
    return connection.scalar(query) or 0


def last_mined(connection: sa.Connection, stream_id: int) -> int:
    """The highest sequence of a stream's batches that are in a canonical block, 0 without one."""
    query = sa.select(sa.func.max(batch.c.sequence)).where(
        batch.c.stream_id == stream_id, batch.c.state.in_((CONFIRMED, FINAL))
    )
    return connection.scalar(query) or 0


def at_sequence(connection: sa.Connection, stream_id: int, sequence: int) -> Batch | None:
    """The stream's unposted batch of this number, or None."""
    return next((one for one in unposted(connection, stream_id) if one.sequence == sequence), None)


def fail_control(connection: sa.Connection, batch_id: str, mined: Mined, reason: str) -> None:
    """A call that sets the contracts up was refused by the chain."""
    connection.execute(
        batch.update()
        .where(batch.c.id == batch_id)
        .values(
            state=FAILED,
            reason=reason,
            transaction_hash=mined.transaction_hash,
            block_number=mined.block_number,
            gas_used=mined.gas_used,
        )
    )


def ready_at(connection: sa.Connection, target: bytes, calldata: bytes, due_ms: int) -> None:
    """The chain said when an announced call can be made: the one that waits for it is due then."""
    connection.execute(
        batch.update()
        .where(
            batch.c.kind == "control",
            batch.c.state == FROZEN,
            batch.c.target == target,
            batch.c.calldata == calldata,
            batch.c.due_ms.is_not(None),
        )
        .values(due_ms=due_ms)
    )


def forget_refusals(connection: sa.Connection, number: int) -> None:
    """The blocks above this one are gone, and with them the refusal of what they had mined: it may be taken yet."""
    mined_there = sa.select(nonce.c.batch_id).where(nonce.c.mined_block > number)
    connection.execute(
        batch.update().where(batch.c.state.in_(UNMINED), batch.c.id.in_(mined_there)).values(reason=None)
    )


def note_revert(connection: sa.Connection, batch_id: str, reason: str) -> None:
    """The chain mined the batch's transaction and refused it; the batch waits until it can be dissolved."""
    connection.execute(batch.update().where(batch.c.id == batch_id).values(reason=reason))
