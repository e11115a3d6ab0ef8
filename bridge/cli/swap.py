"""`sarraf swap`: the acceptance of a firm offer."""

from typing import Annotated

import typer

from bridge.cli.output import Json, emit, facts, flat
from bridge.cli.target import connect
from bridge.client import WAIT_S_MAX

Wait = Annotated[int | None, typer.Option("--wait", min=0, max=WAIT_S_MAX, help="Seconds to wait until it is final.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(swap)


def swap(
    context: typer.Context,
    quote_id: Annotated[str, typer.Argument(metavar="QUOTE", help="The quote to accept.")],
    key: Annotated[
        str | None, typer.Option(help="Idempotency key; else one made of the quote, so a repeat is harmless.")
    ] = None,
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Accept a quote."""
    with connect(context) as client:
        posted = client.swap(quote_id, key=key or f"cli-{quote_id}", wait_s=wait)
    title = "this swap had been accepted before" if posted.replayed else "accepted"
    emit(posted.operation, json, lambda console: console.print(facts(title, flat(posted.operation))))
