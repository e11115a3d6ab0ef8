"""`sarraf program`: loyalty programs and their keys."""

import re
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bridge.answers import Limit, PowerCall, PowerCalls, Program, ProgramOnChain
from bridge.cli.errors import CliError
from bridge.cli.lookup import find_program
from bridge.cli.output import Json, emit, facts, flat, table
from bridge.cli.target import connect
from bridge.client import Client

POLL_S = 0.3
WAIT_S_MAX = 120.0
#: What a key has unless it is told otherwise: all that daily work needs, so not `powers`, `adjust` and `approve`.
SCOPES = ("earn", "redeem", "swap", "terms", "members", "read")

#: Said in place of a value that nobody knows.
UNKNOWN = "unknown"

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
    limit: Annotated[
        list[str] | None,
        typer.Option(
            help="A limit of posting as NAME=CAPACITY:REFILL, such as issuance=1000000:50: so many points at once, so"
            " many back each second. NAME is issuance, redemption or release; may be repeated."
        ),
    ] = None,
    transferable: Annotated[bool, typer.Option(help="Let holders transfer points to other members' wallets.")] = False,
    credit_limit_micro: Annotated[
        int | None, typer.Option(help="What it may come to owe by swaps, in millionths of the currency.")
    ] = None,
    point_value: Annotated[
        str | None, typer.Option(help="What one point is worth when redeemed at home, such as 0.008.")
    ] = None,
    money: Annotated[str | None, typer.Option(help="ISO 4217 code of what that is in; else USD.")] = None,
    debt_limit: Annotated[
        int | None, typer.Option(help="Points that one member may owe when spent points are taken back; else none.")
    ] = None,
    notice_days: Annotated[
        list[int] | None, typer.Option(help="Tell members so many days ahead of what expires; may be repeated.")
    ] = None,
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
            limits=dict(map(_limit, limit)) if limit else None,
            transferable=transferable,
            credit_limit_micro=credit_limit_micro,
            money=money,
            point_value_micro=None if point_value is None else _micro(point_value),
            notice_days=notice_days or (),
            debt_limit=debt_limit,
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
def notices(
    context: typer.Context,
    program: Name,
    days: Annotated[list[int] | None, typer.Argument(help="How many days ahead, such as 30 7; none: no more.")] = None,
    json: Json = False,
) -> None:
    """Say how many days ahead a program's members are told of what expires."""
    with connect(context) as client:
        made = client.set_notices(find_program(client, program)["id"], days or [])
    _show(made, json)


@app.command()
def value(
    context: typer.Context,
    program: Name,
    point_value: Annotated[
        str, typer.Argument(metavar="VALUE", help="What one point is worth at home, such as 0.008; or unknown.")
    ],
    money: Annotated[str | None, typer.Option(help="ISO 4217 code of what that is in; else as it was.")] = None,
    json: Json = False,
) -> None:
    """Say what one point of a program is worth when it is redeemed at home."""
    micro = None if point_value == UNKNOWN else _micro(point_value)
    with connect(context) as client:
        found = find_program(client, program)
        made = client.set_point_value(found["id"], money=money or found["money"], point_value_micro=micro)
    _show(made, json)


@app.command("debt-limit")
def debt_limit(
    context: typer.Context,
    program: Name,
    points: Annotated[int, typer.Argument(min=0, help="Points that one member may owe; 0: none.")],
    json: Json = False,
) -> None:
    """Say what a member may owe when points are taken back that are spent already."""
    with connect(context) as client:
        made = client.set_debt_limit(find_program(client, program)["id"], points)
    _show(made, json)


@app.command()
def key(
    context: typer.Context,
    program: Name,
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope of the key; may be repeated. Else all that daily work needs.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="Who holds it; needed for the scopes adjust and approve.")] = None,
    json: Json = False,
) -> None:
    """Make a key of a program, shown this once (needs an operator key)."""
    with connect(context) as client:
        made = client.create_key(find_program(client, program)["id"], scope or SCOPES, person=person)
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


@app.command()
def status(context: typer.Context, program: Name, json: Json = False) -> None:
    """Show what a program's token says now, and the last calls of its guardian and admin."""
    with connect(context) as client:
        found = client.program_on_chain(find_program(client, program)["id"])
    emit(found, json, lambda console: _show_standing(console, found))


@app.command()
def pause(context: typer.Context, program: Name, json: Json = False) -> None:
    """Stop a program's posting at once; what is accepted meanwhile waits."""
    with connect(context) as client:
        made = client.pause(find_program(client, program)["id"])
    _show_calls(made, json)


@app.command()
def unpause(context: typer.Context, program: Name, json: Json = False) -> None:
    """Let a program's posting go on when its delay is over."""
    with connect(context) as client:
        made = client.unpause(find_program(client, program)["id"])
    _show_calls(made, json)


@app.command()
def limits(
    context: typer.Context,
    program: Name,
    limit: Annotated[
        list[str],
        typer.Option(help="A limit as NAME=CAPACITY:REFILL, such as issuance=1000000:50; may be repeated."),
    ],
    json: Json = False,
) -> None:
    """Change limits: at once where neither number grows, else when the program's delay is over."""
    with connect(context) as client:
        made = client.set_limits(find_program(client, program)["id"], dict(map(_limit, limit)))
    _show_calls(made, json)


def _show_standing(console: Console, found: ProgramOnChain) -> None:
    values = {name: value for name, value in found.items() if name not in ("limits", "calls")}
    console.print(facts("paused" if found["paused"] else "posting", values))
    headings = ("limit", "capacity", "refill per second", "available")
    rows = (
        (name, one["capacity"], one["refill_per_second"], one["available"]) for name, one in found["limits"].items()
    )
    console.print(table("", headings, rows, right=headings[1:]))
    if found["calls"]:
        console.print(_table_of(found["calls"]))


def _show_calls(made: PowerCalls, json: bool) -> None:
    emit(made, json, lambda console: console.print(_table_of(made["calls"])))


def _table_of(made: Sequence[PowerCall]) -> Table:
    headings = ("call", "limit", "capacity", "refill per second", "from", "state", "reason", "id")
    rows = (
        (
            one["call"],
            one["limit"],
            one["capacity"],
            one["refill_per_second"],
            one["ready_at"] or "at once",
            one["state"],
            one["reason"],
            one["id"],
        )
        for one in made
    )
    return table("", headings, rows)


def _limit(text: str) -> tuple[str, Limit]:
    match = re.fullmatch(r"(issuance|redemption|release)=(\d+):(\d+)", text.strip())
    if match is None:
        raise CliError(f"{text!r} is no limit: write its name, capacity and refill, such as issuance=1000000:50")
    return match[1], {"capacity": int(match[2]), "refill_per_second": int(match[3])}


def _micro(text: str) -> int:
    """A decimal number as millionths, exactly."""
    match = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?", text.strip())
    if match is None:
        raise CliError(f"{text!r} is no value of a point: write a number with at most six decimals, such as 0.008")
    return int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0"))


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
