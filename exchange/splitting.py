"""Splitting: whether two or more transfers could bring more than one of the same total.

Terms without rules that favour small transfers never let it pay: at any tier and moment what an amount gives then grows
at least as fast as the amount. What can let it pay is looked for rule by rule, and whatever is not known to be harmless
counts: that nothing is found is a promise, that something is found is a warning, mostly with an example.

How parts are compared with the whole: all go at one moment, from one member, one after the other, so that rules for the
n-th transfer of a period see the number go on from part to part, and what is left of a bonus for the member grows less;
the whole goes in their stead, under the first one's number. What is offered beyond a valid amount stays, for a part as
for the whole. Caps are set aside: that they bound what goes at once is what they are for, and a total that does not go
at once is not compared. An example is one that can be tried: its parts go one after the other, and their sum at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, islice, product

from exchange.amounts import Steps, valid_amounts
from exchange.caps import binding_caps
from exchange.path import Hop, Path
from exchange.points import POINTS_MAX, Points
from exchange.ratio import Ratio
from exchange.rules import COUNTED, Bonus, Period, Side, When
from exchange.situation import Situation, Usage
from exchange.terms import Terms

TRIES_MAX = 4_000
"""Pairs of parts that the search for an example tries."""

CANDIDATES_MAX = 24
"""Amounts that may be a part in the search for an example."""

SITUATIONS_MAX = 64
"""Situations that the search for an example tries."""

LISTED_TRIED = 8
"""Listed amounts, of the least and of the greatest, that the search for an example tries."""


@dataclass(frozen=True, slots=True)
class SplitExample:
    """Parts that together give `apart`, where their sum gives `at_once`; `situation` is that of the first part."""

    parts: tuple[Points, ...]
    apart: int
    at_once: int
    situation: Situation

    def __str__(self) -> str:
        parts = " and ".join(f"{each:,}" for each in self.parts)
        return f"{parts} give {self.apart:,} apart, {sum(self.parts):,} give {self.at_once:,} at once"


@dataclass(frozen=True, slots=True)
class Splitting:
    """Why splitting may pay, and an example where a bounded search found one."""

    reason: str
    example: SplitExample | None = None

    def __str__(self) -> str:
        return self.reason if self.example is None else f"{self.reason}: {self.example}"


def splitting_pays(terms: Terms) -> Splitting | None:
    """Why two or more transfers could bring more than one, or cost less; None only when they never do."""
    for cause in CAUSES:
        if reason := cause(terms):
            return Splitting(reason, _example(terms))
    return None


def after(path: Path, amount: int) -> Situation:
    """The situation of the same member at the same moment, one transfer of `amount` later, along a path of one hop."""
    terms, situation = path.hops[0].terms, path.hops[0].situation
    before = {per: situation.before.get(per, 0) + 1 for per in COUNTED}
    burned = path.at_most(amount)
    if burned is None:
        return replace(situation, before=before)
    given = path.yield_of(burned)
    had = dict(situation.had)
    for granted in given.bonuses:
        had[granted.name] = had.get(granted.name, 0) + granted.points
    used = dict(situation.used)
    for cap in binding_caps(terms, situation.tier):
        points = (path.least_for(given.total) or burned) if cap.side is Side.OUT else given.total
        known = situation.used_of(cap)
        used[cap] = Usage(known.points + points, known.count + 1)
    return replace(situation, before=before, had=had, used=used)


def _listed(terms: Terms) -> str | None:
    """Beyond the greatest listed amount, and between two, one transfer leaves points over that another would take."""
    return "only listed amounts go" if terms.rules.amounts else None


def _uneven(terms: Terms) -> str | None:
    """Two valid amounts must make a valid one."""
    for tier in (None, *_tiers(terms)):
        amounts = valid_amounts(terms, tier)
        if isinstance(amounts, Steps) and len(amounts) and amounts.first % amounts.step:
            return (
                f"the least amount {amounts.first:,} is no multiple of the steps of {amounts.step:,} above it, "
                "so that the sum of two valid amounts may not be one"
            )
    return None


def _later(terms: Terms) -> str | None:
    for bonus in terms.rules.bonuses:
        if bonus.when.nth_from > 1:
            return f"the bonus {bonus.name} begins with transfer {bonus.when.nth_from} {_spoken(bonus.when)}"
    return None


def _flat(terms: Terms) -> str | None:
    for bonus in terms.rules.bonuses:
        if bonus.flat is not None and not _comes_once(bonus, bonus.flat):
            return f"the bonus {bonus.name} is {bonus.flat:,} for each transfer, however small"
    return None


def _bounded(terms: Terms) -> str | None:
    for bonus in terms.rules.bonuses:
        if bonus.most is not None and not _comes_once(bonus, bonus.most):
            return f"the bonus {bonus.name} is at most {bonus.most:,} for each transfer"
    return None


def _comes_once(bonus: Bonus, most: Points) -> bool:
    """Whether parts get the bonus only once, up to `most`: then the whole, in the first one's stead, gets no less.

    In a group the other parts may get another bonus beside it.
    """
    if bonus.group is not None:
        return False
    only_first = bonus.when.nth_to == 1
    return only_first or (bonus.member_most is not None and bonus.member_most <= most)


def _mixed(terms: Terms) -> str | None:
    """The best of several grows as fast as the amount when all are shares, or all count the same number of points."""
    groups: dict[str, list[Bonus]] = {}
    for bonus in terms.rules.bonuses:
        if bonus.group is not None:
            groups.setdefault(bonus.group, []).append(bonus)
    for group, members in groups.items():
        steps = {None if each.per is None else each.per.from_units for each in members}
        if len(steps) > 1:
            return f"of the bonuses in the group {group} one part may get one and another part another"
    return None


def _avoidable(terms: Terms) -> str | None:
    """Fees grow more slowly than the amount, but not where smaller or later transfers are spared them."""
    for fee in terms.rules.fees:
        if fee.when.at_least is not None:
            return f"a fee is due only from {fee.when.at_least:,} points on, and not on smaller parts"
        if fee.rate and fee.when.nth_to is not None:
            return f"a fee by the point ends with transfer {fee.when.nth_to} {_spoken(fee.when)}"
    return None


def _used_up(terms: Terms) -> str | None:
    """What is left of a bonus is the same for parts and whole; but a part that finds it gone may get another one."""
    for bonus in terms.rules.bonuses:
        if bonus.member_most is not None and bonus.group is not None:
            return (
                f"one member gets {bonus.member_most:,} of the bonus {bonus.name} {bonus.member_per.spoken}, and parts"
                f" beyond that may get another of the group {bonus.group}"
            )
    return None


def _spoken(when: When) -> str:
    assert when.nth_per is not None, "what counts transfers says in which period"
    return when.nth_per.spoken


CAUSES: tuple[Callable[[Terms], str | None], ...] = (
    _listed,
    _uneven,
    _later,
    _flat,
    _bounded,
    _mixed,
    _avoidable,
    _used_up,
)


def _tiers(terms: Terms) -> list[str]:
    """All tiers that some rule names, or those alone that may swap."""
    rules = terms.rules
    whens = [each.when for each in (*rules.bonuses, *rules.fees)]
    named = [*(each.tiers for each in whens), *(each.except_tiers for each in whens)]
    named += [each.tiers for each in rules.minimums]
    return sorted(rules.tiers or frozenset[str]().union(*named) - rules.except_tiers)


def _example(terms: Terms) -> SplitExample | None:
    """The first two parts that give more than their sum, among a few likely amounts in a few likely situations."""
    tries = 0
    for situation in islice(_situations(terms), SITUATIONS_MAX):
        first = Path([Hop(terms, situation)])
        candidates = _candidates(terms, first)
        seconds = {each: Path([Hop(terms, after(first, each))]) for each in candidates}
        for parts in combinations_with_replacement(candidates, 2):
            tries += 1
            if tries > TRIES_MAX:
                return None
            second, whole = seconds[parts[0]], sum(parts)
            apart, at_once = _given(first, parts[0]) + _given(second, parts[1]), _given(first, whole)
            # What is most costs more to find out than what is given, so it is asked last.
            if apart > at_once and all(
                _goes(*each) for each in ((first, parts[0]), (second, parts[1]), (first, whole))
            ):
                return SplitExample(parts, apart, at_once, situation)
    return None


def _given(path: Path, amount: int) -> int:
    burned = path.at_most(amount)
    given = None if burned is None else path.yield_of(burned)
    return 0 if given is None or given.base == 0 else given.total


def _goes(path: Path, amount: int) -> bool:
    """Whether a swap of so many points would be taken."""
    return amount <= path.most and _given(path, amount) > 0


def _situations(terms: Terms) -> Iterator[Situation]:
    """Every tier at every beginning of a promotion, at transfers before and at those that bonuses begin with."""
    whens = [each.when for each in terms.rules.bonuses]
    tiers = _tiers(terms) if terms.rules.tiers else [None, *_tiers(terms)]
    moments = sorted({0, *(when.starts for when in whens if when.starts is not None)})
    befores: list[dict[Period, int]] = [{}]
    for when in whens:
        if when.nth_per is not None and when.nth_from > 1:
            befores += [{when.nth_per: when.nth_from - 2}, {when.nth_per: when.nth_from - 1}]
    for before, at, tier in product(befores, moments, tiers):
        yield Situation(at=at, tier=tier, before=before)


def _candidates(terms: Terms, path: Path) -> list[Points]:
    """Valid amounts at which something begins or ends, and those at half of them."""
    listed = terms.rules.amounts
    marks = [1, terms.ratio.needed_for(Points(1)), *listed[:LISTED_TRIED], *listed[-LISTED_TRIED:]]
    for bonus in terms.rules.bonuses:
        marks += _marks(bonus, terms.ratio)
    around = (path.at_least(mark) for each in marks for mark in (each, each // 2) if 1 <= mark <= POINTS_MAX)
    return sorted({each for each in around if each is not None})[:CANDIDATES_MAX]


def _marks(bonus: Bonus, ratio: Ratio) -> Iterator[int]:
    """Where a bonus begins, where it first gives something, and where it reaches its bound."""
    if bonus.when.at_least is not None:
        yield bonus.when.at_least
    for wanted in (Points(1), bonus.most, bonus.member_most):
        if wanted is None:
            continue
        if bonus.per is not None:
            yield -(-wanted // bonus.per.to_units) * bonus.per.from_units
        elif bonus.share is not None:
            yield ratio.needed_for(bonus.share.needed_for(wanted))
