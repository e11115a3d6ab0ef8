"""Made-up rules of every kind for the property tests."""

from hypothesis import strategies as st

from bridge.forms.spelling import MOMENT_MAX
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, MicroUnits, Points
from exchange.rules import (
    COUNT_MAX,
    COUNTED,
    DAYS_MAX,
    FEE_MAX,
    Bonus,
    Cap,
    Eligible,
    Expiry,
    Fee,
    MoneyFee,
    Period,
    PointsFee,
    Received,
    Rounding,
    Rules,
    Scope,
    Side,
    TierMinimum,
    When,
)
from tests.exchange.strategies import amounts, ratios

NAMES = st.sampled_from(["A", "gold", "a b", "ذهب", "yes", "1", "{x}", "x" * 64])
TIERS = st.frozensets(NAMES, max_size=3)
DAYS = st.integers(0, DAYS_MAX)
RUNNING = st.sampled_from(COUNTED)
FOR_TIERS = st.one_of(st.fixed_dictionaries({"tiers": TIERS}), st.fixed_dictionaries({"except_tiers": TIERS}))


def moments() -> st.SearchStrategy[int]:
    """Any second up to the end of the year 9999, the beginnings of days as often as others."""
    return st.one_of(st.integers(0, MOMENT_MAX), st.integers(0, MOMENT_MAX // 86_400).map(lambda day: day * 86_400))


@st.composite
def whens(draw: st.DrawFn) -> When:
    starts, ends = sorted(draw(st.lists(moments(), min_size=2, max_size=2, unique=True)))
    per = draw(st.none() | RUNNING)
    nth_from = 1 if per is None else draw(st.integers(1, COUNT_MAX))
    return When(
        **draw(FOR_TIERS),
        starts=draw(st.sampled_from([None, starts])),
        ends=draw(st.sampled_from([None, ends])),
        at_least=draw(st.none() | amounts()),
        nth_per=per,
        nth_from=nth_from,
        nth_to=None if per is None else draw(st.none() | st.integers(nth_from, COUNT_MAX)),
    )


@st.composite
def caps(draw: st.DrawFn) -> Cap:
    per = draw(st.sampled_from(Period))
    points = draw(st.none() | st.integers(0, POINTS_MAX).map(Points))
    count = None if per is Period.TRANSFER else draw(st.none() | st.integers(0, COUNT_MAX))
    return Cap(
        per=per,
        points=Points(7) if points is None and count is None else points,
        count=count,
        side=draw(st.sampled_from(Side)),
        scope=draw(st.sampled_from(Scope)),
        shared=draw(st.booleans()),
        **draw(FOR_TIERS),
    )


@st.composite
def bonuses(draw: st.DrawFn, name: str) -> Bonus:
    kind = draw(st.sampled_from(["ratio", "share", "per", "flat"]))
    bounded = kind != "ratio"
    member_most = draw(st.none() | amounts()) if bounded else None
    percents = st.builds(
        lambda places, most: ratios(most).map(lambda each: type(each)(Points(100 * 10**places), each.to_units)),
        st.integers(0, 12),
        st.just(POINTS_MAX),
    ).flatmap(lambda each: each)
    return Bonus(
        name=name,
        ratio=draw(ratios()) if kind == "ratio" else None,
        share=draw(ratios() | percents) if kind == "share" else None,
        per=draw(ratios()) if kind == "per" else None,
        flat=draw(amounts()) if kind == "flat" else None,
        when=draw(whens()),
        group=draw(st.none() | NAMES) if bounded else None,
        most=draw(st.none() | amounts()) if bounded else None,
        member_most=member_most,
        member_per=Period.EVER if member_most is None else draw(RUNNING),
    )


@st.composite
def fees(draw: st.DrawFn) -> Fee:
    if draw(st.booleans()):
        points, rate = draw(st.sampled_from([(1, 0), (0, 1), (1, 1)]))
        points, rate = (each and draw(amounts()) for each in (points, rate))
        per = draw(amounts()) if rate else Points(1)
        return PointsFee(Points(points), draw(whens()), Points(rate), per, draw(st.none() | amounts()))
    micro = st.integers(0, FEE_MAX).map(MicroUnits)
    flat, rate = draw(micro), draw(micro)
    return MoneyFee(
        currency=draw(st.sampled_from(["USD", "SGD"])),
        flat=flat,
        rate=rate or MicroUnits(1),
        per=draw(amounts()),
        ceiling=draw(st.none() | st.integers(1, MICRO_UNITS_MAX).map(MicroUnits)),
        when=draw(whens()),
    )


@st.composite
def received(draw: st.DrawFn) -> Received:
    expiry = draw(st.sampled_from(Expiry))
    days = draw(st.integers(1, DAYS_MAX)) if expiry is Expiry.SHORTENS else None
    return Received(expiry, days, draw(st.booleans()))


@st.composite
def eligible(draw: st.DrawFn) -> Eligible:
    age_min = draw(DAYS)
    age_max = draw(st.none() | st.integers(age_min, DAYS_MAX))
    return Eligible(age_min, age_max, draw(DAYS), draw(st.booleans()), draw(DAYS), draw(DAYS))


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    """Rules of every kind, with a few parts of each."""
    tiers = draw(st.permutations(["gold", "silver", "ذهب"]))
    split = draw(st.integers(1, 2))
    minimums = [TierMinimum(frozenset(each), draw(amounts())) for each in (tiers[:split], tiers[split:])]
    names = draw(st.lists(NAMES, max_size=2, unique=True))
    return Rules(
        amounts=tuple(sorted(draw(st.sets(amounts(), max_size=4)))),
        rounding=draw(st.sampled_from(Rounding)),
        blocks=draw(st.booleans()),
        minimums=tuple(minimums[: draw(st.integers(0, 2))]),
        **draw(FOR_TIERS),
        group=draw(NAMES),
        caps=tuple(draw(st.lists(caps(), max_size=2))),
        bonuses=tuple(draw(bonuses(name)) for name in names),
        fees=tuple(draw(st.lists(fees(), max_size=2))),
        eligible=draw(eligible()),
        received=draw(received()),
        notice_days=draw(DAYS),
    )
