"""Times of the gate: how long one changed direction takes to examine and to put, in markets of any size.

Beside it, what networkx takes to search the same market for one gaining cycle. It does so on logarithms in floating
point, which cannot decide what lies near a product of one; it is here for the time only.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from time import process_time_ns
from typing import Final

import networkx as nx

from exchange.gate import Gate
from exchange.terms import Terms

CHANGES: Final = 500
"""Changed directions that are timed."""

SEARCHES: Final = 3
"""Searches of the whole market by networkx that are timed."""

PERCENT: Final = range(80, 141)
"""What a changed rate is of the one before: some changes are admitted and some complete a gaining cycle."""


@dataclass(frozen=True, slots=True)
class Times:
    """Microseconds of the processor for several runs, rising; what else the machine did is not in them."""

    sorted_us: tuple[int, ...]

    @property
    def median_us(self) -> int:
        return self.sorted_us[len(self.sorted_us) // 2]

    @property
    def p99_us(self) -> int:
        return self.sorted_us[(len(self.sorted_us) - 1) * 99 // 100]

    @property
    def max_us(self) -> int:
        return self.sorted_us[-1]


@dataclass(frozen=True, slots=True)
class GateTimes:
    """What one market took: `change` is a change examined, with its warning, and put unless it was refused."""

    programs: int
    directions: int
    build_us: int
    change: Times
    refused: int
    warned: int


def gate_times(market: Sequence[Terms], changes: int = CHANGES, seed: int = 1) -> GateTimes:
    """Builds a gate and changes random directions by random percentages, one after another."""
    rates = [(each.source, each.destination, each.ratio.exact) for each in market]
    begun = process_time_ns()
    gate = Gate.from_rates(rates)
    build_us = (process_time_ns() - begun) // 1_000
    random = Random(seed)
    refused, warned, taken = 0, 0, list[int]()
    for _ in range(changes):
        source, destination, rate = random.choice(rates)
        changed = rate * Fraction(random.choice(PERCENT), 100)
        begun = process_time_ns()
        cycle = gate.examine(source, destination, changed)
        if cycle is None or not cycle.gains:
            gate.put(source, destination, changed)
        taken.append((process_time_ns() - begun) // 1_000)
        refused += cycle is not None and cycle.gains
        warned += cycle is not None and not cycle.gains
    assert_certified(gate)
    programs = len(gate.prices)
    return GateTimes(programs, len(rates), build_us, Times(tuple(sorted(taken))), refused, warned)


def assert_certified(gate: Gate) -> None:
    """Checks direction by direction that the gate's prices let none gain, and so no cycle either."""
    prices = gate.prices
    for source, destination, rate in gate.rates():
        assert rate * prices[destination] <= prices[source], "no direction returns more than it takes"


def networkx_times(market: Sequence[Terms], searches: int = SEARCHES) -> Times:
    """What one search of the whole market takes, which is what a change would need without the gate."""
    graph = nx.DiGraph()
    for each in market:
        graph.add_edge(each.source, each.destination, weight=-math.log(each.ratio.exact))
    return Times(tuple(sorted(_timed(lambda: nx.negative_edge_cycle(graph)) for _ in range(searches))))


def _timed(work: Callable[[], object]) -> int:
    begun = process_time_ns()
    work()
    return (process_time_ns() - begun) // 1_000
