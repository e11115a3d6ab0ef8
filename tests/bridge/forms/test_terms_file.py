"""Files of terms: what is read, and everything that is wrong told at once with its line."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from bridge.forms import faults as found
from bridge.forms import lines, terms_file
from bridge.forms.faults import FAULTS_MAX
from bridge.forms.lines import BYTES_MAX, DEPTH_MAX, VALUES_MAX
from bridge.forms.terms_file import ENTRIES_MAX, FaultyTermsFile, TermsEntry, load
from exchange.checks import NAMES_MAX
from exchange.errors import InvalidTermsFile
from exchange.points import MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import AMOUNTS_MAX, PARTS_MAX, Rules
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
  - {from: A, to: B, ratio: 1:1, minimum: 1.5, caps: [{per: decade, points: 1_000}]}
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
    assert told[3] == "line 6, terms.1.too: this field is not known here; is to meant?"
    assert told[9] == "line 17, terms.3.bonuses.0.when.before: what ends must begin before (nearest: 2026-03-02)"


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
        ("terms:\n- {from: A, to: B, ratio: 1:1, blocks: true, increment: 2, minimum: 5}", 2, "nearest: 6"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, price: USD 999999999}", 2, "nearest: USD 281474976.710655"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, price: 0.01}", 2, "such as SGD 27.25"),
        ("terms:\n- {from: A, to: B, price: USD 1}", 2, "needs a ratio"),
        ("terms:\n- {from: A, to: B, starts: 2026-01-01}", 2, "needs a ratio"),
        ("terms:\n- {from: A, to: B, bonuses: [{name: a, ratio: 1:1}]}", 2, "better than which ratio"),
        ("terms:\n- {from: A, to: B, minimum: 0}", 2, "nearest: 1)"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, table: ['1:1']}", 2, "instead of a ratio"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, wallet_cap: true}", 2, "a whole number"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, minimum: 0x10}", 2, "a whole number"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, minimum: 010}", 2, "a whole number"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, minimum: null, increment: 281474976710656}", 2, "281474976710655"),
        (f"terms:\n- {{from: A, to: B, ratio: 1:1, notes: {'x' * 2001}}}", 2, "2000 characters"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, tiers: gold}", 2, "a list"),
        ("terms:\n- {from: '', to: B, ratio: 1:1}", 2, "1 to 64 characters"),
        ("terms:\n- from: A\n  to: B\n  ratio:\n  minimum: 3", 4, "terms.0.ratio: nothing stands here"),
        ("terms:\n- {from: A, to: B, ratio: , minimum: 3}", 2, "such as 3:1"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, caps: [{per: year, points: , count: 1}]}", 2, "points: nothing"),
        ("more:\nterms:\n- {from: A, to: B, ratio: 1:1}", 1, "more: this field is not known here"),
        ("terms:\n- {from: A, to: B, ratio: 1:1, increment: 0}", 2, "terms.0.increment: increment is at least 1"),
        ("terms:\n- {from: A, to: B, ratio: 0:1}", 2, "nearest: 1:1)"),
    ],
)
def test_file__that_cannot_be_read__is_refused_on_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(FaultyTermsFile) as refusal:
        load(text)
    assert refusal.value.faults[0].line == line
    assert said in str(refusal.value.faults[0])


@pytest.mark.parametrize(
    ("said", "nearest", "detail"),
    [
        ("minimum: '2,500'", 2_500, "a whole number"),
        ("minimum: '5000'", 5_000, "a whole number"),
        ("minimum: 70000.0", 70_000, "a whole number"),
        ("minimum: 1_234_567", 1_234_567, "a whole number"),
        ("minimum: 1.000", None, "such as 1000"),
        ("minimum: 1000.5", None, "such as 1000"),
        ("minimum: '12,50'", None, "such as 1000"),
        ("minimum: 010", None, "such as 1000"),
        ("minimum: '999,999,999,999,999'", None, "such as 1000"),
        ("minimum: true", None, "such as 1000"),
        ("fees: [{points: 5%}]", None, "such as 500"),
        ("price: 0.05", None, "such as SGD 27.25"),
        ("starts: 2026-02-30", "2026-02-28", "no such moment"),
        ("tiers: gold", "[gold]", "a list"),
        ("tiers: 'gold, silver'", None, "such as [gold]"),
        ("amounts: 500", "[500]", "a list"),
        ("caps: 500", None, "a list"),
        ("blocks: no", "false", "true or false"),
        ("blocks: 1", None, "such as true"),
        ("caps: [{per: monthly, count: 1}]", "month", "it is one of"),
        ("caps: [{per: quarter, count: 1}]", None, "it is one of"),
        ("caps: [{per: year, side: 1, count: 1}]", None, "it is one of"),
        ("tier: [gold]", None, "is tiers meant?"),
        ("caps: [{per: year, points: , count: 1}]", None, "such as 100000"),
        ("bonuses: [{flat: 3}]", None, "such as spring promotion"),
        ("bonuses: [{name: a, share: 15}]", None, "such as 15%"),
        ("bonuses: [{name: a, flat: 1, when: {starts: 2026-03-01, before: 2026-03-01}}]", "2026-03-02", "what ends"),
        (
            "bonuses: [{name: a, flat: 1, when: {starts: 2026-03-01, before: '2026-02-01T10:00:00Z'}}]",
            "2026-03-01T00:00:01Z",
            "what ends",
        ),
        (
            "bonuses: [{name: a, flat: 1, when: {starts: '9999-12-31T23:59:59Z', before: 2026-02-01}}]",
            None,
            "what ends",
        ),
    ],
)
def test_file__with_a_value_of_the_wrong_kind__is_told_the_nearest_only_where_it_is_one(
    said: str, nearest: object, detail: str
) -> None:
    with pytest.raises(FaultyTermsFile) as refusal:
        load(f"terms:\n- {{from: A, to: B, ratio: 1:1, {said}}}" if "{" not in said else _on_lines(said))
    assert refusal.value.nearest == nearest
    told = str(refusal.value.faults[0])
    assert detail in told
    assert told.endswith(f" (nearest: {nearest})") == (nearest is not None)


def _on_lines(said: str) -> str:
    return f"terms:\n- from: A\n  to: B\n  ratio: 1:1\n  {said}"


@pytest.mark.parametrize("first", ["ratio: 3:1", "table: ['3:1', '6:3']"])
def test_file__with_a_ratio_below_that_of_the_terms__is_refused_on_the_bonus_that_has_it(first: str) -> None:
    bonuses = "    - {name: a, flat: 1}\n    - name: b\n      ratio: 4:1\n"
    text = f"terms:\n- from: A\n  to: B\n  {first}\n  bonuses:\n{bonuses}"
    assert faults(text) == [(8, "terms.0.bonuses.1.ratio")]


def test_file__with_two_repeated_fields__tells_of_both() -> None:
    assert faults("terms:\n- {from: A, to: B}\na: 1\na: 2\nterms: 3") == [(4, "a"), (5, "terms")]


def test_file__with_too_many_faults_or_entries__is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = "- {from: A, to: A, ratio: 1:1}\n"
    with pytest.raises(FaultyTermsFile, match="reading stopped after 50 faults") as refusal:
        load("terms:\n" + entry * (FAULTS_MAX + 7))
    assert len(refusal.value.faults) == FAULTS_MAX
    with pytest.raises(FaultyTermsFile) as refusal:
        load("terms:\n" + entry * FAULTS_MAX)
    assert len(refusal.value.detail.splitlines()) == FAULTS_MAX
    monkeypatch.setattr(terms_file, "ENTRIES_MAX", 3)
    with pytest.raises(FaultyTermsFile, match="at most 3 entries") as refusal:
        load("terms:\n" + entry.replace("A", "B", 1) * 4)
    assert refusal.value.faults[0].line == 5
    assert ENTRIES_MAX * 150 < BYTES_MAX


@pytest.mark.parametrize(
    "text",
    [
        "terms: [" + "1," * 60_000 + "]",
        "terms:\n- {from: A, to: B, ratio: 1:1, " + ", ".join(f"key{place}: 1" for place in range(60_000)) + "}",
        "terms:\n- {from: A, to: B, ratio: 1:1, tiers: [" + "1," * 60_000 + "]}",
        "terms:\n- {from: A, to: B, ratio: 1:1, tiers: [" + "1," * 8_000 + "]}\n" + "- 1\n" * 1_000,
        "terms:\n" + ("- {from: A, to: A, ratio: 1:1, tiers: [" + "a," * 15_000 + "]}\n") * 5,
        "term: [" + "1," * 60_000 + "]",
        "terms:\n" + "- {from: A, from: A, to: B}\n" * 20_000,
        "\n".join(f"key{place}: []" for place in range(60_000)),
    ],
    ids=["items", "fields", "names", "names and items", "long items", "another list", "repeated", "lists"],
)
def test_file__full_of_faults__is_read_and_told_no_further_than_there_is_use(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = dict.fromkeys(("events", "told"), 0)

    def counted(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def count(*given: Any) -> Any:
            steps[name] += 1
            return work(*given)

        return count

    def events(text: str) -> Iterator[Any]:
        yield from map(counted("events", lambda event: event), read(text))

    read = lines._events
    monkeypatch.setattr(lines, "_events", events)
    monkeypatch.setattr(found, "_fault", counted("told", found._fault))
    with pytest.raises(FaultyTermsFile) as refusal:
        load(text)
    assert len(refusal.value.faults) <= FAULTS_MAX
    assert refusal.value.faults[0].line
    assert 0 < steps["events"] < 3 * VALUES_MAX + 100  # a list is opened, closed and named
    assert steps["told"] <= 2 * FAULTS_MAX


def test_entry__with_as_much_of_everything_as_rules_may_have__stays_below_the_limit_of_values() -> None:
    def values(form: type[BaseModel]) -> int:
        count = 1
        for name, field in form.model_fields.items():
            part = found._model_in(field.annotation)
            each = 1 if part is None else values(part)
            many = {"tiers": NAMES_MAX, "amounts": AMOUNTS_MAX, "table": PARTS_MAX}.get(name, PARTS_MAX)
            count += 1 + many * each if get_origin(field.annotation) is tuple else each
        return count

    assert 8_000 < values(TermsEntry) <= VALUES_MAX


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
