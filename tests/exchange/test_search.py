"""The search's inner loops: what crossing a level's lanes gives is what crossing each of them on its own gives."""

from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.market import Market
from exchange.passage import Lane, needed, through
from exchange.path import HOPS_MAX
from exchange.points import POINTS_MAX
from exchange.routes import plain
from exchange.search import WORK_MAX, Ahead, Asked, Back, Best, Level, Search
from tests.exchange.markets import build_market, random_terms

SOURCES = ("prg_a", "prg_b", "prg_c")
DESTINATIONS = ("prg_x", "prg_y")


def asked(market: Market) -> Asked:
    return Asked(market, "prg_s", "prg_d", 1, plain, Best.POINTS, HOPS_MAX, 1, WORK_MAX)


def market_between(random: Random, rich: float) -> Market:
    """Directions from each of the sources to each of the destinations; some of them no route has in its middle."""
    return build_market(
        [random_terms(random, f"{one}{other}", one, other, rich=rich) for one in SOURCES for other in DESTINATIONS]
    )


def assert_crosses(
    search: Search,
    level: Level,
    lanes_to: dict[str, dict[str, Lane]],
    cross: Callable[[Lane, int], int | None],
    least_value: int,
) -> None:
    """`cross` is what one lane makes of one value, None where nothing goes."""
    reached = {
        program: {
            near: value
            for near, lane in lanes.items()
            if near in level and (value := cross(lane, level[near])) is not None
        }
        for program, lanes in lanes_to.items()
    }
    assert search.spread(level) == {program: max(values.values()) for program, values in reached.items() if values}
    for program, values in reached.items():
        for least in (least_value, *values.values()):
            gathered = search.gather(level, lanes_to[program], least)
            assert sorted(gathered) == sorted((value, near) for near, value in values.items() if value >= least)


@settings(max_examples=150)
@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 1_500), min_size=3, max_size=3), st.integers(1, 400))
def test_ahead__over_any_lanes__crosses_them_as_one_by_one(random: Random, amounts: list[int], least: int) -> None:
    market = market_between(random, rich=random.choice((0.0, 0.7)))
    level = dict(zip(random.sample(SOURCES, random.randint(1, 3)), amounts, strict=False))
    lanes_to = {each: dict(market.lanes_into(each)) for each in DESTINATIONS}
    assert_crosses(Ahead(asked(market)), level, lanes_to, lambda lane, value: through(lane, value) or None, least)


@settings(max_examples=150)
@given(
    st.randoms(use_true_random=False), st.lists(st.integers(1, 1_500), min_size=2, max_size=2), st.integers(1, 4_000)
)
def test_back__over_any_lanes__crosses_them_as_one_by_one(random: Random, amounts: list[int], most: int) -> None:
    def cross(lane: Lane, value: int) -> int | None:
        least = needed(lane, -value)
        return None if least is None else -least

    market = market_between(random, rich=random.choice((0.0, 0.7)))
    there = random.sample(DESTINATIONS, random.randint(1, 2))
    level = {program: -amount for program, amount in zip(there, amounts, strict=False)}
    lanes_to = {each: dict(market.lanes_from(each)) for each in SOURCES}
    for least_value in (-most, -POINTS_MAX - 1):
        assert_crosses(Back(asked(market)), level, lanes_to, cross, least_value)
