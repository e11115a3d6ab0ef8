"""What the embedded chain needs to be rebuilt: the raw transactions of every block, kept by somebody else.

The embedded chain lives in one process's memory and may lose its newest blocks. The ledger keeps them, and
hands them back through this protocol.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class JournalBlock:
    """One block as it must come again: its signed transactions in their order, and its time in unix seconds.

    Block 0 has no transactions; it is journaled for its time, from which a wholly lost chain begins anew.
    """

    number: int
    hash: bytes
    timestamp: int
    raw_transactions: tuple[bytes, ...]


class BlockJournal(Protocol):
    """The journal of the canonical chain's blocks, without gaps."""

    def tip(self) -> int:
        """The highest journaled block number, -1 when nothing is journaled.

        Asked only while the chain is down, but whoever journals may still be busy with a block that it read
        before: `tip` waits until that block is journaled or given up. The chain comes back with the blocks
        journaled by then, and makes another one in place of any that is journaled later.
        """

    def blocks_after(self, number: int) -> Iterator[JournalBlock]:
        """The journaled blocks above `number` in ascending order; -1 begins with block 0."""
