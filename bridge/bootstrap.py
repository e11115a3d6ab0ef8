"""The one place where the parts are wired together."""

import dataclasses
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import sqlalchemy as sa
import uvicorn

from bridge.api.app import create_app
from bridge.api.context import Service
from bridge.api.health import gauges
from bridge.api.metrics import Metrics
from bridge.api.rates import RateLimiter
from bridge.chain.embedded import EmbeddedChain
from bridge.chain.errors import RpcRefused
from bridge.chain.files import write_durably
from bridge.chain.finality import FinalityRule
from bridge.chain.journal import JournalBlock
from bridge.chain.keystore import EncryptedKeystore, Keystore, WellKnownKeys
from bridge.chain.rpc import Rpc
from bridge.fx.ecb import EcbRates
from bridge.fx.sources import bank_of, rates_of
from bridge.posting.clock import Clock, system_clock
from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.hub import Hub
from bridge.posting.leadership import Leadership
from bridge.posting.market import MarketKeeper
from bridge.posting.offers import Offers
from bridge.posting.parts import Parts
from bridge.posting.poster import Pace
from bridge.posting.quoting import Quoting
from bridge.posting.reconciler import Reconciler
from bridge.posting.recovery import RECEIPTS_ASKED_MAX, Recovery
from bridge.posting.service import Posting
from bridge.posting.setup import SetUp
from bridge.posting.submitter import GWEI, FeeRules
from bridge.posting.vetting import Vetting
from bridge.settings import Settings
from bridge.store import blocks, chainstate, keys
from bridge.store.backends import open_database
from bridge.store.chainstate import Times
from bridge.store.database import Database
from bridge.store.leases import CHAIN
from bridge.store.writer import LedgerWriter
from exchange.errors import Conflict, Unavailable

OPERATOR_KEY_FILE = "operator.key"
SERVICE_FILE = "service.json"
LOCK_FILE = "lock"
EMBEDDED_FINALITY = "depth:0"
#: How long a stop waits for requests and event streams before it ends them.
GRACE_S = 3
#: How deep calls may nest; Python's own default. web3 brings a library that raises it a hundredfold, and then one
#: deeply nested request would overflow the stack and end the process instead of being refused.
RECURSION_MAX = 1000
#: How long deploying waits for the exchange to be on the chain.
DEPLOY_WAIT_S = 600
#: How long a start rests before it asks a node again that refused to say how far the chain is.
EXAMINE_REST_S = 0.5
#: How often it asks at most: while receipts are missing, and then until it is sure.
EXAMINED_MAX = RECEIPTS_ASKED_MAX + 4
#: How often a start with an embedded chain tries to lead: for longer than the lease of one that was killed counts.
CHAIN_TRIES_MAX = 20

_log = logging.getLogger(__name__)


class ServiceFailed(RuntimeError):
    """A bug stopped the service: not an expected error, so nothing may carry on after it."""


class DataInUse(Conflict):
    """Raised when another process serves the same data directory."""

    type = "data-in-use"


class SettingsIncomplete(Conflict):
    """Raised when the settings do not say something that cannot be guessed."""

    type = "settings-incomplete"


class AddressTaken(Conflict):
    """Raised when the service cannot listen where it was told to."""

    type = "address-taken"


class DeploymentSlow(Unavailable):
    """Raised when the exchange's creation was sent and is not final within the time that deploying waits."""

    type = "deployment-slow"


