"""The follower: reads the chain block by block, by hash, and hands each block to the ledger.

A block counts as the next one only when its parent is the block taken in before. When the chain has another block
there, the follower walks back to the common ancestor and the ledger undoes what stood above it.
"""

import logging
import threading
from collections.abc import Sequence

from bridge.chain.errors import RpcRefused
from bridge.chain.events import Transfer, decode_event, decode_transfer, explain_revert
from bridge.chain.finality import FinalityRule
from bridge.chain.rpc import Block, Log, Receipt, Rpc
from bridge.posting.clock import Clock
from bridge.posting.intake import BlockReport, Seen, finalise, take_in, undo_above
from bridge.store import batches, blocks, chainstate, lanes, programs
from bridge.store.batches import Batch
from bridge.store.blocks import KnownBlock
from bridge.store.database import Database
from bridge.store.writer import LedgerWriter

#: Blocks taken in before a step ends, so that a stop is heard.
BLOCKS_PER_STEP_MAX = 100

_log = logging.getLogger(__name__)


class Follower:
    """Keeps the ledger's picture of the chain in step; with `journal` it keeps raw transactions for a rebuild."""

    def __init__(
        self,
        *,
        database: Database,
        writer: LedgerWriter,
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
        final_number = self._finality.final_number(self._rpc, found.number)
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
        if self._refused == tip.hash:
            return False  # it stood below finality: the breaker is tripped, and walking back again would find the same
        ancestor = self._common_ancestor(tip)
        undone = self._writer.run(lambda connection: undo_above(connection, ancestor, self._clock()))
        if undone:
            _log.warning("the chain was reorganised: blocks %s to %s are undone", ancestor + 1, tip.number)
        else:
            _log.critical("the chain was reorganised below finality, down to block %s; posting stops", ancestor)
            self._refused = tip.hash
        return undone

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
        number = self._finality.final_number(self._rpc, tip.number)
        with self._database.read() as connection:
            final = blocks.newest_final(connection)
        if final is not None and number <= final.number:
            return False
        self._writer.run(lambda connection: finalise(connection, number, self._clock()))
        return True

    # -- reading one block --------------------------------------------------------------------

    def _report(self, found: Block) -> BlockReport:
        with self._database.read() as connection:
            ours = batches.of_transactions(connection, found.transactions)
            deployment = chainstate.get(connection)
            found_programs = programs.all_programs(connection)
            senders: dict[int, bytes] = {one.id: one.address for one in lanes.all_lanes(connection)}
        exchange = [] if deployment is None or deployment.exchange is None else [deployment.exchange]
        tokens = [one.token for one in found_programs if one.token is not None]
        passing = {one.token for one in found_programs if one.transferable}
        seen = []
        for log in self._rpc.logs(found.hash, exchange + tokens):
            event = decode_event(log) or (_between_holders(log) if log.address in passing else None)
            if event is not None:
                seen.append(Seen(log.address, log.transaction_hash, event))
        receipts = self._receipts(found, list(ours))
        reverts = {
            receipt.transaction_hash: self._reason(found, ours[receipt.transaction_hash], senders)
            for receipt in receipts
            if receipt.status == 0
        }
        return BlockReport(found, receipts, reverts, seen, self._raw(found))

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
            return explain_revert(refusal.data)
        return "refused because of what stood before it in its block"


def _between_holders(log: Log) -> Transfer | None:
    """A transfer that creates and destroys nothing, which only wallets make and what moves points to and from them."""
    event = decode_transfer(log)
    return event if event is not None and any(event.source) and any(event.destination) else None
