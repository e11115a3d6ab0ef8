"""Files of terms, and terms of the service in the same written form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.answers import Program, Terms
from bridge.cli.errors import CliError
from bridge.cli.output import text
from bridge.client import Client

if TYPE_CHECKING:
    from bridge.forms.terms_file import TermsEntry, TermsFile

STANDING = ("in_force", "announced", "suspended")
"""The states of terms that both programs consented to and that were not replaced."""


@dataclass(frozen=True, slots=True)
class Version:
    """What one version of a direction says, as a file writes it, without what goes without saying."""

    source: str
    destination: str
    starts: str | None
    written: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The direction, for people."""
        return f"{self.source} > {self.destination}"


def read_terms(path: Path) -> "TermsFile":
    """The terms of a file. Raises `InvalidTermsFile` with all faults, and CliError where there is no file."""
    # YAML and its forms cost more than all else that a command needs to start.
    from bridge.forms.terms_file import load

    try:
        return load(path)
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror or error}") from error


def versions_of(file: "TermsFile") -> list[Version]:
    """What a file says, version by version, in its order."""
    return [_version(entry) for entry in file.entries]


def _version(entry: "TermsEntry") -> Version:
    written = entry.written()
    starts = written.get("starts")
    return Version(entry.from_program, entry.to_program, None if starts is None else str(starts), written)


def programs_named(client: Client, names: Sequence[str]) -> dict[str, Program]:
    """The programs that a file means: by symbol, by name or by id, in capitals or not.

    Raises CliError that names each one which the service does not know.
    """
    known: dict[str, Program] = {}
    for program in client.programs():
        for word in (program["id"], program["name"], program["symbol"]):
            known[word.lower()] = program
    if missing := [name for name in names if name.lower() not in known]:
        symbols = ", ".join(sorted({program["symbol"] for program in known.values()})) or "none yet"
        raise CliError(f"the service has no program called {', '.join(map(repr, missing))}; there are: {symbols}")
    return {name: known[name.lower()] for name in names}


def live_versions(client: Client, programs: Mapping[str, Program]) -> list[Version]:
    """The newest terms between any two of these programs, under the names that they are called by here."""
    names = {program["id"]: name for name, program in programs.items()}
    return [
        live_version(terms, names)
        for terms in standing_terms(client)
        if terms["from_program_id"] in names and terms["to_program_id"] in names
    ]


def standing_terms(client: Client) -> list[Terms]:
    """The newest terms of each direction that both programs consented to."""
    newest: dict[tuple[str, str], Terms] = {}
    for terms in client.list_terms():
        direction = terms["from_program_id"], terms["to_program_id"]
        known = newest.get(direction)
        if terms["state"] in STANDING and (known is None or (terms["version"] or 0) > (known["version"] or 0)):
            newest[direction] = terms
    return list(newest.values())


def live_version(terms: Terms, names: Mapping[str, str]) -> Version:
    """Terms of the service as a file writes them."""
    from bridge.forms.terms_file import TermsEntry

    return _version(TermsEntry.model_validate(written_terms(terms, names)))


def written_terms(terms: Terms, names: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a file's entry; when live terms began is their own history, and no field of it."""
    from bridge.forms.spelling import Money, spell_money
    from exchange.points import MicroUnits

    rules: Any = terms.get("rules") or {}
    price = Money(terms["currency"], MicroUnits(terms["settlement_price_micro"]))
    return {
        "from": names[terms["from_program_id"]],
        "to": names[terms["to_program_id"]],
        "ratio": ratio_text(terms),
        "minimum": terms["minimum"],
        "increment": terms["increment"],
        "price": spell_money(price),
        "managed_cap": terms["managed_cap"],
        "wallet_cap": terms["wallet_cap"],
        **rules,
    }


def ratio_text(terms: Terms) -> str:
    """The ratio as people write it."""
    return f"{terms['ratio']['from_units']}:{terms['ratio']['to_units']}"


def said(value: object) -> str:
    """A value of a form in one cell."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {said(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(map(said, value)) or "none"
    return text(value)
