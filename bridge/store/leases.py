"""Leases: who may act in one matter. Of the processes on one ledger one follows the chain, and one posts on each lane.

Whoever takes a lease gets a token, higher than all before it, and each of their writes is refused unless the token is
still the newest. So it does no harm when two believe that they lead, one of which was asleep: time only decides when
another may try, and the ledger decides who writes. That rests on writers taking turns: between the look at the token
and the commit nobody takes the lease.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.schema import lane, lease
from exchange.errors import Unavailable

#: How long a lease counts from when it was taken or renewed; then another may take it.
LIFE_MS = 5_000

#: Follows the chain, recovers and audits.
CHAIN = "chain"
#: Does what falls due with time.
KEEPER = "keeper"
_LANE = "lane:"


class Fenced(Unavailable):
    """Raised when a process writes under a lease that another has taken since: nothing of it is written."""

    type = "fenced"

    def __init__(self, grant: "Grant") -> None:
        super().__init__(f"{grant.holder} no longer holds the lease {grant.name!r} by token {grant.token}")
        self.grant = grant


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """A lease as it was given to its holder. Each is one of a kind: taken again it is another."""

    name: str
    holder: str
    token: int


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds a lease (None: nobody) since when, and until when it counts if it is not renewed."""

    name: str
    token: int
    holder: str | None
    since_ms: int
    until_ms: int

    def is_free(self, now_ms: int) -> bool:
        """Whether it may be taken: it was given back, or its time is over, or a clock was set back since."""
        return self.holder is None or not 0 < self.until_ms - now_ms <= LIFE_MS


def of_lane(lane_id: int) -> str:
    """The name of a lane's lease."""
    return f"{_LANE}{lane_id}"


def lane_of(name: str) -> int | None:
    """The lane that a lease is for, None for one that is not for a lane."""
    return int(name.removeprefix(_LANE)) if name.startswith(_LANE) else None


def all_names(connection: sa.Connection) -> list[str]:
    """Every lease that somebody should hold."""
    lane_ids = connection.execute(sa.select(lane.c.id).order_by(lane.c.id)).scalars()
    return [CHAIN, KEEPER, *map(of_lane, lane_ids)]


def all_held(connection: sa.Connection) -> dict[str, Held]:
    """Every lease that was ever taken, by name."""
    rows = connection.execute(sa.select(lease).order_by(lease.c.name))
    return {row.name: Held(row.name, row.token, row.holder, row.since_ms, row.until_ms) for row in rows}


def is_to_take(found: Held | None, holder: str, now_ms: int, *, alone: bool) -> bool:
    """Whether a lease may be taken by `holder`, who does not hold it as far as they know."""
    return found is None or alone or found.holder == holder or found.is_free(now_ms)


def take(
    connection: sa.Connection, names: Iterable[str], holder: str, now_ms: int, *, alone: bool = False
) -> list[Grant]:
    """Take those of these leases that are free. The holder must not hold any of them, as far as they know.

    `alone`: there can be no other process on this ledger, so whoever holds a lease there is gone.
    """
    known = all_held(connection)
    return [
        _take(connection, known.get(name), name, holder, now_ms)
        for name in names
        if is_to_take(known.get(name), holder, now_ms, alone=alone)
    ]


def _take(connection: sa.Connection, before: Held | None, name: str, holder: str, now_ms: int) -> Grant:
    grant = Grant(name, holder, 1 if before is None else before.token + 1)
    values = {"token": grant.token, "holder": holder, "since_ms": now_ms, "until_ms": now_ms + LIFE_MS}
    if before is None:
        connection.execute(lease.insert().values(name=name, **values))
    else:
        connection.execute(lease.update().where(lease.c.name == name).values(**values))
    return grant


def renew(connection: sa.Connection, grants: Collection[Grant], holder: str, now_ms: int) -> list[Grant]:
    """Let the holder's leases count for another life; answers those of `grants` that nobody has taken since."""
    kept = _still(connection, grants, lease.c.holder == holder)
    if kept:
        connection.execute(lease.update().where(lease.c.holder == holder).values(until_ms=now_ms + LIFE_MS))
    return kept


def give_back(connection: sa.Connection, holder: str, now_ms: int) -> None:
    """Let others have what the holder has."""
    connection.execute(
        lease.update().where(lease.c.holder == holder).values(holder=None, since_ms=now_ms, until_ms=now_ms)
    )


def require(connection: sa.Connection, grant: Grant) -> None:
    """To be called first in a transaction that writes under a lease. Raises Fenced where another has taken it."""
    if not _still(connection, [grant], lease.c.name == grant.name):
        raise Fenced(grant)


def _still(connection: sa.Connection, grants: Collection[Grant], among: sa.ColumnElement[bool]) -> list[Grant]:
    rows = connection.execute(sa.select(lease.c.name, lease.c.holder, lease.c.token).where(among))
    standing = {(row.name, row.holder, row.token) for row in rows}
    return [one for one in grants if (one.name, one.holder, one.token) in standing]
