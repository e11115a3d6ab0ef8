"""Writes the answers into docs/rates.md: what the amounts in its examples become under the terms beside them.

    python scripts/write_rates.py            writes the page's answers anew
    python scripts/write_rates.py --check    writes nothing; exits 1 when an answer differs from what pricing says

A block of YAML on the page is a file of terms. In the blocks of text after it each line that begins with `>` asks, and
what follows it up to an empty line or the next question is the answer.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridge.forms.spelling import moment_of
from bridge.forms.terms_file import TermsEntry, TermsFile, load
from exchange.errors import SarrafError
from exchange.explanation import Line, money
from exchange.pricing import Price, price, price_for
from exchange.situation import Situation

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "rates.md"
DAY: Final = "2026-03-01"
"""When a question is asked that names no day."""

_QUESTION = re.compile(
    r"> (?P<wanted>what gives )?(?P<amount>[\d,]+)(?: from (?P<source>.+?) to (?P<destination>.+?))?"
    r"(?: on (?P<day>\d{4}-\d{2}-\d{2}))?(?: as (?P<tier>.+))?"
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the answers of the examples in the page about rates.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when an answer differs")
    parser.add_argument("--file", type=Path, default=PAGE, help="the page")
    chosen = parser.parse_args(arguments)
    text = chosen.file.read_text(encoding="utf-8")
    answered = answer(text)
    if not chosen.check:
        chosen.file.write_text(answered, encoding="utf-8")
        sys.stdout.write(f"wrote {chosen.file}\n")
        return 0
    if answered == text:
        return 0
    sys.stderr.write(
        f"{chosen.file} says what pricing does not: run scripts/write_rates.py and review the difference\n"
    )
    return 1


def answer(page: str) -> str:
    """The page with its answers written anew."""
    parts: list[str] = []
    file: TermsFile | None = None
    for kind, block in blocks(page):
        if kind == "yaml":
            file = load(block)
        if kind == "text" and block.startswith(">"):
            assert file is not None, "a question comes after the terms that it is about"
            block = "\n\n".join(_answered(file, part.split("\n", 1)[0]) for part in _questions(block)) + "\n"
        parts.append(block if kind is None else f"```{kind}\n{block}```\n")
    return "".join(parts)


def blocks(page: str) -> Iterator[tuple[str | None, str]]:
    """The page's fenced blocks by the name of their language, and what is between them under None."""
    rest = page
    while match := re.search(r"^```(\w*)\n(.*?)^```\n", rest, re.DOTALL | re.MULTILINE):
        yield None, rest[: match.start()]
        yield match[1], match[2]
        rest = rest[match.end() :]
    yield None, rest


def _questions(block: str) -> list[str]:
    return [part for part in re.split(r"^(?=> )", block, flags=re.MULTILINE) if part.strip()]


def _answered(file: TermsFile, question: str) -> str:
    match = _QUESTION.fullmatch(question)
    assert match is not None, f"not a question: {question}"
    entry = _entry(file, match)
    amount = int(match["amount"].replace(",", ""))
    situation = Situation(at=moment_of(match["day"] or DAY), tier=match["tier"])
    ask = price_for if match["wanted"] else price
    try:
        lines = _lines(ask(entry.terms(), amount, situation))
    except SarrafError as refusal:
        nearest = "" if refusal.nearest is None else f"; the nearest is {refusal.nearest}"
        lines = [f"{refusal.type}: {refusal.detail}{nearest}"]
    return "\n".join([question, *lines])


def _entry(file: TermsFile, match: re.Match[str]) -> TermsEntry:
    standing = file.in_force(moment_of(match["day"] or DAY))
    if match["source"] is not None:
        return standing[match["source"], match["destination"]]
    (entry,) = standing.values()
    return entry


def _lines(result: Price) -> list[str]:
    said = [f"{_number(line):>12}  {line.label:<10} {line.detail}" for line in result.lines]
    total = f"{result.amount_out:>12,}  {'received':<10} in all"
    above = (
        []
        if result.nearest_above is None
        else [f"{result.nearest_above:>12,}  {'next':<10} the next amount that gives more"]
    )
    return [*said, total, *above]


def _number(line: Line) -> str:
    if line.micro is not None:
        return f"{line.currency} {money(line.micro)}"
    return f"{line.points:,}" if line.points else ""


if __name__ == "__main__":
    sys.exit(main())
