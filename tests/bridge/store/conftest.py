"""A ledger of its own for each test, as one was that was set up once; on each database that the test runs on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.store.programs import Program
from tests.bridge.store.databases import Copies, SqliteTemplate
from tests.bridge.store.ledgers import Ledger
from tests.conftest import POSTGRES
from tests.postgres import Address


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a closed ledger with three active programs: AIR, whose points last 30 days, BOX, and CAR."""
    return SqliteTemplate(tmp_path_factory.mktemp("template")).path


@pytest.fixture
def copies(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copies]:
    """The test's ledger, on the database that it runs on."""
    if backend == POSTGRES:
        made: Copies = request.getfixturevalue("postgres_template").copy()
    else:
        made = SqliteTemplate.copy(request.getfixturevalue("template"), tmp_path)
    yield made
    made.close()


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if backend == POSTGRES:
        server: Address = request.getfixturevalue("postgres_server")
        url = server.make()
        yield url
        server.drop(url)
    else:
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"


@pytest.fixture
def open_ledger(copies: Copies) -> Callable[[], Ledger]:
    """Opens the test's ledger; called twice, two databases on the same ledger."""
    return lambda: Ledger(copies.open())


@pytest.fixture
def ledger(open_ledger: Callable[[], Ledger]) -> Ledger:
    return open_ledger()


@pytest.fixture
def air(ledger: Ledger) -> Program:
    return ledger.named("AIR")


@pytest.fixture
def box(ledger: Ledger) -> Program:
    return ledger.named("BOX")


@pytest.fixture
def car(ledger: Ledger) -> Program:
    return ledger.named("CAR")
