"""Rules: what contradicts itself is refused by name, with what would pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from exchange.checks import NAME_MAX, NAMES_MAX
from exchange.errors import InvalidTerms, UnevenMinimum
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import (
    AMOUNTS_MAX,
    COUNT_MAX,
    DAYS_MAX,
    FEE_MAX,
    PARTS_MAX,
    TIME_MAX,
    Bonus,
    Cap,
    Eligible,
    Expiry,
    MoneyFee,
    Period,
    PointsFee,
    Received,
    Rounding,
    Rules,
    TierMinimum,
    When,
)
from exchange.terms import Terms
from tests.exchange.strategies import make_terms

ONE = Points(1)
TWO = Ratio(Points(1), Points(2))
GOLD = frozenset({"gold"})
LONG = "x" * (NAME_MAX + 1)


def with_rules(rules: Rules, minimum: int = 1, increment: int = 1, ratio: Ratio = TWO) -> Terms:
    return replace(make_terms(ratio, minimum, increment), rules=rules)


def with_bonus(ratio: Ratio) -> Terms:
    return with_rules(Rules(bonuses=(Bonus("x", ratio=ratio),)))


REFUSED: list[tuple[Callable[[], object], str, int | str | None]] = [
    (lambda: When(starts=-1), "when.starts", 0),
    (lambda: When(ends=TIME_MAX + 1), "when.ends", TIME_MAX),
    (lambda: When(starts=5, ends=5), "when.ends", 6),
    (lambda: When(starts=TIME_MAX, ends=1), "when.ends", None),
    (lambda: When(at_least=Points(0)), "when.at_least", 1),
    (lambda: When(at_least=Points(POINTS_MAX + 1)), "when.at_least", POINTS_MAX),
    (lambda: When(nth_per=Period.DAY, nth_from=0), "when.nth_from", 1),
    (lambda: When(nth_per=Period.DAY, nth_from=3, nth_to=2), "when.nth_to", 3),
    (lambda: When(nth_per=Period.DAY, nth_to=COUNT_MAX + 1), "when.nth_to", COUNT_MAX),
    (lambda: When(nth_per=Period.TRANSFER), "when.nth_per", None),
    (lambda: When(nth_from=2), "when.nth_per", None),
    (lambda: When(nth_to=2), "when.nth_per", None),
    (lambda: When(tiers=frozenset({LONG})), "when.tiers", "x" * NAME_MAX),
    (lambda: When(tiers=frozenset({""})), "when.tiers", None),
    (lambda: When(tiers=frozenset(str(each) for each in range(NAMES_MAX + 1))), "when.tiers", NAMES_MAX),
    (lambda: When(tiers=GOLD, except_tiers=frozenset({"x"})), "when.except_tiers", None),
    (lambda: When(except_tiers=frozenset({LONG})), "when.except_tiers", "x" * NAME_MAX),
    (lambda: Cap(Period.DAY, ONE, tiers=GOLD, except_tiers=GOLD), "caps.except_tiers", None),
    (lambda: Rules(tiers=GOLD, except_tiers=frozenset({"x"})), "except_tiers", None),
    (lambda: Cap(Period.DAY), "caps.points", None),
    (lambda: Cap(Period.DAY, points=Points(-1)), "caps.points", 0),
    (lambda: Cap(Period.DAY, count=-1), "caps.count", 0),
    (lambda: Cap(Period.DAY, count=COUNT_MAX + 1), "caps.count", COUNT_MAX),
    (lambda: Cap(Period.TRANSFER, count=1), "caps.count", None),
    (lambda: Bonus("x"), "bonuses", None),
    (lambda: Bonus("x", flat=ONE, per=TWO), "bonuses", None),
    (lambda: Bonus("", flat=ONE), "bonuses.name", None),
    (lambda: Bonus("x", flat=Points(0)), "bonuses.flat", 1),
    (lambda: Bonus("x", share=TWO, most=Points(0)), "bonuses.most", 1),
    (lambda: Bonus("x", share=TWO, group=LONG), "bonuses.group", "x" * NAME_MAX),
    (lambda: Bonus("x", ratio=TWO, group="g"), "bonuses.group", None),
    (lambda: Bonus("x", ratio=TWO, most=ONE), "bonuses.most", None),
    (lambda: Bonus("x", flat=ONE, member_most=Points(0)), "bonuses.member_most", 1),
    (lambda: Bonus("x", ratio=TWO, member_most=ONE), "bonuses.member_most", None),
    (lambda: Bonus("x", flat=ONE, member_most=ONE, member_per=Period.TRANSFER), "bonuses.member_per", None),
    (lambda: Bonus("x", flat=ONE, member_per=Period.YEAR), "bonuses.member_per", None),
    (lambda: PointsFee(Points(0)), "fees.points", 1),
    (lambda: PointsFee(Points(-1), rate=ONE), "fees.points", 0),
    (lambda: PointsFee(rate=Points(-1)), "fees.points_rate", 0),
    (lambda: PointsFee(rate=ONE, per=Points(0)), "fees.per", 1),
    (lambda: PointsFee(rate=ONE, ceiling=Points(0)), "fees.points_ceiling", 1),
    (lambda: MoneyFee("usd", flat=MicroUnits(1)), "fees.currency", "USD"),
    (lambda: MoneyFee("USDT", flat=MicroUnits(1)), "fees.currency", None),
    (lambda: MoneyFee("USD"), "fees.rate", None),
    (lambda: MoneyFee("USD", flat=MicroUnits(-1)), "fees.flat", 0),
    (lambda: MoneyFee("USD", rate=MicroUnits(FEE_MAX + 1)), "fees.rate", FEE_MAX),
    (lambda: MoneyFee("USD", rate=MicroUnits(1), per=Points(0)), "fees.per", 1),
    (lambda: MoneyFee("USD", rate=MicroUnits(1), ceiling=MicroUnits(0)), "fees.ceiling", 1),
    (lambda: Eligible(age_min_days=-1), "eligible.age_min_days", 0),
    (lambda: Eligible(left_min_days=DAYS_MAX + 1), "eligible.left_min_days", DAYS_MAX),
    (lambda: Eligible(age_min_days=5, age_max_days=4), "eligible.age_max_days", 5),
    (lambda: Received(Expiry.SHORTENS), "received.days", None),
    (lambda: Received(Expiry.RESTARTS, days=5), "received.days", None),
    (lambda: Received(Expiry.SHORTENS, days=0), "received.days", 1),
    (lambda: TierMinimum(frozenset(), ONE), "minimums.tiers", None),
    (lambda: TierMinimum(GOLD, Points(0)), "minimums.minimum", 1),
    (lambda: Rules(minimums=(TierMinimum(GOLD, ONE), TierMinimum(GOLD, Points(2)))), "minimums.tiers", None),
    (lambda: Rules(fees=(PointsFee(ONE),) * (PARTS_MAX + 1)), "fees", PARTS_MAX),
    (lambda: Rules(amounts=tuple(map(Points, range(1, AMOUNTS_MAX + 2)))), "amounts", AMOUNTS_MAX),
    (lambda: Rules(amounts=(Points(0),)), "amounts", 1),
    (lambda: Rules(amounts=(Points(5), Points(5))), "amounts", 6),
    (lambda: Rules(amounts=(POINTS_MAX, POINTS_MAX)), "amounts", None),
    (lambda: Rules(tiers=frozenset({""})), "tiers", None),
    (lambda: Rules(notice_days=-1), "notice_days", 0),
    (lambda: Rules(group=LONG), "group", "x" * NAME_MAX),
    (lambda: Rules(caps=(Cap(Period.DAY, count=1, shared=True),)), "group", None),
    (lambda: Rules(bonuses=(Bonus("x", flat=ONE), Bonus("x", share=TWO))), "bonuses.name", None),
    (lambda: with_bonus(Ratio(Points(100), Points(199))), "bonuses.0.ratio", "1:2"),
]


@pytest.mark.parametrize(("make", "field", "nearest"), REFUSED)
def test_rules__that_contradict_themselves__name_field_and_nearest(
    make: Callable[[], object], field: str, nearest: int | str | None
) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        make()
    assert (refusal.value.field, refusal.value.nearest) == (field, nearest)
    assert refusal.value.detail


@pytest.mark.parametrize(
    "make",
    [
        lambda: When(starts=5, ends=6, nth_per=Period.YEAR, nth_from=3, nth_to=3, at_least=POINTS_MAX, tiers=GOLD),
        lambda: Cap(Period.DAY, points=Points(0), count=0),
        lambda: Rules(amounts=(ONE, POINTS_MAX)),
        lambda: Rules(group="g", caps=(Cap(Period.DAY, count=1, shared=True),)),
        lambda: Received(Expiry.SHORTENS, days=DAYS_MAX),
        lambda: Eligible(age_min_days=5, age_max_days=5),
        lambda: with_bonus(Ratio(Points(50), Points(100))),
        lambda: with_bonus(Ratio(Points(100), Points(201))),
    ],
)
def test_rules__at_their_bounds__are_accepted(make: Callable[[], object]) -> None:
    assert make()


def test_rules__that_demand_whole_blocks__refuse_a_minimum_that_is_none() -> None:
    with pytest.raises(UnevenMinimum) as refusal:
        with_rules(Rules(blocks=True), 250, 100)
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == ("minimum", 100, 300)
    gold = Rules(blocks=True, minimums=(TierMinimum(GOLD, Points(50)),))
    with pytest.raises(UnevenMinimum) as refusal:
        with_rules(gold, 300, 100)
    assert (refusal.value.field, refusal.value.nearest) == ("minimums.minimum", 100)
    with pytest.raises(UnevenMinimum) as refusal:
        with_rules(Rules(blocks=True), POINTS_MAX, 100)
    assert refusal.value.nearest == POINTS_MAX - POINTS_MAX % 100
    for minimum in (300, 100, POINTS_MAX - POINTS_MAX % 100):
        assert with_rules(Rules(blocks=True), minimum, 100)
    assert with_rules(Rules(blocks=True, amounts=(Points(7),)), 250, 100)
    assert with_rules(Rules(), 250, 100)


@pytest.mark.parametrize(
    ("fee", "amount", "due"),
    [
        (MoneyFee("USD", rate=MicroUnits(600)), 1_000, 600_000),
        (MoneyFee("USD", rate=MicroUnits(600), ceiling=MicroUnits(99_000_000)), 165_000, 99_000_000),
        (MoneyFee("USD", rate=MicroUnits(600), ceiling=MicroUnits(99_000_000)), 165_001, 99_000_000),
        (MoneyFee("USD", flat=MicroUnits(5), rate=MicroUnits(7), per=Points(100)), 101, 19),
        (MoneyFee("USD", flat=MicroUnits(5), rate=MicroUnits(7), per=Points(100)), 100, 12),
        (MoneyFee("USD", rate=FEE_MAX), POINTS_MAX, MICRO_UNITS_MAX),
    ],
)
def test_money_fee__of_an_amount__counts_what_is_begun_up_to_its_ceiling(fee: MoneyFee, amount: int, due: int) -> None:
    assert fee.of(amount) == due


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        (Rules(amounts=(Points(5),)), ("amounts",)),
        (Rules(rounding=Rounding.WHOLE), ("rounding",)),
        (Rules(tiers=frozenset({"gold"})), ("tiers",)),
        (Rules(caps=(Cap(Period.DAY, count=1),)), ("caps",)),
        (Rules(fees=(PointsFee(Points(1)),)), ("fees",)),
        (Rules(except_tiers=GOLD), ("except_tiers",)),
        (Rules(fees=(MoneyFee("EUR", flat=MicroUnits(1)),)), ("fees",)),
        (Rules(eligible=Eligible(earned_only=True)), ("eligible",)),
        (Rules(received=Received(onward=False)), ("received",)),
        (Rules(received=Received(Expiry.INHERITS)), ("received",)),
        (Rules(tiers=frozenset({"gold"}), fees=(PointsFee(Points(1)),)), ("tiers", "fees")),
        (Rules(), ()),
        (Rules(bonuses=(Bonus("spring", flat=Points(1)),), group="A", blocks=True, notice_days=9), ()),
        (Rules(minimums=(TierMinimum(frozenset({"gold"}), Points(2)),)), ()),
    ],
)
def test_bound_only_here__then_names_what_a_swap_on_the_chain_alone_passes_by(
    rules: Rules, names: tuple[str, ...]
) -> None:
    assert rules.bound_only_here == names


@pytest.mark.parametrize("name", ["go\nld", " gold", "gold\0", "\ud800", "\u202egold", " "])
def test_name__with_what_nobody_can_see__is_refused_with_one_that_passes(name: str) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        Rules(group=name)
    assert refusal.value.field == "group"
    if refusal.value.nearest is not None:
        Rules(group=str(refusal.value.nearest))
