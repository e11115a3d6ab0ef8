"""`sarraf terms`: what two programs agree for one direction."""

import re
from pathlib import Path
from typing import Annotated

import typer

from bridge.answers import Ratio, Terms
from bridge.cli import terms_check, terms_diff, terms_simulate
from bridge.cli.errors import CliError, line
from bridge.cli.lookup import find_program, symbols_by_id
from bridge.cli.output import Json, emit, facts, flat, table
from bridge.cli.proposals import proposals
from bridge.cli.target import connect
from bridge.client import ProblemAnswer

app = typer.Typer(help="Terms between two programs.", no_args_is_help=True)
for module in (terms_check, terms_diff, terms_simulate):
    module.register(app)

Id = Annotated[str, typer.Argument(metavar="TERMS", help="The terms' id.")]


@app.command()
def propose(
    context: typer.Context,
    source: Annotated[str | None, typer.Argument(metavar="[FROM]", help="Whose points are given.")] = None,
    destination: Annotated[str | None, typer.Argument(metavar="[TO]", help="Whose points are received.")] = None,
    ratio: Annotated[str | None, typer.Option(help="Points given to points received, such as 3:1.")] = None,
    price_micro: Annotated[
        int | None, typer.Option(help="What FROM owes TO for each point received, in millionths of the currency.")
    ] = None,
    minimum: Annotated[int, typer.Option(help="Least points given in one swap.")] = 1,
    increment: Annotated[int, typer.Option(help="Steps above the minimum.")] = 1,
    currency: Annotated[str, typer.Option(help="ISO 4217 code of the currency of the price.")] = "USD",
    managed_cap: Annotated[
        int, typer.Option(help="Points of FROM that members may swap in a period of caps.")
    ] = 10_000_000,
    wallet_cap: Annotated[
        int, typer.Option(help="Points of FROM that holders of wallets may swap in a period; 0: none.")
    ] = 0,
    confirm: Annotated[bool, typer.Option("--confirm", help="The ratio is meant, though it looks inverted.")] = False,
    file: Annotated[
        Path | None, typer.Option("--file", help="Propose each entry of a file of terms instead, with all its rules.")
    ] = None,
    json: Json = False,
) -> None:
    """Propose terms for one direction, or all that a file says; the other program consents."""
    if file is not None:
        if source is not None or ratio is not None or price_micro is not None:
            raise CliError("a file says what is proposed: give no other terms beside it")
        _propose_all(context, file, json)
        return
    if source is None or destination is None or ratio is None or price_micro is None:
        raise CliError("give FROM, TO, --ratio and --price-micro, or a --file")
    with connect(context) as client:
        made = client.propose_terms(
            from_program_id=find_program(client, source)["id"],
            to_program_id=find_program(client, destination)["id"],
            ratio=_ratio(ratio),
            minimum=minimum,
            increment=increment,
            settlement_price_micro=price_micro,
            currency=currency,
            managed_cap=managed_cap,
            wallet_cap=wallet_cap,
            confirm_ratio=confirm,
        )
    _show(made, json)


def _propose_all(context: typer.Context, file: Path, json: bool) -> None:
    made: list[Terms] = []
    with connect(context) as client:
        wanted = proposals(client, file)
        for one in wanted:
            try:
                made.append(client.propose_terms(**one.wanted))
            except ProblemAnswer as problem:
                emit(made, json, lambda console: console.print(f"{len(made)} of {len(wanted)} proposed"))
                raise CliError(f"line {one.line}, {one.name}: {line(problem)}") from problem
    rows = [(one.line, one.name, terms["state"], terms["id"]) for one, terms in zip(wanted, made, strict=True)]
    emit(made, json, lambda console: console.print(table("", ("line", "direction", "state", "id"), rows)))


@app.command()
def consent(context: typer.Context, terms: Id, json: Json = False) -> None:
    """Consent to the other program's proposal."""
    with connect(context) as client:
        made = client.consent(terms)
    _show(made, json)


@app.command()
def suspend(context: typer.Context, terms: Id, json: Json = False) -> None:
    """Suspend a direction at once."""
    with connect(context) as client:
        made = client.suspend(terms)
    _show(made, json)


@app.command("list")
def list_terms(
    context: typer.Context,
    source: Annotated[str | None, typer.Option("--from", help="Symbol or id of the source.")] = None,
    destination: Annotated[str | None, typer.Option("--to", help="Symbol or id of the destination.")] = None,
    state: Annotated[str | None, typer.Option(help="Only those in this state, such as in_force.")] = None,
    json: Json = False,
) -> None:
    """List terms, newest and oldest, of all directions or of some."""
    with connect(context) as client:
        found = list(
            client.list_terms(
                from_program_id=find_program(client, source)["id"] if source else None,
                to_program_id=find_program(client, destination)["id"] if destination else None,
                state=state,
            )
        )
        symbols = symbols_by_id(client)
    headings = ("from", "to", "ratio", "minimum", "increment", "price", "version", "state", "id")
    rows = (
        (
            symbols.get(t["from_program_id"], t["from_program_id"]),
            symbols.get(t["to_program_id"], t["to_program_id"]),
            f"{t['ratio']['from_units']}:{t['ratio']['to_units']}",
            t["minimum"],
            t["increment"],
            f"{t['settlement_price_micro']:,} micro-{t['currency']}",
            t["version"],
            t["state"],
            t["id"],
        )
        for t in found
    )
    emit(found, json, lambda console: console.print(table("", headings, rows)))


def _ratio(text: str) -> Ratio:
    match = re.fullmatch(r"(\d+):(\d+)", text.strip())
    if match is None:
        raise CliError(f"{text!r} is no ratio: write points given and points received, such as 3:1")
    return {"from_units": int(match[1]), "to_units": int(match[2])}


def _show(terms: Terms, json: bool) -> None:
    emit(terms, json, lambda console: console.print(facts(terms["state"], flat(terms))))
