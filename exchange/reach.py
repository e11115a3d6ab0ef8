"""Reach: the situations in which terms can still be used, as far as they differ in what the terms give.

Bonuses begin to count from some moment, from some transfer of a period and from some amount on. Whatever counts
together at any moment and any transfer also counts together at one of these beginnings: go back to the last of them.
So the beginnings, with one tier for each way to be treated, are all that has to be looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from exchange.rules import Bonus, Period
from exchange.situation import Situation
from exchange.terms import Terms


@dataclass(frozen=True, slots=True)
class Reach:
    """Tiers that are treated differently, moments in Unix seconds, and numbers of a transfer within its period."""

    tiers: tuple[str | None, ...]
    moments: tuple[int, ...]
    of_day: tuple[int, ...]
    of_month: tuple[int, ...]
    of_year: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tiers) * len(self.moments) * len(self.of_day) * len(self.of_month) * len(self.of_year)

    def situations(self) -> Iterator[Situation]:
        """All of them combined, with nothing used of any cap; a few that no calendar allows are among them."""
        for tier, at, day, month, year in product(self.tiers, self.moments, self.of_day, self.of_month, self.of_year):
            before = {Period.DAY: day - 1, Period.MONTH: month - 1, Period.YEAR: year - 1}
            yield Situation(at, tier, before)


def reach_of(terms: Terms, now: int) -> Reach:
    """Where the terms can be used at or after `now`."""
    bonuses = live_bonuses(terms, now)
    return Reach(
        tiers=_tiers(terms),
        moments=_beginnings(begin_of(terms, now), (each.when.starts or 0 for each in bonuses)),
        of_day=_numbers(bonuses, Period.DAY),
        of_month=_numbers(bonuses, Period.MONTH),
        of_year=_numbers(bonuses, Period.YEAR),
    )


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


def _tiers(terms: Terms) -> tuple[str | None, ...]:
    """One tier for each way in which the terms treat members; None for those of no tier, where they may swap."""
    rules = terms.rules
    named = [rules.tiers, *(each.tiers for each in rules.caps), *(each.tiers for each in rules.minimums)]
    named += [each.when.tiers for each in (*rules.bonuses, *rules.fees)]
    allowed: list[str | None] = [*sorted(rules.tiers)]
    if not allowed:
        allowed = [None, *sorted(frozenset[str]().union(*named))]
    treated = dict[tuple[bool, ...], str | None]()
    for tier in allowed:
        treated.setdefault(tuple(tier in each for each in named), tier)
    return tuple(treated.values())
