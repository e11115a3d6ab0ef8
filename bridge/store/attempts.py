"""Attempts: every signed transaction, stored before it is sent.

A lane's nonce belongs to one batch, and any number of attempts share it: each replaces the one before by higher fees.
Every attempt stays a candidate: whichever is mined carries the batch, and a reorganisation may bring another instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.batches import UNMINED
from bridge.store.lanes import FOREIGN, LIVE
from bridge.store.schema import attempt, batch, nonce, stream
from bridge.store.streams import PATH, Stream

#: Attempts of one nonce: at an eighth more each, enough to come from one gwei to more than a thousand.
REPLACEMENTS_MAX = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """Signed bytes under one nonce of a lane, for one batch; fees are wei a gas.

    `place` is 0 for the nonce's first and one more for each that replaces it. `taken_ms` is when a node first took it
    and `taken_block` the newest block then, `sent_ms` when it was last handed over.
    """

    hash: bytes
    lane_id: int
    nonce: int
    batch_id: str
    raw: bytes
    max_fee_wei: int
    tip_wei: int
    created_ms: int
    place: int = 0
    taken_ms: int | None = None
    taken_block: int | None = None
    sent_ms: int | None = None


def add(connection: sa.Connection, one: Attempt) -> None:
    """Store signed bytes under a nonce that was reserved for their batch.

    The database refuses a second attempt in the same place, so two that replace the same one cannot both be stored.
    """
    assert one.place < REPLACEMENTS_MAX
    fields = {name: getattr(one, name) for name in Attempt.__slots__ if name != "batch_id"}
    connection.execute(attempt.insert().values(fields))


def unmined(connection: sa.Connection) -> list[Attempt]:
    """The newest attempt of each nonce that is in no canonical block, each lane's in the order of their nonces.

    One whose batch was dissolved stays among them: its nonce must be used up before the lane's next one counts.
    """
    later = attempt.alias()
    newest = (
        sa.select(sa.func.max(later.c.place))
        .where(later.c.lane_id == nonce.c.lane_id, later.c.nonce == nonce.c.number)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(attempt, nonce.c.batch_id)
        .select_from(nonce.join(attempt, _of_nonce()))
        .where(nonce.c.mined_block.is_(None), nonce.c.state == LIVE, attempt.c.place == newest)
        .order_by(nonce.c.lane_id, nonce.c.number)
    )
    return [Attempt(**row._mapping) for row in rows]


def unmined_numbers(connection: sa.Connection, lane_id: int) -> list[int]:
    """The lane's nonces that are in no canonical block and may yet be mined, in their order."""
    rows = connection.execute(
        sa.select(nonce.c.number)
        .where(nonce.c.lane_id == lane_id, nonce.c.mined_block.is_(None), nonce.c.state == LIVE)
        .order_by(nonce.c.number)
    )
    return list(rows.scalars())


def of_nonce(connection: sa.Connection, lane_id: int, number: int) -> list[Attempt]:
    """All attempts of a nonce, the first one first."""
    rows = connection.execute(
        sa.select(attempt, nonce.c.batch_id)
        .select_from(nonce.join(attempt, _of_nonce()))
        .where(nonce.c.lane_id == lane_id, nonce.c.number == number)
        .order_by(attempt.c.place)
    )
    return [Attempt(**row._mapping) for row in rows]


def numbers_of(connection: sa.Connection, batch_id: str) -> dict[bytes, int]:
    """The transactions that were signed for a batch, each with its nonce; not those whose nonce somebody else used."""
    rows = connection.execute(
        sa.select(attempt.c.hash, attempt.c.nonce)
        .join(nonce, _of_nonce())
        .where(nonce.c.batch_id == batch_id, nonce.c.state == LIVE)
        .order_by(attempt.c.nonce, attempt.c.place)
    )
    return dict(rows.all())


def mined(connection: sa.Connection, hashes: Iterable[bytes], block_number: int) -> None:
    """These transactions are in a canonical block, and so their nonces are used up."""
    used = sa.select(attempt.c.lane_id, attempt.c.nonce).where(attempt.c.hash.in_(list(hashes)))
    connection.execute(
        nonce.update().where(sa.tuple_(nonce.c.lane_id, nonce.c.number).in_(used)).values(mined_block=block_number)
    )


