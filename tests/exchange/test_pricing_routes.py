"""Pricing of routes: against every amount tried one by one, and where hops meet rarely or never."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import BelowMinimum, DirectionClosed, InvalidAmount, NoRoute, OverCap, SarrafError
from exchange.path import Hop, Path
from exchange.points import POINTS_MAX, MicroUnits, Points
from exchange.pricing import most_payable, price_route, price_route_for
from exchange.ratio import Ratio
from exchange.rules import Bonus, Cap, Eligible, MoneyFee, Period, PointsFee, Received, Rounding, Rules, Side, When
from exchange.situation import Situation, Usage
from tests.exchange.strategies import make_terms, priced_hops, routes
from tests.exchange.twin import Tried, assert_priced_as_tried, assert_priced_for_as_tried, fee_points

TRIED_MAX = 250


def hop(place: int, sides: tuple[int, int], minimum: int = 1, increment: int = 1, rules: Rules | None = None) -> Hop:
    """A hop from program `place` to the one after it."""
    terms = make_terms(Ratio(Points(sides[0]), Points(sides[1])), minimum, increment)
    named = replace(terms, source=f"prg_{place}", destination=f"prg_{place + 1}", rules=rules or Rules())
    return Hop(named)


@settings(max_examples=80)
@given(routes(), st.integers(1, 200))
def test_price_route__under_whole_rules__is_what_trying_all_amounts_says(hops: list[Hop], offered: int) -> None:
    assert_priced_as_tried(hops, offered, TRIED_MAX)


@settings(max_examples=80)
@given(routes(), st.integers(1, 60))
def test_price_route_for__under_whole_rules__is_the_least_that_suffices(hops: list[Hop], wanted: int) -> None:
    assert_priced_for_as_tried(hops, wanted, TRIED_MAX)


@settings(max_examples=50)
@given(st.one_of(routes(), priced_hops()), st.integers(0, 250))
def test_path__asked_for_the_nearest__finds_what_trying_finds(hops: list[Hop], amount: int) -> None:
    tried, path = Tried(hops, TRIED_MAX), Path(hops)
    assert path.at_most(amount) == max((each for each in tried.valid if each <= amount), default=None)
    above, found = tried.first(lambda each: each >= amount), path.at_least(amount)
    assert found == above or (above is None and found is not None and found > TRIED_MAX)
    least, found = tried.first(tried.passes), path.least
    assert found == least or (least is None and found is not None and found > TRIED_MAX)


@settings(max_examples=50)
@given(st.one_of(routes(), priced_hops()), st.integers(1, POINTS_MAX // 2**10), st.integers(1, POINTS_MAX // 2**10))
def test_price_route__of_more__never_gives_less_and_twice_is_the_same(hops: list[Hop], one: int, other: int) -> None:
    low, high = sorted((one, other))
    gives = []
    for amount in (low, high):
        try:
            priced = price_route(hops, amount)
        except SarrafError as refusal:
            too_small = isinstance(refusal.nearest, int) and refusal.nearest > amount
            gives.append(0 if too_small else None)
            continue
        assert price_route(hops, amount) == priced
        gives.append(priced.amount_out)
    if gives[1] is not None:
        assert gives[0] is not None
        assert gives[0] <= gives[1]


@settings(max_examples=50)
@given(st.one_of(routes(), priced_hops()), st.integers(1, POINTS_MAX))
def test_price_route_for__what_a_price_gives__burns_the_same_and_one_step_less_gives_less(
    hops: list[Hop], offered: int
) -> None:
    try:
        priced = price_route(hops, offered)
    except SarrafError as refusal:
        nearest = refusal.nearest
        if not isinstance(nearest, int):
            assert Path(hops).greatest is None or Path(hops).least is None
            return
        priced = price_route(hops, nearest)
    again = price_route_for(hops, priced.amount_out)
    assert replace(again, remainder=priced.remainder, lines=priced.lines) == priced
    below = Path(hops).at_most(priced.amount_in - 1)
    assert below is None or Path(hops).yield_of(below).base == 0 or path_total(hops, below) < priced.amount_out
    assert priced.nearest_above is None or price_route(hops, priced.nearest_above).amount_out > priced.amount_out


def path_total(hops: list[Hop], amount: int) -> int:
    return Path(hops).yield_of(amount).total


@settings(max_examples=50)
@given(st.one_of(routes(), priced_hops()), st.integers(POINTS_MAX - 10**6, POINTS_MAX), st.sampled_from([0, 1, 10**8]))
def test_price_route__near_the_bounds__promises_nothing_beyond_them(hops: list[Hop], asked: int, price: int) -> None:
    priced_hops_ = [Hop(replace(each.terms, settlement_price=MicroUnits(price)), each.situation) for each in hops]
    for ask in (price_route, price_route_for):
        try:
            priced = ask(priced_hops_, asked)
        except SarrafError as refusal:
            if not isinstance(refusal.nearest, int):
                continue
            priced = ask(priced_hops_, refusal.nearest)
        assert priced.amount_in + priced.fee_points <= POINTS_MAX
        assert priced.amount_out <= POINTS_MAX
        assert all(max(each.amount_in, each.amount_out) <= POINTS_MAX for each in priced.hops)
        assert all(each.settlement < 2**63 for each in priced.hops)


def test_price_route__over_two_hops__rounds_hop_by_hop_and_says_what_is_gone() -> None:
    hops = [hop(0, (3, 1)), hop(1, (2, 3))]
    priced = price_route(hops, 1_000)
    assert (priced.amount_in, priced.amount_out, priced.remainder) == (999, 499, 1)
    assert [(each.amount_in, each.amount_out) for each in priced.hops] == [(999, 333), (333, 499)]
    assert [line.label for line in priced.lines] == ["burned", "through", "base", "rounding", "remainder"]
    assert priced.lines[3].detail.startswith("1/2 of a point is left out")
    lossy = price_route([hop(0, (3, 1), increment=4), hop(1, (2, 3))], 1_001)
    assert [line.label for line in lossy.lines[:3]] == ["burned", "through", "rounding"]
    assert lossy.lines[2].detail.startswith("2/3 of a point is gone")


def test_price_route__where_increments_meet_rarely__finds_where_they_meet() -> None:
    hops = [hop(0, (1, 1), 500, 1_000), hop(1, (1, 1), 700, 600)]
    assert Path(hops).at_least(1) == 2_500
    assert price_route(hops, 8_499).amount_in == 5_500
    assert price_route(hops, 8_500).amount_in == 8_500


def test_price_route__whose_hops_never_meet__names_no_amount() -> None:
    hops = [hop(0, (1, 1), 5, 10), hop(1, (1, 1), 10, 10)]
    with pytest.raises(BelowMinimum) as refusal:
        price_route(hops, 10**6)
    assert (refusal.value.limit, refusal.value.nearest) == (None, None)
    with pytest.raises(InvalidAmount) as no_way:
        price_route_for(hops, 1)
    assert no_way.value.nearest is None


def test_price_route__where_primes_meet_once_in_billions__finds_where_they_meet() -> None:
    sides, steps = ((101, 103), (109, 113), (131, 137), (149, 151)), (107, 127, 139, 157)
    hops = [hop(place, each, step, step) for place, (each, step) in enumerate(zip(sides, steps, strict=True))]
    priced = price_route(hops, 10**12)
    assert priced.amount_in == 999_505_047_048  # one in 107 * 127 * 139 * 157 is valid
    assert all(each.amount_in % step == 0 for each, step in zip(priced.hops, steps, strict=True))
    assert priced.nearest_above is not None
    assert price_route_for(hops, priced.amount_out) == replace(priced, remainder=Points(0), lines=priced.lines[:-1])


def test_price_route__where_nobody_can_say__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hops = [hop(0, (101, 103), 997, 997), hop(1, (1, 1), 991, 991)]
    assert price_route(hops, 10**6).amount_out > 0
    monkeypatch.setattr("exchange.lattice.NODES_MAX", 0)
    for ask in (price_route, price_route_for):
        with pytest.raises(NoRoute, match="meet too rarely") as refusal:
            ask(hops, 10**6)
        assert (refusal.value.field, refusal.value.nearest) == ("path", None)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (Rules(received=Received(onward=False)), Rules(), "may not be swapped again"),
        (Rules(), Rules(eligible=Eligible(age_min_days=1)), "as the terms ask"),
        (Rules(), Rules(eligible=Eligible(left_min_days=1)), "as the terms ask"),
        (Rules(), Rules(eligible=Eligible(earned_only=True)), "as the terms ask"),
        (Rules(), Rules(fees=(PointsFee(Points(1)),)), "as the terms ask"),
    ],
)
def test_price_route__where_points_may_not_go_on__is_no_route(first: Rules, second: Rules, said: str) -> None:
    with pytest.raises(NoRoute, match=said) as refusal:
        price_route([hop(0, (1, 1), rules=first), hop(1, (1, 1), rules=second)], 10)
    assert refusal.value.field == "path"
    turned = [hop(0, (1, 1), rules=second), hop(1, (1, 1), rules=first)]
    assert price_route(turned, 10).amount_out == 10


def test_price_route__with_a_bonus_on_the_way__gives_it_only_at_the_end() -> None:
    gift = Rules(bonuses=(Bonus("gift", flat=Points(7)),))
    assert price_route([hop(0, (1, 1), rules=gift), hop(1, (1, 1))], 10).amount_out == 10
    assert price_route([hop(0, (1, 1)), hop(1, (1, 1), rules=gift)], 10).amount_out == 17


def test_price_route__with_fees_of_two_hops__adds_them_up_by_currency() -> None:
    fee = MoneyFee("EUR", flat=MicroUnits(5), rate=MicroUnits(1))
    hops = [hop(0, (2, 1), rules=Rules(fees=(fee, PointsFee(Points(3))))), hop(1, (1, 1), rules=Rules(fees=(fee,)))]
    priced = price_route(hops, 10)
    assert priced.fee_points == 3
    assert [(due.currency, due.micro) for due in priced.fees] == [("EUR", 5 + 10 + 5 + 5)]


def test_price_route__with_a_cap_in_the_middle__names_the_most_that_passes_it() -> None:
    cap = Cap(Period.DAY, points=Points(100), side=Side.IN)
    hops = [hop(0, (2, 1), rules=Rules(caps=(cap,))), hop(1, (1, 3))]
    used = [Hop(hops[0].terms, Situation(used={cap: Usage(points=60)})), hops[1]]
    with pytest.raises(OverCap) as refusal:
        price_route(used, 82)
    assert (refusal.value.limit, refusal.value.nearest) == (81, 80), "of 81 one would stay"
    assert price_route(used, 81).amount_out == 120
    with pytest.raises(OverCap) as refusal:
        price_route_for(used, 121)
    assert refusal.value.nearest == 120


def test_price_route__for_another_tier__is_closed() -> None:
    gold = hop(1, (1, 1), rules=Rules(tiers=frozenset({"silver", "gold"})))
    with pytest.raises(DirectionClosed) as refusal:
        price_route([hop(0, (1, 1)), gold], 10)
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == ("tier", "gold, silver", "gold")
    assert price_route([hop(0, (1, 1)), Hop(gold.terms, Situation(tier="gold"))], 10).amount_out == 10


def test_price_route__that_takes_only_whole_conversions__takes_them_at_every_hop() -> None:
    whole = Rules(rounding=Rounding.WHOLE)
    hops = [hop(0, (1, 1)), hop(1, (4, 3), rules=whole)]
    priced = price_route(hops, 2_503)
    assert (priced.amount_in, priced.amount_out, priced.remainder) == (2_500, 1_875, 3)


@pytest.mark.parametrize("places", [(), (0, 2), (0, 0), (0, 1, 2, 3, 4)])
def test_path__of_hops_that_are_no_route__is_a_bug(places: tuple[int, ...]) -> None:
    with pytest.raises(AssertionError):
        Path([hop(place, (1, 1)) for place in places])


def test_path__from_more_than_the_hops_carry__still_finds_the_greatest_that_goes() -> None:
    path = Path([hop(0, (1, 1_000), 3, 7), hop(1, (1, 1), 1_000, 1_000)])
    greatest = path.at_most(POINTS_MAX)
    assert greatest is not None
    assert greatest == path.greatest == POINTS_MAX // 1_000 - (POINTS_MAX // 1_000 - 3) % 7
    with pytest.raises(InvalidAmount) as refusal:
        price_route([*path.hops, hop(2, (1, 2))], POINTS_MAX)
    assert isinstance(refusal.value.nearest, int)


def test_price_route__with_a_fee_in_points__leaves_room_for_it() -> None:
    fee = Rules(fees=(PointsFee(Points(50), when=When(at_least=Points(100))),))
    with pytest.raises(InvalidAmount) as refusal:
        price_route([hop(0, (3, 2), rules=fee)], POINTS_MAX)
    assert refusal.value.nearest == POINTS_MAX - 51  # the greatest that leaves nothing over
    everything = Rules(fees=(PointsFee(POINTS_MAX), PointsFee(Points(1))))
    with pytest.raises(InvalidAmount) as refusal:
        price_route([hop(0, (1, 1), rules=everything)], 10)
    assert refusal.value.nearest is None


@settings(max_examples=80)
@given(priced_hops(), st.integers(0, 150))
def test_most_payable__from_a_purse__is_the_greatest_that_it_pays_with_the_fee(hops: list[Hop], purse: int) -> None:
    terms, now = hops[0].terms, hops[0].situation
    pays = [each for each in range(purse + 1) if each + fee_points(terms, each, now) <= purse]
    assert most_payable(hops, purse) == max(pays, default=0)
    later = replace(now, at=now.at + 5)
    worse = [each for each in pays if each + fee_points(terms, each, later) <= purse]
    assert most_payable(hops, purse, [[Hop(terms, later)]]) == max(worse, default=0)


def test_price__with_a_fee_by_the_point__burns_it_up_to_its_ceiling() -> None:
    fee = PointsFee(Points(10), rate=Points(5), per=Points(100), ceiling=Points(40))
    route = [hop(0, (1, 1), rules=Rules(fees=(fee,)))]
    assert [price_route(route, each).fee_points for each in (1, 100, 101, 501, 9_999)] == [15, 15, 20, 40, 40]
    assert price_route_for(route, 101).fee_points == 20
    assert Path(route).carried == POINTS_MAX - 40
