"""The ledger database on SQLite: connections, pragmas, migrations.

Write-ahead log with full sync: what was committed survives a crash of the process and of the machine. Writers begin
with BEGIN IMMEDIATE, since a transaction that upgrades from reading to writing would ignore the busy timeout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

#: How long a connection waits for another process that holds the write lock (a migration, a backup).
BUSY_TIMEOUT_MS = 10_000
#: Connections that readers may hold at the same time.
READERS_MAX = 40
#: Values in one IN (...) list; SQLite's own limit is 32,766.
IN_LIST_MAX = 10_000

_MIGRATIONS = Path(__file__).parent / "migrations"


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
        """A connection that sees one unchanging state of the ledger."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection that holds the write lock; commits at the end, rolls back when an error leaves the block."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


@contextmanager
def savepoint(connection: sa.Connection) -> Iterator[None]:
    """Undo only what the block wrote when an error leaves it; the transaction around it goes on."""
    connection.exec_driver_sql("SAVEPOINT command")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO command")
        connection.exec_driver_sql("RELEASE command")
        raise
    connection.exec_driver_sql("RELEASE command")


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
