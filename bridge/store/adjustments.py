"""Adjustments: points given or taken by hand, and frozen accounts thawed: one person proposes, another approves.

A proposal changes nothing. Once it is approved it becomes an operation, or thaws the account; rejected or lapsed it
stays as it is. All of them are kept for ever, with both persons, their keys, when and why.

What the chain knows the operation by comes from the proposal's idempotency key. So a ledger that was restored from an
older copy finds what was posted, whoever approves it there again, and under whichever key.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import accounts, events, keys, limits, members, operations, pages, programs, requests, thaws
from bridge.store.accounts import UnknownAccount
from bridge.store.ids import new_id, request_hash
from bridge.store.keys import ApiKey
from bridge.store.schema import account, adjustment
from bridge.store.texts import REASON_LENGTH_MAX, plain
from exchange.days import DAY_MS
from exchange.errors import Conflict, InvalidAmount, NotFound, Unauthenticated
from exchange.points import POINTS_MAX, Points, points
from exchange.words import entry_tag

PROPOSED, APPROVED, REJECTED, LAPSED = "proposed", "approved", "rejected", "lapsed"
STATES = (PROPOSED, APPROVED, REJECTED, LAPSED)
#: How long a proposal can be approved.
LIFE_MS = 7 * DAY_MS
#: Proposals of one program that wait for an answer.
OPEN_MAX = 100
#: What stands in place of points where the account is to be thawed.
THAW = 0


class UnknownAdjustment(NotFound):
    """Raised when the caller's program has no such adjustment."""

    type = "unknown-adjustment"


class AdjustmentState(Conflict):
    """Raised when an adjustment is decided that was decided before, or whose time is over."""

    type = "adjustment-state"


class TooManyAdjustments(Conflict):
    """Raised when as many proposals of a program wait as may."""

    type = "too-many-adjustments"


