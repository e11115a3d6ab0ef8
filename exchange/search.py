"""The search for routes: exact, and fast because bounds say where not to look.

It crosses hops from the near side, whose amount is known, and joins them with those that end at the far side. What it
carries along is a bound that no amount of any such route can beat. Routes are then worked out as pricing does, the most
promising first, until no bound that is left beats what was found. Where increments meet rarely, working out takes many
leaps from amount to amount, and each is a closer bound: so a route has a few, and then waits until it is the most
promising again.

Amounts are carried as values of which more is better: points out as they are, points in below zero. Near is the source
where an amount is offered, and the destination where one is wanted.
"""

from abc import ABC, abstractmethod
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import islice, pairwise
from typing import NamedTuple

from exchange.market import Direction, Market
from exchange.passage import CLOSED, Lane, Passage, needed, through
from exchange.path import HOPS_MAX, Hop, Path
from exchange.points import POINTS_MAX
from exchange.situation import Situation
from exchange.terms import Terms

ROUTES_MAX = 16
"""Routes that one search answers."""

LEAPS_AT_ONCE = 8
"""Leaps that a route has before others may have become more promising."""

EXAMINED_MAX = 50_000
"""Times that one search takes up a route; one that would have to go on says that it is not complete."""


class Best(StrEnum):
    """Which route is the best."""

    POINTS = "points"
    """The one that gives the most or takes the least; among equals the one of the fewest hops."""
    HOPS = "hops"
    """The one of the fewest hops; among equals the one that gives the most or takes the least."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search is asked for; `amount` is what is offered, or what is wanted."""

    market: Market
    source: str
    destination: str
    amount: int
    situation_of: Callable[[Terms], Situation]
    best: Best
    hops_max: int
    count: int

    def __post_init__(self) -> None:
        assert 1 <= self.hops_max <= HOPS_MAX, "a route has from one to HOPS_MAX hops"
        assert 1 <= self.count <= ROUTES_MAX, "a search answers from one to ROUTES_MAX routes"


class Found(NamedTuple):
    """A route that counts: its rank, the lower the better and no two alike; its value; and its hops."""

    rank: tuple[int, int, int, tuple[str, ...]]
    value: int
    hops: tuple[Hop, ...]


Level = dict[str, int]
"""Programs that some hops lead to, and a bound on the value that stands there."""

Leaps = Iterator[tuple[int, bool]]
"""Amounts on the way to the one that goes, and whether each is it."""

Candidate = tuple[int, tuple[str, ...]]
"""A bound on a value, times -1 so that the best comes first; and the programs between the two ends, near ones first.

On a route of four hops the first of them may still be left open: the bound is then that of the best one.
"""


