"""Rebuilding, while the service is down: the embedded chain out of the ledger's journal, a ledger out of the chain."""

import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge import backups
from bridge.backups import CHAIN_DIRECTORY, GENESIS_FILE, Manifest, NoLedger, name_aside, require_ledger
from bridge.bootstrap import LedgerJournal, finality_of, keystore_of, take_data
from bridge.chain.embedded import EmbeddedChain
from bridge.chain.files import sync_directory, write_durably
from bridge.chain.rpc import Rpc
from bridge.chain.snapshots import SnapshotStore
from bridge.posting.clock import Clock, system_clock
from bridge.posting.rebuild import OwnWords, Rebuild, Rebuilt
from bridge.posting.rebuild_found import NoExchange
from bridge.settings import LEDGER_FILE, Settings
from bridge.store import blocks, chainstate, comparison, copies, programs
from bridge.store.backends import open_database
from bridge.store.comparison import Comparison
from bridge.store.copies import CopyUnfit
from bridge.store.database import Database
from bridge.store.sqlite import SqliteDatabase
from exchange.errors import Conflict

REBUILT_FILE = "ledger-rebuilt.sqlite3"
REBUILDING_DIRECTORY = "chain.rebuilding"
PORT_FILE = "port"

Progress = Callable[[int, int], None]
"""Told (blocks done, blocks to do)."""

_log = logging.getLogger(__name__)


class NotEmbedded(Conflict):
    """Raised when a chain is to be rebuilt that is a node's, and not this service's own."""

    type = "not-embedded"


class ChainAhead(Conflict):
    """Raised when the chain has blocks that the ledger's journal lacks: a rebuild would lose them."""

    type = "chain-ahead"


# -- the chain --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RebuiltChain:
    """A chain that was made anew: each of its blocks has the hash that the ledger kept for it.

    `kept` is where the files are that it replaces, None where there were none.
    """

    blocks: int
    head_number: int
    head_hash: bytes
    kept: Path | None


def rebuild_chain(
    settings: Settings, progress: Progress, *, force: bool = False, clock: Clock = system_clock
) -> RebuiltChain:
    """Make the embedded chain anew out of the raw transactions in the ledger, and put it in the place of the old one.

    Nothing is changed unless every block came out as it was. Raises DataInUse, NoLedger, NotEmbedded, ChainAhead unless
    `force` says that what the ledger lacks may go, and EmbeddedChainError.
    """
    if settings.rpc_url is not None:
        raise NotEmbedded("the chain is a node's, and no ledger can rebuild it", field="SARRAF_RPC_URL")
    directory, fresh = settings.data / CHAIN_DIRECTORY, settings.data / REBUILDING_DIRECTORY
    if settings.database_url is None:
        require_ledger(settings.data / LEDGER_FILE)
    with closing(take_data(settings.data)), closing(open_database(settings.ledger_url)) as database:
        database.migrate()
        with database.read() as connection:
            tip = blocks.tip(connection)
        if tip is None:
            raise NoLedger("the ledger has no block yet: there is nothing to rebuild", field="data")
        if not force:
            _require_not_ahead(directory, tip.number)
        shutil.rmtree(fresh, ignore_errors=True)  # left by a rebuild that was broken off
        fresh.mkdir()
        _keep_port(directory, fresh)
        chain = EmbeddedChain(fresh, LedgerJournal(database, threading.Lock()), progress=progress)
        try:
            chain.start()
            _require_head(chain.url, tip)
        except BaseException:
            chain.stop()
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        chain.stop()
        kept = _put_in_place(directory, fresh, clock())
    return RebuiltChain(tip.number + 1, tip.number, tip.hash, kept)


def _require_not_ahead(directory: Path, tip: int) -> None:
    newest = SnapshotStore(directory).newest() if directory.exists() else None
    if newest is not None and newest.number > tip:
        raise ChainAhead(
            f"the chain's files go up to block {newest.number}, the ledger's journal only to {tip}: start the service"
            " once, so that the ledger takes in the rest; --force gives those blocks up",
            limit=tip,
        )


def _keep_port(directory: Path, fresh: Path) -> None:
    """Whoever knows where the chain listens finds it there again."""
    if (directory / PORT_FILE).exists():
        write_durably(fresh / PORT_FILE, (directory / PORT_FILE).read_bytes())


def _require_head(url: str, tip: blocks.KnownBlock) -> None:
    with closing(Rpc(url)) as rpc:
        head = rpc.block("latest")
    assert head is not None and (head.number, head.hash) == (tip.number, tip.hash), "each block was compared on the way"


def _put_in_place(directory: Path, fresh: Path, now_ms: int) -> Path | None:
    kept = None
    if directory.exists():
        kept = name_aside(directory, now_ms)
        directory.rename(kept)
    fresh.rename(directory)
    sync_directory(directory.parent)
    return kept


