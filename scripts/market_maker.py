"""Makes markets for benchmarks: many programs whose terms let nobody gain.

Each program has a hidden value for its point, and every direction pays less than the values would: the product of the
ratios around any cycle is then below one, whatever the cycle. Ratios, minimums and increments are such as programs
publish: those of the tables in `tests/bridge/forms/data`. In a market with rules, caps and bonuses are of the kinds and
sizes that `docs/examples/terms` has. The same arguments always make the same market.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Final

from exchange.points import MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import Bonus, Cap, Period, Rules, Side, TierMinimum, When
from exchange.terms import Terms

VALUES: Final = range(200, 2_401)
"""What a point is worth, in thousandths of a cent: 0.2 to 2.4 cents, as published valuations of points are."""

LOST_PERCENT: Final = range(3, 61)
"""What a direction takes at least, of the value given."""

RATIOS: Final = (
    (1, 1), (3, 1), (5, 4), (4, 3), (2, 1), (1, 2), (5, 1), (5, 2), (5, 3), (3, 2), (2, 3), (1, 4), (5, 8), (6, 1),
    (10, 1), (30, 11), (200, 1), (100, 170), (250, 200), (300, 400), (400, 250), (400, 400), (450, 250), (500, 250),
    (550, 250), (1_000, 430), (1_000, 800), (1_000, 1_000), (2_835, 50), (4_500, 1_000), (5_000, 10_000),
    (10_000, 10_000), (25_000, 10_000), (30_000, 10_000), (34_500, 10_000),
)  # fmt: skip
"""Published ratios: source points, then destination points."""

INCREMENTS: Final = (
    *(1,) * 8, *(1_000,) * 6, *(100,) * 2, 4, 6, 250, 300, 400, 450, 500, 550, 625, 2_000, 2_500, 2_835, 3_000,
    4_500, 5_000, 12_000,
)  # fmt: skip
"""Published increments, and blocks of ratios that go in whole blocks only."""

MINIMA: Final = (1, 1, 1, 2, 3, 5)
"""How many increments the minimum is."""

SMALL_MINIMA: Final = (1, 1, 500, 1_000, 2_500)
"""What it is where the increment is one point."""

RULED_PERCENT: Final = 40
"""Of the directions of a market with rules, how many have some."""

CAPS: Final = (
    Cap(Period.YEAR, Points(100_000)),
    Cap(Period.YEAR, Points(500_000), side=Side.IN),
    Cap(Period.YEAR, Points(250_000)),
    Cap(Period.MONTH, Points(1_000_000), side=Side.IN),
    Cap(Period.DAY, count=1),
    Cap(Period.YEAR, Points(200_000), tiers=frozenset({"gold"})),
)
"""Caps, of which a direction with rules has up to two."""

BONUSES: Final = (
    Bonus("5,000 for each 60,000", per=Ratio(Points(60_000), Points(5_000))),
    Bonus("spring", share=Ratio(Points(100), Points(15))),
    Bonus(
        "large transfers", share=Ratio(Points(200), Points(25)), most=Points(5_000), when=When(at_least=Points(20_000))
    ),
    Bonus("gold", share=Ratio(Points(100), Points(10)), group="status", when=When(tiers=frozenset({"gold"}))),
    Bonus(
        "welcome",
        share=Ratio(Points(100), Points(30)),
        member_most=Points(5_000),
        when=When(nth_per=Period.EVER, nth_to=2),
    ),
    Bonus("gift", flat=Points(50), when=When(at_least=Points(10_000))),
)
"""Bonuses, of which it has up to three."""


def make_market(programs: int, directions_each: int = 20, hubs: int = 0, seed: int = 1) -> list[Terms]:
    """Terms between `programs` programs, on average `directions_each` out of each of them.

    The first `hubs` programs have terms with every program, both ways; the rest of the directions are between random
    programs. There are fewer directions where there are too few programs for so many.
    """
    assert 0 <= hubs < programs, "a hub is one of the programs"
    random = Random(seed)
    values = [random.choice(VALUES) for _ in range(programs)]
    count = min(programs * directions_each, programs * (programs - 1))
    return [
        _terms(random, number, pair, values)
        for number, pair in enumerate(sorted(_pairs(random, programs, hubs, count)))
    ]


def make_even_market(programs: int, directions_each: int = 20, hubs: int = 0, seed: int = 1) -> list[Terms]:
    """The same directions, each giving exactly what is worth as much: every cycle returns just what went in.

    No real terms are like that. It is the market that is hardest for whoever searches for gaining cycles.
    """
    random = Random(seed)
    values = {program_id(place): random.choice(VALUES) for place in range(programs)}
    return [
        replace(each, ratio=Ratio(Points(values[each.destination]), Points(values[each.source])))
        for each in make_market(programs, directions_each, hubs, seed)
    ]


def make_ruled_market(programs: int, directions_each: int = 20, hubs: int = 0, seed: int = 1) -> list[Terms]:
    """The same directions, many of them with caps, bonuses and minimums by tier: with the bonuses somebody may gain."""
    random = Random(seed)
    return [
        replace(each, rules=_rules(random, each)) if random.randrange(100) < RULED_PERCENT else each
        for each in make_market(programs, directions_each, hubs, seed)
    ]


def program_id(place: int) -> str:
    """The id of the program at a place; hubs come first."""
    return f"prg_{place:04}"


def _pairs(random: Random, programs: int, hubs: int, count: int) -> set[tuple[int, int]]:
    """`count` directions, or as many as the hubs alone have where that is more."""
    pairs = set[tuple[int, int]]()
    for hub in range(hubs):
        for other in range(programs):
            if other != hub:
                pairs |= {(hub, other), (other, hub)}
    for source in _round(random, programs):
        if len(pairs) >= count:
            break
        destination = random.randrange(programs)
        if destination != source:
            pairs.add((source, destination))
    return pairs


def _round(random: Random, programs: int) -> Iterator[int]:
    """Every program as often as every other, in an order that changes."""
    order = list(range(programs))
    while True:
        random.shuffle(order)
        yield from order


def _terms(random: Random, number: int, pair: tuple[int, int], values: list[int]) -> Terms:
    source, destination = pair
    kept = 100 - random.choice(LOST_PERCENT)
    # The most generous one that leaves no more than the values and the loss allow; some are the same in other numbers.
    allowed = [
        (Fraction(other, one), random.random(), one, other)
        for one, other in RATIOS
        if other * values[destination] * 100 <= one * values[source] * kept
    ]
    *_, from_units, to_units = max(allowed)
    increment = random.choice(INCREMENTS)
    minimum = random.choice(SMALL_MINIMA) if increment == 1 else increment * random.choice(MINIMA)
    return Terms(
        id=f"trm_{number:06}",
        source=program_id(source),
        destination=program_id(destination),
        version=1,
        ratio=Ratio(Points(from_units), Points(to_units)),
        minimum=Points(minimum),
        increment=Points(increment),
        settlement_price=MicroUnits(values[destination] * 10),
        effective_at=0,
    )


def _rules(random: Random, terms: Terms) -> Rules:
    minimums = (TierMinimum(frozenset({"gold"}), terms.increment),) if random.randrange(4) == 0 else ()
    caps, bonuses = random.sample(CAPS, random.randint(0, 2)), random.sample(BONUSES, random.randint(0, 3))
    return Rules(minimums=minimums, caps=tuple(caps), bonuses=tuple(bonuses))
