"""Where ledgers are kept: that of the ground, and that of each run, which is a copy of it.

A run's ledger is opened by each process for itself, copied while it is written to, and put back to that copy.
"""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

import sqlalchemy as sa

from bridge.store.database import Database
from bridge.store.postgres import PostgresDatabase
from bridge.store.sqlite import SqliteDatabase
from tests.postgres import Address, name_of


class Ledgers(Protocol):
    """Where the ledger of a run is kept."""

    @property
    def has_backup(self) -> bool:
        """Whether there is a copy to put back."""
        ...

    def open(self) -> Database:
        """The ledger for one more process, or for whoever looks at it."""
        ...

    def back_up(self) -> None:
        """Copy the ledger while processes write to it."""
        ...

    def put_back(self) -> None:
        """Let the copy, which is used up, take the place of the ledger. Nobody has it open."""
        ...

    def remove(self) -> None:
        """Delete all of it."""
        ...


class Store(Protocol):
    """Where the ground's ledger is."""

    def open(self) -> Database:
        """The ground's ledger, made where there is none yet."""
        ...

    def copy(self, directory: Path, now_ms: Callable[[], int]) -> Ledgers:
        """A ledger for a run. Nobody has the ground's open; `now_ms` is the time that leases go by."""
        ...


class SqliteStore:
    """In a file."""

    def __init__(self) -> None:
        self._path = Path(mkdtemp(prefix="sarraf-simulation-")) / "ledger.sqlite3"

    def open(self) -> Database:
        """The file."""
        return SqliteDatabase.in_file(self._path)

    def copy(self, directory: Path, now_ms: Callable[[], int]) -> "SqliteLedgers":
        """A file in this directory."""
        return SqliteLedgers(self._path, directory, now_ms)


class PostgresStore:
    """In a database of a server."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._url = server.make()

    def open(self) -> Database:
        """The database."""
        made = PostgresDatabase(self._url)
        made.migrate()
        return made

    def copy(self, directory: Path, now_ms: Callable[[], int]) -> "PostgresLedgers":  # noqa: ARG002 - it is the server's
        """Another database of the server."""
        return PostgresLedgers(self._server, self._url, now_ms)


class _SqliteInSimulatedTime(SqliteDatabase):
    """A file has no clock; its leases go by the network's time here."""

    def __init__(self, url: str, now_ms: Callable[[], int]) -> None:
        super().__init__(url)
        self._now_ms = now_ms
        # A crash of the process, not of the machine: what the system was told is there afterwards.
        sa.event.listen(self._engine, "connect", _hurry)

    def now_ms(self, connection: sa.Connection) -> int:  # noqa: ARG002 - it is the network's
        return self._now_ms()


class SqliteLedgers:
    """Files of a directory. Several processes may have one open, since only one of them acts at a time."""

    def __init__(self, source: Path, directory: Path, now_ms: Callable[[], int]) -> None:
        self._path = directory / "ledger.sqlite3"
        self._backup = directory / "backup.sqlite3"
        self._now_ms = now_ms
        shutil.copyfile(source, self._path)

    @property
    def has_backup(self) -> bool:
        """Whether there is a copy to put back."""
        return self._backup.exists()

    def open(self) -> Database:
        """The file, opened anew."""
        return _SqliteInSimulatedTime(f"sqlite:///{self._path}", self._now_ms)

    def back_up(self) -> None:
        """Copy it as SQLite does."""
        with sqlite3.connect(self._path) as ours, sqlite3.connect(self._backup) as copy:
            ours.backup(copy)
        ours.close()
        copy.close()

    def put_back(self) -> None:
        """Move the copy to where the ledger was."""
        for left in ("-wal", "-shm"):
            self._path.with_name(f"{self._path.name}{left}").unlink(missing_ok=True)
        shutil.move(self._backup, self._path)

    def remove(self) -> None:
        """The directory goes with its owner."""


class _PostgresInSimulatedTime(PostgresDatabase):
    """Leases go by the network's time, and not by the server's."""

    def __init__(self, url: str, now_ms: Callable[[], int]) -> None:
        super().__init__(url)
        self._now_ms = now_ms

    def now_ms(self, connection: sa.Connection) -> int:  # noqa: ARG002 - it is the network's
        return self._now_ms()


class PostgresLedgers:
    """Databases of a server."""

    def __init__(self, server: Address, source: str, now_ms: Callable[[], int]) -> None:
        self._server = server
        self._now_ms = now_ms
        self._url = server.make(name_of(source))
        self._backup: str | None = None
        self._opened: list[Database] = []

    @property
    def has_backup(self) -> bool:
        """Whether there is a copy to put back."""
        return self._backup is not None

    def open(self) -> Database:
        """The database, with connections of its own."""
        self._opened.append(_PostgresInSimulatedTime(self._url, self._now_ms))
        return self._opened[-1]

    def back_up(self) -> None:
        """Copy it. The server does so while nobody is connected; whoever was connects again."""
        self._disconnect()
        self._backup = self._server.make(name_of(self._url))

    def put_back(self) -> None:
        """Drop the ledger; the copy is the ledger now."""
        assert self._backup is not None
        self._disconnect()
        self._server.drop(self._url)
        self._url, self._backup = self._backup, None
        self._opened.clear()

    def remove(self) -> None:
        """Drop all of it."""
        self._disconnect()
        for url in filter(None, (self._url, self._backup)):
            self._server.drop(url)

    def _disconnect(self) -> None:
        for one in self._opened:
            one.close()


def _hurry(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")
