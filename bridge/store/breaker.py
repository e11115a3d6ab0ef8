"""The breaker: while it is tripped nothing is posted. What tripped it and who reset it is kept for good."""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from bridge.store.schema import breaker, breaker_event
from exchange.errors import Conflict

#: What one answer tells of the past.
HISTORY_MAX = 50


class NewAlarm(Conflict):
    """Raised when posting is to go on, and something was found that whoever asks has not seen."""

    type = "new-alarm"


class Alarm(StrEnum):
    """Why posting stops. Each has a page in docs/runbook."""

    BOOKS_DIFFER = "books-differ"
    FOREIGN_BATCH = "foreign-batch"
    FOREIGN_NONCE = "foreign-nonce"
    DEEP_REORGANISATION = "deep-reorganisation"
    UNKNOWN_POINTS = "unknown-points"
    BY_HAND = "by-hand"


@dataclass(frozen=True, slots=True)
class Tripped:
    """The alarm that stopped posting, what was found, and when."""

    alarm: Alarm
    reason: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Past:
    """One time that it was tripped (`alarm` says why) or reset (`alarm` is None), and what was said then."""

    id: int
    at_ms: int
    alarm: Alarm | None
    reason: str


def trip(connection: sa.Connection, alarm: Alarm, reason: str, now_ms: int) -> None:
    """Stop posting. The first alarm stays; what is found while it stands is kept beside it.

    Books that differ are found again at every look until they are mended: that is one finding, in its newest words.
    """
    last = connection.execute(sa.select(breaker_event).order_by(breaker_event.c.id.desc()).limit(1)).one_or_none()
    if last is not None and last.alarm == alarm.value and (last.reason == reason or alarm is Alarm.BOOKS_DIFFER):
        connection.execute(breaker_event.update().where(breaker_event.c.id == last.id).values(reason=reason))
        return
    connection.execute(breaker_event.insert().values(at_ms=now_ms, alarm=alarm.value, reason=reason))
    if state(connection) is None:
        connection.execute(breaker.insert().values(id=1, alarm=alarm.value, reason=reason, tripped_ms=now_ms))


def state(connection: sa.Connection) -> Tripped | None:
    """Why posting is stopped, or None while it goes on."""
    row = connection.execute(sa.select(breaker)).one_or_none()
    return None if row is None else Tripped(Alarm(row.alarm), row.reason, row.tripped_ms)


def reason(connection: sa.Connection) -> str | None:
    """What was found when posting was stopped, or None while it goes on."""
    stopped = state(connection)
    return None if stopped is None else stopped.reason


def is_tripped(connection: sa.Connection) -> bool:
    """Whether posting is stopped."""
    return state(connection) is not None


def reset(connection: sa.Connection, reason: str, now_ms: int, seen: int | None = None) -> None:
    """Let posting go on, for this reason. Where it goes on already nothing is done.

    `seen` is the newest finding that the one who asks knows of. Raises NewAlarm when there is a newer one.
    """
    newest = connection.scalar(sa.select(sa.func.max(breaker_event.c.id))) or 0
    if seen is not None and newest > seen:
        raise NewAlarm(
            f"something was found since finding {seen}; look at it first", field="seen", limit=seen, nearest=newest
        )
    if connection.execute(breaker.delete()).rowcount:
        connection.execute(breaker_event.insert().values(at_ms=now_ms, alarm=None, reason=reason))


def history(connection: sa.Connection) -> list[Past]:
    """When it was tripped and reset, the newest first, at most HISTORY_MAX."""
    rows = connection.execute(sa.select(breaker_event).order_by(breaker_event.c.id.desc()).limit(HISTORY_MAX))
    return [Past(row.id, row.at_ms, None if row.alarm is None else Alarm(row.alarm), row.reason) for row in rows]
