"""A twin of pricing that knows no arithmetic but trying: every amount, one by one, as the rules say it in words."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from exchange.amounts import Amounts
from exchange.errors import BelowMinimum, NothingOut, OverCap, SarrafError
from exchange.path import Hop
from exchange.pricing import Price, price_route, price_route_for
from exchange.rules import Bonus, Cap, Fee, MoneyFee, Period, PointsFee, Rounding, Side, When
from exchange.situation import Situation
from exchange.terms import Terms

LABELS = ("burned", "base", "bonus", "remainder", "fee")


def takes(amounts: Amounts, amount: int) -> bool:
    """Whether exactly this amount is among the valid ones, by how many there are up to it."""
    return amounts.count_up_to(amount) > amounts.count_up_to(amount - 1)


def is_taken(terms: Terms, tier: str | None, amount: int) -> bool:
    """Whether these terms take exactly this amount from a member of this tier, caps aside."""
    rules = terms.rules
    if rules.rounding is Rounding.WHOLE and amount * terms.ratio.to_units % terms.ratio.from_units:
        return False
    if rules.amounts:
        return amount in rules.amounts
    minimum = terms.minimum
    for each in rules.minimums:
        if tier in each.tiers:
            minimum = each.minimum
    return amount >= minimum and (amount - minimum) % terms.increment == 0


def is_meant(tier: str | None, tiers: frozenset[str], except_tiers: frozenset[str]) -> bool:
    """Whether a rule for some tiers, or for all but some, is for this member."""
    if tier is None:
        return not tiers
    return tier in tiers if tiers else tier not in except_tiers


def holds(when: When, amount: int, now: Situation) -> bool:
    """Whether a condition holds."""
    if not is_meant(now.tier, when.tiers, when.except_tiers):
        return False
    if when.starts is not None and now.at < when.starts:
        return False
    if when.ends is not None and now.at >= when.ends:
        return False
    if when.at_least is not None and amount < when.at_least:
        return False
    if when.nth_per is None:
        return True
    this_one = now.before.get(when.nth_per, 0) + 1
    return this_one in range(when.nth_from, 10**6 if when.nth_to is None else when.nth_to + 1)


def base_of(terms: Terms, amount: int) -> int:
    """Whole points at the ratio."""
    return amount * terms.ratio.to_units // terms.ratio.from_units


def bonus_of(terms: Terms, amount: int, now: Situation) -> int:
    """What all bonuses together add."""
    applying = [each for each in terms.rules.bonuses if holds(each.when, amount, now)]
    base = base_of(terms, amount)
    rated = max([base, *(amount * b.ratio.to_units // b.ratio.from_units for b in applying if b.ratio is not None)])
    alone = [_adds(b, amount, rated, now) for b in applying if b.ratio is None and b.group is None]
    groups = {b.group for b in applying if b.group is not None}
    best = [max(_adds(b, amount, rated, now) for b in applying if b.group == group) for group in groups]
    return rated - base + sum(alone) + sum(best)


def _adds(bonus: Bonus, amount: int, rated: int, now: Situation) -> int:
    if bonus.share is not None:
        extra = rated * bonus.share.to_units // bonus.share.from_units
    elif bonus.per is not None:
        extra = sum(bonus.per.to_units for _ in range(bonus.per.from_units, amount + 1, bonus.per.from_units))
    else:
        extra = bonus.flat or 0
    if bonus.most is not None and bonus.most < extra:
        extra = bonus.most
    while bonus.member_most is not None and extra and now.had.get(bonus.name, 0) + extra > bonus.member_most:
        extra -= 1
    return extra


def fee_points(terms: Terms, amount: int, now: Situation) -> int:
    """Points burned on top."""
    return sum(_points_of(fee, amount) for fee in _due(terms, amount, now) if isinstance(fee, PointsFee))


def _points_of(fee: PointsFee, amount: int) -> int:
    points = fee.points + sum(fee.rate for _ in range(0, amount, fee.per))
    return points if fee.ceiling is None or points < fee.ceiling else fee.ceiling


def fee_money(hops: Sequence[Hop], amount: int) -> dict[str, int]:
    """What is owed in money for all hops, by currency."""
    owed: dict[str, int] = {}
    for hop, standing in zip(hops, standings(hops, amount), strict=False):
        for fee in _due(hop.terms, standing, hop.situation):
            if isinstance(fee, MoneyFee):
                begun = len(range(0, standing, fee.per))
                due = fee.flat + begun * fee.rate
                due = due if fee.ceiling is None or due < fee.ceiling else fee.ceiling
                owed[fee.currency] = owed.get(fee.currency, 0) + due
    return {currency: due for currency, due in owed.items() if due}


def _due(terms: Terms, amount: int, now: Situation) -> list[Fee]:
    return [fee for fee in terms.rules.fees if holds(fee.when, amount, now)]


def standings(hops: Sequence[Hop], amount: int) -> list[int]:
    """What stands before each hop, and what the last ratio gives."""
    found = [amount]
    for hop in hops:
        found.append(base_of(hop.terms, found[-1]))
    return found


class Tried:
    """All amounts up to `most`, tried along some hops."""

    def __init__(self, hops: Sequence[Hop], most: int) -> None:
        self.hops = hops
        self.valid: list[int] = []
        self.base: dict[int, int] = {}
        self.total: dict[int, int] = {}
        for amount in range(1, most + 1):
            before = standings(hops, amount)
            if all(is_taken(hop.terms, hop.situation.tier, each) for hop, each in zip(hops, before, strict=False)):
                self.valid.append(amount)
                self.base[amount] = before[-1]
                self.total[amount] = before[-1] + bonus_of(hops[-1].terms, before[-2], hops[-1].situation)

    def passes(self, amount: int) -> bool:
        """Whether this valid amount may go now: something comes of it, and no cap is in the way."""
        return self.base[amount] > 0 and self.is_under_caps(amount)

    def is_under_caps(self, amount: int) -> bool:
        """Whether each cap of each hop lets it through."""
        before = standings(self.hops, amount)
        for place, hop in enumerate(self.hops):
            arrives = self.total[amount] if place == len(self.hops) - 1 else before[place + 1]
            for cap in hop.terms.rules.caps:
                if not is_meant(hop.situation.tier, cap.tiers, cap.except_tiers):
                    continue
                if not _is_under(cap, hop.situation, before[place] if cap.side is Side.OUT else arrives):
                    return False
        return True

    def first(self, holds: Callable[[int], bool]) -> int | None:
        """The least valid amount for which it holds, None when there is none among those tried."""
        return next((amount for amount in self.valid if holds(amount)), None)


def _is_under(cap: Cap, now: Situation, points: int) -> bool:
    used_points, used_count = 0, 0
    if cap.per is not Period.TRANSFER and cap in now.used:
        used_points, used_count = now.used[cap].points, now.used[cap].count
    if cap.count is not None and used_count + 1 > cap.count:
        return False
    return cap.points is None or used_points + points <= cap.points


def assert_priced_as_tried(hops: Sequence[Hop], offered: int, most: int) -> None:
    """`price_route` of `offered` is what trying all amounts up to `most` says, refusals and their nearest included."""
    tried = Tried(hops, most)
    burned = max((amount for amount in tried.valid if amount <= offered), default=None)
    if burned is None or tried.base[burned] == 0:
        kind = BelowMinimum if burned is None else NothingOut
        assert_refused(lambda amount: price_route(hops, amount), offered, kind, tried.first(tried.passes), most)
        return
    out = tried.total[burned]
    least = tried.first(lambda amount: tried.base[amount] > 0 and tried.total[amount] >= out)
    assert least is not None
    if not tried.is_under_caps(least):
        below = max((amount for amount in tried.valid if amount < least and tried.passes(amount)), default=None)
        assert_refused(lambda amount: price_route(hops, amount), offered, OverCap, below, most)
        return
    priced = price_route(hops, offered)
    assert (priced.amount_in, priced.remainder, priced.amount_out) == (least, offered - least, out)
    assert priced.base_out == tried.base[least]
    assert_told(hops, priced)
    above = tried.first(lambda amount: amount > least and tried.total[amount] > out)
    if above is not None:
        assert priced.nearest_above == (above if tried.is_under_caps(above) else None)


def assert_priced_for_as_tried(hops: Sequence[Hop], wanted: int, most: int) -> None:
    """`price_route_for` of `wanted` is the least of all amounts up to `most` that gives as much."""
    tried = Tried(hops, most)
    least = tried.first(lambda amount: tried.base[amount] > 0 and tried.total[amount] >= wanted)
    if least is None:
        return  # it needs more than was tried, or nothing gives as much
    if not tried.is_under_caps(least):
        passing = (tried.total[amount] for amount in tried.valid if amount < least and tried.passes(amount))
        assert_refused(lambda out: price_route_for(hops, out), wanted, OverCap, max(passing, default=None), most)
        return
    priced = price_route_for(hops, wanted)
    assert (priced.amount_in, priced.amount_out, priced.remainder) == (least, tried.total[least], 0)
    assert_told(hops, priced)


def assert_refused(
    ask: Callable[[int], Price], amount: int, kind: type[SarrafError], nearest: int | None, most: int
) -> None:
    """The refusal names what trying found, or something beyond it; and that passes."""
    with pytest.raises(kind) as refusal:
        ask(amount)
    named = refusal.value.nearest
    assert refusal.value.field in ("amount_in", "amount_out")
    assert named == nearest or (nearest is None and isinstance(named, int) and named > most)
    if isinstance(named, int):
        ask(named)


def assert_told(hops: Sequence[Hop], priced: Price) -> None:
    """The explanation adds up, hop by hop and line by line, and fees are as the rules say."""
    before = standings(hops, priced.amount_in)
    assert [(hop.amount_in, hop.amount_out) for hop in priced.hops] == list(pairwise(before))
    assert [hop.settlement for hop in priced.hops] == [
        out * hop.terms.settlement_price for hop, out in zip(hops, before[1:], strict=True)
    ]
    said = {label: sum(line.points for line in priced.lines if line.label == label) for label in LABELS}
    assert said["burned"] == priced.amount_in
    assert said["base"] == priced.base_out == before[-1]
    assert said["bonus"] == sum(each.points for each in priced.bonuses) == priced.amount_out - priced.base_out
    assert said["remainder"] == priced.remainder
    assert said["fee"] == priced.fee_points == fee_points(hops[0].terms, priced.amount_in, hops[0].situation)
    assert {due.currency: due.micro for due in priced.fees} == fee_money(hops, priced.amount_in)
    assert len({due.currency for due in priced.fees}) == len(priced.fees)
