"""The writer: many commands in one transaction, answered after the commit, and stopped by a bug."""

import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from bridge.store import breaker, writer
from bridge.store.breaker import Alarm
from bridge.store.database import Database, LedgerUnwritable
from bridge.store.schema import link
from bridge.store.writer import LedgerWriter, WriterStopped
from exchange.errors import Conflict, TooBusy
from tests.bridge.store.ledgers import Ledger

WAIT_S = 10.0


class Refused(Conflict):
    type = "refused"


class Desk:
    """A writer with its database, its commits counted, and a gate that holds it in the middle of a command."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.commits = 0
        self.bugs = 0
        self.writer = LedgerWriter(database, on_commit=self._count, on_bug=self._bug)
        self.entered = threading.Event()
        self.gate = threading.Event()

    def _count(self) -> None:
        self.commits += 1

    def _bug(self) -> None:
        self.bugs += 1

    def hold(self) -> "Future[None]":
        """Keep the writer in a command until the gate opens, so that what comes meanwhile waits together."""
        held = self.writer.submit(self._wait)
        assert self.entered.wait(WAIT_S)
        return held

    def _wait(self, _: sa.Connection) -> None:
        self.entered.set()
        assert self.gate.wait(WAIT_S)

    def links(self) -> set[str]:
        with self.database.read() as connection:
            return set(connection.execute(sa.select(link.c.id)).scalars())


@pytest.fixture
def desk(ledger: Ledger) -> Iterator[Desk]:
    made = Desk(ledger.database)
    made.writer.start()
    yield made
    made.gate.set()
    made.writer.stop()


def adding(name: str) -> Callable[[sa.Connection], str]:
    """A command that writes one row."""

    def add(connection: sa.Connection) -> str:
        connection.execute(link.insert().values(id=name, created_ms=1))
        return name

    return add


def refusing(name: str) -> Callable[[sa.Connection], str]:
    """A command that writes one row and is refused."""

    def refuse(connection: sa.Connection) -> str:
        adding(name)(connection)
        raise Refused("as expected")

    return refuse


def failing(name: str) -> Callable[[sa.Connection], str]:
    """A command that writes one row and then fails an assertion."""

    def fail(connection: sa.Connection) -> str:
        adding(name)(connection)
        raise AssertionError("a bug")

    return fail


def test_commands__that_wait_together__are_one_transaction(desk: Desk) -> None:
    desk.hold()
    futures = [desk.writer.submit(adding(f"{number}")) for number in range(20)]
    assert desk.writer.waiting == 20
    desk.gate.set()
    assert [future.result(WAIT_S) for future in futures] == [f"{number}" for number in range(20)]
    desk.writer.run(adding("last"))  # answered after the count of the group before
    assert desk.commits in (2, 3)
    assert desk.links() == {*(f"{number}" for number in range(20)), "last"}


def test_group__of_many_commands__has_a_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP_COMMANDS_MAX", 5)
    desk.hold()
    futures = [desk.writer.submit(adding(f"{number}")) for number in range(20)]
    desk.gate.set()
    for future in futures:
        future.result(WAIT_S)
    desk.writer.stop()
    assert desk.commits == 1 + 4


def test_group__of_heavy_commands__has_a_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP_WEIGHT_MAX", 10)
    desk.hold()
    futures = [desk.writer.submit(adding(f"{number}"), weight=10) for number in range(3)]
    desk.gate.set()
    for future in futures:
        future.result(WAIT_S)
    desk.writer.stop()
    assert desk.commits == 1 + 3


def test_command__that_is_refused__undoes_only_itself(desk: Desk) -> None:
    desk.hold()
    before, refused, after = (
        desk.writer.submit(command) for command in (adding("before"), refusing("refused"), adding("after"))
    )
    desk.gate.set()
    assert (before.result(WAIT_S), after.result(WAIT_S)) == ("before", "after")
    with pytest.raises(Refused, match="as expected"):
        refused.result(WAIT_S)
    assert desk.links() == {"before", "after"}
    assert desk.writer.running
    assert desk.bugs == 0


def test_command__that_fails__undoes_its_group_and_stops_the_writer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.writer.run(adding("committed"))
    monkeypatch.setattr(writer, "GROUP_COMMANDS_MAX", 3)
    desk.hold()
    good, bad, refused, behind = (
        desk.writer.submit(command)
        for command in (adding("good"), failing("bad"), refusing("refused"), adding("behind"))
    )
    desk.gate.set()
    for future in (good, bad, refused):
        with pytest.raises(AssertionError, match="a bug"):
            future.result(WAIT_S)
    with pytest.raises(WriterStopped):
        behind.result(WAIT_S)
    desk.writer.stop()
    assert desk.links() == {"committed"}
    assert desk.bugs == 1
    assert not desk.writer.running
    with pytest.raises(WriterStopped):
        desk.writer.submit(adding("too late"))


def test_command__before_its_commit__is_not_answered(desk: Desk) -> None:
    first = desk.writer.submit(adding("first"))
    held = desk.hold()
    second = desk.writer.submit(adding("second"))
    seen = desk.links()
    assert not second.done()
    assert first.done() == ("first" in seen)
    assert not held.done()
    desk.gate.set()
    assert second.result(WAIT_S) == "second"
    assert desk.links() == {"first", "second"}


@pytest.mark.sqlite_only
def test_command__in_a_group_whose_commit_fails__is_not_answered_as_done(desk: Desk) -> None:
    def break_it(connection: sa.Connection) -> None:
        # The transaction ends under the writer, so that its COMMIT finds none and fails.
        connection.exec_driver_sql("RELEASE command")
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("SAVEPOINT command")

    desk.hold()
    innocent = desk.writer.submit(adding("innocent"))
    broken = desk.writer.submit(break_it)
    desk.gate.set()
    for future in (innocent, broken):
        with pytest.raises(sa.exc.OperationalError):
            future.result(WAIT_S)
    assert desk.links() == set()


def test_queue__at_its_limit__answers_too_busy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_MAX", 3)
    desk.hold()
    futures = [desk.writer.submit(adding(f"{number}")) for number in range(3)]
    with pytest.raises(TooBusy) as refused:
        desk.writer.submit(adding("one too many"))
    assert refused.value.limit == 3
    desk.gate.set()
    for future in futures:
        future.result(WAIT_S)
    assert desk.writer.run(adding("again")) == "again"
    assert desk.links() == {"0", "1", "2", "again"}


def test_command__whose_asker_gave_up__does_not_harm_the_others(desk: Desk) -> None:
    desk.hold()
    given_up = desk.writer.submit(adding("given up"))
    other = desk.writer.submit(adding("other"))
    assert given_up.cancel()
    desk.gate.set()
    assert other.result(WAIT_S) == "other"
    assert desk.writer.run(adding("later")) == "later"
    assert desk.bugs == 0
    assert "given up" not in desk.links()


def test_stop__with_commands_waiting__finishes_them(desk: Desk) -> None:
    desk.hold()
    futures = [desk.writer.submit(adding(f"{number}")) for number in range(3)]
    stopping = threading.Thread(target=desk.writer.stop)
    stopping.start()
    desk.gate.set()
    stopping.join(WAIT_S)
    assert not stopping.is_alive()
    assert [future.result(0) for future in futures] == ["0", "1", "2"]
    with pytest.raises(WriterStopped):
        desk.writer.submit(adding("too late"))


@pytest.mark.sqlite_only  # of the door before the queue, whatever is behind it
def test_submit__while_it_stops__is_answered_or_refused_and_never_forgotten(ledger: Ledger) -> None:
    for attempt in range(20):
        made = LedgerWriter(ledger.database)
        made.start()
        futures: list[Future[str]] = []
        begun = threading.Event()

        def ask(into: list[Future[str]], of: LedgerWriter, name: str, begun: threading.Event) -> None:
            try:
                for number in range(1_000):
                    into.append(of.submit(adding(f"{name}-{number}")))
                    begun.set()
            except WriterStopped:
                return

        asking = threading.Thread(target=ask, args=(futures, made, f"{attempt}", begun))
        asking.start()
        assert begun.wait(WAIT_S)
        made.stop()
        asking.join(WAIT_S)
        assert all(future.result(0) for future in futures)


# -- shared commands --------------------------------------------------------------------------


class Shared:
    """A command that notes with which items it was called."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def add(self, connection: sa.Connection, names: Sequence[str]) -> list[str]:
        self.calls.append(list(names))
        if "refused" in names:
            raise Refused("all of them")
        return [adding(name)(connection) for name in names]


