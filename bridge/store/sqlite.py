"""The ledger in a file, on SQLite, for one process.

Write-ahead log with full sync: what was committed survives a crash of the process and of the machine. Writers begin
with BEGIN IMMEDIATE, since a transaction that upgrades from reading to writing would ignore the busy timeout.

SQLite may have rolled back by itself when its disk is full (https://www.sqlite.org/lang_transaction.html).
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bridge.store import database
from bridge.store.database import Database, LedgerUnwritable, Standing, roll_back, tell_whether_it_stands
from exchange.errors import TooBusy

#: How long a connection waits for another process that holds the write lock (a backup).
BUSY_TIMEOUT_MS = 10_000
#: How long a start waits for another process that migrates the ledger.
MIGRATION_WAIT_MS = 600_000
#: Connections that readers may hold at the same time.
READERS_MAX = 40
#: How long one more waits for its turn.
READER_WAIT_S = 5.0

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


class SqliteDatabase(Database):
    """One ledger in one file."""

    def __init__(self, url: str) -> None:
        self.process = database.process_name()
        self._engine = sa.create_engine(
            url,
            pool_size=READERS_MAX,
            max_overflow=0,
            pool_timeout=READER_WAIT_S,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        sa.event.listen(self._engine, "connect", _prepare)

    @classmethod
    def in_file(cls, path: Path) -> "SqliteDatabase":
        """The ledger in the file at `path`, migrated to this version's schema."""
        path.parent.mkdir(parents=True, exist_ok=True)
        made = cls(f"sqlite:///{path}")
        made.migrate()
        return made

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema to `revision`, all of it or nothing. Raises SchemaUnfit, LedgerUnwritable.

        A table is altered by making it anew, which drops the old one: with foreign keys enforced that would delete, or
        refuse, what refers to its rows. So nothing is enforced meanwhile, and all is checked before the commit
        (https://www.sqlite.org/lang_altertable.html#otheralter).
        """
        with _telling_no_room(), self._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {MIGRATION_WAIT_MS}")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")  # does nothing within a transaction
            try:
                with _transaction(connection, "BEGIN IMMEDIATE"):
                    database.upgrade(connection, revision)
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                    assert not broken, f"the migration broke references: {broken[:10]}"
            finally:
                connection.invalidate()  # the next one is prepared anew

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one unchanging state of the ledger."""
        with _telling_no_room(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                roll_back(connection)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection that holds the write lock; commits at the end, rolls back when an error leaves the block."""
        with (
            _telling_no_room(),
            self._engine.connect() as connection,
            _transaction(connection, "BEGIN IMMEDIATE"),
        ):
            yield connection

    def probe(self, connection: sa.Connection) -> None:
        """Write a number that is there already: a page, which needs as much room as any."""
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")

    def accept_older(self) -> None:
        """Nothing to forget: a file that is replaced while it is open is not seen."""

    def now_ms(self, connection: sa.Connection) -> int:  # noqa: ARG002 - a file has no clock
        """This machine's time: nobody else writes."""
        return time.time_ns() // 1_000_000

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002
        """Nothing to watch: no other process changes this ledger."""
        return lambda: None

    def look(self) -> Standing:
        """SQLite's version, and the schema."""
        with self.read() as connection:
            return Standing(f"SQLite {sqlite3.sqlite_version}", database.revision_of(connection))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


@contextmanager
def _transaction(connection: sa.Connection, begin: str) -> Iterator[None]:
    connection.exec_driver_sql(begin)
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


@contextmanager
def _telling_no_room() -> Iterator[None]:
    """Say what SQLite says of a full disk in our own words, and that all connections are taken."""
    try:
        yield
    except sa.exc.OperationalError as failure:
        if getattr(failure.orig, "sqlite_errorcode", None) not in NO_ROOM:
            raise
        raise LedgerUnwritable(f"the ledger cannot be written: {failure.orig}") from failure
    except sa.exc.TimeoutError as failure:
        raise TooBusy("too many requests read the ledger at once; try again shortly", limit=READERS_MAX) from failure


def _prepare(connection: Any, record: sa.pool.ConnectionPoolEntry) -> None:
    # Transactions are begun by us, explicitly: the driver must not begin its own.
    connection.isolation_level = None
    tell_whether_it_stands(record, lambda: connection.in_transaction)
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
