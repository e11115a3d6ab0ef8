"""Requests under an idempotency key: a repeat is told from another request, whatever the first one came to.

A request that becomes an operation is remembered by the operation. One that is none of its own, such as a hold or its
end, is remembered here. Both share the program's keys: no key serves two requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.database import IN_LIST_MAX
from bridge.store.schema import request
from exchange.errors import IdempotencyKeyReused


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a request: enough to tell a repeat from another request under the same key.

    `id` is that of the operation, or of what else the request made or changed; then it has neither points nor state.
    """

    id: str
    points: int
    state: str
    reason: str | None
    request_hash: bytes

    def require_same(self, request_hash: bytes, field: str = "Idempotency-Key") -> None:
        """Raises IdempotencyKeyReused unless the request is the one that was answered under this key."""
        if self.request_hash != request_hash:
            raise IdempotencyKeyReused(
                f"this key was used for another request, answered by {self.id}; take a new key",
                field=field,
            )


# Written once: building a statement anew costs more than running it.
_KNOWN = sa.select(request.c.idempotency_key, request.c.subject, request.c.request_hash).where(
    request.c.program_id == sa.bindparam("program"),
    request.c.idempotency_key.in_(sa.bindparam("keys", expanding=True)),
)


def known(connection: sa.Connection, program_id: str, keys: Sequence[str]) -> dict[str, Known]:
    """Those of these keys that the program used for requests that are no operations."""
    found: dict[str, Known] = {}
    for start in range(0, len(keys), IN_LIST_MAX):
        for row in connection.execute(_KNOWN, {"program": program_id, "keys": keys[start : start + IN_LIST_MAX]}):
            found[row.idempotency_key] = Known(row.subject, 0, "", None, row.request_hash)
    return found


def remember(
    connection: sa.Connection, program_id: str, key: str, *, request_hash: bytes, subject: str, now_ms: int
) -> None:
    """This request was answered, by what has the id `subject`; a key that is known already is a bug."""
    connection.execute(
        request.insert().values(
            program_id=program_id,
            idempotency_key=key,
            request_hash=request_hash,
            subject=subject,
            created_ms=now_ms,
        )
    )