def test_shared__neighbours_of_one_share__are_one_call_and_each_has_its_answers(desk: Desk) -> None:
    shared = Shared()
    desk.hold()
    first = desk.writer.submit_shared(shared.add, ["a", "b"], share="one")
    second = desk.writer.submit_shared(shared.add, ["c"], share="one")
    other = desk.writer.submit_shared(shared.add, ["d"], share="other")
    between = desk.writer.submit(adding("between"))
    apart = desk.writer.submit_shared(shared.add, ["e"], share="other")
    desk.gate.set()
    assert [list(each.result(WAIT_S)) for each in (first, second, other, apart)] == [["a", "b"], ["c"], ["d"], ["e"]]
    assert between.result(WAIT_S) == "between"
    assert shared.calls == [["a", "b", "c"], ["d"], ["e"]]


def test_shared__that_is_refused__is_refused_to_all_of_its_share_alone(desk: Desk) -> None:
    shared = Shared()
    desk.hold()
    together = [desk.writer.submit_shared(shared.add, [name], share="one") for name in ("a", "refused")]
    other = desk.writer.submit_shared(shared.add, ["b"], share="other")
    desk.gate.set()
    for future in together:
        with pytest.raises(Refused):
            future.result(WAIT_S)
    assert list(other.result(WAIT_S)) == ["b"]
    assert desk.links() == {"b"}


