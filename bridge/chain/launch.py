"""Brings the embedded chain up: at its beginning, at a snapshot, or rebuilt from the journal.

Nobody may see a half-rebuilt chain, since a reader would take the missing blocks for a reorganisation. So a
chain that needs replaying is rebuilt on a port that nobody knows, saved, and only then served from that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from bridge.chain.anvil import Anvil, free_port, port_is_free, running
from bridge.chain.errors import ChainCannotRestore, ChainCannotStart
from bridge.chain.genesis import FLAGS, Genesis
from bridge.chain.journal import BlockJournal, JournalBlock
from bridge.chain.replay import Progress, replay, verify_block
from bridge.chain.snapshots import Snapshot, SnapshotStore

LAUNCHES_MAX = 6
# anvil keeps a copy of the whole state for each; enough to read balances at a block that was just the newest.
STATES_KEPT = 32

logger = logging.getLogger(__name__)


class _SnapshotBad(Exception):
    """A snapshot that does not load, or contradicts the journal. Never leaves this module."""


def dump(anvil: Anvil) -> bytes:
    """The whole chain as gzip of what anvil can load. anvil answers nothing else meanwhile."""
    return bytes.fromhex(anvil.rpc.request("anvil_dumpState")[2:])


class Launcher:
    """Starts the chain of one directory so that it holds at least every block of the journal.

    Raises `ChainCannotRestore`, `ChainChanged` or `ChainCannotStart`.
    """

    def __init__(
        self,
        binary: Path,
        directory: Path,
        journal: BlockJournal,
        *,
        clock: Callable[[], int],
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self._binary = binary
        self._directory = directory
        self._journal = journal
        self._clock = clock
        self._progress = progress
        self._should_stop = should_stop
        self._snapshots = SnapshotStore(directory)
        self._genesis_file = directory / "genesis.json"

    def launch(self, port: int) -> Anvil:
        """The chain, complete and serving on `port`."""
        tip = self._journal.tip()
        for _ in range(LAUNCHES_MAX):
            snapshot = self._snapshots.newest()
            try:
                if _height(snapshot) >= tip:
                    return self._serve(port, snapshot, tip)
                self._rebuild(snapshot, tip)
            except _SnapshotBad as why:
                assert snapshot is not None, "only a snapshot can be a bad one"
                logger.warning("snapshot at block %d: %s", snapshot.number, why)
                self._snapshots.set_aside(snapshot)
            finally:
                self._snapshots.discard_unpacked()
        raise ChainCannotStart(f"The chain did not come up in {LAUNCHES_MAX} attempts.")

    def _serve(self, port: int, snapshot: Snapshot | None, tip: int) -> Anvil:
        anvil = self._start(port, snapshot)
        served = False
        try:
            self._verify(anvil, snapshot, tip)
            served = True
        finally:
            if not served:
                anvil.end()
        return anvil

    def _rebuild(self, snapshot: Snapshot | None, tip: int) -> None:
        """Leaves a snapshot of the chain at `tip` behind."""
        logger.info("rebuilding the chain from block %d to block %d", _height(snapshot), tip)
        with running(self._start(free_port(), snapshot)) as anvil:
            self._verify(anvil, snapshot, _height(snapshot))
            replay(anvil.rpc, self._journal, tip, self._progress, self._should_stop)
            self._snapshots.save(tip, dump(anvil))

    def _start(self, port: int, snapshot: Snapshot | None) -> Anvil:
        genesis = Genesis.read(self._genesis_file)
        first_second = self._first_second(snapshot) if genesis is None else genesis.timestamp
        arguments = [*FLAGS, "--timestamp", str(first_second), "--prune-history", str(STATES_KEPT)]
        if snapshot is not None:
            arguments += ["--load-state", str(self._snapshots.unpack(snapshot))]
        anvil = Anvil(self._binary, self._directory, port, arguments)
        answering = False
        try:
            anvil.wait_until_answering(self._should_stop)
            self._check_genesis(anvil, genesis, first_second)
            answering = True
        except ChainCannotStart as failure:
            # Without a taken port in the way, it can only be the snapshot that anvil does not like.
            if snapshot is not None and not anvil.is_alive() and port_is_free(port):
                raise _SnapshotBad(failure.detail) from failure
            raise
        finally:
            if not answering:
                anvil.end()
        return anvil

    def _check_genesis(self, anvil: Anvil, began: Genesis | None, first_second: int) -> None:
        block = anvil.rpc.block(0)
        assert block is not None, "every chain has a block 0"
        node = str(anvil.rpc.request("web3_clientVersion"))
        found = Genesis(block.timestamp, FLAGS, node, "0x" + block.hash.hex())
        if not anvil.is_alive():
            raise ChainCannotStart(f"Another server answers on port {anvil.port}.")
        if began is not None:
            began.require(found)
            return
        assert found.timestamp == first_second, "anvil began when it was told to"
        found.write(self._genesis_file)

    def _first_second(self, snapshot: Snapshot | None) -> int:
        """When a chain without a genesis file began, by the journal; a new chain begins now."""
        first = next(self._journal.blocks_after(-1), None)
        if first is not None and first.number == 0:
            return first.timestamp
        if first is not None or snapshot is not None:
            raise ChainCannotRestore(
                f"{self._genesis_file} is gone, and no journaled block 0 says when the chain began",
                number=0,
            )
        return self._clock()

    def _verify(self, anvil: Anvil, snapshot: Snapshot | None, number: int) -> None:
        """Compares block `number` with the journal, if that has it; its hash proves the blocks before too."""
        journaled = self._journaled(number)
        if journaled is None:
            return
        try:
            verify_block(anvil.rpc, journaled)
        except ChainCannotRestore as failure:
            # A snapshot ahead of the journal may hold blocks that exist nowhere else: not ours to throw away.
            if snapshot is not None and snapshot.number <= number:
                raise _SnapshotBad(failure.detail) from failure
            raise

    def _journaled(self, number: int) -> JournalBlock | None:
        if number < 0:
            return None
        journaled = next(self._journal.blocks_after(number - 1), None)
        return journaled if journaled is not None and journaled.number == number else None


def _height(snapshot: Snapshot | None) -> int:
    return 0 if snapshot is None else snapshot.number
