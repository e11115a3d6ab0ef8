"""Accepting earns: one or thousands, in a fixed number of statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import accounts, adoption, events, limits, operations, programs, repayments
from bridge.store.adoption import Asked
from bridge.store.database import IN_LIST_MAX
from bridge.store.ids import new_id, request_hash
from bridge.store.operations import NOTHING_EARNED, Operation
from bridge.store.programs import Program
from bridge.store.repayments import Earned
from bridge.store.requests import Known
from bridge.store.schema import account, debt, entry, lot, member, operation, program, program_limit, stream
from exchange.days import DAY_MS, day_of, name_of
from exchange.errors import InvalidAmount, ReleaseTooFar, SarrafError, UnknownMember, UnknownProgram
from exchange.operations import OperationKind, OperationState
from exchange.points import Points, points
from exchange.words import EntryKind, entry_tag

#: Points that one program may ever issue: its books count in 64 bits with a sign.
ISSUED_MAX = 2**62
#: How many days ahead the points of an earn may be put off.
RELEASE_AHEAD_DAYS_MAX = 1_826


@dataclass(frozen=True, slots=True)
class EarnRequest:
    """One earn as it was asked for: a member by id or number, and a spend in minor units or points outright.

    `key_field` is where the caller stated the idempotency key, for the refusal of one that was used otherwise. With a
    `release_ms` that is still to come the earn is pending: its points come then.
    """

    key: str
    member_id: str | None
    member_number: str | None
    spend_minor: int | None
    points: int | None
    occurred_ms: int | None
    key_field: str = "event_id"
    release_ms: int | None = None

    @property
    def member(self) -> str:
        """How the member was named."""
        return self.member_id or f"#{self.member_number}"

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        said = () if self.release_ms is None else (self.release_ms,)
        return request_hash("earn", self.member, self.spend_minor, self.points, self.occurred_ms, *said)

    def is_pending(self, now_ms: int) -> bool:
        """Whether its points are still to come."""
        return self.release_ms is not None and self.release_ms > now_ms


@dataclass(frozen=True, slots=True)
class EarnAnswer:
    """What became of one earn: an operation, told before or now, or a refusal."""

    key: str
    operation_id: str | None
    points: int
    replayed: bool
    reason: str | None
    refusal: SarrafError | None = None
    #: set where the earn was accepted now
    accepted: Operation | None = None


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a program's earns are written with."""

    program: Program
    stream_id: int
    issued_id: int
    issued: int
    #: the most points that one batch can issue
    capacity: int


@dataclass(frozen=True, slots=True)
class _Enrolled:
    member_id: str
    account_id: int
    owes: bool


@dataclass(frozen=True, slots=True)
class _Accepted:
    request: EarnRequest
    fingerprint: bytes
    operation: Operation
    who: _Enrolled

    @property
    def account_id(self) -> int:
        return self.who.account_id

    @property
    def points(self) -> int:
        return self.operation.points

    @property
    def pending(self) -> bool:
        return self.operation.pending


# Written once: building a statement anew costs more than running it.
_FIND_DESK = (
    sa.select(
        program,
        stream.c.id.label("stream_id"),
        account.c.id.label("issued_id"),
        (account.c.debits_pending + account.c.debits_posted).label("issued"),
        program_limit.c.capacity,
    )
    .join(stream, stream.c.key == program.c.id)
    .join(
        account,
        sa.and_(account.c.program_id == program.c.id, account.c.kind == accounts.ISSUED, account.c.address.is_(None)),
    )
    .join(program_limit, sa.and_(program_limit.c.program_id == program.c.id, program_limit.c.name == limits.ISSUANCE))
    .where(program.c.id == sa.bindparam("program"))
)
_FIND_MEMBERS = (
    sa.select(
        member.c.id,
        member.c.member_number,
        sa.func.min(account.c.id).label("account_id"),
        sa.func.max(sa.func.coalesce(debt.c.points, 0)).label("debt"),
    )
    .join(account, account.c.member_id == member.c.id)
    .outerjoin(debt, debt.c.member_id == member.c.id)
    .where(member.c.program_id == sa.bindparam("program"))
    .group_by(member.c.id, member.c.member_number)
)
_BY_NUMBER = _FIND_MEMBERS.where(member.c.member_number.in_(sa.bindparam("names", expanding=True)))
_BY_ID = _FIND_MEMBERS.where(member.c.id.in_(sa.bindparam("names", expanding=True)))


