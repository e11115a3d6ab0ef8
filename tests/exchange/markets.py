"""Made-up markets with every kind of rule, and the oracle that tries each of their routes one by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from random import Random

from exchange.errors import SarrafError
from exchange.market import Market
from exchange.path import HOPS_MAX, Hop
from exchange.points import MICRO_UNITS_MAX, MicroUnits, Points
from exchange.pricing import Price, price_route, price_route_for
from exchange.ratio import Ratio
from exchange.rules import (
    Bonus,
    Cap,
    Eligible,
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
from exchange.situation import Situation, Usage
from exchange.terms import PRICE_MAX, Terms

TIERS = (None, "blue", "gold")
AMOUNTS = (1, 2, 3, 5, 7, 10, 12, 20, 33, 50, 77, 100, 150, 260, 500, 999, 5_000, 100_000)
SIDES = (1, 1, 1, 2, 3, 4, 5, 7)
PUBLISHED_RATIOS = ((1, 1), (1, 1), (3, 1), (5, 4), (4, 3), (2, 1), (1, 2), (250, 200), (450, 250), (5, 8), (1000, 430))
PUBLISHED_INCREMENTS = (1, 1, 4, 6, 100, 250, 300, 400, 450, 500, 550, 625, 1_000, 1_000, 2_835, 5_000, 12_000)
PUBLISHED_AMOUNTS = (999, 1_000, 2_835, 12_000, 33_333, 100_000, 250_000, 1_000_003, 10**9, 10**12 - 1, 2**48 - 1)


@dataclass(frozen=True)
class World:
    """A market, its programs, its terms, and a member who already used some of the caps."""

    market: Market
    programs: tuple[str, ...]
    terms: tuple[Terms, ...]
    situation_of: Callable[[Terms], Situation]


def build_market(terms: Sequence[Terms]) -> Market:
    market = Market()
    for each in terms:
        market.put(each)
    return market


def random_world(random: Random, sizes: Sequence[int] = (3, 4, 4, 5, 5, 6)) -> World:
    """A small market: sometimes plain, sometimes full of rules, sometimes nearly all 1:1."""
    programs = tuple(f"prg_{letter}" for letter in "abcdefg"[: random.choice(sizes)])
    density, rich = random.choice([0.35, 0.6, 0.9]), random.choice([0.0, 0.3, 0.8])
    sides = random.choice([SIDES, (1,), (1, 1, 1, 1, 2)])
    terms = tuple(
        random_terms(random, f"{one}-{other}", one, other, sides, rich)
        for one, other in permutations(programs, 2)
        if random.random() < density
    )
    situations = {each.id: random_situation(random, each) for each in terms}
    return World(build_market(terms), programs, terms, lambda each: situations[each.id])


def published_world(random: Random, programs_count: int) -> World:
    """A small market of published ratios and increments, a few of them with every kind of rule besides."""
    programs = tuple(f"prg_{letter}" for letter in "abcdefg"[:programs_count])
    rich = random.choice([0.0, 0.0, 0.3])
    terms = tuple(
        _published(random, random_terms(random, f"{one}-{other}", one, other, SIDES, rich))
        for one, other in permutations(programs, 2)
        if random.random() < random.choice([0.5, 0.9])
    )
    situations = {each.id: random_situation(random, each) for each in terms}
    return World(build_market(terms), programs, terms, lambda each: situations[each.id])


def _published(random: Random, terms: Terms) -> Terms:
    from_units, to_units = random.choice(PUBLISHED_RATIOS)
    increment = random.choice(PUBLISHED_INCREMENTS)
    return replace(
        terms,
        ratio=Ratio(Points(from_units), Points(to_units)),
        minimum=Points(increment * random.choice((1, 1, 1, 2, 5)) + random.choice((0, 0, 0, 1))),
        increment=Points(increment),
        settlement_price=MicroUnits(random.choice((0, 1_000))),
        rules=replace(terms.rules, bonuses=tuple(each for each in terms.rules.bonuses if each.ratio is None)),
    )


def random_terms(
    random: Random, key: str, source: str, destination: str, sides: Sequence[int] = SIDES, rich: float = 0.5
) -> Terms:
    ratio = Ratio(Points(random.choice(sides)), Points(random.choice(sides)))
    return Terms(
        id=f"trm_{key}",
        source=source,
        destination=destination,
        version=1,
        ratio=ratio,
        minimum=Points(random.choice((1, 1, 1, 2, 5, 10, 30))),
        increment=Points(random.choice((1, 1, 1, 2, 3, 5, 10))),
        settlement_price=MicroUnits(random.choice((0, 1_000, PRICE_MAX, MICRO_UNITS_MAX // 40_000))),
        effective_at=0,
        rules=random_rules(random, ratio) if random.random() < rich else Rules(),
    )


def random_rules(random: Random, base: Ratio) -> Rules:
    """A few rules at once, so that the rest stays passable."""

    def maybe(chance: float) -> bool:
        return random.random() < chance

    listed = tuple(Points(each) for each in sorted(random.sample(range(1, 130), random.randint(1, 8))))
    return Rules(
        amounts=listed if maybe(0.2) else (),
        rounding=Rounding.WHOLE if maybe(0.25) else Rounding.FLOOR,
        minimums=(TierMinimum(frozenset({"gold"}), Points(random.randint(1, 12))),) if maybe(0.2) else (),
        tiers=frozenset({"gold", "blue"}) if maybe(0.1) else frozenset(),
        group="group",
        caps=tuple(_cap(random) for _ in range(random.randint(0, 2))) if maybe(0.4) else (),
        bonuses=tuple(_bonus(random, place, base) for place in range(random.randint(1, 3))) if maybe(0.5) else (),
        fees=(PointsFee(Points(random.randint(1, 9))),) if maybe(0.1) else (),
        eligible=Eligible(earned_only=maybe(0.05)),
        received=Received(onward=not maybe(0.1)),
    )


def _cap(random: Random) -> Cap:
    per = random.choice(tuple(Period))
    counted = per is not Period.TRANSFER and random.random() < 0.2
    return Cap(
        per=per,
        points=None if counted else Points(random.choice((0, 20, 60, 200, 1_000))),
        count=random.randint(0, 2) if counted else None,
        side=random.choice(tuple(Side)),
        scope=random.choice(tuple(Scope)),
        tiers=frozenset({"blue"}) if random.random() < 0.2 else frozenset(),
    )


def _bonus(random: Random, place: int, base: Ratio) -> Bonus:
    when = When(
        tiers=frozenset({"gold"}) if random.random() < 0.2 else frozenset(),
        at_least=Points(random.choice((10, 50, 100))) if random.random() < 0.4 else None,
        starts=random.choice((None, 5)),
        nth_per=Period.YEAR if (nth := random.random() < 0.2) else None,
        nth_from=random.choice((1, 2)) if nth else 1,
    )
    kind = random.choice(("ratio", "share", "per", "flat"))
    if kind == "ratio":
        better = replace(base, to_units=Points(base.to_units + random.randint(1, 3)))
        return Bonus(f"better {place}", ratio=better, when=when)
    size = {
        "share": Ratio(Points(100), Points(random.choice((15, 50, 70)))),
        "per": Ratio(Points(random.choice((20, 60))), Points(random.choice((5, 9)))),
        "flat": Points(random.choice((1, 10, 40))),
    }[kind]
    group = random.choice((None, "group"))
    most = random.choice((None, Points(15)))
    return Bonus(f"bonus {place}", when=when, group=group, most=most, **{kind: size})  # type: ignore[arg-type]


def random_situation(random: Random, terms: Terms) -> Situation:
    """Caps unused, partly used or used up."""
    used = {
        cap: Usage(random.choice((0, 10, cap.points or 0)), random.choice((0, 1)))
        for cap in terms.rules.caps
        if random.random() < 0.5
    }
    return Situation(random.choice((0, 9)), random.choice(TIERS), {Period.YEAR: random.choice((0, 1))}, used)


def all_routes(world: World, source: str, destination: str, hops_max: int = HOPS_MAX) -> Iterator[tuple[Hop, ...]]:
    """Every simple route, found by trying all sequences of programs."""
    others = [each for each in world.programs if each not in (source, destination)]
    for between in range(min(hops_max, len(others) + 1)):
        for middle in permutations(others, between):
            programs = (source, *middle, destination)
            terms = [world.market.terms(one, other) for one, other in pairwise(programs)]
            if all(terms):
                yield tuple(Hop(each, world.situation_of(each)) for each in terms if each)


def tried(
    world: World, source: str, destination: str, price: Callable[[tuple[Hop, ...]], Price], hops_max: int
) -> list[Price]:
    """What each route that counts is priced to."""
    prices = []
    for hops in all_routes(world, source, destination, hops_max):
        try:
            prices.append(price(hops))
        except SarrafError:
            continue
    return prices


def tried_in(world: World, source: str, destination: str, amount: int, hops_max: int = HOPS_MAX) -> list[Price]:
    return tried(world, source, destination, lambda hops: price_route(hops, amount), hops_max)


def tried_out(world: World, source: str, destination: str, amount: int, hops_max: int = HOPS_MAX) -> list[Price]:
    return tried(world, source, destination, lambda hops: price_route_for(hops, amount), hops_max)
