"""The ledger database on SQLite: connections, pragmas, migrations.

Write-ahead log with full sync: what was committed survives a crash of the process and of the machine. Writers begin
with BEGIN IMMEDIATE, since a transaction that upgrades from reading to writing would ignore the busy timeout.

A disk that is full is an expected error: LedgerUnwritable, after which nothing of the transaction is left. SQLite may
have rolled back by itself then (https://www.sqlite.org/lang_transaction.html). Every other error is a bug.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from exchange.errors import Unavailable

#: How long a connection waits for another process that holds the write lock (a migration, a backup).
BUSY_TIMEOUT_MS = 10_000
#: Connections that readers may hold at the same time.
READERS_MAX = 40
#: Values in one IN (...) list; SQLite's own limit is 32,766.
IN_LIST_MAX = 10_000

#: What SQLite says when the disk takes no more (https://www.sqlite.org/rescode.html): no room, a quota, a failed sync.
NO_ROOM = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_SHMMAP,
    }
)

_MIGRATIONS = Path(__file__).parent / "migrations"


class LedgerUnwritable(Unavailable):
    """Raised when the disk that holds the ledger takes no more: it is full, or fails.

    What was asked for is undone as far as this process goes. A commit whose sync failed may still be found on the disk
    after a crash, so whoever repeats a request does it under the same key.
    """

    type = "ledger-unwritable"


class Database:
    """One ledger. `read()` and `write()` give a connection in a transaction, which an error rolls back."""

    def __init__(self, url: str) -> None:
        if not url.startswith("sqlite:///"):
            raise ValueError(
                f"database url {url!r}: the embedded ledger is SQLite, such as sqlite:////data/ledger.sqlite3"
            )
        self._engine = sa.create_engine(
            url,
            pool_size=READERS_MAX,
            max_overflow=0,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        sa.event.listen(self._engine, "connect", _prepare)

    @classmethod
    def in_file(cls, path: Path) -> "Database":
        """The ledger in the file at `path`, migrated to this version's schema."""
        path.parent.mkdir(parents=True, exist_ok=True)
        database = cls(f"sqlite:///{path}")
        database.migrate()
        return database

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema to `revision`, all of it or nothing; does nothing where it stands there already."""
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one unchanging state of the ledger.

        Raises LedgerUnwritable where a question needs room on the disk, to sort its answer, and there is none.
        """
        with _telling_no_room(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                _roll_back(connection)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection that holds the write lock; commits at the end, rolls back when an error leaves the block.

        Raises LedgerUnwritable where the disk takes no more.
        """
        with _telling_no_room(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def revisions() -> frozenset[str]:
    """The revisions of the schema that this version knows: its own, and those that it migrates from."""
    return frozenset(one.revision for one in ScriptDirectory(str(_MIGRATIONS)).walk_revisions())


@contextmanager
def savepoint(connection: sa.Connection) -> Iterator[None]:
    """Undo only what the block wrote when an error leaves it; the transaction around it goes on."""
    connection.exec_driver_sql("SAVEPOINT command")
    try:
        yield
    except BaseException:
        if _is_open(connection):
            connection.exec_driver_sql("ROLLBACK TO command")
            connection.exec_driver_sql("RELEASE command")
        raise
    connection.exec_driver_sql("RELEASE command")


@contextmanager
def _telling_no_room() -> Iterator[None]:
    """Say what SQLite says of a full disk in our own words."""
    try:
        yield
    except sa.exc.OperationalError as failure:
        if getattr(failure.orig, "sqlite_errorcode", None) not in NO_ROOM:
            raise
        raise LedgerUnwritable(f"the ledger cannot be written: {failure.orig}") from failure


def _roll_back(connection: sa.Connection) -> None:
    if _is_open(connection):
        connection.exec_driver_sql("ROLLBACK")


def _is_open(connection: sa.Connection) -> bool:
    """Whether a transaction is open: after some errors SQLite has rolled it back already."""
    return bool(connection.connection.driver_connection.in_transaction)  # type: ignore[union-attr]


def _prepare(connection: Any, _record: object) -> None:
    # Transactions are begun by us, explicitly: the driver must not begin its own.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")
