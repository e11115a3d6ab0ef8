"""Holds: points that a till authorises now and captures later, in parts or whole.

Until a hold ends, its points stay in their accounts and belong to nobody else: no redemption, swap or other hold finds
them, and their lots do not expire under the till. What is captured is a redemption (see `captures`); what is not goes
back to the lots that it came from when the hold is captured for the last time, voided, or its time is over. A lot whose
own time is over by then gets its points back expired.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from bridge.store import accounts, events, held_lots, limits, members, operations, pages, programs, requests, spending
from bridge.store.ids import new_id, request_hash
from bridge.store.redemptions import amounts_of
from bridge.store.schema import account, hold, hold_take, lot
from exchange.errors import HoldClosed, TooManyHolds, UnknownHold
from exchange.points import points

OPEN, CAPTURED, VOIDED, EXPIRED = "open", "captured", "voided", "expired"
#: How long a hold lasts unless the till says otherwise, and how long at the most.
LIFE_S_DEFAULT = 3_600
LIFE_S_MAX = 30 * 86_400
#: Open holds of one member.
OPEN_MAX = 100


@dataclass(frozen=True, slots=True)
class Hold:
    """Authorised points, how many of them are captured, and how the hold ended: `state` is open until then.

    One that ended by its time or by a void may have captures all the same. `closed_ms` of an expired one is when it
    expired, however much later its points were freed.
    """

    id: str
    program_id: str
    member_id: str
    points: int
    captured: int
    state: str
    expires_ms: int
    created_ms: int
    closed_ms: int | None = None

    @property
    def left(self) -> int:
        """What can still be captured."""
        return self.points - self.captured if self.state == OPEN else 0

    def at(self, now_ms: int) -> "Hold":
        """The hold as it stands at this moment: from `expires_ms` on it is expired, also before anybody closed it."""
        if self.state != OPEN or now_ms < self.expires_ms:
            return self
        return replace(self, state=EXPIRED, closed_ms=self.expires_ms)

    def as_authorised(self) -> "Hold":
        """The hold as it was at first."""
        return replace(self, captured=0, state=OPEN, closed_ms=None)

    def require_open(self) -> None:
        """Raises HoldClosed once it has ended."""
        if self.state != OPEN:
            raise HoldClosed(
                f"the hold is {self.state}, with {self.captured:,} of its {self.points:,} points captured: only an open"
                " hold is captured or voided",
                field="hold_id",
            )


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A hold as it was asked for; `life_s` None: as long as usual."""

    key: str
    member_id: str | None
    member_number: str | None
    points: int
    life_s: int | None = None

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        return request_hash("hold", self.member_id or f"#{self.member_number}", self.points, self.life_s)


def authorise(connection: sa.Connection, program_id: str, request: HoldRequest, now_ms: int) -> tuple[Hold, bool]:
    """Hold points for a till. Answers the hold as it was at first, and whether the request was answered before.

    Raises IdempotencyKeyReused, UnknownMember, InvalidAmount, OverLimit, InsufficientPoints, CannotSplit, TooManyHolds,
    ProgramNotActive.
    """
    before = operations.known(connection, program_id, [request.key]).get(request.key)
    if before is not None:
        before.require_same(request.fingerprint())
        return by_id(connection, before.id, program_id).as_authorised(), True
    life_s = LIFE_S_DEFAULT if request.life_s is None else request.life_s
    assert 1 <= life_s <= LIFE_S_MAX
    assert programs.by_id(connection, program_id).deployed_token
    amount = points(request.points)
    found = members.find(connection, program_id, member_id=request.member_id, member_number=request.member_number)
    _require_room(connection, found.id)
    taken = spending.purse(connection, found.id, now_ms).take(amount)
    limits.require(limits.capacity(connection, program_id, limits.REDEMPTION), amount, limits.REDEMPTION)
    made = Hold(new_id("hold"), program_id, found.id, amount, 0, OPEN, now_ms + life_s * 1000, now_ms)
    connection.execute(hold.insert().values(asdict(made)))
    held_lots.set_aside(connection, made.id, [one for takes in taken.values() for one in takes])
    move_held(connection, amounts_of(taken))
    requests.remember(
        connection, program_id, request.key, request_hash=request.fingerprint(), subject=made.id, now_ms=now_ms
    )
    _tell(connection, made, now_ms)
    return made, False


def void(connection: sa.Connection, program_id: str, key: str, hold_id: str, now_ms: int) -> tuple[Hold, bool]:
    """The till wants no more of a hold: what is left of it is free. Answers whether the request was answered before.

    Raises IdempotencyKeyReused, UnknownHold, HoldClosed.
    """
    asked = request_hash("void", hold_id)
    before = operations.known(connection, program_id, [key]).get(key)
    if before is not None:
        before.require_same(asked)
        return by_id(connection, before.id, program_id), True
    found = by_id(connection, hold_id, program_id).at(now_ms)
    found.require_open()
    requests.remember(connection, program_id, key, request_hash=asked, subject=hold_id, now_ms=now_ms)
    return _close(connection, found, VOIDED, now_ms), False


def due_since(connection: sa.Connection, now_ms: int) -> int | None:
    """Since when the first open hold is over; None: none is."""
    return connection.scalar(
        sa.select(hold.c.expires_ms)
        .where(sa.text("hold.state = 'open'"), hold.c.expires_ms <= now_ms)
        .order_by(hold.c.expires_ms)
        .limit(1)
    )


