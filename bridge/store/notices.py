"""Notices: each member is told once, some days ahead, of all that expires on a day.

How far a program's members were told is kept for each of its leads, so that a day is gone through once: by how it is
kept whoever goes on after a stop, however long, tells what is still to be told. What is told is what is there then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import events
from bridge.store.schema import EXPIRING, account, expiry_notice, lot, notice_reach, program
from exchange.days import day_of, name_of, next_second, start_of
from exchange.notices import days_to_tell

#: What the event of a notice says.
EXPIRING_SOON = "expiring"

_EXPIRING = sa.text(EXPIRING)


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the order in which lots expire: behind the lot of this id among those of this millisecond."""

    expires_ms: int
    lot_id: int = 0

    def __lt__(self, other: "_Place") -> bool:
        return (self.expires_ms, self.lot_id) < (other.expires_ms, other.lot_id)


@dataclass(frozen=True, slots=True)
class Round:
    """What is to be gone through now of one program with one lead."""

    program_id: str
    lead_days: int
    begin: _Place
    end: _Place


def next_round(connection: sa.Connection, now_ms: int) -> Round | None:
    """The first program and lead of which something is to be gone through; None: all was told that is to be told."""
    rows = connection.execute(
        sa.select(program.c.id, program.c.notice_days)
        .where(sa.cast(program.c.notice_days, sa.Text) != "[]")
        .order_by(program.c.id)
    ).all()
    if not rows:
        return None
    reached = {
        (row.program_id, row.lead_days): _Place(row.expires_ms, row.lot_id)
        for row in connection.execute(sa.select(notice_reach))
    }
    for row in rows:
        for lead in sorted(row.notice_days):
            found = _round(row.id, row.notice_days, lead, reached.get((row.id, lead)), now_ms)
            if found is not None:
                return found
    return None


def due_since(connection: sa.Connection, now_ms: int) -> int | None:
    """Since when there is something to be gone through: since this day began; None: there is nothing."""
    return None if next_round(connection, now_ms) is None else start_of(day_of(now_ms))


def _round(program_id: str, leads: Iterable[int], lead: int, reached: _Place | None, now_ms: int) -> Round | None:
    days = days_to_tell(leads, lead, day_of(now_ms))
    begin, end = _Place(start_of(days.start)), _Place(start_of(days.stop))
    if reached is not None and begin < reached:
        begin = reached
    if end < begin:  # the clock was set back: the days in between are gone through again, and nobody is told twice
        return Round(program_id, lead, end, end)
    return Round(program_id, lead, begin, end) if begin < end else None


def tell_next(connection: sa.Connection, now_ms: int, most: int) -> int:
    """Go on with the next round by up to `most` lots; how many there were, and one more for a round that is done."""
    found = next_round(connection, now_ms)
    if found is None:
        return 0
    place = sa.tuple_(lot.c.expires_ms, lot.c.id)
    # First so many lots of whatever program, then whose they are: so they are found by the index of what expires.
    part = (
        sa.select(lot.c.id, lot.c.expires_ms, lot.c.account_id)
        .where(_EXPIRING, lot.c.expires_ms >= found.begin.expires_ms, lot.c.expires_ms < found.end.expires_ms)
        .where(place > sa.tuple_(sa.literal(found.begin.expires_ms), sa.literal(found.begin.lot_id)))
        .order_by(lot.c.expires_ms, lot.c.id)
        .limit(most)
        .subquery()
    )
    whose = sa.case((account.c.program_id == found.program_id, account.c.member_id))
    rows = connection.execute(
        sa.select(part.c.id, part.c.expires_ms, whose.label("member_id"))
        .join(account, account.c.id == part.c.account_id)
        .order_by(part.c.expires_ms, part.c.id)
    ).all()
    for day in sorted({day_of(row.expires_ms) for row in rows}):
        theirs = {row.member_id for row in rows if day_of(row.expires_ms) == day} - {None}
        _tell(connection, found, day, sorted(theirs), now_ms)
    done = len(rows) < most
    _reach(connection, found, found.end if done else _Place(rows[-1].expires_ms, rows[-1].id))
    return len(rows) + done


def _tell(connection: sa.Connection, by: Round, day: int, member_ids: Sequence[str], now_ms: int) -> None:
    """Tell those of these members who were not told yet of all that expires on the day."""
    notice = expiry_notice.c
    told = sa.select(notice.member_id).where(
        notice.member_id.in_(member_ids), notice.day == day, notice.lead_days == by.lead_days
    )
    left = set(member_ids) - set(connection.execute(told).scalars())
    rows: list[dict[str, Any]] = [
        {
            "member_id": member_id,
            "day": day,
            "lead_days": by.lead_days,
            "program_id": by.program_id,
            "points": points,
            "created_ms": now_ms,
        }
        for member_id, points in _expiring(connection, sorted(left), day, now_ms)
    ]
    if not rows:
        return
    connection.execute(expiry_notice.insert(), rows)
    about = {
        row["member_id"]: {"day": name_of(day), "points": row["points"], "lead_days": by.lead_days} for row in rows
    }
    events.subjects_changed(connection, by.program_id, about, EXPIRING_SOON, now_ms)


def _expiring(connection: sa.Connection, member_ids: Sequence[str], day: int, now_ms: int) -> list[tuple[str, int]]:
    """What of these members' points expires on the day, and has not yet; those of whom nothing does are left out."""
    rows = connection.execute(
        sa.select(account.c.member_id, sa.func.sum(lot.c.remaining))
        .join(lot, lot.c.account_id == account.c.id)
        .where(account.c.member_id.in_(member_ids), account.c.frozen.is_(False), _EXPIRING)
        .where(lot.c.expires_ms >= max(start_of(day), next_second(now_ms)), lot.c.expires_ms < start_of(day + 1))
        .group_by(account.c.member_id)
        .order_by(account.c.member_id)
    )
    return [(member_id, int(points)) for member_id, points in rows]


def _reach(connection: sa.Connection, found: Round, place: _Place) -> None:
    key = notice_reach.c.program_id == found.program_id, notice_reach.c.lead_days == found.lead_days
    values = {"expires_ms": place.expires_ms, "lot_id": place.lot_id}
    if connection.execute(notice_reach.update().where(*key).values(values)).rowcount == 0:
        connection.execute(
            notice_reach.insert().values(program_id=found.program_id, lead_days=found.lead_days, **values)
        )
