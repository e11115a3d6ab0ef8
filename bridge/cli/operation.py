"""`sarraf operation`: what was accepted, and how far it has come."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from bridge.answers import Operation
from bridge.cli.errors import CliError
from bridge.cli.lookup import symbols_by_id
from bridge.cli.output import Json, emit, emit_json, facts, flat, table
from bridge.cli.target import connect
from bridge.client import PAGE_ITEMS, Client

POLL_S = 0.5
DONE = frozenset({"final", "failed", "cancelled"})

app = typer.Typer(help="Operations and their way to the chain.", no_args_is_help=True)


@app.command()
def show(
    context: typer.Context,
    operation: Annotated[str, typer.Argument(help="The operation's id.")],
    json: Json = False,
) -> None:
    """Show one operation with its steps."""
    with connect(context) as client:
        found = client.operation(operation)
    emit(found, json, lambda console: console.print(facts(found["kind"], flat(found))))


@app.command("list")
def list_operations(
    context: typer.Context,
    member: Annotated[str | None, typer.Option(help="Only of this member (id).")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind, such as earn, swap or release.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """List operations, newest first."""
    with connect(context) as client:
        pages = client.operations(member_id=member, kind=kind, state=state, page_items=min(limit, PAGE_ITEMS))
        found = list(islice(pages, limit))
        symbols = symbols_by_id(client)
    headings = ("at", "program", "kind", "points", "state", "id")
    rows = ((o["created_at"], symbols.get(o["program_id"]), o["kind"], o["points"], o["state"], o["id"]) for o in found)
    emit(found, json, lambda console: console.print(table("", headings, rows, right=("points",))))


@app.command()
def watch(
    context: typer.Context,
    operation: Annotated[str | None, typer.Argument(help="One operation, else all.")] = None,
    after: Annotated[str | None, typer.Option(help="Cursor of the event to go on after.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    timeout_s: Annotated[int, typer.Option(min=1, help="Longest wait for one operation.")] = 600,
    json: Json = False,
) -> None:
    """Follow one operation until it is done, or all operations until Ctrl-C; one line for each step."""
    with connect(context) as client:
        if operation is None:
            _watch_all(client, after, limit, json)
            return
        for found in _until_done(client, operation, timeout_s):
            _line(
                {
                    "operation_id": found["id"],
                    "kind": found["kind"],
                    "state": found["state"],
                    "reason": found["reason"],
                },
                json,
            )


def _watch_all(client: Client, after: str | None, limit: int | None, json: bool) -> None:
    for cursor, event in islice(client.watch(after=after), limit):
        _line({"cursor": cursor, **event}, json)


def _line(facts: dict[str, object], json: bool) -> None:
    if json:
        emit_json(facts, compact=True)
    else:
        typer.echo("  ".join(str(value) for value in facts.values() if value is not None))


def _until_done(client: Client, operation: str, timeout_s: int) -> Iterator[Operation]:
    deadline = time.monotonic() + timeout_s
    state = None
    while state not in DONE:
        found = client.operation(operation)
        if found["state"] != state:
            state = found["state"]
            yield found
        elif time.monotonic() > deadline:
            raise CliError(f"{operation} is still {state} after {timeout_s} s")
        else:
            time.sleep(POLL_S)
