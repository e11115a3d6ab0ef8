"""Breaks posting and the ledger's rules in every small way and checks that the tests see it.

    python scripts/mutate_posting.py                             every module; takes hours
    python scripts/mutate_posting.py --only submitter            one module
    python scripts/mutate_posting.py --minutes 20                as much as fits; a later run goes on from there
    python scripts/mutate_posting.py --workers 2                 with two processes

mutmut makes the mutants and runs the tests, in private copies below .mutate/: one a module, since each module has
tests of its own, on SQLite. A mutant is caught when a test fails or does not end, or when mypy refuses it. Written
down are the score of each module and what survived, in docs/mutants-posting.md; whoever reads a survivor writes its
reason there, and later runs keep it. Not counted: lines that log or say that a node is asked again, and the text of an
assertion. mutmut itself leaves out decorated functions, such as properties, and what stands outside of functions.

Exits 1 when a module of which every mutant was tested is below the score it must reach, 2 when the work could not be
done, 3 when time ran out before the last mutant.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
HOME: Final = ROOT / ".mutate"
PAGE: Final = ROOT / "docs" / "mutants-posting.md"
PARTS: Final = ("exchange", "bridge", "tests", "pyproject.toml")

SCORE_MIN: Final = 80
#: How long mutmut may take to stop once it was asked to.
STOP_SECONDS_MAX: Final = 120
#: How often it is looked whether mutmut is done, or time is over.
LOOK_SECONDS: Final = 5
#: What one test may take; the slowest takes two. Mutants that wait for ever are most often caught by it.
TEST_SECONDS_MAX: Final = 20
#: A mutant that takes so many times as long as its tests, and some seconds more, counts as one that does not end: more
#: than a busy machine makes of it.
LONGER_TIMES: Final = 4.0
LONGER_SECONDS: Final = 5.0
#: The characters of a changed line that are shown.
LINE_MAX: Final = 160

_POSTING: Final = "tests/bridge/posting/test_"
_STORE: Final = "tests/bridge/store/test_"

#: Each module and the tests that are to catch its mutants, the most important first.
MODULES: Final[dict[str, list[str]]] = {
    "bridge/posting/submitter.py": [f"{_POSTING}{name}.py" for name in ("submitter", "nonces", "poster")],
    "bridge/posting/nonces.py": [f"{_POSTING}{name}.py" for name in ("nonces", "submitter", "recovery")],
    "bridge/posting/poster.py": [
        *(f"{_POSTING}{name}.py" for name in ("poster", "submitter", "room", "paths", "holders", "recovery")),
    ],
    "exchange/ledger.py": ["tests/exchange/test_ledger.py"],
    "exchange/lots.py": ["tests/exchange/test_lots.py"],
    "bridge/posting/intake.py": [
        *(f"{_POSTING}{name}.py" for name in ("intake", "follower", "holder_intake", "holders", "paths", "notes")),
    ],
    "bridge/store/attempts.py": [f"{_STORE}attempts.py", f"{_POSTING}submitter.py", f"{_POSTING}poster.py"],
    "bridge/store/outcomes.py": [
        *(f"{_STORE}{name}.py" for name in ("outcomes", "swaps", "swap_paths", "extras", "earns", "redemptions")),
        *(f"{_POSTING}{name}.py" for name in ("poster", "intake", "paths")),
    ],
    "bridge/store/entries.py": [
        *(f"{_STORE}{name}.py" for name in ("outcomes", "earns", "redemptions", "swaps", "extras", "holder_books")),
    ],
    "exchange/operations.py": ["tests/exchange/test_operations.py"],
    "exchange/words.py": ["tests/exchange/test_words.py"],
    "bridge/posting/follower.py": [
        *(f"{_POSTING}{name}.py" for name in ("follower", "intake", "submitter", "recovery", "holders")),
    ],
    "bridge/posting/room.py": [f"{_POSTING}{name}.py" for name in ("room", "poster", "paths", "holders")],
    "bridge/posting/calls.py": [f"{_POSTING}{name}.py" for name in ("calls", "poster", "holders", "paths")],
    "bridge/store/blocks.py": [f"{_STORE}blocks.py", f"{_POSTING}follower.py", f"{_POSTING}intake.py"],
    "bridge/store/lanes.py": [f"{_POSTING}{name}.py" for name in ("submitter", "poster")],
    "bridge/store/batches.py": [f"{_STORE}freezing.py", f"{_STORE}outcomes.py", f"{_POSTING}poster.py"],
    "bridge/store/freezing.py": [f"{_STORE}freezing.py", *(f"{_POSTING}{name}.py" for name in ("poster", "room"))],
    "bridge/posting/reconciler.py": [f"{_POSTING}reconciler.py"],
    "bridge/posting/imports.py": [f"{_POSTING}recovery.py"],
    "bridge/posting/recovery.py": [f"{_POSTING}recovery.py"],
    "bridge/store/restored.py": [f"{_STORE}restored.py", f"{_POSTING}recovery.py"],
}

#: How a mutant ends, in the order of the page: caught by a test, by the clock or by mypy; `texts` are not counted.
COUNTS: Final = ("tests", "time", "types", "survived", "untested", "texts")
CAUGHT: Final = COUNTS[:3]
INTRODUCTION: Final = f"""\
# Mutants of posting, and what survives

