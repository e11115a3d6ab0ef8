"""Proves what the contracts promise, with tools of four kinds, and says clearly whether all of them agree.

    python scripts/prove.py                      everything
    python scripts/prove.py halmos slither       only these

invariants  forge makes at least 100,000 random calls by everybody and checks after each what must always hold
halmos      proves the symbolic tests in tests/contracts/symbolic for every input within their bounds
planted     breaks a private copy of the contracts, once for each proof, and expects the proof to fail
slither     reads the sources; each finding must be answered in contracts/slither.answers.md

Exits 0 only when every tool that was asked ran to its end and agrees.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

from contract_tools import CONTRACTS, ROOT, WORK, ToolError, configure, copy_sources, native, run

SYMBOLIC: Final = ROOT / "tests" / "contracts" / "symbolic"
ANSWERS: Final = CONTRACTS / "slither.answers.md"

CALLS_MIN: Final = 100_000
INVARIANTS_SECONDS_MAX: Final = 3_600
HALMOS_SECONDS_MAX: Final = 3_600
SLITHER_SECONDS_MAX: Final = 900

# `generic`: balances lie at numbers of the contracts' own choice. Signatures have 64 or 65 bytes, other bytes are a
# selector; halmos stumbles over none at all.
HALMOS: Final = [
    "halmos",
    "--storage-layout=generic",
    "--loop=8",
    "--default-bytes-lengths=4,64,65",
    "--solver=yices",
    "--solver-timeout-assertion=5m",
    "--no-status",
]
# How long halmos may think about whether a branch can be taken at all. Without the time it follows branches that
# cannot, and takes much longer; where branches rest on products and quotients it only loses the time.
BRANCH_TIME: Final = {"LegCalls": "1ms"}
BRANCH_TIME_ELSE: Final = "10s"
HALMOS_PROJECT: Final = 'ast = true\nextra_output = ["storageLayout", "metadata"]\n'
PROVED: Final = 0
REFUTED: Final = 1  # halmos found an input for which the test fails; its other numbers say that it came to no end

INVARIANT: Final = re.compile(r"\[PASS\] (?P<name>invariant\w*)\(\) \(runs: \d+, calls: (?P<calls>\d+), reverts: \d+\)")
CHECK: Final = re.compile(r"^ *function (check_\w+)\(", re.MULTILINE)
ANSWER: Final = re.compile(r"^\| *`(?P<check>[\w-]+)` *\| *`(?P<where>[^`]+)` *\| *(?P<reason>.*\S) *\|$", re.MULTILINE)


@dataclass(frozen=True)
class Planted:
    """A bug, and the symbolic test that must find it."""

    file: str
    sound: str
    broken: str
    test: str
    occurrence: int = 0  # of `sound` in the file, where it stands there several times


PLANTED: Final = (
    Planted(
        file="libraries/Postings.sol",
        sound="sstore(slot, add(sload(slot), amount))",
        broken="sstore(slot, add(sload(slot), or(amount, 1)))",
        test="check_credit__one_word",
    ),
    Planted(
        file="libraries/Postings.sol",
        sound="lt(held, amount)",
        broken="lt(held, sub(amount, 1))",
        test="check_debit__one_word",
    ),
    Planted(
        file="libraries/Postings.sol",
        sound="shl(and(leg, 0xff), 1)",
        broken="shl(and(leg, 0xfe), 1)",
        test="check_burnLegs__two_legs",
    ),
    Planted(
        file="libraries/Postings.sol",
        sound="sstore(slot, add(sload(slot), amount))",
        broken="sstore(slot, or(sload(slot), amount))",
        test="check_mintLegs__one_leg",
        occurrence=1,
    ),
    Planted(
        file="libraries/LegCalls.sol",
        sound="div(mul(amount, toUnits), fromUnits)",
        broken="div(add(mul(amount, toUnits), 1), fromUnits)",
        test="check_convert__one_leg",
    ),
    Planted(
        file="libraries/Bucket.sol",
        sound="return level < capacity ? level : capacity;",
        broken="return level <= capacity + 1 ? level : capacity;",
        test="check_refilled__never_above_capacity",
    ),
    Planted(
        file="PointsToken.sol",
        sound="if (msg.sender != exchange) revert NotExchange(msg.sender);",
        broken="",
        test="check_token__stranger__moves_nothing",
    ),
    Planted(
        file="HolderCalls.sol",
        sound="revert WrongSignature(holder, digest);",
        broken="",
        test="check_exchange__stranger_swaps__moves_nothing",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Prove what the contracts promise.")
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"some of: {', '.join(TOOLS)}")
    asked = parser.parse_args().tools or list(TOOLS)
    if unknown := [tool for tool in asked if tool not in TOOLS]:
        parser.error(f"there is no {unknown[0]}, only {', '.join(TOOLS)}")
    failed = [tool for tool in asked if not _agrees(tool)]
    sys.stdout.write(f"NOT PROVED: {', '.join(failed)}\n" if failed else f"PROVED by {', '.join(asked)}\n")
    return 1 if failed else 0


def _agrees(tool: str) -> bool:
    sys.stdout.write(f"==> {tool}\n")
    sys.stdout.flush()
    start = monotonic()
    try:
        result = TOOLS[tool]()
    except ToolError as error:
        sys.stdout.write(f"{tool} FAILED: {error}\n")
        return False
    sys.stdout.write(f"{tool}: {result}, in {monotonic() - start:.0f} s\n")
    return True


# -------------------------------------------------------------------- invariants


def prove_invariants() -> str:
    """Runs the long invariants. Raises ToolError when one fails or makes too few calls."""
    answer = run(
        [native("forge"), "test", "--match-contract", "InvariantsTest", "--match-test", "invariant_"],
        CONTRACTS,
        log=WORK / "invariants.log",
        seconds_max=INVARIANTS_SECONDS_MAX,
        FOUNDRY_PROFILE="long",
    )
    if answer.code != 0:
        raise ToolError(f"forge exits with {answer.code}:\n{_end_of(answer.text)}")
    return count_calls(answer.text)


def count_calls(text: str) -> str:
    """What forge's report says. Raises ToolError when it names no invariant, or one with fewer than CALLS_MIN calls."""
    calls = {found["name"]: int(found["calls"]) for found in INVARIANT.finditer(text)}
    if not calls:
        raise ToolError(f"forge ran no invariant:\n{_end_of(text)}")
    if few := [name for name, count in calls.items() if count < CALLS_MIN]:
        raise ToolError(f"{few[0]} made only {calls[few[0]]} calls, not {CALLS_MIN}")
    return f"{len(calls)} held over {min(calls.values())} calls each"


