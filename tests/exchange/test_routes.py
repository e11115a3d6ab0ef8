"""Routes: against an oracle that tries each of them, and at the edges of what a market may be."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange import search
from exchange.errors import InvalidAmount, NoRoute
from exchange.path import HOPS_MAX, Hop
from exchange.points import MicroUnits, Points
from exchange.pricing import Price, price_route, price_route_for
from exchange.ratio import Ratio
from exchange.routes import Best, Routes, find_routes, find_routes_for
from exchange.rules import Bonus, Cap, Eligible, Period, PointsFee, Received, Rules, When
from exchange.search import EXAMINED_MAX, ROUTES_MAX
from exchange.situation import PLAIN_SITUATION, Situation, Usage
from exchange.terms import Terms
from tests.exchange.markets import AMOUNTS, World, build_market, random_world, tried_in, tried_out

MARKETS = 2_000
"""Made-up markets of the seeded test; each is asked in both ways."""


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


def rank_in(best: Best) -> Callable[[Price], tuple[int, int]]:
    if best is Best.POINTS:
        return lambda price: (-price.amount_out, len(price.hops))
    return lambda price: (len(price.hops), -price.amount_out)


def rank_out(best: Best) -> Callable[[Price], tuple[int, int]]:
    if best is Best.POINTS:
        return lambda price: (price.amount_in, len(price.hops))
    return lambda price: (len(price.hops), price.amount_in)


def assert_as_tried(random: Random, world: World) -> None:
    """One question in each way, answered as trying all routes answers it."""
    source, destination = random.sample(world.programs, 2)
    amount, best, count = random.choice(AMOUNTS), random.choice(tuple(Best)), random.choice((1, 1, 2, 5))
    hops_max = random.choice((1, 2, 3, HOPS_MAX, HOPS_MAX))
    asked = {"situation_of": world.situation_of, "best": best, "hops_max": hops_max, "count": count}

    prices = sorted(tried_in(world, source, destination, amount, hops_max), key=rank_in(best))
    found = found_or_none(lambda: find_routes(world.market, source, destination, amount, **asked))
    assert [rank_in(best)(each.price) for each in found] == [rank_in(best)(each) for each in prices[:count]]
    assert_answers(found, lambda hops: price_route(hops, amount))

    prices = sorted(tried_out(world, source, destination, amount, hops_max), key=rank_out(best))
    found = found_or_none(lambda: find_routes_for(world.market, source, destination, amount, **asked))
    assert [rank_out(best)(each.price) for each in found] == [rank_out(best)(each) for each in prices[:count]]
    assert_answers(found, lambda hops: price_route_for(hops, amount))


def found_or_none(find: Callable[[], Routes]) -> Routes:
    try:
        return find()
    except NoRoute:
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


def test_find__with_only_a_used_cap_in_the_way__says_that_it_does_not_go_now() -> None:
    cap = Cap(per=Period.MONTH, points=Points(100))
    market = build_market([terms("a", "z", rules=Rules(caps=(cap,)))])
    with pytest.raises(NoRoute, match="no route lets this amount through now") as refusal:
        find_routes(market, "a", "z", 101)
    assert refusal.value.nearest is None


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
    monkeypatch.setattr(search, "EXAMINED_MAX", 2)
    found = find_routes(market, "a", "z", 100)
    assert (ways(found), found.complete) == (["abz"], False)
    assert not find_routes_for(market, "a", "z", 9).complete
    assert EXAMINED_MAX >= 10_000
    monkeypatch.setattr(search, "EXAMINED_MAX", 0)
    for find in (find_routes, find_routes_for):
        with pytest.raises(NoRoute, match="the search ended at its limit"):
            find(market, "a", "z", 100)
