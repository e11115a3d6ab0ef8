"""The search for routes: exact, and fast because bounds say where not to look.

It crosses hops from the near side, whose amount is known, and joins them with those that end at the far side. What it
carries along is a bound that no amount of any such route can beat. Routes are then worked out as pricing does, the most
promising first, until no bound that is left beats what was found. A route whose bound is just as good as the last that
counts may still burn less: it is worked out unless a second bound, on that, says no.

Amounts are carried as values of which more is better: points out as they are, points in, with the fee on them, below
zero. Near is the source where an amount is offered, and the destination where one is wanted.
"""

from abc import ABC, abstractmethod
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from exchange.errors import NoRoute
from exchange.market import Direction, Market
from exchange.passage import CLOSED, Lane, Passage, Widest, needed, through
from exchange.path import HOPS_MAX, Hop, Path
from exchange.points import POINTS_MAX
from exchange.situation import Situation
from exchange.terms import Terms

ROUTES_MAX = 16
"""Routes that one search answers."""

WORK_MAX = 2_500
"""What one search may do; one that would have to go on says that it is not complete. A route that is taken up is 1."""

MEETING_WORK = 8
"""What it counts besides whenever increments meet too rarely for leaps: about as much time."""


class Best(StrEnum):
    """Which route is the best."""

    POINTS = "points"
    """The one that gives the most or takes the least, with its fee in points; among equals the one of fewest hops."""
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
    work_max: int

    def __post_init__(self) -> None:
        assert 1 <= self.hops_max <= HOPS_MAX, "a route has from one to HOPS_MAX hops"
        assert 1 <= self.count <= ROUTES_MAX, "a search answers from one to ROUTES_MAX routes"


class Found(NamedTuple):
    """A route that counts: its rank, the lower the better and no two alike; its value; and its hops.

    The rank is value and number of hops, in the order asked for; among equals the points that leave, with their fee,
    the fewer the better, and those that arrive, the more the better; and then the ids of the programs from the source
    on, in the order of the alphabet.
    """

    rank: tuple[int, int, tuple[int, int], tuple[str, ...]]
    value: int
    hops: tuple[Hop, ...]


