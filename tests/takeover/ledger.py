"""What the database itself says of a takeover, asked past the services."""

from collections.abc import Collection
from dataclasses import dataclass

import psycopg

_LANES = "SELECT substr(name, 6)::bigint FROM lease WHERE name LIKE 'lane:%%' AND holder = %s"
_BUSIEST = """
SELECT holder FROM lease WHERE name LIKE 'lane:%' AND holder IS NOT NULL GROUP BY holder ORDER BY count(*) DESC LIMIT 1
"""
_NEXT = "SELECT min(created_ms) FROM attempt WHERE lane_id = ANY(%s) AND created_ms > %s"
#: Operations that were accepted by then, and of whose batch nothing was signed before.
_WAITED = """
SELECT count(*) FROM operation WHERE created_ms <= %(by)s AND created_ms > %(since)s - 60000 AND NOT EXISTS (
    SELECT FROM nonce JOIN attempt ON attempt.lane_id = nonce.lane_id AND attempt.nonce = nonce.number
    WHERE nonce.batch_id = operation.batch_id AND attempt.created_ms < %(by)s
)
"""


@dataclass(frozen=True)
class Takeover:
    """One takeover: ms until the next batch was signed on a lane of the leader that was killed, and what waited."""

    next_batch_ms: int
    operations_waited: int


class LedgerView:
    """Reads the services' database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def busiest(self) -> str:
        """The process that leads the most lanes."""
        return str(self._one(_BUSIEST, None))

    def lanes_of(self, process: str) -> list[int]:
        """The lanes whose lease a process holds."""
        with psycopg.connect(self._url) as connection:
            return [int(row[0]) for row in connection.execute(_LANES, (process,))]

    def next_batch(self, lanes: Collection[int], since_ms: int) -> int | None:
        """When the first transaction of these lanes after that moment was signed; None while there is none."""
        found = self._one(_NEXT, (list(lanes), since_ms))
        return None if found is None else int(str(found))

    def takeover(self, killed_ms: int, signed_ms: int) -> Takeover:
        """The measure of a takeover that is over."""
        waited = self._one(_WAITED, {"by": signed_ms, "since": killed_ms})
        return Takeover(signed_ms - killed_ms, int(str(waited)))

    def _one(self, query: str, values: object) -> object:
        with psycopg.connect(self._url) as connection:
            row = connection.execute(query, values).fetchone()  # type: ignore[call-overload]
            return None if row is None else row[0]
