"""Compiles the contracts and writes what the service deploys and calls.

    python scripts/build_contracts.py            writes bridge/chain/artifacts/*.json
    python scripts/build_contracts.py --check    writes nothing; exits 1 when a committed artifact differs

The result depends on the sources, the pinned compiler and the settings below, and on nothing of the machine:
sources go to the compiler under relative names, and the bytecode carries no metadata hash.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

import solcx

ROOT: Final = Path(__file__).resolve().parent.parent
CONTRACTS: Final = ROOT / "contracts"
ARTIFACTS: Final = ROOT / "bridge" / "chain" / "artifacts"
COMPILER: Final = CONTRACTS / "solc.mjs"
BUILT: Final = ("PointsToken", "PointsExchange")

SETTINGS: Final[dict[str, Any]] = {
    "evmVersion": "osaka",
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
}
OUTPUTS: Final = [
    "abi",
    "userdoc",
    "evm.bytecode.object",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
]

IMPORT: Final = re.compile(r'^import .*"(?P<path>[^"]+)";', re.MULTILINE)


class BuildError(Exception):
    """Raised when the contracts cannot be compiled here; the message says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the contracts into bridge/chain/artifacts.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when an artifact differs")
    arguments = parser.parse_args()
    try:
        artifacts = build()
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.check:
        return check(artifacts, ARTIFACTS)
    write(artifacts, ARTIFACTS)
    return 0


def write(artifacts: dict[str, str], folder: Path) -> None:
    """Writes fresh artifacts to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in artifacts.items():
        (folder / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {folder / name}\n")


def check(artifacts: dict[str, str], folder: Path) -> int:
    """Compares fresh artifacts with those in `folder` and names those that differ; 1 if there are any."""
    differing = [name for name, text in artifacts.items() if _read_if_there(folder / name) != text]
    for name in differing:
        sys.stderr.write(f"{name} is not what the sources give: run `make contracts` and review the difference\n")
    return 1 if differing else 0


def build() -> dict[str, str]:
    """The artifacts' texts by file name.

    Raises BuildError when a tool is missing or a source does not compile.
    """
    sources = collect_sources([CONTRACTS / "src" / f"{name}.sol" for name in BUILT])
    output = compile_sources(sources)
    return {f"{name}.json": artifact(name, output, sources) for name in BUILT}


def collect_sources(entries: list[Path]) -> dict[str, str]:
    """The text of each source that `entries` need, themselves included, by the name for the compiler."""
    sources: dict[str, str] = {}
    waiting = list(entries)
    while waiting:
        path = waiting.pop()
        name = source_name(path)
        if name in sources:
            continue
        sources[name] = path.read_text(encoding="utf-8")
        waiting += [locate(found["path"], path) for found in IMPORT.finditer(sources[name])]
    return sources


def source_name(path: Path) -> str:
    """Relative to contracts/ for ours, to node_modules/ for a package's: the same on every machine."""
    base = CONTRACTS if path.is_relative_to(CONTRACTS) else ROOT / "node_modules"
    return path.relative_to(base).as_posix()


def locate(imported: str, importer: Path) -> Path:
    """The file that an import means. Raises BuildError when a package is not installed."""
    base = importer.parent if imported.startswith(".") else ROOT / "node_modules"
    path = (base / imported).resolve()
    if not path.is_file():
        raise BuildError(f"{path} is missing; `make contracts` and `make test` install it")
    return path


def compile_sources(sources: dict[str, str]) -> dict[str, Any]:
    """The compiler's answer for all sources at once.

    Raises BuildError on any error, and on a warning about our sources.
    """
    # The compiler is a Node program, and Node is in the virtual environment, maybe not on the caller's PATH.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sorted(sources.items())},
        "settings": {**SETTINGS, "outputSelection": {"*": {"*": OUTPUTS}}},
    }
    try:
        answer: dict[str, Any] = solcx.compile_standard(request, solc_binary=COMPILER)
    except solcx.exceptions.SolcError as error:
        raise BuildError(f"the compiler refused:\n{error.message}") from error
    except OSError as error:
        raise BuildError(f"the compiler does not start: {error}") from error
    if warnings := [message["formattedMessage"] for message in answer.get("errors", []) if _is_ours(message)]:
        raise BuildError("the compiler warns:\n" + "\n".join(warnings))
    return answer


def artifact(name: str, output: dict[str, Any], sources: dict[str, str]) -> str:
    """One contract's artifact: what is needed to deploy it, to call it and to build it again."""
    source = f"src/{name}.sol"
    compiled = output["contracts"][source][name]
    deployed = compiled["evm"]["deployedBytecode"]
    fields = {
        "contractName": name,
        "sourceName": source,
        "compiler": str(solcx.wrapper.get_solc_version(COMPILER, with_commit_hash=True)),
        "settings": SETTINGS,
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        # Bytes of the deployed code that the constructor fills in; they are zero in deployedBytecode.
        "immutableRanges": sorted(
            [place["start"], place["length"]] for places in deployed["immutableReferences"].values() for place in places
        ),
        "sourceHashes": {key: hashlib.sha256(text.encode()).hexdigest() for key, text in sources.items()},
    }
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


def _is_ours(message: dict[str, Any]) -> bool:
    """Whether a compiler message is about our sources; a package's warnings are not ours to mend."""
    return str(message.get("sourceLocation", {}).get("file", "src/")).startswith("src/")


def _read_if_there(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
