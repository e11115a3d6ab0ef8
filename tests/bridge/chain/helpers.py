"""What the tests of the chain share: a journal in memory, a clock that ticks when read, and a sender."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.chain.embedded import EmbeddedChain
from bridge.chain.journal import JournalBlock
from bridge.chain.keystore import WellKnownKeys
from bridge.chain.rpc import Block, Receipt, Rpc
from bridge.chain.transactions import Fees, TransactionFields

WAIT_S = 20.0
GENESIS_SECOND = 1_800_000_000
FEES = Fees(max_fee=20_000_000_000, priority_fee=1_000_000_000)
ANYBODY = bytes.fromhex("11" * 20)


class MemoryJournal:
    """A journal that lives as long as the test."""

    def __init__(self) -> None:
        self.blocks: list[JournalBlock] = []

    def tip(self) -> int:
        return self.blocks[-1].number if self.blocks else -1

    def blocks_after(self, number: int) -> Iterator[JournalBlock]:
        return iter([block for block in self.blocks if block.number > number])

    def read(self, rpc: Rpc) -> list[JournalBlock]:
        """Journals every block of the chain that it lacks, and gives all."""
        for number in range(self.tip() + 1, rpc.head_number() + 1):
            block = existing(rpc.block(number))
            raw = rpc.raw_transactions(block.transactions)
            assert None not in raw
            transactions = tuple(each for each in raw if each is not None)
            self.blocks.append(JournalBlock(number, block.hash, block.timestamp, transactions))
        return self.blocks


class TickingClock:
    """A clock that is a second later each time somebody looks, so that no test waits for real seconds."""

    def __init__(self, now: int = GENESIS_SECOND) -> None:
        self.now = now

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Sender:
    """One well-known account that sends transactions and waits until they are mined."""

    def __init__(self, rpc: Rpc, index: int = 0) -> None:
        self.rpc = rpc
        self.keys = WellKnownKeys(31337)
        self.index = index
        self.address = self.keys.address(index)
        self.nonce = rpc.transaction_count(self.address, "pending")

    def signed(self, to: bytes | None, data: bytes = b"", gas: int = 100_000) -> tuple[bytes, bytes]:
        """The raw bytes and the hash of the account's next transaction."""
        fields = TransactionFields(31337, self.nonce, to, data, gas, FEES)
        self.nonce += 1
        signed = self.keys.sign_transaction(self.index, fields)
        return signed.raw, signed.hash

    def send(self, to: bytes | None, data: bytes = b"", gas: int = 100_000) -> Receipt:
        raw, transaction_hash = self.signed(to, data, gas)
        self.rpc.send_raw(raw)
        return mined(self.rpc, transaction_hash)


def chain_in(directory: Path, journal: MemoryJournal, clock: TickingClock | None = None) -> EmbeddedChain:
    """A chain that mines as fast as it is asked to."""
    return EmbeddedChain(directory, journal, block_interval_ms=0, clock=clock or TickingClock())


@contextmanager
def served(directory: Path) -> Iterator[Rpc]:
    """A client of a chain in this directory, which runs as long as the block."""
    chain = chain_in(directory, MemoryJournal())
    chain.start()
    rpc = Rpc(chain.url)
    yield rpc
    rpc.close()
    chain.stop()


def existing(block: Block | None) -> Block:
    assert block is not None
    return block


def mined(rpc: Rpc, transaction_hash: bytes) -> Receipt:
    wait_until(lambda: rpc.receipt(transaction_hash) is not None)
    receipt = rpc.receipt(transaction_hash)
    assert receipt is not None
    return receipt


def wait_until(condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """Returns as soon as `condition` holds; fails the test when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
