"""Conversion: what exactly one amount gives under one direction's terms, with every bonus and fee that applies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exchange.points import MICRO_UNITS_MAX, MicroUnits, Points
from exchange.rules import Bonus, PointsFee
from exchange.situation import Situation
from exchange.terms import Terms


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


def convert(terms: Terms, amount: Points, situation: Situation) -> Yield:
    """What exactly this amount gives, valid or not: the base, and each bonus that applies."""
    base = terms.ratio.convert(amount)
    if not terms.rules.bonuses:
        return Yield(base, ())
    applying = [bonus for bonus in terms.rules.bonuses if situation.meets(bonus.when, amount)]
    granted, rated = _better_ratio(applying, amount, base)
    best: dict[str, Granted] = {}
    for bonus in applying:
        if bonus.ratio is not None:
            continue
        one = Granted(bonus.name, _extra(bonus, amount, rated))
        if bonus.group is None:
            granted.append(one)
        elif bonus.group not in best or one.points > best[bonus.group].points:
            best[bonus.group] = one
    return Yield(base, tuple(each for each in (*granted, *best.values()) if each.points))


def _better_ratio(applying: Sequence[Bonus], amount: Points, base: Points) -> tuple[list[Granted], Points]:
    """What the best of the better ratios adds, and what the amount is at it; later bonuses build on that."""
    rated, name = base, None
    for bonus in applying:
        if bonus.ratio is not None and bonus.ratio.convert(amount) > rated:
            rated, name = bonus.ratio.convert(amount), bonus.name
    return ([] if name is None else [Granted(name, Points(rated - base))]), rated


def _extra(bonus: Bonus, amount: Points, rated: Points) -> Points:
    if bonus.share is not None:
        extra = bonus.share.convert(rated)
    elif bonus.per is not None:
        extra = Points(amount // bonus.per.from_units * bonus.per.to_units)
    else:
        assert bonus.flat is not None, "a bonus is one of four kinds"
        extra = bonus.flat
    return extra if bonus.most is None else Points(min(extra, bonus.most))


def fees_on(terms: Terms, amount: Points, situation: Situation) -> tuple[Points, tuple[MoneyDue, ...]]:
    """What a transfer of `amount` costs: source points on top, and money by currency."""
    in_points, in_money = 0, list[MoneyDue]()
    for fee in terms.rules.fees:
        if not situation.meets(fee.when, amount):
            continue
        if isinstance(fee, PointsFee):
            in_points += fee.points
        elif due := fee.of(amount):
            in_money.append(MoneyDue(fee.currency, due))
    return Points(in_points), sum_by_currency(in_money)


def sum_by_currency(dues: Iterable[MoneyDue]) -> tuple[MoneyDue, ...]:
    """One sum for each currency, in their order. As a single fee, a sum is cut at `MICRO_UNITS_MAX`."""
    sums: dict[str, int] = {}
    for due in dues:
        sums[due.currency] = min(sums.get(due.currency, 0) + due.micro, MICRO_UNITS_MAX)
    return tuple(MoneyDue(currency, MicroUnits(micro)) for currency, micro in sums.items())
