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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from exchange.amounts import Amounts, valid_amounts
from exchange.caps import require_count, room_in
from exchange.conversion import Granted, MoneyDue, Yield, convert, fees_on
from exchange.errors import BelowMinimum, DirectionClosed, InvalidAmount, NoRoute, NothingOut, OverCap
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
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, ZERO, MicroUnits, Points, points
from exchange.rules import PointsFee
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms

HOPS_MAX = 4
"""Directions along one route: the contract settles paths of up to five programs."""

LEAPS_MAX = 10_000
"""Steps of the search for an amount that suits all hops. Increments that meet so rarely are no route for anybody."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One direction of a route, and the member's situation in it."""

    terms: Terms
    situation: Situation = PLAIN_SITUATION


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


def price_route(hops: Sequence[Hop], amount_in: int, worth: Worth | None = None) -> Price:
    """What `amount_in` points of the first program become along the hops.

    Raises `InvalidAmount`, `BelowMinimum`, `OverCap`, and `NothingOut` when not even one whole point would come of it;
    each with the nearest amount that passes, and naming the field `amount_in`. Raises `DirectionClosed` where terms
    are not for the member's tier, and `NoRoute` where hops cannot follow one another.
    """
    offered = points(amount_in, "amount_in")
    path = Path(hops)
    burned = path.at_most(offered)
    if burned is None:
        raise path.below_minimum()
    given = path.yield_of(burned)
    if given.base == 0:
        raise path.nothing_out()
    least = path.least_for(given.total)
    assert least is not None and least <= burned, "what is burned gives as much"
    path.require_room(least)
    return _explained(path, least, Points(offered - least), worth)


def price_route_for(hops: Sequence[Hop], amount_out: int, worth: Worth | None = None) -> Price:
    """The least amount in that gives at least `amount_out` points of the last program; it may give more.

    Raises `InvalidAmount`, and `OverCap`, naming the field `amount_out`, with the most that one swap can give; and
    `DirectionClosed` and `NoRoute`.
    """
    wanted = points(amount_out, "amount_out")
    path = Path(hops)
    least = path.least_for(wanted)
    if least is not None and least <= path.most:
        return _explained(path, least, ZERO, worth)
    greatest = path.at_most(path.most)
    most = None if greatest is None else path.yield_of(greatest).total or None
    if least is not None and least <= path.carried:  # only a cap is in the way
        path.require_count("amount_out")
        raise OverCap(
            "a cap of these terms does not let that much through now", field="amount_out", limit=most, nearest=most
        )
    raise InvalidAmount(
        "one swap cannot give that much under these terms", field="amount_out", limit=most, nearest=most
    )