`make mutants-posting` breaks these modules in every small way, runs their tests, and writes this page. The score is
how many of the tested mutants were caught: by a test that fails or takes over {TEST_SECONDS_MAX} s (`tests`), by tests
that together do not end (`time`), or by mypy, which refuses what cannot run (`types`); `without types` leaves the
latter out. Not counted are lines that log, or only say that a node is asked again, and the words of assertions
(`texts`). Not mutated are decorated functions, such as properties, and what stands outside of functions. Survivors are
listed with the reason, which is written by hand and kept by later runs.
"""
HEAD: Final = "| function | line | changed to | why it survives |"

#: Log statements, and errors of ours that only the log shows: a node is not done, and is asked again.
UNCOUNTED: Final = (r"^\s*_log\.\w+\(", r"^\s*raise RpcRefused\(0, ")
#: mutmut's codes; every other one means that the mutant survived, or that no test reaches it.
_WORDS: Final = {None: "untested", 2: "untested", 1: "tests", 3: "tests", 37: "types"} | dict.fromkeys(
    (36, -24, 24, 152, 255), "time"
)


class ToolError(Exception):
    """A tool could not do its work; the message says which, and where to read on."""


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A survivor: the function, its line as it is, and what it was changed to."""

    function: str
    line: str
    changed: str


@dataclass(slots=True)
class Section:
    """What is known of one module."""

    counts: Counter[str] = field(default_factory=Counter)
    survivors: dict[Row, str] = field(default_factory=dict)

    @property
    def caught(self) -> int:
        return sum(self.counts[word] for word in CAUGHT)

    @property
    def tested(self) -> int:
        return self.caught + self.counts["survived"]

    @property
    def score(self) -> str:
        """How many percent of the tested mutants were caught, rounded down."""
        return _percent(self.caught, self.tested)

    @property
    def score_of_tests(self) -> str:
        """The same of those that mypy takes."""
        types = self.counts["types"]
        return _percent(self.caught - types, self.tested - types)


def main() -> int:
    parser = argparse.ArgumentParser(description="Break posting in every small way and test that it is seen.")
    parser.add_argument("--only", action="append", default=[], metavar="MODULE", help="submitter, or store/lanes")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop when so much time has passed")
    parser.add_argument("--workers", type=int, default=1, help="how many mutants are tested at a time")
    parser.add_argument("--fresh", action="store_true", help="forget the results of earlier runs")
    arguments = parser.parse_args()
    deadline = monotonic() + arguments.minutes * 60
    sections = read_page(PAGE.read_text() if PAGE.is_file() else "")
    try:
        chosen = modules(arguments.only)
        for module in chosen:
            if arguments.fresh:
                shutil.rmtree(_copy_of(module), ignore_errors=True)
            if monotonic() < deadline:
                mutate(module, deadline, arguments.workers)
                sections[module] = gather(module, sections.get(module, Section()))
                PAGE.write_text(page(sections))
    except ToolError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return report(chosen, sections)


