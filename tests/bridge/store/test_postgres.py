"""The ledger on PostgreSQL: turns, numbers of commits, what is run again, and what is said when it cannot be."""

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import pairwise

import psycopg
import pytest
import sqlalchemy as sa

from bridge.posting.hub import Hub
from bridge.store import chainstate, listening, postgres, writer
from bridge.store.database import LedgerUnreachable, LedgerUnwritable, OutcomeUnknown, SchemaUnfit, Undone
from bridge.store.postgres import PostgresDatabase
from bridge.store.schema import event, link, lot
from bridge.store.texts import UnfitText
from bridge.store.writer import TRIES_MAX, LedgerWriter
from exchange.errors import TooBusy
from tests.bridge.store.databases import PostgresTemplate
from tests.bridge.store.ledgers import Ledger
from tests.bridge.store.test_writer import Desk, adding, until
from tests.bridge.store.wire import Cut, Wire
from tests.postgres import Address

pytestmark = pytest.mark.postgres
WAIT_S = 30.0


@pytest.fixture
def url(postgres_template: PostgresTemplate) -> str:
    """A ledger with three programs; `postgres_template` is at the same one."""
    postgres_template.copy()
    return postgres_template.url


@pytest.fixture
def opened(url: str) -> Iterator[PostgresDatabase]:
    made = PostgresDatabase(url)
    yield made
    made.close()


@pytest.fixture
def other(url: str) -> Iterator[PostgresDatabase]:
    """Another process's."""
    made = PostgresDatabase(url)
    yield made
    made.close()


@pytest.fixture
def wire(postgres_server: Address) -> Iterator[Wire]:
    made = Wire(postgres_server)
    yield made
    made.close()


@pytest.fixture
def desk(opened: PostgresDatabase) -> Iterator[Desk]:
    yield from _at_work(opened)


@pytest.fixture
def far_desk(url: str, wire: Wire) -> Iterator[Desk]:
    """A writer whose server is behind the wire."""
    with closing(PostgresDatabase(wire.url(url))) as database:
        yield from _at_work(database)


def _at_work(database: PostgresDatabase) -> Iterator[Desk]:
    made = Desk(database)
    made.writer.start()
    yield made
    made.gate.set()
    made.writer.stop()


def raising(code: str) -> sa.TextClause:
    """A statement that fails like that."""
    return sa.text(f"DO $$ BEGIN RAISE EXCEPTION 'as the test says' USING ERRCODE = '{code}'; END $$")


def commits_of(database: PostgresDatabase) -> int:
    with database.read() as connection:
        found: int = connection.scalar(
            sa.text("SELECT commits FROM writer WHERE process = :process"), {"process": database.process}
        )
        return found


# -- taking turns -----------------------------------------------------------------------------


def test_write__while_another_process_writes__waits_and_sees_what_that_wrote(
    opened: PostgresDatabase, other: PostgresDatabase
) -> None:
    seen: list[set[str]] = []
    begun = threading.Event()

    def follow() -> None:
        begun.set()
        with other.write() as connection:
            seen.append(set(connection.execute(sa.select(link.c.id)).scalars()))

    with opened.write() as connection:
        following = threading.Thread(target=follow)
        following.start()
        assert begun.wait(WAIT_S)
        until(lambda: _waiting(opened) == 1)
        adding("first")(connection)
        assert seen == []
    following.join(WAIT_S)
    assert seen == [{"first"}]


def _waiting(database: PostgresDatabase) -> int:
    with database.read() as connection:
        found: int = connection.scalar(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )
        return found


def test_events__of_two_processes__are_numbered_in_the_order_of_their_commits(
    opened: PostgresDatabase, other: PostgresDatabase
) -> None:
    writers = [LedgerWriter(one) for one in (opened, other)]
    program = Ledger(opened).named("AIR")
    seen: list[list[int]] = []
    stop = threading.Event()

    def add(connection: sa.Connection) -> None:
        connection.execute(event.insert().values(state="accepted", program_id=program.id, at_ms=1))

    def look() -> None:
        while not stop.is_set():
            with opened.read() as connection:
                seen.append(list(connection.execute(sa.select(event.c.id).order_by(event.c.id)).scalars()))

    looking = threading.Thread(target=look)
    looking.start()
    for one in writers:
        one.start()
    for future in [one.submit(add) for _ in range(50) for one in writers]:
        future.result(WAIT_S)
    stop.set()
    looking.join(WAIT_S)
    for one in writers:
        one.stop()
    assert len(seen) > 1
    for before, after in pairwise(seen):
        assert after[: len(before)] == before, "what is read later only comes behind"


