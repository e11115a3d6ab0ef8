"""`sarraf program`: loyalty programs and their keys."""

import time
from typing import Annotated

import typer

from bridge.answers import Program
from bridge.cli.errors import CliError
from bridge.cli.lookup import find_program
from bridge.cli.output import Json, emit, facts, flat, table
from bridge.cli.target import connect
from bridge.client import Client

POLL_S = 0.3
WAIT_S_MAX = 120.0
SCOPES = ("earn", "redeem", "swap", "terms", "members", "read")

app = typer.Typer(help="Loyalty programs and their keys.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="PROGRAM", help="A program's symbol or id.")]


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The program's name.")],
    symbol: Annotated[str, typer.Option(help="The token's symbol, such as BSKT.")],
    currency: Annotated[str, typer.Option(help="What its points are called.")],
    points: Annotated[int, typer.Option(help="Points earned ...")] = 1,
    per: Annotated[int, typer.Option(help="... for every full so many cents spent.")] = 100,
    expiry_days: Annotated[int | None, typer.Option(help="Days until points expire; else never.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until its token is deployed.")] = True,
    json: Json = False,
) -> None:
    """Create a program and deploy its token (needs an operator key)."""
    with connect(context) as client:
        made = client.create_program(
            name=name,
            symbol=symbol,
            currency=currency,
            earning_rate={"points": points, "per_minor_units": per},
            expiry_days=expiry_days,
        )
        if wait:
            made = _active(client, made)
    _show(made, json)


@app.command("list")
def list_programs(context: typer.Context, json: Json = False) -> None:
    """List all programs."""
    with connect(context) as client:
        programs = list(client.programs())
    rows = ((p["symbol"], p["name"], p["currency"], _rate(p), p["state"], p["id"], p["token"]) for p in programs)
    headings = ("symbol", "name", "currency", "earning", "state", "id", "token")
    emit(programs, json, lambda console: console.print(table("", headings, rows)))


@app.command()
def show(context: typer.Context, program: Name, json: Json = False) -> None:
    """Show one program."""
    with connect(context) as client:
        found = find_program(client, program)
    _show(found, json)


@app.command()
def key(
    context: typer.Context,
    program: Name,
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope of the key; may be repeated. Else all of a program's.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a key of a program, shown this once (needs an operator key)."""
    with connect(context) as client:
        made = client.create_key(find_program(client, program)["id"], scope or SCOPES)
    emit(made, json, lambda console: console.print(facts("Keep the key: it is not shown again", flat(made))))


@app.command()
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(help="The key's id.")],
    json: Json = False,
) -> None:
    """End a key at once (needs an operator key)."""
    with connect(context) as client:
        client.revoke_key(key_id)
    emit({"revoked": key_id}, json, lambda console: console.print(f"{key_id} is revoked"))


def _active(client: Client, program: Program) -> Program:
    deadline = time.monotonic() + WAIT_S_MAX
    while program["state"] != "active":
        if time.monotonic() > deadline:
            raise CliError(
                f"{program['symbol']} ({program['id']}) is still {program['state']} after {WAIT_S_MAX:.0f} s"
            )
        time.sleep(POLL_S)
        program = client.program(program["id"])
    return program


def _rate(program: Program) -> str:
    rate = program["earning_rate"]
    return f"{rate['points']:,} for {rate['per_minor_units']:,} cents"


def _show(program: Program, json: bool) -> None:
    emit(program, json, lambda console: console.print(facts(program["name"], flat(program))))
