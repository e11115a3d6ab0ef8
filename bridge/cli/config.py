"""`sarraf config`: which settings take effect."""

from dataclasses import asdict

import typer

from bridge.cli.effective import effective
from bridge.cli.output import Json, emit, table
from bridge.cli.target import Target

app = typer.Typer(help="Settings.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Settings."""


@app.command()
def show(context: typer.Context, json: Json = False) -> None:
    """Show every setting, its value, and where the value comes from. Secrets are not shown."""
    found = effective(Target.of(context))
    rows = ((s.name, s.value, s.source, s.description) for s in found)
    emit(
        [asdict(setting) for setting in found],
        json,
        lambda console: console.print(table("", ("setting", "value", "from", "meaning"), rows)),
    )
