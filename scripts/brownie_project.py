"""Compiles, deploys and tests the contracts with Brownie, on a chain of its own.

    python scripts/brownie_project.py            assembles build/brownie and runs Brownie's compile, run and test there
    python scripts/brownie_project.py compile    only some of these steps, in the order given

Brownie pins nearly everything that it needs, an older web3 among it, so it lives in an environment of its own
(`make brownie` makes it) and shares no code with the service: only the Solidity sources, and the committed artifacts
that its build is compared with. The compiler is the pinned one from npm, under the name that Brownie looks for.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
#: Brownie imports scripts by their whole path, so no folder on the way may have a dot in its name.
PROJECT: Final = ROOT / "build" / "brownie"
SOURCES: Final = ROOT / "contracts" / "src"
BROWNIE: Final = ROOT / ".venv-brownie" / "bin" / "brownie"
NODE: Final = ROOT / ".venv" / "bin" / "node"
ANVIL: Final = next((ROOT / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil"))
COMPILER: Final = ROOT / "contracts" / "solc.mjs"
SOLC_VERSION: Final = "0.8.37"
NETWORK: Final = "sarraf-local"
CHAIN_ID: Final = 31337
#: How long the chain may take until it answers.
START_SECONDS_MAX: Final = 30
#: The most that one of Brownie's steps may take: compiling by way of the intermediate language is slow.
STEP_SECONDS_MAX: Final = 900
STEPS: Final = {
    "compile": ["compile"],
    "run": ["run", "deploy", "--network", NETWORK],
    "test": ["test", "--network", NETWORK],
}
IMPORT: Final = re.compile(r'^import [^"]*"([^"]+)";', re.MULTILINE)


class StepFailed(Exception):
    """Raised when a step did not succeed; the message says which."""


def main(steps: list[str]) -> int:
    unknown = set(steps) - STEPS.keys()
    if unknown:
        sys.stderr.write(f"unknown step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}\n")
        return 2
    if "." in str(PROJECT):
        sys.stderr.write(f"Brownie cannot work below a folder with a dot in its name: {PROJECT}\n")
        return 2
    try:
        assemble()
        with chain() as port:
            # As a chain for development, to which Brownie attaches since it runs already.
            where = [f"cmd={ANVIL}", "host=http://127.0.0.1", f"port={port}"]
            brownie(["networks", "add", "development", NETWORK, *where])
            for step in steps or STEPS:
                sys.stdout.write(f"==> brownie {' '.join(STEPS[step])}\n")
                sys.stdout.flush()
                brownie(STEPS[step])
    except StepFailed as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


def assemble() -> None:
    """Lay out the project that Brownie expects: sources with all that they import, scripts, tests, the compiler."""
    for name in ("contracts", "scripts", "tests", "bin", "home", "interfaces", "build/deployments"):
        shutil.rmtree(PROJECT / name, ignore_errors=True)
    shutil.copytree(SOURCES, PROJECT / "contracts")
    for source in imported_libraries():
        target = PROJECT / "contracts" / source.relative_to(ROOT / "node_modules")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    ours = ROOT / "scripts" / "brownie"
    shutil.copyfile(ours / "brownie-config.yaml", PROJECT / "brownie-config.yaml")
    shutil.copytree(ours / "tests", PROJECT / "tests")
    for name in ("scripts", "interfaces", "bin", "home"):
        (PROJECT / name).mkdir(exist_ok=True)
    shutil.copyfile(ours / "deploy.py", PROJECT / "scripts" / "deploy.py")
    (PROJECT / "scripts" / "__init__.py").touch()
    (PROJECT / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # not the settings of the repo's own tests
    compiler = PROJECT / "bin" / f"solc-v{SOLC_VERSION}"
    compiler.write_text(f'#!/bin/sh\nexec "{NODE}" "{COMPILER}" "$@"\n', encoding="utf-8")
    compiler.chmod(0o755)


def imported_libraries() -> set[Path]:
    """The files of libraries that the contracts import, and what these import in turn."""
    found: set[Path] = set()
    open_files = list(SOURCES.rglob("*.sol"))
    while open_files:
        source = open_files.pop()
        for name in IMPORT.findall(source.read_text(encoding="utf-8")):
            path = (source.parent / name) if name.startswith(".") else ROOT / "node_modules" / name
            path = path.resolve()
            if SOURCES not in path.parents and path not in found:
                found.add(path)
                open_files.append(path)
    return found


def brownie(arguments: list[str]) -> None:
    """Run Brownie in the project. Raises StepFailed unless it succeeds."""
    environment = os.environ | {
        "HOME": str(PROJECT / "home"),  # where Brownie keeps networks and packages: not in the user's own
        "SOLCX_BINARY_PATH": str(PROJECT / "bin"),
        "SARRAF_ARTIFACTS": str(ROOT / "bridge" / "chain" / "artifacts"),
        "PYTHONPATH": str(PROJECT),
    }
    done = subprocess.run(
        [str(BROWNIE), *arguments],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=STEP_SECONDS_MAX,
    )
    if done.returncode:
        raise StepFailed(f"brownie {arguments[0]} failed with code {done.returncode}")


@contextmanager
def chain() -> Iterator[int]:
    """A chain on a free port of the loopback interface; ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # Brownie offers no more than a base fee of nothing on a chain that it did not start itself.
    anvil = subprocess.Popen(
        [str(ANVIL), "--port", str(port), "--base-fee", "0", "--quiet", "--chain-id", str(CHAIN_ID)]
    )
    try:
        wait_until_answering(anvil, port)
        yield port
    finally:
        anvil.terminate()
        anvil.wait()


def wait_until_answering(anvil: "subprocess.Popen[bytes]", port: int) -> None:
    """Return once somebody listens on the port. Raises StepFailed."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while anvil.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise StepFailed("the chain did not come up")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
