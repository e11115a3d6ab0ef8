"""Best rates: what one source point could become at most, over everything that terms can still give.

The bound is for the number of points that arrive, divided by the number of source points that are given for them: for
every valid amount, every tier, moment and n-th transfer from now on. Why it holds:

1. Take any transfer of `a` points, and the bonuses that count for it. Go back with its moment, its numbers and its
   amount to the last beginning of a bonus (`exchange.reach`). All that counted still does, for all of it had begun.
2. At the amount `a` what arrives is at most `a` times

       R (1 + sum of shares) + sum of (to/from of each `per`) + sum of (flat / a)

   where R is the best of the ratio and the better ratios that count, each bonus is at most its `most / a` and its
   `member_most / a`, for nobody may have had anything of it, and of each group only the greatest counts: rounding down
   only takes away.
3. The sum falls, or stays, as the amount rises while no other bonus begins. So it is greatest at the beginnings: at the
   least valid amount from `when.at_least` on, and for `per` from the first block on.

There can be too many situations to look at each. So they are looked at in parts. The bound of a part lets every bonus
count that counts somewhere in it, at the least amount that goes for any of its tiers: nothing in the part is above. The
part with the greatest bound is halved, and so on, until in that part all bonuses count throughout. Its bound is then
exact, and none of the others is above it. Who runs out of work before has looked at all the situations nevertheless,
and has a bound that is coarser, and never too low.

Where a direction only converts, the bound is the ratio, and every amount of whole blocks reaches it. Fees, in points
or in money, only take away, and are left out of it; so are the counts of caps.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from heapq import heappop, heappush
from itertools import count, islice
from typing import Final

from exchange.amounts import Amounts, valid_amounts
from exchange.caps import room_in
from exchange.points import POINTS_MAX, Points
from exchange.reach import Reach, live_bonuses, reach_of
from exchange.rules import COUNTED, Bonus, When
from exchange.situation import Situation
from exchange.terms import Terms

WORK_MAX: Final = 20_000
"""How much is worked out for one bound: a bonus at one amount is 1, and so is the least amount for one tier."""

_Axes = tuple[tuple[Hashable, ...], ...]
"""A part of a reach: some of its tiers, of its moments, and of its numbers in each counted period."""


def best_rate(terms: Terms, now: int, work_max: int = WORK_MAX) -> Fraction:
    """The bound, in destination points for one source point; `now` is in Unix seconds.

    What ends at or before `now` is over. What begins later counts, since points can wait for it.
    """
    if not live_bonuses(terms, now):
        return terms.ratio.exact
    without_fees = replace(terms, rules=replace(terms.rules, fees=()))
    return next(_best_first(without_fees, now, work_max)).bound


@dataclass(frozen=True, slots=True)
class Best:
    """A situation, and what one source point can become in it at most."""

    situation: Situation
    bound: Fraction


def best_situations(terms: Terms, now: int, most: int, work_max: int = WORK_MAX) -> list[Best]:
    """Situations from `now` on in which most could be reached, the best first; `most` of them at the most.

    Of those that differ in no bonus, no fee and no amount there is one. Where there are very many, some may be out of
    their order, with bounds that are coarser. The first bound is that of `best_rate`.
    """
    return [Best(part.situation, part.bound) for part in islice(_best_first(terms, now, work_max), most)]


@dataclass(frozen=True, slots=True)
class _Offer:
    """A bonus that can still count: from which amount on, and which tiers, moments and numbers of a reach have it."""

    bonus: Bonus
    least: int
    rate: Fraction | None
    allowed: tuple[frozenset[Hashable], ...]

    def is_in(self, axes: _Axes) -> bool:
        """Whether it counts in some situation of the part."""
        return not any(allowed.isdisjoint(axis) for allowed, axis in zip(self.allowed, axes, strict=True))

    def extra(self, amount: int, rated: Fraction) -> Fraction:
        """What it adds to one point of so many, which before became `rated`."""
        if self.bonus.flat is not None:
            extra = Fraction(self.bonus.flat, amount)
        else:
            assert self.rate is not None, "a bonus is one of four kinds"
            extra = self.rate if self.bonus.share is None else self.rate * rated
        most = self.bonus.most_at_once
        return extra if most is None else min(extra, Fraction(most, amount))


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the situations, what counts somewhere in them, and how much one point can become there."""

    axes: _Axes
    offers: tuple[_Offer, ...]
    bound: Fraction

    @property
    def situation(self) -> Situation:
        """The first of its situations."""
        tiers, moments, *numbers = self.axes
        return next(Reach(tiers, moments, tuple(numbers)).situations())  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Room:
    """Which amounts go for members of some tiers: the valid ones up to `most`."""

    amounts: Amounts
    most: int

    def first_from(self, wanted: int) -> int | None:
        """The least that goes from an amount on."""
        index = self.amounts.count_up_to(wanted - 1)
        first = self.amounts[index] if index < len(self.amounts) else None
        return None if first is None or first > self.most else first


def _best_first(terms: Terms, now: int, work_max: int) -> Iterator[_Part]:
    """Parts in which the same bonuses count throughout, that with the greatest bound first.

    When the work is used up, the others follow as they are.
    """
    sight = _Sight(terms, now)
    order = count()
    whole = sight.whole()
    heap = [(-whole.bound, len(whole.offers), next(order), whole)]
    while heap:
        *_, part = heappop(heap)
        halves = sight.halves(part) if sight.work < work_max else ()
        if not halves:
            yield part
        for half in halves:
            heappush(heap, (-half.bound, len(half.offers), next(order), half))


