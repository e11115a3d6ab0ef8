"""`sarraf balance`: what a member has."""

from typing import Annotated

import typer

from bridge.cli.lookup import find_members, symbols_by_id
from bridge.cli.output import Json, emit, flat, table
from bridge.cli.target import connect

NUMBERS = ("posted", "available", "swappable", "held", "pending_in", "pending_out", "incoming", "debt")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(balance)


def balance(
    context: typer.Context,
    member: Annotated[str, typer.Argument(help="A member's number or id.")],
    program: Annotated[str | None, typer.Option("--program", help="Only in this program.")] = None,
    json: Json = False,
) -> None:
    """Show a member's points, in every program that the key may see."""
    with connect(context) as client:
        balances = [client.balance(found["id"]) for found in find_members(client, member, program)]
        symbols = symbols_by_id(client)
    headings = ("program", "on chain", "to spend", "to swap", "held", "coming in", "going out", "swapped in", "owed")
    rows = (
        (symbols.get(row["program_id"], row["program_id"]), *(flat(row)[name] for name in NUMBERS)) for row in balances
    )
    emit(balances, json, lambda console: console.print(table(member, headings, rows, right=headings[1:])))
