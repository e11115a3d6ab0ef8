"""Notes: what the contracts say of programs, their limits and their terms, whoever asked for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.chain.events import (
    Admitted,
    Announced,
    CapsLowered,
    CreditChanged,
    Event,
    LimitChanged,
    Suspended,
    TermsAdopted,
    TermsProposed,
    Transfer,
)
from bridge.posting import calls
from bridge.store import batches, chainstate, limits, programs, terms
from bridge.store.batches import Batch
from bridge.store.terms import Proposal


@dataclass(frozen=True, slots=True)
class Said:
    """Where an event comes from: the contract that emitted it, our batch that made it do so, its block and when."""

    contract: bytes
    by: Batch | None
    block: int
    block_ms: int


def take(connection: sa.Connection, event: Event | Transfer, said: Said) -> None:
    """Enter what an event says. Many say nothing that is kept."""
    note = _NOTES.get(type(event))
    if note is not None:
        note(connection, event, said)


def _admitted(connection: sa.Connection, event: Admitted, _: Said) -> None:
    program = programs.by_token(connection, event.program)
    if program is not None:
        programs.may_owe(connection, program.id, event.credit_limit)
        programs.admitted(connection, program.id)


def _credit_changed(connection: sa.Connection, event: CreditChanged, _: Said) -> None:
    program = programs.by_token(connection, event.program)
    if program is not None:
        programs.may_owe(connection, program.id, event.limit)


def _limit_changed(connection: sa.Connection, event: LimitChanged, said: Said) -> None:
    program = programs.by_token(connection, said.contract)
    if program is not None:
        bounds = limits.Bounds(event.capacity, event.refill)
        limits.changed(connection, program.id, calls.limit_name(event.limit), bounds)


def _announced(connection: sa.Connection, event: Announced, said: Said) -> None:
    batches.ready_at(connection, said.contract, event.call, event.ready_at * 1000)


def _proposed(connection: sa.Connection, event: TermsProposed, said: Said) -> None:
    if said.by is not None and said.by.subject is not None:
        terms.proposed(connection, said.by.subject, event.version)
        return
    direction = _direction(connection, event.source, event.destination)
    if direction is not None:
        terms.proposed_elsewhere(connection, *direction)


def _adopted(connection: sa.Connection, event: TermsAdopted, said: Said) -> None:
    direction = _direction(connection, event.source, event.destination)
    if direction is None:
        return
    effective_ms = event.effective_at * 1000
    if terms.adopted(connection, *direction, event.version, effective_ms):
        return
    deployment = chainstate.get(connection)
    assert deployment is not None, "events are read of a chain to which the ledger is bound"
    # The chain says nothing of minimum, increment and rules: nobody is quoted under such terms. Nor does it say here
    # who proposed them.
    agreed = Proposal(
        *direction,
        from_units=event.from_units,
        to_units=event.to_units,
        minimum=1,
        increment=1,
        settlement_price_micro=event.price,
        currency=deployment.settlement_currency,
        proposed_by=direction[0],
        managed_cap=event.managed_cap,
        wallet_cap=event.wallet_cap,
    )
    terms.adopted_elsewhere(connection, agreed, terms.Elsewhere(event.version, effective_ms, said.block, said.block_ms))


def _suspended(connection: sa.Connection, event: Suspended, said: Said) -> None:
    direction = _direction(connection, event.source, event.destination)
    if direction is not None:
        terms.suspended(connection, *direction, said.block_ms)


def _caps_lowered(connection: sa.Connection, event: CapsLowered, _: Said) -> None:
    direction = _direction(connection, event.source, event.destination)
    if direction is not None:
        terms.lower_caps(
            connection, *direction, event.version, managed_cap=event.managed_cap, wallet_cap=event.wallet_cap
        )


def _direction(connection: sa.Connection, source: bytes, destination: bytes) -> tuple[str, str] | None:
    first, second = (programs.by_token(connection, token) for token in (source, destination))
    return None if first is None or second is None else (first.id, second.id)


_NOTES: dict[type[Event | Transfer], Callable[[sa.Connection, Any, Said], None]] = {
    Admitted: _admitted,
    CreditChanged: _credit_changed,
    LimitChanged: _limit_changed,
    Announced: _announced,
    TermsProposed: _proposed,
    TermsAdopted: _adopted,
    Suspended: _suspended,
    CapsLowered: _caps_lowered,
}
