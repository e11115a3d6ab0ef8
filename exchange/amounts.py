"""Which amounts are valid under terms: the minimum and steps above it, or a list."""

from bisect import bisect_right
from dataclasses import dataclass
from math import gcd

from exchange.points import POINTS_MAX, Points
from exchange.rules import Rounding
from exchange.terms import Terms


@dataclass(frozen=True, slots=True)
class Steps:
    """The amounts `first`, `first + step`, and so on, up to `POINTS_MAX`; none where `first` is beyond."""

    first: int
    step: int

    def __len__(self) -> int:
        return 0 if self.first > POINTS_MAX else (POINTS_MAX - self.first) // self.step + 1

    def __getitem__(self, index: int) -> Points:
        return Points(self.first + index * self.step)

    def count_up_to(self, amount: int) -> int:
        """How many valid amounts there are up to `amount`, inclusive."""
        return 0 if amount < self.first else min((amount - self.first) // self.step + 1, len(self))


@dataclass(frozen=True, slots=True)
class Listed:
    """Amounts that stand in a table, rising."""

    amounts: tuple[Points, ...]

    def __len__(self) -> int:
        return len(self.amounts)

    def __getitem__(self, index: int) -> Points:
        return self.amounts[index]

    def count_up_to(self, amount: int) -> int:
        """How many valid amounts there are up to `amount`, inclusive."""
        return bisect_right(self.amounts, amount)


Amounts = Steps | Listed
"""All valid amounts in, rising; by index, so that a search can halve them."""


def valid_amounts(terms: Terms, tier: str | None = None) -> Amounts:
    """The amounts in that the terms take from a member of this tier; possibly none at all."""
    rules = terms.rules
    block = terms.ratio.reduced().from_units if rules.rounding is Rounding.WHOLE else 1
    if rules.amounts:
        return Listed(tuple(each for each in rules.amounts if each % block == 0))
    minimum = next((each.minimum for each in rules.minimums if tier in each.tiers), terms.minimum)
    if rules.rounding is Rounding.WHOLE:
        return _whole(minimum, terms.increment, block)
    return Steps(minimum, terms.increment)


def _whole(minimum: int, increment: int, block: int) -> Steps:
    """Those of `minimum + k * increment` that are whole numbers of `block`: the solutions of a linear congruence."""
    common = gcd(increment, block)
    if minimum % common:
        return Steps(POINTS_MAX + 1, 1)
    step = increment * (block // common)
    turns = -minimum // common * pow(increment // common, -1, block // common) % (block // common)
    return Steps(minimum + turns * increment, step)
