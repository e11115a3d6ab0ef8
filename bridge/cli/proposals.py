"""Proposals: what a file of terms asks of the service, entry by entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.answers import Program, TermsProposal
from bridge.cli.errors import CliError
from bridge.cli.terms_files import programs_named, read_terms
from bridge.client import Client

if TYPE_CHECKING:
    from bridge.forms.terms_file import Placed, TermsEntry


@dataclass(frozen=True, slots=True)
class Proposal:
    """One entry as it is proposed, and the line of the file on which it begins."""

    line: int
    name: str
    wanted: TermsProposal


def proposals(client: Client, path: Path) -> list[Proposal]:
    """What a file proposes: every entry with a ratio, those of a direction in the order in which they begin.

    Raises `InvalidTermsFile`, and CliError that names what a proposal needs and the file does not say.
    """
    file = read_terms(path)
    programs = programs_named(client, file.programs)
    with_ratio = [each for each in file.placed if each.entry.has_ratio]
    _require_prices(with_ratio)
    ordered = sorted(with_ratio, key=lambda each: each.entry.starts or 0)
    return [Proposal(each.line, " > ".join(each.entry.direction), proposal(each.entry, programs)) for each in ordered]


def proposal(entry: "TermsEntry", programs: Mapping[str, Program]) -> TermsProposal:
    """One entry between two programs of the service."""
    from bridge.forms.rules import RulesForm

    terms = entry.terms()
    wanted: TermsProposal = {
        "from_program_id": programs[entry.from_program]["id"],
        "to_program_id": programs[entry.to_program]["id"],
        "ratio": {"from_units": terms.ratio.from_units, "to_units": terms.ratio.to_units},
        "minimum": terms.minimum,
        "increment": terms.increment,
        "settlement_price_micro": terms.settlement_price,
        "currency": None if entry.price is None else entry.price.currency,
        "rules": RulesForm.of(terms.rules).written(),
        "confirm_ratio": entry.confirmed,
    }
    # What the entry does not say is the service's own.
    if "managed_cap" in entry.model_fields_set:
        wanted["managed_cap"] = terms.managed_cap
    if "wallet_cap" in entry.model_fields_set:
        wanted["wallet_cap"] = terms.wallet_cap
    if entry.starts is not None:
        wanted["starts_at"] = datetime.fromtimestamp(entry.starts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return wanted


def _require_prices(placed: Sequence["Placed"]) -> None:
    if without := [each.line for each in placed if each.entry.price is None]:
        raise CliError(
            f"a proposal says what the source owes for a point: add a price, such as USD 0.01, to the entries on"
            f" line {', '.join(map(str, without))}"
        )