# -- the ledger -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RebuiltLedger:
    """A ledger that was made anew out of the chain, and how it compares; no comparison where there was no other."""

    file: Path
    manifest: Manifest
    rebuilt: Rebuilt
    comparison: Comparison | None


def rebuild_ledger(
    settings: Settings,
    progress: Progress,
    *,
    into: Path | None = None,
    exchange: bytes | None = None,
    program_ids: Mapping[bytes, str] | None = None,
    clock: Clock = system_clock,
) -> RebuiltLedger:
    """Write a new ledger, out of the chain alone, into a new file; the present one stays as it is.

    The exchange's address is looked up in the present ledger and the record of its deployment where it is not given.
    `program_ids` are of tokens whose programs the present ledger does not know. Raises DataInUse, FileExists,
    NoExchange, KeysMissing, NoLedger, ChainError, CopyFailed.
    """
    into = settings.data / REBUILT_FILE if into is None else into
    if into.exists():
        raise backups.FileExists(f"{into} is there already, and is not overwritten")
    with ExitStack() as stack:
        stack.enter_context(closing(take_data(settings.data)))
        present = stack.enter_context(_present(settings))
        scratch = stack.enter_context(backups.scratch_beside(into))
        with closing(SqliteDatabase.in_file(scratch)) as database:
            rpc = stack.enter_context(_chain(settings, present or database))
            deployed = _deployed(settings, present, rpc.chain_id())
            address = exchange or deployed.exchange
            if address is None:
                raise NoExchange("no ledger and no record of a deployment names the exchange", field="--exchange")
            rebuilt = Rebuild(
                database=database,
                rpc=rpc,
                keystore=keystore_of(settings, rpc.chain_id()),
                finality=finality_of(settings),
                clock=clock,
                journal=settings.rpc_url is None,
                settlement_currency=deployed.settlement_currency or settings.settlement_currency,
            ).run(
                address,
                _own_words(present) | {token: OwnWords(one) for token, one in (program_ids or {}).items()},
                first=deployed.first if address == deployed.exchange else 0,
                progress=progress,
            )
            compared = None if present is None else _compare(present, database)
        copies.close_up(scratch)
        manifest = backups.publish(scratch, into, clock=clock)
    return RebuiltLedger(into, manifest, rebuilt, compared)


@contextmanager
def _present(settings: Settings) -> Iterator[Database | None]:
    """The ledger that is there, where it can be read."""
    if settings.database_url is not None:
        with closing(open_database(settings.ledger_url)) as database:
            database.migrate()
            yield database
        return
    ledger = settings.data / LEDGER_FILE
    try:
        readable = ledger.exists() and copies.examine(ledger).chain_id is not None
    except CopyUnfit as damage:
        _log.warning("the present ledger is left out: %s", damage.detail)
        readable = False
    if not readable:
        yield None
        return
    with closing(SqliteDatabase.in_file(ledger)) as database:
        yield database


@contextmanager
def _chain(settings: Settings, journal: Database) -> Iterator[Rpc]:
    """The configured chain; an embedded one is started, with the ledger as its journal, and stopped."""
    if settings.rpc_url is not None:
        with closing(Rpc(settings.rpc_url)) as rpc:
            yield rpc
        return
    directory = settings.data / CHAIN_DIRECTORY
    kept = LedgerJournal(journal, threading.Lock())
    if kept.tip() < 0 and not (directory / GENESIS_FILE).exists():
        raise NoExchange(f"there is no chain in {directory}, and no ledger to rebuild it from", field="data")
    chain = EmbeddedChain(directory, kept)
    chain.start()
    try:
        with closing(Rpc(chain.url)) as rpc:
            yield rpc
    finally:
        chain.stop()


@dataclass(frozen=True, slots=True)
class _Deployed:
    """What is known here of where the exchange stands, and since which block."""

    exchange: bytes | None = None
    first: int = 0
    settlement_currency: str | None = None


def _deployed(settings: Settings, present: Database | None, chain_id: int) -> _Deployed:
    if present is not None:
        with present.read() as connection:
            known = chainstate.get(connection)
        if known is not None and known.exchange is not None:
            return _Deployed(known.exchange, known.block_number or 0, known.settlement_currency)
    try:
        record = json.loads((settings.data / f"deployment-{chain_id}.json").read_bytes())
        return _Deployed(bytes.fromhex(record["exchange"][2:]), int(record["block"]), record["settlement_currency"])
    except FileNotFoundError:
        return _Deployed()


def _own_words(present: Database | None) -> dict[bytes, OwnWords]:
    """What programs say of themselves, as the present ledger has it."""
    if present is None:
        return {}
    with present.read() as connection:
        known = programs.all_programs(connection)
    return {
        one.token: OwnWords(one.id, one.currency, one.earning_rate, one.expiry_days, one.money, one.point_value_micro)
        for one in known
        if one.token is not None
    }


def _compare(present: Database, rebuilt: Database) -> Comparison:
    with present.read() as ours, rebuilt.read() as theirs:
        return comparison.compare(ours, theirs)
