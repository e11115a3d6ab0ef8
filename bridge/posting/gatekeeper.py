"""The gatekeeper: no terms may complete a cycle of directions in which points could gain.

It keeps the gate (`exchange.gate`) in step with the ledger. A direction counts with the best rate of all its versions
(`bridge.posting.versions`) that can still be used: the one in force, those announced, and the one that both programs
are agreeing on. Nobody needs to tell when a version begins, and what it replaces is over, or when a bonus ends.

The chain may hold what this gate would never have let in, for two programs can agree there without asking it. Such a
direction is barred: it is left out of the gate and of every quote, until the cycle is gone.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import sqlalchemy as sa

from bridge.posting.versions import Direction, Versions
from bridge.store import programs
from exchange.best_rate import best_rate
from exchange.cycle import Cycle
from exchange.errors import DirectionClosed
from exchange.gate import Gate
from exchange.terms import Terms

#: Directions that change together from which on the gate is built anew, which then takes less time.
REBUILD_MIN = 1_000

_NO_WARNING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Round:
    """A cycle, and for each of its directions the terms whose best rate it counts."""

    cycle: Cycle
    terms: tuple[Terms, ...]


class Gatekeeper:
    """Keeps one gate in step. Any thread may ask it.

    Within a transaction that changes terms it must be asked before the change: what it has read must not be undone, or
    `forget_undone` be called before the next.
    """

    def __init__(self) -> None:
        self._gate = Gate()
        self._guard = threading.Lock()
        self._versions = Versions()
        self._barred: dict[Direction, Cycle] = {}

    def barred(self, connection: sa.Connection, now_ms: int) -> Mapping[Direction, Cycle]:
        """The directions that would complete a gaining cycle, each with one."""
        with self._guard:
            self._follow(connection, now_ms)
            return dict(self._barred)

    def require_open(
        self, connection: sa.Connection, directions: Iterable[Direction], now_ms: int, field: str = "to_program_id"
    ) -> None:
        """Raises DirectionClosed for a direction that would complete a gaining cycle."""
        barred = self.barred(connection, now_ms)
        for direction in directions:
            if direction in barred:
                raise DirectionClosed(
                    f"points could gain on the way round: {barred[direction].describe(names(connection))}",
                    field=field,
                )

    def examine(self, connection: sa.Connection, proposed: Terms, now_ms: int, warn_below: Fraction) -> Round | None:
        """The cycle of greatest product that terms would complete, if it gains or loses less than that share."""
        with self._guard:
            self._follow(connection, now_ms)
            rate = best_rate(proposed, now_ms // 1000)
            cycle = self._gate.examine(proposed.source, proposed.destination, rate, warn_below)
            if cycle is None:
                return None
            _, *onward = cycle.directions()
            return Round(cycle, (proposed, *(self._best_terms(each, now_ms) for each in onward)))

    def forget_undone(self, connection: sa.Connection) -> None:
        """Begin anew if what was read within a transaction is not in the ledger, since that was undone."""
        with self._guard:
            if self._versions.is_ahead(connection):
                self._gate, self._versions, self._barred = Gate(), Versions(), {}

    def _follow(self, connection: sa.Connection, now_ms: int) -> None:
        self._versions.follow(connection, now_ms)
        if not self._versions.due:
            return
        self._versions.touch(self._barred)
        # In the order in which they changed: of two directions that gain together, the later one is barred.
        rates = {direction: self._rate(direction, now_ms) for direction in self._versions.due}
        if len(rates) >= REBUILD_MIN:
            self._rebuild(rates)
        else:
            self._set(rates)
        self._versions.settled()

    def _rate(self, direction: Direction, now_ms: int) -> Fraction | None:
        """The best rate of the versions that can still be used; None where there are none."""
        return max((best_rate(each, now_ms // 1000) for each in self._usable(direction, now_ms)), default=None)

    def _best_terms(self, direction: Direction, now_ms: int) -> Terms:
        return max(self._usable(direction, now_ms), key=lambda each: best_rate(each, now_ms // 1000))

    def _usable(self, direction: Direction, now_ms: int) -> list[Terms]:
        """The newest version that has begun, and all that will begin."""
        newest = self._versions.newest(direction, now_ms)
        usable = [*self._versions.coming(direction, now_ms), *([] if newest is None else [newest])]
        return [each.terms for each in usable if each.terms is not None]

    def _set(self, rates: Mapping[Direction, Fraction | None]) -> None:
        """Withdraws what changed before anything is put, so that nothing is barred for what is gone."""
        changed = {pair: rate for pair, rate in rates.items() if rate is None or self._gate.rate(*pair) != rate}
        for direction in changed:
            self._gate.withdraw(*direction)
            self._barred.pop(direction, None)
        for direction, rate in changed.items():
            if rate is None:
                continue
            cycle = self._gate.examine(*direction, rate, _NO_WARNING)
            if cycle is None:
                self._gate.put(*direction, rate)
            else:
                self._barred[direction] = cycle

    def _rebuild(self, rates: Mapping[Direction, Fraction | None]) -> None:
        before = {(source, destination): rate for source, destination, rate in self._gate.rates()}
        kept = {pair: rate for pair, rate in (before | dict(rates)).items() if rate is not None}
        self._gate, cycles = Gate.gather((*pair, rate) for pair, rate in kept.items())
        self._barred = {(cycle.programs[0], cycle.programs[1]): cycle for cycle in cycles}


def names(connection: sa.Connection) -> dict[str, str]:
    """What people call the programs, by id."""
    return {program.id: program.symbol for program in programs.all_programs(connection)}
