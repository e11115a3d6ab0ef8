"""The keeper: does what is due by time. Points come, holds and proposals end, points expire, members are told ahead.

Each kind is found by an index of its own and done in transactions of bounded size, the first due first, until nothing
is due; so after a stop, however long, all of it is made up for. All of it is idempotent: what was done is due no more.
A ledger that recovers keeps no times, since what is due by it may be on the chain already.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from bridge.posting.clock import Clock
from bridge.posting.fenced import Writer
from bridge.store import adjustments, chainstate, expiry, holds, notices, pending_earns
from bridge.store.database import Database

#: How much of one kind is done in one transaction: others wait for the ledger meanwhile.
DUE_MAX = 200


@dataclass(frozen=True, slots=True)
class _Duty:
    """One kind of what is due: since when the first of it is, and how to do up to so much of it."""

    due_since: Callable[[sa.Connection, int], int | None]
    do: Callable[[sa.Connection, int, int], int]


#: In their order: points come before they expire, and who is told of what expires is told what is left.
DUTIES = (
    _Duty(pending_earns.due_since, pending_earns.release_due),
    _Duty(holds.due_since, holds.expire),
    _Duty(expiry.due_since, expiry.expire_due),
    _Duty(notices.due_since, notices.tell_next),
    _Duty(adjustments.due_since, adjustments.lapse),
)


class Keeper:
    """Keeps times; `step` does a bounded part of what is due now."""

    def __init__(self, *, database: Database, writer: Writer, clock: Clock, most: int = DUE_MAX) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock
        self._most = most

    def step(self) -> bool:
        """Do up to so much of each kind as one transaction takes. Answers whether anything was done."""
        now_ms = self._clock()
        with self._database.read() as connection:
            if chainstate.recovery(connection) is not None:
                return False
            due = [one for one in DUTIES if one.due_since(connection, now_ms) is not None]
        done = 0
        for one in due:
            done += self._writer.run(partial(self._do, one, now_ms), self._most)
        return done > 0

    def _do(self, duty: _Duty, now_ms: int, connection: sa.Connection) -> int:
        if chainstate.recovery(connection) is not None:
            return 0
        return duty.do(connection, now_ms, self._most)


def behind_ms(connection: sa.Connection, now_ms: int) -> int:
    """For how long what is due has waited for the keeper; 0 where nothing does."""
    since = (one.due_since(connection, now_ms) for one in DUTIES)
    return max((max(0, now_ms - one) for one in since if one is not None), default=0)