def mined_elsewise(connection: sa.Connection, batch_id: str, number: int, block_number: int) -> None:
    """A transaction that is not known here carried the batch; the nonce, if it was the batch's own, is used up."""
    connection.execute(
        nonce.update()
        .where(nonce.c.batch_id == batch_id, nonce.c.number == number, nonce.c.state == LIVE)
        .values(mined_block=block_number)
    )


def newest_mined(connection: sa.Connection, lane_id: int) -> int | None:
    """The newest block that holds a transaction of the lane, or None: nonces are mined in their order."""
    number: int | None = connection.scalar(
        sa.select(nonce.c.mined_block)
        .where(nonce.c.lane_id == lane_id, nonce.c.mined_block.is_not(None))
        .order_by(nonce.c.number.desc())
        .limit(1)
    )
    return number


def undo_above(connection: sa.Connection, block_number: int) -> None:
    """The blocks above this one are no longer canonical: what they held must be sent again."""
    gone = sa.select(nonce.c.lane_id, nonce.c.number).where(nonce.c.mined_block > block_number)
    connection.execute(
        attempt.update()
        .where(sa.tuple_(attempt.c.lane_id, attempt.c.nonce).in_(gone))
        .values(taken_ms=None, taken_block=None, sent_ms=None)
    )
    connection.execute(nonce.update().where(nonce.c.mined_block > block_number).values(mined_block=None))


def sent(connection: sa.Connection, transaction_hash: bytes, now_ms: int) -> None:
    """The bytes were handed to a node, whatever it answered."""
    connection.execute(attempt.update().where(attempt.c.hash == transaction_hash).values(sent_ms=now_ms))


def taken(connection: sa.Connection, transaction_hash: bytes, now_ms: int, block_number: int) -> None:
    """A node took the bytes while this was the newest block; when it first did is kept."""
    connection.execute(
        attempt.update()
        .where(attempt.c.hash == transaction_hash, attempt.c.taken_ms.is_(None))
        .values(taken_ms=now_ms, taken_block=block_number)
    )


def use_up(connection: sa.Connection, lane_id: int, below: int) -> list[int]:
    """The lane's nonces below this one that none of our attempts used are used by somebody else; answers which."""
    rows = connection.execute(
        nonce.update()
        .where(
            nonce.c.lane_id == lane_id,
            nonce.c.number < below,
            nonce.c.mined_block.is_(None),
            nonce.c.state == LIVE,
        )
        .values(state=FOREIGN)
        .returning(nonce.c.number)
    )
    return sorted(rows.scalars())


def is_signed() -> sa.Exists:
    """Whether a batch (of the query around it) is signed under a nonce that was or may yet be mined."""
    return sa.exists().where(nonce.c.batch_id == batch.c.id, nonce.c.state == LIVE)


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
    """Streams with frozen batches that are not signed.

    They are the newest of their stream, since signing goes in order; but for one whose nonce somebody else used up.
    """
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


def signed_since(connection: sa.Connection, stream_id: int, sequence: int) -> bool:
    """Whether any of the stream's unposted batches from this one on is signed, so that it may yet be mined."""
    row = connection.execute(
        sa.select(batch.c.id)
        .where(
            batch.c.stream_id == stream_id,
            batch.c.sequence >= sequence,
            batch.c.state.in_(UNMINED),
            is_signed(),
        )
        .limit(1)
    ).first()
    return row is not None


def anything_to_sign(connection: sa.Connection, now_ms: int) -> bool:
    """Whether there is work that the poster will sign by itself: neither throttled nor before or after its time."""
    due = sa.or_(batch.c.due_ms.is_(None), batch.c.due_ms <= now_ms)
    counts = sa.or_(batch.c.valid_until.is_(None), batch.c.valid_until >= now_ms // 1000)
    query = _unsigned(batch.c.id).where(due, counts, batch.c.throttled.is_(None)).limit(1)
    row = connection.execute(query).one_or_none()
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
            is_signed(),
        )
    )
    return list(rows.scalars())


def _of_nonce() -> sa.ColumnElement[bool]:
    return sa.and_(attempt.c.lane_id == nonce.c.lane_id, attempt.c.nonce == nonce.c.number)


def _unsigned(*columns: Any) -> sa.Select[Any]:
    return sa.select(*columns).select_from(batch).where(batch.c.state.in_(UNMINED), ~is_signed())
