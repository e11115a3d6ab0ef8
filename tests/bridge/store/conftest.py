"""A ledger in a file of its own for each test, copied from one that was set up once."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.store.database import Database
from bridge.store.programs import Program
from tests.bridge.store.ledgers import Ledger


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger with three active programs: AIR, whose points last 30 days, BOX, and CAR."""
    path = tmp_path_factory.mktemp("template") / "ledger.sqlite3"
    ledger = Ledger.in_file(path)
    ledger.bind()
    ledger.program("AIR", expiry_days=30)
    ledger.program("BOX")
    ledger.program("CAR")
    ledger.close()
    assert not path.with_name(f"{path.name}-wal").exists()
    return path


@pytest.fixture
def open_ledger(template: Path, tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """Opens the test's ledger; called twice, two connections to the same file."""
    path = tmp_path / "ledger.sqlite3"
    shutil.copyfile(template, path)
    opened: list[Ledger] = []

    def make() -> Ledger:
        opened.append(Ledger(Database(f"sqlite:///{path}")))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


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
