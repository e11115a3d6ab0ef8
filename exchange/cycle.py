"""Cycles: directions that lead back to where they began, and what their rates make of one point."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Final

from exchange.explanation import BASIS, percent

DESCRIBED_MAX: Final = 12
"""Directions that a sentence names; of a longer cycle it names as many from both ends together."""

DIGITS_MAX: Final = 60
"""Digits of a product's numerator and denominator together that a sentence writes out."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """Programs in the order in which points go round; `rates` leads from each to the next, the last to the first.

    A rate is destination points for one source point.
    """

    programs: tuple[str, ...]
    rates: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        assert len(self.programs) == len(self.rates) >= 2, "a cycle has a rate out of each of its programs"
        assert len(set(self.programs)) == len(self.programs), "a cycle visits a program once"

    @property
    def product(self) -> Fraction:
        """What one point becomes on its way round, before anything is rounded down."""
        return prod(self.rates, start=Fraction(1))

    @property
    def gains(self) -> bool:
        """Whether more could return than went in: a cycle that returns exactly what went in does not gain."""
        return self.product > 1

    def directions(self) -> Iterator[tuple[str, str]]:
        """Source and destination of each direction."""
        return zip(self.programs, (*self.programs[1:], self.programs[0]), strict=True)

    def describe(self, names: Mapping[str, str]) -> str:
        """The cycle in one sentence; `names` are what people call the programs, ids stand for those without."""
        said = [
            f"{names.get(source, source)} to {names.get(destination, destination)} at {as_ratio(rate)}"
            for (source, destination), rate in zip(self.directions(), self.rates, strict=True)
        ]
        if (left_out := len(said) - DESCRIBED_MAX) > 0:
            half = DESCRIBED_MAX // 2
            said[half : half + left_out] = [f"{left_out:,} more"]
        return f"{', '.join(said)}: {self._returned()}"

    def _returned(self) -> str:
        product = self.product
        if product == 1:
            return "exactly what went in could come back"
        returned = f"{product.numerator}/{product.denominator}"
        if len(returned) > DIGITS_MAX + 1:
            returned = "a fraction too long to write"
        change = "more" if product > 1 else "less"
        return f"{returned} of what went in could come back, {_share(abs(product - 1))} {change}"


def as_ratio(rate: Fraction) -> str:
    """A rate as source points and destination points: 1/3 is 3:1."""
    return f"{rate.denominator}:{rate.numerator}"


def _share(share: Fraction) -> str:
    basis_points = int(share * BASIS)
    return percent(basis_points) if basis_points else f"under {percent(1)}"
