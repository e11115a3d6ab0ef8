"""Approvals: another person decides what was proposed, and an approved adjustment becomes an operation.

Up is a credit with a lot of its own, which expires as points of the program do; down takes what expires first. Both go
to the chain in the program's stream. A proposal that was posted by a ledger that knew more is found again by its tag,
and not posted twice.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bridge.store import (
    accounts,
    adoption,
    earns,
    entries,
    events,
    keys,
    limits,
    lots,
    operations,
    programs,
    redemptions,
    requests,
    spending,
    streams,
    thaws,
)
from bridge.store.adjustments import (
    APPROVED,
    PROPOSED,
    REJECTED,
    Adjustment,
    AdjustmentState,
    by_id,
    limit_of,
    require_live,
    tell,
)
from bridge.store.adoption import Asked
from bridge.store.entries import Leg
from bridge.store.ids import new_id, request_hash
from bridge.store.keys import ApiKey
from bridge.store.schema import account, adjustment, entry, lot, operation
from bridge.store.texts import REASON_LENGTH_MAX, plain
from bridge.store.thaws import Seen
from exchange.days import DAY_MS
from exchange.errors import Conflict, Forbidden, InsufficientPoints
from exchange.lots import Take, draw
from exchange.operations import OperationKind, OperationState
from exchange.points import Points
from exchange.words import EntryKind


class ProposerRevoked(Conflict):
    """Raised when the key that proposed was revoked since: nobody stands for the proposal any more."""

    type = "proposer-revoked"


class SamePerson(Forbidden):
    """Raised when whoever proposed an adjustment is to decide it as well."""

    type = "same-person"


def approve(
    connection: sa.Connection, caller: ApiKey, adjustment_id: str, key: str, now_ms: int, seen: Seen | None = None
) -> tuple[Adjustment, bool]:
    """Do what was proposed, as another person. Answers the adjustment, and whether this was asked before.

    `seen` is what the chain says of an account that is to be thawed. A refusal leaves the proposal as it was. Raises
    UnknownAdjustment, IdempotencyKeyReused, AdjustmentState, SamePerson, ProposerRevoked, InsufficientPoints,
    CannotSplit, OverLimit, InvalidAmount, and for a thaw what `thaws.thaw` raises.
    """
    fingerprint = request_hash("adjustment-approval", adjustment_id)
    found, replayed = _to_decide(connection, caller, adjustment_id, key, fingerprint)
    if replayed:
        return found, True
    posted = _posted_before(connection, found, key)
    if posted:  # it was approved before, when its time was not over
        operation_id: str | None = _adopt(connection, found, posted, key, fingerprint)
        return _decide(connection, found, APPROVED, caller, now_ms, operation_id=operation_id), False
    _require_open(found, now_ms)
    if not keys.is_live(connection, found.proposed_key):
        raise ProposerRevoked(f"the key by which {found.proposed_by} proposed this was revoked since; propose it anew")
    operation_id = None
    if found.thaws:
        assert found.account_id is not None and seen is not None, "a thaw is approved after a look at the chain"
        thaws.thaw(connection, found.account_id, seen)
        _remember(connection, found, key, fingerprint, now_ms)
    else:
        operation_id = _post(connection, found, key, fingerprint, now_ms)
    return _decide(connection, found, APPROVED, caller, now_ms, operation_id=operation_id), False


def reject(
    connection: sa.Connection, caller: ApiKey, adjustment_id: str, key: str, note: str, now_ms: int
) -> tuple[Adjustment, bool]:
    """Refuse what was proposed, as another person, and say why.

    Raises UnknownAdjustment, IdempotencyKeyReused, AdjustmentState, SamePerson, UnfitText.
    """
    fingerprint = request_hash("adjustment-rejection", adjustment_id, note)
    found, replayed = _to_decide(connection, caller, adjustment_id, key, fingerprint)
    if replayed:
        return found, True
    _require_open(found, now_ms)
    if _posted_before(connection, found, key):
        raise AdjustmentState(
            "this was approved before the ledger was restored, and the chain has it: approve it again",
            field="adjustment_id",
        )
    why = plain(note, "reason", REASON_LENGTH_MAX)
    _remember(connection, found, key, fingerprint, now_ms)
    return _decide(connection, found, REJECTED, caller, now_ms, note=why), False


def _to_decide(
    connection: sa.Connection, caller: ApiKey, adjustment_id: str, key: str, fingerprint: bytes
) -> tuple[Adjustment, bool]:
    """The adjustment that is to be decided, and whether it was by this very request."""
    program_id, person = require_live(connection, caller)
    found = by_id(connection, adjustment_id, program_id)
    before = operations.known(connection, program_id, [key]).get(key)
    if before is not None:
        before.require_same(fingerprint)
        return found, True
    if found.state in (APPROVED, REJECTED):
        raise AdjustmentState(f"this adjustment is {found.state} already", field="adjustment_id")
    if keys.same_person(person, found.proposed_by):
        raise SamePerson(f"{found.proposed_by} proposed this: another person decides", field="adjustment_id")
    return found, False


def _require_open(found: Adjustment, now_ms: int) -> None:
    if found.state != PROPOSED or found.expires_ms <= now_ms:
        raise AdjustmentState("the time of this proposal is over; propose it anew", field="adjustment_id")


def _remember(connection: sa.Connection, found: Adjustment, key: str, fingerprint: bytes, now_ms: int) -> None:
    requests.remember(connection, found.program_id, key, request_hash=fingerprint, subject=found.id, now_ms=now_ms)


def _decide(
    connection: sa.Connection, found: Adjustment, state: str, caller: ApiKey, now_ms: int, **more: str | None
) -> Adjustment:
    done = connection.execute(
        adjustment.update()
        .where(adjustment.c.id == found.id, adjustment.c.state == found.state)
        .values(state=state, decided_by=caller.person, decided_key=caller.id, decided_ms=now_ms, **more)
    )
    assert done.rowcount == 1, "an adjustment is decided once"
    made = by_id(connection, found.id)
    tell(connection, made, caller.person, now_ms)
    return made


# -- posting ----------------------------------------------------------------------------------


def _kind(found: Adjustment) -> EntryKind:
    return EntryKind.ADJUSTMENT_UP if found.points > 0 else EntryKind.ADJUSTMENT_DOWN


def _posted_before(connection: sa.Connection, found: Adjustment, key: str) -> list[Any]:
    """The operation that this proposal became in a ledger that knew more, as the chain told; or none."""
    if found.thaws:  # of which the chain knows nothing
        return []
    rows = adoption.tagged(connection, found.program_id, {found.tag: key}).get(key, ())
    return [row for row in rows if _is_of(connection, found, row.id)]


def _adopt(connection: sa.Connection, found: Adjustment, posted: list[Any], key: str, fingerprint: bytes) -> str:
    asked = Asked(key, OperationKind.ADJUSTMENT, fingerprint, abs(found.points), found.member_id)
    known = adoption.adopt(connection, found.program_id, asked, posted)
    assert known is not None, "what fits is adopted"
    return known.id


def _is_of(connection: sa.Connection, found: Adjustment, operation_id: str) -> bool:
    """Whether a restored operation moved what was proposed, to or from whom it was proposed for."""
    rows = connection.execute(
        sa.select(entry.c.kind, entry.c.account_id, entry.c.amount, account.c.member_id)
        .join(account, account.c.id == entry.c.account_id)
        .where(entry.c.operation_id == operation_id)
    ).all()
    moved = sum(row.amount for row in rows)
    if moved != abs(found.points) or any(row.kind != _kind(found).value for row in rows):
        return False
    if found.account_id is not None:
        return all(row.account_id == found.account_id for row in rows)
    assert found.member_id is not None
    return all(
        row.member_id == found.member_id
        or (row.member_id is None and accounts.may_adopt(connection, row.account_id, found.member_id))
        for row in rows
    )


def _post(connection: sa.Connection, found: Adjustment, key: str, fingerprint: bytes, now_ms: int) -> str:
    """Queue the adjustment for the chain; its operation's id."""
    amount, name = Points(abs(found.points)), limit_of(found.points)
    limits.require(limits.capacity(connection, found.program_id, name), amount, name)
    if found.points > 0:
        taken: Mapping[int, list[Take[int]]] = {}
        amounts = {_landing(connection, found): amount}
    else:
        taken = _taken(connection, found, amount, now_ms)
        amounts = redemptions.amounts_of(taken)
    operation_id = new_id("operation")
    connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=OperationKind.ADJUSTMENT.value,
            program_id=found.program_id,
            member_id=found.member_id,
            points=amount,
            state=OperationState.ACCEPTED.value,
            idempotency_key=key,
            request_hash=fingerprint,
            tag=found.tag,
            stream_id=streams.for_program(connection, found.program_id).id,
            created_ms=now_ms,
        )
    )
    legs = [Leg(operation_id, account_id, each) for account_id, each in amounts.items()]
    entries.enter(connection, found.program_id, _kind(found), legs)
    if taken:
        spending.hold(connection, operation_id, list(taken.items()))
    else:
        (into,) = amounts
        _add_lot(connection, found.program_id, operation_id, into, amount, now_ms)
    events.operations_changed(connection, [(found.program_id, operation_id)], OperationState.ACCEPTED, now_ms)
    return operation_id


