"""The native anvil: where its binary is, and one running process of it.

The process listens on the loopback interface only. On Linux it dies with the service; elsewhere the next
start ends it by its pid file.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bridge.chain.errors import AnvilMissing, ChainCannotStart, ChainUnreachable
from bridge.chain.files import write_durably
from bridge.chain.rpc import Rpc

HOST = "127.0.0.1"
BINARY_VARIABLE = "SARRAF_ANVIL"
START_TIMEOUT_S = 120.0  # a large snapshot takes seconds to load
STOP_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 120.0  # saving a chain of some millions of entries takes a minute
WAIT_STEP_S = 0.02
LOG_TAIL_BYTES = 2000

# Runs before anvil takes the process over: the kernel then kills anvil when the thread that started it ends.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != parent:
    sys.exit("the service ended before its chain began")
os.execv(command[0], command)
"""


def find_anvil() -> Path:
    """The anvil to run: the one that SARRAF_ANVIL names, else npm's native one, else one on the PATH.

    npm's `anvil` command is no good: it is a wrapper that, when killed, leaves the real one running.
    Raises `AnvilMissing` when there is none.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return _executable(Path(named), f"{BINARY_VARIABLE} names")
    installed = Path("node_modules", "@foundry-rs", f"anvil-{_platform()}", "bin", "anvil")
    for root in (*Path(__file__).resolve().parents, Path.cwd(), *Path.cwd().parents):
        if (root / installed).is_file():
            return _executable(root / installed, "npm installed")
    on_path = shutil.which("anvil")
    if on_path is None:
        raise AnvilMissing(
            f"No anvil was found: not in {installed} of the project, and not on the PATH. "
            f"`make demo` installs it; {BINARY_VARIABLE} names another one."
        )
    return Path(on_path)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: a connection of the server before that lingers in TIME_WAIT does not occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def wait_until_free(port: int, timeout_s: float) -> bool:
    """Waits for whoever is giving up this port; says whether it is free."""
    deadline = time.monotonic() + timeout_s
    while not port_is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(WAIT_STEP_S)
    return True


class Anvil:
    """One anvil process working for `directory`, and an `rpc` to it.

    Must be started from a thread that lives as long as the process should.
    """

    def __init__(self, binary: Path, directory: Path, port: int, arguments: Sequence[str]) -> None:
        self.port = port
        self.rpc = Rpc(f"http://{HOST}:{port}", ANSWER_TIMEOUT_S)
        self._pid_file = directory / "anvil.pid"
        self._log = directory / "anvil.log"
        command = [
            str(binary),
            "--host",
            HOST,
            "--port",
            str(port),
            *_marker(directory),
            "--quiet",
            *arguments,
        ]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal must reach the service, which then saves the chain.
            self._process = subprocess.Popen(
                _dying_with_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        write_durably(self._pid_file, str(self._process.pid).encode())

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def wait_until_answering(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Returns at the first answer; raises `ChainCannotStart` when the process ends or stays silent."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and not should_stop():
            if not self.is_alive():
                raise ChainCannotStart(f"anvil ended with code {self._process.returncode}: {self._last_words()}")
            with contextlib.suppress(ChainUnreachable):
                self.rpc.chain_id()
                return
            time.sleep(WAIT_STEP_S)
        raise ChainCannotStart(f"anvil did not answer on port {self.port} within {START_TIMEOUT_S:.0f} s.")

    def end(self) -> None:
        """Ends the process, the hard way if it does not listen, and forgets it. Twice does no harm."""
        self.rpc.close()
        if self.is_alive():
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_TIMEOUT_S)
        self._pid_file.unlink(missing_ok=True)

    def _last_words(self) -> str:
        said = self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return " ".join(said.split()) or "it said nothing"


def end_stale_anvil(directory: Path) -> bool:
    """Ends the anvil that an earlier run left behind in `directory`; says whether a run left a trace.

    Only a process whose command line names this very directory is ended: a pid may belong to anybody by now.
    """
    pid_file = directory / "anvil.pid"
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return False
    if _marker(directory)[1] in _command_line(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    pid_file.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def running(anvil: Anvil) -> Iterator[Anvil]:
    """Ends `anvil` at the end of the block, however it is left."""
    try:
        yield anvil
    finally:
        anvil.end()


def _marker(directory: Path) -> list[str]:
    """Arguments that keep anvil's own files in `directory`, and by which it is known as ours."""
    return ["--cache-path", str(directory.resolve() / "anvil-cache")]


def _command_line(pid: int) -> str:
    """The command line of a process, empty when there is no such process."""
    if platform.system() == "Linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def _dying_with_parent(command: list[str]) -> list[str]:
    if platform.system() != "Linux":
        return command
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def _executable(path: Path, whose: str) -> Path:
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise AnvilMissing(f"The anvil that {whose}, {path}, is not a file that can be run.")
    return path


def _platform() -> str:
    system = {"Windows": "win32", "Darwin": "darwin"}.get(platform.system(), "linux")
    machine = platform.machine().lower()
    return f"{system}-{'arm64' if machine in ('arm64', 'aarch64') else 'amd64'}"
