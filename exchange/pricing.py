"""Pricing: what an amount becomes along a route of one or more directions, explained line by line.

Only valid amounts go (`exchange.amounts`). What lies between two of them buys what the lower one buys, and only the
least amount that buys as much is burned: the rest stays with the member.

The ratio gives the base, which the contract computes too. Whatever is better is a bonus, posted apart. For one member
at one moment pricing is deterministic, and more in never gives less out: a better ratio counts instead of the ratio,
shares count what it gives, and all else only grows with the amount. Splitting a transfer never gives more, unless the
terms themselves say so (`exchange.splitting`).

On a route of several hops the first program burns and the last one mints; those between create nothing. So every
amount between must be valid as it is for the hop that follows, what rounding takes there is gone, bonuses count on the
last hop only and fees in points on the first.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from exchange.conversion import Granted, MoneyDue, fees_on, sum_by_currency
from exchange.errors import InvalidAmount, OverCap
from exchange.explanation import (
    Line,
    Value,
    Worth,
    lines_of_fees,
    lines_of_hop,
    lines_of_rest,
    lines_of_value,
    lines_of_yield,
    value_of,
)
from exchange.path import HOPS_MAX, Hop, Path, takes_through
from exchange.points import ZERO, MicroUnits, Points, points
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms

__all__ = [
    "HOPS_MAX",
    "Hop",
    "HopPrice",
    "Path",
    "Price",
    "most_payable",
    "price",
    "price_for",
    "price_route",
    "price_route_for",
    "takes_through",
]


@dataclass(frozen=True, slots=True)
class HopPrice:
    """What one hop takes and gives before bonuses, and what its source program owes for that."""

    terms: Terms
    amount_in: Points
    amount_out: Points
    settlement: MicroUnits


@dataclass(frozen=True, slots=True)
class Price:
    """What a swap burns and gives.

    `amount_in` is the least valid amount that gives as much; `remainder` is what was offered beyond it and stays with
    the member. `base_out` is what the contract mints, `amount_out` that and all bonuses. `fee_points` are burned on
    top. `nearest_above` is the least amount in that gives more, None when there is none.
    """

    hops: tuple[HopPrice, ...]
    amount_in: Points
    base_out: Points
    amount_out: Points
    remainder: Points
    bonuses: tuple[Granted, ...]
    fee_points: Points
    fees: tuple[MoneyDue, ...]
    nearest_above: Points | None
    value: Value | None
    lines: tuple[Line, ...]

    @property
    def nearest_below(self) -> Points:
        """The valid amount at or below what was offered that leaves nothing over: what is burned."""
        return self.amount_in

    @property
    def settlement(self) -> MicroUnits:
        """What the first program owes for the swap."""
        return self.hops[0].settlement


def price(terms: Terms, amount_in: int, situation: Situation = PLAIN_SITUATION, worth: Worth | None = None) -> Price:
    """What `amount_in` source points become in one direction; see `price_route`."""
    return price_route([Hop(terms, situation)], amount_in, worth)


def price_for(
    terms: Terms, amount_out: int, situation: Situation = PLAIN_SITUATION, worth: Worth | None = None
) -> Price:
    """The least amount in that gives `amount_out` in one direction; see `price_route_for`."""
    return price_route_for([Hop(terms, situation)], amount_out, worth)


def price_route(
    hops: Sequence[Hop], amount_in: int, worth: Worth | None = None, perhaps: Sequence[Sequence[Hop]] = ()
) -> Price:
    """What `amount_in` points of the first program become along the hops.

    `perhaps` are the same hops in other situations, which differ in how many transfers went before: the price is then
    one that holds in all of them, the least that arrives and the greatest of each fee.

    Raises `InvalidAmount`, `BelowMinimum`, `OverCap`, and `NothingOut` when not even one whole point would come of it;
    each with the nearest amount that passes now (None where none does), and naming the field `amount_in`. Raises
    `DirectionClosed` where terms are not for the member's tier, and `NoRoute` where hops cannot follow one another.
    """
    paths = [Path(each) for each in (hops, *perhaps)]
    path = paths[0]  # amounts and caps are the same in all
    offered = _within(amount_in, "amount_in", path)
    burned = path.at_most(offered)
    if burned is None:
        raise path.below_minimum()
    if path.yield_of(burned).base == 0:
        raise path.nothing_out()
    given = min(each.yield_of(burned).total for each in paths)
    least = _least_for(paths, given) or burned  # none is found where increments meet too rarely to look on
    assert least <= burned, "what is burned gives as much"
    path.require_room(least)
    return _explained(paths, least, Points(offered - least), worth)


def price_route_for(
    hops: Sequence[Hop], amount_out: int, worth: Worth | None = None, perhaps: Sequence[Sequence[Hop]] = ()
) -> Price:
    """The least amount in that gives at least `amount_out` points of the last program; it may give more.

    `perhaps` as for `price_route`: it suffices in all these situations.

    Raises `InvalidAmount`, and `OverCap`, naming the field `amount_out`, with the most that one swap can give; and
    `DirectionClosed` and `NoRoute`.
    """
    paths = [Path(each) for each in (hops, *perhaps)]
    path = paths[0]
    wanted = _within(amount_out, "amount_out", path)
    least = _least_for(paths, wanted)
    if least is not None and least <= path.most:
        return _explained(paths, least, ZERO, worth)
    most = _most_out(paths)
    if least is not None and least <= path.carried:  # only a cap is in the way
        path.require_count("amount_out")
        raise OverCap(
            "a cap of these terms does not let that much through now", field="amount_out", limit=most, nearest=most
        )
    raise InvalidAmount(
        "one swap cannot give that much under these terms", field="amount_out", limit=most, nearest=most
    )


def _least_for(paths: Sequence[Path], wanted: int) -> Points | None:
    """The least valid amount that gives at least so much in every situation."""
    least = paths[0].least_for(wanted)
    for path in paths[1:]:
        if least is None:
            break
        if path.yield_of(least).total < wanted:
            least = path.least_for(wanted)
    return least


def _within(value: int, field: str, path: Path) -> Points:
    """`value` as an amount. A refusal names the nearest that passes along this path, which `points` cannot know."""
    try:
        return points(value, field)
    except InvalidAmount as refusal:
        if refusal.nearest is None:
            raise
        nearest = {
            ("amount_in", True): path.least,
            ("amount_in", False): path.greatest,
            ("amount_out", True): None if path.least is None else 1,
            ("amount_out", False): _most_out([path]),
        }[field, value < 1]
        raise InvalidAmount(refusal.detail, field=field, limit=refusal.limit, nearest=nearest) from None


def _most_out(paths: Sequence[Path]) -> int | None:
    """The most that one swap gives now in every situation, None where none passes."""
    greatest = paths[0].greatest
    return None if greatest is None else min(path.yield_of(greatest).total for path in paths)


def _explained(paths: Sequence[Path], amount: Points, remainder: Points, worth: Worth | None) -> Price:
    path = min(paths, key=lambda each: each.yield_of(amount).total)
    first, last = path.hops[0], path.hops[-1]
    given = path.yield_of(amount)
    above = _least_for(paths, given.total + 1)
    fee_points, fees = _fees(paths, amount)
    value = None if worth is None else value_of(worth, amount + fee_points, given.total)
    amounts = path.amounts_of(amount)
    return Price(
        hops=tuple(
            HopPrice(hop.terms, Points(into), Points(out), MicroUnits(out * hop.terms.settlement_price))
            for hop, into, out in zip(path.hops, amounts, amounts[1:], strict=False)
        ),
        amount_in=amount,
        base_out=given.base,
        amount_out=Points(given.total),
        remainder=remainder,
        bonuses=given.bonuses,
        fee_points=fee_points,
        fees=fees,
        nearest_above=above if above is not None and above <= path.most else None,
        value=value,
        lines=(
            Line("burned", f"{amount:,} points leave", amount, program=first.terms.source),
            *(
                line
                for hop, into in zip(path.hops[:-1], amounts, strict=False)
                for line in lines_of_hop(hop.terms, into)
            ),
            *lines_of_yield(last.terms, Points(amounts[-2]), given, last.situation),
            *lines_of_fees(fee_points, fees, first.terms.source),
            *lines_of_rest(remainder, first.terms.source),
            *lines_of_value(value, worth),
        ),
    )


def most_payable(hops: Sequence[Hop], purse: int, perhaps: Sequence[Sequence[Hop]] = ()) -> Points:
    """The greatest amount, valid or not, that a purse of so many points pays together with the fee in points on it.

    `perhaps` as for `price_route`. 0 where it does not even pay a fee.
    """
    firsts = [each[0] for each in (hops, *perhaps)]

    def exceeds(amount: int) -> bool:
        return amount + max(fees_on(hop.terms, Points(amount), hop.situation)[0] for hop in firsts) > purse

    return Points(max(0, bisect_left(range(purse + 1), True, key=exceeds) - 1))


def _fees(paths: Sequence[Path], amount: Points) -> tuple[Points, tuple[MoneyDue, ...]]:
    """The fees of all hops, each the greatest of all situations: points at the first alone, since later hops that burn
    some are not passed through.
    """
    in_points, in_money = 0, list[MoneyDue]()
    for place, standing in enumerate(paths[0].amounts_of(amount)[:-1]):
        dearest, due = 0, dict[str, MoneyDue]()
        for hop in (path.hops[place] for path in paths):
            fee_points, fees = fees_on(hop.terms, Points(standing), hop.situation)
            dearest = max(dearest, fee_points)
            for fee in sum_by_currency(fees):
                due[fee.currency] = max(fee, due.get(fee.currency, fee), key=lambda one: one.micro)
        in_points += dearest
        in_money += due.values()
    return Points(in_points), sum_by_currency(in_money)
