"""A chain of its own for the Python tests of the contracts."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from web3 import HTTPProvider, Web3

from .tools import native

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10
POLL_SECONDS = 0.02
LISTENING = "Listening on "


@pytest.fixture(scope="session")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    """web3 on a fresh anvil that mines each transaction at once, at a port that the system picked."""
    log = tmp_path_factory.mktemp("anvil") / "log"
    command = [str(native("anvil")), "--host", "127.0.0.1", "--port", "0", "--hardfork", "osaka"]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            yield Web3(HTTPProvider(f"http://{_address(log, process)}"))
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Where anvil listens: it says so in its log once it does."""
    deadline = monotonic() + START_SECONDS_MAX
    while monotonic() < deadline:
        for line in log.read_text().splitlines(keepends=True):
            if line.startswith(LISTENING) and line.endswith("\n"):
                return line.removeprefix(LISTENING).strip()
        assert process.poll() is None, f"anvil ended before it listened:\n{log.read_text()}"
        sleep(POLL_SECONDS)
    raise AssertionError(f"anvil did not listen within {START_SECONDS_MAX} seconds:\n{log.read_text()}")
