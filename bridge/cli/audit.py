"""`sarraf audit` and `reconcile`: ledger against chain, with an exit code that a script can act on."""

from collections.abc import Callable

import typer
from rich.console import Console

from bridge.answers import Audit, AuditedProgram
from bridge.cli.errors import CANNOT_TELL, FAILED, CliError, line
from bridge.cli.output import Json, emit, table
from bridge.cli.target import connect
from bridge.client import Client, ClientError

DIFFERING_SHOWN_MAX = 50


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(audit)
    app.command()(reconcile)


def audit(context: typer.Context, json: Json = False) -> None:
    """Compare ledger and chain. Exit code 0: equal; 1: any difference; 2: no audit could be had."""
    _compare(context, json, Client.audit)


def reconcile(context: typer.Context, json: Json = False) -> None:
    """Compare as the service does by itself: a difference stops posting. Exit codes as for `audit`."""
    _compare(context, json, Client.reconcile)


def _compare(context: typer.Context, json: bool, ask: Callable[[Client], Audit]) -> None:
    try:
        with connect(context) as client:
            found = ask(client)
    except (CliError, ClientError) as error:
        typer.echo(f"sarraf: no audit could be had: {line(error)}", err=True)
        raise typer.Exit(CANNOT_TELL) from error
    emit(found, json, lambda console: _show(found, console))
    if found["verdict"] != "ok" or found["differences"] != 0:
        raise typer.Exit(FAILED)


def _show(found: Audit, console: Console) -> None:
    lines: tuple[tuple[str, Callable[[AuditedProgram], int]], ...] = (
        ("points earned", lambda p: p["points_earned"]),
        ("points redeemed", lambda p: p["points_redeemed"]),
        ("of these expired", lambda p: p["points_expired"]),
        ("points to come", lambda p: p["points_to_come"]),
        ("swapped in", lambda p: p["swapped_in"]),
        ("swapped out", lambda p: p["swapped_out"]),
        ("supply on chain", lambda p: p["supply"]),
        ("sum of ledger", lambda p: p["ledger"]),
        ("accounts compared", lambda p: p["accounts"]),
        ("differences", lambda p: p["differences"]),
        ("position, ledger", lambda p: p["position_micro"]["ledger"]),
        ("position, chain", lambda p: p["position_micro"]["chain"]),
    )
    programs = found["programs"]
    names = [f"{p['name']} ({p['symbol']})" for p in programs]
    rows = ((label, *(number(p) for p in programs)) for label, number in lines)
    console.print(f"Block {found['block']['number']:,} {found['block']['hash']}")
    console.print(table("", ("", *names), rows, right=names))
    differing = [(p["symbol"], d) for p in found["programs"] for d in p["differing"]]
    for symbol, difference in differing[:DIFFERING_SHOWN_MAX]:
        console.print(
            f"{symbol} {difference['account']}: ledger {difference['ledger']:,}, chain {difference['chain']:,}"
        )
    console.print(f"{found['verdict']}: {found['differences']:,} differences")
