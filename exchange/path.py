"""Paths: which amounts may go along the hops of a route, and what each becomes.

An amount goes along a path when it is valid for the first hop and what comes of it hop by hop, rounded down, is valid
for each of the others. `exchange.chain` finds such amounts; whatever asks it raises `NoRoute` where increments meet so
rarely that its steps do not tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from exchange.amounts import Amounts, valid_amounts
from exchange.caps import require_count, room_in
from exchange.chain import Chain
from exchange.conversion import Conversion, Yield, fees_on
from exchange.errors import BelowMinimum, DirectionClosed, InvalidAmount, NoRoute, NothingOut, OverCap
from exchange.halving import first_near
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, Points
from exchange.rules import PointsFee
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms

HOPS_MAX = 4
"""Directions along one route: the contract settles paths of up to five programs."""


@dataclass(frozen=True)
class Hop:
    """One direction of a route, and the member's situation in it. What follows from both is worked out once."""

    terms: Terms
    situation: Situation = PLAIN_SITUATION

    @cached_property
    def amounts(self) -> Amounts:
        """The amounts that the terms take from this member."""
        return valid_amounts(self.terms, self.situation.tier)

    @cached_property
    def room(self) -> tuple[int, int]:
        """The most source points that the caps let out now, and the most destination points that they let in."""
        return room_in(self.terms, self.situation)

    @cached_property
    def conversion(self) -> Conversion:
        """What each amount gives, with every bonus."""
        return Conversion(self.terms, self.situation)


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
        self._amounts: list[Amounts] = [hop.amounts for hop in hops]
        self._chain = Chain(self._amounts, self._ratios)

    @cached_property
    def carried(self) -> int:
        """The most that fits where amounts are kept, valid or not."""
        return min(_most_beside_fee(self.hops[0]), self._most([(POINTS_MAX, POINTS_MAX)] * len(self.hops)))

    @cached_property
    def most(self) -> int:
        """The most that fits and that the caps let through as well, valid or not."""
        if not any(hop.terms.rules.caps for hop in self.hops):
            return self.carried
        return min(self.carried, self._most([hop.room for hop in self.hops]))

    @property
    def least(self) -> Points | None:
        """The least amount that passes now, None when none does."""
        least = self.least_for(1)
        return least if least is not None and least <= self.most else None

    @property
    def greatest(self) -> Points | None:
        """The greatest amount that passes now and leaves nothing over, None when none does."""
        greatest = self.at_most(self.most)
        if greatest is None or self.yield_of(greatest).base == 0:
            return None
        return self.least_for(self.yield_of(greatest).total, greatest) or greatest

    def amounts_of(self, amount: int) -> list[int]:
        """What stands before each hop and, last, what the ratio of the last hop gives."""
        amounts = [amount]
        for ratio in self._ratios:
            amounts.append(ratio.convert(Points(amounts[-1])))
        return amounts

    def yield_of(self, amount: int) -> Yield:
        """What a valid amount gives at the end of the route."""
        return self.hops[-1].conversion.yield_of(self.amounts_of(amount)[-2])

    def leaving(self, amount: int) -> int:
        """What a valid amount takes from the member: the amount and its fee in points."""
        return amount + _fee_points(self.hops[0], amount)

    def at_most(self, amount: int, least: int = 1) -> Points | None:
        """The greatest valid amount from `least` up to `amount`, None when there is none."""
        found = self._chain.at_most(amount, least)
        return None if found is None else Points(found)

    def at_least(self, amount: int, most: int = POINTS_MAX) -> Points | None:
        """The least valid amount from `amount` up to `most`, None when there is none."""
        found = self._chain.at_least(amount, most)
        return None if found is None else Points(found)

    @property
    def searched(self) -> int:
        """How often so far increments met too rarely for a few leaps: nearly all the work there is."""
        return self._chain.searched

    def least_for(self, total: int, most: int = POINTS_MAX) -> Points | None:
        """The least valid amount up to `most` that gives at least `total` and of which one point is no bonus."""
        start = self.start_for(total)
        return None if start is None else self.at_least(start, most)

    def burned(self, offered: int) -> Points | None:
        """The amount that an offer of so much burns, whatever the caps say; None where nothing comes of it."""
        amount = self.at_most(offered)
        given = None if amount is None else self.yield_of(amount)
        return self.least_for(given.total) if given and given.base else None

    def start_for(self, total: int) -> int | None:
        """The least amount, valid or not, of which what `least_for` asks for could come; None: there is none."""
        conversion, ratio = self.hops[-1].conversion, self._ratios[-1]
        if conversion.is_plain:
            return self._chain.back_least(len(self.hops) - 1, ratio.needed_for(Points(max(1, total))))
        before_last = self._last_from(conversion.least_for(total))
        if before_last is None:
            return None
        return self._chain.back_least(len(self.hops) - 1, max(before_last, ratio.needed_for(Points(1))))

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

    def _most(self, rooms: Sequence[tuple[int, int]]) -> int:
        """The greatest amount in, valid or not, for which nothing is larger than its room or its place."""
        limits = []
        for place, (hop, (out_room, in_room)) in enumerate(zip(self.hops, rooms, strict=True)):
            limits.append(self._chain.back_most(place, out_room))
            price = hop.terms.settlement_price
            fits = POINTS_MAX if price == 0 else min(POINTS_MAX, MICRO_UNITS_MAX // price)
            limits.append(self._chain.back_most(place + 1, min(in_room, fits)))
        conversion = self.hops[-1].conversion
        if not conversion.is_plain:
            too_much = self._last_from(conversion.least_for(rooms[-1][1] + 1))
            if too_much is not None:
                limits.append(self._chain.back_most(len(self.hops) - 1, too_much - 1))
        return min(limits)

    def _last_from(self, amount: int) -> Points | None:
        """The least amount from this one on that the last hop takes; None: there is none."""
        last = self._amounts[-1]
        index = last.count_up_to(amount - 1)
        return last[index] if index < len(last) else None


def _most_beside_fee(hop: Hop) -> int:
    """The most that leaves room for its fee in points: together they are one amount that the member gives."""
    if not any(isinstance(fee, PointsFee) for fee in hop.terms.rules.fees):
        return POINTS_MAX
    near = POINTS_MAX - _fee_points(hop, POINTS_MAX)
    too_much = first_near(near, POINTS_MAX + 1, lambda amount: amount + _fee_points(hop, amount) > POINTS_MAX)
    return max(0, too_much - 1)


def _fee_points(hop: Hop, amount: int) -> Points:
    return fees_on(hop.terms, Points(amount), hop.situation)[0]


def _require_open(hops: Sequence[Hop]) -> None:
    for hop in hops:
        rules = hop.terms.rules
        if rules.is_open_to(hop.situation.tier):
            continue
        tiers = sorted(rules.tiers or rules.except_tiers)
        names = ", ".join(tiers)
        said, nearest = (f"in the tiers {names}", tiers[0]) if rules.tiers else (f"in no tier of {names}", None)
        raise DirectionClosed(f"these terms are for members {said}", field="tier", limit=names, nearest=nearest)


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
    lying = eligible.age_min_days or eligible.left_min_days or eligible.earned_only
    return not (lying or eligible.member_min_days or eligible.linked_min_days or burns_a_fee)
