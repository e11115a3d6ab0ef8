"""The native tools that the contracts' tests run, and where they are.

Tools that are not installed fail a test with a sentence that says so; nothing is ever skipped.
"""

import fcntl
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CONTRACTS: Final = ROOT / "contracts"
ARTIFACTS: Final = ROOT / "bridge" / "chain" / "artifacts"


def native(tool: str) -> Path:
    """The native binary of a Foundry tool, not npm's shim: the shim of forge exits 0 when tests fail."""
    found = sorted((ROOT / "node_modules" / "@foundry-rs").glob(f"{tool}-*/bin/{tool}*"))
    assert found, f"{tool} is not in {ROOT / 'node_modules'}: run the tests with `make test`, which installs it"
    return found[0]


def environment() -> dict[str, str]:
    """The environment for tools that start the compiler, a Node program: Node is beside this Python."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path}


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Nobody else who asks for it works on the project at `root` meanwhile: forge writes to its folders as it goes."""
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def forge(*arguments: str, root: Path, seconds_max: float) -> subprocess.CompletedProcess[str]:
    """Runs forge on the project at `root`; its answer holds both streams in `stdout`."""
    return subprocess.run(
        [str(native("forge")), *arguments],
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds_max,
        check=False,
    )
