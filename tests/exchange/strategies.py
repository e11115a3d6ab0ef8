"""Made-up amounts, ratios and terms for the property tests."""

from dataclasses import replace
from functools import cache

from hypothesis import strategies as st

from exchange.path import Hop
from exchange.points import POINTS_MAX, MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import (
    COUNTED,
    Bonus,
    Cap,
    Fee,
    MoneyFee,
    Period,
    PointsFee,
    Rounding,
    Rules,
    Scope,
    Side,
    TierMinimum,
    When,
)
from exchange.situation import Situation, Usage
from exchange.terms import Terms

SMALL_MAX = 400


def amounts(most: int = POINTS_MAX) -> st.SearchStrategy[Points]:
    """Amounts that move, small ones as often as large ones."""
    return st.one_of(st.integers(1, min(most, SMALL_MAX)), st.integers(1, most)).map(Points)


def ratios(most: int = POINTS_MAX) -> st.SearchStrategy[Ratio]:
    """Ratios of any size, in lowest terms or not."""
    return st.builds(Ratio, amounts(most), amounts(most))


def make_terms(
    ratio: Ratio, minimum: int = 1, increment: int = 1, settlement_price: int = 0, version: int = 1
) -> Terms:
    """Terms between two programs whose names do not matter."""
    return Terms(
        id="trm_1",
        source="prg_a",
        destination="prg_b",
        version=version,
        ratio=ratio,
        minimum=Points(minimum),
        increment=Points(increment),
        settlement_price=MicroUnits(settlement_price),
        effective_at=None,
    )


def small_terms() -> st.SearchStrategy[Terms]:
    """Terms in which every number is small, so that rounding shows and all amounts can be tried."""
    return st.builds(
        make_terms,
        ratio=ratios(12),
        minimum=st.integers(1, 40),
        increment=st.integers(1, 15),
        settlement_price=st.integers(0, 20_000),
    )


@st.composite
def whole_step_terms(draw: st.DrawFn) -> Terms:
    """Small terms whose minimum is a multiple of their increment."""
    increment = draw(st.integers(1, 15))
    return make_terms(draw(ratios(12)), increment * draw(st.integers(1, 4)), increment)


TIERS = ("gold", "silver")
NAMES = ("one", "two", "three", "four")
MOMENT_MAX = 30
"""Seconds in which the small world of these tests goes by."""

# Strategies that are drawn again and again are made once: making one costs more than drawing from it.
_upto = cache(lambda most: st.integers(1, most).map(Points))
_ratios = cache(lambda most: st.builds(Ratio, _upto(most), _upto(most)))
_maybe = cache(lambda strategy: st.none() | strategy)
_moments, _numbers, _flags = st.integers(0, MOMENT_MAX), st.integers(0, 4), st.booleans()
_tier = st.sampled_from(TIERS)
_ALL = frozenset[str]()
_SOME = (*(frozenset({each}) for each in TIERS), frozenset(TIERS))
_tiers = st.sampled_from(((_ALL, _ALL), *((each, _ALL) for each in _SOME), *((_ALL, each) for each in _SOME)))
"""The tiers that a rule is for, and those that it is not for: never both."""
_nths = st.sampled_from([(1, None), (1, None), (1, 1), (1, 3), (2, None), (2, 2), (3, None), (3, 4)])
_whens = st.integers(0, 11)
"""Of twelve conditions six are none, and each part is in three others."""


@st.composite
def whens(draw: st.DrawFn) -> When:
    """Conditions of every kind, mostly none and few at a time."""
    kind = draw(_whens)
    starts = draw(_maybe(_moments)) if kind in (6, 7) else None
    nth = kind in (8, 9)
    nth_from, nth_to = draw(_nths) if nth else (1, None)
    tiers, except_tiers = draw(_tiers) if kind in (7, 8, 10) else (_ALL, _ALL)
    return When(
        tiers=tiers,
        except_tiers=except_tiers,
        starts=starts,
        ends=None if kind not in (6, 7) else (starts or 0) + draw(_upto(MOMENT_MAX)),
        at_least=draw(_upto(60)) if kind in (7, 9, 11) else None,
        nth_per=draw(_periods) if nth else None,
        nth_from=nth_from,
        nth_to=nth_to,
    )


_periods = st.sampled_from(COUNTED)
_every_when = whens()
_kinds = st.sampled_from(("ratio", "share", "per", "flat"))
_groups = st.sampled_from((None, "a", "a", "b"))


@st.composite
def bonuses(draw: st.DrawFn, name: str, ratio: Ratio) -> Bonus:
    """A bonus of any of the four kinds, better than `ratio`."""
    kind, when = draw(_kinds), draw(_every_when)
    if kind == "ratio":
        return Bonus(name, ratio=max(ratio, draw(_ratios(12)), key=lambda each: each.exact), when=when)
    group, most, member_most = draw(_groups), draw(_maybe(_upto(30))), draw(_maybe(_upto(50)))
    period = Period.EVER if member_most is None else draw(_periods)
    bonus = Bonus(
        name, flat=draw(_upto(20)), when=when, group=group, most=most, member_most=member_most, member_per=period
    )
    if kind == "share":
        return replace(bonus, flat=None, share=draw(_ratios(10)))
    return replace(bonus, flat=None, per=draw(_ratios(25))) if kind == "per" else bonus


