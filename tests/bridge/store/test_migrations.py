"""Migrations of a ledger that is full, from each earlier schema, on both databases; and who may use which schema."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.ddl.impl import DefaultImpl
from alembic.migration import MigrationContext

from bridge.store import backends, database
from bridge.store.backends import DatabaseUnknown
from bridge.store.database import Database, SchemaUnfit
from bridge.store.schema import metadata

#: Every schema that was ever released before this version's.
EARLIER = ("0001",)
ROWS = 3
Rows = dict[str, list[dict[str, Any]]]

#: What rules of the schema say beyond types and references.
SPECIAL: dict[str, Any] = {
    "account.kind": lambda n: ("member", "wallet", "issued")[n],
    "account.member_id": lambda n: ("member0", None, None)[n],
    "account.credits_posted": lambda _: 100,
    "account.debits_posted": lambda _: 10,
    "lot.remaining": lambda n: n,
    "lot.amount": lambda _: 10,
    "operation.state": lambda n: ("accepted", "final", "failed")[n],
    "breaker.id": lambda _: 1,
}
SINGLE = ("breaker",)


@pytest.fixture
def opened(empty_url: str) -> Iterator[Database]:
    made = backends.open_database(empty_url)
    yield made
    made.close()


@pytest.fixture
def engine(empty_url: str) -> Iterator[sa.Engine]:
    """The same database, past the ledger's own code."""
    made = sa.create_engine(empty_url, poolclass=sa.NullPool)
    yield made
    made.dispose()


def fill(engine: sa.Engine) -> Rows:
    """Rows in every table that there is, each of which refers to others wherever it can."""
    found = sa.MetaData()
    found.reflect(engine)
    made: Rows = {}
    with engine.begin() as connection:
        for table in found.sorted_tables:
            if table.name == "alembic_version":
                continue
            count = 1 if table.name in SINGLE else ROWS
            rows = [_row(table, number, made) for number in range(count)]
            made[table.name] = rows
            for row in rows:
                connection.execute(table.insert().values(row))
            _continue_numbers(connection, table, count)
    return made


def _row(table: sa.Table, number: int, made: Rows) -> dict[str, Any]:
    row = {column.name: _value(table, column, number) for column in table.columns}
    for constraint in table.foreign_key_constraints:
        target = constraint.referred_table.name
        others = [{"id": f"{target}{number - 1}"}] if target == table.name else made[target]
        for element in constraint.elements:
            row[element.parent.name] = others[min(number, len(others) - 1)].get(element.column.name)
        if target == table.name and number == 0:
            row |= dict.fromkeys((element.parent.name for element in constraint.elements), None)
    return row | {
        name.partition(".")[2]: value(number) for name, value in SPECIAL.items() if name.partition(".")[0] == table.name
    }


def _value(table: sa.Table, column: sa.Column[Any], number: int) -> Any:
    match column.type:
        case sa.JSON():
            return {"number": number}
        case sa.Boolean():
            return number == 1
        case sa.LargeBinary():
            return bytes([number + 1]) * (column.type.length or 20)
        case sa.Integer():
            return number + 1
        case _:
            return f"{table.name}{number}"[: getattr(column.type, "length", None) or 40]


def _continue_numbers(connection: sa.Connection, table: sa.Table, count: int) -> None:
    """Rows were numbered by hand: whoever numbers them from now on begins behind."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
        if sequence is not None:
            connection.execute(sa.select(sa.func.setval(sequence, count)))


def rows_of(engine: sa.Engine, like: Rows) -> Rows:
    """What stands in those tables and columns now."""
    found = sa.MetaData()
    found.reflect(engine)
    with engine.connect() as connection:
        return {
            name: [
                {key: row[key] for key in rows[0]}
                for row in connection.execute(
                    sa.select(found.tables[name]).order_by(*found.tables[name].primary_key.columns)
                ).mappings()
            ]
            for name, rows in like.items()
        }


@pytest.mark.parametrize("earlier", EARLIER)
def test_migrate__of_a_full_ledger__keeps_every_row_of_every_table(
    opened: Database, engine: sa.Engine, earlier: str
) -> None:
    opened.migrate(earlier)
    before = fill(engine)
    assert len(before) > 30 and all(before.values())
    opened.migrate()
    assert rows_of(engine, before) == before


@pytest.mark.parametrize("earlier", EARLIER)
def test_migrate__of_a_full_ledger__gives_the_schema_and_goes_on_numbering(
    opened: Database, engine: sa.Engine, earlier: str
) -> None:
    opened.migrate(earlier)
    fill(engine)
    opened.migrate()
    with opened.write() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        added = connection.execute(
            metadata.tables["event"].insert().values(state="accepted", program_id="program0", at_ms=1)
        )
        assert added.inserted_primary_key is not None and added.inserted_primary_key[0] == ROWS + 1


@pytest.mark.parametrize("earlier", EARLIER)
def test_migrate__of_a_full_ledger__brings_the_new_rules_into_force(
    opened: Database, engine: sa.Engine, earlier: str
) -> None:
    opened.migrate(earlier)
    fill(engine)
    opened.migrate()
    account = metadata.tables["account"]
    with pytest.raises(sa.exc.IntegrityError, match="no_overdraft"), opened.write() as connection:
        connection.execute(account.update().where(account.c.kind == "member").values(held=91 + ROWS))


def test_migrate__that_fails_in_the_middle__leaves_all_as_it_was(
    opened: Database, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.migrate("0001")
    before = fill(engine)
    create_table = DefaultImpl.create_table

    def die(impl: DefaultImpl, table: sa.Table, **named: Any) -> None:
        create_table(impl, table, **named)
        if table.name == "adjustment":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DefaultImpl, "create_table", die)
        with pytest.raises(KeyboardInterrupt):
            opened.migrate()
    assert rows_of(engine, before) == before
    with opened.read() as connection:
        assert database.revision_of(connection) == "0001"
    opened.migrate()
    assert rows_of(engine, before) == before


def test_migrate__by_several_at_once__is_done_once_and_the_others_wait(empty_url: str, engine: sa.Engine) -> None:
    first = backends.open_database(empty_url)
    first.migrate("0001")
    before = fill(engine)
    many = [backends.open_database(empty_url) for _ in range(4)]
    together = threading.Barrier(len(many))
    failed: list[BaseException] = []

    def start(one: Database) -> None:
        try:
            together.wait()
            one.migrate()
        except BaseException as failure:  # noqa: BLE001 - told to the test
            failed.append(failure)

    threads = [threading.Thread(target=start, args=(one,)) for one in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert rows_of(engine, before) == before
    for one in [first, *many]:
        one.close()


def test_migrate__of_a_newer_programs_ledger__is_refused_and_changes_nothing(
    opened: Database, engine: sa.Engine
) -> None:
    opened.migrate()
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaUnfit, match="schema 9999, which this version does not know: a newer one has migrated it"):
        opened.migrate()
    with opened.read() as connection:
        assert database.revision_of(connection) == "9999"


@pytest.mark.parametrize("url", ["mysql://localhost/ledger", "postgresql+psycopg2://localhost/ledger", "ledger"])
def test_open_database__of_another_kind__is_refused(url: str) -> None:
    with pytest.raises(DatabaseUnknown, match=r"a ledger is in SQLite .* or in PostgreSQL") as refused:
        backends.open_database(url)
    assert repr(url) not in refused.value.detail, "it may hold a password"
