"""Attempts: every signed transaction, stored before it is sent."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.batches import UNMINED
from bridge.store.schema import attempt, batch, stream
from bridge.store.streams import PATH, Stream


@dataclass(frozen=True, slots=True)
class Attempt:
    """Signed bytes under one nonce of a lane, for one batch."""

    hash: bytes
    lane_id: int
    nonce: int
    batch_id: str
    raw: bytes
    max_fee_wei: int
    created_ms: int
    sent_ms: int | None = None
    mined_block: int | None = None


def add(connection: sa.Connection, one: Attempt) -> None:
    """Store signed bytes. A second transaction under the same nonce is refused by the database."""
    connection.execute(attempt.insert().values({name: getattr(one, name) for name in Attempt.__slots__}))


def unmined(connection: sa.Connection) -> list[Attempt]:
    """Transactions that are in no canonical block, each lane's in the order of their nonces.

    One whose batch was dissolved stays among them: its nonce must be used up before the lane's next one counts.
    """
    rows = connection.execute(
        sa.select(attempt).where(attempt.c.mined_block.is_(None)).order_by(attempt.c.lane_id, attempt.c.nonce)
    )
    return [Attempt(**row._mapping) for row in rows]


def mined(connection: sa.Connection, hashes: Iterable[bytes], block_number: int) -> None:
    """These transactions are in a canonical block."""
    connection.execute(attempt.update().where(attempt.c.hash.in_(list(hashes))).values(mined_block=block_number))


def undo_above(connection: sa.Connection, block_number: int) -> None:
    """The blocks above this one are no longer canonical: what they held must be sent again."""
    connection.execute(
        attempt.update().where(attempt.c.mined_block > block_number).values(mined_block=None, sent_ms=None)
    )


def sent(connection: sa.Connection, transaction_hash: bytes, now_ms: int) -> None:
    """The bytes were handed to a node."""
    connection.execute(attempt.update().where(attempt.c.hash == transaction_hash).values(sent_ms=now_ms))


def unsigned_controls(connection: sa.Connection, now_ms: int) -> list[str]:
    """Calls that are due and for which nothing was signed yet, oldest first."""
    due = sa.or_(batch.c.due_ms.is_(None), batch.c.due_ms <= now_ms)
    rows = connection.execute(_unsigned(batch.c.id).where(batch.c.stream_id.is_(None), due).order_by(batch.c.id))
    return list(rows.scalars())


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A stream's frozen batches for which nothing was signed yet: from which sequence on, and until when they count.

    `valid_until` is the earliest of theirs, in unix seconds.
    """

    stream_id: int
    sequence: int
    valid_until: int


def unsigned_streams(connection: sa.Connection) -> list[Unsigned]:
    """Streams with frozen batches that are not signed. They are the newest of their stream: signing goes in order."""
    rows = connection.execute(
        _unsigned(batch.c.stream_id, sa.func.min(batch.c.sequence), sa.func.min(batch.c.valid_until))
        .where(batch.c.stream_id.is_not(None))
        .group_by(batch.c.stream_id)
        .order_by(batch.c.stream_id)
    )
    return [Unsigned(*row) for row in rows]


def next_unsigned(connection: sa.Connection, stream_id: int) -> str | None:
    """The stream's first frozen batch that is not signed, or None."""
    first: str | None = connection.scalar(
        _unsigned(batch.c.id).where(batch.c.stream_id == stream_id).order_by(batch.c.sequence).limit(1)
    )
    return first


def anything_to_sign(connection: sa.Connection, now_ms: int) -> bool:
    """Whether there is work that the poster will sign by itself: neither throttled nor before its time."""
    due = sa.or_(batch.c.due_ms.is_(None), batch.c.due_ms <= now_ms)
    row = connection.execute(_unsigned(batch.c.id).where(due, batch.c.throttled.is_(None)).limit(1)).one_or_none()
    return row is not None


def demands_under_way(connection: sa.Connection, of: Stream) -> list[dict[str, int]]:
    """What signed batches that are in no block take from each limit that this stream may meet.

    Paths meet each other's: those that cross share what their programs may owe and the caps of their directions. A
    batch that the chain refused takes nothing.
    """
    rows = connection.execute(
        sa.select(batch.c.demand)
        .join(stream, stream.c.id == batch.c.stream_id)
        .where(
            batch.c.state.in_(UNMINED),
            batch.c.reason.is_(None),
            stream.c.kind == PATH if of.kind == PATH else stream.c.id == of.id,
            sa.exists().where(attempt.c.batch_id == batch.c.id),
        )
    )
    return list(rows.scalars())


def _unsigned(*columns: Any) -> sa.Select[Any]:
    return (
        sa.select(*columns)
        .select_from(batch)
        .outerjoin(attempt, attempt.c.batch_id == batch.c.id)
        .where(batch.c.state.in_(UNMINED), attempt.c.hash.is_(None))
    )