class Search(ABC):
    """One search, from the near side to the far side."""

    worst: int
    """What every value is better than."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.complete = True
        self.found: list[Found] = []
        self._passages: dict[tuple[str, str], Passage] = {}
        self._underway: dict[tuple[str, ...], tuple[Path, Leaps]] = {}
        self._examined = 0

    @property
    @abstractmethod
    def ends(self) -> tuple[str, str]:
        """The programs at the near and at the far side."""

    @abstractmethod
    def enter(self, passage: Passage) -> int | None:
        """A bound on the value after the first hop of several."""

    @abstractmethod
    def leave(self, passage: Passage, value: int) -> int | None:
        """A bound on a route's value, from the value before its last hop."""

    @abstractmethod
    def near_directions(self) -> Iterable[tuple[str, Direction]]:
        """The directions at the near side that lead on, with the program that they lead to."""

    @abstractmethod
    def far_directions(self) -> Iterable[tuple[str, Direction]]:
        """The directions at the far side that others lead to, with the program that they come from."""

    @abstractmethod
    def lanes_to(self, program: str) -> Mapping[str, Lane]:
        """The lanes that lead to a program, seen from the near side."""

    @abstractmethod
    def spread(self, level: Level) -> Level:
        """The level one hop further than another."""

    @abstractmethod
    def least_before(self, passage: Passage, floor: int) -> int | None:
        """The least value before the last hop with which a route may be better than `floor`; None: no route is."""

    @abstractmethod
    def gather(self, level: Level, lanes: Mapping[str, Lane], least_value: int) -> list[tuple[int, str]]:
        """What each of these lanes makes of the level's value at its beginning, and which program that is."""

    @abstractmethod
    def in_order(self, programs: Sequence[str]) -> Sequence[str]:
        """The programs of a route, near ones first, from the source on."""

    @abstractmethod
    def leaps(self, path: Path) -> Leaps:
        """The way to the amount that goes along a route."""

    @abstractmethod
    def worth(self, path: Path, amount: int) -> int:
        """The value of a route if this amount went along it, valid or not."""

    @abstractmethod
    def least_of(self, path: Path, amount: int) -> int | None:
        """The least amount that gives as much as `amount`, which goes; None where it gives nothing."""

    def run(self) -> None:
        """Finds the best routes, by hops: what takes more of them has to be better than what takes fewer."""
        asked = self.asked
        if asked.destination in asked.market.directions_from(asked.source):
            self._examine(1, [(-POINTS_MAX, ())])
        for hops in range(2, asked.hops_max + 1):
            if asked.best is Best.HOPS and len(self.found) == asked.count:
                return
            self._examine(hops, self._candidates(hops))

    @property
    def _floor(self) -> int:
        """What the value of a further route must be above."""
        return self.worst if len(self.found) < self.asked.count else self.found[-1].value

    @cached_property
    def _near(self) -> Level:
        near: Level = {}
        for program, direction in self.near_directions():
            value = self.enter(self._passage(direction)) if program != self.ends[1] else None
            if value is not None:
                near[program] = value
        return near

    @cached_property
    def _second(self) -> Level:
        level = self.spread(self._near)
        for end in self.ends:
            level.pop(end, None)
        return level

    @cached_property
    def _far(self) -> dict[str, Passage]:
        near_end = self.ends[0]
        return {program: self._passage(each) for program, each in self.far_directions() if program != near_end}

    def _passage(self, direction: Direction) -> Passage:
        if direction.passage is not None:
            return direction.passage
        terms = direction.terms
        passage = self._passages.get((terms.source, terms.destination))
        if passage is None:
            passage = Passage(Hop(terms, self.asked.situation_of(terms)))
            self._passages[terms.source, terms.destination] = passage
        return passage

    def _candidates(self, hops: int) -> list[Candidate]:
        """All routes of so many hops, unless their bound says that they are not worth a look."""
        floor = self._floor
        candidates: list[Candidate] = []
        level = (self._second if hops == 4 else self._near) if self._near else {}
        for program, passage in self._far.items():
            least_value = self.least_before(passage, floor)
            if least_value is None:
                continue
            if hops > 2:
                reached = self.gather(level, self.lanes_to(program), least_value)
            else:
                reached = [(level[program], "")] if program in level else []
            for value, before in reached:
                bound = self.leave(passage, value)
                if bound is not None and bound > floor:
                    candidates.append((-bound, (before, program) if before else (program,)))
        return candidates

    def _examine(self, hops: int, candidates: list[Candidate]) -> None:
        """Works out the candidates, the most promising first, while one may still be better than what was found."""
        heapify(candidates)
        while candidates and -candidates[0][0] > self._floor:
            if self._examined == EXAMINED_MAX:
                self.complete = False
                return
            self._examined += 1
            _, between = heappop(candidates)
            if len(between) == hops - 1:
                self._work_out(between, candidates)
            else:
                self._fill_in(between, candidates)

    def _fill_in(self, between: tuple[str, ...], candidates: list[Candidate]) -> None:
        """The candidates that one stands for whose first program was left open."""
        before, last = between
        lane = {before: self.lanes_to(last)[before]}
        for value, first in self.gather(self._near, self.lanes_to(before), self.worst):
            onward = self.gather({before: value}, lane, self.worst)
            if first == last or not onward:
                continue
            bound = self.leave(self._far[last], onward[0][0])
            if bound is not None and bound > self._floor:
                heappush(candidates, (-bound, (first, before, last)))

    def _work_out(self, between: tuple[str, ...], candidates: list[Candidate]) -> None:
        """Goes a few leaps on towards the amount of a route: it is settled there, or waits its turn again."""
        underway = self._underway.pop(between, None) or self._begun(between)
        if underway is None:
            return
        path, leaps = underway
        amount = None
        for amount, goes in islice(leaps, LEAPS_AT_ONCE):
            if goes:
                self._settle(path, amount)
                return
        if amount is not None and (bound := self.worth(path, amount)) > self._floor:
            self._underway[between] = path, leaps
            heappush(candidates, (-bound, between))

    def _begun(self, between: tuple[str, ...]) -> tuple[Path, Leaps] | None:
        """The beginning of that way; None where a hop is closed to the member."""
        near_end, far_end = self.ends
        programs = self.in_order((near_end, *between, far_end))
        passages = [self._passage(self.asked.market.directions_from(one)[other]) for one, other in pairwise(programs)]
        if any(passage.lane is CLOSED for passage in passages):
            return None
        path = Path([passage.hop for passage in passages])
        return path, self.leaps(path)

    def _settle(self, path: Path, amount: int) -> None:
        """Keeps a route whose amount is found, where it counts and is among the best."""
        value = self.worth(path, amount)
        if value < self._floor:
            return
        least = self.least_of(path, amount)
        if least is None or least > path.most:
            return
        hops = len(path.hops)
        keys = (-value, hops) if self.asked.best is Best.POINTS else (hops, -value)
        tie = least if value > 0 else -path.yield_of(least).total
        names = (path.hops[0].terms.source, *(hop.terms.destination for hop in path.hops))
        insort(self.found, Found((*keys, tie, names), value, tuple(path.hops)))
        del self.found[self.asked.count :]