def test_write__whose_turn_does_not_come__is_refused_and_the_writer_goes_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT_MS", 100)
    monkeypatch.setattr(writer, "PROBE_EVERY_S", 0.01)
    with closing(PostgresDatabase(url)) as database, psycopg.connect(url) as session:
        desk = Desk(database)
        desk.writer.start()
        session.execute("SELECT id FROM turn FOR UPDATE")
        with pytest.raises(LedgerUnwritable, match="cannot be written: canceling statement due to lock timeout"):
            desk.writer.run(adding("refused"))
        assert desk.writer.trouble is not None
        session.rollback()
        until(lambda: desk.writer.trouble is None)
        assert desk.writer.run(adding("taken")) == "taken"
        assert desk.links() == {"taken"}
        assert desk.bugs == 0
        desk.writer.stop()


def test_write__of_a_session_that_stands_still__loses_its_turn(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "IDLE_WRITER_MS", 100)
    with closing(PostgresDatabase(url)) as asleep, closing(PostgresDatabase(url)) as awake:

        def sleep() -> None:
            with asleep.write() as connection:
                adding("asleep")(connection)
                with awake.write() as another:  # comes to its turn only when the first one lost it
                    adding("awake")(another)
                adding("too late")(connection)

        with pytest.raises(Undone):
            sleep()
        with awake.read() as connection:
            assert set(connection.execute(sa.select(link.c.id)).scalars()) == {"awake"}


def test_write__under_another_schema__is_refused(desk: Desk, url: str) -> None:
    with psycopg.connect(url) as session:
        session.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaUnfit, match="schema 9999, which this version does not know"):
        desk.writer.run(adding("too old for it"))
    with psycopg.connect(url) as session:
        session.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(SchemaUnfit, match="schema 0001, this version writes"):
        desk.writer.run(adding("too new for it"))
    assert (desk.links(), desk.bugs) == (set(), 0)


# -- what is run again ------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_group__that_the_database_undoes__is_run_again_from_its_beginning(desk: Desk, code: str) -> None:
    tries: list[set[str]] = []
    undone: list[int] = []
    desk.writer.when_undone(lambda: undone.append(len(tries)))

    def unlucky(connection: sa.Connection) -> str:
        tries.append(set(connection.execute(sa.select(link.c.id)).scalars()))
        adding("unlucky")(connection)
        if len(tries) < TRIES_MAX:
            connection.execute(raising(code))
        return "at last"

    desk.hold()
    group = [desk.writer.submit(command) for command in (adding("before"), unlucky, adding("behind"))]
    desk.gate.set()
    assert [future.result(WAIT_S) for future in group] == ["before", "at last", "behind"]
    assert tries == [{"before"}] * TRIES_MAX
    assert undone == [*range(1, TRIES_MAX)]
    assert desk.links() == {"before", "unlucky", "behind"}
    assert (desk.commits, desk.writer.trouble) == (2, None)


def test_group__that_the_database_always_undoes__is_refused_after_some_tries(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PROBE_EVERY_S", 0.01)
    tries: list[None] = []

    def hopeless(connection: sa.Connection) -> None:
        tries.append(None)
        connection.execute(raising("40P01"))

    with pytest.raises(Undone, match="the database undid the transaction: as the test says"):
        desk.writer.run(hopeless)
    assert len(tries) == TRIES_MAX
    until(lambda: desk.writer.trouble is None)
    desk.writer.run(adding("later"))
    assert (desk.links(), desk.bugs) == ({"later"}, 0)


@pytest.mark.parametrize(
    ("code", "said"), [("53100", "disk_full"), ("25006", "standby"), ("58030", "io_error"), ("53200", "out_of_memory")]
)
def test_group__of_which_the_server_takes_no_more__is_refused_whole(desk: Desk, code: str, said: str) -> None:
    desk.hold()
    full = desk.writer.submit(lambda connection: connection.execute(raising(code)))
    innocent = desk.writer.submit(adding("innocent"))
    desk.gate.set()
    for future in (full, innocent):
        with pytest.raises(LedgerUnwritable, match="cannot be written: as the test says"):
            future.result(WAIT_S)
    assert desk.links() == set(), said
    desk.writer.run(adding("later"))
    assert (desk.writer.trouble, desk.bugs) == (None, 0)


def test_group__with_a_statement_that_takes_too_long__is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "STATEMENT_TIMEOUT_MS", 100)
    with closing(PostgresDatabase(url)) as database:
        with pytest.raises(LedgerUnwritable, match="statement timeout"), database.write() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(10)")
        with database.write() as connection:
            adding("later")(connection)