def modules(only: list[str]) -> list[str]:
    """The modules asked for, by their path or the end of it. Raises ToolError when there is none of that name."""
    chosen = [one for one in MODULES if not only or any(f"/{one}".endswith(f"/{name}.py") for name in only)]
    if only and len(chosen) < len(only):
        raise ToolError(f"not all of {', '.join(only)} are modules that are mutated here")
    return chosen


def mutate(module: str, deadline: float, workers: int) -> None:
    """Have mutmut test what is not tested yet, until the deadline. Raises ToolError when it cannot."""
    copy = _copy_of(module)
    _prepare(copy, module)
    sys.stdout.write(f"{module}\n")
    sys.stdout.flush()
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(workers)]
    # A server that a test starts is a child of mutmut, which takes it for one of its own workers.
    options = {"PYTEST_ADDOPTS": f"-m 'not postgres' --timeout={TEST_SECONDS_MAX}"}
    with (copy / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=copy, env=os.environ | options, stdout=log, stderr=subprocess.STDOUT)
        while True:
            try:
                code = process.wait(LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if monotonic() > deadline:
                    _stop(process)
                    return
    if code != 0:
        raise ToolError(f"mutmut stopped, see {copy / 'log'}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End mutmut, which has written down what it tested so far; in the middle of a mutant it may not listen."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _prepare(copy: Path, module: str) -> None:
    """Bring the copy up to date. What survived is tested again after any change; what was caught stays caught."""
    copy.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        if (ROOT / part).is_file():
            shutil.copy2(ROOT / part, copy / part)
            continue
        for old in (copy / part, *([copy / "mutants" / part] if part == "tests" else [])):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for made in (copy / "mutants").glob("*/**/*.py"):
        if not (copy / made.relative_to(copy / "mutants")).exists():
            made.unlink()
    with (copy / "pyproject.toml").open("a") as config:
        config.write(_config(module))
    digest, known = _digest(copy), copy / "digest"
    if known.is_file() and known.read_text() != digest:
        _forget_survivors(copy, module)
    known.write_text(digest)


def _config(module: str) -> str:
    mypy = [sys.executable, "-m", "mypy", "--config-file=", "--output=json", "--check-untyped-defs"]
    values: dict[str, Any] = {
        "source_paths": ["exchange", "bridge"],
        "only_mutate": [module],
        "do_not_mutate_patterns": list(UNCOUNTED),
        "pytest_add_cli_args_test_selection": MODULES[module],
        "type_check_command": [*mypy, "exchange", "bridge"],
        "on_dependency_change": "ignore",
        "timeout_multiplier": LONGER_TIMES,
        "timeout_constant": LONGER_SECONDS,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["\n[tool.mutmut]", *lines, "use_git_change_detection = false", ""])


def _digest(copy: Path) -> str:
    digest = hashlib.sha256()
    for part in ("exchange", "bridge", "tests"):
        for path in sorted((copy / part).rglob("*.py")):
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _forget_survivors(copy: Path, module: str) -> None:
    # mutmut would know of functions that are new only the tests that are new as well.
    (copy / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    meta = copy / "mutants" / f"{module}.meta"
    if meta.is_file():
        content = json.loads(meta.read_text())
        codes = content["exit_code_by_key"]
        content["exit_code_by_key"] = {name: code if _word_of(code) in CAUGHT else None for name, code in codes.items()}
        meta.write_text(json.dumps(content, indent=4))


def _word_of(code: int | None) -> str:
    return _WORDS.get(code, "survived")


def gather(module: str, before: Section) -> Section:
    """The module's results, with the reasons that were written down before."""
    meta = _copy_of(module) / "mutants" / f"{module}.meta"
    if not meta.is_file():
        raise ToolError(f"mutmut made no mutants, see {_copy_of(module) / 'log'}")
    functions = _functions((_copy_of(module) / "mutants" / module).read_text())
    section = Section()
    for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
        row = _row(name.rpartition(".")[2], functions)
        if _is_assertion_text(row):
            section.counts["texts"] += 1
            continue
        word = _word_of(code)
        section.counts[word] += 1
        if word == "survived":
            section.survivors[row] = before.survivors.get(row, "")
    return section


def _functions(text: str) -> dict[str, list[str]]:
    """The lines of each function that mutmut generated, without its name."""
    lines = text.splitlines()
    return {
        node.name: [line.replace(node.name, "", 1).strip() for line in lines[node.lineno - 1 : node.end_lineno]]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name
    }


def _row(name: str, functions: dict[str, list[str]]) -> Row:
    plain, _, number = name.rpartition("__mutmut_")
    sound, broken = functions[f"{plain}__mutmut_orig"], functions[f"{plain}__mutmut_{number}"]
    shorter = min(len(sound), len(broken))
    first = next((at for at in range(shorter) if sound[at] != broken[at]), shorter)
    same = next((at for at in range(shorter - first) if sound[-1 - at] != broken[-1 - at]), shorter - first)
    function = plain.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return Row(function, _one_line(sound[first : len(sound) - same]), _one_line(broken[first : len(broken) - same]))


def _one_line(lines: Iterable[str]) -> str:
    text = " ".join(lines)
    return text if len(text) <= LINE_MAX else f"{text[:LINE_MAX]} ..."


def _is_assertion_text(row: Row) -> bool:
    """Whether only the words have changed that an assertion fails with."""
    condition, text, _ = re.split(r'(, f?"|$)', row.line, maxsplit=1)
    return row.line.startswith("assert ") and text != "" and row.changed.startswith(condition + text)


def _copy_of(module: str) -> Path:
    return HOME / module.removesuffix(".py").replace("/", ".")


def read_page(text: str) -> dict[str, Section]:
    """What the page says of each module; what is no longer mutated is left out."""
    sections: dict[str, Section] = {}
    module = ""
    for line in text.splitlines():
        cells = [cell.strip().strip("`").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == len(COUNTS) + 3 and cells[0] in MODULES:
            sections[cells[0]] = Section(Counter(dict(zip(COUNTS, map(int, cells[3:]), strict=True))))
        elif line.startswith("## "):
            module = line.strip("#` ")
        elif len(cells) == 4 and line.startswith("| `") and module in sections:
            sections[module].survivors[Row(*cells[:3])] = cells[3]
    return sections


def page(sections: dict[str, Section]) -> str:
    """The page, of the modules that were ever mutated."""
    text = [
        INTRODUCTION,
        f"| module | score | without types | {' | '.join(COUNTS)} |",
        "|---" * (len(COUNTS) + 3) + "|",
    ]
    known = [(module, sections[module]) for module in MODULES if module in sections]
    for module, section in known:
        counts = " | ".join(str(section.counts[word]) for word in COUNTS)
        text.append(f"| `{module}` | {section.score} | {section.score_of_tests} | {counts} |")
    for module, section in known:
        if section.survivors:
            text += ["", f"## `{module}`", "", HEAD, "|---|---|---|---|"]
        for row, reason in sorted(section.survivors.items()):
            text.append(f"| {_cell(row.function)} | {_cell(row.line)} | {_cell(row.changed)} | {reason} |")
    return "\n".join([*text, ""])


def _cell(code: str) -> str:
    escaped = code.replace("|", "\\|")
    return f"`{escaped}`" if code else ""


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // whole} %" if whole else "-"


def report(chosen: list[str], sections: dict[str, Section]) -> int:
    """Print the scores; the exit code."""
    low = late = False
    for module in chosen:
        section = sections.get(module, Section())
        untested = section.counts["untested"] if section.tested else "all"
        sys.stdout.write(
            f"{section.score:>5} {module}: {section.caught} caught ({section.counts['types']} by types,"
            f" {section.counts['time']} by time), {section.counts['survived']} survived, {untested} not tested\n"
        )
        late = late or untested != 0
        low = low or (untested == 0 and 100 * section.caught < SCORE_MIN * section.tested)
    return 1 if low else 3 if late else 0


if __name__ == "__main__":
    sys.exit(main())
