"""Pricing: what an amount becomes under given terms, explained line by line.

Amounts in are valid at `minimum + k * increment`. What lies between two valid amounts buys what the lower
one buys, so only that much is burned, and the rest stays with the member.

Pricing is deterministic, and more in never gives less out. Splitting a transfer never gives more as long as
`minimum` is a multiple of `increment`. Where it is not, the terms themselves say that two smallest
transfers carry more than one transfer of the same total (minimum 5, steps of 10: twice 5 is worth 10, while
10 at once is worth 5).
"""

from dataclasses import dataclass

from exchange.errors import BelowMinimum, InvalidAmount, NothingOut
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, MicroUnits, Points, points
from exchange.terms import Terms


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a price's explanation; `points` is the amount that the line is about."""

    label: str
    detail: str
    points: Points


@dataclass(frozen=True, slots=True)
class Price:
    """What a swap burns and gives.

    `amount_in` is the least valid amount that gives `amount_out`; `remainder` is what was offered beyond it
    and stays with the member. `settlement` is what the source program owes for it. `nearest_above` is the
    least amount in that gives more, None when there is none.
    """

    amount_in: Points
    amount_out: Points
    remainder: Points
    settlement: MicroUnits
    nearest_above: Points | None
    lines: tuple[Line, ...]

    @property
    def nearest_below(self) -> Points:
        """The valid amount at or below what was offered that leaves nothing over: what is burned."""
        return self.amount_in


def price(terms: Terms, amount_in: int) -> Price:
    """What `amount_in` source points become.

    Raises `InvalidAmount`, `BelowMinimum`, and `NothingOut` when not even one whole point would come of it;
    each with the nearest amount that passes. All name the field `amount_in`.
    """
    offered = points(amount_in, "amount_in")
    if offered < terms.minimum:
        raise BelowMinimum(
            f"the least amount under these terms is {terms.minimum:,}",
            field="amount_in",
            limit=terms.minimum,
            nearest=terms.minimum,
        )
    amount_out = terms.ratio.convert(_step_at_most(terms, offered))
    if amount_out == 0:
        raise _nothing_out(terms)
    if amount_out > _out_max(terms):
        most = _in_max(terms)
        raise InvalidAmount(
            "the amount becomes more than one swap can carry", field="amount_in", limit=most, nearest=most
        )
    burned = _least_in(terms, amount_out)
    return _explained(terms, burned, Points(offered - burned))


def price_for(terms: Terms, amount_out: int) -> Price:
    """The least amount in that gives at least `amount_out` destination points; it may give more.

    Raises `InvalidAmount` naming the field `amount_out`, with the most that one swap can give.
    """
    wanted = points(amount_out, "amount_out")
    burned = _least_in(terms, wanted)
    most_in = _in_max(terms)
    if most_in is None or burned > most_in:
        most_out = None if most_in is None else terms.ratio.convert(most_in) or None
        raise InvalidAmount(
            "one swap cannot give that much under these terms",
            field="amount_out",
            limit=most_out,
            nearest=most_out,
        )
    return _explained(terms, burned, Points(0))


def _step_at_most(terms: Terms, amount: int) -> Points:
    """The greatest valid amount in up to `amount`, which is not below the minimum."""
    return Points(amount - (amount - terms.minimum) % terms.increment)


def _least_in(terms: Terms, amount_out: Points) -> Points:
    """The least valid amount in that converts to at least `amount_out`."""
    beyond = max(0, terms.ratio.needed_for(amount_out) - terms.minimum)
    steps = -(-beyond // terms.increment)
    return Points(terms.minimum + steps * terms.increment)


def _out_max(terms: Terms) -> Points:
    """The most that one swap may give: the amount and its settlement must both fit where they are kept."""
    if terms.settlement_price == 0:
        return POINTS_MAX
    return Points(min(POINTS_MAX, MICRO_UNITS_MAX // terms.settlement_price))


def _in_max(terms: Terms) -> Points | None:
    """The greatest valid amount in that one swap can carry; None when not even the minimum can be carried."""
    most = min(POINTS_MAX, terms.ratio.needed_for(Points(_out_max(terms) + 1)) - 1)
    return _step_at_most(terms, most) if most >= terms.minimum else None


def _nothing_out(terms: Terms) -> NothingOut:
    least = _least_in(terms, Points(1))
    most = _in_max(terms)
    nearest = least if most is not None and least <= most else None
    return NothingOut(
        f"at {terms.ratio} the amount becomes less than one point",
        field="amount_in",
        limit=nearest,
        nearest=nearest,
    )


def _explained(terms: Terms, burned: Points, remainder: Points) -> Price:
    amount_out = terms.ratio.convert(burned)
    above = _least_in(terms, Points(amount_out + 1))
    most = _in_max(terms)
    return Price(
        amount_in=burned,
        amount_out=amount_out,
        remainder=remainder,
        settlement=MicroUnits(amount_out * terms.settlement_price),
        nearest_above=above if most is not None and above <= most else None,
        lines=tuple(_lines(terms, burned, amount_out, remainder)),
    )


def _lines(terms: Terms, burned: Points, amount_out: Points, remainder: Points) -> list[Line]:
    lines = [
        Line("burned", f"{burned:,} points leave the source program", burned),
        Line("base", f"{burned:,} at {terms.ratio}", amount_out),
    ]
    fraction = burned * terms.ratio.exact - amount_out
    if fraction:
        lines.append(Line("rounding", f"{fraction} of a point is left out: only whole points are created", Points(0)))
    if remainder:
        lines.append(Line("remainder", f"{remainder:,} points would add nothing and stay", remainder))
    return lines
