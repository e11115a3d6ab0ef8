"""Paths: which amounts may go along the hops of a route, and what each becomes.

An amount goes along a path when it is valid for the first hop and what comes of it hop by hop, rounded down, is valid
for each of the others. Searches leap from one hop's valid amounts to the next hop's, and all of them are bounded.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import gcd, lcm

from exchange.amounts import Amounts, Steps, valid_amounts
from exchange.caps import require_count, room_in
from exchange.conversion import Yield, convert, fees_on
from exchange.errors import BelowMinimum, DirectionClosed, InvalidAmount, NoRoute, NothingOut, OverCap
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, Points
from exchange.ratio import Ratio
from exchange.rules import PointsFee
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms

HOPS_MAX = 4
"""Directions along one route: the contract settles paths of up to five programs."""

LEAPS_MAX = 10_000
"""Steps of the search for an amount that suits all hops. Increments that meet so rarely are no route for anybody."""

_NO_END = POINTS_MAX + 1

_Check = tuple[int, int, int, frozenset[Points] | None, int, int]
"""What a hop takes and how it converts: first, last and step, or the list; then both sides of the ratio.

Searches ask thousands of times what a path does with an amount, and this is how that is asked quickly.
"""


@dataclass(frozen=True, slots=True)
class Hop:
    """One direction of a route, and the member's situation in it."""

    terms: Terms
    situation: Situation = PLAIN_SITUATION


