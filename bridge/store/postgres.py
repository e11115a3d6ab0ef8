"""The ledger on PostgreSQL, for any number of processes.

Writers take turns over all processes, by the lock of one row: each sees all that was written before it, so a command
may read, decide and write, and events get their numbers in the order of the commits. Readers wait for nobody and nobody
for them.

Each commit has a number in the table `writer`. So a commit whose answer was lost can be looked up, and a server that
answers with less than it had acknowledged (an older copy in its place) is found out before anything is written to it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import IntLoader

from bridge.store import database
from bridge.store.database import (
    Database,
    LedgerUnreachable,
    LedgerUnwritable,
    LedgerWentBack,
    OutcomeUnknown,
    SchemaUnfit,
    Standing,
    Undone,
    roll_back,
    tell_whether_it_stands,
)
from bridge.store.listening import CHANNEL, Listening
from bridge.store.texts import NO_NUL, UnfitText
from exchange.errors import TooBusy

#: Connections that readers of one process may hold at the same time, and how long one more waits for its turn.
READERS_MAX = 20
READER_WAIT_S = 5.0
#: How long a connection may take to be made.
CONNECT_TIMEOUT_S = 5
#: How long one statement may take: far more than any needs, so that a lost one ends.
STATEMENT_TIMEOUT_MS = 30_000
#: How long a writer waits for its turn, or for a row that somebody else locked by hand.
LOCK_TIMEOUT_MS = 10_000
#: How long a writer that does nothing may keep its turn: a process that stands still must not hold up the others.
IDLE_WRITER_MS = 10_000
#: How long a reader that does nothing may keep its state of the ledger, for which the server keeps old rows.
IDLE_READER_MS = 300_000
#: How long the network may keep silent: after so many seconds it is asked, so often, so many times.
KEEPALIVE_IDLE_S, KEEPALIVE_EVERY_S, KEEPALIVE_COUNT = 10, 5, 3
#: How long a start waits for another process that migrates the ledger, and how often it tries after a deadlock.
MIGRATION_WAIT_MS = 600_000
MIGRATION_TRIES_MAX = 5
#: How long a commit whose answer was lost is looked up, and how often.
SETTLE_WAIT_S = 15.0
SETTLE_REST_S = 0.1

#: The lock that a migration holds: any number that is nobody else's.
_MIGRATION_LOCK = 7_281_650_311
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_TURN = "SELECT id FROM turn FOR UPDATE"
_NOW = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint"
_NUMBER = sa.text(
    f"INSERT INTO writer (process, commits, at_ms) VALUES (:process, 1, {_NOW})"
    " ON CONFLICT (process) DO UPDATE SET commits = writer.commits + 1, at_ms = excluded.at_ms"
    " RETURNING commits, (SELECT version_num FROM alembic_version)"
)
_LAST = sa.text("SELECT commits FROM writer WHERE process = :process")

#: The server's words (https://www.postgresql.org/docs/current/errcodes-appendix.html) for what may be run again:
#: serialization_failure, deadlock_detected.
_AGAIN = frozenset({"40001", "40P01"})
#: For a server that goes away: admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, and sessions that
#: it ended since they stood still. So does every word of class 08, connection_exception.
_GONE = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"})
#: For what takes no more for now: disk_full, out_of_memory, too_many_connections, configuration_limit_exceeded,
#: io_error, read_only_sql_transaction, lock_not_available, query_canceled (by a timeout).
_NO_MORE = frozenset({"53100", "53200", "53300", "53400", "58030", "25006", "55P03", "57014"})

#: Settings of the server without which a commit is no promise.
_SAFE = ("fsync", "synchronous_commit", "full_page_writes")

_log = logging.getLogger(__name__)


class PostgresDatabase(Database):
    """One ledger in one database of a server. A process has one of these; its writes run one after another."""

    def __init__(self, url: str) -> None:
        self.process = database.process_name()
        self._reading = _engine(url, IDLE_READER_MS, pool_size=READERS_MAX, max_overflow=0, pool_timeout=READER_WAIT_S)
        # One connection to write, and one to look up whether the commit of the first was made.
        self._writing = _engine(url, IDLE_WRITER_MS, pool_size=1, max_overflow=1, pool_timeout=READER_WAIT_S)
        self._listening = _engine(url, 0, poolclass=sa.NullPool)
        self._one_writes = threading.Lock()
        self._acknowledged = 0
        self._revision = database.own_revision()

    # -- the schema ---------------------------------------------------------------------------

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema to `revision`, all of it or nothing. Raises SchemaUnfit, LedgerUnwritable.

        Nobody writes meanwhile, since the migration takes its turn. Whoever reads may be in each other's way with it:
        then one of the two is undone, and the migration begins anew.
        """
        with self.read() as connection:
            found = database.revision_of(connection)
        if found == (self._revision if revision == "head" else revision):
            return
        database.require_known(found)
        for left in reversed(range(MIGRATION_TRIES_MAX)):
            try:
                self._migrate(revision)
            except Undone:
                if not left:
                    raise
            else:
                return

    def _migrate(self, revision: str) -> None:
        with _telling(Undone), self._begun(self._writing, _WRITE) as connection:
            for name, value in (
                ("statement_timeout", 0),
                ("idle_in_transaction_session_timeout", 0),
                ("lock_timeout", MIGRATION_WAIT_MS),
            ):
                connection.exec_driver_sql(f"SET LOCAL {name} = {value}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            if connection.exec_driver_sql("SELECT to_regclass('turn') IS NOT NULL").scalar_one():
                connection.exec_driver_sql(_TURN)
            database.upgrade(connection, revision)
            connection.exec_driver_sql("COMMIT")

    # -- transactions -------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one unchanging state of the ledger. Raises TooBusy, LedgerUnreachable."""
        with _telling(LedgerUnreachable), self._begun(self._reading, _READ) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection that has its turn to write, over all processes; commits at the end.

        Raises LedgerUnwritable, LedgerUnreachable, Undone, OutcomeUnknown, SchemaUnfit.
        """
        if not self._one_writes.acquire(timeout=LOCK_TIMEOUT_MS / 1000):
            raise LedgerUnwritable(f"somebody else in this process has been writing for {LOCK_TIMEOUT_MS} ms")
        try:
            with _telling(Undone), self._begun(self._writing, _WRITE) as connection:
                number = self._take_turn(connection)
                yield connection
                connection.exec_driver_sql(f"NOTIFY {CHANNEL}, '{self.process}'")
                self._commit(connection, number)
        finally:
            self._one_writes.release()

    @contextmanager
    def _begun(self, engine: sa.Engine, begin: str) -> Iterator[sa.Connection]:
        """A connection in a transaction, which is rolled back unless the block has ended it."""
        connection = _begin(engine, begin)
        try:
            yield connection
        finally:
            try:
                roll_back(connection)
            except sa.exc.DBAPIError:  # gone meanwhile, and the transaction with it
                connection.invalidate()
            connection.close()

    def _take_turn(self, connection: sa.Connection) -> int:
        """Wait until no other process writes; the number that this commit has."""
        connection.exec_driver_sql(_TURN).one()
        number, revision = connection.execute(_NUMBER, {"process": self.process}).one()
        if revision != self._revision:
            database.require_known(revision)
            raise SchemaUnfit(
                f"the ledger has schema {revision}, this version writes {self._revision}: start it anew, so that it"
                " migrates the ledger",
                limit=self._revision,
            )
        if number <= self._acknowledged:
            raise LedgerWentBack(
                f"commit {self._acknowledged} of writer {self.process} was acknowledged, and the database knows of"
                f" {number - 1}: an older copy stands in its place"
            )
        return int(number)

    def _commit(self, connection: sa.Connection, number: int) -> None:
        # Of a transaction in which a statement failed, COMMIT says that all is well and rolls it back.
        assert _status(connection) == TransactionStatus.INTRANS, "somebody went on after a statement had failed"
        try:
            connection.exec_driver_sql("COMMIT")
        except sa.exc.DBAPIError as failure:
            if not _is_lost(failure):
                raise
            connection.invalidate()
            self._settle(number)
        self._acknowledged = number

    def _settle(self, number: int) -> None:
        """The answer to a commit was lost: find out whether it was made. Raises Undone, OutcomeUnknown."""
        deadline = time.monotonic() + SETTLE_WAIT_S
        while True:
            try:
                last = self._last_commit()
                break
            except LedgerUnwritable as trouble:
                if time.monotonic() > deadline:
                    raise OutcomeUnknown(
                        "the database's server was lost while it committed, and whether it did cannot be known yet;"
                        " repeat the request under the same idempotency key"
                    ) from trouble
                time.sleep(SETTLE_REST_S)
        if last < number:
            raise Undone("the database's server was lost before it had committed")
        assert last == number, "the writes of one process run one after another"
        _log.warning("commit %d was made, though the server was lost before it said so", number)

    def _last_commit(self) -> int:
        with _telling(LedgerUnreachable), self._begun(self._writing, _WRITE) as connection:
            # Until the lost session has ended, it holds the turn: so whatever it did is over now.
            connection.exec_driver_sql(_TURN)
            return connection.scalar(_LAST, {"process": self.process}) or 0

    def probe(self, connection: sa.Connection) -> None:
        """Nothing to add: every transaction writes its number."""

    def now_ms(self, connection: sa.Connection) -> int:
        """The server's time."""
        return int(connection.exec_driver_sql(f"SELECT {_NOW}").scalar_one())

    def accept_older(self) -> None:
        """Write to the older copy that stands in the database's place, after all."""
        self._acknowledged = 0

    # -- other processes ----------------------------------------------------------------------

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Listen to what other processes say with each commit."""
        heard = Listening(lambda: _connect(self._listening), self.process, on_change)
        heard.start()
        return heard.stop

    def look(self) -> Standing:
        """The server's version, the schema, and what of the server's settings gives up commits in a power cut."""
        with self.read() as connection:
            shown = {
                name: connection.scalar(sa.text("SELECT current_setting(:name)"), {"name": name})
                for name in ("server_version", *_SAFE)
            }
            revision = database.revision_of(connection)
        dangers = [
            f"{name} is {shown[name]!r}: what is acknowledged may be lost" for name in _SAFE if shown[name] == "off"
        ]
        return Standing(f"PostgreSQL {shown['server_version']}", revision, tuple(dangers))

    def close(self) -> None:
        """Close every connection."""
        for engine in (self._reading, self._writing, self._listening):
            engine.dispose()


def _engine(url: str, idle_ms: int, **pool: Any) -> sa.Engine:
    options = {
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": idle_ms,
    }
    engine = sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT",  # transactions are begun by us, explicitly
        use_native_hstore=False,
        connect_args={
            "application_name": "sarraf",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "keepalives_idle": KEEPALIVE_IDLE_S,
            "keepalives_interval": KEEPALIVE_EVERY_S,
            "keepalives_count": KEEPALIVE_COUNT,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        },
        **pool,
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "handle_error", _refuse_unfit)
    return engine


def _refuse_unfit(failed: sa.engine.ExceptionContext) -> None:
    """A text that the driver does not even send is refused to the one command that has it. Raises UnfitText."""
    found = failed.original_exception
    if isinstance(found, psycopg.DataError) and found.sqlstate is None and "NUL" in str(found):
        raise UnfitText(NO_NUL) from found
    if isinstance(found, UnicodeEncodeError):
        raise UnfitText("a text has a character that is none in Unicode: leave it out") from found


def _prepare(connection: Any, record: sa.pool.ConnectionPoolEntry) -> None:
    # The sum of a column of points is `numeric` here, and a whole number all the same.
    connection.adapters.register_loader("numeric", IntLoader)
    open_ones = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
    tell_whether_it_stands(record, lambda: connection.info.transaction_status in open_ones)


def _connect(engine: sa.Engine) -> sa.Connection:
    """A connection of its own. Raises TooBusy, LedgerUnreachable."""
    try:
        return engine.connect()
    except sa.exc.TimeoutError as failure:
        raise TooBusy("too many requests read the ledger at once; try again shortly", limit=READERS_MAX) from failure
    except sa.exc.OperationalError as failure:
        raise LedgerUnreachable(f"the ledger's server cannot be reached: {_said(failure)}") from failure


def _begin(engine: sa.Engine, begin: str, *, again: bool = True) -> sa.Connection:
    """A connection with a transaction begun. Raises TooBusy, LedgerUnreachable."""
    connection = _connect(engine)
    try:
        connection.exec_driver_sql(begin)
    except sa.exc.DBAPIError as failure:
        connection.invalidate()
        connection.close()
        if not _is_lost(failure) or not again:
            raise
        engine.dispose()  # the server was restarted since the connection was last used: all of them are gone
        return _begin(engine, begin, again=False)
    return connection


def _status(connection: sa.Connection) -> TransactionStatus:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver.info.transaction_status


@contextmanager
def _telling(lost: type[LedgerUnwritable]) -> Iterator[None]:
    """Say what is expected of a server in our own words: as `lost` where the connection is gone."""
    try:
        yield
    except sa.exc.DBAPIError as failure:
        code = getattr(failure.orig, "sqlstate", None)
        if _is_lost(failure):
            raise lost(f"the connection to the ledger's server was lost: {_said(failure)}") from failure
        if code in _AGAIN:
            raise Undone(f"the database undid the transaction: {_said(failure)}") from failure
        if code in _NO_MORE:
            raise LedgerUnwritable(f"the ledger cannot be written: {_said(failure)}") from failure
        raise


def _is_lost(failure: sa.exc.DBAPIError) -> bool:
    """Whether the connection is gone, and the transaction with it."""
    code = getattr(failure.orig, "sqlstate", None) or ""
    return failure.connection_invalidated or code in _GONE or code.startswith("08")


def _said(failure: sa.exc.DBAPIError) -> str:
    """The server's own words, in one line."""
    return " ".join(str(failure.orig).split())
