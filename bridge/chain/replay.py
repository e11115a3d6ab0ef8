"""Replays journaled blocks onto the embedded chain, and proves each by its hash."""

from collections.abc import Callable

from bridge.chain.errors import ChainCannotRestore, RpcRefused
from bridge.chain.journal import BlockJournal, JournalBlock
from bridge.chain.rpc import Rpc

Progress = Callable[[int, int], None]
"""Told (blocks done, blocks to do) after every replayed block."""


class ReplayStopped(Exception):
    """The service stops while the chain is being rebuilt. Not an error, and only `embedded` catches it."""


def verify_block(rpc: Rpc, journaled: JournalBlock) -> None:
    """Raises `ChainCannotRestore` unless the chain has exactly the journaled block."""
    block = rpc.block(journaled.number)
    got = None if block is None else block.hash
    if got != journaled.hash:
        raise ChainCannotRestore(
            "the chain has another block than the journal",
            number=journaled.number,
            expected=journaled.hash,
            got=got,
        )


def replay(rpc: Rpc, journal: BlockJournal, tip: int, progress: Progress, should_stop: Callable[[], bool]) -> None:
    """Mines the journal's blocks above the chain's head up to `tip` again, each at its time."""
    first = head = rpc.head_number()
    for journaled in journal.blocks_after(head):
        if journaled.number > tip:
            break
        if should_stop():
            raise ReplayStopped
        if journaled.number != head + 1:
            raise ChainCannotRestore("the journal lacks this block", number=head + 1)
        _replay_block(rpc, journaled)
        head = journaled.number
        progress(head - first, tip - first)
    if head < tip:
        raise ChainCannotRestore("the journal lacks this block", number=head + 1)


def _replay_block(rpc: Rpc, journaled: JournalBlock) -> None:
    try:
        for raw in journaled.raw_transactions:
            rpc.send_raw(raw)
        rpc.request("evm_setNextBlockTimestamp", journaled.timestamp)
        rpc.request("evm_mine")
    except RpcRefused as refusal:
        raise ChainCannotRestore(
            f"the node refuses what it once mined: {refusal.message}",
            number=journaled.number,
            expected=journaled.hash,
        ) from refusal
    verify_block(rpc, journaled)
