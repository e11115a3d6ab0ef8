"""`sarraf demo`: the service, a month or a year of purchases, and the final report."""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bridge.cli.child import LOG_FILE, Service, service
from bridge.cli.errors import FAILED, CliError
from bridge.cli.output import Json, console, emit_json, side_console
from bridge.cli.ports import pick_port
from bridge.cli.running import is_served, read_running
from bridge.client import Client

if TYPE_CHECKING:
    from bridge.demo.report import Report

DATA_DEFAULT = Path(".sarraf/demo")
# Only a directory with one of these is the demo's own, and may be removed.
MARKS = ("demo.mark", "demo-keys.json")
POLL_S = 0.5
WORKERS = 16
WORKERS_MAX = 32


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    events: Annotated[str, typer.Option(help="'may', 'all', or a month such as 2017-03.")] = "may",
    once: Annotated[bool, typer.Option("--once", help="End after the report; code 1 on any fault.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Begin anew: remove the demo's data first.")] = False,
    data: Annotated[Path, typer.Option(help="The demo's own data directory.")] = DATA_DEFAULT,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the service; else 8080, or a free one.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=WORKERS_MAX, help="Connections that send purchases at once.")
    ] = WORKERS,
    json: Json = False,
) -> None:
    """Replay the purchases of 84.51° Complete Journey, swap points, and compare ledger and chain."""
    from bridge.demo.events import Period
    from bridge.demo.report import show
    from bridge.demo.run import Options, run

    period = Period.parse(events)
    out = side_console() if json else console()
    if reset:
        remove_data(data)
    data.mkdir(parents=True, exist_ok=True)
    (data / MARKS[0]).touch()
    if is_served(data):
        out.print(f"A service runs on {data} already: the demo uses it and leaves it running")
    else:
        out.print(f"Starting the service; its log is {data / LOG_FILE}")
    with service(data, port=pick_port(port)) as running:
        options = Options(data, running.operator_key, period, workers)
        report = run(lambda key: Client(running.url, key), options, out)
        if json:
            emit_json(report.to_dict())
        else:
            show(report, out)
        if not once:
            _stay(running, out)
    _leave(report)


def remove_data(data: Path) -> None:
    """Remove the demo's data. Raises CliError while a service runs on it, or when it is not the demo's."""
    if not data.exists():
        return
    if is_served(data):
        running = read_running(data)
        which = "" if running is None else f" at {running.url} (process {running.pid})"
        raise CliError(f"a service runs on {data}{which}: stop it before a reset")
    is_ours = any((data / mark).exists() for mark in MARKS)
    if not is_ours and any(data.iterdir()):
        raise CliError(f"{data} was not made by the demo, so it is not removed; choose another with --data")
    shutil.rmtree(data)


def _pause(seconds: float) -> None:
    time.sleep(seconds)


def _stay(running: Service, out: Console) -> None:
    out.print(f"\nThe service goes on: API {running.url}/v1, documentation {running.url}/docs,")
    out.print(f"metrics {running.url}/metrics. Ctrl-C ends it.")
    try:
        while not running.has_ended:
            if running.process is None:
                return
            _pause(POLL_S)
    except KeyboardInterrupt:
        out.print("Stopping the service ...")
        return
    raise CliError(f"the service ended by itself; see {running.log}")


def _leave(report: "Report") -> None:
    if not report.is_clean:
        raise typer.Exit(FAILED)
