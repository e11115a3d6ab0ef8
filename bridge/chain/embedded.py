"""The embedded chain: a native anvil that the service starts, mines, saves, watches, and brings back.

One thread does all of it in turn, so that mining, saving and restarting never overlap. It is also the thread
that starts anvil, which dies with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import IO

from bridge.chain.anvil import HOST, Anvil, end_stale_anvil, find_anvil, free_port, wait_until_free
from bridge.chain.errors import ChainCannotStart, ChainError, ChainInUse, ChainUnreachable, RpcRefused
from bridge.chain.files import write_durably
from bridge.chain.genesis import CHAIN_ID
from bridge.chain.journal import BlockJournal, JournalBlock
from bridge.chain.launch import Launcher, dump
from bridge.chain.miner import BLOCK_INTERVAL_MS, Miner
from bridge.chain.replay import Progress, ReplayStopped
from bridge.chain.snapshots import SnapshotStore

__all__ = ["BlockJournal", "ChainState", "EmbeddedChain", "JournalBlock", "Progress"]

POLL_MS = 50
SNAPSHOT_BLOCKS = 200
SNAPSHOT_BUSY_FACTOR = 10  # a chain that is never quiet is saved all the same, this much later
QUIET_S = 2.0
SNAPSHOT_COST_SHARE = 20  # at most a twentieth of the time goes into snapshots
RESTARTS_MAX = 5
RESTART_WINDOW_S = 60.0
JOIN_TIMEOUT_S = 120.0
PORT_TIMEOUT_S = 5.0

logger = logging.getLogger(__name__)


class ChainState(StrEnum):
    """What the embedded chain is doing; only a `running` one serves."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    FAILED = "failed"


