"""Which databases the tests of the ledger run on, and the one PostgreSQL server that all workers of a run share."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import postgres
from tests.postgres import Address, NoPostgres, Server

if TYPE_CHECKING:
    from tests.bridge.store.databases import PostgresTemplate

SQLITE, POSTGRES = "sqlite", "postgres"
#: Where the workers of a run find the server that the first of them started.
RUN_VARIABLE = "SARRAF_TEST_RUN"
RECORD = "postgres.json"
#: What runs on both databases in every run; the rest of what can does with --postgres.
ON_BOTH = ("bridge/store/", "bridge/posting/test_follower.py", "bridge/posting/test_reconciler.py")
#: Long searches of their own, whose rules hold on any database: on the second one only when asked for.
ON_ONE = ("test_ledger_model.py",)

_TESTS = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="run all that needs PostgreSQL or can run on it")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "postgres: needs a PostgreSQL server")
    config.addinivalue_line("markers", "sqlite_only: is about SQLite itself")
    config.addinivalue_line("markers", "slow: only with --postgres, since it takes long")
    if not hasattr(config, "workerinput"):
        os.environ[RUN_VARIABLE] = tempfile.mkdtemp(prefix="sarraf-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    run = Path(os.environ.pop(RUN_VARIABLE))
    record = run / RECORD
    if record.exists():
        found = json.loads(record.read_text())
        if found["directory"] is not None:
            postgres.end(Path(found["directory"]))
    shutil.rmtree(run, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        chosen = _backends(metafunc)
        marks = {POSTGRES: pytest.mark.postgres}
        metafunc.parametrize("backend", [pytest.param(one, marks=marks.get(one, ())) for one in chosen])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        runs = item.get_closest_marker(POSTGRES) is not None if config.getoption("--postgres") else not _is_slow(item)
        (chosen if runs else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = chosen


def _is_slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


def _backends(metafunc: pytest.Metafunc) -> list[str]:
    if metafunc.definition.get_closest_marker("sqlite_only"):
        return [SQLITE]
    if metafunc.config.getoption("--postgres"):
        return [POSTGRES]
    where = metafunc.definition.path.relative_to(_TESTS).as_posix()
    both = where.startswith(ON_BOTH) and not where.endswith(ON_ONE)
    return [SQLITE, POSTGRES] if both else [SQLITE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing = [
        report for report in terminalreporter.stats.get("skipped", []) if NoPostgres.PREFIX in str(report.longrepr)
    ]
    if missing:
        terminalreporter.section("NOT TESTED ON POSTGRESQL", red=True, bold=True)
        terminalreporter.line(f"{len(missing)} tests were skipped: {missing[0].longrepr[2]}", red=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Address]:
    """The server of this run. Skips what needs it where none can be had."""
    run = Path(os.environ[RUN_VARIABLE])
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = run / RECORD
        if not record.exists():
            record.write_text(json.dumps(_begin()))
        found = json.loads(record.read_text())
    if found["url"] is None:
        pytest.skip(found["missing"])
    server = Address(found["url"])
    yield server
    server.drop_left()


def _begin() -> dict[str, str | None]:
    given = os.environ.get(postgres.URL_VARIABLE)
    if given is not None:
        return {"url": given, "directory": None}
    try:
        server = Server.fresh().start(dies_with_us=True).leave()
    except NoPostgres as missing:
        return {"url": None, "directory": None, "missing": str(missing)}
    return {"url": server.address.url, "directory": str(server.directory)}


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Address) -> Iterator["PostgresTemplate"]:
    """A database of this worker's with three active programs, as each test of the store begins with."""
    from tests.bridge.store.databases import PostgresTemplate

    made = PostgresTemplate(postgres_server)
    yield made
    made.drop()
