"""The `sarraf` command: its groups, and how errors reach the user."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from bridge.cli import (
    adjust,
    audit,
    backup,
    balance,
    breaker,
    config,
    demo,
    dev,
    doctor,
    keystore,
    lanes,
    mark_restored,
    member,
    operation,
    program,
    quote,
    rebuild,
    restore,
    service,
    status,
    swap,
    terms,
    wallet,
)
from bridge.cli.errors import FAILED, INTERRUPTED, CliError, line
from bridge.cli.target import Data, KeyFile, Target, Url
from bridge.client import ClientError
from bridge.demo.errors import DemoError
from exchange.errors import SarrafError

app = typer.Typer(
    name="sarraf",
    help="A blockchain-backed, interoperable exchange for loyalty points.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(version("sarraf"))
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    url: Url = None,
    key_file: KeyFile = None,
    data: Data = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A blockchain-backed, interoperable exchange for loyalty points."""
    context.obj = Target(url, key_file, data)


for module in (dev, service, demo, quote, swap, balance, audit, status, backup, restore, mark_restored, lanes, doctor):
    module.register(app)
for name, group in (
    ("program", program.app),
    ("member", member.app),
    ("terms", terms.app),
    ("operation", operation.app),
    ("breaker", breaker.app),
    ("rebuild", rebuild.app),
    ("config", config.app),
    ("keystore", keystore.app),
    ("wallet", wallet.app),
    ("adjust", adjust.app),
):
    app.add_typer(group, name=name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code. Expected errors become one line on stderr."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="sarraf")
    except (CliError, ClientError, DemoError, SarrafError) as error:
        typer.echo(f"sarraf: {line(error)}", err=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