def expire(connection: sa.Connection, now_ms: int, most: int) -> int:
    """End holds whose time is over, the first to expire first; how many were ended.

    At most so many, and no more than have so many lots in all; but one of them however many it has.
    """
    lots_of = sa.select(sa.func.count()).where(hold_take.c.hold_id == hold.c.id).scalar_subquery()
    rows = connection.execute(
        sa.select(hold, lots_of)
        .where(sa.text("hold.state = 'open'"), hold.c.expires_ms <= now_ms)
        .order_by(hold.c.expires_ms, hold.c.id)
        .limit(most)
    ).all()
    ended = given_back = 0
    for *fields, there in rows:
        given_back += there
        if ended and given_back > most:
            break
        _close(connection, Hold(*fields), EXPIRED, now_ms)
        ended += 1
    return ended


def captured(
    connection: sa.Connection, found: Hold, operation_id: str, amount: int, now_ms: int, *, last: bool
) -> None:
    """So many points of an open hold are captured by this operation; it ends when they were the last, or are to be."""
    after = replace(found, captured=found.captured + amount)
    connection.execute(hold.update().where(hold.c.id == found.id).values(captured=after.captured))
    if last or after.left == 0:
        _close(connection, after, CAPTURED, now_ms, operation_id)
    else:
        _tell(connection, after, now_ms, operation_id)


def give_way(connection: sa.Connection, account_id: int, amount: int, now_ms: int) -> None:
    """The chain took points of an account that holds have here: the newest of them end, until so many are free.

    A hold is this ledger's own promise, and what the chain did is done.
    """
    whose = sa.select(account.c.member_id).where(account.c.id == account_id).scalar_subquery()
    rows = connection.execute(
        sa.select(hold, sa.func.sum(hold_take.c.amount).label("there"))
        .join(hold_take, hold_take.c.hold_id == hold.c.id)
        .join(lot, lot.c.id == hold_take.c.lot_id)
        .where(lot.c.account_id == account_id, hold.c.member_id == whose, hold.c.state == OPEN)
        .group_by(hold.c.id)
        .order_by(hold.c.id.desc())
    ).all()
    for *fields, there in rows:
        if amount <= 0:
            return
        _close(connection, Hold(*fields), VOIDED, now_ms)
        amount -= int(there)


def find(connection: sa.Connection, program_id: str, hold_id: str) -> Hold | None:
    """A hold of this program, None where there is no such one."""
    row = connection.execute(sa.select(hold).where(hold.c.id == hold_id, hold.c.program_id == program_id)).one_or_none()
    return None if row is None else Hold(**row._mapping)


def by_id(connection: sa.Connection, hold_id: str, program_id: str | None) -> Hold:
    """The hold with this id, of this program (None: of any). Raises UnknownHold."""
    row = connection.execute(sa.select(hold).where(hold.c.id == hold_id)).one_or_none()
    if row is None or program_id not in (None, row.program_id):
        raise UnknownHold(f"there is no hold {hold_id}", field="hold_id")
    return Hold(**row._mapping)


def open_of(connection: sa.Connection, member_ids: list[str]) -> list[Hold]:
    """The open holds of these members, oldest first."""
    rows = connection.execute(
        sa.select(hold).where(hold.c.member_id.in_(member_ids), hold.c.state == OPEN).order_by(hold.c.id)
    )
    return [Hold(**row._mapping) for row in rows]


def left_in(connection: sa.Connection, program_id: str) -> int:
    """What all open holds of a program have left."""
    left = sa.select(sa.func.coalesce(sa.func.sum(hold.c.points - hold.c.captured), 0))
    return int(connection.scalar(left.where(sa.text("hold.state = 'open'"), hold.c.program_id == program_id)) or 0)


def page(connection: sa.Connection, member_id: str, ask: pages.Ask) -> pages.Page[Hold]:
    """A member's holds, newest first."""
    query = sa.select(hold).where(hold.c.member_id == member_id)
    return pages.read(connection, query, hold.c.id, ask, lambda row: Hold(**row._mapping), newest_first=True)


def move_held(connection: sa.Connection, amounts: Mapping[int, int], sign: int = 1) -> None:
    """So many points of each account are held from now on; with -1, no more."""
    changes = accounts.Changes()
    for account_id, amount in amounts.items():
        changes.add(account_id, "held", sign * amount)
    changes.apply(connection)


def _close(connection: sa.Connection, found: Hold, state: str, now_ms: int, operation_id: str | None = None) -> Hold:
    closed = replace(found, state=state, closed_ms=found.expires_ms if state == EXPIRED else now_ms)
    done = connection.execute(
        hold.update().where(hold.c.id == found.id, hold.c.state == OPEN).values(state=state, closed_ms=closed.closed_ms)
    )
    assert done.rowcount == 1, f"the hold {found.id} had ended before"
    freed = held_lots.give_back(connection, found.id)
    assert sum(freed.values()) == found.points - found.captured, f"the hold {found.id} had not what was left of it"
    move_held(connection, freed, -1)
    _tell(connection, closed, now_ms, operation_id)
    return closed


def _require_room(connection: sa.Connection, member_id: str) -> None:
    there = connection.scalar(
        sa.select(sa.func.count()).select_from(hold).where(hold.c.member_id == member_id, hold.c.state == OPEN)
    )
    if there is not None and there >= OPEN_MAX:
        raise TooManyHolds(
            f"the member has {there} open holds, the most that one member may have", field="member_id", limit=OPEN_MAX
        )


def _tell(connection: sa.Connection, found: Hold, now_ms: int, operation_id: str | None = None) -> None:
    told: dict[str, Any] = {
        "member_id": found.member_id,
        "points": found.points,
        "captured": found.captured,
        "left": found.left,
        "operation_id": operation_id,
    }
    events.subject_changed(connection, found.program_id, found.id, found.state, told, now_ms)
