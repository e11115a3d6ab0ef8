"""Lanes: signing accounts, the nonces they have used, and what keeps their transactions from being mined."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

import sqlalchemy as sa

from bridge.store.schema import attempt, lane, lane_trouble, nonce, program

LaneId = NewType("LaneId", int)

EXCHANGE_ADMIN = "exchange-admin"
EXCHANGE_OPERATOR = "exchange-operator"
#: Sends what holders signed; its key has no power over anything.
RELAYER = "relayer"

#: States of a nonce: ours to use, or used up at a final block by a transaction that is not ours.
LIVE, FOREIGN = "live", "foreign"


@dataclass(frozen=True, slots=True)
class Lane:
    """One signing account: `key_index` names its key in the keystore, `next_nonce` the first nonce not yet reserved.

    Nonces below `doubtful_below` may yet be used by what a lost ledger had sent; 0 where none was lost.
    """

    id: LaneId
    role: str
    key_index: int
    address: bytes
    next_nonce: int
    doubtful_below: int


def _lane(row: sa.Row[tuple[object, ...]]) -> Lane:
    return Lane(**row._mapping)


def all_lanes(connection: sa.Connection) -> list[Lane]:
    """Every lane, oldest first."""
    return [_lane(row) for row in connection.execute(sa.select(lane).order_by(lane.c.id))]


def by_id(connection: sa.Connection, lane_id: int) -> Lane:
    """The lane with this id, which must exist."""
    return _lane(connection.execute(sa.select(lane).where(lane.c.id == lane_id)).one())


def by_role(connection: sa.Connection, role: str) -> Lane | None:
    """The lane of this role, or None."""
    row = connection.execute(sa.select(lane).where(lane.c.role == role)).one_or_none()
    return None if row is None else _lane(row)


def guardians(connection: sa.Connection) -> frozenset[int]:
    """The lanes of the programs' guardians."""
    return frozenset(connection.execute(sa.select(program.c.guardian_lane_id)).scalars())


def next_key_index(connection: sa.Connection) -> int:
    """The lowest key index above all that are taken, by lanes or by keys that stand by."""
    taken = (sa.func.max(lane.c.key_index), sa.func.max(program.c.standby_key_index))
    return max((one + 1 for one in map(connection.scalar, map(sa.select, taken)) if one is not None), default=0)


def add(connection: sa.Connection, *, role: str, key_index: int, address: bytes, next_nonce: int) -> LaneId:
    """Enter a new lane. `next_nonce` is what the chain says of the account now."""
    inserted = connection.execute(
        lane.insert().values(role=role, key_index=key_index, address=address, next_nonce=next_nonce)
    )
    assert inserted.inserted_primary_key is not None
    return LaneId(inserted.inserted_primary_key[0])


def reserve_nonce(connection: sa.Connection, lane_id: int, batch_id: str) -> int:
    """Take the lane's next nonce; it belongs to the batch for ever once the transaction commits.

    The database refuses a batch that has a live nonce already.
    """
    number: int = connection.execute(sa.select(lane.c.next_nonce).where(lane.c.id == lane_id)).scalar_one()
    connection.execute(lane.update().where(lane.c.id == lane_id).values(next_nonce=number + 1))
    connection.execute(nonce.insert().values(lane_id=lane_id, number=number, batch_id=batch_id, state=LIVE))
    return number


def skip_to(connection: sa.Connection, lane_id: int, number: int) -> None:
    """The chain has used every nonce of the lane below this one: the next that is reserved is not below it."""
    connection.execute(lane.update().where(lane.c.id == lane_id, lane.c.next_nonce < number).values(next_nonce=number))


def doubt(connection: sa.Connection, lane_id: int, below: int) -> None:
    """What a lost ledger had sent may use the lane's nonces below this one."""
    connection.execute(lane.update().where(lane.c.id == lane_id).values(doubtful_below=below))


def first_open(connection: sa.Connection, of: Lane) -> int:
    """The lane's first nonce that is in no canonical block, as far as the ledger knows."""
    query = sa.select(sa.func.min(nonce.c.number)).where(nonce.c.lane_id == of.id, _UNMINED)
    first: int | None = connection.scalar(query)
    return of.next_nonce if first is None else first


