"""Passages: one hop as the search for routes sees it, with bounds on what goes in and what comes out.

A bound never lies on the wrong side: no amount of a route that counts can do better. It ignores what the other hops
ask for, so that what really goes is found by `exchange.pricing` afterwards. Integers alone, and no objects on the way:
a search crosses tens of thousands of hops.
"""

from exchange.amounts import Amounts, Listed, valid_amounts
from exchange.caps import room_in
from exchange.conversion import convert
from exchange.path import Hop
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, Points
from exchange.rules import ALWAYS
from exchange.terms import Terms

Lane = tuple[int, int, int, int, int]
"""The least amount in, the most, the step from the least on, and the ratio: `to_units`, then `from_units`.

A plain tuple, since unpacking it is most of what a search does.
"""

CLOSED: Lane = (1, 0, 1, 1, 1)
"""A lane that takes nothing."""

FINENESS = 8
"""A bound on what a bonused hop needs is found to one part in 2**FINENESS."""


def depends_on_situation(terms: Terms) -> bool:
    """Whether amounts or fees may differ from member to member or from one moment to the next."""
    rules = terms.rules
    fees_differ = any(fee.when != ALWAYS for fee in rules.fees)
    return bool(rules.tiers or rules.minimums or rules.caps or rules.bonuses or fees_differ)


def lane_of(hop: Hop) -> Lane:
    """What a hop takes from this member now."""
    tiers = hop.terms.rules.tiers
    if tiers and hop.situation.tier not in tiers:
        return CLOSED
    return _lane(hop, valid_amounts(hop.terms, hop.situation.tier))


def widest_lane(terms: Terms) -> Lane:
    """What terms take from anybody at any time: no member's lane is wider."""
    hop = Hop(terms)  # of no tier, so that the caps that bind everybody count, and nothing of them is used
    tiers = {None, *(tier for each in terms.rules.minimums for tier in each.tiers)}
    lanes = [lane for tier in tiers if (lane := _lane(hop, valid_amounts(terms, tier))) is not CLOSED]
    if not lanes:
        return CLOSED
    least, most, step, to_units, from_units = min(lanes)
    return least, most, step if len(tiers) == 1 else 1, to_units, from_units


def _lane(hop: Hop, amounts: Amounts) -> Lane:
    ratio = hop.terms.ratio
    out_room, in_room = room_in(hop.terms, hop.situation)
    price = hop.terms.settlement_price
    carried = POINTS_MAX if price == 0 else min(POINTS_MAX, MICRO_UNITS_MAX // price)
    most = min(out_room, ratio.needed_for(Points(min(in_room, carried) + 1)) - 1)
    if not len(amounts) or most < amounts[0]:
        return CLOSED
    if isinstance(amounts, Listed):
        return amounts[0], min(most, amounts[-1]), 1, ratio.to_units, ratio.from_units
    return amounts[0], most, amounts.step, ratio.to_units, ratio.from_units


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


class Passage:
    """A hop with its lane, and the bounds that count its bonuses, as they do where it is the last."""

    __slots__ = ("_bonused", "_in_room", "hop", "lane")

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self.lane = lane_of(hop)
        self._in_room = room_in(hop.terms, hop.situation)[1]
        self._bonused = bool(hop.terms.rules.bonuses)

    def total_through(self, amount: int) -> int:
        """The most that up to `amount` can become with all bonuses; 0 where nothing goes."""
        if not self._bonused:
            return through(self.lane, amount)
        least, most, step, *_ = self.lane
        amount = min(amount, most)
        if amount < least:
            return 0
        return min(self._total(amount - (amount - least) % step), self._in_room)

    def total_needed(self, total: int) -> int | None:
        """The least that can become at least `total` with all bonuses, or a little less than that."""
        least, most, step, to_units, from_units = self.lane
        if not self._bonused:
            return needed(self.lane, total)
        low, high = 0, max(least, -(-total * from_units // to_units))
        while high - low > max(1, high >> FINENESS):  # at least 1: two neighbours have no middle
            middle = (low + high) // 2
            if self._total(middle) >= total:
                high = middle
            else:
                low = middle
        amount = max(least, low + 1)
        amount += (least - amount) % step
        return amount if amount <= most else None

    def _total(self, amount: int) -> int:
        return convert(self.hop.terms, Points(amount), self.hop.situation).total
