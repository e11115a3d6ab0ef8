"""`sarraf restore`: a copy of the ledger in its place again, while the service is down."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from bridge.cli.effective import load
from bridge.cli.output import Json, emit
from bridge.cli.target import Target

if TYPE_CHECKING:
    from bridge.backups import Restored

File = Annotated[Path, typer.Argument(help="A file that `sarraf backup` or `sarraf rebuild ledger` wrote.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(restore)


def restore(context: typer.Context, file: File, json: Json = False) -> None:
    """Put a copy of the ledger in its place. The ledger that is there is kept aside, and the service must be down."""
    settings = load(Target.of(context))
    from bridge import backups

    found = backups.restore(settings, file)
    emit(_record(found), json, lambda console: _show(found, file, console))


def _record(found: "Restored") -> dict[str, Any]:
    return {
        "ledger": str(found.ledger),
        "made_at": None if found.manifest is None else found.manifest.made_at,
        "operations": found.contents.operations,
        "final_number": found.contents.final_number,
        "kept": None if found.kept is None else str(found.kept),
        "kept_operations": None if found.kept_contents is None else found.kept_contents.operations,
        "chain_number": found.chain_number,
        "manifest_compared": found.manifest is not None,
        "chain_compared": found.chain_checked,
    }


def _show(found: "Restored", file: Path, console: Console) -> None:
    for line in _lines(found, file):
        console.print(line, markup=False)


def _lines(found: "Restored", file: Path) -> list[str]:
    copied, lines = found.contents, []
    upto = "" if copied.final_number is None else f" and the chain up to block {copied.final_number:,}"
    lines.append(f"{found.ledger} is {file} now: it has {copied.operations:,} operations{upto}.")
    if found.manifest is None:
        lines.append("There was no manifest beside the copy: its SHA-256 was compared with nothing.")
    if found.kept is not None:
        lines.append(f"The ledger that was there is kept in {found.kept}.{_of_kept(found)}")
    if found.chain_number is not None:
        lines.append(f"The embedded chain is saved up to block {found.chain_number:,}.")
    if not found.chain_checked:
        lines.append("The chain could not be asked whether it is the copy's; the next start asks it.")
    lines.append(
        "At the next start nothing is accepted until the ledger has taken in what the chain did since the copy was"
        " made. Then let the partners repeat what they sent since, with the same keys; see docs/runbook/recovery.md."
    )
    return lines


def _of_kept(found: "Restored") -> str:
    if found.kept_contents is None:
        return " It cannot be read: the chain begins from its own files, or from the copy."
    more = found.kept_contents.operations - found.contents.operations
    return f" It has {more:,} operations more." if more > 0 else ""