def has_doubts(connection: sa.Connection, of: Lane, final_number: int) -> bool:
    """Whether what a lost ledger had sent may yet use one of the lane's nonces, as of this final block."""
    open_still = sa.or_(nonce.c.mined_block.is_(None), nonce.c.mined_block > final_number)
    query = sa.select(sa.func.min(nonce.c.number)).where(nonce.c.lane_id == of.id, nonce.c.state == LIVE, open_still)
    first: int | None = connection.scalar(query)
    return (of.next_nonce if first is None else first) < of.doubtful_below


def unmined(connection: sa.Connection) -> dict[int, int]:
    """For each lane, how many of its nonces are not yet used up in a canonical block."""
    rows = connection.execute(sa.select(nonce.c.lane_id, sa.func.count()).where(_UNMINED).group_by(nonce.c.lane_id))
    return dict(rows.all())


# -- trouble -----------------------------------------------------------------------------------


class TroubleType(StrEnum):
    """What can keep a lane's transactions from being mined."""

    EMPTY_SIGNER = "empty-signer"
    FEE_CEILING = "fee-ceiling"
    UNDERPRICED = "underpriced"
    NONCE_GAP = "nonce-gap"
    FOREIGN_NONCE = "foreign-nonce"
    POOL_FULL = "pool-full"
    GAS_CAP = "gas-cap"
    REFUSED = "refused"
    LOW_FUNDS = "low-funds"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a lane's transactions from being mined, or soon will, in words, since when."""

    type: TroubleType
    text: str
    since_ms: int


def troubles(connection: sa.Connection) -> dict[int, Trouble]:
    """The trouble of each lane that has one."""
    rows = connection.execute(sa.select(lane_trouble).order_by(lane_trouble.c.lane_id))
    return {row.lane_id: Trouble(TroubleType(row.type), row.text, row.since_ms) for row in rows}


def tell(connection: sa.Connection, lane_id: int, kind: TroubleType, text: str, now_ms: int) -> None:
    """The lane is in trouble. Of the same type it is the same trouble, in newer words."""
    before = connection.execute(sa.select(lane_trouble).where(lane_trouble.c.lane_id == lane_id)).one_or_none()
    since_ms = before.since_ms if before is not None and before.type == kind else now_ms
    clear(connection, lane_id)
    connection.execute(lane_trouble.insert().values(lane_id=lane_id, type=kind.value, text=text, since_ms=since_ms))


def clear(connection: sa.Connection, lane_id: int) -> None:
    """Nothing keeps the lane's transactions from being mined."""
    connection.execute(lane_trouble.delete().where(lane_trouble.c.lane_id == lane_id))


# -- how lanes stand ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Oldest:
    """A lane's first nonce that is in no canonical block: since when, how many attempts, the newest one's fees."""

    nonce: int
    batch_id: str
    since_ms: int
    max_fee_wei: int
    tip_wei: int
    attempts: int


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """How a lane stands: what it has under way, and its trouble."""

    id: int
    role: str
    address: bytes
    next_nonce: int
    unmined: int
    oldest: Oldest | None
    trouble: Trouble | None


def status(connection: sa.Connection) -> list[LaneStatus]:
    """How every lane stands, the oldest lane first."""
    counts, oldest, found = unmined(connection), _oldest(connection), troubles(connection)
    return [
        LaneStatus(
            one.id, one.role, one.address, one.next_nonce, counts.get(one.id, 0), oldest.get(one.id), found.get(one.id)
        )
        for one in all_lanes(connection)
    ]


def _oldest(connection: sa.Connection) -> dict[int, Oldest]:
    first = (
        sa.select(nonce.c.lane_id, sa.func.min(nonce.c.number).label("number"))
        .where(_UNMINED)
        .group_by(nonce.c.lane_id)
        .subquery()
    )
    rows = connection.execute(
        sa.select(
            nonce.c.lane_id,
            nonce.c.number,
            nonce.c.batch_id,
            sa.func.min(attempt.c.created_ms),
            # fees only rise from one attempt to the next
            sa.func.max(attempt.c.max_fee_wei),
            sa.func.max(attempt.c.tip_wei),
            sa.func.count(),
        )
        .select_from(first)
        .join(nonce, sa.and_(nonce.c.lane_id == first.c.lane_id, nonce.c.number == first.c.number))
        .join(attempt, sa.and_(attempt.c.lane_id == nonce.c.lane_id, attempt.c.nonce == nonce.c.number))
        .group_by(nonce.c.lane_id, nonce.c.number, nonce.c.batch_id)
    )
    return {row[0]: Oldest(*row[1:]) for row in rows}


_UNMINED = sa.and_(nonce.c.mined_block.is_(None), nonce.c.state == LIVE)
