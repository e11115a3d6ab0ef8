"""Powers: the calls of a program's guardian and admin on its token, and how far they have come."""

import sqlalchemy as sa

from bridge.store import attempts, batches
from bridge.store.batches import Batch
from bridge.store.schema import batch

PAUSE, UNPAUSE, SET_LIMIT = "pause", "unpause", "set-limit"
#: What is sent for their sake.
ANNOUNCE, WITHDRAW = "announce", "withdraw"

_CALLS = (PAUSE, UNPAUSE, SET_LIMIT)


def newest(connection: sa.Connection, program_id: str, count: int) -> list[Batch]:
    """The last calls that were asked for, the newest first."""
    query = _of_program(program_id, *_CALLS).order_by(batch.c.id.desc()).limit(count)
    return [Batch(**row._mapping) for row in connection.execute(query)]


def under_way(connection: sa.Connection, program_id: str) -> list[Batch]:
    """Calls in no canonical block yet, the oldest first."""
    query = _of_program(program_id, *_CALLS).where(batch.c.state.in_(batches.UNMINED)).order_by(batch.c.id)
    return [Batch(**row._mapping) for row in connection.execute(query)]


def count_under_way(connection: sa.Connection, program_id: str) -> int:
    """How many transactions of a program's powers are in no canonical block yet, announcements among them."""
    query = _of_program(program_id, *_CALLS, ANNOUNCE, WITHDRAW).where(batch.c.state.in_(batches.UNMINED))
    return connection.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0


def on_its_way(connection: sa.Connection, program_id: str, calldata: bytes) -> bool:
    """Whether a transaction with this call data, of a program's powers, is in no canonical block yet."""
    query = _of_program(program_id, *_CALLS, ANNOUNCE, WITHDRAW)
    found = query.where(batch.c.state.in_(batches.UNMINED), batch.c.calldata == calldata)
    return connection.execute(found.limit(1)).first() is not None


def take_back(connection: sa.Connection, batch_id: str, reason: str) -> bool:
    """Give up a call for which nothing was signed yet; whether it could be."""
    changed = connection.execute(
        batch.update()
        .where(batch.c.id == batch_id, batch.c.state == batches.FROZEN, ~attempts.is_signed())
        .values(state=batches.DISSOLVED, reason=reason)
    )
    return changed.rowcount == 1


def _of_program(program_id: str, *purposes: str) -> sa.Select[tuple[object, ...]]:
    return sa.select(batch).where(batch.c.subject == program_id, batch.c.purpose.in_(purposes))
