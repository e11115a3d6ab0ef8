"""`make prove` and `make mutants` are red when a tool fails, is missing, or does less than it should."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import contract_tools
import mutants
import mutate_contracts
import prove

from .tools import CONTRACTS

SYMBOLIC = Path(__file__).parent / "symbolic"
FINDING = {
    "check": "reentrancy-no-eth",
    "description": "calls out before it writes",
    "elements": [
        {
            "type": "function",
            "name": "settle",
            "type_specific_fields": {
                "parent": {"type": "contract", "name": "PointsExchange"},
                "signature": "settle(address[])",
            },
        }
    ],
}
PLACE = ("reentrancy-no-eth", "PointsExchange.settle(address[])")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts work in a folder of the test's own, with no tool but those that the test makes."""
    monkeypatch.setattr(prove, "WORK", tmp_path / "work")
    monkeypatch.setattr(contract_tools, "PATHS", (tmp_path,))
    monkeypatch.setattr(mutate_contracts, "HOME", tmp_path)
    monkeypatch.setattr(mutate_contracts, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(mutate_contracts, "EXPLANATIONS", tmp_path / "mutants.md")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def tool(folder: Path, name: str, lines: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["script", *arguments])
    return prove.main()


# -------------------------------------------------------------------- tools that fail


@pytest.mark.parametrize("word", ["slither", "halmos", "planted"])
def test_prove__tool_is_not_installed__is_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    assert main(monkeypatch, word) == 1
    said = capsys.readouterr().out
    assert "does not start" in said
    assert f"NOT PROVED: {word}" in said


@pytest.mark.parametrize("word", ["slither", "halmos", "planted"])
@pytest.mark.parametrize("code", [0, 1])
def test_prove__tool_ends_without_a_report__is_red(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str, code: int
) -> None:
    for name in ("slither", "halmos"):
        tool(tmp_path, name, f"exit {code}")

    assert main(monkeypatch, word) == 1


def test_prove__slither_says_that_it_failed__is_red(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = json.dumps({"success": False, "error": "no compiler", "results": {}})
    tool(tmp_path, "slither", f"""while [ "$1" != --json ]; do shift; done; echo '{report}' > "$2" """)

    assert main(monkeypatch, "slither") == 1


def test_prove__all_words_but_one_agree__is_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> str:
        raise contract_tools.ToolError("broken")

    monkeypatch.setattr(prove, "TOOLS", {"slither": lambda: "fine", "halmos": fails, "invariants": lambda: "fine"})

    assert main(monkeypatch) == 1
    assert "NOT PROVED: halmos\n" in capsys.readouterr().out


def test_prove__all_words_agree__is_green(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "TOOLS", {"slither": lambda: "fine", "halmos": lambda: "fine"})

    assert main(monkeypatch) == 0


# -------------------------------------------------------------------- answers that are not good enough


def test_halmos__test_that_is_refuted__is_red(tmp_path: Path) -> None:
    for path in SYMBOLIC.glob("*.proof.sol"):
        results = [result(name) for name in prove.CHECK.findall(path.read_text())]
        results[-1]["exitcode"] = prove.REFUTED
        fake_halmos(tmp_path, results, code=1)

        with pytest.raises(contract_tools.ToolError, match="is not proved"):
            prove._prove_file(path.name.removesuffix(".proof.sol"))


def test_halmos__test_that_did_not_run__is_red(tmp_path: Path) -> None:
    fake_halmos(tmp_path, [result("check_something_else")], code=0)

    with pytest.raises(contract_tools.ToolError, match="did not run"):
        prove.prove_symbolically()


def test_halmos__loop_that_was_cut_off__is_red() -> None:
    with pytest.raises(contract_tools.ToolError, match="raise --loop"):
        prove.read_report({"test_results": {"Proof": [{**result("check_it"), "num_bounded_loops": 1}]}})


def test_planted__proof_that_finds_nothing__is_red(tmp_path: Path) -> None:
    fake_halmos(tmp_path, [result(planted.test) for planted in prove.PLANTED], code=0)

    with pytest.raises(contract_tools.ToolError, match="does not find"):
        prove.find_planted()


def test_planted__every_bug__has_a_place_and_a_proof() -> None:
    for planted in prove.PLANTED:
        text = (CONTRACTS / "src" / planted.file).read_text()
        assert prove.plant(planted, text) != text
        assert prove._file_of(planted)


def test_planted__every_file_of_proofs__has_a_bug_to_find() -> None:
    files = {path.name.removesuffix(".proof.sol") for path in SYMBOLIC.glob("*.proof.sol")}

    assert {prove._file_of(planted) for planted in prove.PLANTED} == files


def test_invariants__too_few_calls__are_red() -> None:
    with pytest.raises(contract_tools.ToolError, match="only 99999 calls"):
        prove.count_calls("[PASS] invariant_it() (runs: 200, calls: 99999, reverts: 0)")


def test_invariants__none_at_all__are_red() -> None:
    with pytest.raises(contract_tools.ToolError, match="no invariant"):
        prove.count_calls("No tests found in project!")


def test_slither__finding_without_an_answer__is_red() -> None:
    findings = prove.read_findings({"success": True, "error": None, "results": {"detectors": [FINDING]}})

    assert list(findings) == [PLACE]
    with pytest.raises(contract_tools.ToolError, match="without an answer"):
        prove.compare(findings, {})


def test_slither__answer_without_a_finding__is_red() -> None:
    with pytest.raises(contract_tools.ToolError, match="no longer finds"):
        prove.compare({}, {PLACE: "because"})


def test_slither__answer_without_a_reason__is_none(tmp_path: Path) -> None:
    answers = tmp_path / "answers.md"
    answers.write_text("| `timestamp` | `A.f()` | |\n| `timestamp` | `A.g()` | It must. |\n")

    assert prove.read_answers(answers) == {("timestamp", "A.g()"): "It must."}


def result(name: str) -> dict[str, Any]:
    return {"name": f"{name}()", "exitcode": 0, "num_bounded_loops": 0}


def fake_halmos(folder: Path, results: list[dict[str, Any]], *, code: int) -> None:
    report = json.dumps({"exitcode": code, "test_results": {"Proof": results}})
    (folder / "report").write_text(report)
    copy = f"""while [ "$1" != --json-output ]; do shift; done; cp '{folder}/report' "$2"; exit {code}"""
    tool(folder, "halmos", copy)


# -------------------------------------------------------------------- mutants


def test_mutants__survivor_without_an_explanation__is_red() -> None:
    mutant, results = one_mutant(mutate_contracts.SURVIVED)

    assert mutate_contracts.report([mutant], results) == 1


def test_mutants__survivor_with_an_explanation__is_green() -> None:
    mutant, results = one_mutant(mutate_contracts.SURVIVED)
    explain(mutant)

    assert mutate_contracts.report([mutant], results) == 0


def test_mutants__explanation_of_one_that_is_killed__is_red() -> None:
    mutant, results = one_mutant(mutate_contracts.KILLED)
    explain(mutant)

    assert mutate_contracts.report([mutant], results) == 1


def test_mutants__one_not_tested__is_no_green() -> None:
    mutant, _ = one_mutant(mutate_contracts.KILLED)

    assert mutate_contracts.report([mutant], mutate_contracts.Results(fresh=True)) == 3


def test_mutants__of_every_source__change_one_line_each() -> None:
    for file in mutate_contracts.files([]):
        text = (CONTRACTS / "src" / file).read_text()
        found = mutants.mutants_of(file, text)
        assert found
        for mutant in found:
            before, after = text.splitlines(), mutant.apply(text).splitlines()
            assert [number for number, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]] == [
                mutant.line
            ]


def one_mutant(verdict: str) -> tuple[Any, Any]:
    """A mutant of a source that is there, and results that hold `verdict` of it."""
    mutant = mutants.mutants_of("Powers.sol", (CONTRACTS / "src" / "Powers.sol").read_text())[0]
    results = mutate_contracts.Results(fresh=True)
    results.add(mutant, verdict)
    return mutant, results


def explain(mutant: Any) -> None:
    file, sound, broken = mutant.key
    mutate_contracts.EXPLANATIONS.write_text(f"| `{file}` | `{sound}` | `{broken}` | It changes nothing. |\n")
