"""Chains: which amounts are valid for the first hop, and what comes of them, rounded down, for each of the others.

The nearest such amount is first sought in a few leaps: from an amount that some hop does not take, to the nearest that
could give what that hop takes. None that a leap goes over is valid. Where increments meet too rarely for that, it is
found by `exchange.lattice`: with `a + b*k` points before one hop and `c + d*j` before the next, the rounding says
`0 <= t*(a + b*k) - f*(c + d*j) < f`, so that valid amounts are points of a lattice in a box which is long in one
direction alone, that of the amount itself.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from math import gcd, prod
from typing import NamedTuple

from exchange.amounts import Amounts, Listed
from exchange.errors import NoRoute
from exchange.lattice import Lattice, TooManyNodes
from exchange.points import POINTS_MAX, Points
from exchange.ratio import Ratio

LEAPS_MAX = 12
"""Leaps before the lattice is asked. Most routes need one or two; the lattice takes as long as a hundred."""

WINDOW_BITS = 6
"""A window without a valid amount is followed by one that is so much larger."""

WINDOWS_MAX = 64
"""Listed amounts that the lattice is asked for, one after the other."""

_NO_END = POINTS_MAX + 1

_Check = tuple[int, int, int, tuple[Points, ...] | None, int, int]
"""What a hop takes and how it converts: first, last and step, or the list; then both sides of the ratio.

Searches ask thousands of times what a path does with an amount, and this is how that is asked quickly.
"""


class Run(NamedTuple):
    """Hops between which nothing is rounded, so that one count `k` says what stands before all of them.

    `first + step*k` stands before the first of them and `last + last_step*k` before the last one, whose ratio follows.
    """

    first: int
    step: int
    last: int
    last_step: int
    to_units: int
    from_units: int


class Chain:
    """The valid amounts along hops with these amounts and ratios."""

    def __init__(self, amounts: Sequence[Amounts], ratios: Sequence[Ratio]) -> None:
        self._checks = [_check(each, ratio) for each, ratio in zip(amounts, ratios, strict=True)]
        self._meetings: dict[int, Meeting | None] = {}
        self.searched = 0
        """How often the lattice was asked: nearly all the work there is."""

    def at_most(self, amount: int, least: int = 1) -> int | None:
        """The greatest valid amount from `least` up to `amount`, None when there is none.

        Raises `NoRoute` where nobody can say in so few steps.
        """
        least, amount = max(least, self._bounds[0]), min(amount, self._bounds[1])
        for _ in range(LEAPS_MAX):
            if amount < least:
                return None
            place, standing = self._refusing(amount)
            if place is None:
                return amount
            amount = self._below(place, standing)
        return self._found(least, amount, greatest=True)

    def at_least(self, amount: int, most: int = POINTS_MAX) -> int | None:
        """The least valid amount from `amount` up to `most`, None when there is none. Raises `NoRoute` likewise."""
        amount, most = max(amount, self._bounds[0]), min(most, self._bounds[1])
        for _ in range(LEAPS_MAX):
            if amount > most:
                return None
            place, standing = self._refusing(amount)
            if place is None:
                return amount
            amount = self._above(place, standing)
        return self._found(amount, most, greatest=False)

    def back_most(self, place: int, limit: int) -> int:
        """The greatest amount in of which no more than `limit` comes before the hop at `place`; 0: there is none."""
        for _, _, _, _, to_units, from_units in reversed(self._checks[:place]):
            limit = ((limit + 1) * from_units - 1) // to_units
        return limit

    def back_least(self, place: int, wanted: int) -> int:
        """The least amount in of which at least `wanted` comes before the hop at `place`."""
        for _, _, _, _, to_units, from_units in reversed(self._checks[:place]):
            wanted = -(-wanted * from_units // to_units)
        return wanted

    @cached_property
    def _bounds(self) -> tuple[int, int]:
        """From where on every hop has valid amounts, and up to where none is given more than an amount can say."""
        places = range(len(self._checks))
        return (
            max(self.back_least(place, self._checks[place][0]) for place in places),
            min(self.back_most(place, self._checks[place][1]) for place in places),
        )

    def _refusing(self, standing: int, start: int = 0) -> tuple[int | None, int]:
        """The first hop from `start` on that does not take what stands before it, and what that is."""
        for place in range(start, len(self._checks)):
            first, last, step, listed, to_units, from_units = self._checks[place]
            if standing < first or standing > last or (standing - first) % step:
                return place, standing
            if listed is not None and listed[bisect_left(listed, standing)] != standing:
                return place, standing
            standing = standing * to_units // from_units
        return None, standing

    def _below(self, place: int, standing: int) -> int:
        """The greatest amount in of which no more than what the hop at `place` takes below `standing` comes there."""
        first, _, step, listed, _, _ = self._checks[place]
        taken = standing - (standing - first) % step
        return self.back_most(place, taken if listed is None else listed[bisect_left(listed, standing) - 1])

    def _above(self, place: int, standing: int) -> int:
        """The least amount in of which as much comes there as what the hop at `place` takes above `standing`."""
        first, _, step, listed, _, _ = self._checks[place]
        taken = standing + (first - standing) % step
        return self.back_least(place, taken if listed is None else listed[bisect_left(listed, standing)])

    def _found(self, low: int, high: int, *, greatest: bool) -> int | None:
        if low > high:
            return None
        try:
            for tried, (hops, first, last) in enumerate(self._windows(low, high, greatest=greatest)):
                if hops == 0:
                    return first
                meeting = self._meeting(hops)
                if meeting is None:
                    return None
                if not meeting.is_direct:
                    self.searched += 1
                    if tried >= WINDOWS_MAX:
                        raise TooManyNodes
                found = meeting.nearest(first, last, greatest=greatest)
                if found is not None:
                    return found
        except TooManyNodes:
            raise NoRoute("increments meet too rarely along this path to be searched", field="path") from None
        return None

    def _meeting(self, hops: int) -> "Meeting | None":
        if hops not in self._meetings:
            steps = [(first, step) for first, _, step, *_ in self._checks[:hops]]
            runs = runs_of(steps, [(to_units, from_units) for *_, to_units, from_units in self._checks[:hops]])
            self._meetings[hops] = None if runs is None else Meeting(runs)
        return self._meetings[hops]

    def _windows(self, low: int, high: int, *, greatest: bool) -> Iterator[tuple[int, int, int]]:
        """Amounts that suit all hops as soon as they suit the increments of so many; the most promising ones first.

        Where a hop has a list, each of its amounts that suits the further hops makes such a window.
        """
        place = next((at for at, check in enumerate(self._checks) if check[3] is not None), None)
        if place is None:
            yield len(self._checks), low, high
            return
        listed = self._checks[place][3] or ()
        for taken in reversed(listed) if greatest else listed:
            first, last = max(low, self.back_least(place, taken)), min(high, self.back_most(place, taken))
            if first <= last and self._refusing(taken, place)[0] is None:
                yield place, first, last


class Meeting:
    """Where the increments of all runs meet, without regard to where valid amounts begin and end."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._widths = [run.from_units for run in runs[:-1]]
        self._lattices: dict[int, Lattice] = {}

    @property
    def is_direct(self) -> bool:
        """Whether there is one run, and nothing to search."""
        return len(self._runs) == 1

    def nearest(self, low: int, high: int, *, greatest: bool) -> int | None:
        """The greatest such amount from `low` to `high`, or the least. Raises `TooManyNodes`."""
        if self.is_direct:
            first, step = self._runs[0][:2]
            amount = high - (high - first) % step if greatest else low + (first - low) % step
            return amount if low <= amount <= high else None
        # Of amounts spread evenly, four would lie in the first window. They are not, and it may be empty.
        bits = prod(run.step for run in self._runs).bit_length() + 2
        while True:
            bits = min(bits, (high - low + 1).bit_length())
            reach = (1 << bits) - 1
            first, last = (max(low, high - reach), high) if greatest else (low, min(high, low + reach))
            found = self._in_window(bits, first, last, greatest=greatest)
            if found is not None or last - first == high - low:
                return found
            bits += WINDOW_BITS

    def _in_window(self, bits: int, low: int, high: int, *, greatest: bool) -> int | None:
        if bits not in self._lattices:
            self._lattices[bits] = Lattice(self._rows(), [*self._widths, 1 << bits])
        lattice = self._lattices[bits]
        lows, highs = [*(0 for _ in self._widths), low], [*(each - 1 for each in self._widths), high]
        return (lattice.greatest if greatest else lattice.least)(self._origin(), lows, highs)

    def _rows(self) -> list[list[int]]:
        """What one more of each count adds to what is left over between the runs, and to the amount itself."""
        if self._lattices:
            return next(reversed(self._lattices.values())).rows
        rows = []
        for place, run in enumerate(self._runs):
            row = [0] * len(self._runs)
            if place:
                row[place - 1] = -self._runs[place - 1].from_units * run.step
            else:
                row[-1] = run.step
            if place < len(self._widths):
                row[place] += run.to_units * run.last_step
            rows.append(row)
        return rows

    def _origin(self) -> list[int]:
        """All that where every count is 0."""
        left = [one.to_units * one.last - one.from_units * other.first for one, other in pairwise(self._runs)]
        return [*left, self._runs[0].first]


