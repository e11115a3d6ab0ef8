"""`sarraf terms check`: what is wrong with a file of terms, or odd, before anybody proposes it."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from bridge.cli.errors import FAILED, CliError
from bridge.cli.output import Json, emit
from bridge.cli.proposals import proposals
from bridge.cli.target import connect
from bridge.cli.terms_files import read_terms
from bridge.client import Client, ProblemAnswer

if TYPE_CHECKING:
    from bridge.cli.findings import Finding


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of terms, in YAML.")],
    live: Annotated[
        bool, typer.Option("--live", help="Ask the service as well, which knows the terms in force.")
    ] = False,
    json: Json = False,
) -> None:
    """Check a file of terms: its form, each direction's terms, and the cycles among them.

    The exit code is 1 where there are errors, and 0 where there are warnings only.
    """
    checked = check_file(file, int(time.time()), partial(connect, context) if live else None)
    emit(checked, json, lambda console: _show(checked, console))
    if checked["errors"]:
        raise typer.Exit(FAILED)


def check_file(path: Path, now: int, service: Callable[[], Client] | None = None) -> dict[str, Any]:
    """Everything found in a file, as plain values; a service is asked where one is given and the file is readable.

    Raises CliError where there is no file, and ClientError where the service does not answer.
    """
    from bridge.cli.findings import ERROR, Finding, examine
    from bridge.forms.terms_file import FaultyTermsFile

    directions, limits = 0, 0
    try:
        file = read_terms(path)
    except FaultyTermsFile as refusal:
        findings = [
            Finding(ERROR, refusal.type, each.detail, each.line, each.field or None, each.limit, each.nearest)
            for each in refusal.faults
        ]
    else:
        findings = examine(file, now)
        directions, limits = len(file.terms()), len(file.limits())
        if service is not None:
            with service() as client:
                findings = with_live(findings, client, path)
    errors = sum(each.severity == ERROR for each in findings)
    return {
        "file": str(path),
        "directions": directions,
        "limits": limits,
        "errors": errors,
        "warnings": len(findings) - errors,
        "findings": [each.to_dict() for each in findings],
        "lines": list(map(str, findings)),
    }


def with_live(findings: Sequence["Finding"], client: Client, path: Path) -> list["Finding"]:
    """What was found, and what the service says to each entry that is not said already."""
    from bridge.cli.findings import ERROR, WARNING, Finding

    found = list(findings)
    try:
        wanted = proposals(client, path)
    except CliError as error:
        return [Finding(ERROR, "cannot-be-proposed", str(error)), *found]
    for one in wanted:
        said = {each.type for each in findings if each.line == one.line}
        try:
            warnings = client.check_terms(**one.wanted)["warnings"]
        except ProblemAnswer as problem:
            refusal = Finding(
                ERROR, problem.type, problem.detail, one.line, problem.field, problem.limit, problem.nearest
            )
            found += [refusal] if problem.type not in said else []
        else:
            found += [
                Finding(WARNING, each["type"], each["detail"], one.line)
                for each in warnings
                if each["type"] not in said
            ]
    return sorted(found, key=lambda each: (each.severity, each.line or 0))


def _show(checked: dict[str, Any], console: Console) -> None:
    for line in checked["lines"]:
        console.print(line, markup=False)
    said = f"{checked['directions']:,} terms, {checked['limits']:,} without a ratio"
    found = f"{_counted(checked['errors'], 'error')}, {_counted(checked['warnings'], 'warning')}"
    console.print(f"{checked['file']}: {said}; {found}")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