def serve(settings: Settings) -> None:
    """Run the service until SIGTERM or Ctrl-C; when it returns, everything is stopped and saved.

    Raises DataInUse, SettingsIncomplete, InvalidFxFile, TimesTooLong, SettlementCurrencyFixed, ChainError, and
    ServiceFailed when a bug stopped it.
    """
    _log_to_stderr(settings.log_level)
    ending: list[uvicorn.Server] = []

    def end() -> None:
        for server in ending:
            server.should_exit = True

    def interrupted(*_: object) -> None:
        if not ending:  # still starting: give up; what was started is stopped on the way out
            raise KeyboardInterrupt
        end()

    # While it runs, the server handles these itself, and raises them once more when it has stopped: then they must not
    # cut short what is left to stop.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, interrupted)
    with Running(settings, on_bug=end) as service:
        config = uvicorn.Config(
            create_app(service),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        server = _Server(config, service)
        ending.append(server)
        if service.bug.is_set():  # a part failed before there was a server to end
            end()
        listening = _listen(settings)
        url = f"http://{settings.host}:{listening.getsockname()[1]}"
        note = settings.data / SERVICE_FILE
        write_durably(note, json.dumps({"url": url, "pid": os.getpid()}).encode())
        _log.info("Sarraf listens on %s; its ledger and keys are in %s", url, settings.data.resolve())
        try:
            server.run(sockets=[listening])
        finally:
            note.unlink(missing_ok=True)
        if service.bug.is_set():
            raise ServiceFailed("a part of the service failed unexpectedly; the log above says which")


class _Server(uvicorn.Server):
    """Ends the event streams when it stops: each would be waited for, and then cut off in the middle of a line."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, finish what is under way."""
        self._service.stopping.set()
        self._service.hub.notify()
        await super().shutdown(sockets)


def _listen(settings: Settings) -> socket.socket:
    """The socket that requests come in at. Raises AddressTaken.

    Its protocol is named: only then does asyncio switch off the delay of small answers, which costs 40 ms each.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as failure:
        listening.close()
        raise AddressTaken(
            f"{settings.host}:{settings.port} cannot be listened on ({failure.strerror}); choose another port, or 0",
            field="SARRAF_PORT",
        ) from failure
    return listening


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "uvicorn.error", "urllib3", "web3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def deploy(settings: Settings) -> dict[str, object]:
    """Put the exchange on the configured chain, or find it there; answers the deployment record, also kept in a file.

    Raises DeploymentSlow, DataInUse, SettingsIncomplete, ChainError.
    """
    with Running(settings) as service:
        changed = service.hub.thread_listener()
        deadline_ms = service.clock() + DEPLOY_WAIT_S * 1000
        while (record := service.read(chainstate.get)) is None or record.exchange is None:
            if service.clock() > deadline_ms:
                raise DeploymentSlow(f"the exchange is not on the chain after {DEPLOY_WAIT_S} s; ask again later")
            changed.wait(1)
            changed.clear()
        assert record.exchange is not None and record.transaction_hash is not None
        answer: dict[str, object] = {
            "chain_id": record.chain_id,
            "exchange": f"0x{record.exchange.hex()}",
            "block": record.block_number,
            "transaction": f"0x{record.transaction_hash.hex()}",
            "genesis": f"0x{record.genesis_hash.hex()}",
            **dataclasses.asdict(record.times),
            "settlement_currency": record.settlement_currency,
        }
        file = settings.data / f"deployment-{record.chain_id}.json"
        write_durably(file, json.dumps(answer, indent=2).encode() + b"\n", mode=0o644)
        return answer | {"file": str(file)}


class LedgerJournal:
    """The embedded chain's journal, kept in the ledger."""

    def __init__(self, database: Database, guard: threading.Lock) -> None:
        self._database = database
        self._guard = guard

    def tip(self) -> int:
        """The newest journaled block; waits for one that is on its way into the ledger."""
        with self._guard, self._database.read() as connection:
            tip = blocks.tip(connection)
        return -1 if tip is None else tip.number

    def blocks_after(self, number: int) -> Iterator[JournalBlock]:
        """The journaled blocks above `number`, in order."""
        with self._database.read() as connection:
            for block, raw in blocks.journal_after(connection, number):
                yield JournalBlock(block.number, block.hash, block.timestamp, raw)


class Running(AbstractContextManager[Service]):
    """A started service; leaving the context stops it. Raises DataInUse, SettingsIncomplete, ChainError."""

    def __init__(
        self, settings: Settings, *, clock: Clock = system_clock, on_bug: Callable[[], None] = lambda: None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_bug = on_bug
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Service:
        try:
            return self._start()
        except BaseException:
            self._stop()
            raise
        finally:
            sys.setrecursionlimit(RECURSION_MAX)

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        while self._undo:
            self._undo.pop()()

    def _start(self) -> Service:
        settings = self._settings
        _require_leader(settings)
        bank = bank_of(settings)
        rates = rates_of(settings, bank)
        lock = take_data(settings.data)
        self._undo.append(lock.close)
        database = open_database(settings.ledger_url)
        self._undo.append(database.close)
        database.migrate()
        hub, bug, guard = Hub(), threading.Event(), threading.Lock()

        def stop_all() -> None:
            bug.set()
            self._on_bug()

        self._undo.append(database.watch(hub.notify))
        writer = LedgerWriter(database, on_commit=hub.notify, on_bug=stop_all)
        writer.start()
        self._undo.append(writer.stop)
        leadership = Leadership(
            database=database,
            writer=writer,
            holder=database.process,
            alone=settings.database_url is None,  # then the ledger is in the data folder, which is locked
            wants=settings.posting,
        )
        if settings.rpc_url is None:
            _require_chain(leadership)
        embedded = self._embedded_chain(LedgerJournal(database, guard))
        url = embedded.url if embedded is not None else settings.rpc_url
        assert url is not None
        rpc = Rpc(url)
        self._undo.append(rpc.close)
        chain_id = rpc.chain_id()
        keystore = keystore_of(settings, chain_id)
        finality = finality_of(settings)
        set_up = SetUp(rpc, keystore, finality, funds_wei=settings.lane_funds_wei)
        writer.run(
            lambda connection: set_up.bind(
                connection,
                times=_times(settings),
                settlement_currency=settings.settlement_currency,
                now_ms=self._clock(),
            )
        )
        _operator_key(settings.data, writer, self._clock)
        parts = Parts(
            database=database,
            writer=writer,
            rpc=rpc,
            finality=finality,
            keystore=keystore,
            clock=self._clock,
            chain_id=chain_id,
            rules=FeeRules(settings.replace_after_s * 1000, settings.fee_max_gwei * GWEI, settings.low_funds_wei),
            pace=Pace(settings.batch_linger_ms, settings.batch_life_s),
            journal=embedded is not None,
            own_chain=embedded is not None,
            guard=guard,
        )
        reconciler = Reconciler(database=database, writer=writer, rpc=rpc, clock=self._clock, found=parts.findings)
        recovery = Recovery(database=database, writer=writer, rpc=rpc, clock=self._clock, own_chain=parts.own_chain)
        _examine(recovery)
        posting = Posting(parts=parts, leadership=leadership, recovery=recovery, hub=hub, on_bug=stop_all)
        gatekeeper = Gatekeeper()
        market, vetting = MarketKeeper(gatekeeper), Vetting(gatekeeper, rates)

        def forget_undone() -> None:
            with database.read() as connection:
                market.forget_undone(connection)

        writer.when_undone(forget_undone)
        with database.read() as connection, market.open(connection, self._clock()):
            pass  # read once before anybody waits for it: seconds, where there are tens of thousands of directions
        posting.start()
        self._undo.append(posting.stop)
        self._load(bank)
        service = Service(
            settings=settings,
            clock=self._clock,
            database=database,
            writer=writer,
            hub=hub,
            rpc=rpc,
            chain_id=chain_id,
            embedded=embedded,
            finality=finality,
            set_up=set_up,
            rates=rates,
            gatekeeper=gatekeeper,
            market=market,
            vetting=vetting,
            quoting=Quoting(market, gatekeeper, vetting),
            offers=Offers(keystore, chain_id),
            reconciler=reconciler,
            recovery=recovery,
            posting=posting,
            bug=bug,
            limiter=RateLimiter(settings.requests_per_second),
            metrics=Metrics(lambda: gauges(service)),
        )
        return service

    def _load(self, bank: EcbRates) -> None:
        """Read the rates of exchange beside the start: nobody waits for them, neither the start nor a transaction."""
        loading = threading.Thread(target=bank.load, name="rates-of-exchange")
        loading.start()
        self._undo.append(loading.join)

    def _embedded_chain(self, journal: LedgerJournal) -> EmbeddedChain | None:
        if self._settings.rpc_url is not None:
            return None
        chain = EmbeddedChain(
            self._settings.data / "chain",
            journal,
            block_interval_ms=self._settings.block_interval_ms,
            clock=lambda: self._clock() // 1000,
        )
        chain.start()
        self._undo.append(chain.stop)
        return chain


def take_data(directory: Path) -> IO[str]:
    """Hold the data directory for this process; the lock ends with the process, however it ends. Raises DataInUse."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = (directory / LOCK_FILE).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise DataInUse(
            f"another process serves {directory}; stop it, or name another directory", field="data"
        ) from None
    return lock


def _require_chain(leadership: Leadership) -> None:
    """An embedded chain is its process's own: no other may follow another one in the same ledger. Raises DataInUse."""
    for _ in range(CHAIN_TRIES_MAX):
        leadership.step()
        if leadership.grant(CHAIN) is not None:
            return
        time.sleep(EXAMINE_REST_S)
    raise DataInUse(
        "another process runs this ledger; several need one node that they share: name it by SARRAF_RPC_URL",
        field="SARRAF_RPC_URL",
    )


def _examine(recovery: Recovery) -> None:
    """Find out whether the ledger must recover; a node is asked again for a while until that is certain."""
    for _ in range(EXAMINED_MAX):
        try:
            recovery.examine()
        except RpcRefused as refusal:
            _log.warning("the start waits: %s", refusal.detail)
            time.sleep(EXAMINE_REST_S)
        else:
            return
    recovery.examine()


def _require_leader(settings: Settings) -> None:
    """Raises SettingsIncomplete where nobody could ever post what this process accepts."""
    for name, value in (("SARRAF_DATABASE_URL", settings.database_url), ("SARRAF_RPC_URL", settings.rpc_url)):
        if not settings.posting and value is None:
            raise SettingsIncomplete(
                f"SARRAF_POSTING=no leaves posting to other processes, which share ledger and node: set {name}",
                field=name,
            )


def _times(settings: Settings) -> Times:
    return Times(
        delay_s=settings.delay,
        notice_s=settings.notice,
        longest_quote_s=settings.quote_life_s,
        longest_batch_s=settings.longest_batch_s,
        cap_period_s=settings.cap_period_s,
    )


def finality_of(settings: Settings) -> FinalityRule:
    """When a block is final on the configured chain. Raises SettingsIncomplete, FinalityUnknown."""
    if settings.rpc_url is not None:
        return FinalityRule.parse(settings.finality or "finalized")
    if settings.finality not in (None, EMBEDDED_FINALITY):
        raise SettingsIncomplete(
            f"on the embedded chain a block is final once it is journaled ({EMBEDDED_FINALITY}), and no empty blocks"
            " are mined, so no other rule is ever met: leave SARRAF_FINALITY out, or name a node by SARRAF_RPC_URL",
            field="SARRAF_FINALITY",
            nearest=EMBEDDED_FINALITY,
        )
    return FinalityRule.parse(EMBEDDED_FINALITY)


def keystore_of(settings: Settings, chain_id: int) -> Keystore:
    """The configured keys. Raises SettingsIncomplete, KeystoreError."""
    if settings.keystore is None:
        return WellKnownKeys(chain_id)
    if settings.keystore_password_file is None:
        raise SettingsIncomplete(
            "a keystore needs its password: name a file that holds it", field="SARRAF_KEYSTORE_PASSWORD_FILE"
        )
    return EncryptedKeystore(settings.keystore, settings.keystore_password_file.read_text().strip())


def _operator_key(directory: Path, writer: LedgerWriter, clock: Clock) -> None:
    """The first operator key, made once and left in a file that only this user reads; the file may be moved away."""

    undone: list[bool] = []

    def make(connection: sa.Connection) -> None:
        if keys.any_operator(connection):
            if undone:  # another process was first, and the key in our file is none
                (directory / OPERATOR_KEY_FILE).unlink(missing_ok=True)
            return
        _, text = keys.create(connection, program_id=None, scopes=keys.SCOPES_OF_OPERATOR, now_ms=clock())
        # Before the commit: a crash in between leaves a file that is written anew, not a key that nobody knows.
        write_durably(directory / OPERATOR_KEY_FILE, text.encode() + b"\n")
        undone.append(True)  # else it is committed, and nobody asks again

    writer.run(make)
