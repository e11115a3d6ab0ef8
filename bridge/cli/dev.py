"""`sarraf dev`: chain, service and a live view of both in one terminal."""

import time
from collections.abc import Iterator
from itertools import count, islice
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from bridge.answers import Operation, Status
from bridge.cli.child import Service, service
from bridge.cli.errors import CliError
from bridge.cli.output import Json, console, emit_json, table
from bridge.cli.ports import pick_port
from bridge.cli.service import Port
from bridge.cli.status import state
from bridge.cli.target import Target
from bridge.client import Client

NEWEST = 12
REFRESH_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(dev)


def dev(
    context: typer.Context,
    port: Port = None,
    looks: Annotated[int | None, typer.Option(min=1, help="End after so many looks; else Ctrl-C.")] = None,
    json: Json = False,
) -> None:
    """Run chain and service, and show what happens. --json prints one line for each look."""
    data = Target.of(context).data_path()
    with service(data, port=pick_port(port)) as running, Client(running.url, running.operator_key) as client:
        try:
            if json:
                _lines(client, running, looks)
            else:
                _live(client, running, looks, console())
        except KeyboardInterrupt:
            return


def _lines(client: Client, running: Service, looks: int | None) -> None:
    for status, newest in _looks(client, running, looks):
        emit_json({"url": running.url, "status": status, "newest": newest}, compact=True)


def _live(client: Client, running: Service, looks: int | None, out: Console) -> None:
    out.print(f"API {running.url}/v1, documentation {running.url}/docs, log {running.log}; Ctrl-C ends it")
    if not out.is_terminal:
        for status, _ in _looks(client, running, looks):
            out.print(_sentence(status))
        return
    with Live(console=out, auto_refresh=False) as live:
        for status, newest in _looks(client, running, looks):
            live.update(Group(state(status), _newest(newest)), refresh=True)


def _looks(client: Client, running: Service, looks: int | None) -> Iterator[tuple[Status, list[Operation]]]:
    """Status and newest operations, once every REFRESH_S."""
    for _ in count() if looks is None else range(looks):
        if running.has_ended:
            raise CliError(f"the service ended by itself; see {running.log}")
        newest = islice(client.operations(page_items=NEWEST), NEWEST)
        yield client.status(), list(newest)
        time.sleep(REFRESH_S)


def _sentence(status: Status) -> str:
    chain, posting, totals = status["chain"], status["posting"], status["totals"]
    breaker = posting["breaker"]
    return (
        f"head {chain['head']:,}, final {chain['final']:,}, indexed {chain['indexed']:,};"
        f" {posting['accepted_waiting']:,} waiting, {posting['batches_in_flight']:,} batches in flight;"
        f" {totals['operations']:,} operations, {totals['members']:,} members"
        + (f"; posting has stopped: {breaker['reason']}" if breaker else "")
    )


def _newest(newest: list[Operation]) -> Table:
    headings = ("at", "kind", "points", "state", "block", "id")
    rows = ((o["created_at"], o["kind"], o["points"], o["state"], o["block"], o["id"]) for o in newest)
    return table("Newest operations", headings, rows, right=("points",))
