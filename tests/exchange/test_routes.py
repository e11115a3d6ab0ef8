"""Routes: against an oracle that tries each of them, and at the edges of what a market may be."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import InvalidAmount, NoRoute
from exchange.path import HOPS_MAX, Hop
from exchange.points import MicroUnits, Points
from exchange.pricing import Price, price_route, price_route_for
from exchange.ratio import Ratio
from exchange.routes import Best, Routes, find_routes, find_routes_for
from exchange.rules import Bonus, Cap, Eligible, Period, PointsFee, Received, Rules, When
from exchange.search import MEETING_WORK, ROUTES_MAX, WORK_MAX
from exchange.situation import PLAIN_SITUATION, Situation, Usage
from exchange.terms import Terms
from tests.exchange.markets import (
    AMOUNTS,
    PUBLISHED_AMOUNTS,
    World,
    build_market,
    published_world,
    random_world,
    tried_in,
    tried_out,
)

MARKETS = 2_000
"""Made-up markets of the seeded test; each is asked in both ways."""

PUBLISHED_MARKETS = 400
"""The same of published ratios and increments."""


def terms(
    source: str, destination: str, ratio: tuple[int, int] = (1, 1), rules: Rules | None = None, minimum: int = 1
) -> Terms:
    return Terms(
        id=f"trm_{source}{destination}",
        source=source,
        destination=destination,
        version=1,
        ratio=Ratio(Points(ratio[0]), Points(ratio[1])),
        minimum=Points(minimum),
        increment=Points(1),
        settlement_price=MicroUnits(0),
        effective_at=0,
        rules=rules or Rules(),
    )


Rank = Callable[[Price], tuple[int, int, int, int, tuple[str, ...]]]


def rank_in(best: Best) -> Rank:
    return lambda price: (*_keys(best, -price.amount_out, price), burned(price), -price.amount_out, programs(price))


def rank_out(best: Best) -> Rank:
    return lambda price: (*_keys(best, burned(price), price), burned(price), -price.amount_out, programs(price))


def _keys(best: Best, value: int, price: Price) -> tuple[int, int]:
    return (value, len(price.hops)) if best is Best.POINTS else (len(price.hops), value)


def burned(price: Price) -> int:
    return price.amount_in + price.fee_points


def programs(price: Price) -> tuple[str, ...]:
    return (price.hops[0].terms.source, *(each.terms.destination for each in price.hops))


def assert_as_tried(random: Random, world: World, amounts: tuple[int, ...] = AMOUNTS) -> None:
    """One question in each way, answered as trying all routes answers it."""
    source, destination = random.sample(world.programs, 2)
    amount, best, count = random.choice(amounts), random.choice(tuple(Best)), random.choice((1, 1, 2, 5))
    hops_max = random.choice((1, 2, 3, HOPS_MAX, HOPS_MAX))
    asked: dict[str, Any] = {"situation_of": world.situation_of, "best": best, "hops_max": hops_max, "count": count}

    prices = sorted(tried_in(world, source, destination, amount, hops_max), key=rank_in(best))
    found = found_or_none(lambda each: find_routes(world.market, source, destination, each, **asked), amount)
    assert [rank_in(best)(each.price) for each in found] == [rank_in(best)(each) for each in prices[:count]]
    assert_answers(found, lambda hops: price_route(hops, amount))

    prices = sorted(tried_out(world, source, destination, amount, hops_max), key=rank_out(best))
    found = found_or_none(lambda each: find_routes_for(world.market, source, destination, each, **asked), amount)
    assert [rank_out(best)(each.price) for each in found] == [rank_out(best)(each) for each in prices[:count]]
    assert_answers(found, lambda hops: price_route_for(hops, amount))


def found_or_none(find: Callable[[int], Routes], amount: int) -> Routes:
    """What is found; where nothing is, the nearest amount that the refusal names has to go."""
    try:
        return find(amount)
    except NoRoute as refusal:
        nearest = refusal.nearest
    if isinstance(nearest, int):
        assert nearest != amount
        assert find(nearest)
    return Routes()


def assert_answers(found: Routes, price: Callable[[tuple[Hop, ...]], Price]) -> None:
    assert found.complete
    assert len({route.programs for route in found}) == len(found)
    for route in found:
        assert route.price == price(route.hops)
        assert len(set(route.programs)) == len(route.hops) + 1


def test_find__in_thousands_of_markets__finds_what_trying_every_route_finds() -> None:
    for seed in range(MARKETS):
        random = Random(seed)
        assert_as_tried(random, random_world(random, (5, 6) if seed % 8 == 0 else (3, 4, 4)))


def test_find__in_markets_of_published_increments__finds_what_trying_every_route_finds() -> None:
    for seed in range(PUBLISHED_MARKETS):
        random = Random(seed)
        assert_as_tried(random, published_world(random, 5 if seed % 8 == 0 else 4), PUBLISHED_AMOUNTS)


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_find__in_any_market__finds_what_trying_every_route_finds(random: Random) -> None:
    assert_as_tried(random, random_world(random, (4, 5)))


CHAIN = (terms("a", "b"), terms("b", "c"), terms("c", "d"), terms("d", "e"), terms("e", "f"))
"""Five directions one after another, all 1:1."""

DIAMOND = (
    terms("a", "z", (2, 1)),
    terms("a", "b"),
    terms("b", "z", (4, 3)),
    terms("a", "c"),
    terms("c", "d"),
    terms("d", "z", (10, 9)),
)
"""From a to z: directly half of it, over b three quarters, over c and d nine tenths."""


def ways(found: Routes) -> list[str]:
    return ["".join(route.programs) for route in found]


def test_find__over_more_hops_than_may_be__finds_none() -> None:
    market = build_market(CHAIN)
    assert ways(find_routes(market, "a", "e", 7)) == ["abcde"]
    with pytest.raises(NoRoute, match="no route leads from one program to the other") as refusal:
        find_routes(market, "a", "f", 7)
    assert (refusal.value.field, refusal.value.nearest) == ("to_program_id", None)


@pytest.mark.parametrize(
    ("hops_max", "way", "given"), [(1, "az", 50), (2, "abz", 75), (3, "acdz", 90), (4, "acdz", 90)]
)
def test_find__with_fewer_hops_allowed__finds_the_best_of_these(hops_max: int, way: str, given: int) -> None:
    (route,) = find_routes(build_market(DIAMOND), "a", "z", 100, hops_max=hops_max)
    assert ("".join(route.programs), route.price.amount_out) == (way, given)


def test_find__with_alternatives__gives_as_many_as_there_are_best_first() -> None:
    market = build_market(DIAMOND)
    assert ways(find_routes(market, "a", "z", 100, count=2)) == ["acdz", "abz"]
    assert ways(find_routes(market, "a", "z", 100, count=ROUTES_MAX)) == ["acdz", "abz", "az"]


def test_find__by_hops__gives_the_shortest_first_and_the_better_of_two_as_short() -> None:
    market = build_market([*DIAMOND, terms("a", "e"), terms("e", "z", (5, 4))])
    found = find_routes(market, "a", "z", 100, best=Best.HOPS, count=4)
    assert ways(found) == ["az", "aez", "abz", "acdz"]
    assert ways(find_routes(market, "a", "z", 100, best=Best.HOPS)) == ["az"]


def test_find__among_ways_that_give_as_much__takes_the_one_of_fewer_hops() -> None:
    market = build_market([terms("a", "b"), terms("b", "z"), terms("a", "z")])
    assert ways(find_routes(market, "a", "z", 10, count=2)) == ["az", "abz"]


def test_find__with_a_cap_partly_used__goes_round_it() -> None:
    cap = Cap(per=Period.MONTH, points=Points(100))
    capped = terms("b", "z", (4, 3), Rules(caps=(cap,)))
    market = build_market([capped, *(each for each in DIAMOND[:2])])
    used = Situation(used={cap: Usage(Points(40), 1)})

    def situation_of(each: Terms) -> Situation:
        return used if each is capped else PLAIN_SITUATION

    assert ways(find_routes(market, "a", "z", 60, situation_of=situation_of)) == ["abz"]
    assert ways(find_routes(market, "a", "z", 64, situation_of=situation_of)) == ["az"]
    assert ways(find_routes(market, "a", "z", 64)) == ["abz"]


def test_find__with_only_a_cap_in_the_way__names_the_most_that_goes_now() -> None:
    caps = [Rules(caps=(Cap(per=Period.MONTH, points=Points(each)),)) for each in (100, 120)]
    market = build_market([terms("a", "z", rules=caps[0]), terms("a", "b", (2, 1), rules=caps[1]), terms("b", "z")])
    with pytest.raises(NoRoute, match="no route lets this amount through now") as refusal:
        find_routes(market, "a", "z", 122)
    assert refusal.value.limit == refusal.value.nearest == 120
    assert ways(find_routes(market, "a", "z", 120)) == ["abz"]
    with pytest.raises(NoRoute, match="no route gives that much") as refusal:
        find_routes_for(market, "a", "z", 101)
    assert refusal.value.limit == refusal.value.nearest == 100


def test_find__with_a_cap_used_up__names_no_amount() -> None:
    cap = Cap(per=Period.MONTH, points=Points(100))
    market = build_market([terms("a", "z", rules=Rules(caps=(cap,)))])
    used = Situation(used={cap: Usage(Points(100), 1)})
    for find in (find_routes, find_routes_for):
        with pytest.raises(NoRoute, match="no route leads from one program to the other") as refusal:
            find(market, "a", "z", 5, situation_of=lambda _: used)
        assert refusal.value.nearest is None


def test_find__among_equals__burns_the_least_then_gives_the_most_then_goes_by_the_alphabet() -> None:
    fee = Rules(fees=(PointsFee(Points(1)),))
    first = [terms("a", "d", (2, 1)), terms("a", "b", (2, 1)), terms("a", "c", (2, 1), fee), terms("a", "e", (19, 10))]
    market = build_market([*first, *(terms(middle, "z") for middle in "bcde")])
    for count in (1, 2, 3, 4):  # no matter how many are kept, and which of them is looked at first
        for found in (
            find_routes(market, "a", "z", 20, count=count),
            find_routes_for(market, "a", "z", 10, count=count),
        ):
            assert ways(found) == ["aez", "abz", "adz", "acz"][:count]
            assert [burned(each.price) for each in found] == [19, 20, 20, 21][:count]
    gift = Rules(bonuses=(Bonus("gift", flat=Points(5), when=When(at_least=Points(10))),))
    market.put(terms("d", "z", rules=gift))
    for count in (1, 2, 3, 4):
        assert ways(find_routes_for(market, "a", "z", 10, count=count)) == ["aez", "adz", "abz", "acz"][:count]
    assert ways(find_routes(market, "a", "z", 20, count=9)) == ["adz", "aez", "abz", "acz"]


def test_find__for_an_amount_wanted__counts_the_fee_in_points() -> None:
    direct = terms("a", "z", rules=Rules(fees=(PointsFee(Points(5)),)))
    market = build_market([direct, terms("a", "b"), terms("b", "z", (10, 9))])
    assert ways(find_routes_for(market, "a", "z", 9, count=2)) == ["abz", "az"]
    assert ways(find_routes_for(market, "a", "z", 90, count=2)) == ["az", "abz"]


def test_find__where_increments_meet_rarely__counts_that_as_more_work(monkeypatch: pytest.MonkeyPatch) -> None:
    rare = [replace(terms(pair[0], pair[1], (101, 103)), increment=Points(997)) for pair in ("ab", "ac", "bz", "cz")]
    market = build_market(rare)
    assert find_routes(market, "a", "z", 10**6).complete
    monkeypatch.setattr("exchange.routes.WORK_MAX", MEETING_WORK)
    assert not find_routes(market, "a", "z", 10**6).complete


def test_find__where_increments_meet_too_rarely_to_say__is_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        replace(terms(pair[0], pair[1], (101, 103)), increment=Points(step))
        for pair, step in (("ab", 997), ("bz", 991))
    ]
    market = build_market([*steps, terms("a", "z", (9, 1))])
    assert ways(find_routes(market, "a", "z", 10**6)) == ["abz"]
    monkeypatch.setattr("exchange.lattice.NODES_MAX", 0)
    found = find_routes(market, "a", "z", 10**6)
    assert (ways(found), found.complete) == (["az"], False)


def test_find__where_received_points_may_not_go_on__ends_there() -> None:
    market = build_market([terms("a", "b", rules=Rules(received=Received(onward=False))), terms("b", "z")])
    assert ways(find_routes(market, "a", "b", 5)) == ["ab"]
    with pytest.raises(NoRoute):
        find_routes(market, "a", "z", 5)


@pytest.mark.parametrize("rules", [Rules(fees=(PointsFee(Points(3)),)), Rules(eligible=Eligible(earned_only=True))])
def test_find__with_what_asks_for_points_that_lie_there__has_it_first_only(rules: Rules) -> None:
    market = build_market([terms("a", "b", rules=rules), terms("b", "c", rules=rules), terms("b", "z")])
    (route,) = find_routes(market, "a", "z", 10)
    assert "".join(route.programs) == "abz"
    assert route.price.fee_points == (3 if rules.fees else 0)
    with pytest.raises(NoRoute):
        find_routes(market, "a", "c", 10)


@pytest.mark.parametrize("tier", ["gold", None])
def test_find__with_a_fee_for_some_tiers__charges_whom_it_is_for(tier: str | None) -> None:
    fee = PointsFee(Points(3), When(tiers=frozenset({"gold"})))
    market = build_market([terms("a", "z", rules=Rules(fees=(fee,)))])
    (route,) = find_routes(market, "a", "z", 10, situation_of=lambda _: Situation(tier=tier))
    assert route.price.fee_points == (3 if tier else 0)


def test_find__with_bonuses__counts_those_of_the_last_hop_only() -> None:
    rules = Rules(bonuses=(Bonus("double", ratio=Ratio(Points(1), Points(2))),))
    first = build_market([terms("a", "b", rules=rules), terms("b", "z")])
    last = build_market([terms("a", "b"), terms("b", "z", rules=rules)])
    assert [find_routes(each, "a", "z", 10)[0].price.amount_out for each in (first, last)] == [10, 20]


def test_find__with_less_than_every_minimum__names_the_least_that_goes() -> None:
    market = build_market([terms("a", "z", minimum=500), terms("a", "b", (3, 1)), terms("b", "z", minimum=100)])
    with pytest.raises(NoRoute, match="no route takes less than 300") as refusal:
        find_routes(market, "a", "z", 299)
    assert refusal.value.limit == refusal.value.nearest == 300
    assert ways(find_routes(market, "a", "z", 300)) == ["abz"]


def test_find__with_too_little_time_for_the_nearest__claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    market = build_market([terms("a", "z", minimum=500), terms("a", "b", (3, 1)), terms("b", "z", minimum=100)])
    monkeypatch.setattr("exchange.routes.NEAREST_WORK_MAX", 1)
    with pytest.raises(NoRoute, match="no route takes this amount, and one 500") as refusal:
        find_routes(market, "a", "z", 299)
    assert (refusal.value.limit, refusal.value.nearest) == (None, 500)
    monkeypatch.setattr("exchange.routes.NEAREST_WORK_MAX", 0)
    with pytest.raises(NoRoute, match="the search ended at its limit"):
        find_routes(market, "a", "z", 299)
    capped = build_market([terms("a", "z", rules=Rules(amounts=(Points(5),)))])
    with pytest.raises(NoRoute, match="no route gives that much") as refusal:
        find_routes_for(capped, "a", "z", 6)
    assert refusal.value.nearest is None


def test_find__for_an_amount_wanted__takes_the_least() -> None:
    found = find_routes_for(build_market(DIAMOND), "a", "z", 9, count=3)
    assert [("".join(each.programs), each.price.amount_in) for each in found] == [("acdz", 10), ("abz", 12), ("az", 18)]
    with pytest.raises(NoRoute, match="no route gives that much"):
        find_routes_for(build_market([terms("a", "z", rules=Rules(amounts=(Points(5),)))]), "a", "z", 6)


@pytest.mark.parametrize("amount", [0, -1])
def test_find__for_no_amount__refuses_it(amount: int) -> None:
    with pytest.raises(InvalidAmount):
        find_routes(build_market(DIAMOND), "a", "z", amount)


def test_find__at_its_limit__answers_what_it_found_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    market = build_market(DIAMOND)
    assert find_routes(market, "a", "z", 100).complete
    monkeypatch.setattr("exchange.routes.WORK_MAX", 2)
    found = find_routes(market, "a", "z", 100)
    assert (ways(found), found.complete) == (["abz"], False)
    assert not find_routes_for(market, "a", "z", 9).complete
    assert WORK_MAX >= 1_000
    monkeypatch.setattr("exchange.routes.WORK_MAX", 0)
    for find in (find_routes, find_routes_for):
        with pytest.raises(NoRoute, match="the search ended at its limit"):
            find(market, "a", "z", 100)