class Ahead(Search):
    """From the source, where an amount is offered: the value is what it becomes."""

    worst = 0

    @property
    def ends(self) -> tuple[str, str]:
        return self.asked.source, self.asked.destination

    def near_directions(self) -> Iterable[tuple[str, Direction]]:
        return _leading_on(self.asked)

    def far_directions(self) -> Iterable[tuple[str, Direction]]:
        return _taking_through(self.asked)

    def lanes_to(self, program: str) -> Mapping[str, Lane]:
        return self.asked.market.lanes_into(program)

    def enter(self, passage: Passage) -> int | None:
        return through(passage.lane, self.asked.amount) or None

    def leave(self, passage: Passage, value: int) -> int | None:
        return passage.total_through(value) or None

    def least_before(self, passage: Passage, floor: int) -> int | None:
        return passage.total_needed(floor + 1)

    def spread(self, level: Level) -> Level:
        further: Level = {}
        for program, value in level.items():
            for other, (least, most, step, to_units, from_units) in self.asked.market.lanes_from(program).items():
                if value < least or value * to_units // from_units <= further.get(other, 0):
                    continue  # most lanes of a market with hubs: others bring more there
                amount = value if value < most else most
                if amount >= least:
                    out = (amount - (amount - least) % step) * to_units // from_units
                    if out > further.get(other, 0):
                        further[other] = out
        return further

    def gather(self, level: Level, lanes: Mapping[str, Lane], least_value: int) -> list[tuple[int, str]]:
        gathered = []
        for program, value, (least, most, step, to_units, from_units) in _meeting(level, lanes, least_value, 3, 4):
            amount = value if value < most else most
            if amount >= least:
                out = (amount - (amount - least) % step) * to_units // from_units
                if out >= least_value:
                    gathered.append((out, program))
        return gathered

    def in_order(self, programs: Sequence[str]) -> Sequence[str]:
        return programs

    def leaps(self, path: Path) -> Leaps:
        return path.leaps_down(self.asked.amount)

    def worth(self, path: Path, amount: int) -> int:
        return path.yield_of(amount).total

    def least_of(self, path: Path, amount: int) -> int | None:
        given = path.yield_of(amount)
        return path.least_for(given.total) if given.base else None


