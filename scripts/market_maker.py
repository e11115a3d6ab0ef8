"""Makes markets for benchmarks: many programs whose terms let nobody gain.

Each program has a hidden value for its point, and every direction pays less than the values would: the product of the
ratios around any cycle is then below one, whatever the cycle. The same arguments always make the same market.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Final

from exchange.points import MicroUnits, Points
from exchange.ratio import Ratio
from exchange.terms import Terms

VALUES: Final = range(200, 2_401)
"""What a point is worth, in thousandths of a cent: 0.2 to 2.4 cents, as published valuations of points are."""

LOST_PERCENT: Final = range(3, 61)
"""What a direction takes at least, of the value given."""

TO_UNITS: Final = (1, 2, 3, 4, 5, 10, 100, 1_000)
MINIMA: Final = (1, 1, 100, 500, 1_000, 2_500)
INCREMENTS: Final = (1, 1, 1, 10, 100, 500)


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
    to_units = random.choice(TO_UNITS)
    kept = 100 - random.choice(LOST_PERCENT)
    # The least number of source points that is worth as much, after the loss, as what is given for it.
    from_units = -(-to_units * values[destination] * 100 // (values[source] * kept))
    return Terms(
        id=f"trm_{number:06}",
        source=program_id(source),
        destination=program_id(destination),
        version=1,
        ratio=Ratio(Points(from_units), Points(to_units)),
        minimum=Points(random.choice(MINIMA)),
        increment=Points(random.choice(INCREMENTS)),
        settlement_price=MicroUnits(values[destination] * 10),
        effective_at=0,
    )