@pytest.mark.parametrize("unfit", ["a\0b", "a\ud800b"])
def test_text__that_cannot_be_kept__is_refused_to_its_command_alone(desk: Desk, unfit: str) -> None:
    """Whoever got one past the door must not stop the ledger, nor be in the way of others."""
    desk.hold()
    before, refused, behind = [desk.writer.submit(adding(name)) for name in ("before", unfit, "behind")]
    desk.gate.set()
    assert (before.result(WAIT_S), behind.result(WAIT_S)) == ("before", "behind")
    with pytest.raises(UnfitText):
        refused.result(WAIT_S)
    assert (desk.links(), desk.writer.trouble, desk.bugs) == ({"before", "behind"}, None, 0)
    with pytest.raises(UnfitText), desk.database.read() as connection:
        connection.execute(sa.select(link.c.id).where(link.c.id == unfit))


def test_error__of_any_other_kind__is_a_bug(desk: Desk) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="as the test says"):
        desk.writer.run(lambda connection: connection.execute(raising("22012")))
    desk.writer.stop()
    assert desk.bugs == 1


def test_write__that_goes_on_after_a_failed_statement__is_a_bug_and_not_taken_for_committed(
    opened: PostgresDatabase,
) -> None:
    def go_on() -> None:
        with opened.write() as connection, suppress(sa.exc.DBAPIError):
            connection.execute(raising("22012"))

    with pytest.raises(sa.exc.InternalError, match="current transaction is aborted"):
        go_on()
    assert commits_of(opened) is None


# -- a lost answer ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", Cut)
def test_commit__whose_answer_is_lost__has_one_effect_and_one_answer(far_desk: Desk, wire: Wire, how: Cut) -> None:
    runs: list[None] = []

    def count(connection: sa.Connection) -> str:
        runs.append(None)
        return adding("once")(connection)

    far_desk.writer.run(adding("before"))
    wire.cut_next(how)
    assert far_desk.writer.run(count) == "once"
    assert wire.cut == 1
    assert len(runs) == (1 if how is Cut.ANSWER else 2)
    assert far_desk.links() == {"before", "once"}
    assert isinstance(far_desk.database, PostgresDatabase)
    assert commits_of(far_desk.database) == 2
    assert (far_desk.bugs, far_desk.writer.trouble) == (0, None)


