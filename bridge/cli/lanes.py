"""`sarraf lanes`: how each signing account stands."""

import typer
from rich.console import Console

from bridge.answers import Lane
from bridge.cli.errors import FAILED
from bridge.cli.output import Json, emit, table, text
from bridge.cli.target import connect

GWEI = 10**9
#: Trouble that a lane still goes on with.
WARNINGS = frozenset({"low-funds"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lanes)


def lanes(context: typer.Context, json: Json = False) -> None:
    """Show every signing account: nonces, what is under way, its trouble. Exit code 1 when one cannot go on."""
    with connect(context) as client:
        found = client.lanes()
    emit(found, json, lambda console: _show(found, console))
    if any(one["trouble"] is not None and one["trouble"]["type"] not in WARNINGS for one in found):
        raise typer.Exit(FAILED)


def _show(found: list[Lane], console: Console) -> None:
    headings = ("lane", "address", "next nonce", "unmined", "oldest", "attempts", "gwei", "trouble", "led by")
    right = ("next nonce", "unmined", "attempts", "gwei")
    console.print(table("", headings, (_row(one) for one in found), right=right))
    for one in found:
        if (trouble := one["trouble"]) is not None:
            console.print(f"{one['role']}, since {trouble['since']}: {text(trouble['text'])}")
            console.print(f"What to do: docs/runbook/{trouble['type']}.md")


def _row(one: Lane) -> tuple[object, ...]:
    oldest, trouble = one["oldest"], one["trouble"]
    return (
        one["role"],
        one["address"],
        one["next_nonce"],
        one["unmined"],
        None if oldest is None else oldest["since"],
        None if oldest is None else oldest["attempts"],
        None if oldest is None else -(-oldest["max_fee_wei"] // GWEI),
        None if trouble is None else trouble["type"],
        None if one["leader"] is None else one["leader"]["process"],
    )
