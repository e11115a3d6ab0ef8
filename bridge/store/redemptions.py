"""Accepting redemptions: points are held at once and burned on the chain."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import adoption, entries, events, limits, members, operations, programs, spending, streams
from bridge.store.adoption import Asked
from bridge.store.entries import Leg
from bridge.store.ids import new_id, request_hash
from bridge.store.schema import operation
from exchange.lots import Take
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
    asked_for = Entered(
        program_id, found.id, request.key, request.fingerprint(), entry_tag(program_id, request.key), amounts_of(taken)
    )
    operation_id = enter(connection, asked_for, now_ms)
    spending.hold(connection, operation_id, list(taken.items()))
    return operation_id, False


@dataclass(frozen=True, slots=True)
class Entered:
    """What is to be burned: so many points of each account, for a member; captured from a hold where one is named."""

    program_id: str
    member_id: str
    key: str
    request_hash: bytes
    tag: bytes
    amounts: dict[int, Points]
    hold_id: str | None = None


def amounts_of(taken: Mapping[int, list[Take[int]]]) -> dict[int, Points]:
    """How many points are taken of each account."""
    return {account_id: Points(sum(one.amount for one in takes)) for account_id, takes in taken.items()}


def enter(connection: sa.Connection, asked: Entered, now_ms: int) -> str:
    """Queue the burning of points, whose lots are the caller's business; the operation's id."""
    operation_id = new_id("operation")
    connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=OperationKind.REDEMPTION.value,
            program_id=asked.program_id,
            member_id=asked.member_id,
            points=sum(asked.amounts.values()),
            state=OperationState.ACCEPTED.value,
            idempotency_key=asked.key,
            request_hash=asked.request_hash,
            tag=asked.tag,
            stream_id=streams.for_program(connection, asked.program_id).id,
            hold_id=asked.hold_id,
            created_ms=now_ms,
        )
    )
    legs = [Leg(operation_id, account_id, amount) for account_id, amount in asked.amounts.items()]
    entries.enter(connection, asked.program_id, EntryKind.REDEMPTION, legs)
    events.operations_changed(connection, [(asked.program_id, operation_id)], OperationState.ACCEPTED, now_ms)
    return operation_id
