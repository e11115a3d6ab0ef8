"""Attempts: every signed transaction, stored before it is sent."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.batches import UNMINED
from bridge.store.schema import attempt, batch


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


def without_attempt(connection: sa.Connection) -> list[str]:
    """Frozen batches for which nothing was signed yet, oldest first."""
    rows = connection.execute(
        sa.select(batch.c.id)
        .outerjoin(attempt, attempt.c.batch_id == batch.c.id)
        .where(batch.c.state.in_(UNMINED), attempt.c.hash.is_(None))
        .order_by(batch.c.id)
    )
    return list(rows.scalars())
