"""The follower: reads the chain block by block, by hash, and hands each block to the ledger.

A block counts as the next one only when its parent is the block taken in before. When the chain has another block
there, the follower walks back to the common ancestor and the ledger undoes what stood above it.
"""

import logging
import threading
from collections.abc import Collection, Sequence

from bridge.chain.bloom import may_log
from bridge.chain.errors import RpcRefused
from bridge.chain.events import Posted, Settled, Transfer, decode_event, decode_transfer, explain_revert
from bridge.chain.finality import FinalityRule
from bridge.chain.rpc import Block, Log, Receipt, Rpc
from bridge.posting import imports, lost_calls
from bridge.posting.clock import Clock
from bridge.posting.fenced import Writer
from bridge.posting.intake import finalise, take_in, undo_above
from bridge.posting.report import BlockReport, LostCall, Seen
from bridge.store import batches, blocks, breaker, chainstate, lanes, programs
from bridge.store.batches import OURS, Batch
from bridge.store.blocks import KnownBlock
from bridge.store.database import Database

#: Blocks taken in before a step ends, so that a stop is heard.
BLOCKS_PER_STEP_MAX = 100

_log = logging.getLogger(__name__)


class Follower:
    """Keeps the ledger's picture of the chain in step; with `journal` it keeps raw transactions for a rebuild."""

    def __init__(
        self,
        *,
        database: Database,
        writer: Writer,
        rpc: Rpc,
        finality: FinalityRule,
        clock: Clock,
        journal: bool,
        guard: threading.Lock,
    ) -> None:
        self._database = database
        self._writer = writer
        self._rpc = rpc
        self._finality = finality
        self._clock = clock
        self._journal = journal
        self._guard = guard
        self._refused: bytes | None = None
        self.head: int | None = None

    def step(self) -> bool:
        """Take in what is new. Answers whether there was anything. Raises ChainError when the node fails."""
        moved = False
        for _ in range(BLOCKS_PER_STEP_MAX):
            if not self._next():
                break
            moved = True
        return self._finalise() or moved

    def _next(self) -> bool:
        # An embedded chain that comes back asks how far its journal goes; it must not be told while a block that was
        # read before it died is still on its way into the ledger.
        with self._guard:
            return self._next_guarded()

    def _next_guarded(self) -> bool:
        tip = self._tip()
        self.head = self._rpc.head_number()
        found = self._rpc.block(tip.number + 1) if self.head > tip.number else None
        if found is None:
            return self._check_tip(tip)
        if found.parent_hash != tip.hash:
            return self._undo(tip)
        report = self._report(found)
        final_number = self._final_number(found.number, found.hash)
        self._writer.run(lambda connection: take_in(connection, report, final_number, self._clock()))
        return True

    def _tip(self) -> KnownBlock:
        with self._database.read() as connection:
            tip = blocks.tip(connection)
        assert tip is not None, "the ledger is bound to a chain before it is followed"
        return tip

    def _check_tip(self, tip: KnownBlock) -> bool:
        """Look at the newest block that was taken in again; a node that lags does not have it, and is waited for."""
        same = self._rpc.block(tip.number)
        if same is None or same.hash == tip.hash:
            return False
        return self._undo(tip)

    def _undo(self, tip: KnownBlock) -> bool:
        if self._refused == tip.hash and self._is_stopped():
            return False  # it stood below finality: the breaker is tripped, and walking back again would find the same
        ancestor = self._common_ancestor(tip)
        undone = self._writer.run(lambda connection: undo_above(connection, ancestor, self._clock()))
        if undone:
            _log.warning("the chain was reorganised: blocks %s to %s are undone", ancestor + 1, tip.number)
        else:
            _log.critical("the chain was reorganised below finality, down to block %s; posting stops", ancestor)
            self._refused = tip.hash
        return undone

    def _is_stopped(self) -> bool:
        with self._database.read() as connection:
            return breaker.is_tripped(connection)

    def _common_ancestor(self, tip: KnownBlock) -> int:
        with self._database.read() as connection:
            number = tip.number
            while number > 0:
                number -= 1
                ours = blocks.at(connection, number)
                if ours is None:
                    break  # below where this ledger began
                theirs = self._rpc.block(number)
                if theirs is None:  # below its own head: another node behind the same address, which lags
                    raise RpcRefused(0, f"the node lost block {number}", method="eth_getBlockByNumber")
                if theirs.hash == ours.hash:
                    break
        return number

    def _finalise(self) -> bool:
        """Finality may move without a new block, where the chain itself names its final block."""
        tip = self._tip()
        number = self._final_number(tip.number, tip.hash)
        with self._database.read() as connection:
            final = blocks.newest_final(connection)
        if final is not None and number <= final.number:
            return False
        self._writer.run(lambda connection: finalise(connection, number, self._clock()))
        return True

    def _final_number(self, head: int, head_hash: bytes) -> int:
        """The newest block that is final and ours, where `head` is the newest that was read.

        A node of another branch may answer, or one that lags: then nothing becomes final by its word.
        """
        final = self._finality.final(self._rpc, head)
        with self._database.read() as connection:
            known = blocks.newest_final(connection)
            ours = blocks.at(connection, final.number)
        reached = 0 if known is None else known.number
        if final.hash is None:
            return final.number
        if final.number < reached:
            return reached
        expected = head_hash if final.number == head else None if ours is None else ours.hash
        if expected != final.hash:
            _log.warning("the node says that block %s is final, and has another one there", final.number)
            return reached
        return final.number

    # -- reading one block --------------------------------------------------------------------

    def _report(self, found: Block) -> BlockReport:
        with self._database.read() as connection:
            ours = batches.of_transactions(connection, found.transactions)
            deployment = chainstate.get(connection)
            found_programs = programs.all_programs(connection)
            senders: dict[int, bytes] = {one.id: one.address for one in lanes.all_lanes(connection)}
            waiting = lost_calls.waiting(connection)
        lost = self._lost(found, waiting, ours)
        ours |= {each: of for each, (of, _) in lost.items()}
        exchange = [] if deployment is None or deployment.exchange is None else [deployment.exchange]
        tokens = [one.token for one in found_programs if one.token is not None]
        passing = {one.token for one in found_programs if one.transferable}
        seen = []
        for log in self._logs(found, exchange + tokens):
            event = decode_event(log) or (_between_holders(log) if log.address in passing else None)
            if event is not None:
                seen.append(Seen(log.address, log.transaction_hash, event))
        told = [one for one in seen if isinstance(one.event, Posted | Settled)]
        foreign = [one for one in told if not _is_plainly_ours(one, ours.get(one.transaction_hash))]
        mined = set(found.transactions)
        receipts = self._receipts(
            found, [*ours, *(each for each in {one.transaction_hash for one in foreign} - set(ours) if each in mined)]
        )
        _require_events(found, receipts, ours, {one.transaction_hash for one in told})
        reverts = {
            receipt.transaction_hash: self._reason(found, ours[receipt.transaction_hash], senders)
            for receipt in receipts
            if receipt.status == 0
        }
        calls = imports.read_calls(self._rpc, foreign, found)
        carried = {each: call for each, (_, call) in lost.items()}
        return BlockReport(found, receipts, reverts, seen, self._raw(found), calls, carried)

    def _lost(
        self, found: Block, waiting: Sequence[lost_calls.Waiting], ours: Collection[bytes]
    ) -> dict[bytes, tuple[Batch, LostCall]]:
        """The transactions of a block that are not known here and carry what waits here."""
        if not waiting or not found.transactions:
            return {}
        inside = self._rpc.calls_in(found.hash)
        if inside is None or [one.transaction_hash for one in inside] != list(found.transactions):
            raise RpcRefused(0, f"block {found.number} went while it was read", method="eth_getBlockByHash")
        return lost_calls.match(waiting, [one for one in inside if one.transaction_hash not in ours])

    def _logs(self, found: Block, contracts: Sequence[bytes]) -> list[Log]:
        """The logs of our contracts. An index of logs may lag behind its node's blocks, and answer with none."""
        logs = self._rpc.logs(found.hash, contracts)
        if not logs and may_log(found.logs_bloom, contracts):
            ours = set(contracts)
            if any(receipt.loggers & ours for receipt in self._receipts(found, found.transactions)):
                raise RpcRefused(0, f"no logs yet for block {found.number}", method="eth_getLogs")
        return logs

    def _receipts(self, found: Block, hashes: Sequence[bytes]) -> list[Receipt]:
        receipts = []
        for receipt in self._rpc.receipts(hashes) if hashes else []:
            # A node that lists a transaction in a block and has no receipt for it is not done: asked again next time.
            if receipt is None or receipt.block_hash != found.hash:
                raise RpcRefused(0, f"no receipt yet for a transaction of block {found.number}", method="receipt")
            receipts.append(receipt)
        return receipts

    def _raw(self, found: Block) -> list[bytes]:
        if not self._journal or not found.transactions:
            return []
        raw = self._rpc.raw_transactions(found.transactions)
        kept = [one for one in raw if one is not None]
        if len(kept) < len(raw):  # it was restarted meanwhile and no longer has the block: read anew
            raise RpcRefused(0, f"block {found.number} went while it was read", method="eth_getRawTransactionByHash")
        return kept

    def _reason(self, found: Block, batch: Batch, senders: dict[int, bytes]) -> str:
        """Why the chain refused a batch, as far as the state before its block tells."""
        if batch.target is None:
            return "the contract could not be created"
        try:
            self._rpc.call(batch.target, batch.calldata, found.number - 1, sender=senders[batch.lane_id])
        except RpcRefused as refusal:
            # Never asked again for it: a node that keeps no old state would hold up the block for ever.
            return explain_revert(refusal.data) if refusal.reverted else "the node could not tell why"
        return "refused because of what stood before it in its block"


def _is_plainly_ours(one: Seen, batch: Batch | None) -> bool:
    """Whether an event tells of a batch just as it was frozen, so that its words need not be read."""
    assert isinstance(one.event, Posted | Settled)
    return batch is not None and (batch.origin, batch.digest, batch.sequence) == (
        OURS,
        one.event.digest,
        one.event.sequence,
    )


def _require_events(
    found: Block, receipts: Sequence[Receipt], ours: dict[bytes, Batch], told: Collection[bytes]
) -> None:
    """Raises RpcRefused where a batch of ours succeeded and logged, and the node does not show its event yet."""
    for receipt in receipts:
        batch = ours.get(receipt.transaction_hash)
        if batch is None or batch.stream_id is None or receipt.transaction_hash in told:
            continue
        if receipt.status == 1 and batch.target in receipt.loggers:
            raise RpcRefused(0, f"not all logs yet for block {found.number}", method="eth_getLogs")


def _between_holders(log: Log) -> Transfer | None:
    """A transfer that creates and destroys nothing, which only wallets make and what moves points to and from them."""
    event = decode_transfer(log)
    return event if event is not None and any(event.source) and any(event.destination) else None
