"""The market in memory: the terms in force, indexed for routes, kept in step with the ledger.

Terms change in two ways. Rows change, which the ledger numbers: only what has a higher number than was seen is read.
And versions begin when their moment comes, without anybody telling: those moments stand on a timeline. Either way only
the directions concerned are indexed anew.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.posting.gatekeeper import Direction, Gatekeeper
from bridge.posting.timeline import Timeline
from bridge.store import terms
from bridge.store.terms import TermsRow
from exchange.market import Market
from exchange.terms import Terms


@dataclass(frozen=True, slots=True)
class _Version:
    """What counts of an adopted version; `terms` None: it was suspended, or adopted past this service."""

    version: int
    effective_ms: int
    terms: Terms | None


class MarketKeeper:
    """Keeps one market in step. Any thread may open it; one at a time has it."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self._market = Market()
        self._guard = threading.Lock()
        self._revision = 0
        self._versions: dict[Direction, dict[str, _Version]] = {}
        self._beginnings = Timeline[Direction]()
        self._barred: frozenset[Direction] = frozenset()
        #: what is known to have changed and is not in the market yet: a reader that fails leaves it to the next
        self._due: set[Direction] = set()

    @contextmanager
    def open(self, connection: sa.Connection, now_ms: int) -> Iterator[Market]:
        """The market as of this moment, for as long as the block lasts; keep it short.

        A direction that would complete a gaining cycle is not in it.
        """
        with self._guard:
            self._follow(connection, now_ms)
            yield self._market

    def _follow(self, connection: sa.Connection, now_ms: int) -> None:
        barred = frozenset(self._gatekeeper.barred(connection, now_ms))
        self._due |= barred ^ self._barred
        self._barred = barred
        for row in terms.changed_since(connection, self._revision):
            self._note(row)
            self._due.add((row.from_program_id, row.to_program_id))
            self._revision = row.revision
        self._due |= self._beginnings.move(now_ms)
        for direction in self._due:
            self._settle(direction, now_ms)
        self._due.clear()

    def _note(self, row: TermsRow) -> None:
        direction = row.from_program_id, row.to_program_id
        versions = self._versions.setdefault(direction, {})
        if row.state != terms.ADOPTED:
            versions.pop(row.id, None)
            return
        assert row.version is not None and row.effective_ms is not None
        agreed = None if row.suspended_ms is not None or row.foreign else row.agreed()
        versions[row.id] = _Version(row.version, row.effective_ms, agreed)
        self._beginnings.add(row.effective_ms, direction)

    def _settle(self, direction: Direction, now_ms: int) -> None:
        """The newest version that has begun is in force, as `terms.in_force` says it."""
        begun = [each for each in self._versions.get(direction, {}).values() if each.effective_ms <= now_ms]
        newest = max(begun, key=lambda each: each.version, default=None)
        if newest is None or newest.terms is None or direction in self._barred:
            self._market.remove(*direction)
        else:
            self._market.put(newest.terms)
