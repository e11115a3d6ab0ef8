"""Accepting redemptions: points are held at once and burned on the chain."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, adoption, events, limits, members, operations, programs, spending, streams
from bridge.store.adoption import Asked
from bridge.store.ids import new_id, request_hash
from bridge.store.schema import entry, operation
from exchange.operations import OperationKind, OperationState
from exchange.points import Points, points
from exchange.words import EntryKind, entry_tag


@dataclass(frozen=True, slots=True)
class RedemptionRequest:
    """A redemption as it was asked for."""

    key: str
    member_id: str | None
    member_number: str | None
    points: int

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        return request_hash("redemption", self.member_id or f"#{self.member_number}", self.points)


def accept(connection: sa.Connection, program_id: str, request: RedemptionRequest, now_ms: int) -> tuple[str, bool]:
    """Hold the points and queue their burning. Answers the operation's id and whether it was accepted before.

    Raises IdempotencyKeyReused, UnknownMember, InvalidAmount, OverLimit, InsufficientPoints, ProgramNotActive.
    """
    before = operations.known(connection, program_id, [request.key]).get(request.key)
    if before is not None:
        before.require_same(request.fingerprint())
        return before.id, True
    program = programs.by_id(connection, program_id)
    assert program.deployed_token
    amount = points(request.points)
    found = members.find(connection, program_id, member_id=request.member_id, member_number=request.member_number)
    asked = Asked(request.key, OperationKind.REDEMPTION, request.fingerprint(), amount, found.id)
    restored = adoption.adopt(connection, program_id, asked)
    if restored is not None:
        return restored.id, True
    taken = spending.purse(connection, found.id, now_ms).take(amount)
    limits.require(limits.capacity(connection, program_id, limits.REDEMPTION), amount, limits.REDEMPTION)
    operation_id = new_id("operation")
    connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=OperationKind.REDEMPTION.value,
            program_id=program_id,
            member_id=found.id,
            points=amount,
            state=OperationState.ACCEPTED.value,
            idempotency_key=request.key,
            request_hash=request.fingerprint(),
            tag=entry_tag(program_id, request.key),
            stream_id=streams.for_program(connection, program_id).id,
            created_ms=now_ms,
        )
    )
    _debit(
        connection,
        program_id,
        operation_id,
        {account_id: Points(sum(one.amount for one in takes)) for account_id, takes in taken.items()},
    )
    spending.hold(connection, operation_id, list(taken.items()))
    events.operations_changed(connection, [(program_id, operation_id)], OperationState.ACCEPTED, now_ms)
    return operation_id, False


def _debit(connection: sa.Connection, program_id: str, operation_id: str, amounts: dict[int, Points]) -> None:
    redeemed = accounts.system_account(connection, program_id, accounts.REDEEMED)
    changes = accounts.Changes()
    for account_id, amount in amounts.items():
        changes.add(account_id, "debits_pending", amount)
        changes.add(redeemed, "credits_pending", amount)
    connection.execute(
        entry.insert(),
        [
            {
                "operation_id": operation_id,
                "program_id": program_id,
                "leg": leg,
                "kind": EntryKind.REDEMPTION.value,
                "credit": False,
                "amount": amount,
                "account_id": account_id,
                "contra_id": redeemed,
                "state": "pending",
            }
            for leg, (account_id, amount) in enumerate(amounts.items())
        ],
    )
    changes.apply(connection)
