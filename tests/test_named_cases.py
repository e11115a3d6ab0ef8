"""The table of named cases names every case once, and only tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
CASES = range(1, 19)

_ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> dict[int, str]:
    """The tests' column of each case."""
    found = [(int(number), shown_by) for number, _, _, shown_by in _ROW.findall(PAGE.read_text())]
    assert len(found) == len(dict(found)), "a case has two rows"
    return dict(found)


def functions_of(file: Path) -> set[str]:
    """The names of the tests that a file defines."""
    return {one.name for one in ast.walk(ast.parse(file.read_text())) if isinstance(one, ast.FunctionDef)}


def test_table__then_has_every_case() -> None:
    assert sorted(rows()) == list(CASES)


@pytest.mark.parametrize("case", CASES)
def test_case__then_names_only_tests_that_exist(case: int) -> None:
    shown_by = rows()[case]
    named = _TEST.findall(shown_by)
    assert named, "a case is shown by a test"
    assert _TEST.sub("", shown_by).strip() == "", "nothing else stands in that column"
    for file, function in named:
        assert (ROOT / file).is_file(), file
        assert function in functions_of(ROOT / file), f"{file}::{function}"
