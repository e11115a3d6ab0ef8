"""`sarraf terms diff`: what two files of terms, or a file and the terms in force, do not say alike."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bridge.cli.differences import Difference, differences
from bridge.cli.errors import CliError
from bridge.cli.output import Json, emit, table
from bridge.cli.target import connect
from bridge.cli.terms_files import Version, live_versions, programs_named, read_terms, said, versions_of


@dataclass(frozen=True, slots=True)
class Compared:
    """One version of a direction on both sides; a side that does not have it is None."""

    name: str
    before: Version | None
    after: Version | None

    @property
    def differences(self) -> list[Difference]:
        """The fields that differ; none where only one side has the version at all."""
        if self.before is None or self.after is None:
            return []
        return differences(self.before.written, self.after.written)

    @property
    def is_equal(self) -> bool:
        """Whether both sides say the same."""
        return self.before is not None and self.after is not None and not self.differences

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        change = "changed" if self.before and self.after else "added" if self.after else "removed"
        either = self.after or self.before
        assert either is not None
        return {
            "from": either.source,
            "to": either.destination,
            "change": change,
            "fields": [each.to_dict() for each in self.differences],
        }


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(diff)


def diff(
    context: typer.Context,
    before: Annotated[Path, typer.Argument(metavar="A", help="A file of terms.")],
    after: Annotated[Path | None, typer.Argument(metavar="B", help="Another one.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Compare the terms of the service with A instead.")] = False,
    json: Json = False,
) -> None:
    """Show field by field what changes from A to B, or from the terms of the service to A."""
    if live == (after is not None):
        raise CliError("give two files, or one file and --live")
    first = read_terms(before)
    if after is None:
        with connect(context) as client:
            there = live_versions(client, programs_named(client, first.programs))
        found = compare(there, versions_of(first), only_in_both=True)
    else:
        found = compare(versions_of(first), versions_of(read_terms(after)))
    changed = [each for each in found if not each.is_equal]
    emit([each.to_dict() for each in changed], json, lambda console: _show(changed, console))


def compare(before: Sequence[Version], after: Sequence[Version], *, only_in_both: bool = False) -> list[Compared]:
    """Version by version of each direction: those that start at the same moment, then the others in their order.

    With `only_in_both`, directions that only `before` has are left out: a file need not say everything.
    """
    by_direction: dict[tuple[str, str], tuple[list[Version], list[Version]]] = defaultdict(lambda: ([], []))
    for side, versions in enumerate((before, after)):
        for version in versions:
            by_direction[version.source.lower(), version.destination.lower()][side].append(version)
    return [each for one, other in by_direction.values() if other or not only_in_both for each in _pairs(one, other)]


def _pairs(before: list[Version], after: list[Version]) -> list[Compared]:
    pairs = []
    for version in list(before):
        twin = next((each for each in after if each.starts == version.starts), None)
        if twin is not None:
            before.remove(version)
            after.remove(twin)
            pairs.append(Compared(version.name, version, twin))
    rest = zip_longest(before, after)
    return pairs + [Compared(_name(one, other), one, other) for one, other in rest]


def _name(one: Version | None, other: Version | None) -> str:
    either = other or one
    assert either is not None
    return either.name


def _show(changed: Sequence[Compared], console: Console) -> None:
    if not changed:
        console.print("Both say the same")
    for each in changed:
        if each.before is None or each.after is None:
            written = (each.after or each.before or Version("", "", None, {})).written
            console.print(f"{each.name}: {'added' if each.after else 'removed'}, {said(dict(written))}")
        else:
            rows = ((one.field, said(one.before), said(one.after)) for one in each.differences)
            console.print(table(each.name, ("field", "before", "after"), rows))