# -------------------------------------------------------------------- halmos


def prove_symbolically() -> str:
    """Runs every symbolic test. Raises ToolError unless each is proved, without a bound of halmos's own in the way."""
    names = [path.name.removesuffix(".proof.sol") for path in sorted(SYMBOLIC.glob("*.proof.sol"))]
    if not names:
        raise ToolError(f"there are no proofs in {SYMBOLIC}")
    counts = [_prove_file(name) for name in names]
    return f"{sum(counts)} proved"


def _prove_file(name: str) -> int:
    project = WORK / name
    copy_sources(project)
    written = set(CHECK.findall((SYMBOLIC / f"{name}.proof.sol").read_text()))
    codes = halmos(project, name, "check_")
    if missing := written - codes.keys():
        raise ToolError(f"halmos did not run {min(missing)}, see {project}.log")
    if wrong := [test for test, code in codes.items() if code != PROVED]:
        raise ToolError(f"{wrong[0]} is not proved (halmos says {codes[wrong[0]]}), see {project}.log")
    sys.stdout.write(f"    {name}: {len(codes)} proved\n")
    sys.stdout.flush()
    return len(codes)


def halmos(project: Path, name: str, test: str, *options: str) -> dict[str, int]:
    """Halmos's code for each symbolic test whose name begins with `test`, in `project` with its copy of the sources.

    Raises ToolError when halmos does not come to an answer, or to one that rests on a bound of its own.
    """
    shutil.rmtree(project / "test", ignore_errors=True)
    shutil.copytree(SYMBOLIC, project / "test", ignore=lambda _, files: _others(name, files))
    configure(project, "test", more=HALMOS_PROJECT)
    report = project / "report.json"
    report.unlink(missing_ok=True)
    log = project.with_suffix(".log")
    branching = f"--solver-timeout-branching={BRANCH_TIME.get(name, BRANCH_TIME_ELSE)}"
    command: list[str | Path] = [*HALMOS, branching, *options, "--function", test, "--json-output", report]
    answer = run(command, project, log=log, seconds_max=HALMOS_SECONDS_MAX)
    if not report.is_file():
        raise ToolError(f"halmos exits with {answer.code} and no report:\n{_end_of(answer.text)}")
    codes = read_report(json.loads(report.read_text()))
    if answer.code != 0 and all(code == PROVED for code in codes.values()):
        raise ToolError(f"halmos exits with {answer.code}:\n{_end_of(answer.text)}")
    return codes


def _others(name: str, files: list[str]) -> list[str]:
    return [file for file in files if file.endswith(".proof.sol") and file != f"{name}.proof.sol"]


def read_report(report: dict[str, Any]) -> dict[str, int]:
    """The code of each test by its name. Raises ToolError when a loop was not followed to its end."""
    codes = {}
    for results in (report["test_results"] or {}).values():
        for result in results:
            name = result["name"].split("(")[0]
            codes[name] = result["exitcode"]
            if result["exitcode"] == PROVED and result["num_bounded_loops"]:
                raise ToolError(f"halmos did not follow a loop in {name} to its end: raise --loop")
    return codes


# -------------------------------------------------------------------- planted bugs


