"""Files of terms: what is read, and everything that is wrong told at once with its line."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.forms import lines, terms_file
from bridge.forms.lines import BYTES_MAX, DEPTH_MAX
from bridge.forms.terms_file import ENTRIES_MAX, FAULTS_MAX, FaultyTermsFile, TermsEntry, load
from exchange.errors import InvalidTermsFile
from exchange.points import MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import Rules
from exchange.terms import Terms
from tests.bridge.forms.strategies import rules

FULL = """\
terms:
  - from: Marriott Bonvoy   # a comment
    to: United
    ratio: 3:1.1
    minimum: 3000
    price: USD 0.012
    managed_cap: 1000000
    wallet_cap: 5000
    notes: a first version
  - from: Marriott Bonvoy
    to: United
    ratio: 3:1
    starts: 2026-03-01
    increment: 300
    notice_days: 30
  - {from: Qitaf, to: Saudia, minimum: 100, caps: [{per: year, points: 800}]}
"""


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(FaultyTermsFile) as refusal:
        load(text)
    return [(each.line, each.field) for each in refusal.value.faults]


def test_file__when_read__then_terms_limits_and_lines_are_as_written() -> None:
    file = load(FULL)
    assert [each.line for each in file.placed] == [2, 10, 16]
    assert file.programs == ("Marriott Bonvoy", "United", "Qitaf", "Saudia")
    first, second = (entry.terms("trm_1", "prg_m", "prg_u") for entry in file.terms())
    assert first == Terms(
        id="trm_1",
        source="prg_m",
        destination="prg_u",
        version=0,
        ratio=Ratio(Points(30), Points(11)),
        minimum=Points(3000),
        increment=Points(1),
        settlement_price=MicroUnits(12_000),
        effective_at=None,
        managed_cap=Points(1_000_000),
        wallet_cap=Points(5_000),
    )
    assert (second.minimum, second.increment, second.effective_at) == (300, 300, 1_772_323_200)
    assert second.rules.notice_days == 30
    (limits,) = file.limits()
    assert (limits.source, limits.minimum, limits.increment) == ("Qitaf", 100, None)


def test_file__asked_for_a_moment__says_what_is_in_force() -> None:
    file = load(FULL)
    before, after = file.in_force(1_772_323_199), file.in_force(1_772_323_200)
    assert str(before["Marriott Bonvoy", "United"].ratio) == "30:11"
    assert str(after["Marriott Bonvoy", "United"].ratio) == "3:1"
    assert set(after) == {("Marriott Bonvoy", "United")}


def test_file__at_a_path__is_read_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "terms.yaml"
    path.write_text(FULL, encoding="utf-8")
    assert load(path) == load(FULL)
    path.write_text(FULL, encoding="utf-8-sig")
    assert load(path) == load(FULL)
    path.write_bytes(b"terms: []\n# caf\xe9\n")
    with pytest.raises(InvalidTermsFile, match="line 2: a file of terms is text in UTF-8"):
        load(path)
    path.write_bytes(b"\xff" * (BYTES_MAX + 1))
    with pytest.raises(InvalidTermsFile, match="at most 1,048,576 bytes"):
        load(path)


def test_file__with_many_faults__tells_them_all_by_line() -> None:
    text = """\
terms:
  - from: A
    to: A
    ratio: 3:1
  - from: 1
    too: C
    ratio: 3
  - {from: A, to: B, ratio: 1:1, minimum: 1.5, caps: [{per: week, points: 1_000}]}
  - from: A
    to: C
    ratio: 0:1
    bonuses:
      - name: spring
        share: 15%
        when:
          starts: 2026-03-01
          before: 2026-02-01
      - {name: none}
