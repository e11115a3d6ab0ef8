"""Breaks the contracts in every small way and checks that the tests see it.

    python scripts/mutate_contracts.py                        every mutant; takes one to two hours
    python scripts/mutate_contracts.py --only Powers.sol      those of some files
    python scripts/mutate_contracts.py --minutes 20           as many as fit; a later run goes on from there

A mutant is killed when a forge test fails; what does not compile is none. What survives must be explained in
contracts/mutants.md. Exits 1 when something survives without an explanation or is explained and does not survive, 2
when the work could not be done, 3 when time ran out before the last mutant.

Two steps, since compiling is slow. First only the mutated contract is compiled, by a compiler that stays started and
without the optimizer, and put in the place of forge's artifact: the tests deploy contracts by name. What survives is
then tested as forge does it, with all tests compiled against the mutated source: some tests call the libraries.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final

from build_contracts import collect_sources
from contract_tools import CONTRACTS, MODULES, ROOT, SOURCES, WORK, Answer, ToolError, TooLong, native, node, run
from mutants import Mutant, mutants_of

HOME: Final = WORK / "mutants"
RESULTS: Final = HOME / "results.json"
EXPLANATIONS: Final = CONTRACTS / "mutants.md"

WORKERS: Final = 2
# Fewer random inputs than usual: a mutant that only luck can find should be killed by a test that means it.
QUICK_RUNS: Final = 4
WHOLE_RUNS: Final = 32
QUICK_SECONDS_MAX: Final = 180  # a mutant may make a test loop until its gas is gone
WHOLE_SECONDS_MAX: Final = 900

SETTINGS: Final[dict[str, Any]] = {"evmVersion": "osaka", "optimizer": {"enabled": False}}
VIA_IR: Final = {"PointsToken": False, "PointsExchange": True}  # without it is faster, where the stack is deep enough
OUTPUTS: Final = ["evm.bytecode.object", "evm.deployedBytecode.object"]

CONTRACTS_BUILT: Final = ["PointsToken", "PointsExchange"]
INVARIANTS: Final = "InvariantsTest"
# The test contracts that the first step leaves out: slow ones, and those of what is not mutated.
OTHERS: Final = {
    "PointsToken": rf"^({INVARIANTS}|Exchange\w*Test)$",
    "PointsExchange": rf"^({INVARIANTS}|(Points)?Token\w*Test|PostTwinTest)$",
}
BUILT: Final = ("out", "cache")  # where forge puts what it compiled

KILLED: Final = "killed"
REFUSED: Final = "refused by the compiler"
SURVIVED: Final = "survived"
EXPLAINED: Final = re.compile(
    r"^\| *`(?P<file>[^`]+)` *\| *`(?P<sound>[^`]+)` *\| *`(?P<broken>[^`]+)` *\| *\S", re.MULTILINE
)

# Which contract's artifact a source goes into. What both share is tested in both.
TOKEN_ONLY: Final = {
    "PointsToken.sol",
    "libraries/Postings.sol",
    "libraries/TokenState.sol",
    "libraries/Bucket.sol",
    "libraries/Balances.sol",
}
EXCHANGE_ONLY: Final = {
    "PointsExchange.sol",
    "Positions.sol",
    "TermsBook.sol",
    "libraries/LegCalls.sol",
    "libraries/DirectionState.sol",
    "libraries/ProgramAccount.sol",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Break the contracts in every small way and test that it is seen.")
    parser.add_argument(
        "--only", action="append", default=[], metavar="FILE", help="only mutants of this file, below src/"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop when so much time has passed")
    parser.add_argument("--fresh", action="store_true", help="forget the results of earlier runs")
    arguments = parser.parse_args()
    try:
        return mutate(arguments.only, arguments.minutes * 60, fresh=arguments.fresh)
    except ToolError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def mutate(only: list[str], seconds: float, *, fresh: bool) -> int:
    """Tests the mutants of the files asked for and reports them; the exit code.

    Raises ToolError when a tool does not work, or when the tests fail without any mutant.
    """
    deadline = monotonic() + seconds
    # Read once: whoever goes on working on the contracts meanwhile does not disturb.
    sources = collect_sources([SOURCES / f"{name}.sol" for name in CONTRACTS_BUILT])
    mutants = [mutant for file in files(only) for mutant in mutants_of(file, sources[f"src/{file}"])]
    results = Results(fresh=fresh)
    waiting = [mutant for mutant in mutants if results.of(mutant) is None]
    sys.stdout.write(f"{len(mutants)} mutants, {len(waiting)} of them not tested yet\n")
    if waiting:
        _test_all(waiting, sources, results, deadline)
    return report(mutants, results)


def files(only: list[str]) -> list[str]:
    """The sources to mutate. Raises ToolError when one that was asked for is not there."""
    there = [path.relative_to(SOURCES).as_posix() for path in sorted(SOURCES.rglob("*.sol"))]
    there = [file for file in there if not file.startswith("interfaces/")]
    if missing := set(only) - set(there):
        raise ToolError(f"there is no {min(missing)} in {SOURCES}")
    return only or there


def _test_all(mutants: list[Mutant], sources: dict[str, str], results: "Results", deadline: float) -> None:
    workers: SimpleQueue[Worker] = SimpleQueue()
    for number in range(WORKERS):
        workers.put(Worker(number, sources))

    def test(mutant: Mutant) -> tuple[Mutant, str | None]:
        if monotonic() > deadline:
            return mutant, None
        worker = workers.get()
        try:
            return mutant, worker.verdict(mutant)
        finally:
            workers.put(worker)

    pool = ThreadPoolExecutor(WORKERS)
    try:
        for done in as_completed([pool.submit(test, mutant) for mutant in mutants]):
            mutant, verdict = done.result()
            if verdict is not None:
                results.add(mutant, verdict)
    finally:
        pool.shutdown(cancel_futures=True)  # what is under way ends by its own limit
        while not workers.empty():
            workers.get().close()


def report(mutants: Iterable[Mutant], results: "Results") -> int:
    """Says what survived and what of it is not explained, or no longer survives; the exit code."""
    verdicts = {mutant: results.of(mutant) for mutant in mutants}
    survivors = {mutant for mutant, verdict in verdicts.items() if verdict == SURVIVED}
    untested = sum(verdict is None for verdict in verdicts.values())
    explained = {
        (found["file"], found["sound"], found["broken"])
        for found in EXPLAINED.finditer(_explanations().replace(r"\|", "|"))  # a table's own bars are escaped in it
    }
    new = sorted(mutant for mutant in survivors if mutant.key not in explained)
    gone = explained & {mutant.key for mutant, verdict in verdicts.items() if verdict not in (SURVIVED, None)}
    gone -= {mutant.key for mutant in survivors}  # the same line may stand in a file twice
    for mutant in new:
        sys.stdout.write(
            f"survived, line {mutant.line}:\n| `{mutant.file}` | `{mutant.key[1]}` | `{mutant.key[2]}` | |\n"
        )
    for file, sound, broken in sorted(gone):
        sys.stdout.write(f"explained, but killed: {file}: `{sound}` as `{broken}`\n")
    killed = sum(verdict == KILLED for verdict in verdicts.values())
    refused = sum(verdict == REFUSED for verdict in verdicts.values())
    sys.stdout.write(
        f"{killed} killed, {len(survivors)} survived ({len(new)} of them not explained), {untested} not tested;"
        f" {refused} did not compile\n"
    )
    if new or gone:
        return 1
    return 3 if untested else 0


def _explanations() -> str:
    return EXPLANATIONS.read_text() if EXPLANATIONS.is_file() else ""


class Results:
    """What is known of each mutant, kept between runs.

    A change of a source forgets the mutants in it, and a change of anything, tests included, forgets the survivors. Not
    forgotten: what was killed in other sources, since a change seldom makes the tests see less; `--fresh` forgets all.
    """

    def __init__(self, *, fresh: bool) -> None:
        self._all = _digest(sorted([*SOURCES.rglob("*.sol"), *(ROOT / "tests" / "contracts").rglob("*.sol")]))
        self._files = {path.relative_to(SOURCES).as_posix(): _digest([path]) for path in SOURCES.rglob("*.sol")}
        self._verdicts: dict[str, dict[str, str]] = {}
        if RESULTS.is_file() and not fresh:
            kept = json.loads(RESULTS.read_text())
            self._verdicts = {
                file: {
                    name: verdict for name, verdict in known.items() if verdict != SURVIVED or kept["all"] == self._all
                }
                for file, known in kept["verdicts"].items()
                if kept["files"][file] == self._files.get(file)
            }

    def of(self, mutant: Mutant) -> str | None:
        return self._verdicts.get(mutant.file, {}).get(_name(mutant))

    def add(self, mutant: Mutant, verdict: str) -> None:
        self._verdicts.setdefault(mutant.file, {})[_name(mutant)] = verdict
        HOME.mkdir(parents=True, exist_ok=True)
        content = {"all": self._all, "files": self._files, "verdicts": self._verdicts}
        RESULTS.write_text(json.dumps(content, indent=1))
        sys.stdout.write(f"{verdict} {mutant.file}:{mutant.line} {mutant.broken.strip()}\n")
        sys.stdout.flush()


def _name(mutant: Mutant) -> str:
    return f"{mutant.line}:{mutant.broken}"


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass
class Compiler:
    """One started compiler; a request and its answer are a line each."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls) -> "Compiler":
        script = ROOT / "scripts" / "solc_server.mjs"
        return cls(
            subprocess.Popen([node(), script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        )

    def compile(self, sources: dict[str, str], name: str) -> dict[str, Any] | None:
        """The named contract's `evm` outputs; None when it does not compile. Raises ToolError when none answers."""
        outputs = {f"src/{name}.sol": {name: OUTPUTS}}
        request = {
            "language": "Solidity",
            "sources": {file: {"content": text} for file, text in sources.items()},
            "settings": {**SETTINGS, "viaIR": VIA_IR[name], "outputSelection": outputs},
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ToolError("the compiler ended in the middle of its work")
        answer = json.loads(line)
        if any(error["severity"] == "error" for error in answer.get("errors", [])):
            return None
        evm: dict[str, Any] = answer["contracts"][f"src/{name}.sol"][name]["evm"]
        return evm

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Worker:
    """A private copy of the contracts and their tests, compiled, and a compiler."""

    def __init__(self, number: int, sources: dict[str, str]) -> None:
        self._sources = sources
        self._home = HOME / str(number)
        self._log = self._home.with_suffix(".log")
        self._compiler = Compiler.start()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def verdict(self, mutant: Mutant) -> str:
        """Whether a test kills the mutant."""
        place = f"src/{mutant.file}"
        text = mutant.apply(self._sources[place])
        for name in _contracts_of(mutant.file):
            compiled = self._compiler.compile({**self._sources, place: text}, name)
            if compiled is None:
                return REFUSED
            self._install(name, compiled)
            try:
                if self._fails(QUICK_SECONDS_MAX, QUICK_RUNS, OTHERS[name]):
                    return KILLED
            finally:
                self._install(name, self._sound[name])
        return self._verdict_of_all(mutant, text)

    def close(self) -> None:
        self._compiler.close()

    def _prepare(self) -> None:
        """Compiles everything. The tests must pass with what this compiler makes of the sources as they are."""
        _copy_project(self._home)
        for name, text in self._sources.items():
            if name.startswith("src/"):
                (self._home / "contracts" / name).write_text(text)
        if self._forge(["build"], WHOLE_SECONDS_MAX).code != 0:
            raise ToolError(f"the contracts and their tests do not compile, see {self._log}")
        self._sound: dict[str, dict[str, Any]] = {}
        for name in CONTRACTS_BUILT:
            compiled = self._compiler.compile(self._sources, name)
            if compiled is None:
                raise ToolError(f"{name} does not compile")
            self._sound[name] = compiled
            self._install(name, compiled)
        if self._fails(WHOLE_SECONDS_MAX, WHOLE_RUNS, INVARIANTS):
            raise ToolError(f"the tests fail without any mutant, see {self._log}")
        for part in BUILT:
            shutil.rmtree(self._saved(part), ignore_errors=True)
            shutil.copytree(self._home / "contracts" / part, self._saved(part))

    def _verdict_of_all(self, mutant: Mutant, text: str) -> str:
        """As forge does it, with every test compiled against the mutated source."""
        path = self._home / "contracts" / "src" / mutant.file
        path.write_text(text)
        try:
            return KILLED if self._fails(WHOLE_SECONDS_MAX, WHOLE_RUNS, None) else SURVIVED
        finally:
            path.write_text(self._sources[f"src/{mutant.file}"])
            for part in BUILT:
                shutil.rmtree(self._home / "contracts" / part)
                shutil.copytree(self._saved(part), self._home / "contracts" / part)

    def _saved(self, part: str) -> Path:
        return HOME / f"{self._home.name}.{part}"

    def _install(self, name: str, compiled: dict[str, Any]) -> None:
        """Puts a contract in the place of what forge compiled, where the tests look for it."""
        path = self._home / "contracts" / "out" / f"{name}.sol" / f"{name}.json"
        artifact = json.loads(path.read_text())
        artifact["bytecode"] = {"object": "0x" + compiled["bytecode"]["object"]}
        artifact["deployedBytecode"] = {"object": "0x" + compiled["deployedBytecode"]["object"]}
        path.write_text(json.dumps(artifact))

    def _fails(self, seconds_max: float, runs: int, without: str | None) -> bool:
        """Whether a test fails, or does not end in time, as one does that a mutant made loop.

        Raises ToolError when no test ran.
        """
        left_out = ["--no-match-contract", without] if without else []
        try:
            answer = self._forge(["test", "--fail-fast", *left_out], seconds_max, runs)
        except TooLong:
            return True
        if answer.code < 0 or (answer.code == 0 and "tests passed" not in answer.text):
            raise ToolError(f"forge was ended, or ran no test, see {self._log}")  # which says nothing of the mutant
        return answer.code != 0

    def _forge(self, arguments: list[str], seconds_max: float, runs: int = 0) -> Answer:
        command: list[str | Path] = ["nice", "-n", "10", native("forge"), *arguments]
        variables = {"FOUNDRY_FUZZ_RUNS": str(runs)} if runs else {}
        return run(command, self._home / "contracts", log=self._log, seconds_max=seconds_max, **variables)


def _contracts_of(file: str) -> list[str]:
    if file in TOKEN_ONLY:
        return ["PointsToken"]
    if file in EXCHANGE_ONLY:
        return ["PointsExchange"]
    return CONTRACTS_BUILT


def _copy_project(home: Path) -> None:
    """The contracts and their tests, laid out as in the repository; forge's own output stays: it builds less."""
    for part in ("contracts/src", "tests/contracts"):
        shutil.rmtree(home / part, ignore_errors=True)
        shutil.copytree(
            ROOT / part, home / part, ignore=shutil.ignore_patterns("*.py", "__pycache__", "symbolic", "rivals")
        )
    for file in ("foundry.toml", "solc.mjs"):
        shutil.copy(CONTRACTS / file, home / "contracts" / file)
    config = home / "contracts" / "foundry.toml"
    quick = config.read_text().replace(
        'name = "deployed", optimizer = true, optimizer_runs = 1000000, via_ir = true',
        'name = "deployed", optimizer = false, via_ir = true',
    )
    quick = quick.replace(
        'paths = "src/Points*.sol", optimizer_runs = 1000000, via_ir', 'paths = "src/PointsExchange.sol", via_ir'
    )
    config.write_text(quick.replace('solc = "', 'code_size_limit = 1000000\nsolc = "', 1))
    modules = home / "node_modules"
    if not modules.exists():
        modules.symlink_to(MODULES)


if __name__ == "__main__":
    sys.exit(main())
