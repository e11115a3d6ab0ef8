"""What time it is on the chain: contracts go by the time of the block, which no clock of ours decides.

A chain with regular blocks tells it by its newest one. Another stands still while nothing is to be mined, and its
newest block may be hours old; there our clock tells, or the node's, by the time of the block that it would make now.
Of the two the earlier one is believed: a batch that is frozen too early is only valid for less long, but one that is
valid for longer than the exchange takes is refused, and its path waits until that end.
"""

from bridge.chain.errors import RpcRefused
from bridge.chain.rpc import Rpc
from bridge.posting.clock import Clock
from bridge.settings import BATCH_SLACK_S
from bridge.store.blocks import KnownBlock

#: How far our clock may be ahead of the newest block before the node is asked. The exchange takes batches that live
#: BATCH_SLACK_S longer than they are made to; the rest is for a block of another branch, which may be older.
FRESH_S = BATCH_SLACK_S // 2
#: For how long a node's answer counts, while no block is made.
ASK_AGAIN_MS = 1_000


class ChainTime:
    """The chain's time, as far as one node and our clock tell it."""

    def __init__(self, rpc: Rpc, clock: Clock) -> None:
        self._rpc = rpc
        self._clock = clock
        #: of which block, when, and how many seconds our clock was ahead
        self._told: tuple[bytes, int, int] | None = None

    def now_s(self, tip: KnownBlock) -> int:
        """The time that a block behind `tip` would have now, in unix seconds. Raises ChainUnreachable."""
        now_s = self._clock() // 1000
        if now_s - tip.timestamp <= FRESH_S:
            return max(now_s, tip.timestamp)
        return max(now_s - self._ahead_s(tip, now_s), tip.timestamp)

    def latest_s(self, tip: KnownBlock) -> int:
        """No block behind `tip` would have a later time now, as far as our clock tells."""
        return max(self._clock() // 1000, tip.timestamp)

    def _ahead_s(self, tip: KnownBlock, now_s: int) -> int:
        """How far our clock is ahead of the node's time."""
        now_ms, told = self._clock(), self._told
        if told is None or told[0] != tip.hash or not 0 <= now_ms - told[1] < ASK_AGAIN_MS:
            try:
                by_node_s = self._rpc.pending_time()
            except RpcRefused:
                by_node_s = None
            # A node that knows no block but the newest says nothing of the time since.
            told = (tip.hash, now_ms, max(0, now_s - (tip.timestamp if by_node_s is None else by_node_s)))
            self._told = told
        return told[2]