def _landing(connection: sa.Connection, found: Adjustment) -> int:
    """The account that points are given to. Raises InvalidAmount where the program's books can count no more."""
    earns.require_countable(earns.left_to_issue(connection, found.program_id), found.points)
    if found.member_id is None:
        return _nobodys(connection, found)
    return accounts.of_member(connection, found.member_id)[0].id


def _taken(connection: sa.Connection, found: Adjustment, amount: Points, now_ms: int) -> Mapping[int, list[Take[int]]]:
    """The lots that points are taken from, the first to expire first.

    Of an account that is nobody's expired points are taken like others: nobody spends or misses them. Raises
    InsufficientPoints, CannotSplit.
    """
    if found.member_id is not None:
        return spending.purse(connection, found.member_id, now_ms).take(amount)
    account_id = _nobodys(connection, found)
    held = lots.spendable(connection, [account_id])[account_id]
    there = sum(one.remaining for one in held)
    if there < amount:
        raise InsufficientPoints(
            f"{amount:,} points were to be taken, the account has {there:,}",
            field="points",
            limit=there,
            nearest=there or None,
        )
    return {account_id: draw(held, amount)}


def _nobodys(connection: sa.Connection, found: Adjustment) -> int:
    """The account that was named, if it is still nobody's and not frozen."""
    assert found.account_id is not None and found.account is not None
    there = accounts.odd_at(connection, found.program_id, found.account)
    assert there is not None, "accounts stay for ever"
    if there.member_id is not None:
        raise AdjustmentState(
            f"the account has turned out to be that of member {there.member_id}; reject this, and name the member",
            field="adjustment_id",
        )
    if there.frozen:
        raise AdjustmentState("the account is frozen; thaw it first", field="adjustment_id")
    return there.id


def _add_lot(
    connection: sa.Connection, program_id: str, operation_id: str, into: int, amount: Points, now_ms: int
) -> None:
    days = programs.by_id(connection, program_id).expiry_days
    connection.execute(
        lot.insert().values(
            account_id=into,
            operation_id=operation_id,
            amount=amount,
            remaining=amount,
            pending=False,
            earned_ms=now_ms,
            expires_ms=None if days is None else now_ms + days * DAY_MS,
        )
    )
