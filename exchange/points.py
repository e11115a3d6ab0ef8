"""Amounts: whole points and micro-units of money.

Both are plain integers with a name of their own, so that a type checker sees them mixed up. No float is
ever an amount.
"""

from typing import NewType

from exchange.errors import InvalidAmount

Points = NewType("Points", int)
"""Whole points of one program."""

MicroUnits = NewType("MicroUnits", int)
"""Millionths of a settlement currency's unit: 1,000,000 are one dollar."""

ZERO = Points(0)
"""No points: a sum may be this, an amount that moves may not."""

POINTS_MAX = Points(2**48 - 1)
"""The most that one amount can say: an entry on chain has six bytes for it."""

MICRO_UNITS_MAX = MicroUnits(2**63 - 1)
"""The most money that one amount can say: databases keep a signed 64-bit integer."""


def points(value: object, field: str = "points") -> Points:
    """`value` as an amount that can be moved: a whole number from 1 to `POINTS_MAX`.

    Raises `InvalidAmount` naming `field`. A boolean, a float and a text are no amounts, whatever they look
    like.
    """
    if type(value) is not int:
        raise InvalidAmount("an amount of points is a whole number", field=field)
    if value < 1:
        raise InvalidAmount("an amount of points is at least 1", field=field, limit=1, nearest=1)
    if value > POINTS_MAX:
        raise InvalidAmount(
            f"an amount of points is at most {POINTS_MAX}", field=field, limit=POINTS_MAX, nearest=POINTS_MAX
        )
    return Points(value)
