"""Lanes: signing accounts and the nonces they have used."""

from dataclasses import dataclass
from typing import NewType

import sqlalchemy as sa

from bridge.store.schema import attempt, lane, program

LaneId = NewType("LaneId", int)

EXCHANGE_ADMIN = "exchange-admin"
EXCHANGE_OPERATOR = "exchange-operator"
#: Sends what holders signed; its key has no power over anything.
RELAYER = "relayer"


@dataclass(frozen=True, slots=True)
class Lane:
    """One signing account: `key_index` names its key in the keystore, `next_nonce` the first nonce not yet reserved."""

    id: LaneId
    role: str
    key_index: int
    address: bytes
    next_nonce: int


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


def reserve_nonce(connection: sa.Connection, lane_id: int) -> int:
    """Take the lane's next nonce; it belongs to the caller's batch for ever once the transaction commits."""
    nonce: int = connection.execute(sa.select(lane.c.next_nonce).where(lane.c.id == lane_id)).scalar_one()
    connection.execute(lane.update().where(lane.c.id == lane_id).values(next_nonce=nonce + 1))
    return nonce


def unmined(connection: sa.Connection) -> dict[int, int]:
    """For each lane, how many of its stored transactions are not yet in a canonical block."""
    rows = connection.execute(
        sa.select(attempt.c.lane_id, sa.func.count()).where(attempt.c.mined_block.is_(None)).group_by(attempt.c.lane_id)
    )
    return dict(rows.all())
