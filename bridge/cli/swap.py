"""`sarraf quote` and `sarraf swap`: a firm offer, and its acceptance."""

from typing import Annotated

import typer
from rich.console import Console

from bridge.answers import Quote
from bridge.cli.errors import CliError
from bridge.cli.lookup import find_member, find_program
from bridge.cli.output import Json, emit, facts, flat, table
from bridge.cli.target import connect
from bridge.client import WAIT_S_MAX

Wait = Annotated[int | None, typer.Option("--wait", min=0, max=WAIT_S_MAX, help="Seconds to wait until it is final.")]


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command()(quote)
    app.command()(swap)


def quote(
    context: typer.Context,
    member: Annotated[str, typer.Argument(help="Who swaps: a member's number or id.")],
    destination: Annotated[str, typer.Argument(metavar="TO", help="The program whose points are wanted.")],
    amount_in: Annotated[int | None, typer.Option("--in", help="Points to give.")] = None,
    amount_out: Annotated[int | None, typer.Option("--out", help="Points to receive.")] = None,
    program: Annotated[str | None, typer.Option("--program", help="The program whose points are given.")] = None,
    json: Json = False,
) -> None:
    """Ask for a firm offer: exactly so many points in, or exactly so many out."""
    if (amount_in is None) == (amount_out is None):
        raise CliError("give exactly one of --in and --out")
    with connect(context) as client:
        made = client.quote(
            member_id=find_member(client, member, program)["id"],
            to_program_id=find_program(client, destination)["id"],
            amount_in=amount_in,
            amount_out=amount_out,
        )
    emit(made, json, lambda console: _show(made, console))


def swap(
    context: typer.Context,
    quote_id: Annotated[str, typer.Argument(metavar="QUOTE", help="The quote to accept.")],
    key: Annotated[
        str | None, typer.Option(help="Idempotency key; else one made of the quote, so a repeat is harmless.")
    ] = None,
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Accept a quote."""
    with connect(context) as client:
        posted = client.swap(quote_id, key=key or f"cli-{quote_id}", wait_s=wait)
    title = "this swap had been accepted before" if posted.replayed else "accepted"
    emit(posted.operation, json, lambda console: console.print(facts(title, flat(posted.operation))))


def _show(made: Quote, console: Console) -> None:
    console.print(
        f"{made['id']}: {made['amount_in']:,} points in, {made['amount_out']:,} points out,"
        f" {made['remainder']:,} kept; firm until {made['expires_at']}"
    )
    rows = ((part["label"], part["detail"], part["points"]) for part in made["explanation"])
    console.print(table("", ("", "how", "points"), rows, right=("points",)))
