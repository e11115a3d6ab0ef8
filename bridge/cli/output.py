"""What commands print: tables and lines for people, JSON for programs."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 200

Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]


def console() -> Console:
    """For people, on standard output; a file or a pipe has room for whole tables."""
    return _with_room(Console(highlight=False, soft_wrap=True))


def side_console() -> Console:
    """For progress beside an answer, on standard error."""
    return _with_room(Console(stderr=True, highlight=False))


def _with_room(made: Console) -> Console:
    if not made.is_terminal:
        made.width = max(made.width, PLAIN_WIDTH)
    return made


def emit_json(value: object, *, compact: bool = False) -> None:
    """One JSON document; `compact` puts it on one line of a stream."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=None if compact else 2))


def emit(value: object, as_json: bool, show: Callable[[Console], None]) -> None:
    """`value` as JSON, or shown to a person."""
    if as_json:
        emit_json(value)
    else:
        show(console())


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> Table:
    """A table: whole numbers with separators, a dash for what is missing, the columns `right` set right."""
    made = Table(title=title or None, title_justify="left")
    for heading in headings:
        # An id that is broken over lines cannot be copied.
        whole = heading == "id"
        made.add_column(heading, justify="right" if heading in right else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        made.add_row(*(text(cell) for cell in row))
    return made


def facts(title: str, values: Mapping[str, object]) -> Table:
    """One thing's values, one under another."""
    return table(title, ("", "value"), values.items())


def text(cell: object) -> str:
    """A cell as people read it."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    # What others wrote must not be taken for markup.
    return str(cell).replace("[", r"\[")


def flat(value: Mapping[str, Any]) -> dict[str, object]:
    """One level: lists and mappings inside become short text."""
    return {
        name: json.dumps(inner, ensure_ascii=False) if isinstance(inner, list | dict) else inner
        for name, inner in value.items()
    }
