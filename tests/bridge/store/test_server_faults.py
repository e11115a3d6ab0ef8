"""A server that dies, comes back, or is replaced by an older copy while writers write: nothing that was acknowledged is
lost, and nothing is there twice.

These have a server of their own, which syncs to the disk; `make test-postgres` runs them.
"""

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.store import chainstate, postgres, writer
from bridge.store.database import LedgerUnwritable, LedgerWentBack
from bridge.store.postgres import PostgresDatabase
from bridge.store.schema import link
from bridge.store.writer import LedgerWriter, WriterStopped
from tests.bridge.store.test_writer import Desk, adding, until
from tests.postgres import NoPostgres, Server

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
WAIT_S = 60.0
WRITERS = 2
KILLS = 5
#: How many must be acknowledged between two kills.
BETWEEN = 25


@pytest.fixture
def server() -> Iterator[Server]:
    try:
        made = Server.fresh(durable=True).start()
    except NoPostgres as missing:
        pytest.skip(str(missing))
    yield made
    made.remove()


@pytest.fixture
def url(server: Server) -> str:
    made = server.address.make()
    with closing(PostgresDatabase(made)) as database:
        database.migrate()
    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PROBE_EVERY_S", 0.02)


class Client(threading.Thread):
    """Writes one row after another until told to end; each under the same name again until it is answered."""

    def __init__(self, by: LedgerWriter, name: str) -> None:
        super().__init__(name=name)
        self.writer = by
        self.acknowledged: list[str] = []
        self.refusals = 0
        self.bug: BaseException | None = None
        self.ending = threading.Event()

    def run(self) -> None:
        number = 0
        try:
            while not self.ending.is_set():
                row = f"{self.name}-{number}"
                try:
                    self.writer.run(once(row))
                except LedgerUnwritable:
                    self.refusals += 1
                    continue
                self.acknowledged.append(row)
                number += 1
        except BaseException as bug:  # noqa: BLE001 - told to the test
            self.bug = bug


def once(name: str) -> Callable[[sa.Connection], None]:
    """As a request under an idempotency key: done where it is not done already."""

    def add(connection: sa.Connection) -> None:
        if connection.scalar(sa.select(link.c.id).where(link.c.id == name)) is None:
            connection.execute(link.insert().values(id=name, created_ms=1))

    return add


def links(database: PostgresDatabase) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(sa.select(link.c.id)).scalars())


def test_server__that_is_killed_again_and_again_while_writers_write__loses_nothing_that_was_acknowledged(
    server: Server, url: str
) -> None:
    databases = [PostgresDatabase(url) for _ in range(WRITERS)]
    writers = [LedgerWriter(one) for one in databases]
    clients = [Client(one, f"client{n}-{m}") for n, one in enumerate(writers) for m in range(3)]
    for service in writers:
        service.start()
    for one in clients:
        one.start()
    for _ in range(KILLS):
        before = [len(one.acknowledged) for one in clients]
        until(partial(_went_on, clients, before))
        server.kill()
        server.start()
    for one in clients:
        one.ending.set()
    for one in clients:
        one.join(WAIT_S)
    assert [one.bug for one in clients] == [None] * len(clients)
    found = links(databases[0])
    acknowledged = {row for one in clients for row in one.acknowledged}
    assert acknowledged <= found
    assert len(found - acknowledged) <= len(clients), "at most the last of each is there without an answer"
    assert sum(one.refusals for one in clients) > 0
    for service in writers:
        service.stop()
    for database in databases:
        database.close()


def test_server__that_is_restarted_within_a_transaction__has_it_run_again(server: Server, url: str) -> None:
    with closing(PostgresDatabase(url)) as database:
        desk = Desk(database)
        desk.writer.start()
        runs: list[None] = []

        def unlucky(connection: sa.Connection) -> str:
            runs.append(None)
            adding("before")(connection)
            if len(runs) == 1:
                server.kill()
                server.start()
            return adding("behind")(connection)

        assert desk.writer.run(unlucky) == "behind"
        assert len(runs) == 2
        assert desk.links() == {"before", "behind"}
        desk.writer.stop()
        assert desk.bugs == 0


def test_server__that_was_restarted_while_nobody_asked__is_not_noticed(server: Server, url: str) -> None:
    with closing(PostgresDatabase(url)) as database:
        with database.read(), database.read(), database.write() as connection:
            adding("before")(connection)
        server.stop()
        server.start()
        assert links(database) == {"before"}
        with database.write() as connection:
            adding("behind")(connection)
        assert links(database) == {"before", "behind"}


def test_server__that_is_away__is_told_and_the_writer_goes_on_when_it_is_back(server: Server, url: str) -> None:
    with closing(PostgresDatabase(url)) as database:
        desk = Desk(database)
        desk.writer.start()
        desk.writer.run(adding("before"))
        server.kill()
        with pytest.raises(LedgerUnwritable):
            desk.writer.run(adding("refused"))
        with pytest.raises(LedgerUnwritable), database.read():
            pass
        server.start()
        until(lambda: desk.writer.trouble is None)
        desk.writer.run(adding("behind"))
        assert desk.links() == {"before", "behind"}
        desk.writer.stop()
        assert desk.bugs == 0


def test_failover__to_a_copy_that_lacks_commits__stops_the_writers_and_has_the_copy_recover(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SETTLE_WAIT_S", 0.2)
    with closing(PostgresDatabase(url)) as database, tempfile.TemporaryDirectory(prefix="sarraf-postgres-") as beside:
        Path(beside).chmod(0o755)
        desk = Desk(database)
        desk.writer.start()
        desk.writer.run(adding("in the copy"))
        server.stop()
        copy = server.copy_of(Path(beside) / "copy")
        server.start()
        until(lambda: _goes(desk, adding("not in the copy")))
        server.kill()
        copy.start()
        try:
            late: Future[str] = desk.writer.submit(adding("too late"))
            with pytest.raises((LedgerWentBack, LedgerUnwritable, WriterStopped)):
                late.result(WAIT_S)
            until(lambda: not desk.writer.running)
            desk.writer.stop()
            assert desk.bugs == 1
            with closing(PostgresDatabase(url)) as again:  # the next start
                assert links(again) == {"in the copy"}
                with again.read() as connection:
                    under_way = chainstate.recovery(connection)
                assert under_way is not None and under_way.marked
                with again.write() as connection:
                    adding("anew")(connection)
        finally:
            copy.stop()


def test_failover__to_a_copy_that_has_all__is_no_more_than_a_restart(server: Server, url: str) -> None:
    with closing(PostgresDatabase(url)) as database, tempfile.TemporaryDirectory(prefix="sarraf-postgres-") as beside:
        Path(beside).chmod(0o755)
        desk = Desk(database)
        desk.writer.start()
        desk.writer.run(adding("before"))
        server.stop()
        copy = server.copy_of(Path(beside) / "copy").start()
        try:
            until(lambda: _goes(desk, adding("behind")))
            assert desk.links() == {"before", "behind"}
            desk.writer.stop()
            assert desk.bugs == 0
        finally:
            copy.stop()


def _went_on(clients: Sequence[Client], before: Sequence[int]) -> bool:
    """Whether each had so many more answers, or found a bug."""
    return all(one.bug or len(one.acknowledged) >= n + BETWEEN for one, n in zip(clients, before, strict=True))


def _goes(desk: Desk, command: Callable[[sa.Connection], str]) -> bool:
    with suppress(LedgerUnwritable):
        desk.writer.run(command)
        return True
    return False
