"""The service as a child process of a command: started, waited for, and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bridge.answers import Readiness
from bridge.cli.errors import CliError
from bridge.cli.running import Running, is_served, read_operator_key, read_running
from bridge.client import Client, ClientError, ServiceUnreachable

READY_S_MAX = 300.0
STOP_S_MAX = 60.0
POLL_S = 0.2
LOG_FILE = "service.log"
LOG_LINES_SHOWN = 12
LOG_BYTES_READ = 8_192
TERMINATED = 143


@dataclass(slots=True)
class Service:
    """A service that is ready. `process` is None when it ran before and is not ours to stop."""

    url: str
    operator_key: str
    log: Path
    process: subprocess.Popen[bytes] | None

    @property
    def has_ended(self) -> bool:
        """Whether our own child is gone."""
        return self.process is not None and self.process.poll() is not None


@contextmanager
def service(data: Path, *, port: int | None = None, ready_s_max: float = READY_S_MAX) -> Iterator[Service]:
    """The service on this data: the one that runs already, else a child that is stopped in the end.

    Raises CliError when it does not get ready, with the end of its log.
    """
    data.mkdir(parents=True, exist_ok=True)
    log = data / LOG_FILE
    running = read_running(data)
    if running is not None and is_served(data):
        yield _ready(data, log, None, running.pid, ready_s_max)
        return
    process = _start(data, log, port)
    with _terminate_as_exit():
        try:
            yield _ready(data, log, process, process.pid, ready_s_max)
        finally:
            stop(process, log)


def serve_command(data: Path, port: int | None) -> list[str]:
    """How the child is called."""
    command = [sys.executable, "-m", "bridge.cli.main", "--data", str(data), "serve"]
    return command if port is None else [*command, "--port", str(port)]


def _start(data: Path, log: Path, port: int | None) -> subprocess.Popen[bytes]:
    # The address that clients were told is not this child's.
    environment = {name: value for name, value in os.environ.items() if name != "SARRAF_URL"}
    with log.open("ab") as output:
        # A process group of its own: Ctrl-C at the terminal is for us, who then stop it in order.
        return subprocess.Popen(
            serve_command(data, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,
        )


def _ready(data: Path, log: Path, process: subprocess.Popen[bytes] | None, pid: int, ready_s_max: float) -> Service:
    deadline = time.monotonic() + ready_s_max
    waiting_for = "it has not said where it listens"
    while True:
        if process is not None and process.poll() is not None:
            raise CliError(f"the service ended with code {process.returncode} before it was ready{_log_end(log)}")
        running = read_running(data)
        if running is not None and running.pid == pid:
            waiting_for = _unready(running) or ""
            key = read_operator_key(data)
            if not waiting_for and key is not None:
                return Service(running.url, key, log, process)
            waiting_for = waiting_for or "it has not written its operator key"
        if time.monotonic() > deadline:
            raise CliError(f"the service is not ready after {ready_s_max:.0f} s: {waiting_for}{_log_end(log)}")
        time.sleep(POLL_S)


def _unready(running: Running) -> str | None:
    """What the service still waits for, or None."""
    with Client(running.url) as client:
        try:
            ready, readiness = client.readiness()
        except ServiceUnreachable:
            return f"nobody answers at {running.url}"
        except ClientError as error:
            return str(error)
    return None if ready else _failing(readiness) or "it says so"


def _failing(readiness: Readiness) -> str:
    return "; ".join(f"{c['name']}: {c['detail']}" for c in readiness.get("checks", []) if not c["ok"])


def stop(process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask the child to end, and wait. Raises CliError when it had to be killed."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise CliError(f"the service did not end within {STOP_S_MAX:.0f} s and was killed{_log_end(log)}") from None


def _log_end(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LOG_BYTES_READ))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return f"; its log {log} ends with: " + " | ".join(lines[-LOG_LINES_SHOWN:])


@contextmanager
def _terminate_as_exit() -> Iterator[None]:
    """SIGTERM unwinds like any exit, so that the child is stopped too."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
