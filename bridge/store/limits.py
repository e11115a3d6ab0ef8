"""Limits: how many points a program's token lets its issuer post, as far as the ledger was told."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import lots
from bridge.store.schema import program_limit
from exchange.errors import OverLimit

ISSUANCE, REDEMPTION, RELEASE = "issuance", "redemption", "release"
NAMES = (ISSUANCE, REDEMPTION, RELEASE)
#: The bounds of a direction's swaps: source points in a period, and micro-units that the source may owe.
MANAGED_CAP, CREDIT = "managed-cap", "credit"
#: What stands behind the name of a limit that a path meets several times, before whose it is.
_OF = ":"
#: A paused program lets nothing through.
PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Bounds:
    """So many points at once (`capacity`), so many come back each second."""

    capacity: int
    refill_per_second: int


#: What a program begins with unless it is told otherwise.
DEFAULTS: Mapping[str, Bounds] = {
    ISSUANCE: Bounds(10_000_000, 100),
    REDEMPTION: Bounds(10_000_000, 100),
    RELEASE: Bounds(1_000_000, 10),
}


def cap_of(from_program_id: str, to_program_id: str) -> str:
    """The key of a direction's cap among the limits that a batch of swaps meets."""
    return f"{MANAGED_CAP}{_OF}{from_program_id}>{to_program_id}"


def credit_of(program_id: str) -> str:
    """The key of what a program may owe among the limits that a batch of swaps meets."""
    return f"{CREDIT}{_OF}{program_id}"


def name_of(key: str) -> str:
    """Which limit a key is of."""
    return key.partition(_OF)[0]


def add(connection: sa.Connection, program_id: str, bounds: Mapping[str, Bounds]) -> None:
    """A new program's limits, one of each name."""
    connection.execute(
        program_limit.insert(),
        [
            {
                "program_id": program_id,
                "name": name,
                "capacity": bounds[name].capacity,
                "refill_per_second": bounds[name].refill_per_second,
            }
            for name in NAMES
        ],
    )


def changed(connection: sa.Connection, program_id: str, name: str, bounds: Bounds) -> None:
    """The token said that a limit is now this."""
    connection.execute(
        program_limit.update()
        .where(program_limit.c.program_id == program_id, program_limit.c.name == name)
        .values(capacity=bounds.capacity, refill_per_second=bounds.refill_per_second)
    )
    if name == REDEMPTION:
        lots.look_again_in(connection, program_id)


def of_program(connection: sa.Connection, program_id: str) -> dict[str, Bounds]:
    """A program's limits by name."""
    rows = connection.execute(
        sa.select(program_limit.c.name, program_limit.c.capacity, program_limit.c.refill_per_second).where(
            program_limit.c.program_id == program_id
        )
    )
    return {name: Bounds(capacity, refill) for name, capacity, refill in rows}


def require(capacity: int, amount: int, name: str) -> None:
    """Raises OverLimit when one operation takes more than one batch can ever carry."""
    if amount > capacity:
        raise OverLimit(
            f"the program's {name} limit lets {capacity:,} points through at once, {amount:,} can never be posted",
            field="points",
            limit=capacity,
            nearest=capacity or None,
        )


def expiring_max(capacity: int) -> int:
    """Of a limit of redemption, the most that expires in one batch: a quarter, rounded up.

    With what is kept it is never more than the whole, so that some time it finds room; and it does so before the limit
    is quite full, which under steady redemptions it may never be.
    """
    return -(-capacity // 4)


def kept_from_expiry(capacity: int) -> int:
    """Of a limit of redemption, what a batch in which points expire leaves to those who redeem: half, rounded down."""
    return capacity // 2


def capacity(connection: sa.Connection, program_id: str, name: str) -> int:
    """The most points that one batch can post under this limit."""
    found: int = connection.execute(
        sa.select(program_limit.c.capacity).where(
            program_limit.c.program_id == program_id, program_limit.c.name == name
        )
    ).scalar_one()
    return found
