"""The bloom filter of a block's header: which contracts logged nothing in it, for sure.

The filter is part of what the block's hash covers (yellow paper, 4.3), so it tells when a node leaves logs out. It may
say yes of a contract that logged nothing; it never says no of one that did. Some rollups leave it empty.
"""

from collections.abc import Iterable
from typing import Final

from exchange.words import digest

BLOOM_BYTES: Final = 256
_BITS: Final = BLOOM_BYTES * 8


def bloom_of(contracts: Iterable[bytes]) -> bytes:
    """The filter of a block in which exactly these contracts logged, as far as their addresses go."""
    filled = 0
    for contract in contracts:
        filled |= _mask(contract)
    return filled.to_bytes(BLOOM_BYTES, "big")


def may_log(bloom: bytes, contracts: Iterable[bytes]) -> bool:
    """Whether any of these contracts may have logged; False means that none did. An empty filter knows nothing."""
    if not bloom:
        return True
    filled = int.from_bytes(bloom, "big")
    return any(filled & mask == mask for mask in map(_mask, contracts))


def _mask(item: bytes) -> int:
    """Three of 2,048 bits, each named by eleven bits of the item's hash."""
    hashed = digest(item)
    bits = (int.from_bytes(hashed[start : start + 2], "big") % _BITS for start in (0, 2, 4))
    return sum({1 << bit for bit in bits})
