"""The databases of the tests of the store: each test begins with the ledger that a template holds.

On SQLite that is a file, copied for each test. On PostgreSQL copying a database takes a third of a second, so that a
worker has one, whose rows are put back to the template's before each test.
"""

import shutil
from pathlib import Path
from typing import Protocol

import psycopg

from bridge.store.database import Database
from bridge.store.postgres import PostgresDatabase
from bridge.store.sqlite import SqliteDatabase
from tests.bridge.store.ledgers import Ledger
from tests.postgres import Address

#: Remembers all rows and all sequences, in a schema of their own.
_KEEP = b"""
DO $$
DECLARE name text; filled boolean;
BEGIN
    CREATE SCHEMA kept;
    CREATE TABLE kept.sequences (name text, value bigint, called boolean);
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'writer' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
        IF filled THEN
            EXECUTE format('CREATE TABLE kept.%I AS SELECT * FROM public.%I', name, name);
        END IF;
    END LOOP;
    FOR name IN SELECT format('public.%I', sequencename) FROM pg_sequences WHERE schemaname = 'public' LOOP
        EXECUTE format('INSERT INTO kept.sequences SELECT %L, last_value, is_called FROM %s', name, name);
    END LOOP;
END $$
"""
#: Puts them back. Nothing refers to what is missing in between: nobody looks.
_PUT_BACK = b"""
DO $$
DECLARE name text; was record;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('DELETE FROM public.%I', name);
        IF to_regclass(format('kept.%I', name)) IS NOT NULL THEN
            EXECUTE format('INSERT INTO public.%I SELECT * FROM kept.%I', name, name);
        END IF;
    END LOOP;
    FOR was IN SELECT * FROM kept.sequences LOOP
        PERFORM setval(was.name::regclass, was.value, was.called);
    END LOOP;
END $$
"""


class Copies(Protocol):
    """One test's ledger."""

    url: str

    def open(self) -> Database:
        """A database on it; several are like several processes."""
        ...

    def close(self) -> None:
        """Close what was opened."""
        ...


class SqliteTemplate:
    """A ledger in a file."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "ledger.sqlite3"
        ledger = Ledger.in_file(self.path)
        fill(ledger)
        ledger.close()
        assert not self.path.with_name(f"{self.path.name}-wal").exists()

    @staticmethod
    def copy(template: Path, directory: Path) -> "SqliteCopies":
        """A file of its own."""
        path = directory / "ledger.sqlite3"
        shutil.copyfile(template, path)
        return SqliteCopies(f"sqlite:///{path}")


class SqliteCopies:
    """A test's own file."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: list[Database] = []

    def open(self) -> Database:
        """Another database on the file."""
        self._opened.append(SqliteDatabase(self.url))
        return self._opened[-1]

    def close(self) -> None:
        """Close them."""
        for one in self._opened:
            one.close()


class PostgresTemplate:
    """A database of this worker's, and the connections that its tests share, since each takes long to make."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self.url = server.make()
        self.shared = PostgresDatabase(self.url)
        self.shared.migrate()
        fill(Ledger(self.shared))
        self._execute(_KEEP)

    def copy(self) -> "PostgresCopies":
        """The same database with the rows that it had at first."""
        self._execute(_PUT_BACK)
        self.shared.accept_older()
        return PostgresCopies(self)

    def drop(self) -> None:
        """Drop the database."""
        self.shared.close()
        self._server.drop(self.url)

    def _execute(self, statement: bytes) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


class PostgresCopies:
    """A test's turn on the worker's database."""

    def __init__(self, template: PostgresTemplate) -> None:
        self.url = template.url
        self._shared: Database | None = template.shared
        self._opened: list[Database] = []

    def open(self) -> Database:
        """The shared connections first, then others."""
        if self._shared is not None:
            shared, self._shared = self._shared, None
            return shared
        self._opened.append(PostgresDatabase(self.url))
        return self._opened[-1]

    def close(self) -> None:
        """Close the others."""
        for one in self._opened:
            one.close()


def fill(ledger: Ledger) -> None:
    """Three active programs: AIR, whose points last 30 days, BOX, and CAR."""
    ledger.bind()
    ledger.program("AIR", expiry_days=30)
    ledger.program("BOX")
    ledger.program("CAR")