def runs_of(steps: Sequence[tuple[int, int]], ratios: Sequence[tuple[int, int]]) -> list[Run] | None:
    """The runs of hops that take a first amount and steps from it on; None where increments never meet.

    A ratio is `to_units` and `from_units`; the last one does not matter.
    """
    runs = list[Run]()
    first, step = last, last_step = steps[0]
    for (then, then_step), ratio in zip(steps[1:], ratios, strict=False):
        common = gcd(*ratio)
        to_units, from_units = ratio[0] // common, ratio[1] // common
        if last_step % from_units:
            runs.append(Run(first, step, last, last_step, to_units, from_units))
            first, step = last, last_step = then, then_step
            continue
        last, last_step = last * to_units // from_units, last_step // from_units * to_units
        common = gcd(last_step, then_step)
        if (then - last) % common:
            return None
        every = then_step // common
        # The least count that suits both, by the inverse of one step modulo the other.
        count = (then - last) // common * pow(last_step // common, -1, every) % every
        first, step = first + step * count, step * every
        last, last_step = last + last_step * count, last_step * every
    return [*runs, Run(first, step, last, last_step, 1, 1)]


def _check(amounts: Amounts, ratio: Ratio) -> _Check:
    first, last = (amounts[0], amounts[len(amounts) - 1]) if len(amounts) else (_NO_END, 0)
    if isinstance(amounts, Listed):
        return first, last, 1, amounts.amounts, ratio.to_units, ratio.from_units
    return first, last, amounts.step, None, ratio.to_units, ratio.from_units
