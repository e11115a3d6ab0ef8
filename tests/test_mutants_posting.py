"""What `make mutants-posting` writes down: reasons are kept, and every module and test that it names exists."""

from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import mutate_posting

    return mutate_posting


def test_modules__and_the_tests_of_each__exist(mutate: ModuleType) -> None:
    named = [*mutate.MODULES, *(test for tests in mutate.MODULES.values() for test in tests)]
    assert [one for one in named if not (ROOT / one).is_file()] == []


def test_page__read_again__is_the_same_with_its_reasons(mutate: ModuleType) -> None:
    counts = Counter(tests=6, types=3, survived=1)
    row = mutate.Row("Balance.posted", "return a | b", "return a & b")
    sections = {"exchange/ledger.py": mutate.Section(counts, {row: "Both are flags of one bit."})}
    text = mutate.page(sections)
    assert "| `exchange/ledger.py` | 90 % | 85 % | 6 | 0 | 3 | 1 | 0 | 0 |" in text
    assert mutate.page(mutate.read_page(text)) == text
    assert mutate.read_page(text)["exchange/ledger.py"].survivors == {row: "Both are flags of one bit."}


def test_page__as_committed__gives_a_reason_for_every_survivor(mutate: ModuleType) -> None:
    sections = mutate.read_page(mutate.PAGE.read_text())
    rows = {(module, row): reason for module, one in sections.items() for row, reason in one.survivors.items()}
    assert rows
    assert [place for place, reason in rows.items() if not reason] == []