@pytest.mark.parametrize("how", Cut)
def test_commit__of_which_nobody_can_say_whether_it_was_made__is_told_so_and_the_writer_goes_on(
    far_desk: Desk, wire: Wire, how: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SETTLE_WAIT_S", 0.2)
    monkeypatch.setattr(writer, "PROBE_EVERY_S", 0.01)
    forgotten: list[None] = []
    far_desk.writer.when_undone(lambda: forgotten.append(None))
    far_desk.writer.run(adding("before"))
    wire.cut_next(how, for_good=True)
    with pytest.raises(OutcomeUnknown, match="repeat the request under the same idempotency key"):
        far_desk.writer.run(adding("perhaps"))
    assert forgotten
    with pytest.raises(LedgerUnreachable):
        far_desk.writer.run(adding("refused"))
    wire.mend()
    until(lambda: far_desk.writer.trouble is None)
    assert far_desk.links() == {"before"} | ({"perhaps"} if how is Cut.ANSWER else set())
    assert far_desk.writer.run(adding("later")) == "later"
    assert far_desk.bugs == 0


def test_server__that_cannot_be_reached__is_told_without_its_password(
    url: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SETTLE_WAIT_S", 0.2)
    wire.cut_next(Cut.REQUEST, for_good=True)
    with closing(PostgresDatabase(wire.url(url))) as database:
        with pytest.raises(LedgerUnwritable), database.write() as connection:
            adding("refused")(connection)
        with pytest.raises(LedgerUnreachable, match="server cannot be reached") as refused, database.read():
            pass
    assert "sarraf@" not in refused.value.detail and ":sarraf" not in refused.value.detail


# -- reading ----------------------------------------------------------------------------------


def test_read__while_too_many_others_do__is_told_to_come_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "READERS_MAX", 2)
    monkeypatch.setattr(postgres, "READER_WAIT_S", 0.05)
    with closing(PostgresDatabase(url)) as database:
        with database.read(), database.read():
            with pytest.raises(TooBusy) as refused, database.read():
                pass
            assert refused.value.limit == 2
            with database.write() as connection:  # no reader keeps the writer from writing
                adding("all the same")(connection)
        with database.read():
            pass


def test_read__cannot_write(opened: PostgresDatabase) -> None:
    with pytest.raises(LedgerUnwritable, match="read-only transaction"), opened.read() as connection:
        adding("nothing")(connection)


def test_sum__of_points__is_a_whole_number(opened: PostgresDatabase) -> None:
    ledger = Ledger(opened)
    ann = ledger.member(ledger.named("AIR"), "ann")
    ledger.earn(ann, 2**47)
    ledger.earn(ann, 2**47)
    with opened.read() as connection:
        total = connection.scalar(sa.select(sa.func.sum(lot.c.remaining)))
    assert type(total) is int
    assert total == 2**48


def test_now__is_the_servers(opened: PostgresDatabase, other: PostgresDatabase) -> None:
    with opened.read() as connection, other.read() as another:
        before, between, after = (
            one.now_ms(by) for one, by in ((opened, connection), (other, another), (opened, connection))
        )
    assert before <= between <= after


# -- hearing of other processes ---------------------------------------------------------------


class Ear:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard = 0

    def __call__(self) -> None:
        self.heard += 1


@pytest.fixture
def ear(opened: PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    """Listens for `opened`, and has looked once by itself."""
    monkeypatch.setattr(listening, "LOOK_EVERY_S", 3_600.0)
    made = Ear()
    stop = opened.watch(made)
    until(lambda: made.heard == 1)
    yield made
    stop()


def test_watch__of_another_processs_commit__hears_it_and_not_its_own(
    opened: PostgresDatabase, other: PostgresDatabase, ear: Ear
) -> None:
    with opened.write() as connection:
        adding("own")(connection)
    with pytest.raises(ZeroDivisionError), other.write() as connection:
        raise ZeroDivisionError
    with other.write() as connection:
        adding("another's")(connection)
        assert ear.heard == 1, "nothing is told before the commit"
    until(lambda: ear.heard == 2)


def test_watch__whose_connection_is_lost__looks_by_itself_and_listens_again(
    other: PostgresDatabase, ear: Ear, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "RECONNECT_EVERY_S", 0.01)
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    until(lambda: ear.heard >= 2)  # the loss itself is a reason to look
    until(lambda: _listeners(url) == 1)
    before = ear.heard
    with other.write() as connection:
        adding("another's")(connection)
    until(lambda: ear.heard > before)


def _listeners(url: str) -> int:
    with psycopg.connect(url) as session:
        found = session.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").fetchone()
    return 0 if found is None else int(found[0])


def test_hub__of_a_process__wakes_for_what_another_process_wrote(
    opened: PostgresDatabase, other: PostgresDatabase
) -> None:
    hub = Hub()
    changes = hub.thread_listener()
    stop = opened.watch(hub.notify)
    writing = LedgerWriter(other)
    writing.start()
    try:
        assert changes.wait(WAIT_S), "it looks once by itself"
        for number in range(3):
            changes.clear()
            writing.run(adding(f"{number}"))
            assert changes.wait(listening.LOOK_EVERY_S / 2), "it heard, and did not only look"
    finally:
        writing.stop()
        stop()


# -- an older copy ----------------------------------------------------------------------------


def test_write__to_an_older_copy_in_the_databases_place__stops_the_writer_and_marks_the_copy(
    desk: Desk, opened: PostgresDatabase, url: str
) -> None:
    desk.writer.run(adding("kept"))
    before = commits_of(opened)
    desk.writer.run(adding("lost"))
    with psycopg.connect(url) as session:  # as if the copy had been made between the two
        session.execute("DELETE FROM link WHERE id = 'lost'")
        session.execute("UPDATE writer SET commits = %s WHERE process = %s", (before, opened.process))
    with pytest.raises(RuntimeError, match="an older copy stands in its place"):
        desk.writer.run(adding("too late"))
    desk.writer.stop()
    assert desk.bugs == 1
    assert desk.links() == {"kept"}
    with opened.read() as connection:
        under_way = chainstate.recovery(connection)
    assert under_way is not None and under_way.marked
    assert "an older copy stands in its place" in under_way.reason
