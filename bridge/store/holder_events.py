"""What holders did on the chain, and what it says of bindings: noted when seen, booked when final.

Whoever sent the transaction, the holder or a relay, what counts is the contract's event. Events of one block stand in
the order in which the chain told them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.holder_calls import NONCE_USED
from bridge.store.schema import holder_event

REDEEMED, DEPOSITED, SWAPPED, TRANSFERRED, BOUND = "redeemed", "deposited", "swapped", "transferred", "bound"
KINDS = (REDEEMED, DEPOSITED, SWAPPED, TRANSFERRED, BOUND, NONCE_USED)


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that a contract said of a holder; what it means says `kind`. Amounts are points.

    `number` is the order or nonce that was used up, 32 bytes. `positions` are tokens in hexadecimal with how far a swap
    moved their positions, in micro-units as text.
    """

    kind: str
    contract: bytes
    transaction_hash: bytes
    holder: bytes
    other: bytes | None = None
    source: bytes | None = None
    reference: bytes | None = None
    amount: int = 0
    amount_out: int = 0
    number: bytes | None = None
    effective_ms: int | None = None
    positions: list[tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A happening in its place."""

    id: int
    block_number: int
    block_ms: int
    seen_ms: int
    what: Happening


def note(
    connection: sa.Connection, happenings: Iterable[Happening], *, block_number: int, block_ms: int, now_ms: int
) -> None:
    """Remember what happened in a block, until it is final or gone."""
    rows = [
        {name: getattr(one, name) for name in Happening.__slots__}
        | {"block_number": block_number, "block_ms": block_ms, "seen_ms": now_ms}
        for one in happenings
    ]
    if rows:
        connection.execute(holder_event.insert(), rows)


def forget_above(connection: sa.Connection, number: int) -> None:
    """The blocks above this one are gone, and what happened in them did not."""
    connection.execute(holder_event.delete().where(holder_event.c.block_number > number))


def waiting(connection: sa.Connection, final_number: int) -> list[Noted]:
    """What happened up to this block and is not in the books yet, in its order."""
    rows = connection.execute(
        sa.select(holder_event)
        .where(holder_event.c.booked_ms.is_(None), holder_event.c.block_number <= final_number)
        .order_by(holder_event.c.block_number, holder_event.c.id)
    )
    return [
        Noted(
            row.id,
            row.block_number,
            row.block_ms,
            row.seen_ms,
            Happening(**{name: row._mapping[name] for name in Happening.__slots__}),
        )
        for row in rows
    ]


def booked(connection: sa.Connection, event_id: int, operation_id: str | None, now_ms: int) -> None:
    """It is in the books, as this operation where it moved points."""
    connection.execute(
        holder_event.update().where(holder_event.c.id == event_id).values(booked_ms=now_ms, operation_id=operation_id)
    )
