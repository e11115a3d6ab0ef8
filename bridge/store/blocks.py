"""Blocks: the canonical chain as far as it was followed, and the journal that rebuilds an embedded chain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.schema import batch, block, block_transaction, holder_event


@dataclass(frozen=True, slots=True)
class KnownBlock:
    """A canonical block that was taken in."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    final: bool


def tip(connection: sa.Connection) -> KnownBlock | None:
    """The newest block that was taken in."""
    row = connection.execute(sa.select(block).order_by(block.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else KnownBlock(**row._mapping)


def newest_final(connection: sa.Connection) -> KnownBlock | None:
    """The newest block that is final."""
    row = connection.execute(
        sa.select(block).where(block.c.final.is_(True)).order_by(block.c.number.desc()).limit(1)
    ).one_or_none()
    return None if row is None else KnownBlock(**row._mapping)


def at(connection: sa.Connection, number: int) -> KnownBlock | None:
    """The block of this number, or None."""
    row = connection.execute(sa.select(block).where(block.c.number == number)).one_or_none()
    return None if row is None else KnownBlock(**row._mapping)


def add(connection: sa.Connection, one: KnownBlock, raw_transactions: Sequence[bytes]) -> None:
    """Take in the next block; `raw_transactions` is empty where the journal is not ours to keep."""
    connection.execute(
        block.insert().values(
            number=one.number,
            hash=one.hash,
            parent_hash=one.parent_hash,
            timestamp=one.timestamp,
            final=one.final,
        )
    )
    if raw_transactions:
        connection.execute(
            block_transaction.insert(),
            [
                {"block_number": one.number, "position": position, "raw": raw}
                for position, raw in enumerate(raw_transactions)
            ],
        )


def finalise(connection: sa.Connection, number: int) -> None:
    """Every block up to this one is final."""
    connection.execute(block.update().where(block.c.number <= number, block.c.final.is_(False)).values(final=True))


def eventful(connection: sa.Connection, final_number: int) -> list[int]:
    """The blocks up to this one that hold batches or holders' doings which are not in the books yet, in order."""
    held = sa.select(batch.c.block_number).where(batch.c.state == "confirmed", batch.c.block_number <= final_number)
    happened = sa.select(holder_event.c.block_number).where(
        holder_event.c.booked_ms.is_(None), holder_event.c.block_number <= final_number
    )
    return sorted(connection.execute(held.union(happened)).scalars())


def remove_above(connection: sa.Connection, number: int) -> list[str]:
    """Forget the blocks above this one, which are no longer canonical; answers the batches that were in them."""
    held = connection.execute(sa.select(batch.c.id).where(batch.c.block_number > number).order_by(batch.c.id.desc()))
    gone = list(held.scalars())
    connection.execute(block_transaction.delete().where(block_transaction.c.block_number > number))
    connection.execute(block.delete().where(block.c.number > number))
    return gone


def journal_after(connection: sa.Connection, number: int) -> Iterator[tuple[KnownBlock, tuple[bytes, ...]]]:
    """The blocks above this one with their raw transactions, in order."""
    rows = connection.execute(sa.select(block).where(block.c.number > number).order_by(block.c.number)).all()
    for row in rows:
        raw = connection.execute(
            sa.select(block_transaction.c.raw)
            .where(block_transaction.c.block_number == row.number)
            .order_by(block_transaction.c.position)
        )
        yield KnownBlock(**row._mapping), tuple(raw.scalars())
