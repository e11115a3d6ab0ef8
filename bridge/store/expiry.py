"""Expiry: points whose time is over leave the books and, by an entry of their own, the chain.

Only managed accounts: what lies in a wallet is the holder's. Nobody spends what is expired, so nothing hangs on how
soon it is taken; and all writes come one after another, so what a redemption, a hold or a swap took before is theirs.
If it comes back, its time is still over, and it goes in the next round; a debt that was made for it falls by as much.

What is left alone is set `aside`, so that it is not found again each time: of a wallet, of a frozen account, of an
account that is nobody's, and what no batch could burn. Whoever makes an account a member's, lets it be spent from again
or raises the limit looks again (`lots.look_again`, `lots.look_again_in`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import accounts, debts, entries, events, expired_earns, limits, lots, pages, streams
from bridge.store.entries import Leg
from bridge.store.ids import new_id
from bridge.store.schema import EXPIRING, account, lot, lot_take, operation, program_limit
from exchange.days import DAY_MS, next_second
from exchange.legs import ACCOUNTS_MAX
from exchange.lots import Take
from exchange.operations import OperationKind, OperationState
from exchange.points import Points
from exchange.words import EntryKind, entry_tag

_EXPIRING = sa.text(EXPIRING)


@dataclass(frozen=True, slots=True)
class ExpiringDay:
    """What of a member's points expires on a day (in UTC, since 1970), and when the first of it does."""

    day: int
    points: int
    first_ms: int


@dataclass(frozen=True, slots=True)
class _Due:
    """A lot whose time is over, in an account from which it can be taken."""

    lot_id: int
    account_id: int
    member_id: str
    program_id: str
    #: what is taken of it: as much of what remains as one batch lets expire
    points: int
    #: the most that expires in one batch
    most: int


@dataclass(frozen=True, slots=True)
class _Made:
    """An expiry of one member: what it takes."""

    operation_id: str
    taken: Sequence[_Due]
    #: the earn that it is of alone, where its reversals may have made a debt
    earn_id: str | None = None

    @property
    def points(self) -> int:
        return sum(one.points for one in self.taken)


def due_since(connection: sa.Connection, now_ms: int) -> int | None:
    """Since when the first lot that is to be dealt with has expired; None: none has."""
    row = connection.execute(_due(now_ms).limit(1)).first()
    return None if row is None else row.expires_ms


def expire_due(connection: sa.Connection, now_ms: int, most: int) -> int:
    """Deal with up to `most` lots whose time is over, the first first; how many.

    What is left of them is taken by one operation for each member, or they are set aside. Of a lot that is more than
    one batch lets expire so much is taken, and the rest of it is due as before.
    """
    rows = connection.execute(_due(now_ms).limit(most)).all()
    aside = [row.id for row in rows if _is_left_alone(row)]
    if aside:
        connection.execute(lot.update().where(lot.c.id.in_(aside)).values(aside=True))
    of_member: dict[str, list[_Due]] = defaultdict(list)
    for row in rows:
        if not _is_left_alone(row):
            of_member[row.member_id].append(_of(row))
    made = _made(connection, of_member)
    for program_id in sorted({one.taken[0].program_id for one in made}):
        _take(connection, program_id, [one for one in made if one.taken[0].program_id == program_id], now_ms)
    return len(rows)


