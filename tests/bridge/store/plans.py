"""How SQLite answers questions: by which indices, and what it reads from end to end."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def plans_of(engine: sa.Engine) -> Iterator[list[str]]:
    """The steps by which the block's questions are answered."""
    plans: list[str] = []

    def note(
        _connection: object, cursor: object, statement: str, parameters: object, _context: object, many: bool
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            one = parameters[0] if many else parameters  # type: ignore[index]
            asked = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", one)  # type: ignore[attr-defined]
            plans.extend(row[-1] for row in asked)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield plans
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
