"""Writes the tables of docs/node-messages.md from the table that the service reads refusals by.

python scripts/write_node_messages.py            writes the page's tables anew
python scripts/write_node_messages.py --check    writes nothing; exits 1 when the page differs from the code
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from bridge.chain.messages import BLANK, CODES, EXPLAINED, MESSAGES, NodeMessage

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "node-messages.md"
MARK: Final = "<!-- written by scripts/write_node_messages.py; do not edit below -->"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the tables of what nodes say.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when the page differs")
    parser.add_argument("--file", type=Path, default=PAGE, help="the page")
    chosen = parser.parse_args(arguments)
    text = chosen.file.read_text(encoding="utf-8")
    written = text.partition(MARK)[0] + MARK + "\n\n" + "\n".join(tables()) + "\n"
    if not chosen.check:
        chosen.file.write_text(written, encoding="utf-8")
        sys.stdout.write(f"wrote {chosen.file}\n")
        return 0
    if written == text:
        return 0
    sys.stderr.write(f"{chosen.file} is not what the code says: run scripts/write_node_messages.py\n")
    return 1


def tables() -> Iterator[str]:
    """The lines below the mark."""
    yield "## What a refusal can mean"
    yield ""
    yield from _table(
        ("meaning", "what it means, and what follows"), ((f"`{one}`", EXPLAINED[one]) for one in EXPLAINED)
    )
    yield ""
    yield "## Codes that are beyond doubt"
    yield ""
    yield from _table(("code", "meaning"), ((f"`{code}`", f"`{CODES[code]}`") for code in sorted(CODES, reverse=True)))
    for node, said in groupby(MESSAGES, key=lambda one: one.node):
        yield ""
        yield f"## {node}"
        yield ""
        yield from _table(("it says", "code", "meaning", "source"), (_row(one) for one in said))


def _row(one: NodeMessage) -> tuple[str, ...]:
    code = "varies" if one.code is None else f"`{one.code}`"
    if one.status != 200:
        code += f", HTTP {one.status}"
    return f"`{one.text.replace(BLANK, '…')}`", code, f"`{one.meaning}`", _source(one.source)


def _source(source: str) -> str:
    """A page as a link, a file by its repository and its path there."""
    if source.startswith("https://"):
        return f"[{source.removeprefix('https://')}]({source})"
    repository, _, path = source.partition(" ")
    return f"{repository}, `{path}`"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.exit(main())