def find_planted() -> str:
    """Plants each bug in a private copy. Raises ToolError when halmos does not find an input that shows it."""
    for planted in PLANTED:
        _find(planted)
    return f"{len(PLANTED)} bugs planted and found"


def _find(planted: Planted) -> None:
    file = _file_of(planted)
    project = WORK / f"planted-{file}"
    path = copy_sources(project) / planted.file
    path.write_text(plant(planted, path.read_text()))
    codes = halmos(project, file, planted.test, "--early-exit")
    if codes.get(planted.test) != REFUTED:
        raise ToolError(f"{planted.test} does not find `{planted.broken}` in {planted.file}: {codes}")
    sys.stdout.write(f"    {planted.test} finds a bug planted in {planted.file}\n")
    sys.stdout.flush()


def plant(planted: Planted, text: str) -> str:
    """The source with the bug in it. Raises ToolError when it changed, so that the bug has no place any more."""
    parts = text.split(planted.sound)
    if len(parts) < planted.occurrence + 2:
        raise ToolError(f"{planted.file} has no `{planted.sound}` to plant a bug in")
    split = planted.occurrence + 1
    return planted.sound.join(parts[:split]) + planted.broken + planted.sound.join(parts[split:])


def _file_of(planted: Planted) -> str:
    """Which file of proofs holds the planted bug's test. Raises ToolError when none does."""
    for path in SYMBOLIC.glob("*.proof.sol"):
        if planted.test in CHECK.findall(path.read_text()):
            return path.name.removesuffix(".proof.sol")
    raise ToolError(f"there is no {planted.test} in {SYMBOLIC}")


# -------------------------------------------------------------------- slither


def analyse() -> str:
    """Runs slither. Raises ToolError when a finding has no answer, or an answer no finding."""
    project = WORK / "slither"
    copy_sources(project)
    configure(project, "sarraf", runs=1)
    report = project / "report.json"
    report.unlink(missing_ok=True)
    answer = run(
        ["slither", ".", "--json", report, "--filter-paths", "node_modules"],
        project,
        log=WORK / "slither.log",
        seconds_max=SLITHER_SECONDS_MAX,
    )
    # Its exit code says whether it found something, or whether it failed; its report tells the two apart.
    if not report.is_file():
        raise ToolError(f"slither exits with {answer.code} and no report:\n{_end_of(answer.text)}")
    return compare(read_findings(json.loads(report.read_text())), read_answers(ANSWERS))


def read_findings(report: dict[str, Any]) -> dict[tuple[str, str], str]:
    """What slither says by detector and place. Raises ToolError when it says that it failed."""
    if not report.get("success") or report.get("error"):
        raise ToolError(f"slither failed: {report.get('error')}")
    findings: dict[tuple[str, str], str] = {}
    for finding in report.get("results", {}).get("detectors", []):
        place, same = place_of(finding), 1
        while (finding["check"], place) in findings:  # a second one at that place needs an answer of its own
            same += 1
            place = f"{place_of(finding)} ({same})"
        findings[finding["check"], place] = finding["description"]
    return findings


def place_of(finding: dict[str, Any]) -> str:
    """What a finding is about, in words that stay when lines move: contract, function and variable."""
    elements = finding["elements"]
    return _path_of(elements[0]) if elements else "everything"


def _path_of(element: dict[str, Any]) -> str:
    fields = element.get("type_specific_fields", {})
    parent = _path_of(fields["parent"]) if "parent" in fields else ""
    if element["type"] == "node":  # a line of code: what it says changes more often than where it is
        return parent
    name = fields.get("signature", element["name"])
    return f"{parent}.{name}" if parent else str(name)


def read_answers(path: Path) -> dict[tuple[str, str], str]:
    """The reasons by detector and place. Raises ToolError when the file is missing."""
    if not path.is_file():
        raise ToolError(f"{path} is missing")
    return {(found["check"], found["where"]): found["reason"] for found in ANSWER.finditer(path.read_text())}


def compare(findings: dict[tuple[str, str], str], answers: dict[tuple[str, str], str]) -> str:
    """Raises ToolError when a finding has no answer, or an answer answers nothing."""
    if new := sorted(findings.keys() - answers.keys()):
        lines = [f"| `{check}` | `{place}` | |\n    {findings[check, place].strip()}" for check, place in new]
        raise ToolError("findings without an answer in contracts/slither.answers.md:\n" + "\n".join(lines))
    if old := sorted(answers.keys() - findings.keys()):
        raise ToolError(f"answers to what slither no longer finds: {', '.join(map(' in '.join, old))}")
    return f"{len(findings)} findings, each answered"


def _end_of(text: str) -> str:
    return "\n".join(text.splitlines()[-30:])


TOOLS: Final[dict[str, Callable[[], str]]] = {
    "slither": analyse,
    "halmos": prove_symbolically,
    "planted": find_planted,
    "invariants": prove_invariants,
}

if __name__ == "__main__":
    sys.exit(main())