class Path:
    """Which amounts may go along some hops, and what each becomes.

    Raises `DirectionClosed` and `NoRoute`.
    """

    def __init__(self, hops: Sequence[Hop]) -> None:
        assert 1 <= len(hops) <= HOPS_MAX, "a route has from one to HOPS_MAX hops"
        assert all(one.terms.destination == then.terms.source for one, then in pairwise(hops)), "hops follow each other"
        self.hops = hops
        _require_open(hops)
        _require_passage(hops)
        self._ratios = [hop.terms.ratio for hop in hops]
        self._amounts: list[Amounts] = [valid_amounts(hop.terms, hop.situation.tier) for hop in hops]
        self._checks = [_check(amounts, ratio) for amounts, ratio in zip(self._amounts, self._ratios, strict=True)]

    @cached_property
    def carried(self) -> int:
        """The most that fits where amounts are kept, valid or not."""
        return min(_most_beside_fee(self.hops[0]), self._most([(POINTS_MAX, POINTS_MAX)] * len(self.hops)))

    @cached_property
    def most(self) -> int:
        """The most that fits and that the caps let through as well, valid or not."""
        if not any(hop.terms.rules.caps for hop in self.hops):
            return self.carried
        return min(self.carried, self._most([room_in(hop.terms, hop.situation) for hop in self.hops]))

    @cached_property
    def _period(self) -> int:
        return _period(self._amounts, self._ratios)

    @property
    def least(self) -> Points | None:
        """The least amount that passes now, None when none does."""
        least = self.least_for(1)
        return least if least is not None and least <= self.most else None

    @property
    def greatest(self) -> Points | None:
        """The greatest amount that passes now, None when none does."""
        greatest = self.at_most(self.most)
        return None if greatest is None or self.yield_of(greatest).base == 0 else greatest

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
        """The greatest valid amount up to `amount`, None when there is none."""
        return next((Points(each) for each, valid in self.leaps_down(amount) if valid), None)

    def at_least(self, amount: int) -> Points | None:
        """The least valid amount from `amount` on, None when there is none."""
        return next((Points(each) for each, valid in self.leaps_up(amount) if valid), None)

    def leaps_down(self, amount: int) -> Iterator[tuple[int, bool]]:
        """Amounts up to `amount` on the way to the greatest valid one, which comes last; whether each is valid.

        From an amount that some hop does not take, it leaps down to the greatest that could give what that hop takes,
        until it has seen all amounts of one period. None that it leaps over is valid.
        """
        end: int | None = None
        for _ in range(LEAPS_MAX):
            place, standing = self._refusing(amount)
            yield amount, place is None
            if place is None:
                return
            if end is None:
                end = min(amount, self._last_common()) - self._period
            amount = self._below(place, standing)
            if amount < 1 or amount <= end:
                return

    def leaps_up(self, amount: int) -> Iterator[tuple[int, bool]]:
        """The same upwards, from `amount` to the least valid one."""
        end: int | None = None
        for _ in range(LEAPS_MAX):
            if amount > POINTS_MAX:
                return
            place, standing = self._refusing(amount)
            yield amount, place is None
            if place is None:
                return
            if end is None:
                end = max(amount, self._first_common()) + self._period
            count = self._amounts[place].count_up_to(standing - 1)
            if count == len(self._amounts[place]):
                return
            amount = self._back_least(place, self._amounts[place][count])
            if amount >= end:
                return

    def least_for(self, total: int) -> Points | None:
        """The least valid amount that gives at least `total` and of which at least one point is no bonus."""
        start = self.start_for(total)
        return None if start is None else self.at_least(start)

    def start_for(self, total: int) -> int | None:
        """The least amount, valid or not, of which what `least_for` asks for could come; None when there is none."""
        last, ratio = self._amounts[-1], self._ratios[-1]
        if not self.hops[-1].terms.rules.bonuses:
            return self._back_least(len(self.hops) - 1, ratio.needed_for(Points(max(1, total))))
        index = self._first(lambda each: self._last_yield(last[each]).total >= total)
        if index == len(last):
            return None
        before_last = max(last[index], ratio.needed_for(Points(1)))
        return self._back_least(len(self.hops) - 1, before_last)

    def require_room(self, amount: int) -> None:
        """Raises `OverCap` or `InvalidAmount` with the nearest amount that passes unless this one may go."""
        if amount <= self.most:
            return
        nearest = self.greatest
        if amount > self.carried:
            raise InvalidAmount(
                "the amount becomes more than one swap can carry", field="amount_in", limit=nearest, nearest=nearest
            )
        self.require_count("amount_in")
        raise OverCap(
            f"the caps of these terms let {self.most:,} points through now",
            field="amount_in",
            limit=self.most,
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
        return BelowMinimum(said, field="amount_in", limit=least, nearest=self.least)

    def nothing_out(self) -> NothingOut:
        """The refusal of an amount of which no whole point comes."""
        ratios = ", then ".join(map(str, self._ratios))
        return NothingOut(
            f"at {ratios} the amount becomes less than one point",
            field="amount_in",
            limit=self.least_for(1),
            nearest=self.least,
        )

    def _refusing(self, amount: int) -> tuple[int | None, int]:
        """The first hop that does not take what stands before it, and what that is."""
        standing = amount
        for place, (first, last, step, listed, to_units, from_units) in enumerate(self._checks):
            if standing < first or standing > last or (standing - first) % step:
                return place, standing
            if listed is not None and standing not in listed:
                return place, standing
            standing = standing * to_units // from_units
        return None, standing

    def _below(self, place: int, standing: int) -> int:
        """The greatest amount in of which no more than what the hop at `place` takes below `standing` comes there.

        0 where it takes nothing. Without an object on the way, since a search for routes leaps thousands of times.
        """
        first, last, step, listed, _, _ = self._checks[place]
        if standing < first:
            return 0
        if listed is not None:
            amounts = self._amounts[place]
            taken = int(amounts[amounts.count_up_to(standing) - 1])
        else:
            taken = last if standing > last else standing - (standing - first) % step
        for _, _, _, _, to_units, from_units in reversed(self._checks[:place]):
            taken = ((taken + 1) * from_units - 1) // to_units
        return taken

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

    def _first_common(self) -> int:
        """The amount from which on every hop has valid amounts; below it nothing is valid."""
        firsts = (each[0] if len(each) else _NO_END for each in self._amounts)
        return max(self._back_least(place, first) for place, first in enumerate(firsts))

    def _last_common(self) -> int:
        """The amount up to which no hop is given more than an amount can say; beyond it nothing is valid."""
        return min(self._back_most(place, POINTS_MAX) for place in range(len(self.hops)))

    def _most(self, rooms: Sequence[tuple[int, int]]) -> int:
        """The greatest amount in, valid or not, for which nothing is larger than its room or its place."""
        limits = []
        for place, (hop, (out_room, in_room)) in enumerate(zip(self.hops, rooms, strict=True)):
            limits.append(self._back_most(place, out_room))
            price = hop.terms.settlement_price
            fits = POINTS_MAX if price == 0 else min(POINTS_MAX, MICRO_UNITS_MAX // price)
            limits.append(self._back_most(place + 1, min(in_room, fits)))
        if self.hops[-1].terms.rules.bonuses:
            last, most_total = self._amounts[-1], rooms[-1][1]
            index = self._first(lambda each: self._last_yield(last[each]).total > most_total)
            if index < len(last):
                limits.append(self._back_most(len(self.hops) - 1, last[index] - 1))
        return min(limits)

    def _first(self, holds: Callable[[int], bool]) -> int:
        """The first index of the last hop's amounts at which `holds`, as it then does at all later ones."""
        return bisect_left(range(len(self._amounts[-1])), True, key=holds)


def _check(amounts: Amounts, ratio: Ratio) -> _Check:
    first, last = (amounts[0], amounts[len(amounts) - 1]) if len(amounts) else (_NO_END, 0)
    listed = None if isinstance(amounts, Steps) else frozenset(amounts.amounts)
    step = amounts.step if isinstance(amounts, Steps) else 1
    return first, last, step, listed, ratio.to_units, ratio.from_units


def _period(amounts: Sequence[Amounts], ratios: Sequence[Ratio]) -> int:
    """A distance after which valid amounts of the path repeat: it makes whole steps before every hop, never rounded."""
    period, standing = 1, 1
    for each, ratio in zip(amounts, ratios, strict=True):
        if not isinstance(each, Steps):
            return _NO_END
        reduced = ratio.reduced()
        whole = lcm(each.step, reduced.from_units)
        times = whole // gcd(standing, whole)
        period *= times
        standing = standing * times // reduced.from_units * reduced.to_units
    return period


def _most_beside_fee(hop: Hop) -> int:
    """The most that leaves room for its fee in points: together they are one amount that the member gives."""
    if not any(isinstance(fee, PointsFee) for fee in hop.terms.rules.fees):
        return POINTS_MAX
    return max(
        0, bisect_left(range(_NO_END), True, key=lambda amount: amount + _fee_points(hop, amount) > POINTS_MAX) - 1
    )


def _fee_points(hop: Hop, amount: int) -> Points:
    return fees_on(hop.terms, Points(amount), hop.situation)[0]


def _require_open(hops: Sequence[Hop]) -> None:
    for hop in hops:
        tiers = sorted(hop.terms.rules.tiers)
        if tiers and hop.situation.tier not in tiers:
            names = ", ".join(tiers)
            raise DirectionClosed(
                f"these terms are for members in the tiers {names}", field="tier", limit=names, nearest=tiers[0]
            )


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
