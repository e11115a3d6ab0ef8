"""`sarraf mark-restored`: a ledger in PostgreSQL is a copy that was put back."""

from typing import Annotated

import typer

from bridge.cli.effective import load
from bridge.cli.target import Target

Reason = Annotated[str, typer.Option("--reason", help="Which copy it is, and why; kept for good.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mark-restored")(mark_restored)


def mark_restored(context: typer.Context, reason: Reason = "restored from a copy") -> None:
    """Say that the ledger in PostgreSQL was restored: it takes in from the chain what it lacks before it goes on."""
    settings = load(Target.of(context))
    from bridge import backups

    backups.mark_restored(settings, reason)
    typer.echo(
        "marked: nothing is accepted until the ledger has taken in what the chain did since the copy was made. Then let"
        " the partners repeat what they sent since, with the same keys; see docs/runbook/recovery.md."
    )
