"""What a block's events say of holders: one happening for each thing that a holder did.

A contract tells a signed call in several events: first that its nonce is used, then what it did. They are put together
here. Pure: events in, happenings out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bridge.chain.events import (
    Bound,
    Deposited,
    NonceUsed,
    PositionMoved,
    Redeemed,
    Released,
    Settled,
    Swapped,
    Transfer,
)
from bridge.store import holder_calls, holder_events
from bridge.store.holder_events import Happening

if TYPE_CHECKING:
    from bridge.posting.report import Seen

NUMBER_BYTES = 32


def happenings(seen: Iterable[Seen]) -> list[Happening]:
    """What holders did, and what became of bindings, in the order of the chain."""
    reader = _Reader()
    for one in seen:
        reader.read(one)
    reader.end_transaction()
    return reader.found


class _Reader:
    """Reads events in order; remembers within a transaction what a later event belongs to."""

    def __init__(self) -> None:
        self.found: list[Happening] = []
        self._transaction: bytes | None = None
        self._transfer: Seen | None = None
        self._numbers: dict[tuple[bytes, bytes], bytes] = {}
        self._positions: list[tuple[str, str]] = []

    def read(self, one: Seen) -> None:
        if one.transaction_hash != self._transaction:
            self.end_transaction()
            self._transaction = one.transaction_hash
        held, self._transfer = self._transfer, None
        if held is not None and not _told_by(held, one):
            self._add_transfer(held)
        self._read_event(one)

    def _read_event(self, one: Seen) -> None:
        match one.event:
            case Transfer():
                self._transfer = one
            case NonceUsed(holder=holder, nonce=nonce):
                self._drop_number(one.contract, holder)
                self._numbers[one.contract, holder] = nonce.to_bytes(NUMBER_BYTES, "big")
            case Redeemed(holder=holder, order=order, amount=amount):
                self._numbers.pop((one.contract, holder), None)
                ordered = order.to_bytes(NUMBER_BYTES, "big")
                self._add(one, holder_events.REDEEMED, holder, amount=amount, number=ordered)
            case Deposited(reference=reference, wallet=holder, amount=amount):
                number = self._numbers.pop((one.contract, holder), None)
                self._add(one, holder_events.DEPOSITED, holder, reference=reference, amount=amount, number=number)
            case PositionMoved(program=program, delta=delta):
                self._positions.append((program.hex(), str(delta)))
            case Settled():
                self._positions = []
            case Swapped():
                self._add_swap(one, one.event)
            case Bound(reference=reference, wallet=holder, effective_at=at):
                self._add(one, holder_events.BOUND, holder, reference=reference, effective_ms=at * 1000)
            case _:
                pass

    def end_transaction(self) -> None:
        """What is left over stands for itself: transfers, and numbers that were cancelled."""
        if self._transfer is not None:
            self._add_transfer(self._transfer)
        for contract, holder in list(self._numbers):
            self._drop_number(contract, holder)
        self._transfer, self._positions = None, []

    def _drop_number(self, contract: bytes, holder: bytes) -> None:
        number = self._numbers.pop((contract, holder), None)
        if number is not None:
            assert self._transaction is not None
            self.found.append(
                Happening(holder_calls.NONCE_USED, contract, self._transaction, holder=holder, number=number)
            )

    def _add_transfer(self, one: Seen) -> None:
        assert isinstance(one.event, Transfer)
        if one.event.amount:
            self._add(
                one, holder_events.TRANSFERRED, one.event.source, other=one.event.destination, amount=one.event.amount
            )

    def _add_swap(self, one: Seen, event: Swapped) -> None:
        positions, self._positions = self._positions, []
        self._add(
            one,
            holder_events.SWAPPED,
            event.holder,
            source=event.source,
            other=event.destination,
            amount=event.amount_in,
            amount_out=event.amount_out,
            number=self._numbers.pop((one.contract, event.holder), None),
            positions=positions,
        )

    def _add(self, one: Seen, kind: str, holder: bytes, **more: Any) -> None:
        self.found.append(Happening(kind, one.contract, one.transaction_hash, holder=holder, **more))


def _told_by(transfer: Seen, one: Seen) -> bool:
    """Whether an event right behind a transfer says that this was a release or a deposit, and not the holder's own."""
    moved = transfer.event
    assert isinstance(moved, Transfer)
    if transfer.contract != one.contract:
        return False  # a wallet with code can transfer at one program and deposit at the next, all in one transaction
    match one.event:
        case Released(wallet=wallet, amount=amount):
            return (moved.destination, moved.amount) == (wallet, amount)
        case Deposited(wallet=wallet, amount=amount):
            return (moved.source, moved.amount) == (wallet, amount)
        case _:
            return False