def accept(
    connection: sa.Connection, program_id: str, requests: Sequence[EarnRequest], now_ms: int
) -> list[EarnAnswer]:
    """Accept earns of one program, each on its own; the answers stand in the order of the requests.

    Raises ProgramNotActive when the program cannot take any.
    """
    desk = _desk(connection, program_id)
    seen = operations.known(connection, program_id, [request.key for request in requests])
    restored = adoption.candidates(connection, program_id, {one.key for one in requests} - seen.keys())
    enrolled = _enrolled(connection, program_id, requests)
    accepted: list[_Accepted] = []
    issuing = 0
    answers: list[EarnAnswer] = []
    for request in requests:
        fingerprint = request.fingerprint()
        before = seen.get(request.key)
        try:
            if before is None and request.key in restored:
                before = _adopt(connection, desk, request, enrolled, restored[request.key])
            if before is not None:
                seen[request.key] = before
                before.require_same(fingerprint, request.key_field)
                answers.append(EarnAnswer(request.key, before.id, before.points, True, before.reason))
                continue
            one = _accept_one(desk, request, fingerprint, enrolled, now_ms)
            _require_room(desk, issuing, one.points)
        except SarrafError as refusal:
            answers.append(EarnAnswer(request.key, None, 0, False, None, refusal))
            continue
        accepted.append(one)
        issuing += one.points
        made = one.operation
        # The same key twice at once: the second is a repeat of the first.
        seen[request.key] = Known(made.id, made.points, made.state, made.reason, fingerprint)
        answers.append(EarnAnswer(request.key, made.id, made.points, False, made.reason, accepted=made))
    if accepted:
        _write(connection, desk, accepted, now_ms)
    return answers


def _desk(connection: sa.Connection, program_id: str) -> _Desk:
    row = connection.execute(_FIND_DESK, {"program": program_id}).one_or_none()
    if row is None:
        raise UnknownProgram(f"there is no program {program_id}", field="program_id")
    fields = dict(row._mapping)
    stream_id, issued_id, issued, capacity = (
        fields.pop(name) for name in ("stream_id", "issued_id", "issued", "capacity")
    )
    found = programs.of_fields(fields)
    assert found.deployed_token
    return _Desk(found, stream_id, issued_id, issued, capacity)


def _enrolled(
    connection: sa.Connection, program_id: str, requests: Sequence[EarnRequest]
) -> dict[tuple[str | None, str | None], _Enrolled]:
    """For each member as the requests name them, who it is and in which account their earns land."""
    found: dict[tuple[str | None, str | None], _Enrolled] = {}
    numbers = sorted({one.member_number for one in requests if one.member_number is not None})
    for row in _look_up(connection, _BY_NUMBER, program_id, numbers):
        found[None, row.member_number] = _Enrolled(row.id, row.account_id, row.debt > 0)
    ids = sorted({one.member_id for one in requests if one.member_id is not None})
    for row in _look_up(connection, _BY_ID, program_id, ids):
        found[row.id, None] = _Enrolled(row.id, row.account_id, row.debt > 0)
    return found


def _look_up(
    connection: sa.Connection, statement: sa.Select[tuple[str, str, int, int]], program_id: str, names: list[str]
) -> Iterable[sa.Row[tuple[str, str, int, int]]]:
    for start in range(0, len(names), IN_LIST_MAX):
        yield from connection.execute(statement, {"program": program_id, "names": names[start : start + IN_LIST_MAX]})


def _adopt(
    connection: sa.Connection,
    desk: _Desk,
    request: EarnRequest,
    enrolled: dict[tuple[str | None, str | None], _Enrolled],
    found: Sequence[Any],
) -> Known | None:
    """The restored operation that the earn was accepted as by a ledger that knew more, or None."""
    who, amount = _who_and_what(desk, request, enrolled)
    asked = Asked(
        request.key, OperationKind.EARN, request.fingerprint(), amount, who.member_id, field=request.key_field
    )
    return adoption.adopt(connection, desk.program.id, asked, found)


def _accept_one(
    desk: _Desk,
    request: EarnRequest,
    fingerprint: bytes,
    enrolled: dict[tuple[str | None, str | None], _Enrolled],
    now_ms: int,
) -> _Accepted:
    who, amount = _who_and_what(desk, request, enrolled)
    limits.require(desk.capacity, amount, limits.ISSUANCE)
    require_release(request.release_ms, now_ms)
    return _Accepted(request, fingerprint, _operation(desk, request, who, amount, now_ms), who)


def _who_and_what(
    desk: _Desk, request: EarnRequest, enrolled: dict[tuple[str | None, str | None], _Enrolled]
) -> tuple[_Enrolled, Points]:
    """Who earns, and how much. Raises UnknownMember and InvalidAmount."""
    who = enrolled.get((request.member_id, request.member_number))
    if who is None:
        field = "member_id" if request.member_id is not None else "member_number"
        named = request.member_id or request.member_number
        raise UnknownMember(f"program {desk.program.symbol} has no member {named!r}", field=field)
    if request.points is not None:
        return who, points(request.points)
    assert request.spend_minor is not None
    return who, desk.program.earning_rate.award(request.spend_minor)


def require_release(release_ms: int | None, now_ms: int) -> None:
    """Raises ReleaseTooFar where points are to come later than in RELEASE_AHEAD_DAYS_MAX days."""
    latest_ms = now_ms + RELEASE_AHEAD_DAYS_MAX * DAY_MS
    if release_ms is not None and release_ms > latest_ms:
        raise ReleaseTooFar(
            f"points can be put off for {RELEASE_AHEAD_DAYS_MAX:,} days, until the day {name_of(day_of(latest_ms))}",
            field="available_at",
            limit=RELEASE_AHEAD_DAYS_MAX,
        )