class Path:
    """Which amounts may go along some hops, and what each becomes.

    Raises `DirectionClosed` and `NoRoute`. `carried` is the most that fits where amounts are kept, `most` what the caps
    let through as well.
    """

    def __init__(self, hops: Sequence[Hop]) -> None:
        assert 1 <= len(hops) <= HOPS_MAX, "a route has from one to HOPS_MAX hops"
        self.hops = hops
        _require_open(hops)
        _require_passage(hops)
        self._ratios = [hop.terms.ratio for hop in hops]
        self._amounts: list[Amounts] = [valid_amounts(hop.terms, hop.situation.tier) for hop in hops]
        self._rooms = [room_in(hop.terms, hop.situation) for hop in hops]
        self.carried = self._most([(POINTS_MAX, POINTS_MAX)] * len(hops))
        self.most = min(self.carried, self._most(self._rooms))

    def amounts_of(self, amount: int) -> list[int]:
        """What stands before each hop and, last, what the ratio of the last hop gives."""
        amounts = [amount]
        for ratio in self._ratios:
            amounts.append(ratio.convert(Points(amounts[-1])))
        return amounts

    def yield_of(self, amount: int) -> Yield:
        """What a valid amount gives at the end of the route."""
        return self._last_yield(self.amounts_of(amount)[-2])

    def at_most(self, amount: int) -> Points | None:
        """The greatest valid amount up to `amount`, None when there is none.

        From an amount that some hop does not take, it leaps down to the greatest that could give what that hop takes.
        """
        for _ in range(LEAPS_MAX):
            place, standing = self._refusing(amount)
            if place is None:
                return Points(amount)
            count = self._amounts[place].count_up_to(standing)
            if count == 0:
                return None
            amount = self._back_most(place, self._amounts[place][count - 1])
            if amount < 1:
                return None
        return None

    def at_least(self, amount: int) -> Points | None:
        """The least valid amount from `amount` on, None when there is none."""
        for _ in range(LEAPS_MAX):
            if amount > POINTS_MAX:
                return None
            place, standing = self._refusing(amount)
            if place is None:
                return Points(amount)
            count = self._amounts[place].count_up_to(standing - 1)
            if count == len(self._amounts[place]):
                return None
            amount = self._back_least(place, self._amounts[place][count])
        return None

    def least_for(self, total: int) -> Points | None:
        """The least valid amount that gives at least `total` and of which at least one point is no bonus."""
        amounts = self._amounts[-1]
        index = self._first(lambda each: self._last_yield(amounts[each]).total >= total)
        if index == len(amounts):
            return None
        before_last = max(amounts[index], self._ratios[-1].needed_for(Points(1)))
        return self.at_least(self._back_least(len(self.hops) - 1, before_last))

    def require_room(self, amount: int) -> None:
        """Raises `OverCap` or `InvalidAmount` with the nearest valid amount unless this one may go."""
        if amount <= self.most:
            return
        nearest = self.at_most(self.most)
        if amount > self.carried:
            raise InvalidAmount(
                "the amount becomes more than one swap can carry", field="amount_in", limit=nearest, nearest=nearest
            )
        self.require_count("amount_in")
        raise OverCap(
            f"the caps of these terms let {max(0, self.most):,} points through now",
            field="amount_in",
            limit=max(0, self.most),
            nearest=nearest,
        )

    def require_count(self, field: str) -> None:
        """Raises `OverCap` where a hop allows no more transfers in a running period."""
        for hop in self.hops:
            require_count(hop.terms, hop.situation, field)

    def below_minimum(self) -> BelowMinimum:
        """The refusal of an amount below every valid one."""
        least = self.at_least(1)
        said = "there is no amount that suits these terms" if least is None else f"the least amount is {least:,}"
        return BelowMinimum(said, field="amount_in", limit=least, nearest=least)

    def nothing_out(self) -> NothingOut:
        """The refusal of an amount of which no whole point comes."""
        least = self.least_for(1)
        nearest = least if least is not None and least <= self.most else None
        ratios = ", then ".join(map(str, self._ratios))
        return NothingOut(
            f"at {ratios} the amount becomes less than one point", field="amount_in", limit=nearest, nearest=nearest
        )

    def _refusing(self, amount: int) -> tuple[int | None, int]:
        """The first hop that does not take what stands before it, and what that is."""
        standing = amount
        for place, (amounts, ratio) in enumerate(zip(self._amounts, self._ratios, strict=True)):
            count = amounts.count_up_to(standing)
            if count == 0 or amounts[count - 1] != standing:
                return place, standing
            standing = ratio.convert(Points(standing))
        return None, standing

    def _last_yield(self, before_last: int) -> Yield:
        return convert(self.hops[-1].terms, Points(before_last), self.hops[-1].situation)

    def _back_most(self, place: int, limit: int) -> int:
        """The greatest amount in of which no more than `limit` comes before the hop at `place`; 0: there is none."""
        for ratio in reversed(self._ratios[:place]):
            limit = ratio.needed_for(Points(limit + 1)) - 1
        return limit

    def _back_least(self, place: int, wanted: int) -> int:
        """The least amount in of which at least `wanted` comes before the hop at `place`."""
        for ratio in reversed(self._ratios[:place]):
            wanted = ratio.needed_for(Points(wanted))
        return wanted

    def _most(self, rooms: Sequence[tuple[int, int]]) -> int:
        """The greatest amount in, valid or not, for which nothing is larger than its room or its place."""
        limits = []
        for place, (hop, (out_room, in_room)) in enumerate(zip(self.hops, rooms, strict=True)):
            limits.append(self._back_most(place, out_room))
            price = hop.terms.settlement_price
            fits = POINTS_MAX if price == 0 else min(POINTS_MAX, MICRO_UNITS_MAX // price)
            limits.append(self._back_most(place + 1, min(in_room, fits)))
        last = self._amounts[-1]
        most_total = rooms[-1][1]
        index = self._first(lambda each: self._last_yield(last[each]).total > most_total)
        limits.append(self._back_most(len(self.hops) - 1, last[index] - 1) if index < len(last) else POINTS_MAX)
        return min(limits)

    def _first(self, holds: Callable[[int], bool]) -> int:
        """The first index of the last hop's amounts at which `holds`, as it then does at all later ones."""
        low, high = 0, len(self._amounts[-1])
        while low < high:
            middle = (low + high) // 2
            if holds(middle):
                high = middle
            else:
                low = middle + 1
        return low


def _require_open(hops: Sequence[Hop]) -> None:
    for hop in hops:
        tiers = hop.terms.rules.tiers
        if tiers and hop.situation.tier not in tiers:
            names = ", ".join(sorted(tiers))
            raise DirectionClosed(f"these terms are for members in the tiers {names}", field="tier", nearest=names)


def _require_passage(hops: Sequence[Hop]) -> None:
    """Raises `NoRoute` where what one hop brings may not go on with the next."""
    for before, after in pairwise(hops):
        if not before.terms.rules.received.onward:
            reason = "points received there may not be swapped again"
        elif not takes_through(after.terms):
            reason = "only points that lie there as the terms ask may go on from there"
        else:
            continue
        raise NoRoute(f"no route leads through {after.terms.source}: {reason}", field="path")


def takes_through(terms: Terms) -> bool:
    """Whether points may pass through the source of these terms that were never in anybody's account there."""
    eligible = terms.rules.eligible
    burns_a_fee = any(isinstance(fee, PointsFee) for fee in terms.rules.fees)
    return not (eligible.age_min_days or eligible.left_min_days or eligible.earned_only or burns_a_fee)


def _explained(path: Path, amount: Points, remainder: Points, worth: Worth | None) -> Price:
    first, last = path.hops[0], path.hops[-1]
    given = path.yield_of(amount)
    above = path.least_for(given.total + 1)
    fee_points, fees = _fees(path, amount)
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
            *lines_of_yield(last.terms, Points(amounts[-2]), given),
            *lines_of_fees(fee_points, fees),
            *lines_of_rest(remainder),
            *lines_of_value(value, worth),
        ),
    )


def _fees(path: Path, amount: Points) -> tuple[Points, tuple[MoneyDue, ...]]:
    """The fees of all hops: points at the first alone, since later ones that burn some are not passed through."""
    in_points, in_money = 0, dict[str, int]()
    for hop, standing in zip(path.hops, path.amounts_of(amount), strict=False):
        fee_points, fees = fees_on(hop.terms, Points(standing), hop.situation)
        in_points += fee_points
        for fee in fees:
            in_money[fee.currency] = in_money.get(fee.currency, 0) + fee.micro
    return Points(in_points), tuple(MoneyDue(currency, MicroUnits(micro)) for currency, micro in in_money.items())
