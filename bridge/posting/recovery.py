"""Recovery: a ledger that was restored from an older copy learns what the chain did since.

At its start the service compares how far the chain says each stream and each signer are with what the ledger knows.
Where the chain is ahead, or where somebody said that the ledger was restored, nothing is accepted, frozen or signed
until the follower has taken in all blocks up to the head of that moment, and these are final. What the blocks hold is
imported on the way; see `imports` and `bridge.store.restored`.

A thief who uses a stolen key while the service is down leaves the same traces as files that were put back by hand. So
only a restore that was said to be one, by `sarraf restore` or a rebuild, is trusted. Where the chain is merely found to
be ahead all is taken in the same way, and each batch and nonce that is not ours trips the breaker: a person decides.

What the lost ledger sent may also be on its way still, and no node knows of all that was ever sent. Were it mined
behind what is posted here anew, a request that was repeated would count twice. So the recovery goes on until the chain
takes no batch of that time any more. Only in a chain of our own, whose transactions all wait in its one node, is it
over when that node shows none.

Another process may post meanwhile. So the chain is asked first, and held against what the ledger says afterwards: what
is sent was in the ledger before.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import gt

import sqlalchemy as sa

from bridge.chain import contracts
from bridge.chain.errors import RpcRefused
from bridge.chain.rpc import Block, BlockId, Rpc
from bridge.posting import nonces
from bridge.posting.clock import Clock, steady_clock
from bridge.posting.fenced import Writer
from bridge.posting.submitter import UNMINED_PER_LANE_MAX
from bridge.store import attempts, batches, blocks, chainstate, lanes, streams
from bridge.store.batches import Batch
from bridge.store.blocks import KnownBlock
from bridge.store.database import Database
from bridge.store.lanes import Lane
from bridge.store.streams import Stream
from exchange.errors import Unavailable

#: How often a start is put off because the node has no receipt of a transaction that may be ours.
RECEIPTS_ASKED_MAX = 10
#: How many transactions of a signer are in blocks, and with those that the node would put into the next one.
_MINED_AND_WAITING: tuple[BlockId, BlockId] = ("latest", "pending")

_log = logging.getLogger(__name__)


class Recovering(Unavailable):
    """Raised when something is to be written while the ledger learns what the chain did without it."""

    type = "recovering"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the chain said as of `at`: transactions of each signer, by address; batches of each stream, by id.

    `above`: it had another block above that one before it was asked, so it cannot have told of the next.
    """

    at: Block
    sent: Mapping[bytes, int]
    posted: Mapping[int, int]
    above: bool