class _Sight:
    """What the terms give in any part of their reach, and how much was worked out to say so."""

    def __init__(self, terms: Terms, now: int) -> None:
        reach = reach_of(terms, now)
        self.work = 0
        self._ratio = terms.ratio.exact
        self._reach: _Axes = (reach.tiers, reach.moments, *reach.numbers)
        self._offers = tuple(_offer(each, reach) for each in live_bonuses(terms, now))
        self._fees = [tuple(_allowed(each.when, reach)) for each in terms.rules.fees]
        self._rooms: dict[Hashable, _Room] = {tier: _room(terms, tier) for tier in reach.tiers}
        self._first_from = cache(_Room.first_from)

    def whole(self) -> _Part:
        """All that can be reached."""
        assert all(self._reach), "terms are open to somebody at some time"
        return self._part(self._reach, self._offers)

    def halves(self, part: _Part) -> tuple[_Part, ...]:
        """The part in two, along what tells most bonuses apart; none where the same counts in all its situations."""
        ways = [_cut(part.axes, place) for place in range(len(part.axes)) if self._is_uneven(part, place)]
        if not ways:
            return ()
        least = min(ways, key=lambda halves: sum(each.is_in(half) for half in halves for each in part.offers))
        return tuple(self._part(half, part.offers) for half in least)

    def _is_uneven(self, part: _Part, place: int) -> bool:
        """Whether some bonus or fee counts for some of an axis and not for all, or not the same amounts go."""
        axis = part.axes[place]
        allowed = (*(each.allowed[place] for each in part.offers), *(each[place] for each in self._fees))
        if any(not (each.issuperset(axis) or each.isdisjoint(axis)) for each in allowed):
            return True
        return place == 0 and len(self._rooms_of(axis)) > 1

    def _part(self, axes: _Axes, offers: Sequence[_Offer]) -> _Part:
        counting = tuple(each for each in offers if each.is_in(axes))
        beginnings = self._beginnings(axes[0], counting)
        self.work += len(offers) + len(counting) * len(beginnings)
        rates = (self._rate_at(amount, counting) for amount in beginnings)
        return _Part(axes, counting, max(rates, default=self._ratio))

    def _rooms_of(self, tiers: Sequence[Hashable]) -> set[_Room]:
        return {self._rooms[tier] for tier in tiers}

    def _beginnings(self, tiers: Sequence[Hashable], counting: Sequence[_Offer]) -> set[int]:
        """The amounts from which on some bonus counts, the least valid one among them; only those that may go."""
        rooms, wanted = self._rooms_of(tiers), {1, *(each.least for each in counting)}
        self.work += len(rooms) * len(wanted)
        firsts = ([self._first_from(room, amount) for room in rooms] for amount in wanted)
        return {min(found) for first in firsts if (found := [each for each in first if each is not None])}

    def _rate_at(self, amount: int, offers: Sequence[_Offer]) -> Fraction:
        """Step 2 of the proof, at one amount."""
        counting = [each for each in offers if each.least <= amount]
        better = (each.rate for each in counting if each.bonus.ratio is not None and each.rate is not None)
        rated = max((self._ratio, *better))
        alone, by_group = Fraction(0), dict[str, Fraction]()
        for each in counting:
            if each.bonus.ratio is not None:
                continue
            extra = each.extra(amount, rated)
            if each.bonus.group is None:
                alone += extra
            else:
                by_group[each.bonus.group] = max(extra, by_group.get(each.bonus.group, extra))
        return rated + alone + sum(by_group.values())


def _cut(axes: _Axes, place: int) -> tuple[_Axes, _Axes]:
    """A part in two halves along one of its axes."""
    axis, middle = axes[place], len(axes[place]) // 2
    before, after = axes[:place], axes[place + 1 :]
    return (*before, axis[:middle], *after), (*before, axis[middle:], *after)


def _room(terms: Terms, tier: str | None) -> _Room:
    room_out, room_into = room_in(terms, Situation(tier=tier))
    return _Room(valid_amounts(terms, tier), min(room_out, terms.ratio.needed_for(Points(room_into + 1)) - 1))


def _offer(bonus: Bonus, reach: Reach) -> _Offer:
    """A bonus, beside the reach in which it may count; it gives nothing below its first block."""
    least = bonus.when.at_least or 1
    if bonus.per is not None:
        least = max(least, bonus.per.from_units)
    rate = next((each.exact for each in (bonus.ratio, bonus.share, bonus.per) if each is not None), None)
    return _Offer(bonus, least, rate, tuple(_allowed(bonus.when, reach)))


def _allowed(when: When, reach: Reach) -> Iterator[frozenset[Hashable]]:
    """Those of the tiers, of the moments and of each period's numbers that meet a condition, all else aside."""
    of_any_number = replace(when, nth_per=None, nth_from=1, nth_to=None)
    of_anybody = replace(of_any_number, tiers=frozenset(), except_tiers=frozenset())
    at_any_time = replace(of_any_number, starts=None, ends=None)
    yield frozenset(tier for tier in reach.tiers if Situation(tier=tier).meets(at_any_time, POINTS_MAX))
    yield frozenset(at for at in reach.moments if Situation(at).meets(of_anybody, POINTS_MAX))
    counted = replace(when, tiers=frozenset(), except_tiers=frozenset(), starts=None, ends=None)
    for period, numbers in zip(COUNTED, reach.numbers, strict=True):
        if when.nth_per is not period:
            yield frozenset(numbers)
        else:
            yield frozenset(each for each in numbers if Situation(before={period: each - 1}).meets(counted, POINTS_MAX))
