"""Accepting earns: one or a thousand, in a fixed number of statements."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, events, members, operations, programs, streams
from bridge.store.ids import new_id, request_hash
from bridge.store.operations import NOTHING_EARNED, Known
from bridge.store.programs import Program
from bridge.store.schema import entry, lot, operation
from exchange.errors import SarrafError, UnknownMember
from exchange.operations import OperationKind, OperationState
from exchange.points import Points, points
from exchange.words import EntryKind, entry_tag

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class EarnRequest:
    """One earn as it was asked for: a member by id or number, and a spend in minor units or points outright."""

    key: str
    member_id: str | None
    member_number: str | None
    spend_minor: int | None
    points: int | None
    occurred_ms: int | None

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        who = self.member_id or f"#{self.member_number}"
        return request_hash("earn", who, self.spend_minor, self.points, self.occurred_ms)


@dataclass(frozen=True, slots=True)
class EarnAnswer:
    """What became of one earn: an operation, told before or now, or a refusal."""

    key: str
    operation_id: str | None
    points: int
    replayed: bool
    reason: str | None
    refusal: SarrafError | None = None


@dataclass(frozen=True, slots=True)
class _Accepted:
    request: EarnRequest
    operation_id: str
    member_id: str
    points: Points


def accept(
    connection: sa.Connection,
    program_id: str,
    requests: Sequence[EarnRequest],
    now_ms: int,
    *,
    key_field: str = "event_id",
) -> list[EarnAnswer]:
    """Accept earns of one program, each on its own; the answers stand in the order of the requests.

    `key_field` is where the caller stated the idempotency key, for the refusal of one that was used otherwise.
    Raises ProgramNotActive when the program cannot take any.
    """
    program = programs.by_id(connection, program_id)
    assert program.deployed_token
    seen = operations.known(connection, program_id, [request.key for request in requests])
    member_ids = _member_ids(connection, program_id, requests)
    accepted: list[_Accepted] = []
    answers: list[EarnAnswer] = []
    for request in requests:
        try:
            before = seen.get(request.key)
            if before is not None:
                before.require_same(request.fingerprint(), key_field)
                answers.append(EarnAnswer(request.key, before.id, before.points, True, before.reason))
                continue
            one = _accept_one(program, request, member_ids)
        except SarrafError as refusal:
            answers.append(EarnAnswer(request.key, None, 0, False, None, refusal))
            continue
        accepted.append(one)
        reason = None if one.points else NOTHING_EARNED
        # The same key twice in one call: the second is a repeat of the first.
        seen[request.key] = Known(one.operation_id, one.points, "", reason, request.fingerprint())
        answers.append(EarnAnswer(request.key, one.operation_id, one.points, False, reason))
    if accepted:
        _write(connection, program, accepted, now_ms)
    return answers


def _member_ids(
    connection: sa.Connection, program_id: str, requests: Sequence[EarnRequest]
) -> dict[tuple[str | None, str | None], str]:
    numbers = {one.member_number for one in requests if one.member_number is not None}
    ids = {one.member_id for one in requests if one.member_id is not None}
    found: dict[tuple[str | None, str | None], str] = {}
    if numbers:
        by_number = members.ids_of_numbers(connection, program_id, numbers)
        found |= {(None, number): member_id for number, member_id in by_number.items()}
    if ids:
        found |= {(member_id, None): member_id for member_id in members.known_ids(connection, program_id, ids)}
    return found


def _accept_one(
    program: Program, request: EarnRequest, member_ids: dict[tuple[str | None, str | None], str]
) -> _Accepted:
    member_id = member_ids.get((request.member_id, request.member_number))
    if member_id is None:
        field = "member_id" if request.member_id is not None else "member_number"
        named = request.member_id or request.member_number
        raise UnknownMember(f"program {program.symbol} has no member {named!r}", field=field)
    if request.points is not None:
        amount = points(request.points)
    else:
        assert request.spend_minor is not None
        amount = program.earning_rate.award(request.spend_minor)
    return _Accepted(request, new_id("operation"), member_id, amount)


def _write(connection: sa.Connection, program: Program, accepted: list[_Accepted], now_ms: int) -> None:
    stream_id = streams.for_program(connection, program.id).id
    connection.execute(operation.insert(), [_operation_row(program, one, stream_id, now_ms) for one in accepted])
    events.operations_changed(
        connection, ((program.id, one.operation_id) for one in accepted), OperationState.ACCEPTED, now_ms
    )
    earning = [one for one in accepted if one.points]
    if not earning:
        return
    landing = accounts.primary_accounts(connection, {one.member_id for one in earning})
    issued = accounts.system_account(connection, program.id, accounts.ISSUED)
    expires_ms = None if program.expiry_days is None else now_ms + program.expiry_days * DAY_MS
    changes = accounts.Changes()
    for one in earning:
        changes.add(landing[one.member_id], "credits_pending", one.points)
        changes.add(issued, "debits_pending", one.points)
    connection.execute(
        entry.insert(),
        [
            {
                "operation_id": one.operation_id,
                "program_id": program.id,
                "leg": 0,
                "kind": EntryKind.EARN.value,
                "credit": True,
                "amount": one.points,
                "account_id": landing[one.member_id],
                "contra_id": issued,
                "state": "pending",
            }
            for one in earning
        ],
    )
    connection.execute(
        lot.insert(),
        [
            {
                "account_id": landing[one.member_id],
                "operation_id": one.operation_id,
                "amount": one.points,
                "remaining": one.points,
                "pending": False,
                "earned_ms": now_ms,
                "expires_ms": expires_ms,
            }
            for one in earning
        ],
    )
    changes.apply(connection)


def _operation_row(program: Program, one: _Accepted, stream_id: int, now_ms: int) -> dict[str, object]:
    # An earn of nothing has nothing to post: it is done as soon as it is remembered.
    state = OperationState.ACCEPTED if one.points else OperationState.FINAL
    return {
        "id": one.operation_id,
        "kind": OperationKind.EARN.value,
        "program_id": program.id,
        "member_id": one.member_id,
        "points": one.points,
        "state": state.value,
        "reason": None if one.points else NOTHING_EARNED,
        "idempotency_key": one.request.key,
        "request_hash": one.request.fingerprint(),
        "tag": entry_tag(program.id, one.request.key),
        "stream_id": stream_id if one.points else None,
        "occurred_ms": one.request.occurred_ms,
        "created_ms": now_ms,
    }
