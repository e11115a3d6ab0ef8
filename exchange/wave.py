"""Waves: which prices must rise, and by how much, when one direction changes.

The price of the changed direction's source must rise; then perhaps those of the programs that lead there, and so on,
the greatest rise first. No direction but the changed one makes a rise greater, so each program is settled once, at the
greatest rise that any way to the changed direction asks of it. Where the wave comes round to the changed direction's
destination, the rise there is the product of the best cycle through the direction: above one exactly when one gains.
Where it does not, the risen prices suit all directions.

The same wave, followed down to rises below one, finds the cycles that lose little. Of programs that need not rise it
goes on from so many only, and such a cycle may stay unfound; no program that must rise is reached through one that need
not, so the search for gaining cycles is never cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from itertools import count
from typing import Final

from exchange.prices import ONE, Exact, Rates, times

_LEAD_BITS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Need:
    """What a program's price would have to be, beside what it is; the greatest rise comes first."""

    price: Exact
    there: Exact

    @property
    def lead(self) -> int:
        """The rise in units of 2^-64, rounded down: of two that differ, the greater is greater."""
        return (self.price[0] * self.there[1] << _LEAD_BITS) // (self.price[1] * self.there[0])

    def compare(self, other: Exact) -> int:
        """Above zero where the rise is more than `other`, below zero where it is less."""
        return self.price[0] * self.there[1] * other[1] - other[0] * self.price[1] * self.there[0]

    def __lt__(self, other: "_Need") -> bool:
        return self.against(other) > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Need) and self.against(other) == 0

    def against(self, other: "_Need") -> int:
        """Above zero where the rise is more than that of the other, below zero where it is less."""
        return self.compare((other.price[0] * other.there[1], other.price[1] * other.there[0]))


class Wave:
    """One wave over the sources of each destination (`into`), down to rises of more than `floor`.

    `needs` are the prices of the settled programs, in the order in which they were settled; `follows` says where each
    leads. `arrived` is whether the changed direction's destination is among them.
    """

    def __init__(self, prices: Mapping[str, Exact], into: Rates, floor: Fraction, falling_max: int) -> None:
        self.needs: dict[str, Exact] = {}
        self.follows: dict[str, str] = {}
        self.arrived = False
        self._prices, self._into = prices, into
        self._floor, self._lead_floor = floor.as_integer_ratio(), (floor.numerator << _LEAD_BITS) // floor.denominator
        self._falling, self._falling_max = 0, falling_max
        self._best: dict[str, tuple[int, _Need]] = {}
        # First the rise, shortened and exact; then the order of discovery, so that of equal ways a short one wins.
        self._order = count()
        self._heap: list[tuple[int, _Need, int, str, str]] = []

    def run(self, source: str, destination: str, rate: Exact) -> None:
        """Starts at the changed direction and goes on until the wave arrives or has run out."""
        self._reach(source, times(rate, self._prices.get(destination, ONE)), destination)
        while self._heap and not self.arrived:
            _, need, _, program, following = heappop(self._heap)
            if program in self.needs:
                continue
            self.needs[program], self.follows[program] = times(need.price, ONE), following
            self.arrived = program == destination
            if need.compare(ONE) <= 0:
                self._falling += 1
                if self._falling > self._falling_max:
                    continue
            self._go_on(program)

    def _go_on(self, program: str) -> None:
        numerator, denominator = self.needs[program]
        for source, rate in self._into.get(program, {}).items():
            if source not in self.needs:
                self._reach(source, (rate[0] * numerator, rate[1] * denominator), program)

    def _reach(self, program: str, price: Exact, following: str) -> None:
        """Remembers what the program needs, where that is above the floor and more than was known."""
        need = _Need(price, self._prices.get(program, ONE))
        lead = need.lead
        if lead < self._lead_floor or (lead == self._lead_floor and need.compare(self._floor) <= 0):
            return
        known = self._best.get(program)
        if known and (lead < known[0] or (lead == known[0] and need.against(known[1]) <= 0)):
            return
        self._best[program] = lead, need
        heappush(self._heap, (-lead, need, next(self._order), program, following))