def require_issuable(connection: sa.Connection, program_id: str, amount: Points, instead_of: int) -> None:
    """Raises OverLimit or InvalidAmount where an earn of `instead_of` points cannot be one of `amount`."""
    desk = _desk(connection, program_id)
    limits.require(desk.capacity, amount, limits.ISSUANCE)
    _require_room(desk, -instead_of, amount)


def left_to_issue(connection: sa.Connection, program_id: str) -> int:
    """How many points more a program's books can count."""
    issued = accounts.system_account(connection, program_id, accounts.ISSUED)
    counted = sa.select(account.c.debits_pending + account.c.debits_posted).where(account.c.id == issued)
    return ISSUED_MAX - int(connection.execute(counted).scalar_one())


def require_countable(left: int, amount: int) -> None:
    """Raises InvalidAmount where so many points are more than is left to issue."""
    if amount > left:
        raise InvalidAmount(
            "the program has issued nearly all the points that its books can count",
            field="points",
            limit=left,
            nearest=max(0, left) or None,
        )


def _require_room(desk: _Desk, accepted: int, amount: int) -> None:
    require_countable(ISSUED_MAX - desk.issued - accepted, amount)


def _operation(desk: _Desk, request: EarnRequest, who: _Enrolled, amount: Points, now_ms: int) -> Operation:
    # An earn of nothing has nothing to post: it is done as soon as it is remembered.
    state = OperationState.ACCEPTED if amount else OperationState.FINAL
    return Operation(
        id=new_id("operation"),
        kind=OperationKind.EARN.value,
        program_id=desk.program.id,
        member_id=who.member_id,
        points=amount,
        state=state.value,
        reason=None if amount else NOTHING_EARNED,
        idempotency_key=request.key,
        tag=entry_tag(desk.program.id, request.key),
        occurred_ms=request.occurred_ms,
        created_ms=now_ms,
        release_ms=request.release_ms,
        pending=bool(amount) and request.is_pending(now_ms),
    )


def _write(connection: sa.Connection, desk: _Desk, accepted: list[_Accepted], now_ms: int) -> None:
    connection.execute(operation.insert(), [_operation_row(one, desk.stream_id) for one in accepted])
    events.operations_changed(
        connection, ((desk.program.id, one.operation.id) for one in accepted), OperationState.ACCEPTED, now_ms
    )
    earning = [one for one in accepted if one.points]
    if not earning:
        return
    days = desk.program.expiry_days
    connection.execute(entry.insert(), [_entry_row(one, desk.issued_id) for one in earning])
    connection.execute(lot.insert(), [_lot_row(one, now_ms, days) for one in earning])
    changes = accounts.Changes()
    for one in earning:
        changes.add(one.account_id, "incoming_pending" if one.pending else "credits_pending", one.points)
        changes.add(desk.issued_id, "debits_pending", one.points)
    changes.apply(connection)
    paying = [_earned(one) for one in earning if one.who.owes and not one.pending]
    if paying:
        repayments.pay_off_earned(connection, desk.program.id, paying, now_ms)


def _earned(one: _Accepted) -> Earned:
    made = one.operation
    assert made.tag is not None
    return Earned(made.id, made.tag, one.who.member_id, one.account_id, made.points)


def _operation_row(one: _Accepted, stream_id: int) -> dict[str, object]:
    made = one.operation
    return {
        "id": made.id,
        "kind": made.kind,
        "program_id": made.program_id,
        "member_id": made.member_id,
        "points": made.points,
        "state": made.state,
        "reason": made.reason,
        "idempotency_key": made.idempotency_key,
        "request_hash": one.fingerprint,
        "tag": made.tag,
        "stream_id": stream_id if made.points and not made.pending else None,
        "occurred_ms": made.occurred_ms,
        "created_ms": made.created_ms,
        "release_ms": made.release_ms,
    }


def _entry_row(one: _Accepted, issued_id: int) -> dict[str, object]:
    return {
        "operation_id": one.operation.id,
        "program_id": one.operation.program_id,
        "leg": 0,
        "kind": EntryKind.EARN.value,
        "credit": True,
        "amount": one.points,
        "account_id": one.account_id,
        "contra_id": issued_id,
        "state": "pending",
    }


def _lot_row(one: _Accepted, now_ms: int, expiry_days: int | None) -> dict[str, object]:
    return {
        "account_id": one.account_id,
        "operation_id": one.operation.id,
        "amount": one.points,
        "remaining": one.points,
        "pending": one.pending,
        **ages(one.request.release_ms if one.pending else now_ms, expiry_days),
    }


def ages(since_ms: int | None, expiry_days: int | None) -> dict[str, int | None]:
    """How old points are that are a member's since then, and when they expire."""
    assert since_ms is not None
    expires_ms = None if expiry_days is None else since_ms + expiry_days * DAY_MS
    return {"earned_ms": since_ms, "expires_ms": expires_ms}
