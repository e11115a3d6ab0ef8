"""`sarraf breaker`: why posting is stopped, stopping it by hand, letting it go on."""

from typing import Annotated

import typer
from rich.console import Console

from bridge.answers import BreakerState
from bridge.cli.errors import FAILED
from bridge.cli.output import Json, emit, table, text
from bridge.cli.target import connect

app = typer.Typer(help="The breaker, which stops posting.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", help="What was found, and what was done about it; kept for good.")]


@app.command()
def show(context: typer.Context, json: Json = False) -> None:
    """Say whether posting is stopped, by which alarm, and what happened before. Exit code 1 while it is stopped."""
    with connect(context) as client:
        found = client.breaker()
    emit(found, json, lambda console: _show(found, console))
    if found["tripped"]:
        raise typer.Exit(FAILED)


@app.command()
def trip(context: typer.Context, reason: Reason) -> None:
    """Stop posting. Requests are accepted and wait; guardians' calls go out."""
    with connect(context) as client:
        client.trip_breaker(reason)
    typer.echo("posting is stopped")


@app.command()
def reset(context: typer.Context, reason: Reason) -> None:
    """Let posting go on. Ledger and chain are compared first, and while they differ it stays stopped."""
    with connect(context) as client:
        found = client.breaker()
        if not found["tripped"]:
            typer.echo("nothing was done: the breaker is not tripped")
            return
        for one in found["history"]:
            if one["alarm"] is None:
                break
            typer.echo(f"{one['at']} {one['alarm']}: {one['reason']}")
        client.reset_breaker(reason, seen=found["history"][0]["id"])
    typer.echo("the breaker is reset, and posting goes on; the above is taken for mended")


def _show(found: BreakerState, console: Console) -> None:
    if found["tripped"]:
        console.print(f"[red]tripped[/] since {found['since']}: {found['alarm']}")
        console.print(text(found["reason"]))
        console.print(f"What to do: docs/runbook/{found['alarm']}.md")
    else:
        console.print("[green]closed[/]: posting goes on")
    if found["history"]:
        rows = ((one["at"], one["alarm"] or "reset", one["reason"]) for one in found["history"])
        console.print(table("", ("at", "alarm", "reason"), rows))
