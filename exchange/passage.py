"""Passages: one hop as the search for routes sees it, with bounds on what goes in and what comes out.

A bound never lies on the wrong side: no amount of a route that counts can do better. It ignores what the other hops
ask for, so that what really goes is found by `exchange.pricing` afterwards. Integers alone, and no objects on the way:
a search crosses tens of thousands of hops.
"""

from exchange.amounts import Listed
from exchange.path import Hop
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, Points
from exchange.reach import tiers_of
from exchange.rules import ALWAYS
from exchange.situation import Situation
from exchange.terms import Terms

Lane = tuple[int, int, int, int, int]
"""The least amount in, the most, the step from the least on, and the ratio: `to_units`, then `from_units`.

A plain tuple, since unpacking it is most of what a search does.
"""

CLOSED: Lane = (1, 0, 1, 1, 1)
"""A lane that takes nothing."""


def depends_on_situation(terms: Terms) -> bool:
    """Whether amounts or fees may differ from member to member or from one moment to the next."""
    rules = terms.rules
    fees_differ = any(fee.when != ALWAYS for fee in rules.fees)
    tiers = rules.tiers or rules.except_tiers
    return bool(tiers or rules.minimums or rules.caps or rules.bonuses or fees_differ)


def lane_of(hop: Hop) -> Lane:
    """What a hop takes from this member now."""
    if not hop.terms.rules.is_open_to(hop.situation.tier):
        return CLOSED
    amounts, ratio, (out_room, in_room) = hop.amounts, hop.terms.ratio, hop.room
    price = hop.terms.settlement_price
    carried = POINTS_MAX if price == 0 else min(POINTS_MAX, MICRO_UNITS_MAX // price)
    most = min(out_room, ratio.needed_for(Points(min(in_room, carried) + 1)) - 1)
    if not len(amounts) or most < amounts[0]:
        return CLOSED
    if isinstance(amounts, Listed):
        return amounts[0], min(most, amounts[-1]), 1, ratio.to_units, ratio.from_units
    return amounts[0], most, amounts.step, ratio.to_units, ratio.from_units


def widest_lane(terms: Terms) -> Lane:
    """What terms take from anybody at any time: no member's lane is wider."""
    hops = [Hop(terms, Situation(tier=tier)) for tier in tiers_of(terms)]  # nothing is used of any cap
    lanes = [lane for hop in hops if (lane := lane_of(hop)) is not CLOSED]
    if not lanes:
        return CLOSED
    least, _, step, to_units, from_units = min(lanes)
    same = all((first, each) == (least, step) for first, _, each, *_ in lanes)
    return least, max(most for _, most, *_ in lanes), step if same else 1, to_units, from_units


def through(lane: Lane, amount: int) -> int:
    """The most that up to `amount` can become at the ratio; 0 where nothing goes."""
    least, most, step, to_units, from_units = lane
    amount = min(amount, most)
    return 0 if amount < least else (amount - (amount - least) % step) * to_units // from_units


def needed(lane: Lane, out: int) -> int | None:
    """The least that can become at least `out` at the ratio; None where nothing does."""
    least, most, step, to_units, from_units = lane
    amount = max(least, -(-out * from_units // to_units))
    amount += (least - amount) % step
    return amount if amount <= most else None


class Widest:
    """A hop as nobody's is wider, whenever they swap: a bound on all passages, before anybody's situation is known.

    All bonuses that the terms have count at once, as if nothing were rounded.
    """

    __slots__ = ("_flat", "_steep", "lane")

    def __init__(self, terms: Terms) -> None:
        self.lane = widest_lane(terms)
        bonuses, ratio = terms.rules.bonuses, terms.ratio
        rated = max((ratio.exact, *(each.ratio.exact for each in bonuses if each.ratio is not None)))
        steep = rated + sum(rated * each.share.exact for each in bonuses if each.share is not None)
        steep += sum(each.per.exact for each in bonuses if each.per is not None)
        self._steep = steep.numerator, steep.denominator
        self._flat = sum(each.flat for each in bonuses if each.flat is not None)

    def total_through(self, amount: int) -> int:
        """The most that up to `amount` can become; 0 where nothing goes."""
        least, most, *_ = self.lane
        amount = min(amount, most)
        return 0 if amount < least else amount * self._steep[0] // self._steep[1] + self._flat

    def total_needed(self, total: int) -> int | None:
        """No more than the least that can become at least `total`; None where nothing does."""
        least, most, step, *_ = self.lane
        amount = max(least, -((self._flat - total) * self._steep[1] // self._steep[0]))
        amount += (least - amount) % step
        return amount if amount <= most else None


class Passage:
    """A hop with its lane, and the bounds that count its bonuses, as they do where it is the last."""

    __slots__ = ("_bonused", "hop", "lane")

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self.lane = lane_of(hop)
        self._bonused = bool(hop.terms.rules.bonuses)

    def total_through(self, amount: int) -> int:
        """The most that up to `amount` can become with all bonuses; 0 where nothing goes."""
        if not self._bonused:
            return through(self.lane, amount)
        least, most, step, *_ = self.lane
        amount = min(amount, most)
        if amount < least:
            return 0
        return min(self.hop.conversion.total_of(amount - (amount - least) % step), self.hop.room[1])

    def total_needed(self, total: int) -> int | None:
        """The least that can become at least `total` with all bonuses; None where nothing does."""
        if not self._bonused:
            return needed(self.lane, total)
        least, most, step, *_ = self.lane
        amount = max(least, self.hop.conversion.least_for(total))
        amount += (least - amount) % step
        return amount if amount <= most else None
