"""The demo's rates: nobody gains by going round, and a coupon can be afforded."""

from fractions import Fraction
from itertools import permutations

from bridge.demo.scheme import COUPON_POINTS, DEALS, SCHEMES


def test_deals__for_every_cycle_of_programs__then_no_points_are_gained() -> None:
    rate = {(d.source, d.destination): Fraction(d.to_units, d.from_units) for d in DEALS}
    cycles = [path for hops in (2, 3) for path in permutations(SCHEMES, hops)]

    for path in cycles:
        product = Fraction(1)
        for source, destination in zip(path, [*path[1:], path[0]], strict=True):
            product *= rate[source, destination]
        assert product < 1, path


def test_deals__for_each_minimum__then_something_comes_out_of_it() -> None:
    for deal in DEALS:
        assert deal.minimum * deal.to_units // deal.from_units >= 1
        assert deal.minimum % deal.from_units == deal.increment % deal.from_units == 0


def test_earned__given_cents__then_counts_whole_points_only() -> None:
    grocery = SCHEMES["grocery"]

    assert (grocery.earned(0), grocery.earned(99), grocery.earned(100)) == (0, 0, 1)
    assert SCHEMES["drugstore"].earned(119) == 5
    assert grocery.earned(COUPON_POINTS * 100) == COUPON_POINTS
