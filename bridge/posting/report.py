"""Reports: everything that the ledger needs to know of one block, as the follower read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.chain.events import Event, Transfer
from bridge.chain.rpc import Block, Receipt


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of one of our contracts: who emitted it, in which transaction."""

    contract: bytes
    transaction_hash: bytes
    event: Event | Transfer


@dataclass(frozen=True, slots=True)
class ForeignCall:
    """What a transaction that is not ours called a contract with; `valid_until` is in unix seconds.

    `path` are the tokens along which it swapped, none for a program's own batch; `hops` the terms of each hop: version,
    from, to, price in micro-units.
    """

    sequence: int
    valid_until: int
    words: bytes
    calldata: bytes
    path: tuple[bytes, ...] = ()
    hops: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class LostCall:
    """A transaction of ours that is not known here, and carried a call that waits here, under this nonce."""

    batch_id: str
    nonce: int


@dataclass(frozen=True, slots=True)
class BlockReport:
    """Everything that the ledger needs to know of one block.

    `reverts` says why, of each transaction of ours that the chain refused. `foreign` has the call behind each batch
    that this ledger did not simply freeze; one that is left out could not be read. `lost` are by their hashes the
    transactions that carried what waits here without being known.
    """

    block: Block
    receipts: Sequence[Receipt]
    reverts: dict[bytes, str]
    seen: Sequence[Seen]
    raw_transactions: Sequence[bytes]
    foreign: Mapping[Seen, ForeignCall] = field(default_factory=dict)
    lost: Mapping[bytes, LostCall] = field(default_factory=dict)
