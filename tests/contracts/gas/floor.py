"""The least that an item can cost: what ERC-20 and the chain force on any contract, and nothing that is our choice.

An item is charged for storage that must change, the `Transfer` that ERC-20 demands, its own word of call data by its
very bytes, and its share of a transaction. A swap inside a batch is charged for its share of the two positions, the
cap, the two supplies and the two cold contracts that the batch touches; with these the fixed floor, 14,457, is met
within three thousandths.

Not charged, though useful: sequence, digest, limits, pause flag, nonces of orders, deriving accounts, every check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .words import calldata_gas

BASE: Final = 21_000  # of a transaction
SLOT: Final = 5_000  # a cold slot that holds something and gets something else
NEW_SLOT: Final = 22_100  # a cold slot that held zero
CLEARED_REFUND: Final = 4_800  # for a slot that becomes zero
REFUND_SHARE: Final = 5  # refunds are at most this part of what was spent
TRANSFER: Final = 375 + 3 * 375 + 8 * 32  # a log, its three topics, its 32 bytes
COLD_CONTRACT: Final = 2_600
RECOVER: Final = 3_000  # the precompile that checks a signature

# Floors that were fixed before anything was built, per item at 100 items and for one holder's swap: what is measured is
# held against these too, since they do not move with the bytes of a run.
AT: Final = 100
FIXED: Final = {
    "first earn": 24_512,
    "repeat earn": 7_412,
    "redemption, part": 7_412,
    "redemption to zero": 5_929,
    "swap, 1 hop": 14_457,
    "swap, 2 hops": 14_457,
    "swap, 3 hops": 14_457,
}
FIXED_HOLDERS_SWAP: Final = 70_048


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor of a whole transaction, as named parts; a refund is a negative part."""

    parts: tuple[tuple[str, int], ...]

    @property
    def gas(self) -> int:
        return sum(gas for _, gas in self.parts)


SWAP_SHARED: Final = (
    ("two positions", 2 * SLOT),
    ("one cap", SLOT),
    ("two supplies", 2 * SLOT),
    ("two cold contracts", 2 * COLD_CONTRACT),
)


def earn(words: Sequence[bytes], *, first: bool) -> Floor:
    """Credits of managed accounts."""
    slot = ("new balances", NEW_SLOT) if first else ("balances", SLOT)
    return _batch(words, slot, ("Transfer logs", TRANSFER))


def redemption(words: Sequence[bytes], *, to_zero: bool) -> Floor:
    """Debits of managed accounts."""
    floor = _batch(words, ("balances", SLOT), ("Transfer logs", TRANSFER))
    if not to_zero:
        return floor
    refund = min(len(words) * CLEARED_REFUND, floor.gas // REFUND_SHARE)
    return Floor((*floor.parts, ("refund", -refund)))


def swap(words: Sequence[bytes]) -> Floor:
    """Swaps of managed accounts in one batch, over any number of hops."""
    floor = _batch(words, ("balances on both sides", 2 * SLOT), ("Transfer logs on both sides", 2 * TRANSFER))
    return Floor((*floor.parts, *SWAP_SHARED))


def release(words: Sequence[bytes]) -> Floor:
    """Moves from managed accounts to wallets."""
    return _batch(words, ("balances of account and wallet", 2 * SLOT), ("Transfer logs", TRANSFER))


def holders_swap(data: bytes, nonce: int = 0) -> Floor:
    """One holder's swap; `nonce` is what its nonce's slot costs when it was signed, else 0."""
    both = (("balances on both sides", 2 * SLOT), ("Transfer logs on both sides", 2 * TRANSFER))
    return _call(data, *both, *SWAP_SHARED, *_signed(nonce))


def wallet_redemption(data: bytes, nonce: int = 0) -> Floor:
    """One holder's redemption."""
    return _call(data, ("balance", SLOT), ("supply", SLOT), ("Transfer log", TRANSFER), *_signed(nonce))


def deposit(data: bytes, nonce: int = 0) -> Floor:
    """One holder's deposit to an account that holds something."""
    return _call(data, ("balances of wallet and account", 2 * SLOT), ("Transfer log", TRANSFER), *_signed(nonce))


def _batch(words: Sequence[bytes], *each: tuple[str, int]) -> Floor:
    own = tuple((name, gas * len(words)) for name, gas in each)
    return Floor((("transaction", BASE), ("words", calldata_gas(b"".join(words))), *own))


def _call(data: bytes, *parts: tuple[str, int]) -> Floor:
    return Floor((("transaction", BASE), ("call data", calldata_gas(data)), *parts))


def _signed(nonce: int) -> tuple[tuple[str, int], ...]:
    return (("signature", RECOVER), ("nonce", nonce)) if nonce else ()