_all_periods, _sides, _scopes, _sizes = (
    st.sampled_from(tuple(Period)),
    st.sampled_from(Side),
    st.sampled_from(Scope),
    st.integers(0, 300).map(Points),
)


@st.composite
def caps(draw: st.DrawFn) -> Cap:
    """Caps on either side, for any period, some of them by count."""
    per = draw(_all_periods)
    count = None if per is Period.TRANSFER else draw(_maybe(_numbers))
    points = draw(_sizes) if count is None else draw(_maybe(_sizes))
    tiers, others = draw(_tiers)
    return Cap(per, points, count, draw(_sides), draw(_scopes), tiers=tiers, except_tiers=others)


_POINTS_AND_RATE = tuple((Points(points), Points(rate)) for points, rate in ((5, 0), (20, 0), (0, 1), (3, 2)))
_money = st.integers(0, 3_000).map(MicroUnits)


@st.composite
def fees(draw: st.DrawFn) -> Fee:
    """Fees in points, and in two currencies."""
    when = draw(_every_when)
    if draw(_flags):
        points, rate = draw(st.sampled_from(_POINTS_AND_RATE))
        return PointsFee(points, when, rate, draw(_upto(7)), draw(_maybe(_upto(40))))
    return MoneyFee(
        currency=draw(_currencies),
        flat=MicroUnits(draw(_money) + 1),
        rate=draw(_money),
        per=draw(_upto(7)),
        ceiling=MicroUnits(draw(_upto(9_000))) if draw(_flags) else None,
        when=when,
    )


_currencies = st.sampled_from(("EUR", "USD"))
_lists: st.SearchStrategy[list[Points]] = st.one_of(
    st.just([]), st.just([]), st.lists(_upto(200), unique=True, max_size=6)
)
_fee_lists, _cap_lists = st.lists(fees(), max_size=2), st.lists(caps(), max_size=2)
_roundings = st.sampled_from((Rounding.FLOOR, Rounding.FLOOR, Rounding.WHOLE))
_minimums = st.sampled_from(((), (), ("gold",), TIERS))


@st.composite
def small_rules(draw: st.DrawFn, ratio: Ratio, points_fees: bool = True, has_bonuses: bool = True) -> Rules:
    """Everything that rules can say about amounts and what they give, in small numbers."""
    return Rules(
        amounts=tuple(sorted(draw(_lists))),
        rounding=draw(_roundings),
        minimums=tuple(TierMinimum(frozenset({tier}), draw(_upto(50))) for tier in draw(_minimums)),
        caps=tuple(draw(_cap_lists)),
        bonuses=tuple(draw(bonuses(name, ratio)) for name in NAMES[: draw(_numbers) if has_bonuses else 0]),
        fees=tuple(fee for fee in draw(_fee_lists) if points_fees or not isinstance(fee, PointsFee)),
    )


@st.composite
def ruled_terms(draw: st.DrawFn, ratio_max: int = 12) -> Terms:
    """Small terms with whole rules."""
    ratio = draw(_ratios(ratio_max))
    plain = make_terms(ratio, draw(_upto(40)), draw(_upto(15)), draw(_upto(20_000)))
    return replace(plain, rules=draw(small_rules(ratio)))


_had = st.integers(0, 60)
_usages = st.builds(Usage, st.integers(0, 200), _numbers)
_any_tier = st.sampled_from((None, *TIERS, "named nowhere"))


@st.composite
def situations(draw: st.DrawFn, terms: Terms) -> Situation:
    """A member, a moment, and a history under these terms."""
    return Situation(
        at=draw(_moments),
        tier=draw(_any_tier),
        before={period: draw(_numbers) for period in COUNTED},
        used={cap: draw(_usages) for cap in terms.rules.caps if draw(_flags)},
        had={bonus.name: draw(_had) for bonus in terms.rules.bonuses if bonus.member_most is not None},
    )


@st.composite
def priced_hops(draw: st.DrawFn) -> list[Hop]:
    """One direction with whole rules, as a route of one hop."""
    terms = draw(ruled_terms())
    return [Hop(terms, draw(situations(terms)))]


_hop_counts = st.integers(2, 4)


@st.composite
def routes(draw: st.DrawFn) -> list[Hop]:
    """Two to four hops that follow each other, with whole rules; a bonus on the way, now and then, must not count."""
    hops = []
    count = draw(_hop_counts)
    for place in range(count):
        ratio = draw(_ratios(4))
        plain = make_terms(ratio, draw(_upto(12)), draw(_upto(4)), draw(_upto(20_000)))
        has_bonuses = place == count - 1 or draw(_flags)
        terms = replace(
            plain,
            source=f"prg_{place}",
            destination=f"prg_{place + 1}",
            rules=draw(small_rules(ratio, points_fees=place == 0, has_bonuses=has_bonuses)),
        )
        hops.append(Hop(terms, draw(situations(terms))))
    return hops
