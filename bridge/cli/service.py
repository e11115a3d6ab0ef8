"""`sarraf serve` and `sarraf deploy`: the service in the foreground, and the exchange on a node."""

from typing import Annotated

import typer

from bridge.cli.effective import load
from bridge.cli.output import Json, emit, emit_json, facts, flat
from bridge.cli.target import Target

Host = Annotated[str | None, typer.Option("--host", help="Address to listen on; else SARRAF_HOST.")]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port to listen on, 0 for a free one; else SARRAF_PORT."),
]


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command()(serve)
    app.command()(deploy)


def serve(context: typer.Context, host: Host = None, port: Port = None, json: Json = False) -> None:
    """Run the service in the foreground until Ctrl-C or SIGTERM."""
    settings = load(Target.of(context), host=host, port=port)
    from bridge import bootstrap

    if json:
        emit_json({"data": str(settings.data), "host": settings.host, "port": settings.port}, compact=True)
    bootstrap.serve(settings)


def deploy(context: typer.Context, json: Json = False) -> None:
    """Deploy the exchange to the configured node, and show the record of it."""
    settings = load(Target.of(context))
    from bridge import bootstrap

    record = bootstrap.deploy(settings)
    emit(record, json, lambda console: console.print(facts("Deployed", flat(record))))
