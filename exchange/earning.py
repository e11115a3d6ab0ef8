"""Earning: what a spend in money is worth in points."""

from dataclasses import dataclass

from exchange.errors import InvalidAmount
from exchange.points import POINTS_MAX, Points
from exchange.ratio import check_side


@dataclass(frozen=True, slots=True)
class EarningRate:
    """So many points for so many minor units of money: 2 points per 100 cents.

    Raises `InvalidRatio` naming the side that is no whole number from 1 to `POINTS_MAX`.
    """

    points: Points
    per_minor_units: int

    def __post_init__(self) -> None:
        check_side("points", self.points)
        check_side("per_minor_units", self.per_minor_units)

    def award(self, amount_minor: int) -> Points:
        """Whole points for a spend of `amount_minor` minor units, rounded down; 0 for a small spend.

        Raises `InvalidAmount` for a negative spend, and for one that earns more than one amount can say.
        """
        if type(amount_minor) is not int:
            raise InvalidAmount("a spend is a whole number of minor units", field="spend_minor")
        if amount_minor < 0:
            raise InvalidAmount("a spend is not negative", field="spend_minor", limit=0, nearest=0)
        awarded = amount_minor * self.points // self.per_minor_units
        if awarded > POINTS_MAX:
            most = ((POINTS_MAX + 1) * self.per_minor_units - 1) // self.points
            raise InvalidAmount(
                "the spend earns more points than one earn can hold",
                field="spend_minor",
                limit=most,
                nearest=most,
            )
        return Points(awarded)
