"""The page about rates says what pricing says, and its terms are those of the whole file."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from bridge.forms.terms_file import load
from tests.bridge.forms.published import ROOT, WORLD

SCRIPT = ROOT / "scripts" / "write_rates.py"
PAGE = ROOT / "docs" / "rates.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_rates", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page__as_committed__says_what_pricing_says(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0, "run scripts/write_rates.py and review the difference"
    asked = [block for kind, block in script.blocks(PAGE.read_text(encoding="utf-8")) if kind == "text"]
    assert sum(block.count("> ") for block in asked) >= 17
    assert "5,000  bonus" in asked[0] and "25,000  received" in asked[0]


def test_page__when_an_answer_is_another__then_check_is_red_and_writes_nothing(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "rates.md"
    text = PAGE.read_text(encoding="utf-8").replace("25,000  received", "25,001  received")
    stale.write_text(text, encoding="utf-8")
    assert script.main(["--check", "--file", str(stale)]) == 1
    assert stale.read_text(encoding="utf-8") == text
    assert "write_rates.py" in capsys.readouterr().err
    assert script.main(["--file", str(stale)]) == 0
    assert stale.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_page__shows_terms_as_the_whole_file_has_them(script: ModuleType) -> None:
    world = {(*entry.direction, entry.starts): entry for entry in load(WORLD).entries}
    shown = [
        entry
        for kind, block in script.blocks(PAGE.read_text(encoding="utf-8"))
        if kind == "yaml"
        for entry in load(block).entries
    ]
    assert len(shown) >= 11
    known = [(entry, world[key]) for entry in shown if (key := (*entry.direction, entry.starts)) in world]
    made_up = sum(entry.notes == "made up" for entry in shown)
    assert len(known) == len(shown) - made_up - 1  # the first example has a price and a date that are made up
    for entry, published in known:
        assert entry.terms() == published.terms()
        assert entry.source is None or entry.source in (published.source or "")