"""
    with pytest.raises(FaultyTermsFile) as refusal:
        load(text)
    assert [(each.line, each.field) for each in refusal.value.faults] == [
        (3, "terms.0.to"),
        (5, "terms.1.from"),
        (5, "terms.1.to"),
        (6, "terms.1.too"),
        (7, "terms.1.ratio"),
        (8, "terms.2.caps.0.per"),
        (8, "terms.2.caps.0.points"),
        (8, "terms.2.minimum"),
        (11, "terms.3.ratio"),
        (17, "terms.3.bonuses.0.when.before"),
        (18, "terms.3.bonuses.1"),
    ]
    assert refusal.value.type == "invalid-terms-file"
    assert refusal.value.field == "line 3, terms.0.to"
    told = refusal.value.detail.splitlines()
    assert told[3] == "line 6, terms.1.too: this field is not known here; is to meant? (such as to)"
    assert told[9] == "line 17, terms.3.bonuses.0.when.before: what ends must begin before (such as 2026-03-02)"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "fields of its own"),
        ("terms", 1, "fields of its own"),
        ("- terms", 1, "fields of its own"),
        ("terms: 3", 1, "a list"),
        ("term: []", 1, "missing"),
        ("term: []\nterms: []", 1, "is terms meant"),
        ("terms:\n  - [", 2, "no YAML"),
        ("terms:\n\t- a", 2, "no YAML"),
        ("terms: '", 1, "no YAML"),
        ("terms:\n- \x01", 2, "no YAML"),
        ("terms: &all []\nmore: *all", 1, "anchors are not read"),
        ("terms: *all", 1, "aliases are not read"),
        ("terms:\n- !!python/object:os.system {}", 2, "tags are not read"),
        ("terms: []\n---\nterms: []", 2, "one document"),
        ("? [terms]\n: []", 1, "a plain text"),
        ("terms: []\nterms: []", 2, "terms stands twice, first on line 1"),
        ("terms:\n  " + "[" * 50_000, 2, f"at most {DEPTH_MAX} deep"),
        ("#" * (BYTES_MAX + 1), 1, "at most 1,048,576 bytes"),
        ("terms: [{from: A, to: B, ratio: 1:1}]\nmore: 1", 2, "not known here"),
        ("terms:\n- {from: A, to: B, ratio: 1:1}\n- {from: A, to: B, ratio: 2:1}", 3, "the entry on line 2"),
        ("terms:\n- {from: A, to: B, ratio: 1:1}\n- {from: A, to: B, minimum: 3}", 3, "the entry on line 2"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, blocks: true, increment: 2, minimum: 5}", 2, "such as 6"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, price: USD 999999999}", 2, "such as USD 281474976.710655"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, price: 0.01}", 2, "such as SGD 27.25"),
        ("terms:\n- {from: A, to: B, price: USD 1}", 2, "needs a ratio"),
        ("terms:\n- {from: A, to: B, starts: 2026-01-01}", 2, "needs a ratio"),
        ("terms:\n- {from: A, to: B, bonuses: [{name: a, ratio: 1:1}]}", 2, "better than which ratio"),
        ("terms:\n- {from: A, to: B, minimum: 0}", 2, "such as 1"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, table: ['1:1']}", 2, "instead of a ratio"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, wallet_cap: true}", 2, "a whole number"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, minimum: 0x10}", 2, "a whole number"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, minimum: 010}", 2, "a whole number"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, minimum: null, increment: 281474976710656}", 2, "281474976710655"),
        (f"terms:\n- {{from: A, to: B, ratio: 1:1, notes: {'x' * 2001}}}", 2, "2000 characters"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, tiers: gold}", 2, "a list"),
        ("terms:\n- {from: '', to: B, ratio: 1:1}", 2, "1 to 64 characters"),
    ],
)
def test_file__that_cannot_be_read__is_refused_on_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(FaultyTermsFile) as refusal:
        load(text)
    assert refusal.value.faults[0].line == line
    assert said in str(refusal.value.faults[0])


def test_file__with_two_repeated_fields__tells_of_both() -> None:
    assert faults("terms:\n- {from: A, to: B}\na: 1\na: 2\nterms: 3") == [(4, "a"), (5, "terms")]


def test_file__with_too_many_faults_or_entries__is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = "- {from: A, to: A, ratio: 1:1}\n"
    with pytest.raises(FaultyTermsFile, match="and 7 more faults") as refusal:
        load("terms:\n" + entry * (FAULTS_MAX + 7))
    assert len(refusal.value.faults) == FAULTS_MAX
    monkeypatch.setattr(terms_file, "ENTRIES_MAX", 3)
    with pytest.raises(FaultyTermsFile, match="at most 3 entries, this one 4") as refusal:
        load("terms:\n" + entry * 4)
    assert refusal.value.faults[0].line == 5
    assert ENTRIES_MAX * 150 < BYTES_MAX


@given(rules())
@settings(max_examples=40)
def test_terms__written_as_an_entry__are_the_same_terms(value: Rules) -> None:
    terms = Terms(
        id="trm_1",
        source="prg_a",
        destination="prg_b",
        version=0,
        ratio=Ratio(Points(2**47), Points(1)),
        minimum=Points(7 * 12),
        increment=Points(1),
        settlement_price=MicroUnits(600),
        effective_at=86_400,
        rules=value,
    )
    entry = TermsEntry.of_terms(terms, "A", "B", "SGD")
    written = entry.written()
    assert written["from"] == "A"
    assert written["price"] == "SGD 0.0006"
    assert TermsEntry.model_validate(written).terms("trm_1", "prg_a", "prg_b") == terms


@given(st.text(alphabet=st.sampled_from("terms:- [{'\"}],&*!%#|>?\n\t from3.é\x00"), max_size=60))
@settings(max_examples=150)
def test_any_text__is_read_or_refused__and_never_fails_otherwise(text: str) -> None:
    with contextlib.suppress(FaultyTermsFile):
        assert load(text).entries == ()


def test_lines__never_give_a_float() -> None:
    read = lines.read_lines("[1.5, 1e3, .inf, 2026-03-01, 3:1, 0o7, yes, 1_000, -1, 'true', true, ~]")
    assert read.value == ["1.5", "1e3", ".inf", "2026-03-01", "3:1", "0o7", "yes", "1_000", -1, "true", True, None]


def test_file__with_digits_of_another_script__is_told_that_they_are_no_whole_number() -> None:
    assert faults("terms:\n  - {from: A, to: B, ratio: '1:1', minimum: 1\uff12}\n") == [(2, "terms.0.minimum")]
