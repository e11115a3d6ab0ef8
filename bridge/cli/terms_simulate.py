"""`sarraf terms simulate`: what other terms would have done with the swaps of the past."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bridge.answers import Program, Terms
from bridge.cli.errors import CliError
from bridge.cli.lookup import find_program
from bridge.cli.output import Json, emit
from bridge.cli.proposals import proposal
from bridge.cli.target import connect
from bridge.cli.terms_files import programs_named, read_terms, standing_terms, written_terms
from bridge.client import Client

if TYPE_CHECKING:
    from bridge.forms.terms_file import TermsEntry, TermsFile
    from exchange.points import MicroUnits
    from exchange.simulation import Direction
    from exchange.terms import Terms as CoreTerms

SWAPS_READ = 2_000
DAY_S = 86_400


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of terms, in YAML.")],
    program: Annotated[
        str | None, typer.Option("--program", help="Only swaps out of this program; else all that the key may see.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many swaps.")] = SWAPS_READ,
    shift_days: Annotated[
        int, typer.Option("--shift-days", help="As if the swaps had been made so many days later.")
    ] = 0,
    json: Json = False,
) -> None:
    """Show what a file's terms would have done to points, positions and money over past swaps.

    Directions that the file does not name keep their terms in force. Each swap is offered again at its own moment, so
    dated promotions count where they fall on it; --shift-days brings them together.
    """
    from bridge.cli.past_swaps import SWAPS_READ_MAX, read_past, worths
    from bridge.cli.simulated import show, to_dict
    from exchange.simulation import simulate as run

    if limit > SWAPS_READ_MAX:
        raise CliError(f"a simulation reads at most {SWAPS_READ_MAX:,} swaps")
    wanted = read_terms(file)
    with connect(context) as client:
        programs = programs_named(client, wanted.programs)
        known = list(client.programs())
        standing = standing_terms(client)
        changed = _changed(client, wanted, programs, standing)
        directions: frozenset[Direction] = frozenset((terms.source, terms.destination) for terms in changed)
        source = None if program is None else find_program(client, program)["id"]
        past = read_past(client, source, directions, limit)
        kept = [terms for terms in map(_core, standing) if (terms.source, terms.destination) not in directions]
    swaps = [replace(swap, at=swap.at + shift_days * DAY_S) for swap in past.swaps]
    ends = frozenset((swap.path[0], swap.path[-1]) for swap in swaps)
    report = run(swaps, [*changed, *kept], worths(known, ends))
    symbols = {each["id"]: each["symbol"] for each in known}

    def shown(console: Console) -> None:
        show(report, symbols, console)
        if not past.complete:
            console.print(f"Only the newest {len(swaps):,} swaps were looked at; --limit takes more")
        if past.hidden:
            console.print(f"{past.hidden:,} swaps of other programs could not be read with this key")

    found = {**to_dict(report, symbols), "swaps": len(swaps), "hidden": past.hidden, "complete": past.complete}
    emit(found, json, shown)


def _changed(
    client: Client, file: "TermsFile", programs: Mapping[str, Program], standing: Sequence[Terms]
) -> list["CoreTerms"]:
    """What the file says, between the service's programs and at prices in the currency of settlements."""
    made = []
    for entry in file.entries:
        if entry.has_ratio:
            source, destination = programs[entry.from_program]["id"], programs[entry.to_program]["id"]
            price = _price(client, entry, programs, standing)
            made.append(replace(entry.terms("", source, destination), settlement_price=price))
    return made


def _price(
    client: Client, entry: "TermsEntry", programs: Mapping[str, Program], standing: Sequence[Terms]
) -> "MicroUnits":
    """An entry's price as the contract would hold it; without one, that of the terms which it replaces.

    The service converts another currency than its own, and says so where it refuses the terms.
    """
    from exchange.points import MicroUnits

    wanted = proposal(entry, programs)
    if entry.price is None:
        ends = (wanted["from_program_id"], wanted["to_program_id"])
        same = (each for each in standing if (each["from_program_id"], each["to_program_id"]) == ends)
        return MicroUnits(next((each["settlement_price_micro"] for each in same), 0))
    if any(each["currency"] == entry.price.currency for each in standing):
        return entry.price.micro
    return MicroUnits(client.check_terms(**wanted)["settlement_price_micro"])


def _core(terms: Terms) -> "CoreTerms":
    """Terms of the service as they are priced."""
    from bridge.forms.terms_file import TermsEntry

    ids = {terms["from_program_id"]: terms["from_program_id"], terms["to_program_id"]: terms["to_program_id"]}
    return TermsEntry.model_validate(written_terms(terms, ids)).terms(terms["id"])
