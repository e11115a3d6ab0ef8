"""`sarraf status`: is the service ready, and where does it stand."""

import typer
from rich.console import Console
from rich.table import Table

from bridge.answers import Check, Status
from bridge.cli.errors import FAILED
from bridge.cli.output import Json, emit, table, text
from bridge.cli.target import connect


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(context: typer.Context, json: Json = False) -> None:
    """Say whether the service is ready and where it stands. Exit code 1 when it is not ready."""
    with connect(context) as client:
        ready, readiness = client.readiness()
        found = client.status()
    emit({"ready": ready, **readiness, **found}, json, lambda console: _show(readiness["checks"], found, console))
    if not ready:
        raise typer.Exit(FAILED)


def _show(checks: list[Check], found: Status, console: Console) -> None:
    console.print(state(found))
    console.print(leading(found))
    recovery = found["recovery"]
    if recovery is not None and recovery["ended"] is not None:
        console.print(
            f"restored, until {recovery['ended']}: {recovery['batches']} batches taken from the chain,"
            f" {recovery['matched']} operations found again, {recovery['restored']} restored,"
            f" {recovery['orphans']} accounts are nobody's yet"
        )
    for check in checks:
        if not check["ok"]:
            console.print(f"[red]not ok[/] {check['name']}: {text(check['detail'])}")
            console.print("What to do: docs/runbook/README.md")


def leading(status: Status) -> Table:
    """Which process leads what, and which of them answered."""
    rows = []
    for one in status["leaders"]:
        does = [word for word, does in (("chain", one["chain"]), ("keeper", one["keeper"])) if does]
        rows.append(
            (f"{one['process']}{' (answered)' if one['here'] else ''}", " ".join(does), one["lanes"], one["since"])
        )
    return table("", ("process", "leads", "lanes", "since"), rows, right=("lanes",))


def state(status: Status) -> Table:
    """Where chain, posting and ledger stand, one under another."""
    chain, posting, totals = status["chain"], status["posting"], status["totals"]
    breaker = posting["breaker"]
    rows: list[tuple[str, object]] = [
        ("chain", f"{chain['chain_id']}, {chain['url_kind']}, {chain['finality']}"),
        ("exchange", chain["exchange"]),
        ("head / final / indexed", f"{chain['head']:,} / {chain['final']:,} / {chain['indexed']:,}"),
        ("operations waiting", posting["accepted_waiting"]),
        ("batches in flight", posting["batches_in_flight"]),
        ("posting", f"stopped, {breaker['alarm']}: {breaker['reason']}" if breaker else "goes on"),
        ("operations", totals["operations"]),
        ("members", totals["members"]),
        ("programs", totals["programs"]),
    ]
    return table(f"Sarraf {status['version']}", ("", "now"), rows)
