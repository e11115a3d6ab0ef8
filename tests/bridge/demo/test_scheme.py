"""The demo's rates: nobody gains by going round, and a coupon can be afforded."""

from fractions import Fraction
from itertools import permutations
from math import prod

from bridge.demo.scheme import COUPON_POINTS, DEALS, ROUTED, SCHEMES, Deal


def best_rate(deal: Deal) -> Fraction:
    """With its bonus, whatever the condition."""
    shares = [Fraction(bonus["share"].rstrip("%")) / 100 for bonus in deal.rules.get("bonuses", [])]
    return Fraction(deal.to_units, deal.from_units) * (1 + sum(shares))


def test_deals__for_every_cycle_of_programs__then_no_points_are_gained() -> None:
    rate = {(deal.source, deal.destination): best_rate(deal) for deal in DEALS}
    cycles = [path for hops in (2, 3) for path in permutations(SCHEMES, hops)]

    for path in cycles:
        directions = list(zip(path, [*path[1:], path[0]], strict=True))
        if all(direction in rate for direction in directions):
            assert prod(rate[direction] for direction in directions) < 1, path


def test_deals__between_all_programs__then_lack_one_direction_that_a_route_replaces() -> None:
    agreed = {(deal.source, deal.destination) for deal in DEALS}

    assert set(permutations(SCHEMES, 2)) - agreed == {ROUTED}
    assert {(ROUTED[0], "grocery"), ("grocery", ROUTED[1])} <= agreed


def test_deals__for_each_minimum__then_something_comes_out_of_it() -> None:
    for deal in DEALS:
        assert deal.minimum * deal.to_units // deal.from_units >= 1
        assert deal.minimum % deal.from_units == deal.increment % deal.from_units == 0


def test_deals__of_each_direction__then_cost_what_a_point_is_worth_at_home() -> None:
    assert all(deal.price_micro == SCHEMES[deal.destination].value_micro for deal in DEALS)


def test_deals__of_each_direction__then_give_less_than_redeeming_at_home() -> None:
    for deal in DEALS:
        assert best_rate(deal) * deal.price_micro < SCHEMES[deal.source].value_micro, deal


def test_earned__given_cents__then_counts_whole_points_only() -> None:
    grocery = SCHEMES["grocery"]

    assert (grocery.earned(0), grocery.earned(99), grocery.earned(100)) == (0, 0, 1)
    assert SCHEMES["drugstore"].earned(119) == 5
    assert grocery.earned(COUPON_POINTS * 100) == COUPON_POINTS