class Recovery:
    """Keeps everybody waiting until the ledger knows what the chain knows; `active` says whether it does so.

    `own_chain`: all transactions that wait to be mined wait in this one node, as in the embedded chain.
    """

    def __init__(
        self,
        *,
        database: Database,
        writer: Writer,
        rpc: Rpc,
        clock: Clock,
        own_chain: bool = False,
        steady: Clock = steady_clock,
    ) -> None:
        self._database = database
        self._writer = writer
        self._rpc = rpc
        self._clock = clock
        self._own_chain = own_chain
        self._steady = steady
        #: how often receipts were missing that must come, or that are of what is not ours
        self._missed = 0
        #: how many nonces are used as of the newest block, as the node told, and since when it tells that
        self._told: tuple[list[int], int] | None = None
        #: as of which block the chain was first found to be ahead, and when
        self._doubted: tuple[Block, int] | None = None
        self.active = False

    def require_over(self) -> None:
        """Raises Recovering while the ledger is behind the chain."""
        if self.active:
            raise Recovering("the ledger takes in what the chain did while it was away; ask again shortly")

    def examine(self) -> None:
        """Find out whether the ledger must recover. To be called before anything is accepted, again where it raises.

        Raises ChainError: also, at most RECEIPTS_ASKED_MAX times, where the node lacks a receipt that would tell, and
        for a second where the chain is found to be ahead: a node that makes its next block may tell of that one.
        """
        reason = self._found() if self.look() is None else None
        if reason is not None:
            told, now_ms = reason, self._clock()
            self._writer.run(lambda connection: _begin(connection, told, now_ms))
        under_way = self.look()
        if under_way is not None and under_way.until_block is None:
            head = self._rpc.head_number()
            self._writer.run(lambda connection: chainstate.recover_until(connection, head))
        if under_way is not None:
            _log.warning("the ledger recovers, and takes no requests until then: %s", under_way.reason)

    def look(self) -> chainstate.Recovery | None:
        """The recovery under way, whichever process found that there must be one."""
        with self._database.read() as connection:
            under_way = chainstate.recovery(connection)
        self.active = under_way is not None
        return under_way

    def step(self) -> bool:
        """End the recovery if all is taken in. Answers whether it ended now. Raises ChainError."""
        under_way = self.look()
        if under_way is None:
            return False
        if under_way.until_block is None:
            self.examine()
            return False
        with self._database.read() as connection:
            final, of_lanes = blocks.newest_final(connection), lanes.all_lanes(connection)
            known = [nonces.accounted_for(connection, lane) for lane in of_lanes]
        if final is None or final.number < under_way.until_block:
            return False
        if not (self._own_chain or self._is_stale(under_way, final)):
            return False
        head = self._rpc.head_number()
        used = [(lane, self._rpc.transaction_count(lane.address, final.hash)) for lane in of_lanes]
        counts = [count for _, count in used]
        if any(map(gt, counts, known)) and head <= final.number and not self._were_told_before(counts):
            return False
        if self._may_come(used):
            return False
        ended = self._writer.run(lambda connection: self._end(connection, used))
        self.active = False
        _log.warning(
            "the ledger has recovered: %s batches were imported, %s operations were known and %s are restored;"
            " %s accounts are nobody's until a request for them is repeated",
            ended.batches,
            ended.matched,
            ended.restored,
            ended.orphans,
        )
        return True

    def _were_told_before(self, counts: list[int]) -> bool:
        """Whether the node has told the same of its newest block for long enough; see `nonces`."""
        now_ms = self._steady()
        if self._told is None or self._told[0] != counts:
            self._told = counts, now_ms
        return now_ms - self._told[1] >= nonces.MAKING_MS

    def _end(self, connection: sa.Connection, used: Sequence[tuple[Lane, int]]) -> chainstate.Recovery:
        marked = chainstate.is_marked_recovery(connection)
        for lane, count in used:
            nonces.examine(connection, lane.id, count, recovering=marked, now_ms=self._clock())
            if marked and not self._own_chain:
                # What was lost may be mined late: its batches are refused by then, but they use their nonces up.
                lanes.doubt(connection, lane.id, count + UNMINED_PER_LANE_MAX)
        return chainstate.end_recovery(connection, self._clock())

    # -- comparing ----------------------------------------------------------------------------

    def _is_stale(self, under_way: chainstate.Recovery, final: KnownBlock) -> bool:
        """Whether the chain takes no batch of the lost ledger any more, by its own time or where it stands still.

        A chain that makes no empty blocks does so; its next block will have the time of then.
        """
        assert under_way.until_block is not None
        with self._database.read() as connection:
            deployment, began = chainstate.get(connection), blocks.at(connection, under_way.until_block)
        longest_s = 0 if deployment is None else deployment.longest_batch_s
        since_s = max(under_way.since_ms // 1000, 0 if began is None else began.timestamp)
        if final.timestamp > since_s + longest_s:
            return True
        return self._clock() // 1000 > since_s + longest_s and self._rpc.head_number() == final.number

    def _may_come(self, used: Sequence[tuple[Lane, int]]) -> bool:
        """Whether the node has transactions of ours that are not final, or in its own chain such that wait.

        `used` is how many of each lane are final.
        """
        for lane, count in used:
            mined, waiting = (self._rpc.transaction_count(lane.address, at) for at in _MINED_AND_WAITING)
            if mined > count or (self._own_chain and waiting > max(mined, lane.next_nonce)):
                return True
        return False

    def _found(self) -> str | None:
        """Why the ledger must recover, or None."""
        seen = self._ask()
        if seen is None:
            return None
        with self._database.read() as connection:
            reason = self._ahead(connection, seen)
        now_ms = self._steady()
        if reason is None:
            self._doubted = None
        elif self._doubted is None or self._doubted[0].hash != seen.at.hash:
            self._doubted = seen.at, now_ms
        if self._doubted is None or seen.above or now_ms - self._doubted[1] >= nonces.MAKING_MS:
            return reason
        raise RpcRefused(0, f"{reason}; it is asked once more", method="eth_call")

    def _ask(self) -> _Seen | None:
        """How far the chain is with what this ledger knows of; None before the ledger is bound to it."""
        with self._database.read() as connection:
            deployment = chainstate.get(connection)
            if deployment is None:
                return None
            addresses = [one.address for one in lanes.all_lanes(connection)]
            of = [] if deployment.exchange is None else streams.posting(connection)
            asked = [_question(connection, deployment.exchange, one) for one in of if deployment.exchange is not None]
        head = self._rpc.head_number()
        at = self._doubted_below(head) or self._rpc.block(head)
        if at is None:  # another node behind the same address, which lags
            raise RpcRefused(0, f"the node lost block {head}", method="eth_getBlockByNumber")
        sent = {one: self._rpc.transaction_count(one, "pending") for one in addresses}
        answers = self._rpc.call_many(asked, at.number)
        # A contract that is not there yet at this block answers nothing.
        posted = {one.id: contracts.decode_uint(told) if told else 0 for one, told in zip(of, answers, strict=True)}
        return _Seen(at, sent, posted, above=at.number < head)

    def _doubted_below(self, head: int) -> Block | None:
        """The block as of which the chain was found to be ahead, if it has another above it by now."""
        if self._doubted is None or self._doubted[0].number >= head:
            return None
        again = self._rpc.block(self._doubted[0].number)
        return again if again is not None and again.hash == self._doubted[0].hash else None

    def _ahead(self, connection: sa.Connection, seen: _Seen) -> str | None:
        """What the chain had, or was about to have, that this ledger cannot know of; or None."""
        for lane in lanes.all_lanes(connection):
            count = seen.sent.get(lane.address, 0)
            if count > lane.next_nonce:
                return f"the chain has {count} transactions of {lane.role}, the ledger knows of {lane.next_nonce}"
        for stream_id, used in seen.posted.items():
            known = batches.last_mined(connection, stream_id)
            ours = {one.sequence: one for one in batches.unposted(connection, stream_id)}
            for sequence in range(known + 1, used + 1):
                # What was mined while the service was down is simply ours; the follower will find it.
                if sequence not in ours or not self._is_mined(connection, ours[sequence], seen.at):
                    key = streams.by_id(connection, stream_id).key
                    return f"the chain is at batch {used} of {key}, and batch {sequence} is not known here"
        return None

    def _is_mined(self, connection: sa.Connection, ours: Batch, at: Block) -> bool:
        """Whether a transaction of this batch was mined, and took its number. Raises RpcRefused while nobody can tell.

        No receipt is no answer: a node may lag behind its own blocks. One that has a receipt of a nonce, or says that
        the nonce is free, has answered.
        """
        signed = attempts.numbers_of(connection, ours.id)
        receipts = dict(zip(signed, self._rpc.receipts(list(signed)), strict=True))
        if any(one is not None and one.status == 1 for one in receipts.values()):
            return True
        open_numbers = set(signed.values()) - {signed[each] for each, one in receipts.items() if one is not None}
        if not open_numbers:
            return False
        lane, first = lanes.by_id(connection, ours.lane_id), min(open_numbers)
        if first < self._rpc.transaction_count(lane.address, at.hash) and self._missed < RECEIPTS_ASKED_MAX:
            self._missed += 1
            raise RpcRefused(0, f"no receipt yet for nonce {first} of lane {lane.role}", method="receipt")
        return False


def _begin(connection: sa.Connection, reason: str, now_ms: int) -> None:
    if chainstate.recovery(connection) is None:  # else another process found the same
        chainstate.begin_recovery(connection, reason, now_ms, marked=False)


def _question(connection: sa.Connection, exchange: bytes, of: Stream) -> tuple[bytes, bytes]:
    if of.path_id is not None:
        return exchange, contracts.encode_sequence_of(of.path_id)
    return streams.tokens(connection, of)[0], contracts.encode_sequence()
