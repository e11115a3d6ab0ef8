"""When the embedded chain makes its next block, and which second that block gets."""

import time
from collections.abc import Callable

from bridge.chain.rpc import Block, Rpc

BLOCK_INTERVAL_MS = 1000
STUCK_CLOCK_S = 1.0


class Miner:
    """Mines what waits in the pool; never an empty block.

    A block's time is the clock's second, and every block needs a later second than its parent. So at most one
    is made a second, or chain time would run ahead of the clock and deadlines on chain would come early.
    """

    def __init__(self, rpc: Rpc, head: Block, clock: Callable[[], int], interval_ms: int) -> None:
        self._rpc = rpc
        self._clock = clock
        self._interval_s = interval_ms / 1000
        self._mined_at_s = time.monotonic()
        self.number = head.number
        self.timestamp = head.timestamp

    def waiting(self) -> bool:
        """Whether the pool holds transactions that could be mined now."""
        return int(self._rpc.request("txpool_status")["pending"], 16) > 0

    def mine_if_due(self) -> bool:
        """Mines one block when its time has come; says whether it did."""
        timestamp = self._due_timestamp()
        if timestamp is None:
            return False
        self._rpc.request("evm_setNextBlockTimestamp", timestamp)
        self._rpc.request("evm_mine")
        self.number += 1
        self.timestamp = timestamp
        self._mined_at_s = time.monotonic()
        return True

    def _due_timestamp(self) -> int | None:
        elapsed_s = time.monotonic() - self._mined_at_s
        if elapsed_s < self._interval_s:
            return None
        now = self._clock()
        if now > self.timestamp:
            return now
        # The clock was set back. Waiting for it could take hours; going on second by second adds no distance.
        return self.timestamp + 1 if elapsed_s >= STUCK_CLOCK_S else None
