"""Ratios: two integers and a direction."""

from dataclasses import dataclass
from fractions import Fraction
from math import gcd

from exchange.errors import InvalidRatio
from exchange.points import POINTS_MAX, Points


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many destination points a number of source points becomes.

    Both sides are whole points from 1 to `POINTS_MAX`: 3 -> 1 means that three source points become one.
    The two integers are kept as they were agreed, so 250 -> 200 and 5 -> 4 convert alike but are not equal.

    Raises `InvalidRatio` naming the side that is at fault.
    """

    from_units: Points
    to_units: Points

    def __post_init__(self) -> None:
        check_side("from_units", self.from_units)
        check_side("to_units", self.to_units)

    def __str__(self) -> str:
        return f"{self.from_units}:{self.to_units}"

    @property
    def exact(self) -> Fraction:
        """Destination points for one source point, unrounded."""
        return Fraction(self.to_units, self.from_units)

    def convert(self, amount: Points) -> Points:
        """Whole destination points for `amount`, rounded down: a fraction of a point is never created.

        May be 0, and may be beyond `POINTS_MAX`; whoever promises the result looks first.
        """
        return Points(amount * self.to_units // self.from_units)

    def needed_for(self, out: Points) -> Points:
        """The least amount in that converts to at least `out`; it too may be beyond `POINTS_MAX`."""
        return Points(-(-out * self.from_units // self.to_units))

    def reduced(self) -> "Ratio":
        """The same ratio in lowest terms: every multiple of its `from_units` converts without rounding."""
        divisor = gcd(self.from_units, self.to_units)
        return Ratio(Points(self.from_units // divisor), Points(self.to_units // divisor))


def check_side(field: str, value: object) -> None:
    """Raises `InvalidRatio` unless `value` is a whole number from 1 to `POINTS_MAX`."""
    if type(value) is not int:
        raise InvalidRatio(f"{field} is a whole number", field=field)
    if value < 1:
        raise InvalidRatio(f"{field} is at least 1", field=field, limit=1, nearest=1)
    if value > POINTS_MAX:
        raise InvalidRatio(f"{field} is at most {POINTS_MAX}", field=field, limit=POINTS_MAX, nearest=POINTS_MAX)
