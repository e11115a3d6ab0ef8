"""The ledger database as all other code knows it: transactions to read and to write in, and what can go wrong.

Which database holds it is said by a URL and known in `bridge.store.backends` alone. What is expected to fail (a disk
that is full, a server that is gone) is a LedgerUnwritable, after which nothing of the transaction is left. Every other
error of a database is a bug.
"""

import os
import re
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from exchange.errors import Unavailable

#: Values in one IN (...) list; SQLite takes 32,766 parameters in a statement, PostgreSQL 65,535.
IN_LIST_MAX = 10_000

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Where a connection keeps the function that says whether its transaction still stands.
_STANDS = "transaction_stands"


class LedgerUnwritable(Unavailable):
    """Raised when the database takes no more: its disk is full or fails, it stands by, or a lock is held too long.

    What was asked for is undone as far as this process goes. A commit whose sync failed may still be found on the disk
    after a crash, so whoever repeats a request does it under the same key.
    """

    type = "ledger-unwritable"


class LedgerUnreachable(LedgerUnwritable):
    """Raised when the database's server does not answer, or is gone in the middle of a question."""

    type = "ledger-unreachable"


class Undone(LedgerUnwritable):
    """Raised when the database has undone a transaction that may be run again from its beginning.

    A deadlock, a serialisation failure, a connection that was lost before the commit.
    """


class OutcomeUnknown(LedgerUnwritable):
    """Raised when nobody can say whether a transaction was committed: its answer was lost, and so was the server.

    Whoever asked for something repeats it under the same key, and gets the one answer that it has.
    """

    type = "outcome-unknown"


class SchemaUnfit(LedgerUnwritable):
    """Raised when the ledger has another schema than this program writes: a newer one, or one not yet migrated."""

    type = "schema-unfit"


class LedgerWentBack(RuntimeError):
    """The database lacks commits that it had acknowledged: an older copy stands in its place.

    No expected error: what this process remembers is of a ledger that is no more, so it must end and start anew.
    """


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds a ledger: in words, the schema that it has (None: none yet), and settings that could lose commits."""

    text: str
    revision: str | None
    dangers: tuple[str, ...] = ()


class Database(ABC):
    """One ledger. `read()` and `write()` give a connection in a transaction, which an error rolls back.

    `process` is this process among all that are on any ledger.
    """

    process: str

    @abstractmethod
    def migrate(self, revision: str = "head") -> None:
        """Bring the schema to `revision`, all of it or nothing; does nothing where it stands there already.

        Of several processes one does it, and the others wait. Raises SchemaUnfit where the ledger is a newer program's.
        """

    @abstractmethod
    def read(self) -> AbstractContextManager[sa.Connection]:
        """A connection that sees one unchanging state of the ledger.

        Raises TooBusy where too many read at once, LedgerUnwritable where a question needs room on the disk to sort its
        answer and there is none, LedgerUnreachable.
        """

    @abstractmethod
    def write(self) -> AbstractContextManager[sa.Connection]:
        """A connection that is the only one to write; commits at the end, rolls back when an error leaves the block.

        Raises LedgerUnwritable, and what derives from it; LedgerWentBack, which is none of those.
        """

    @abstractmethod
    def probe(self, connection: sa.Connection) -> None:
        """Write something that changes nothing, and needs as much room as any change."""

    @abstractmethod
    def accept_older(self) -> None:
        """After LedgerWentBack: write to the older copy all the same, to mark it as one."""

    @abstractmethod
    def now_ms(self, connection: sa.Connection) -> int:
        """The time that all processes on this ledger share, in milliseconds since 1970."""

    @abstractmethod
    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call `on_change`, in a thread of its own, when another process has changed the ledger; answers how to stop.

        It may be called when nothing changed, and is called some time after a change at the latest.
        """

    @abstractmethod
    def look(self) -> "Standing":
        """What holds the ledger, as it is now; changes nothing. Raises LedgerUnreachable."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""


def process_name() -> str:
    """A name for this process that no other has, on any machine: its host, its number there, and something random."""
    host = re.sub(r"[^A-Za-z0-9.]", "-", socket.gethostname())[:32]
    return f"{host}-{os.getpid()}-{secrets.token_hex(6)}"


# -- transactions -----------------------------------------------------------------------------


@contextmanager
def savepoint(connection: sa.Connection) -> Iterator[None]:
    """Undo only what the block wrote when an error leaves it; the transaction around it goes on."""
    connection.exec_driver_sql("SAVEPOINT command")
    try:
        yield
    except BaseException:
        if stands(connection):
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT command")
            connection.exec_driver_sql("RELEASE SAVEPOINT command")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT command")


def roll_back(connection: sa.Connection) -> None:
    """End the transaction, where it still stands, without a trace."""
    if stands(connection):
        connection.exec_driver_sql("ROLLBACK")


def stands(connection: sa.Connection) -> bool:
    """Whether a transaction is open: after some errors a database has rolled it back already, or is gone."""
    return not connection.invalidated and bool(connection.info[_STANDS]())


def tell_whether_it_stands(record: sa.pool.ConnectionPoolEntry, answer: Callable[[], bool]) -> None:
    """Let `stands` know how to ask a new connection."""
    record.info[_STANDS] = answer


# -- the schema -------------------------------------------------------------------------------


def revisions() -> frozenset[str]:
    """The revisions of the schema that this version knows: its own, and those that it migrates from."""
    return frozenset(one.revision for one in _scripts().walk_revisions())


def own_revision() -> str:
    """The revision of the schema that this version writes."""
    found = _scripts().get_current_head()
    assert found is not None
    return found


def revision_of(connection: sa.Connection) -> str | None:
    """The revision that the ledger has; None where there is none yet."""
    return MigrationContext.configure(connection).get_current_revision()


def require_known(revision: str | None) -> None:
    """Raises SchemaUnfit where the ledger's revision is none that this version can bring to its own."""
    if revision is not None and revision not in revisions():
        raise SchemaUnfit(
            f"the ledger has schema {revision}, which this version does not know: a newer one has migrated it; this one"
            f" knows {', '.join(sorted(revisions()))}",
            limit=own_revision(),
        )


def upgrade(connection: sa.Connection, revision: str) -> None:
    """Run the migrations that lead to `revision`, in the transaction that is open. Raises SchemaUnfit."""
    require_known(revision_of(connection))
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_MIGRATIONS))
