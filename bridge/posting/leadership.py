"""Leadership: the leases that this process holds, taken where they are free and renewed in time.

They are renewed in a thread of its own, so that neither a slow node nor a crowd of readers loses a lease; by the
ledger's writer like all else, since who cannot write does not lead. A process that could not renew for a lease's whole
life gives up by itself; one that was asleep for so long, and does not know it yet, is stopped by the ledger (`Fenced`).
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.posting.clock import Clock, steady_clock
from bridge.store import leases
from bridge.store.database import Database
from bridge.store.leases import LIFE_MS, Fenced, Grant, Held
from bridge.store.writer import LedgerWriter

#: How long after a renewal the next one is due: several may fail within a lease's life.
RENEW_EVERY_MS = 1_000
#: How long nobody may hold a lease before that is worth an alarm: a takeover is done long before.
UNLED_MS_MAX = 3 * LIFE_MS
#: Leases that one line of the log names.
NAMED_MAX = 10

_log = logging.getLogger(__name__)


class Leadership:
    """What this process, `holder`, leads.

    `alone`: no other process can be on this ledger; then nothing need be waited for, nor renewed. `wants`: whether it
    tries for leases at all. `fenced` counts the writes that were refused since another had taken the lease.
    """

    def __init__(
        self,
        *,
        database: Database,
        writer: LedgerWriter,
        holder: str,
        alone: bool,
        wants: bool = True,
        steady: Clock = steady_clock,
    ) -> None:
        self._database = database
        self._writer = writer
        self._steady = steady
        self._alone = alone
        self._guard = threading.Lock()
        self._grants: dict[str, Grant] = {}
        self._renewed_ms = steady()
        self._away_until_ms = steady()
        self.holder = holder
        self.wants = wants
        self.fenced = 0

    # -- what is led --------------------------------------------------------------------------

    def grants(self) -> dict[str, Grant]:
        """The leases that this process holds, by name; none once they could not be renewed for their life."""
        with self._guard:
            return {} if self._is_over() else dict(self._grants)

    def grant(self, name: str) -> Grant | None:
        """The lease of this name if this process holds it, or None."""
        return self.grants().get(name)

    def lanes(self) -> tuple[Grant, ...]:
        """The leases of lanes that this process holds, in order of their names."""
        held = self.grants()
        return tuple(held[name] for name in sorted(held) if leases.lane_of(name) is not None)

    def _is_over(self) -> bool:
        return not self._alone and self._steady() - self._renewed_ms >= LIFE_MS

    # -- taking and losing --------------------------------------------------------------------

    def step(self) -> bool:
        """Renew what is held if that is due, and take what is free. Answers whether it leads something new."""
        self.renew()
        return self.take()

    def renew(self) -> bool:
        """Renew what is held if that is due; answers whether it was. Nothing is read for it: readers may have to wait.

        Raises LedgerUnwritable, TooBusy.
        """
        with self._guard:
            held = list(self._grants.values())
        began_ms = self._steady()
        if not held or self._alone or began_ms - self._renewed_ms < RENEW_EVERY_MS:
            return False
        kept = self._writer.run(
            lambda connection: leases.renew(connection, held, self.holder, self._database.now_ms(connection))
        )
        with self._guard:
            lost = [one for one in held if one not in kept]
            for one in lost:
                self._forget(one)
            self._renewed_ms = began_ms
        if lost:
            _log.warning("another process leads now: %s", _named(lost))
        return True

    def take(self) -> bool:
        """Take what is free; answers whether there was anything. Raises LedgerUnwritable, TooBusy."""
        if not self.wants or self._steady() < self._away_until_ms or not self._is_any_free():
            return False
        began_ms = self._steady()
        taken = self._writer.run(self._take)
        with self._guard:
            if not self._grants:
                self._renewed_ms = began_ms
            self._grants |= {one.name: one for one in taken}
        if taken:
            _log.info("this process (%s) leads now: %s", self.holder, _named(taken))
        return bool(taken)

    def _is_any_free(self) -> bool:
        """Asked without writing: a commit wakes every process."""
        with self._database.read() as connection:
            known, now_ms = leases.all_held(connection), self._database.now_ms(connection)
            wanted = self._unheld(connection)
        return any(leases.is_to_take(known.get(one), self.holder, now_ms, alone=self._alone) for one in wanted)

    def _take(self, connection: sa.Connection) -> list[Grant]:
        now_ms = self._database.now_ms(connection)
        return leases.take(connection, self._unheld(connection), self.holder, now_ms, alone=self._alone)

    def _unheld(self, connection: sa.Connection) -> list[str]:
        with self._guard:
            mine = set(self._grants)
        return [one for one in leases.all_names(connection) if one not in mine]

    def lost(self, refusal: Fenced) -> None:
        """A write was refused since another has taken the lease."""
        with self._guard:
            self.fenced += 1
            self._forget(refusal.grant)
        _log.warning("a write was refused: %s", refusal.detail)

    def _forget(self, grant: Grant) -> None:
        if self._grants.get(grant.name) is grant:
            del self._grants[grant.name]

    def give_back(self) -> None:
        """Let others lead at once, and try no more. What still writes under the leases is refused."""
        self.wants = False
        self._give_back()

    def give_way(self, for_ms: int) -> None:
        """Let others lead at once, and try again after a while only. Alone there is nobody to give way to."""
        if not self._alone:
            self._away_until_ms = self._steady() + for_ms
            self._give_back()

    def _give_back(self) -> None:
        with self._guard:
            held = bool(self._grants)
            self._grants.clear()
        if held:
            self._writer.run(
                lambda connection: leases.give_back(connection, self.holder, self._database.now_ms(connection))
            )

    # -- telling ------------------------------------------------------------------------------

    def leaders(self, connection: sa.Connection) -> "Leaders":
        """Who leads what, in any process."""
        known, now_ms = leases.all_held(connection), self._database.now_ms(connection)
        found: dict[str, Held | None] = dict.fromkeys(leases.all_names(connection))
        lapsed_ms = 0
        for name in found:
            held = known.get(name)
            if held is not None and self._is_led(held, now_ms):
                found[name] = held
            elif held is not None or name in (leases.CHAIN, leases.KEEPER):
                lapsed_ms = max(lapsed_ms, now_ms - held.until_ms if held is not None else UNLED_MS_MAX)
        return Leaders(found, lapsed_ms)

    def _is_led(self, found: Held, now_ms: int) -> bool:
        """Whether somebody holds this lease. Alone, nothing is renewed and time does not count."""
        return found.holder == self.holder if self._alone else not found.is_free(now_ms)


@dataclass(frozen=True, slots=True)
class Leaders:
    """Each lease with who holds it (None: nobody), and for how long, in ms, one has been without a holder."""

    held: Mapping[str, Held | None]
    lapsed_ms: int

    @property
    def unled(self) -> list[str]:
        """The leases that nobody holds."""
        return [name for name, found in self.held.items() if found is None]

    @property
    def is_overdue(self) -> bool:
        """Whether a lease has been without a holder for longer than a takeover takes."""
        return self.lapsed_ms >= UNLED_MS_MAX


def _named(grants: Sequence[Grant]) -> str:
    names = sorted(one.name for one in grants)
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more