@dataclass(frozen=True, slots=True)
class Proposal:
    """An adjustment as it is asked for: a member by id or number, or an account; `points` None thaws the account."""

    key: str
    member_id: str | None
    member_number: str | None
    account: bytes | None
    points: int | None
    reason: str

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        named = self.account.hex() if self.account is not None else self.member_id or f"#{self.member_number}"
        return request_hash("adjustment", named, self.points, self.reason)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A proposal and what became of it. `points` are THAW where `account`, which is an address, is to be thawed."""

    id: str
    program_id: str
    member_id: str | None
    account_id: int | None
    account: bytes | None
    points: int
    reason: str
    state: str
    tag: bytes
    proposed_by: str
    proposed_key: str
    decided_by: str | None
    decided_key: str | None
    note: str | None
    operation_id: str | None
    created_ms: int
    expires_ms: int
    decided_ms: int | None

    @property
    def thaws(self) -> bool:
        """Whether it is about a frozen account and not about points."""
        return self.points == THAW

    def as_proposed(self) -> "Adjustment":
        """What it was at first, for a repeat of the request."""
        undecided: dict[str, Any] = dict.fromkeys(("decided_by", "decided_key", "note", "operation_id", "decided_ms"))
        return dataclasses.replace(self, state=PROPOSED, **undecided)


# -- reading ----------------------------------------------------------------------------------


def _select() -> sa.Select[Any]:
    return sa.select(adjustment, account.c.address.label("account")).outerjoin(
        account, account.c.id == adjustment.c.account_id
    )


def by_id(connection: sa.Connection, adjustment_id: str, program_id: str | None = None) -> Adjustment:
    """The adjustment with this id, of this program where one is named. Raises UnknownAdjustment."""
    row = connection.execute(_select().where(adjustment.c.id == adjustment_id)).one_or_none()
    if row is None or (program_id is not None and row.program_id != program_id):
        raise UnknownAdjustment(f"there is no adjustment {adjustment_id} in this program", field="adjustment_id")
    return Adjustment(**row._mapping)


def page(
    connection: sa.Connection,
    program_id: str | None,
    ask: pages.Ask,
    *,
    state: str | None = None,
    member_id: str | None = None,
) -> pages.Page[Adjustment]:
    """Adjustments of a program (None: of all), newest first."""
    query = _select()
    for column, wanted in (("program_id", program_id), ("state", state), ("member_id", member_id)):
        if wanted is not None:
            query = query.where(adjustment.c[column] == wanted)
    return pages.read(
        connection, query, adjustment.c.id, ask, lambda row: Adjustment(**row._mapping), newest_first=True
    )


# -- proposing --------------------------------------------------------------------------------


def propose(connection: sa.Connection, caller: ApiKey, asked: Proposal, now_ms: int) -> tuple[Adjustment, bool]:
    """Propose an adjustment or a thaw. Answers it, and whether it was proposed before.

    Raises IdempotencyKeyReused, ProgramNotActive, UnknownMember, UnknownAccount, InvalidAmount, OverLimit, UnfitText,
    NotFrozen, TooManyAdjustments.
    """
    program_id, person = require_live(connection, caller)
    before = operations.known(connection, program_id, [asked.key]).get(asked.key)
    if before is not None:
        before.require_same(asked.fingerprint())
        return by_id(connection, before.id).as_proposed(), True
    assert programs.by_id(connection, program_id).deployed_token
    reason = plain(asked.reason, "reason", REASON_LENGTH_MAX)
    member_id, account_id = _whose(connection, program_id, asked)
    if asked.points is None:
        assert account_id is not None, "an account is thawed, not a member"
        thaws.require_frozen(connection, account_id)
    else:
        _require_possible(connection, program_id, asked.points)
    _require_room(connection, program_id)
    adjustment_id = new_id("adjustment")
    connection.execute(
        adjustment.insert().values(
            id=adjustment_id,
            program_id=program_id,
            member_id=member_id,
            account_id=account_id,
            points=THAW if asked.points is None else asked.points,
            reason=reason,
            state=PROPOSED,
            tag=entry_tag(program_id, asked.key),
            proposed_by=person,
            proposed_key=caller.id,
            created_ms=now_ms,
            expires_ms=now_ms + LIFE_MS,
        )
    )
    requests.remember(
        connection,
        program_id,
        asked.key,
        request_hash=asked.fingerprint(),
        subject=adjustment_id,
        now_ms=now_ms,
    )
    made = by_id(connection, adjustment_id)
    tell(connection, made, person, now_ms)
    return made, False


def require_live(connection: sa.Connection, caller: ApiKey) -> tuple[str, str]:
    """The program and person that a key speaks for. Raises Unauthenticated when it was revoked a moment ago."""
    assert caller.program_id is not None and caller.person is not None, "such a key is a program's and a person's"
    if not keys.is_live(connection, caller.id):
        raise Unauthenticated("the API key is unknown, wrong or revoked")
    return caller.program_id, caller.person


def _whose(connection: sa.Connection, program_id: str, asked: Proposal) -> tuple[str | None, int | None]:
    """The member, or the account: one to be thawed is anybody's, one whose points change is nobody's."""
    if asked.account is None:
        found = members.find(connection, program_id, member_id=asked.member_id, member_number=asked.member_number)
        return found.id, None
    there = accounts.odd_at(connection, program_id, asked.account)
    if there is None:
        raise UnknownAccount(f"the program has no managed account at 0x{asked.account.hex()}", field="account")
    if asked.points is not None and there.member_id is not None:
        raise UnknownAccount(f"this account is that of member {there.member_id}: name the member", field="account")
    return None, there.id


def _amount(change: int) -> Points:
    """How many points a change moves, whichever way. Raises InvalidAmount."""
    if change == 0:
        raise InvalidAmount("an adjustment gives or takes at least one point", field="points")
    try:
        return points(abs(change))
    except InvalidAmount as refusal:
        if change < 0:
            refusal.limit = refusal.nearest = -POINTS_MAX
        raise


def _require_possible(connection: sa.Connection, program_id: str, change: int) -> None:
    """No proposal is taken that no batch could ever carry. Raises InvalidAmount, OverLimit."""
    name = limit_of(change)
    limits.require(limits.capacity(connection, program_id, name), _amount(change), name)


def limit_of(change: int) -> str:
    """Which limit of the chain a change of points comes under."""
    return limits.ISSUANCE if change > 0 else limits.REDEMPTION


def _require_room(connection: sa.Connection, program_id: str) -> None:
    waiting = connection.scalar(
        sa.select(sa.func.count()).where(adjustment.c.program_id == program_id, adjustment.c.state == PROPOSED)
    )
    if (waiting or 0) >= OPEN_MAX:
        raise TooManyAdjustments(
            f"{OPEN_MAX} proposals wait for an answer; approve or reject some of them first", limit=OPEN_MAX
        )


# -- afterwards ------------------------------------------------------------------------------


def due_since(connection: sa.Connection, now_ms: int) -> int | None:
    """Since when the first proposal whose time is over waits to be closed; None: there is none."""
    first = connection.scalar(sa.select(sa.func.min(adjustment.c.expires_ms)).where(sa.text("state = 'proposed'")))
    return None if first is None or first > now_ms else int(first)


def lapse(connection: sa.Connection, now_ms: int, most: int) -> int:
    """Close proposals whose time is over, at most so many. Answers how many."""
    rows = connection.execute(
        _select()
        .where(adjustment.c.state == PROPOSED, adjustment.c.expires_ms <= now_ms)
        .order_by(adjustment.c.expires_ms, adjustment.c.id)
        .limit(most)
    ).all()
    for row in rows:
        connection.execute(adjustment.update().where(adjustment.c.id == row.id).values(state=LAPSED, decided_ms=now_ms))
        tell(connection, by_id(connection, row.id), None, now_ms)
    return len(rows)


def tell(connection: sa.Connection, one: Adjustment, by: str | None, now_ms: int) -> None:
    """Say in the stream of events what state an adjustment has reached, and by whom."""
    told = {
        "member_id": one.member_id,
        "account": None if one.account is None else f"0x{one.account.hex()}",
        "points": one.points,
        "by": by,
        "operation_id": one.operation_id,
    }
    events.subject_changed(connection, one.program_id, one.id, one.state, told, now_ms)
