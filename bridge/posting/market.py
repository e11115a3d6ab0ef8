"""The market in memory: the terms in force, indexed for routes, kept in step with the ledger.

When terms change, or begin by themselves (`bridge.posting.versions`), only the directions concerned are indexed anew.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.versions import Direction, Versions
from exchange.market import Market


class MarketKeeper:
    """Keeps one market in step. Any thread may open it; one at a time has it."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self._market = Market()
        self._guard = threading.Lock()
        self._versions = Versions()
        self._barred: frozenset[Direction] = frozenset()

    @contextmanager
    def open(self, connection: sa.Connection, now_ms: int) -> Iterator[Market]:
        """The market as of this moment, for as long as the block lasts; keep it short.

        A direction that would complete a gaining cycle is not in it.
        """
        with self._guard:
            self._follow(connection, now_ms)
            yield self._market

    def forget_undone(self, connection: sa.Connection) -> None:
        """Begin anew, and the gatekeeper too, if what was read within a transaction was undone with it."""
        self._gatekeeper.forget_undone(connection)
        with self._guard:
            if self._versions.is_ahead(connection):
                self._market, self._versions, self._barred = Market(), Versions(), frozenset()

    def _follow(self, connection: sa.Connection, now_ms: int) -> None:
        barred = frozenset(self._gatekeeper.barred(connection, now_ms))
        self._versions.touch(barred ^ self._barred)
        self._barred = barred
        self._versions.follow(connection, now_ms)
        for direction in self._versions.due:
            self._settle(direction, now_ms)
        self._versions.settled()

    def _settle(self, direction: Direction, now_ms: int) -> None:
        """The newest version that has begun is in force, as `terms.in_force` says it."""
        newest = self._versions.newest(direction, now_ms)
        if newest is None or newest.terms is None or newest.foreign or direction in self._barred:
            self._market.remove(*direction)
        else:
            self._market.put(newest.terms)
