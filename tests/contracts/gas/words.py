"""Words as real batches carry them, the same in every run.

References and tags are hashes, so they have the few zero bytes that random ones have; amounts have three bytes that
count. What a word costs as call data depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from eth_utils.crypto import keccak

EARN, REDEMPTION, SWAP, RELEASE, BIND = 1, 17, 33, 49, 50

EARN_AMOUNT_MIN: Final = 0x800000
MOVE_AMOUNT_MIN: Final = 0x010000
MOVE_AMOUNT_MAX: Final = 0x020000
ZERO_BYTE_GAS: Final = 4
OTHER_BYTE_GAS: Final = 16


def reference(holder: int) -> bytes:
    """The reference of a holder, who is a number."""
    return keccak(text=f"reference {holder}")[:20]


def wallet(holder: int) -> bytes:
    """The address of a wallet that nobody has the key of."""
    return keccak(text=f"wallet {holder}")[12:]


def word(holder: int, kind: int, amount: int, *, tagged: bool = True) -> bytes:
    """One word; without a tag its last five bytes are zero."""
    tag = keccak(text=f"tag {holder} {kind} {amount}")[:5] if tagged else bytes(5)
    return reference(holder) + bytes([kind]) + amount.to_bytes(6, "big") + tag


def earn_amount(holder: int) -> int:
    """Enough points for all that is measured with a holder."""
    return EARN_AMOUNT_MIN + _random("earn", holder) % EARN_AMOUNT_MIN


def move_amount(holder: int) -> int:
    """A small part of what an earning gives."""
    return MOVE_AMOUNT_MIN + _random("move", holder) % (MOVE_AMOUNT_MAX - MOVE_AMOUNT_MIN)


def earns(holders: Iterable[int], *, tagged: bool = True) -> list[bytes]:
    return [word(holder, EARN, earn_amount(holder), tagged=tagged) for holder in holders]


def moves(holders: Iterable[int], kind: int, *, tagged: bool = True) -> list[bytes]:
    """Words that take a part of what the holders have: redemptions, swaps, releases."""
    return [word(holder, kind, move_amount(holder), tagged=tagged) for holder in holders]


def bindings(holders: Iterable[int]) -> list[bytes]:
    """Each holder's reference bound to a wallet of the holder's own, two words each."""
    words = [(word(holder, BIND, 0), bytes(12) + wallet(holder)) for holder in holders]
    return [part for pair in words for part in pair]


def calldata_gas(data: bytes) -> int:
    """What these bytes cost as call data."""
    zeros = data.count(0)
    return zeros * ZERO_BYTE_GAS + (len(data) - zeros) * OTHER_BYTE_GAS


def _random(what: str, holder: int) -> int:
    return int.from_bytes(keccak(text=f"{what} {holder}"), "big")
