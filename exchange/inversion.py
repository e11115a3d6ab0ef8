"""Inversion: whether the two sides of a ratio look exchanged.

Public tables get the direction of a ratio wrong again and again, and a ratio the wrong way round gives away a multiple
of what was meant. Two things are known that can tell, and both are compared exactly:

previous  The version that the ratio replaces. It is nearer to the inverse when it lies on the other side of 1:1: how
          far two ratios are apart is measured by the factor between them, so 4:5 is as far from 1:1 as 5:4 is.
worth     What one point of either program is worth at home. If at this ratio the member received more value than was
          given, and at its inverse no more than that, then the inverse is what a program would agree to. A loss is
          normal: published transfers lose 37% to 89%, so a ratio at which the member loses says nothing.

Where both speak and disagree, worth counts. Neither proves anything: whoever means it confirms it.
"""

from fractions import Fraction
from math import floor

from exchange.errors import InvertedRatio
from exchange.explanation import BASIS, Worth, percent
from exchange.ratio import Ratio


def inverse_of(ratio: Ratio) -> Ratio:
    """The ratio with its two sides exchanged."""
    return Ratio(ratio.to_units, ratio.from_units)


def looks_inverted(ratio: Ratio, *, previous: Ratio | None = None, worth: Worth | None = None) -> str | None:
    """Why the inverse looks more likely than this ratio, in a sentence; None where nothing says so.

    `worth` is of the program that gives (`source`) and of the one that receives (`destination`), in one currency.
    """
    inverse = inverse_of(ratio)
    if worth is not None and worth.source > 0:
        received, received_inverse = (each.exact * worth.destination / worth.source for each in (ratio, inverse))
        if received_inverse > 1 >= received:
            return None  # it is the inverse that would give value away, whatever the version before said
        if received > 1 >= received_inverse:
            return (
                f"at {ratio} a member would receive {_share(received)} of the value given, "
                f"at {inverse} {_share(received_inverse)}"
            )
    if previous is not None and _factor(previous, inverse) < _factor(previous, ratio):
        return f"the ratio before was {previous}, which is nearer to {inverse} than to {ratio}"
    return None


def require_not_inverted(
    ratio: Ratio, *, previous: Ratio | None = None, worth: Worth | None = None, confirmed: bool = False
) -> None:
    """Raises `InvertedRatio`, naming the inverse, unless nothing speaks for that or somebody confirmed the ratio."""
    reason = None if confirmed else looks_inverted(ratio, previous=previous, worth=worth)
    if reason is not None:
        raise InvertedRatio(
            f"{ratio} looks inverted: {reason}; confirm it if it is meant",
            field="ratio",
            limit=str(ratio),
            nearest=str(inverse_of(ratio)),
        )


def _factor(one: Ratio, other: Ratio) -> Fraction:
    """By which factor two ratios differ: 1 where they are the same, never less."""
    factor = one.exact / other.exact
    return max(factor, 1 / factor)


def _share(value: Fraction) -> str:
    return percent(floor(value * BASIS))
