"""A ledger that is copied, goes on, and is put back from its copy while the chain stays where it is."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from bridge.bootstrap import EXAMINE_REST_S, EXAMINED_MAX
from bridge.chain.errors import RpcRefused
from bridge.store import chainstate, lots
from bridge.store.chainstate import Recovery
from bridge.store.postgres import PostgresDatabase
from bridge.store.schema import account, operation
from bridge.store.sqlite import SqliteDatabase
from bridge.store.writer import LedgerWriter
from tests.bridge.posting.conftest import Office
from tests.bridge.store.ledgers import TIMES
from tests.postgres import Address, name_of

#: Blocks until what stood at the head when a recovery began is final.
BLOCKS_MAX = 5


def back_up(office: Office, path: Path) -> Path:
    """A copy of the ledger as it is now; where a server holds it, a database whose URL is in the file."""
    path.unlink(missing_ok=True)
    database = office.ledger.database
    if isinstance(database, PostgresDatabase):
        database.close()  # a template must have no sessions
        path.write_text(_copied(database._reading.url.render_as_string(hide_password=False)))
        return path
    assert isinstance(database, SqliteDatabase)
    with database._engine.connect() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(path),))
    return path


def _copied(url: str) -> str:
    server = Address(Address(url).named("postgres"))
    return server.make(name_of(url))


def put_back(office: Office, path: Path, *, marked: bool = True) -> None:
    """Start the service anew on a copy of the ledger, by the command (`marked`) or by hand; `path` stays as it is."""
    office.writer.stop()
    office.ledger.close()
    if isinstance(office.ledger.database, PostgresDatabase):
        office.ledger.database = PostgresDatabase(_copied(path.read_text()))
    else:
        again = path.with_name(f"again-{path.name}")
        for old in path.parent.glob(f"{again.name}*"):
            old.unlink()
        shutil.copyfile(path, again)
        office.ledger.database = SqliteDatabase(f"sqlite:///{again}")
    office.writer = LedgerWriter(office.ledger.database)
    office.writer.start()
    if marked:
        office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    office.begin()


def recover(office: Office) -> Recovery:
    """Let the ledger learn what the chain did without it, until nothing that was lost can come any more."""
    examine(office)
    assert office.recovery.active
    for blocks in range(2 * BLOCKS_MAX):
        if blocks == BLOCKS_MAX:
            office.ledger.now_ms += TIMES.longest_batch_s * 1000
        office.follow()
        assert not office.poster.step(), "nothing is posted meanwhile"
        if office.recovery.step():
            break
        office.mine()
    assert not office.recovery.active
    ended = office.ledger.ask(chainstate.last_recovery)
    assert ended is not None
    return ended


def examine(office: Office) -> None:
    """The start's question, put again until the answer is certain."""
    for _ in range(EXAMINED_MAX):
        with suppress(RpcRefused):
            office.recovery.examine()
            return
        office.ledger.now_ms += int(EXAMINE_REST_S * 1000)
    office.recovery.examine()


@contextmanager
def lost(office: Office, path: Path, *, marked: bool = True) -> Iterator[None]:
    """What the block does is done on the chain, and forgotten by the ledger, which is restored (see `put_back`)."""
    copy = back_up(office, path / "backup.sqlite3")
    yield
    put_back(office, copy, marked=marked)


def require_sound(office: Office) -> None:
    """The ledger equals the chain, account by account, and the lots of each account make up what it has."""
    report = office.reconciler.audit()
    assert report.differences == 0, [one.named() for one in report.programs]
    with office.ledger.database.read() as connection:
        rows = connection.execute(
            sa.select(account).where(account.c.kind.in_(("member", "orphan", "wallet")), account.c.frozen.is_(False))
        ).all()
        held = lots.spendable(connection, [row.id for row in rows])
    for row in rows:
        available = row.credits_posted + row.credits_pending - row.debits_posted - row.debits_pending - row.held
        assert sum(one.remaining for one in held[row.id]) == available


def of_key(office: Office, program_id: str, key: str) -> sa.Row[tuple[object, ...]]:
    """The operation under this key."""
    with office.ledger.database.read() as connection:
        return connection.execute(
            sa.select(operation).where(operation.c.program_id == program_id, operation.c.idempotency_key == key)
        ).one()
