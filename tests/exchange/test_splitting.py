"""Splitting: where nothing is found it never pays, and where something is found there mostly is an example."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from exchange.conversion import fees_on
from exchange.errors import BelowMinimum, NothingOut, SarrafError
from exchange.path import Hop, Path
from exchange.points import POINTS_MAX, MicroUnits, Points
from exchange.pricing import price
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
    Side,
    TierMinimum,
    When,
)
from exchange.situation import Situation
from exchange.splitting import Splitting, after, splitting_pays
from exchange.terms import Terms
from tests.exchange.strategies import bonuses, make_terms, ruled_terms, situations

GOLD = frozenset({"gold"})


def ratio(from_units: int, to_units: int) -> Ratio:
    return Ratio(Points(from_units), Points(to_units))


def ruled(sides: tuple[int, int] = (1, 1), minimum: int = 100, increment: int = 100, **rules: object) -> Terms:
    return replace(make_terms(ratio(*sides), minimum, increment), rules=Rules(**rules))  # type: ignore[arg-type]


def gives(terms: Terms, amount: int, situation: Situation) -> int:
    """What `amount` gives, 0 when it is too small."""
    try:
        return price(terms, amount, situation).amount_out
    except (BelowMinimum, NothingOut):
        return 0


@st.composite
def tame_terms(draw: st.DrawFn) -> Terms:
    """Terms of which many have nothing that favours small transfers; those that have something stay among them."""
    terms = draw(ruled_terms())
    rate = terms.ratio
    tame = []
    for name in ("one", "two", "three"):
        bonus = draw(bonuses(name, rate))
        when = replace(bonus.when, nth_from=1, nth_to=bonus.when.nth_to if bonus.when.nth_per else None)
        once = replace(when, nth_per=when.nth_per or Period.DAY, nth_to=1)
        if bonus.flat is not None or draw(st.booleans()):
            tame.append(replace(bonus, when=once))
        else:
            tame.append(replace(bonus, most=None, when=when))
    fees = tuple(replace(each, when=replace(each.when, at_least=None)) for each in terms.rules.fees)
    step = terms.increment
    return replace(
        terms,
        minimum=Points(step * draw(st.integers(1, 3))),
        rules=replace(terms.rules, amounts=(), minimums=(), caps=(), bonuses=tuple(tame), fees=fees),
    )


def one_by_one(terms: Terms, parts: Sequence[int], situation: Situation) -> Iterator[tuple[int, Situation]]:
    """Each part with the situation in which it goes, after those before it."""
    for part in parts:
        yield part, situation
        situation = after(Path([Hop(terms, situation)]), part)


@settings(max_examples=150)
@given(tame_terms(), st.data())
def test_splitting_pays__where_it_says_never__no_split_gives_more(terms: Terms, data: st.DataObject) -> None:
    if splitting_pays(terms) is not None:
        return
    situation = data.draw(situations(terms))
    parts = data.draw(st.lists(st.integers(1, 150), min_size=2, max_size=4))
    event(f"bonuses: {len(terms.rules.bonuses)}")
    apart = sum(gives(terms, part, now) for part, now in one_by_one(terms, parts, situation))
    assert apart <= gives(terms, sum(parts), situation)


@settings(max_examples=100)
@given(ruled_terms(), st.data())
def test_splitting_pays__under_any_rules__a_split_that_gives_more_is_never_missed(
    terms: Terms, data: st.DataObject
) -> None:
    situation = data.draw(situations(terms))
    parts = data.draw(st.lists(st.integers(1, 120), min_size=2, max_size=3))
    try:
        at_once = gives(terms, sum(parts), situation)
        apart = sum(gives(terms, part, now) for part, now in one_by_one(terms, parts, situation))
    except SarrafError:
        return  # a cap is in the way
    assert apart <= at_once or splitting_pays(terms) is not None


@settings(max_examples=100)
@given(tame_terms(), st.lists(st.integers(1, 100), min_size=2, max_size=4), st.data())
def test_splitting_pays__where_it_says_never__no_split_costs_less(
    terms: Terms, parts: list[int], data: st.DataObject
) -> None:
    if splitting_pays(terms) is not None:
        return
    situation = data.draw(situations(terms))
    in_points, in_money = fees_on(terms, Points(sum(parts)), situation)
    apart = [fees_on(terms, Points(part), now) for part, now in one_by_one(terms, parts, situation)]
    assert sum(each for each, _ in apart) >= in_points
    money: Counter[str] = Counter()
    for _, dues in apart:
        for due in dues:
            money[due.currency] += due.micro
    assert all(money[due.currency] >= due.micro for due in in_money)


@settings(max_examples=100)
@given(ruled_terms())
def test_splitting_pays__with_an_example__is_right_about_it(terms: Terms) -> None:
    found = splitting_pays(terms)
    if found is None or found.example is None:
        return
    assert_true(found, terms)


def assert_true(found: Splitting, terms: Terms) -> None:
    """Each part and the whole are taken as they are named, give what is said, and splitting pays by them."""
    example = found.example
    assert example is not None
    parts = list(one_by_one(terms, example.parts, example.situation))
    assert example.apart == sum(price(terms, part, now).amount_out for part, now in parts)
    assert example.at_once == price(terms, sum(example.parts), example.situation).amount_out
    assert example.apart > example.at_once


FIRST = When(nth_per=Period.WEEK, nth_to=1)
SHARE = Bonus("share", share=ratio(100, 15))


@pytest.mark.parametrize(
    "terms",
    [
        ruled(),
        ruled((4, 3), 1, 1),
        ruled(minimum=3_000, increment=1_000),
        ruled((3, 1), 30_000, 6, bonuses=(Bonus("threshold", per=ratio(60_000, 5_000)),)),
        ruled(bonuses=(Bonus("better", ratio=ratio(1, 2), when=When(at_least=Points(1_000))), SHARE)),
        ruled(bonuses=(replace(SHARE, group="g"), Bonus("other", share=ratio(10, 3), group="g"))),
        ruled(
            bonuses=(
                Bonus("a", per=ratio(500, 3), group="g"),
                Bonus("b", per=ratio(500, 7), group="g", when=When(tiers=GOLD)),
            )
        ),
        ruled(bonuses=(replace(SHARE, when=When(nth_per=Period.YEAR, nth_to=2)),)),
        ruled(caps=(Cap(Period.TRANSFER, points=Points(1_000)),)),
        ruled(fees=(MoneyFee("USD", rate=MicroUnits(600), ceiling=MicroUnits(99_000_000)), PointsFee(Points(5)))),
        ruled(fees=(MoneyFee("USD", flat=MicroUnits(600), when=When(nth_per=Period.DAY, nth_to=1)),)),
        ruled((7, 5), 70, 10, rounding=Rounding.WHOLE),
        ruled(bonuses=(Bonus("welcome", flat=Points(500), when=FIRST), replace(SHARE, most=Points(9), when=FIRST))),
        ruled(bonuses=(Bonus("welcome", flat=Points(500), member_most=Points(500)),)),
        ruled(bonuses=(replace(SHARE, most=Points(9), member_most=Points(7)),)),
    ],
)
def test_splitting_pays__under_terms_that_never_favour_parts__says_so(terms: Terms) -> None:
    assert splitting_pays(terms) is None


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (ruled(amounts=(Points(3_000), Points(10_000))), "only listed amounts"),
        (ruled(minimum=5, increment=10), "no multiple of the steps"),
        (ruled(minimums=(TierMinimum(GOLD, Points(150)),)), "no multiple of the steps"),
        (ruled(bonuses=(Bonus("third", share=ratio(2, 1), when=When(nth_per=Period.YEAR, nth_from=3)),)), "transfer 3"),
        (ruled(bonuses=(Bonus("next", share=ratio(2, 1), when=When(nth_per=Period.DAY, nth_from=2)),)), "transfer 2"),
        (ruled(bonuses=(Bonus("gift", flat=Points(7)),)), "however small"),
        (ruled(bonuses=(Bonus("gift", flat=Points(7), when=When(starts=9, tiers=GOLD)),), tiers=GOLD), "however small"),
        (ruled(bonuses=(replace(SHARE, most=Points(500)),)), "at most 500 for each"),
        (ruled(bonuses=(Bonus("twice", flat=Points(7), when=replace(FIRST, nth_to=2)),)), "however small"),
        (ruled(bonuses=(Bonus("twice", flat=Points(7), member_most=Points(8)),)), "however small"),
        (ruled(bonuses=(replace(SHARE, most=Points(500), member_most=Points(501)),)), "at most 500 for each"),
        (
            ruled(bonuses=(Bonus("once", flat=Points(70), when=FIRST, group="g"), replace(SHARE, group="g"))),
            "however small",
        ),
        (ruled(bonuses=(Bonus("per", per=ratio(700, 20), most=Points(50)),)), "at most 50 for each"),
        (
            ruled(
                bonuses=(Bonus("a", per=ratio(1_000, 300), group="g"), Bonus("b", share=ratio(5, 1), group="g")),
            ),
            "in the group g",
        ),
        (
            ruled(bonuses=(Bonus("a", per=ratio(300, 9), group="g"), Bonus("b", per=ratio(500, 16), group="g"))),
            "in the group g",
        ),
    ],
)
def test_splitting_pays__under_terms_that_favour_parts__says_why_with_an_example(terms: Terms, said: str) -> None:
    found = splitting_pays(terms)
    assert found is not None
    assert said in found.reason
    assert_true(found, terms)
    assert str(found).startswith(found.reason + ": ")
    assert "apart" in str(found)


@pytest.mark.parametrize(
    ("fee", "said"),
    [
        (PointsFee(Points(5), when=When(at_least=Points(1_000))), "from 1,000 points on"),
        (MoneyFee("USD", flat=MicroUnits(5), when=When(at_least=Points(1_000))), "from 1,000 points on"),
        (MoneyFee("USD", rate=MicroUnits(5), when=When(nth_per=Period.DAY, nth_to=1)), "ends with transfer 1 in a day"),
    ],
)
def test_splitting_pays__where_parts_are_spared_a_fee__says_so(fee: Fee, said: str) -> None:
    found = splitting_pays(ruled(fees=(fee,)))
    assert found is not None
    assert said in str(found)
    assert found.example is None


def test_after__a_transfer__counts_on_in_every_period_and_in_what_was_had() -> None:
    few = Bonus("few", share=ratio(10, 1), member_most=Points(5))
    situation = Situation(at=3, tier="gold", before={Period.DAY: 2}, had={"few": 1})
    later = after(Path([Hop(ruled(minimum=1, increment=1, bonuses=(few, SHARE)), situation)]), 20)
    assert later.before == {each: 3 if each is Period.DAY else 1 for each in COUNTED}
    assert later.had == {"few": 3, "share": 3}
    assert (later.at, later.tier) == (3, "gold")


def test_splitting_pays__where_one_of_a_group_is_used_up__shows_how() -> None:
    few = Bonus("few", share=ratio(1, 1), group="sale", member_most=Points(100))
    found = splitting_pays(ruled(bonuses=(few, Bonus("other", share=ratio(2, 1), group="sale"))))
    assert str(found) == (
        "one member gets 100 of the bonus few ever, and parts beyond that may get another of the group sale: "
        "100 and 100 give 350 apart, 200 give 300 at once"
    )


def test_splitting_pays__with_a_bound_for_each_member_alone__never() -> None:
    assert splitting_pays(ruled(bonuses=(Bonus("few", share=ratio(1, 1), member_most=Points(100)),))) is None


@pytest.mark.parametrize(
    ("cap", "shown"),
    [
        (Cap(Period.TRANSFER, points=Points(199)), False),
        (Cap(Period.TRANSFER, points=Points(200)), True),
        (Cap(Period.DAY, points=Points(199)), False),
        (Cap(Period.DAY, points=Points(200)), True),
        (Cap(Period.YEAR, count=1), False),
        (Cap(Period.YEAR, count=2), True),
        (Cap(Period.MONTH, points=Points(213), side=Side.IN), False),
        (Cap(Period.MONTH, points=Points(214), side=Side.IN), True),
    ],
)
def test_splitting_pays__where_caps_bind__shows_only_an_example_that_they_let_through(cap: Cap, shown: bool) -> None:
    terms = ruled(bonuses=(Bonus("gift", flat=Points(7)),), caps=(cap,))
    found = splitting_pays(terms)
    assert found is not None
    assert (found.example is not None) == shown
    if shown:
        assert str(found.example) == "100 and 100 give 214 apart, 200 give 207 at once"
        assert_true(found, terms)


def test_splitting_pays__where_a_part_alone_would_give_nothing__does_not_name_it() -> None:
    second = Bonus("second", share=ratio(1, 1), when=When(nth_per=Period.DAY, nth_from=2))
    terms = ruled((10, 1), minimum=1, increment=1, bonuses=(second,))
    found = splitting_pays(terms)
    assert found is not None and found.example is not None
    assert min(found.example.parts) >= 10
    assert_true(found, terms)


def test_splitting_pays__where_no_two_amounts_go_at_once__shows_no_example() -> None:
    found = splitting_pays(ruled(amounts=(POINTS_MAX,)))
    assert found is not None
    assert found.example is None