Level = dict[str, int]
"""Programs that some hops lead to, and a bound on the value that stands there."""

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
        self._work = 0

    @property
    @abstractmethod
    def ends(self) -> tuple[str, str]:
        """The programs at the near and at the far side."""

    @abstractmethod
    def enter(self, passage: Passage | Widest) -> int | None:
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
    def least_before(self, passage: Passage | Widest, goal: int) -> int | None:
        """The least value before the last hop with which a route may have the value `goal`; None: no route has it."""

    @abstractmethod
    def gather(self, level: Level, lanes: Mapping[str, Lane], least_value: int) -> list[tuple[int, str]]:
        """What each of these lanes makes of the level's value at its beginning, and which program that is."""

    @abstractmethod
    def cross(self, lane: Lane, value: int) -> int | None:
        """What one lane makes of a value, None where nothing goes."""

    @abstractmethod
    def least_into(self, lane: Lane, value: int) -> int | None:
        """The least value of which one lane makes at least this one; None: none."""

    @abstractmethod
    def in_order(self, programs: Sequence[str]) -> Sequence[str]:
        """The programs of a route, near ones first, from the source on."""

    @abstractmethod
    def work_out(self, path: Path, goal: int) -> tuple[int, int] | None:
        """What counts of a route: its value, and the amount in.

        None where it gives nothing, or has not at least the value `goal`. Raises `NoRoute` where increments meet too
        rarely to say.
        """

    @abstractmethod
    def tie_bound(self, passages: Sequence[Passage], value: int) -> tuple[int, int]:
        """The least that may leave, and -1 times the most that may arrive, over these passages at such a value."""

    def run(self) -> None:
        """Finds the best routes, by hops: what takes more of them has to be better than what takes fewer."""
        asked = self.asked
        if asked.destination in asked.market.directions_from(asked.source):
            self._examine(1, [(-POINTS_MAX, ())])
        for hops in range(2, asked.hops_max + 1):
            if asked.best is Best.HOPS and len(self.found) == asked.count:
                return
            self._examine(hops, self._candidates(hops))

    def _goal(self, hops: int) -> int:
        """The least value with which a further route of so many hops may be among the best."""
        if len(self.found) < self.asked.count:
            return self.worst + 1
        last = self.found[-1]
        return last.value if len(last.hops) == hops else last.value + 1

    @cached_property
    def _near(self) -> Level:
        near: Level = {}
        for program, direction in self.near_directions():
            if program == self.ends[1] or self.enter(direction.widest) is None:
                continue  # nobody's passage would do: whoever asks need not be looked up
            value = self.enter(self._passage(direction))
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
    def _far(self) -> dict[str, Direction]:
        near_end = self.ends[0]
        return {program: each for program, each in self.far_directions() if program != near_end}

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
        """All routes of so many hops, unless their bound says that they are not worth a look.

        Of most far directions nobody's passage is wide enough: who asks for a route is looked up for the others only.
        """
        goal = self._goal(hops)
        candidates: list[Candidate] = []
        level = (self._second if hops == 4 else self._near) if self._near else {}
        reach = self._second if hops == 3 else None  # what stands there at the most: needed for four hops anyway
        for program, direction in self._far.items():
            least_value = self.least_before(direction.widest, goal)
            if least_value is None or (reach is not None and reach.get(program, self.worst) < least_value):
                continue
            if hops > 2:
                reached = self.gather(level, self.lanes_to(program), least_value)
            else:
                reached = [(level[program], "")] if program in level else []
            for value, before in reached:
                bound = self.leave(self._passage(direction), value)
                if bound is not None and bound >= goal:
                    candidates.append((-bound, (before, program) if before else (program,)))
        return candidates

    def _examine(self, hops: int, candidates: list[Candidate]) -> None:
        """Works out the candidates, the most promising first, while one may still be better than what was found."""
        heapify(candidates)
        while candidates and -candidates[0][0] >= self._goal(hops):
            if self._work >= self.asked.work_max:
                self.complete = False
                return
            self._work += 1
            bound, between = heappop(candidates)
            if len(between) == hops - 1:
                self._take_up(between, -bound)
            else:
                self._fill_in(between, candidates)

    def _fill_in(self, between: tuple[str, ...], candidates: list[Candidate]) -> None:
        """The candidates that one stands for whose first program was left open."""
        before, last = between
        goal, lane, passage = self._goal(HOPS_MAX), self.lanes_to(last)[before], self._passage(self._far[last])
        least_value = self.least_before(passage, goal)
        least_value = None if least_value is None else self.least_into(lane, least_value)
        if least_value is None:
            return
        for value, first in self.gather(self._near, self.lanes_to(before), least_value):
            onward = self.cross(lane, value)
            bound = None if first == last or onward is None else self.leave(passage, onward)
            if bound is not None and bound >= goal:
                heappush(candidates, (-bound, (first, before, last)))

    def _take_up(self, between: tuple[str, ...], bound: int) -> None:
        """Works out a route, and keeps it where it counts and is among the best."""
        near_end, far_end = self.ends
        programs = tuple(self.in_order((near_end, *between, far_end)))
        passages = [self._passage(self.asked.market.directions_from(one)[other]) for one, other in pairwise(programs)]
        if any(passage.lane is CLOSED for passage in passages) or self._is_behind(programs, passages, bound):
            return
        path = Path([passage.hop for passage in passages])
        try:
            counts = self.work_out(path, self._goal(len(passages)))
        except NoRoute:
            self.complete = False
            return
        finally:
            self._work += MEETING_WORK * path.searched
        if counts is None or counts[1] > path.most:
            return
        value, amount = counts
        hops = len(path.hops)
        keys = (-value, hops) if self.asked.best is Best.POINTS else (hops, -value)
        tie = path.leaving(amount), -path.yield_of(amount).total
        insort(self.found, Found((*keys, tie, programs), value, tuple(path.hops)))
        del self.found[self.asked.count :]

    def _is_behind(self, programs: tuple[str, ...], passages: Sequence[Passage], bound: int) -> bool:
        """Whether a route that is no better than the last that counts surely stands behind it among equals."""
        if len(self.found) < self.asked.count or bound > self.found[-1].value:
            return False
        return (self.tie_bound(passages, bound), programs) > self.found[-1].rank[2:]


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

    def enter(self, passage: Passage | Widest) -> int | None:
        return through(passage.lane, self.asked.amount) or None

    def leave(self, passage: Passage, value: int) -> int | None:
        return passage.total_through(value) or None

    def least_before(self, passage: Passage | Widest, goal: int) -> int | None:
        return passage.total_needed(goal)

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

    def cross(self, lane: Lane, value: int) -> int | None:
        return through(lane, value) or None

    def least_into(self, lane: Lane, value: int) -> int | None:
        return needed(lane, value)

    def in_order(self, programs: Sequence[str]) -> Sequence[str]:
        return programs

    def work_out(self, path: Path, goal: int) -> tuple[int, int] | None:
        start = path.start_for(goal)
        amount = None if start is None else path.at_most(self.asked.amount, start)
        given = None if amount is None else path.yield_of(amount)
        least = path.least_for(given.total) if given and given.base else None
        return None if given is None or least is None else (given.total, least)

    def tie_bound(self, passages: Sequence[Passage], value: int) -> tuple[int, int]:
        amount = passages[-1].total_needed(value)
        for passage in reversed(passages[:-1]):
            amount = None if amount is None else needed(passage.lane, amount)
        return POINTS_MAX if amount is None else amount, -value


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

    def enter(self, passage: Passage | Widest) -> int | None:
        least = passage.total_needed(self.asked.amount)
        return None if least is None else -least

    def leave(self, passage: Passage, value: int) -> int | None:
        return self.cross(passage.lane, value)

    def least_before(self, passage: Passage | Widest, goal: int) -> int | None:
        return self.least_into(passage.lane, goal)

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

    def cross(self, lane: Lane, value: int) -> int | None:
        least = needed(lane, -value)
        return None if least is None else -least

    def least_into(self, lane: Lane, value: int) -> int | None:
        return -through(lane, -value) or None

    def in_order(self, programs: Sequence[str]) -> Sequence[str]:
        return programs[::-1]

    def work_out(self, path: Path, goal: int) -> tuple[int, int] | None:
        least = path.least_for(self.asked.amount, -goal)
        return None if least is None else (-path.leaving(least), least)

    def tie_bound(self, passages: Sequence[Passage], value: int) -> tuple[int, int]:
        amount = -value
        for passage in passages[:-1]:
            amount = through(passage.lane, amount)
        return -value, -passages[-1].total_through(amount)


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