class Back(Search):
    """From the destination, where an amount is wanted: the value is what that takes, below zero."""

    worst = -POINTS_MAX - 1

    @property
    def ends(self) -> tuple[str, str]:
        return self.asked.destination, self.asked.source

    def near_directions(self) -> Iterable[tuple[str, Direction]]:
        return _taking_through(self.asked)

    def far_directions(self) -> Iterable[tuple[str, Direction]]:
        return _leading_on(self.asked)

    def lanes_to(self, program: str) -> Mapping[str, Lane]:
        return self.asked.market.lanes_from(program)

    def enter(self, passage: Passage) -> int | None:
        least = passage.total_needed(self.asked.amount)
        return None if least is None else -least

    def leave(self, passage: Passage, value: int) -> int | None:
        least = needed(passage.lane, -value)
        return None if least is None else -least

    def least_before(self, passage: Passage, floor: int) -> int | None:
        return -through(passage.lane, -floor - 1) or None

    def spread(self, level: Level) -> Level:
        further: Level = {}
        worst = self.worst
        for program, value in level.items():
            for other, (least, most, step, to_units, from_units) in self.asked.market.lanes_into(program).items():
                if value * from_units // to_units <= further.get(other, worst):
                    continue
                amount = -(value * from_units // to_units)  # rounded up, since the value is below zero
                amount = least if amount < least else amount + (least - amount) % step
                if amount <= most and -amount > further.get(other, worst):
                    further[other] = -amount
        return further

    def gather(self, level: Level, lanes: Mapping[str, Lane], least_value: int) -> list[tuple[int, str]]:
        gathered = []
        for program, value, (least, most, step, to_units, from_units) in _meeting(level, lanes, least_value, 4, 3):
            amount = -(value * from_units // to_units)
            amount = least if amount < least else amount + (least - amount) % step
            if amount <= most and -amount >= least_value:
                gathered.append((-amount, program))
        return gathered

    def in_order(self, programs: Sequence[str]) -> Sequence[str]:
        return programs[::-1]

    def leaps(self, path: Path) -> Leaps:
        start = path.start_for(self.asked.amount)
        return iter(()) if start is None else path.leaps_up(start)

    def worth(self, path: Path, amount: int) -> int:  # noqa: ARG002 - the amount is the value, whatever the path
        return -amount

    def least_of(self, path: Path, amount: int) -> int | None:  # noqa: ARG002 - it was found as the least
        return amount


def _meeting(level: Level, lanes: Mapping[str, Lane], least: int, up: int, down: int) -> list[tuple[str, int, Lane]]:
    """The lanes that begin at a program of the level, with its value: found from the smaller side.

    Only those whose value could be `least` behind the lane, times what stands in it at `up` and divided by what stands
    at `down`. That is most of the work in a market with hubs, and leaves few of their lanes.
    """
    if len(level) < len(lanes):
        return [
            (program, value, lane)
            for program, value in level.items()
            if (lane := lanes.get(program)) is not None and value * lane[up] >= least * lane[down]
        ]
    return [
        (program, value, lane)
        for program, lane in lanes.items()
        if (value := level.get(program)) is not None and value * lane[up] >= least * lane[down]
    ]


def _leading_on(asked: Asked) -> Iterable[tuple[str, Direction]]:
    return ((to, each) for to, each in asked.market.directions_from(asked.source).items() if each.onward)


def _taking_through(asked: Asked) -> Iterable[tuple[str, Direction]]:
    return ((of, each) for of, each in asked.market.directions_into(asked.destination).items() if each.takes_through)
