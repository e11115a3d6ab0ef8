"""Conversion: what exactly one amount gives under one direction's terms, with every bonus and fee that applies."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from exchange.halving import first_near
from exchange.points import MICRO_UNITS_MAX, MicroUnits, Points
from exchange.rules import Bonus, PointsFee
from exchange.situation import Situation
from exchange.terms import Terms

_GUESSES = 3
"""How often a guess at the amount that gives a total is corrected, by as much as it gave too much, before a search."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What one bonus adds."""

    name: str
    points: Points


@dataclass(frozen=True, slots=True)
class MoneyDue:
    """A fee in money: micro-units of a currency."""

    currency: str
    micro: MicroUnits


@dataclass(frozen=True, slots=True)
class Yield:
    """What one amount converts to: the base at the ratio, and what each bonus adds."""

    base: Points
    bonuses: tuple[Granted, ...]

    @property
    def total(self) -> int:
        """Everything that arrives; may be beyond `POINTS_MAX`."""
        return self.base + sum(each.points for each in self.bonuses)


class _Sure(NamedTuple):
    """A bonus of which only the amount still decides whether it counts: from `at_least` on, and up to `left`."""

    bonus: Bonus
    at_least: int
    left: int | None


class Conversion:
    """What each amount gives under one direction's terms, to whoever is in this situation.

    Searches ask it of many amounts: what the amount does not change is settled once.
    """

    def __init__(self, terms: Terms, situation: Situation) -> None:
        self._ratio = terms.ratio
        sure = [
            _Sure(bonus, bonus.when.at_least or 0, situation.left_of(bonus))
            for bonus in terms.rules.bonuses
            if situation.meets(bonus.when, bonus.when.at_least or 0)
        ]
        self._better = [each for each in sure if each.bonus.ratio is not None]
        self._extra = [each for each in sure if each.bonus.ratio is None]
        self.is_plain = not sure
        """Whether the ratio is all that counts."""

    def yield_of(self, amount: int) -> Yield:
        """What exactly this amount gives, valid or not: the base, and each bonus that applies."""
        base = self._ratio.convert(Points(amount))
        return Yield(base, tuple(Granted(name, Points(each)) for name, each in self._granted(amount, base) if each))

    def total_of(self, amount: int) -> int:
        """The `total` of that alone; no less than that of any smaller amount."""
        base = self._ratio.convert(Points(amount))
        return base if self.is_plain else base + sum(each for _, each in self._granted(amount, base))

    def least_for(self, total: int) -> int:
        """The least amount, valid or not, that gives at least `total`; it may be beyond `POINTS_MAX`."""
        at_ratio = self._ratio.needed_for(Points(total))
        if self.is_plain:
            return at_ratio
        near = int(at_ratio)
        for _ in range(_GUESSES):
            given = self.total_of(near)
            if given in (0, total):
                break
            near = near * total // given
        return first_near(near, at_ratio, lambda amount: self.total_of(amount) >= total)

    def _granted(self, amount: int, base: int) -> list[tuple[str, int]]:
        """What each bonus adds, by its name. Those with a group stand behind those without."""
        granted: list[tuple[str, int]] = []
        rated = base
        for bonus, at_least, _ in self._better:
            assert bonus.ratio is not None, "these are the better ratios"
            if amount >= at_least and (better := bonus.ratio.convert(Points(amount))) > rated:
                granted, rated = [(bonus.name, better - base)], better
        best: dict[str, tuple[str, int]] = {}
        for bonus, at_least, left in self._extra:
            if amount < at_least:
                continue
            extra = _extra(bonus, amount, rated)
            one = bonus.name, extra if left is None or extra < left else left
            if bonus.group is None:
                granted.append(one)
            elif bonus.group not in best or one[1] > best[bonus.group][1]:
                best[bonus.group] = one
        return [*granted, *best.values()] if best else granted


def _extra(bonus: Bonus, amount: int, rated: int) -> int:
    """What a bonus adds where nothing bounds it; `rated` is the amount at the best ratio that applies."""
    if bonus.share is not None:
        return bonus.share.convert(Points(rated))
    if bonus.per is not None:
        return amount // bonus.per.from_units * bonus.per.to_units
    assert bonus.flat is not None, "a bonus is one of four kinds"
    return bonus.flat


def fees_on(terms: Terms, amount: Points, situation: Situation) -> tuple[Points, tuple[MoneyDue, ...]]:
    """What a transfer of `amount` costs: source points on top, and money by currency."""
    in_points, in_money = 0, list[MoneyDue]()
    for fee in terms.rules.fees:
        if not situation.meets(fee.when, amount):
            continue
        if isinstance(fee, PointsFee):
            in_points += fee.of(amount)
        elif due := fee.of(amount):
            in_money.append(MoneyDue(fee.currency, due))
    return Points(in_points), sum_by_currency(in_money)


def sum_by_currency(dues: Iterable[MoneyDue]) -> tuple[MoneyDue, ...]:
    """One sum for each currency, in their order. As a single fee, a sum is cut at `MICRO_UNITS_MAX`."""
    sums: dict[str, int] = {}
    for due in dues:
        sums[due.currency] = min(sums.get(due.currency, 0) + due.micro, MICRO_UNITS_MAX)
    return tuple(MoneyDue(currency, MicroUnits(micro)) for currency, micro in sums.items())
