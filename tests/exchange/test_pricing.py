"""Pricing: against every amount tried one by one, and at the published examples."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import BelowMinimum, InvalidAmount, NothingOut
from exchange.path import Hop, Path
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, MicroUnits, Points
from exchange.pricing import Price, price, price_for, price_route, price_route_for
from exchange.ratio import Ratio
from exchange.rules import Bonus, MoneyFee, Period, PointsFee, Rules, When
from exchange.situation import Situation
from exchange.terms import PRICE_MAX, Terms
from tests.exchange.strategies import amounts, make_terms, priced_hops, small_terms, whole_step_terms
from tests.exchange.twin import assert_priced_as_tried, assert_priced_for_as_tried

TRIED_MAX = 400
"""Beyond the least and the next amounts that any of the small terms can ask for."""


def ratio(from_units: int, to_units: int) -> Ratio:
    return Ratio(Points(from_units), Points(to_units))


def out_of(terms: Terms, amount: int) -> int:
    """What `amount` gives, 0 when it is refused."""
    try:
        return price(terms, amount).amount_out
    except (BelowMinimum, NothingOut):
        return 0


@settings(max_examples=200)
@given(priced_hops(), st.integers(1, 250))
def test_price__under_whole_rules__is_what_trying_all_amounts_says(hops: list[Hop], offered: int) -> None:
    assert_priced_as_tried(hops, offered, TRIED_MAX)


@settings(max_examples=200)
@given(priced_hops(), st.integers(1, 200))
def test_price_for__under_whole_rules__is_the_least_valid_amount_that_suffices(hops: list[Hop], wanted: int) -> None:
    assert_priced_for_as_tried(hops, wanted, TRIED_MAX)


@settings(max_examples=50)
@given(small_terms(), st.integers(1, 250))
def test_price__under_plain_terms__is_what_trying_all_amounts_says(terms: Terms, offered: int) -> None:
    assert_priced_as_tried([Hop(terms)], offered, TRIED_MAX)


@given(small_terms(), amounts(), amounts())
def test_price__of_more__never_gives_less(terms: Terms, one: Points, other: Points) -> None:
    low, high = sorted((one // 20 + 1, other // 20 + 1))
    assert out_of(terms, low) <= out_of(terms, high)


@given(small_terms(), st.integers(100, POINTS_MAX // 12))
def test_price__twice__is_the_same_and_burning_only_what_is_needed_changes_nothing(terms: Terms, offered: int) -> None:
    first = price(terms, offered)
    assert price(terms, offered) == first
    again = price(terms, first.amount_in)
    assert (again.amount_in, again.amount_out, again.remainder) == (first.amount_in, first.amount_out, 0)
    assert price_for(terms, first.amount_out).amount_in == first.amount_in


@given(whole_step_terms(), st.lists(st.integers(1, 300), min_size=2, max_size=4))
def test_price__of_a_split_transfer__never_gives_more_than_the_whole(terms: Terms, parts: list[int]) -> None:
    assert sum(out_of(terms, part) for part in parts) <= out_of(terms, sum(parts))


def test_price__where_the_minimum_is_no_multiple_of_the_increment__lets_splitting_pay() -> None:
    terms = make_terms(ratio(1, 1), minimum=5, increment=10)
    assert out_of(terms, 5) + out_of(terms, 5) > out_of(terms, 10)


def test_price__between_two_steps__burns_the_step_below_and_explains_itself() -> None:
    priced = price(make_terms(ratio(4, 3), minimum=4, increment=4, settlement_price=9_000), 2_503)
    assert (priced.amount_in, priced.amount_out, priced.remainder) == (2_500, 1_875, 3)
    assert (priced.nearest_below, priced.nearest_above) == (2_500, 2_504)
    assert priced.settlement == 1_875 * 9_000
    assert [(line.label, line.points) for line in priced.lines] == [
        ("burned", 2_500),
        ("base", 1_875),
        ("remainder", 3),
    ]
    assert priced.lines[1].detail == "2,500 at 4:3"


def test_price__that_rounds__says_how_much_is_left_out() -> None:
    priced = price(make_terms(ratio(4, 3)), 2_503)
    assert (priced.amount_in, priced.amount_out, priced.remainder) == (2_503, 1_877, 0)
    assert [line.label for line in priced.lines] == ["burned", "base", "rounding"]
    assert priced.lines[2].detail.startswith("1/4 of a point")


@pytest.mark.parametrize(
    ("terms", "offered", "burned", "out"),
    [
        (make_terms(ratio(1, 1), 1_000, 100), 1_099, 1_000, 1_000),
        (make_terms(ratio(5, 4), 625, 5), 629, 625, 500),
        (make_terms(ratio(3, 1), 30_000, 6), 30_011, 30_006, 10_002),
        (make_terms(ratio(200, 1), 200, 200), 599, 400, 2),
        (make_terms(ratio(5, 8)), 7, 7, 11),
        (make_terms(ratio(250, 200)), 1_001, 1_000, 800),
    ],
)
def test_price__of_published_rules__is_exact(terms: Terms, offered: int, burned: int, out: int) -> None:
    priced = price(terms, offered)
    assert (priced.amount_in, priced.amount_out) == (burned, out)


def test_price__below_the_minimum__names_it() -> None:
    with pytest.raises(BelowMinimum) as refusal:
        price(make_terms(ratio(1, 1), 1_000, 100), 999)
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == ("amount_in", 1_000, 1_000)


def test_price__that_becomes_nothing__names_the_least_that_becomes_a_point() -> None:
    with pytest.raises(NothingOut) as refusal:
        price(make_terms(ratio(200, 1), 10, 30), 199)
    assert (refusal.value.field, refusal.value.nearest) == ("amount_in", 220)


def test_price__where_nothing_can_ever_come_of_it__names_no_amount() -> None:
    terms = make_terms(ratio(POINTS_MAX, 1), minimum=1, increment=POINTS_MAX - 1_000)
    with pytest.raises(NothingOut) as refusal:
        price(terms, POINTS_MAX)
    assert refusal.value.nearest is None


@pytest.mark.parametrize("offered", [0, -5, POINTS_MAX + 1])
def test_price__of_no_amount__names_the_field(offered: int) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        price(make_terms(ratio(1, 1)), offered)
    assert refusal.value.field == "amount_in"


@pytest.mark.parametrize(
    "terms",
    [
        make_terms(ratio(2, 3), 10, 10),
        make_terms(ratio(1, POINTS_MAX)),
        make_terms(ratio(7, 5), 100, 9, settlement_price=10**9),
        make_terms(ratio(7, 5), 1, 1, settlement_price=PRICE_MAX),
    ],
)
def test_price__of_more_than_one_swap_carries__names_the_most_it_does(terms: Terms) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        price(terms, POINTS_MAX)
    most = refusal.value.nearest
    assert isinstance(most, int)
    assert_carried(terms, price(terms, most))
    assert price(terms, most).nearest_above is None
    with pytest.raises(InvalidAmount):
        price(terms, most + terms.increment)


def test_price__where_not_even_the_minimum_can_be_carried__names_no_amount() -> None:
    terms = make_terms(ratio(1, POINTS_MAX), minimum=2)
    with pytest.raises(InvalidAmount) as refusal:
        price(terms, 2)
    assert (refusal.value.field, refusal.value.nearest) == ("amount_in", None)
    with pytest.raises(InvalidAmount) as refusal:
        price_for(terms, 1)
    assert (refusal.value.field, refusal.value.nearest) == ("amount_out", None)


@pytest.mark.parametrize(
    "terms", [make_terms(ratio(3, 1), 10, 10), make_terms(ratio(2, 3), 1, 1, settlement_price=10**6)]
)
def test_price_for__more_than_one_swap_carries__names_the_most_it_gives(terms: Terms) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        price_for(terms, POINTS_MAX)
    most = refusal.value.nearest
    assert isinstance(most, int)
    assert refusal.value.field == "amount_out"
    assert_carried(terms, price_for(terms, most))
    with pytest.raises(InvalidAmount):
        price_for(terms, most + 1)


@pytest.mark.parametrize("wanted", [0, POINTS_MAX + 1])
def test_price_for__no_amount__names_the_field(wanted: int) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        price_for(make_terms(ratio(1, 1)), wanted)
    assert refusal.value.field == "amount_out"


def assert_carried(terms: Terms, priced: Price) -> None:
    """Everything that the price promises fits where it will be kept."""
    assert priced.amount_in >= terms.minimum
    assert max(priced.amount_in, priced.amount_out) <= POINTS_MAX
    assert priced.settlement <= MICRO_UNITS_MAX


def test_price__of_which_only_a_bonus_would_come__names_the_least_that_converts() -> None:
    terms = replace(make_terms(ratio(3, 1)), rules=Rules(bonuses=(Bonus("gift", flat=Points(5)),)))
    with pytest.raises(NothingOut) as refusal:
        price(terms, 2)
    assert (refusal.value.limit, refusal.value.nearest) == (3, 3)
    for wanted in (1, 5, 6):
        priced = price_for(terms, wanted)
        assert (priced.amount_in, priced.base_out, priced.amount_out) == (3, 1, 6)
    assert price_for(terms, 7).amount_in == 6
    for each in (terms, make_terms(ratio(3, 1))):
        assert Path([Hop(each)]).least_for(0) == 3  # nothing is not enough


# -- in every situation in which it may be ----------------------------------------------------


NTH = Situation(before={Period.YEAR: 0}), Situation(before={Period.YEAR: 1}), Situation(before={Period.YEAR: 5})


@st.composite
def nth_rules(draw: st.DrawFn) -> Rules:
    """Bonuses and fees that depend on how many transfers went before."""
    whens = [When(nth_per=Period.YEAR, nth_from=first, nth_to=last) for first, last in ((1, 1), (2, 4), (3, None))]
    some = st.integers(1, 40).map(Points)
    bonuses = [
        Bonus(str(place), flat=draw(some), when=when)
        if draw(st.booleans())
        else Bonus(str(place), share=Ratio(draw(some), draw(some)), when=when)
        for place, when in enumerate(whens)
    ]
    fees = [
        PointsFee(draw(some), when) if draw(st.booleans()) else MoneyFee("USD", MicroUnits(draw(some)), when=when)
        for when in whens
    ]
    return Rules(bonuses=tuple(bonuses), fees=tuple(fees))


def _in_dollars(found: Price) -> int:
    return sum(one.micro for one in found.fees)


@settings(max_examples=60)
@given(small_terms(), nth_rules(), st.integers(1, 250), st.booleans())
def test_price__perhaps_in_other_situations__holds_in_all_of_them(
    terms: Terms, rules: Rules, amount: int, inward: bool
) -> None:
    ways = [[Hop(replace(terms, rules=rules), each)] for each in NTH]
    try:
        found = (price_route if inward else price_route_for)(ways[0], amount, None, ways[1:])
    except (BelowMinimum, NothingOut, InvalidAmount):
        return
    exact = [Path(each).yield_of(found.amount_in).total for each in ways]
    assert found.amount_out == min(exact)
    assert inward or found.amount_out >= amount
    alone = [price_route(each, found.amount_in) for each in ways]
    assert found.fee_points == max(each.fee_points for each in alone)
    assert _in_dollars(found) == max(map(_in_dollars, alone))
    again = price_route(ways[0], found.amount_in, None, ways[1:])
    assert (again.amount_in, again.remainder) == (found.amount_in, 0), "nothing less gives as much"
    if found.nearest_above is not None:
        assert min(Path(each).yield_of(found.nearest_above).total for each in ways) > found.amount_out
