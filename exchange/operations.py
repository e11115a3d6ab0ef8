"""Operations: the life of one accepted request that changes points."""

from collections.abc import Mapping
from enum import StrEnum


class OperationKind(StrEnum):
    """What a request changes."""

    EARN = "earn"
    REDEMPTION = "redemption"
    SWAP = "swap"
    BIND = "bind"
    UNBIND = "unbind"
    RELEASE = "release"
    DEPOSIT = "deposit"
    TRANSFER = "transfer"
    BONUS = "bonus"
    """More than the ratio gives for a swap; it goes its own way once the swap is final."""
    FEE = "fee"
    """Points burned on top of a swap, once that is final."""
    REVERSAL = "reversal"
    """An earn or a redemption is taken back, whole or in part."""
    REPAYMENT = "repayment"
    """What an earn pays off of its member's debt."""
    EXPIRY = "expiry"
    """Points whose time is over."""
    ADJUSTMENT = "adjustment"
    """A correction by hand that two persons stand for."""


class OperationState(StrEnum):
    """How far an operation has come.

    accepted: durable in the ledger. submitted: signed bytes stored and sent. confirmed: in a canonical
    block. final: at the chain's finality rule. failed: it will never be posted, and a record says why.
    cancelled: withdrawn before it was submitted.
    """

    ACCEPTED = "accepted"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FINAL = "final"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[OperationState, frozenset[OperationState]] = {
    OperationState.ACCEPTED: frozenset({OperationState.SUBMITTED, OperationState.FAILED, OperationState.CANCELLED}),
    # Back to accepted: the batch could no longer be posted and was dissolved.
    OperationState.SUBMITTED: frozenset({OperationState.CONFIRMED, OperationState.FAILED, OperationState.ACCEPTED}),
    # Back to submitted: the block was reorganised away.
    OperationState.CONFIRMED: frozenset({OperationState.FINAL, OperationState.SUBMITTED}),
    OperationState.FINAL: frozenset(),
    OperationState.FAILED: frozenset(),
    OperationState.CANCELLED: frozenset(),
}
"""Which states may follow each state; one without followers is where an operation ends."""


def advance(state: OperationState, new: OperationState) -> OperationState:
    """`new`, when it may follow `state`; anything else is a bug and fails an assertion."""
    assert new in TRANSITIONS[state], f"an operation never goes from {state} to {new}"
    return new