def test_run__of_a_command__answers_what_is_committed_on_disk(desk: Desk) -> None:
    desk.writer.run(lambda connection: breaker.trip(connection, Alarm.BY_HAND, "a reason", 1))
    with desk.database.read() as connection:
        assert breaker.reason(connection) == "a reason"


# -- a full disk --------------------------------------------------------------------------------


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size`: what the system says then is what it says of a used-up quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def filling(connection: sa.Connection) -> None:
    """A command that finds the database full: it may have no page more than it has."""
    connection.exec_driver_sql("PRAGMA max_page_count = 1")  # never less than there are
    try:
        adding("x" * 100_000)(connection)
    finally:
        connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")


@pytest.mark.sqlite_only
def test_group__of_a_command_that_finds_the_disk_full__is_refused_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PROBE_EVERY_S", 3_600.0)
    forgotten: list[set[str]] = []
    desk.writer.when_undone(lambda: forgotten.append(desk.links()))
    desk.hold()
    group = [desk.writer.submit(command) for command in (adding("a"), filling, adding("b"))]
    desk.gate.set()
    for future in group:
        with pytest.raises(LedgerUnwritable, match="cannot be written: database or disk is full"):
            future.result(WAIT_S)
    assert desk.links() == set()
    assert forgotten == [set()]
    assert desk.writer.trouble is not None
    desk.writer.run(adding("c"))
    assert desk.writer.trouble is None
    assert desk.links() == {"c"}
    assert (desk.commits, desk.bugs) == (2, 0)


@pytest.mark.sqlite_only
def test_group__whose_commit_finds_the_disk_full__is_refused_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PROBE_EVERY_S", 0.01)
    desk.hold()
    group = [desk.writer.submit(adding(name * 9_000)) for name in ("a", "b")]
    with file_limit(4_096):
        desk.gate.set()
        for future in group:
            with pytest.raises(LedgerUnwritable, match="cannot be written: disk I/O error"):
                future.result(WAIT_S)
        with pytest.raises(LedgerUnwritable):
            desk.writer.run(adding("c"))
        assert desk.links() == set()
    until(lambda: desk.writer.trouble is None)
    desk.writer.run(adding("d"))
    assert desk.links() == {"d"}
    assert (desk.commits, desk.bugs) == (3, 0), "the held one, the one that found room again by itself, and the last"


def until(true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.001)
