"""Made-up terms with everything that rules can say about what arrives, every number small enough to try all amounts."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import strategies as st

from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import COUNTED, PLAIN, Bonus, Cap, Period, Rounding, Rules, Side, TierMinimum, When
from exchange.situation import Situation
from exchange.terms import Terms
from tests.exchange.strategies import make_terms, ratios

TIERS = ("blue", "gold")
END_OF_TIME = 12
"""No made-up promotion begins or ends later."""

NUMBERS = (1, 2, 3)
"""Transfers of a period that made-up rules tell apart; all later ones are treated as the last."""

tiers = st.frozensets(st.sampled_from(TIERS), max_size=2)
for_tiers: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"tiers": tiers}), st.fixed_dictionaries({"except_tiers": tiers})
)
"""Whom a rule is for: some tiers, or all but some."""

whole_ratios = st.builds(Ratio, st.just(Points(1)), st.integers(1, 5).map(Points))
"""Ratios at which rounding takes nothing."""


@st.composite
def whens(draw: st.DrawFn) -> When:
    starts, ends = draw(st.none() | st.integers(0, 6)), draw(st.none() | st.integers(7, END_OF_TIME))
    per = draw(st.none() | st.sampled_from(COUNTED))
    first = 1 if per is None else draw(st.sampled_from(NUMBERS))
    return When(
        **draw(for_tiers),
        starts=starts,
        ends=ends,
        at_least=draw(st.none() | st.integers(1, 90).map(Points)),
        nth_per=per,
        nth_from=first,
        nth_to=None if per is None else draw(st.none() | st.integers(first, 3)),
    )


@st.composite
def bonuses(draw: st.DrawFn, name: str, some_ratios: st.SearchStrategy[Ratio]) -> Bonus:
    kind = draw(st.sampled_from(["ratio", "share", "per", "flat"]))
    size: dict[str, Any] = {kind: draw(st.integers(1, 60).map(Points) if kind == "flat" else some_ratios)}
    if kind == "ratio":
        return Bonus(name, **size, when=draw(whens()))
    group, bounds = draw(st.none() | st.sampled_from(["one", "two"])), st.none() | st.integers(1, 80).map(Points)
    return Bonus(name, **size, when=draw(whens()), group=group, most=draw(bounds), member_most=draw(bounds))


@st.composite
def bonus_lists(draw: st.DrawFn, some_ratios: st.SearchStrategy[Ratio], most: int = 4) -> tuple[Bonus, ...]:
    return tuple(draw(bonuses(f"bonus {place}", some_ratios)) for place in range(draw(st.integers(0, most))))


def as_points(amounts: list[int]) -> tuple[Points, ...]:
    """The same amounts, as points."""
    return tuple(map(Points, amounts))


def none_worse(bonuses: tuple[Bonus, ...], base: Ratio) -> tuple[Bonus, ...]:
    """The same bonuses, with the base where one would have a lesser ratio."""
    return tuple(
        replace(each, ratio=base) if each.ratio is not None and each.ratio.exact < base.exact else each
        for each in bonuses
    )


@st.composite
def rich_terms(draw: st.DrawFn) -> Terms:
    """Terms with bonuses, tiers, minimums by tier, listed amounts and caps per transfer."""
    base = draw(ratios(12))
    rules = Rules(
        amounts=draw(st.just(()) | st.lists(st.integers(1, 200), min_size=1, unique=True).map(sorted).map(as_points)),
        rounding=draw(st.sampled_from(Rounding)),
        minimums=draw(
            st.just(()) | st.tuples(st.builds(TierMinimum, st.just(frozenset({"gold"})), st.integers(1, 40)))
        ),
        **draw(st.just({}) | for_tiers),
        caps=draw(st.just(()) | st.tuples(caps())),
        bonuses=none_worse(draw(bonus_lists(ratios(12))), base),
    )
    plain = make_terms(base, draw(st.integers(1, 40)), draw(st.integers(1, 15)))
    return with_rules(plain, rules)


def caps() -> st.SearchStrategy[Cap]:
    made = st.builds(Cap, per=st.just(Period.TRANSFER), points=st.integers(0, 150), side=st.sampled_from(Side))
    return st.builds(lambda cap, whom: replace(cap, **whom), made, for_tiers)


def with_rules(terms: Terms, rules: Rules = PLAIN) -> Terms:
    """The same terms under other rules."""
    return replace(terms, rules=rules)


def all_situations(terms: Terms, now: int = 0) -> Iterator[Situation]:
    """Every situation from `now` on that these made-up terms can tell apart."""
    periods = sorted({each.when.nth_per for each in terms.rules.bonuses if each.when.nth_per is not None})
    for tier in (None, *TIERS):
        for at in range(now, END_OF_TIME + 1):
            for numbers in product(NUMBERS, repeat=len(periods)):
                yield Situation(at, tier, {period: number - 1 for period, number in zip(periods, numbers, strict=True)})


situations = st.builds(
    Situation,
    at=st.integers(0, END_OF_TIME),
    tier=st.sampled_from([None, *TIERS]),
    before=st.fixed_dictionaries({period: st.integers(0, 2) for period in COUNTED}),
)