def of_member(connection: sa.Connection, member_id: str, now_ms: int, ask: pages.Ask) -> pages.Page[ExpiringDay]:
    """All days on which points of a member expire, the first first. What is frozen does not."""
    # Written out: with a parameter in it, PostgreSQL would not see that it groups by what it selects.
    day = (lot.c.expires_ms // sa.literal_column(str(DAY_MS), sa.BigInteger)).label("day")
    days = (
        sa.select(day, sa.func.sum(lot.c.remaining).label("points"), sa.func.min(lot.c.expires_ms).label("first_ms"))
        .join(account, account.c.id == lot.c.account_id)
        .where(account.c.member_id == member_id, account.c.frozen.is_(False))
        .where(_EXPIRING, lot.c.expires_ms >= next_second(now_ms))
        .group_by(day)
        .subquery()
    )
    return pages.read(
        connection,
        sa.select(days),
        days.c.day,
        ask,
        lambda row: ExpiringDay(row.day, int(row.points), row.first_ms),
    )


def _due(now_ms: int) -> sa.Select[Any]:
    """Lots whose time is over, the first first."""
    return (
        sa.select(
            lot.c.id,
            lot.c.account_id,
            lot.c.remaining,
            lot.c.expires_ms,
            account.c.kind,
            account.c.frozen,
            account.c.member_id,
            account.c.program_id,
            program_limit.c.capacity,
        )
        .join(account, account.c.id == lot.c.account_id)
        .join(program_limit, program_limit.c.program_id == account.c.program_id)
        .where(_EXPIRING, lot.c.expires_ms < next_second(now_ms))
        .where(program_limit.c.name == limits.REDEMPTION)
        .order_by(lot.c.expires_ms, lot.c.id)
    )


def _is_left_alone(row: Any) -> bool:
    return bool(row.kind != accounts.MEMBER or row.frozen or row.remaining > row.capacity)


def _of(row: Any) -> _Due:
    most = limits.expiring_max(row.capacity)
    return _Due(row.id, row.account_id, row.member_id, row.program_id, min(row.remaining, most), most)


def _made(connection: sa.Connection, of_member: Mapping[str, Sequence[_Due]]) -> list[_Made]:
    """What is to expire, member by member; of who owes something, each earn that was taken back by itself."""
    owing = debts.of_members(connection, of_member)
    lot_ids = [one.lot_id for member_id in owing for one in of_member[member_id]]
    earns = expired_earns.reversed_among(connection, lot_ids)
    made = []
    for found in of_member.values():
        by_earn: dict[str | None, list[_Due]] = defaultdict(list)
        for one in found:
            by_earn[earns.get(one.lot_id)].append(one)
        made += [_Made(new_id("operation"), part, earn_id) for earn_id, due in by_earn.items() for part in _parts(due)]
    return made


def _parts(found: Iterable[_Due]) -> list[list[_Due]]:
    """A member's lots in parts each of which can expire in one batch."""
    parts: list[list[_Due]] = []
    points, touched = 0, set[int]()
    for one in found:
        points += one.points
        touched.add(one.account_id)
        if not parts or points > one.most or len(touched) > ACCOUNTS_MAX:
            parts.append([])
            points, touched = one.points, {one.account_id}
        parts[-1].append(one)
    return parts


def _take(connection: sa.Connection, program_id: str, made: Sequence[_Made], now_ms: int) -> None:
    stream_id = streams.for_program(connection, program_id).id
    connection.execute(
        operation.insert(),
        [
            {
                "id": one.operation_id,
                "kind": OperationKind.EXPIRY.value,
                "program_id": program_id,
                "member_id": one.taken[0].member_id,
                "points": one.points,
                "state": OperationState.ACCEPTED.value,
                # It has no key of its own: nobody asked for it.
                "tag": entry_tag(program_id, f"{one.operation_id}:{OperationKind.EXPIRY.value}"),
                "after_id": one.earn_id,
                "stream_id": stream_id,
                "created_ms": now_ms,
            }
            for one in made
        ],
    )
    legs = []
    for one in made:
        of_account: dict[int, int] = defaultdict(int)
        for each in one.taken:
            of_account[each.account_id] += each.points
        legs += [Leg(one.operation_id, account_id, amount) for account_id, amount in of_account.items()]
    entries.enter(connection, program_id, EntryKind.EXPIRY, legs)
    lots.draw_down(connection, [Take(each.lot_id, Points(each.points)) for one in made for each in one.taken])
    connection.execute(
        lot_take.insert(),
        [
            {"operation_id": one.operation_id, "lot_id": each.lot_id, "amount": each.points}
            for one in made
            for each in one.taken
        ],
    )
    for one in made:
        if one.earn_id is not None:
            expired_earns.settle(connection, one.operation_id, one.earn_id, one.taken[0].member_id, one.points)
    told = [(program_id, one.operation_id) for one in made]
    events.operations_changed(connection, told, OperationState.ACCEPTED, now_ms)
