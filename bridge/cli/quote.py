"""`sarraf quote`, `sarraf route` and `sarraf board`: what points would become, and where."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from bridge.answers import Price, Quote
from bridge.cli.errors import CliError
from bridge.cli.lookup import find_member, find_program, symbols_by_id
from bridge.cli.offers import Symbols, board_table, sentence, side_by_side
from bridge.cli.output import Json, emit
from bridge.cli.target import connect
from bridge.client import Client
from bridge.explained import explained

HOPS_MAX = 4
ROUTES_MAX = 10


class Best(StrEnum):
    """What makes one route better than another."""

    POINTS = "points"
    HOPS = "hops"


Source = Annotated[str, typer.Argument(metavar="FROM", help="The program whose points are given: symbol or id.")]
Destination = Annotated[str, typer.Argument(metavar="TO", help="The program whose points are wanted.")]
In = Annotated[int | None, typer.Option("--in", help="Points to give.")]
Out = Annotated[int | None, typer.Option("--out", help="Points to receive.")]
Tier = Annotated[str | None, typer.Option("--tier", help="The member's tier at FROM.")]
Explain = Annotated[bool, typer.Option("--explain", help="Show line by line how the price came about.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (quote, route, board):
        app.command()(command)


def quote(
    context: typer.Context,
    source: Source,
    destination: Destination,
    member: Annotated[str, typer.Option("--member", help="Who swaps: a member's number or id.")],
    amount_in: In = None,
    amount_out: Out = None,
    via: Annotated[
        list[str] | None, typer.Option("--via", help="A program on the way; again for each further one.")
    ] = None,
    best: Annotated[Best | None, typer.Option("--best", help="Most points (as when left out), or fewest hops.")] = None,
    tier: Tier = None,
    explain: Explain = False,
    json: Json = False,
) -> None:
    """Ask for a firm offer: exactly so many points in, or at least so many out, by the best way or by a named one."""
    _require_one(amount_in, amount_out)
    if via and best is not None:
        raise CliError("give --via or --best: a named way is the only one looked at")
    with connect(context) as client:
        programs = [find_program(client, word) for word in (source, *(via or ()), destination)]
        made = client.quote(
            member_id=find_member(client, member, programs[0]["id"])["id"],
            to_program_id=programs[-1]["id"],
            amount_in=amount_in,
            amount_out=amount_out,
            path=[program["id"] for program in programs] if via else None,
            route=None if via else (best or Best.POINTS).value,
            tier=tier,
        )
        symbols = {} if json else _symbols(client, [made])
    emit(made, json, lambda console: _show_quote(made, symbols, explain, console))


def route(
    context: typer.Context,
    source: Source,
    destination: Destination,
    amount_in: In = None,
    amount_out: Out = None,
    best: Annotated[Best, typer.Option("--best", help="Most points first, or fewest hops first.")] = Best.POINTS,
    hops: Annotated[int | None, typer.Option("--hops", min=1, max=HOPS_MAX, help="At most so many swaps.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=ROUTES_MAX, help="At most so many routes.")] = 3,
    member: Annotated[
        str | None, typer.Option("--member", help="A member, so that what is left of caps counts.")
    ] = None,
    tier: Tier = None,
    explain: Explain = False,
    json: Json = False,
) -> None:
    """Show the best routes from one program to another side by side: an indication, not an offer."""
    _require_one(amount_in, amount_out)
    with connect(context) as client:
        first, last = find_program(client, source)["id"], find_program(client, destination)["id"]
        found = client.routes(
            from_program_id=first,
            to_program_id=last,
            amount_in=amount_in,
            amount_out=amount_out,
            best=best.value,
            hops_max=hops,
            count=count,
            tier=tier,
            member_id=None if member is None else find_member(client, member, first)["id"],
        )
        symbols = {} if json else _symbols(client, found["items"])

    def show(console: Console) -> None:
        console.print(side_by_side(found["items"], symbols))
        for price in found["items"] if explain else ():
            _show_lines(price, symbols, console)
        if not found["complete"]:
            console.print("The search met its limit: a better route may have been missed.")

    emit(found, json, show)


def board(
    context: typer.Context,
    program: Annotated[str, typer.Argument(metavar="PROGRAM", help="A program's symbol or id.")],
    json: Json = False,
) -> None:
    """Show what a program's points become at every partner, what comes back, and the last change."""
    with connect(context) as client:
        found = client.board(find_program(client, program)["id"])
    emit(found, json, lambda console: console.print(board_table(found)))


def _require_one(amount_in: int | None, amount_out: int | None) -> None:
    if (amount_in is None) == (amount_out is None):
        raise CliError("give exactly one of --in and --out")


def _symbols(client: Client, prices: Sequence[Price]) -> dict[str, str]:
    """Symbols, asked for only where there is something to show."""
    return symbols_by_id(client) if prices else {}


def _show_quote(made: Quote, symbols: Symbols, explain: bool, console: Console) -> None:
    console.print(f"{made['id']}: {sentence(made, symbols)}; firm until {made['expires_at']}")
    if explain:
        _show_lines(made, symbols, console)


def _show_lines(price: Price, symbols: Symbols, console: Console) -> None:
    console.print()
    console.print(sentence(price, symbols))
    for line in explained(price["explanation"], symbols):
        console.print(f"  {line}", markup=False)
