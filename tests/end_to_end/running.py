"""A real service in a process of its own, which a test may kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx2

from bridge.chain.anvil import find_anvil
from bridge.chain.errors import ChainUnreachable
from bridge.chain.rpc import Rpc
from bridge.client import Client
from tests.ports import free_port

READY_S_MAX = 120.0
SETTLE_S_MAX = 120.0
POLL_S = 0.05

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], what: str, seconds: float = SETTLE_S_MAX) -> Found:
    """Look again until there is something; fails with `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(POLL_S)
    raise AssertionError(f"not within {seconds} s: {what}")


@contextmanager
def fresh_node() -> Iterator[Rpc]:
    """A node that mines a block for each transaction by itself, with the ten accounts of the public test mnemonic."""
    port = free_port()
    process = subprocess.Popen([str(find_anvil()), "--host", "127.0.0.1", "--port", str(port), "--quiet"])
    rpc = Rpc(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        try:
            return rpc.chain_id() == 31337
        except ChainUnreachable:
            return False

    try:
        until(answers, "the node answers", 20)
        yield rpc
    finally:
        rpc.close()
        process.terminate()
        process.wait(20)


def until_active(operator: Client, program_id: str) -> None:
    """Wait until a new program is set up on the chain."""
    until(lambda: operator.program(program_id)["state"] == "active", f"{program_id} is active")


class ServiceProcess:
    """`sarraf serve` on one data directory, started again on the same one after a kill."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self._environment = {"SARRAF_BATCH_LINGER_MS": "20"} | environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, until_it: str = "readyz") -> None:
        """Returns when the service is ready, or (`livez`) when it answers at all."""
        self.launch()
        self.wait_until_ready(until_it)

    def wait_until_ready(self, until_it: str = "readyz") -> None:
        """Returns when the service that was launched is ready, or (`livez`) when it answers at all."""
        until(lambda: self._answers(until_it), f"the service is ready; its log ends:\n{self.log_end()}", READY_S_MAX)

    def launch(self) -> None:
        """Start the process, and wait for nothing."""
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "service.json").unlink(missing_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SARRAF_")}
        with (self.data / "test.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bridge.cli.main", "--data", str(self.data), "serve", "--port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=inherited | self._environment,
            )

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the service."""
        assert self._process is not None
        return self._process.pid

    def is_ready(self) -> bool | None:
        """Whether it answers that it is ready; None when the process has ended by itself."""
        assert self._process is not None
        return None if self._process.poll() is not None else self._answers("readyz")

    def kill(self) -> None:
        """kill -9: no handler runs, nothing is flushed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        code = self._process.wait(60)
        self._process = None
        return code

    def end(self) -> None:
        """Nothing of it is left, whatever state it is in."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()

    def kill_chain(self) -> int:
        """kill -9 of the embedded chain; answers the process id that it had."""

        def killed() -> int | None:
            pid = self.chain_pid()
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it was one that rebuilds the chain, and is done with that
                return None
            return pid

        return until(killed, "an embedded chain is killed")

    def chain_pid(self) -> int:
        """The process id of the embedded chain: the service's only child that is an anvil."""
        assert self._process is not None
        return until(lambda: _anvil_below(self._process.pid), "the embedded chain runs")  # type: ignore[union-attr]

    @property
    def url(self) -> str:
        """Where the service listens."""
        return str(json.loads((self.data / "service.json").read_text())["url"])

    def client(self, key: str | None = None) -> Client:
        """A client of the service, with the operator's key unless another is given."""
        return Client(self.url, key or (self.data / "operator.key").read_text().strip())

    def log_end(self) -> str:
        """The last lines that the service wrote."""
        file = self.data / "test.log"
        return "\n".join(file.read_text(errors="replace").splitlines()[-20:]) if file.exists() else ""

    def wait_until_quiet(self) -> None:
        """Returns when nothing is on its way to the chain any more."""

        def quiet() -> bool:
            with self.client() as client:
                posting = client.status()["posting"]
            assert posting["breaker"] is None, posting["breaker"]
            return posting["accepted_waiting"] == 0 and posting["batches_in_flight"] == 0

        until(quiet, f"everything accepted is final; the log ends:\n{self.log_end()}")

    def _answers(self, path: str) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the service ended:\n{self.log_end()}"
        try:
            return httpx2.get(f"{self.url}/{path}", timeout=5).status_code == 200
        except (OSError, ValueError, httpx2.TransportError):
            return False


def _anvil_below(parent: int) -> int | None:
    """The child process of `parent` that is an anvil, from the operating system's own list."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    for line in listed.stdout.splitlines():
        pid, _, name = line.strip().partition(" ")
        if name.strip().startswith("anvil"):
            return int(pid)
    return None
