"""Days in UTC, by number since 1970: what is told and listed by the day begins and ends with them."""

from datetime import date

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()


def day_of(moment_ms: int) -> int:
    """The day in which a moment (milliseconds since 1970) falls."""
    return moment_ms // DAY_MS


def start_of(day: int) -> int:
    """The first millisecond of a day."""
    return day * DAY_MS


def next_second(moment_ms: int) -> int:
    """The first millisecond of the next second: what expires before it has expired, since lots count in seconds."""
    return (moment_ms // 1000 + 1) * 1000


def name_of(day: int) -> str:
    """A day as people write it, such as 2026-12-01."""
    return date.fromordinal(_EPOCH + day).isoformat()
