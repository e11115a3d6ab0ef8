"""What `make mutants-posting` writes down: reasons are kept, and every module and test that it names exists."""

from collections import Counter
from pathlib import Path

import mutate_posting

ROOT = Path(__file__).parent.parent


def test_modules__and_the_tests_of_each__exist() -> None:
    named = [*mutate_posting.MODULES, *(test for tests in mutate_posting.MODULES.values() for test in tests)]
    assert [one for one in named if not (ROOT / one).is_file()] == []


def test_page__read_again__is_the_same_with_its_reasons() -> None:
    counts = Counter(tests=6, types=3, survived=1)
    row = mutate_posting.Row("Balance.posted", "return a | b", "return a & b")
    sections = {"exchange/ledger.py": mutate_posting.Section(counts, {row: "Both are flags of one bit."})}
    text = mutate_posting.page(sections)
    assert "| `exchange/ledger.py` | 90 % | 85 % | 6 | 0 | 3 | 1 | 0 | 0 |" in text
    assert mutate_posting.page(mutate_posting.read_page(text)) == text
    assert mutate_posting.read_page(text)["exchange/ledger.py"].survivors == {row: "Both are flags of one bit."}


def test_page__as_committed__gives_a_reason_for_every_survivor() -> None:
    sections = mutate_posting.read_page(mutate_posting.PAGE.read_text())
    rows = {(module, row): reason for module, one in sections.items() for row, reason in one.survivors.items()}
    assert rows
    assert [place for place, reason in rows.items() if not reason] == []
