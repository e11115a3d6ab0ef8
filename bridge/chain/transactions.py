"""Transactions before they are signed: EIP-1559 fields and their fees, all in wei."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.chain.errors import RpcRefused
from bridge.chain.rpc import Rpc

TRANSACTION_GAS_MAX = 2**24  # EIP-7825: no transaction may ask for more
PRIORITY_FEE_DEFAULT = 1_000_000_000
BASE_FEE_HEADROOM = 2  # survives six full blocks in a row, each raising the base fee by an eighth
REPLACEMENT_NUMERATOR, REPLACEMENT_DENOMINATOR = 9, 8  # 12.5% more: what the strictest nodes ask for


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers a gas, in wei: at most `max_fee`, of which `priority_fee` is the tip."""

    max_fee: int
    priority_fee: int

    def __post_init__(self) -> None:
        assert 0 <= self.priority_fee <= self.max_fee, f"a tip of {self.priority_fee} within {self.max_fee}"

    def replacement(self) -> Fees:
        """The least fees with which nodes let the same nonce be replaced: both at least 12.5% higher."""
        return Fees(_raised(self.max_fee), _raised(self.priority_fee))


@dataclass(frozen=True, slots=True)
class TransactionFields:
    """One EIP-1559 transaction; `to` None creates a contract, `gas` is the limit."""

    chain_id: int
    nonce: int
    to: bytes | None
    data: bytes
    gas: int
    fees: Fees
    value: int = 0

    def __post_init__(self) -> None:
        assert self.nonce >= 0, f"nonce {self.nonce}"
        assert 0 < self.gas <= TRANSACTION_GAS_MAX, f"gas {self.gas}"
        assert self.to is None or len(self.to) == 20, "an address has 20 bytes"


@dataclass(frozen=True, slots=True)
class FeeMarket:
    """What a gas costs now, in wei: the newest block's base fee, and the tip that the node suggests."""

    base_fee: int
    priority_fee: int

    def offer(self, ceiling: int) -> Fees | None:
        """Fees that should do for the next blocks: twice the base fee, and the tip, but never above the ceiling.

        None where the base fee alone is above it: nothing under the ceiling would be mined.
        """
        if self.base_fee > ceiling:
            return None
        max_fee = min(self.base_fee * BASE_FEE_HEADROOM + self.priority_fee, ceiling)
        return Fees(max_fee, min(self.priority_fee, max_fee))

    def replace(self, fees: Fees, ceiling: int) -> Fees | None:
        """Fees with which to replace these: as much more as nodes ask for, and no less than what is offered now.

        None where the ceiling leaves no room for that.
        """
        least, now = fees.replacement(), self.offer(ceiling)
        if now is None or least.max_fee > ceiling:
            return None
        max_fee = max(least.max_fee, now.max_fee)
        return Fees(max_fee, min(max(least.priority_fee, now.priority_fee), max_fee))


def fee_market(rpc: Rpc) -> FeeMarket:
    """What a gas costs now. Raises ChainError."""
    try:
        priority_fee = rpc.priority_fee()
    except RpcRefused:  # not every node suggests one
        priority_fee = PRIORITY_FEE_DEFAULT
    return FeeMarket(rpc.base_fee(), priority_fee)


def _raised(fee: int) -> int:
    """At least an eighth more, rounded up, and never the same again."""
    return max(-(-fee * REPLACEMENT_NUMERATOR // REPLACEMENT_DENOMINATOR), fee + 1)
