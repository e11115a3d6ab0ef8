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

from exchange.prices import LONG_BITS, ONE, Exact, Rates, times

_LEAD_BITS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Rise:
    """What a price must be multiplied by, as numerator and denominator; the greatest comes first."""

    over: int
    under: int

    @property
    def lead(self) -> int:
        """The rise in units of 2^-64, rounded down: of two that differ, the greater is greater."""
        return (self.over << _LEAD_BITS) // self.under

    def __lt__(self, other: "_Rise") -> bool:
        return self.against(other) > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rise) and self.against(other) == 0

    def against(self, other: "_Rise") -> int:
        """Above zero where it is more than the other, below zero where it is less."""
        return self.over * other.under - other.over * self.under


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
        self._floor = _Rise(*floor.as_integer_ratio())
        self._lead_floor = self._floor.lead
        self._falling, self._falling_max = 0, falling_max
        self._best: dict[str, tuple[int, _Rise]] = {}
        # First the rise, shortened and exact; then the order of discovery, so that of equal ways a short one wins.
        self._order = count()
        self._heap: list[tuple[int, _Rise, int, str, str, Exact]] = []

    def run(self, source: str, destination: str, rate: Exact) -> None:
        """Starts at the changed direction and goes on until the wave arrives or has run out."""
        price, there = self._prices.get(destination, ONE), self._prices.get(source, ONE)
        self._reach(source, rate, destination, _Rise(rate[0] * price[0] * there[1], rate[1] * price[1] * there[0]))
        while self._heap and not self.arrived:
            _, rise, _, program, following, rate = heappop(self._heap)
            if program in self.needs:
                continue
            self.needs[program] = times(rate, self.needs.get(following, price))
            self.follows[program] = following
            self.arrived = program == destination
            if rise.over <= rise.under:
                self._falling += 1
                if self._falling > self._falling_max:
                    continue
            self._go_on(program, rise)

    def _go_on(self, program: str, rise: _Rise) -> None:
        price, risen = self._prices.get(program, ONE), self.needs[program]
        for source, rate in self._into.get(program, {}).items():
            if source in self.needs:
                continue
            there = self._prices.get(source, ONE)
            if there[0].bit_length() >= LONG_BITS and times(rate, price) == there:
                asked = rise  # without leeway it is the same rise: prices are long only where there is none
            else:
                asked = _Rise(rate[0] * risen[0] * there[1], rate[1] * risen[1] * there[0])
            self._reach(source, rate, program, asked)

    def _reach(self, program: str, rate: Exact, following: str, rise: _Rise) -> None:
        """Remembers what is asked of a program, where that is above the floor and more than was known."""
        lead = rise.lead
        if lead < self._lead_floor or (lead == self._lead_floor and rise.against(self._floor) <= 0):
            return
        known = self._best.get(program)
        if known and (lead < known[0] or (lead == known[0] and rise.against(known[1]) <= 0)):
            return
        self._best[program] = lead, rise
        heappush(self._heap, (-lead, rise, next(self._order), program, following, rate))
