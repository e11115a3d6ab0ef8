"""The published tables that the tests price by, read into forms."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.forms.spelling import moment_of
from bridge.forms.terms_file import TermsEntry, TermsFile, load
from exchange.pricing import Price, price
from exchange.situation import Situation
from exchange.terms import Terms

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "docs" / "examples" / "terms"
WORLD = EXAMPLES / "world_rules.yaml"

NOW = "2026-03-01"
"""A day on which all published rules were in force in their newest version."""

Row = dict[str, str]


def rows(name: str) -> list[Row]:
    """The rows of a table."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def file_of(entries: Sequence[Mapping[str, Any]]) -> TermsFile:
    """Entries, written as a file of terms and read again; what is empty is left out."""
    said = [{name: _number(value) for name, value in entry.items() if value} for entry in entries]
    return load(json.dumps({"terms": said}))  # JSON is YAML too


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def in_force(file: TermsFile, source: str, destination: str, day: str = NOW) -> TermsEntry:
    """The entry of a direction on a day."""
    return file.in_force(moment_of(day))[source, destination]


def priced(terms: Terms, amount: int, day: str = NOW, tier: str | None = None) -> Price:
    """What an amount gives on a day to a member who swapped nothing before."""
    return price(terms, amount, Situation(at=moment_of(day), tier=tier))
