"""Pages of a list, by cursor, both ways."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from exchange.errors import Invalid

PAGE_ITEMS_MAX = 200
PAGE_ITEMS_DEFAULT = 50
#: The greatest number that a row can have.
SERIAL_MAX = 2**63 - 1

Item = TypeVar("Item")


class InvalidCursor(Invalid):
    """Raised when a cursor is not one that a list of this kind has given."""

    type = "invalid-cursor"


@dataclass(frozen=True, slots=True)
class Ask:
    """Which page is wanted: how many items, and the cursor that the page before gave."""

    limit: int = PAGE_ITEMS_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Items in the list's order; `next` and `previous` are cursors, None at the list's ends."""

    items: list[Item]
    next: str | None
    previous: str | None


def read(
    connection: sa.Connection,
    query: sa.Select[Any],
    order: sa.ColumnElement[Any],
    ask: Ask,
    make: Callable[[sa.Row[Any]], Item],
    *,
    newest_first: bool = False,
) -> Page[Item]:
    """One page of `query`, ordered by the unique column `order`. Raises InvalidCursor."""
    assert 1 <= ask.limit <= PAGE_ITEMS_MAX
    backwards, mark = _decode(ask.cursor, order)
    falling = newest_first != backwards
    if mark is not None:
        query = query.where(order < mark if falling else order > mark)
    query = query.add_columns(order.label("page_mark")).order_by(order.desc() if falling else order)
    rows = list(connection.execute(query.limit(ask.limit + 1)))
    more = len(rows) > ask.limit
    rows = rows[: ask.limit]
    if backwards:
        rows.reverse()
    ahead = more if not backwards else mark is not None
    behind = mark is not None if not backwards else more
    return Page(
        items=[make(_without_mark(row)) for row in rows],
        next=_encode("a", rows[-1].page_mark) if rows and ahead else None,
        previous=_encode("b", rows[0].page_mark) if rows and behind else None,
    )


class _Columns:
    """A row without the page's own column."""

    def __init__(self, row: sa.Row[Any]) -> None:
        self._mapping = {name: value for name, value in row._mapping.items() if name != "page_mark"}

    def __getattr__(self, name: str) -> Any:
        return self._mapping[name]


def _without_mark(row: sa.Row[Any]) -> Any:
    return _Columns(row)


def _encode(way: str, mark: str | int) -> str:
    return base64.urlsafe_b64encode(f"{way}{mark}".encode()).decode().rstrip("=")


def _decode(cursor: str | None, order: sa.ColumnElement[Any]) -> tuple[bool, str | int | None]:
    if cursor is None:
        return False, None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        way, mark = text[:1], text[1:]
        if way not in ("a", "b") or not mark or "\0" in mark:  # which PostgreSQL takes in no text
            raise ValueError
        if not isinstance(order.type, sa.Integer):
            return way == "b", mark
        if not 0 <= int(mark) <= SERIAL_MAX:
            raise ValueError
        return way == "b", int(mark)
    except (ValueError, binascii.Error, UnicodeDecodeError):
        raise InvalidCursor(
            "this cursor was not given by this list; leave it out to begin anew", field="cursor"
        ) from None
