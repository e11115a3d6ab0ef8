"""Routes: against an oracle that tries each of them, and at the edges of what a market may be."""

from collections.abc import Callable
from dataclasses import replace
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
from exchange.rules import Bonus, Cap, Eligible, Period, PointsFee, Received, Rules
from exchange.search import ROUTES_MAX
from exchange.situation import Situation, Usage
from exchange.terms import Terms
from tests.exchange.markets import AMOUNTS, World, build_market, random_world, tried_in, tried_out

MARKETS = 1_200
"""Made-up markets of the seeded test; each is asked in both ways."""


def terms(source: str, destination: str, ratio: tuple[int, int] = (1, 1), rules: Rules | None = None) -> Terms:
    return Terms(
        id=f"trm_{source}{destination}",
        source=source,
        destination=destination,
        version=1,
        ratio=Ratio(Points(ratio[0]), Points(ratio[1])),
        minimum=Points(1),
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
    except NoRoute as refusal:
        assert refusal.field == "to_program_id"
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
        assert_as_tried(random, random_world(random))


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_find__in_any_market__finds_what_trying_every_route_finds(random: Random) -> None:
    assert_as_tried(random, random_world(random, (4, 5)))
