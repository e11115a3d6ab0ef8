"""The ledger database: its schema after migrating, its pragmas, and what a commit is worth."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.ddl.impl import DefaultImpl
from alembic.migration import MigrationContext

from bridge.store import breaker, sqlite
from bridge.store.breaker import Alarm
from bridge.store.database import savepoint
from bridge.store.schema import metadata
from bridge.store.sqlite import BUSY_TIMEOUT_MS, SqliteDatabase
from exchange.errors import NotFound, TooBusy
from tests.bridge.store.databases import Copies
from tests.bridge.store.ledgers import Ledger

#: Trips the breaker in the ledger named first, and dies as the second says: with the transaction open, or committed.
DYING_WRITER = """
import os, sys
from pathlib import Path
from typing import Any
from bridge.store import breaker
from bridge.store.breaker import Alarm
from bridge.store.backends import open_database
database = open_database(sys.argv[1])
with database.write() as connection:
    breaker.trip(connection, Alarm.BY_HAND, "written by a process that died", 1)
    if sys.argv[2] == "open":
        os._exit(9)
os._exit(9)
"""


def _schema(path: Path) -> set[tuple[str, str]]:
    """What SQLite itself says of the tables and indices."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT IN ('alembic_version')")
        )
        found = {(row.name, " ".join(row.sql.replace('"', "").split())) for row in rows}
    engine.dispose()
    return found


def test_migrate__on_an_empty_file__gives_exactly_the_schema(tmp_path: Path) -> None:
    database = SqliteDatabase.in_file(tmp_path / "new" / "ledger.sqlite3")
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_migrate__on_an_empty_file__makes_the_constraints_and_indices_that_the_schema_names(tmp_path: Path) -> None:
    SqliteDatabase.in_file(tmp_path / "migrated.sqlite3").close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'made.sqlite3'}")
    metadata.create_all(engine)
    engine.dispose()
    migrated, made = (_statements(tmp_path / f"{name}.sqlite3") for name in ("migrated", "made"))
    assert migrated == made


def _statements(path: Path) -> dict[str, list[str]]:
    """Each table's and index's clauses, in whatever order they were written."""
    found = {}
    for name, text in _schema(path):
        opened, _, closed = text.partition("(")
        where = closed.rpartition(")")
        found[name] = [opened.strip(), *sorted(part.strip() for part in _clauses(where[0])), where[2].strip()]
    return found


def _clauses(text: str) -> list[str]:
    clauses, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            clauses.append("")
        else:
            clauses[-1] += letter
    return clauses


def test_migrate__twice__changes_nothing(ledger: Ledger) -> None:
    before = ledger.everything()
    ledger.database.migrate()
    assert ledger.everything() == before


def test_migrate__that_dies_half_way__can_be_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = SqliteDatabase(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    create_table = DefaultImpl.create_table

    def die(impl: DefaultImpl, table: sa.Table, **named: Any) -> None:
        create_table(impl, table, **named)
        if table.name == "operation":
            raise KeyboardInterrupt

    monkeypatch.setattr(DefaultImpl, "create_table", die)
    with pytest.raises(KeyboardInterrupt):
        database.migrate()
    monkeypatch.setattr(DefaultImpl, "create_table", create_table)
    database.migrate()
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("pragma", "expected"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", BUSY_TIMEOUT_MS)],
)
def test_connection__of_any_kind__has_the_pragma(ledger: Ledger, pragma: str, expected: object) -> None:
    for opened in (ledger.database.read, ledger.database.write):
        with opened() as connection:
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == expected


def test_foreign_keys__where_the_row_is_missing__are_enforced(ledger: Ledger) -> None:
    with pytest.raises(sa.exc.IntegrityError), ledger.database.write() as connection:
        connection.exec_driver_sql("INSERT INTO event (state, program_id, at_ms) VALUES ('accepted', 'nobody', 1)")


def test_write__that_ends__is_seen_by_another_connection(ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
    other = open_ledger().database
    with ledger.database.write() as connection:
        breaker.trip(connection, Alarm.BY_HAND, "a reason", 1)
        with other.read() as reader:
            assert not breaker.is_tripped(reader)
    with other.read() as reader:
        assert breaker.reason(reader) == "a reason"


def test_write__that_an_error_leaves__is_undone(ledger: Ledger) -> None:
    def fail(connection: sa.Connection) -> None:
        breaker.trip(connection, Alarm.BY_HAND, "a reason", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.do(fail)
    assert ledger.ask(breaker.reason) is None


@pytest.mark.parametrize(
    ("dies", "expected"), [("committed", "written by a process that died"), ("open", None)], ids=["committed", "open"]
)
def test_write__by_a_process_that_dies__is_there_exactly_when_it_committed(
    ledger: Ledger, copies: Copies, dies: str, expected: str | None
) -> None:
    done = subprocess.run([sys.executable, "-c", DYING_WRITER, copies.url, dies], check=False, timeout=60)
    assert done.returncode == 9
    assert ledger.ask(breaker.reason) == expected


def test_read__while_another_commits__sees_one_unchanging_state(ledger: Ledger) -> None:
    with ledger.database.read() as reader:
        assert not breaker.is_tripped(reader)
        ledger.do(breaker.trip, Alarm.BY_HAND, "a reason", 1)
        assert not breaker.is_tripped(reader)
    assert ledger.ask(breaker.reason) == "a reason"


@pytest.mark.sqlite_only  # the other has its own
def test_read__while_too_many_others_do__is_told_to_come_back(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "READERS_MAX", 2)
    monkeypatch.setattr(sqlite, "READER_WAIT_S", 0.05)
    database = copies.open()
    with database.read(), database.read(), pytest.raises(TooBusy), database.read():
        pass
    with database.read():
        pass


def test_savepoint__that_an_error_leaves__undoes_only_its_block(ledger: Ledger) -> None:
    def fail(connection: sa.Connection) -> None:
        with savepoint(connection):
            breaker.reset(connection, "mended", 1)
            raise NotFound("expected")

    with ledger.database.write() as connection:
        breaker.trip(connection, Alarm.BY_HAND, "before", 1)
        with pytest.raises(NotFound):
            fail(connection)
    assert ledger.ask(breaker.reason) == "before"
