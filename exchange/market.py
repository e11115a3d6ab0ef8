"""Markets: the directions in force, indexed so that a search for routes touches only what it must.

Each direction stands under its source and under its destination. One that may lie in the middle of a route has its
bounds worked out there as well. So a changed direction is one entry in each index, and nothing else is rebuilt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from exchange.passage import CLOSED, Lane, Passage, Widest, depends_on_situation
from exchange.path import Hop, takes_through
from exchange.terms import Terms

_Entry = TypeVar("_Entry")

_NO_DIRECTIONS: Mapping[str, "Direction"] = {}
_NO_LANES: Mapping[str, Lane] = {}


@dataclass(frozen=True, slots=True)
class Direction:
    """Terms as the index holds them; `passage` is there where it is the same for every member at every time.

    `widest` then is that as well.
    """

    terms: Terms
    widest: Passage | Widest
    passage: Passage | None
    onward: bool
    takes_through: bool


class Market:
    """Directions in force, indexed for the search; kept in step direction by direction.

    Not for several threads at once: who changes a market keeps searches out meanwhile.
    """

    def __init__(self) -> None:
        self._from: dict[str, dict[str, Direction]] = {}
        self._into: dict[str, dict[str, Direction]] = {}
        self._lanes_from: dict[str, dict[str, Lane]] = {}
        self._lanes_into: dict[str, dict[str, Lane]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, terms: Terms) -> None:
        """Adds a direction, or replaces its terms."""
        self.remove(terms.source, terms.destination)
        direction = _direction(terms)
        self._from.setdefault(terms.source, {})[terms.destination] = direction
        self._into.setdefault(terms.destination, {})[terms.source] = direction
        self._count += 1
        if not (direction.onward and direction.takes_through):
            return
        lane = direction.widest.lane
        if lane is not CLOSED:
            self._lanes_from.setdefault(terms.source, {})[terms.destination] = lane
            self._lanes_into.setdefault(terms.destination, {})[terms.source] = lane

    def remove(self, source: str, destination: str) -> None:
        """Takes a direction out; one that is not there stays away."""
        if destination not in self._from.get(source, _NO_DIRECTIONS):
            return
        self._count -= 1
        _drop(self._from, source, destination)
        _drop(self._into, destination, source)
        _drop(self._lanes_from, source, destination)
        _drop(self._lanes_into, destination, source)

    def terms(self, source: str, destination: str) -> Terms | None:
        """The terms of one direction, None where none are in force."""
        direction = self._from.get(source, _NO_DIRECTIONS).get(destination)
        return None if direction is None else direction.terms

    def partners(self, source: str) -> list[Terms]:
        """The terms of every direction out of a program, by the id of the destination."""
        directions = self._from.get(source, _NO_DIRECTIONS)
        return [directions[destination].terms for destination in sorted(directions)]

    def directions_from(self, source: str) -> Mapping[str, Direction]:
        """Every direction out of a program, by destination."""
        return self._from.get(source, _NO_DIRECTIONS)

    def directions_into(self, destination: str) -> Mapping[str, Direction]:
        """Every direction into a program, by source."""
        return self._into.get(destination, _NO_DIRECTIONS)

    def lanes_from(self, source: str) -> Mapping[str, Lane]:
        """The bounds, for anybody, of those directions out of a program that a route may have in its middle."""
        return self._lanes_from.get(source, _NO_LANES)

    def lanes_into(self, destination: str) -> Mapping[str, Lane]:
        """The same for directions into a program, by source."""
        return self._lanes_into.get(destination, _NO_LANES)


def _direction(terms: Terms) -> Direction:
    passage = None if depends_on_situation(terms) else Passage(Hop(terms))
    return Direction(terms, passage or Widest(terms), passage, terms.rules.received.onward, takes_through(terms))


def _drop(index: dict[str, dict[str, _Entry]], program: str, other: str) -> None:
    beside = index.get(program)
    if beside is None:
        return
    beside.pop(other, None)
    if not beside:
        del index[program]
