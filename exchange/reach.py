"""Reach: the situations in which terms can still be used, as far as they differ in what the terms give.

Bonuses begin to count from some moment, from some transfer of a period and from some amount on. Whatever counts
together at any moment and any transfer also counts together at one of these beginnings: go back to the last of them.
So the beginnings, with one tier for each way to be treated, are all that has to be looked at. A member of no tier is
treated as one in a tier that is named nowhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from exchange.rules import COUNTED, Bonus, Period
from exchange.situation import Situation
from exchange.terms import Terms


@dataclass(frozen=True, slots=True)
class Reach:
    """Tiers that are treated differently, moments in Unix seconds, and a transfer's numbers in each of `COUNTED`."""

    tiers: tuple[str | None, ...]
    moments: tuple[int, ...]
    numbers: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.tiers) * len(self.moments) * prod(map(len, self.numbers))

    def situations(self) -> Iterator[Situation]:
        """All of them combined, nothing used of any cap or bonus; a few that no calendar allows are among them."""
        befores = [
            {period: number - 1 for period, number in zip(COUNTED, numbers, strict=True)}
            for numbers in product(*self.numbers)
        ]
        for tier, at, before in product(self.tiers, self.moments, befores):
            yield Situation(at, tier, before)


def reach_of(terms: Terms, now: int) -> Reach:
    """Where the terms can be used at or after `now`."""
    bonuses = live_bonuses(terms, now)
    return Reach(
        tiers=tiers_of(terms),
        moments=_beginnings(begin_of(terms, now), (each.when.starts or 0 for each in bonuses)),
        numbers=tuple(_numbers(bonuses, period) for period in COUNTED),
    )


def tiers_of(terms: Terms) -> tuple[str | None, ...]:
    """One tier for each way in which the terms treat members; None for those of no tier, where they may swap."""
    rules = terms.rules
    named = [rules.tiers, rules.except_tiers, *(each.tiers for each in rules.minimums)]
    for cap in rules.caps:
        named += [cap.tiers, cap.except_tiers]
    for each in (*rules.bonuses, *rules.fees):
        named += [each.when.tiers, each.when.except_tiers]
    known = (None, *sorted(frozenset[str]().union(*named)))
    allowed = [tier for tier in known if rules.is_open_to(tier)]
    treated = dict[tuple[bool, ...], str | None]()
    for tier in allowed:
        treated.setdefault(tuple(tier in each for each in named), tier)
    return tuple(treated.values())


def begin_of(terms: Terms, now: int) -> int:
    """The first moment from `now` on at which the terms can be used."""
    return now if terms.effective_at is None else max(now, terms.effective_at)


def live_bonuses(terms: Terms, now: int) -> tuple[Bonus, ...]:
    """The bonuses that are not over when the terms can first be used."""
    begin = begin_of(terms, now)
    return tuple(each for each in terms.rules.bonuses if each.when.ends is None or each.when.ends > begin)


def _numbers(bonuses: tuple[Bonus, ...], period: Period) -> tuple[int, ...]:
    return _beginnings(1, (each.when.nth_from for each in bonuses if each.when.nth_per is period))


def _beginnings(first: int, others: Iterator[int]) -> tuple[int, ...]:
    return tuple(sorted({first, *(each for each in others if each > first)}))