class EmbeddedChain:
    """The chain of one directory, whose blocks are kept by `journal`.

    `start` returns when the chain serves on `url` with every journaled block. From then on what is sent there
    is mined, and a chain that dies is brought back, until `stop`. `progress` is told how far a rebuild is.
    """

    chain_id = CHAIN_ID

    def __init__(
        self,
        directory: Path,
        journal: BlockJournal,
        *,
        binary: Path | None = None,
        port: int = 0,
        block_interval_ms: int = BLOCK_INTERVAL_MS,
        snapshot_blocks: int = SNAPSHOT_BLOCKS,
        clock: Callable[[], int] = lambda: int(time.time()),
        progress: Progress = lambda _done, _to_do: None,
    ) -> None:
        self._directory = directory
        self._journal = journal
        self._binary = binary
        self._port = port
        self._block_interval_ms = block_interval_ms
        self._clock = clock
        self._progress = progress
        self._saver = _Saver(directory, snapshot_blocks)
        self._stopping = threading.Event()
        self._settled = threading.Event()  # the first launch came to an end, good or bad
        self._restarts: deque[float] = deque()
        self._thread: threading.Thread | None = None
        self._lock: IO[bytes] | None = None
        self._anvil: Anvil | None = None
        self._state = ChainState.STOPPED
        self._failure: ChainError | None = None

    # -- for everybody ------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the chain listens; fixed until `stop`, and the same after that if the port is still free."""
        assert self._port, "the chain was never started"
        return f"http://{HOST}:{self._port}"

    @property
    def state(self) -> ChainState:
        return self._state

    @property
    def is_running(self) -> bool:
        """Whether the chain serves now, for the readiness check."""
        return self._state is ChainState.RUNNING

    @property
    def failure(self) -> ChainError | None:
        """Why the chain gave up, when its state is `failed`."""
        return self._failure

    @property
    def pid(self) -> int | None:
        """The process id of the running anvil."""
        return self._anvil.pid if self._anvil is not None else None

    def start(self) -> None:
        """Returns when the chain serves, after a rebuild if need be; `stop` from elsewhere ends the wait.

        Raises `ChainInUse`, `AnvilMissing`, `ChainChanged`, `ChainCannotStart` or `ChainCannotRestore`.
        """
        assert self._thread is None, "an embedded chain is started once, and again only after stop"
        binary = self._binary or find_anvil()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self._directory)
        ended_badly = end_stale_anvil(self._directory)
        self._port = _choose_port(self._directory, self._port, PORT_TIMEOUT_S if ended_badly else 0.0)
        self._stopping.clear()
        self._settled.clear()
        self._restarts.clear()
        self._failure = None
        self._state = ChainState.STARTING
        launcher = Launcher(
            binary,
            self._directory,
            self._journal,
            clock=self._clock,
            progress=self._progress,
            should_stop=self._stopping.is_set,
        )
        self._thread = threading.Thread(target=self._run, args=(launcher,), name="embedded-chain", daemon=True)
        self._thread.start()
        self._settled.wait()
        if self._stopping.is_set() or self.state is ChainState.FAILED:
            stopped = "The service stopped before its chain had started."
            broken = "The embedded chain ended unexpectedly; the log says why."
            failure = self.failure or ChainCannotStart(stopped if self._stopping.is_set() else broken)
            self.stop()
            raise failure

    def stop(self) -> None:
        """Saves the chain and ends it. Stopping a stopped chain does no harm."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join(JOIN_TIMEOUT_S)
        if self._thread.is_alive():
            logger.error("the embedded chain's thread does not end")
        self._thread = None
        self._state = ChainState.STOPPED
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- the thread ---------------------------------------------------------------------------

    def _run(self, launcher: Launcher) -> None:
        try:
            miner = self._launch(launcher)
            self._settled.set()
            while miner is not None and not self._stopping.is_set():
                miner = self._turn(launcher, miner)
            if miner is not None:
                self._save_at_the_end()
        finally:
            self._end_anvil()
            if not self._stopping.is_set():
                self._state = ChainState.FAILED
            self._settled.set()

    def _launch(self, launcher: Launcher) -> Miner | None:
        """Brings the chain up within the bounds on restarts; None when it gives up, or the service stops."""
        while not self._stopping.is_set():
            try:
                self._anvil = launcher.launch(self._port)
                miner = self._mine()
                self._saver.launched()
                self._state = ChainState.RUNNING
                return miner
            except ReplayStopped:
                return None
            except (ChainCannotStart, ChainUnreachable, RpcRefused) as failure:
                self._end_anvil()
                if not self._may_restart():
                    self._give_up(failure)
                    return None
                logger.warning("the chain did not come up: %s", failure.detail)
            except ChainError as failure:
                self._give_up(failure)
                return None
            except OSError as failure:
                self._give_up(ChainCannotStart(f"The chain's directory cannot be used: {failure}."))
                return None
        return None

    def _turn(self, launcher: Launcher, miner: Miner) -> Miner | None:
        """Looks after the chain once; gives the miner to go on with, or None when the chain is given up."""
        try:
            self._look_after(miner)
            self._stopping.wait(POLL_MS / 1000)
            return miner
        except RpcRefused as refusal:  # somebody else mined: look at the chain again
            logger.warning("the chain refused a block: %s", refusal.detail)
            if self._may_restart():
                return self._mine()
            self._give_up(refusal)
        except ChainUnreachable as failure:
            self._state = ChainState.RESTARTING
            self._end_anvil()
            if self._may_restart():
                logger.warning("the chain died and is brought back: %s", failure.detail)
                return self._launch(launcher)
            self._give_up(failure)
        return None

    def _look_after(self, miner: Miner) -> None:
        assert self._anvil is not None, "a miner has a chain"
        if not self._anvil.is_alive():
            raise ChainUnreachable("The embedded chain's process ended.")
        if miner.waiting():
            miner.mine_if_due()
            self._saver.was_busy()
        if self._saver.is_due(miner.number):
            self._saver.save(self._anvil)

    def _mine(self) -> Miner:
        assert self._anvil is not None, "a miner has a chain"
        head = self._anvil.rpc.block("latest")
        assert head is not None, "every chain has a newest block"
        return Miner(self._anvil.rpc, head, self._clock, self._block_interval_ms)

    def _save_at_the_end(self) -> None:
        assert self._anvil is not None, "a chain that runs has a process"
        try:
            self._saver.save(self._anvil)
        except ChainError as failure:
            logger.warning("the chain was not saved at the end: %s", failure.detail)

    def _may_restart(self) -> bool:
        now = time.monotonic()
        self._restarts.append(now)
        while self._restarts[0] < now - RESTART_WINDOW_S:
            self._restarts.popleft()
        return len(self._restarts) <= RESTARTS_MAX

    def _give_up(self, failure: ChainError) -> None:
        logger.error("the embedded chain gives up: %s", failure.detail)
        self._failure = failure

    def _end_anvil(self) -> None:
        if self._anvil is not None:
            self._anvil.end()
            self._anvil = None


class _Saver:
    """Decides when the chain is saved. anvil does nothing else meanwhile, so quiet moments are preferred."""

    def __init__(self, directory: Path, blocks: int) -> None:
        self._directory = directory
        self._blocks = blocks
        self._saved_number = 0
        self._not_before_s = 0.0
        self._busy_at_s = 0.0

    def launched(self) -> None:
        """Counts from what a start would load now."""
        newest = SnapshotStore(self._directory).newest()
        self._saved_number = 0 if newest is None else newest.number

    def was_busy(self) -> None:
        """Transactions were waiting just now."""
        self._busy_at_s = time.monotonic()

    def is_due(self, head: int) -> bool:
        """Whether to save the chain now, at block `head`."""
        now = time.monotonic()
        quiet = now - self._busy_at_s >= QUIET_S
        blocks = self._blocks if quiet else self._blocks * SNAPSHOT_BUSY_FACTOR
        return head - self._saved_number >= blocks and now >= self._not_before_s

    def save(self, anvil: Anvil) -> None:
        """Saves the chain if it has new blocks. A full disk is only logged: the journal has them."""
        head = anvil.rpc.head_number()
        if head == self._saved_number:
            return
        began_s = time.monotonic()
        try:
            SnapshotStore(self._directory).save(head, dump(anvil))
            self._saved_number = head
        except OSError as failure:
            logger.warning("the chain was not saved: %s", failure)
        ended_s = time.monotonic()
        self._not_before_s = ended_s + (ended_s - began_s) * SNAPSHOT_COST_SHARE


def _lock(directory: Path) -> IO[bytes]:
    """Holds the directory for this process; the lock ends with the process, whatever ends it."""
    file = (directory / "lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as failure:
        file.close()
        raise ChainInUse(f"Another process runs the chain in {directory}.") from failure
    return file


def _choose_port(directory: Path, wanted: int, timeout_s: float) -> int:
    """The port that was asked for, else the one of the last time, else any.

    A killed anvil takes a moment to give its port back: that one is waited for.
    """
    remembered = directory / "port"
    if not wanted:
        with contextlib.suppress(FileNotFoundError, ValueError):
            wanted = int(remembered.read_text())
        if not wanted or not wait_until_free(wanted, timeout_s):
            wanted = free_port()
    write_durably(remembered, str(wanted).encode())
    return wanted
