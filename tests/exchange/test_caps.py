"""Caps: what they let through, who is bound, and what is said where no more transfers are allowed."""

from dataclasses import replace

import pytest

from exchange.caps import binding_caps, require_count, room_in
from exchange.errors import BelowMinimum, InvalidAmount, NothingOut, OverCap
from exchange.path import Hop
from exchange.points import POINTS_MAX, Points
from exchange.pricing import price, price_for, price_route
from exchange.ratio import Ratio
from exchange.rules import Bonus, Cap, Period, Rules, Side
from exchange.situation import PLAIN_SITUATION, Situation, Usage
from exchange.terms import Terms
from tests.exchange.strategies import make_terms

DAILY = Cap(Period.DAY, points=Points(100))
YEARLY_IN = Cap(Period.YEAR, points=Points(50), count=3, side=Side.IN)
GOLD = Cap(Period.MONTH, points=Points(40), tiers=frozenset({"gold"}))
SINGLE = Cap(Period.TRANSFER, points=Points(80))


def capped(*caps: Cap, sides: tuple[int, int] = (1, 1), bonuses: tuple[Bonus, ...] = ()) -> Terms:
    ratio = Ratio(Points(sides[0]), Points(sides[1]))
    return replace(make_terms(ratio), rules=Rules(caps=caps, bonuses=bonuses))


@pytest.mark.parametrize(
    ("situation", "room"),
    [
        (PLAIN_SITUATION, (80, 50)),
        (Situation(used={DAILY: Usage(points=30)}), (70, 50)),
        (Situation(used={DAILY: Usage(points=101)}), (0, 50)),
        (Situation(used={YEARLY_IN: Usage(points=20, count=2)}), (80, 30)),
        (Situation(used={YEARLY_IN: Usage(points=20, count=3)}), (80, 0)),
        (Situation(tier="gold", used={GOLD: Usage(points=15)}), (25, 50)),
        (Situation(tier="silver", used={GOLD: Usage(points=15)}), (80, 50)),
        (Situation(used={SINGLE: Usage(points=70, count=9)}), (80, 50)),
    ],
)
def test_room_in__after_some_use__is_the_least_that_any_cap_leaves(situation: Situation, room: tuple[int, int]) -> None:
    assert room_in(capped(DAILY, YEARLY_IN, GOLD, SINGLE), situation) == room


def test_room_in__without_points_in_a_cap__is_everything_until_the_count_is_used_up() -> None:
    cap = Cap(Period.DAY, count=2)
    assert room_in(capped(cap), Situation(used={cap: Usage(count=1)})) == (POINTS_MAX, POINTS_MAX)
    assert room_in(capped(cap), Situation(used={cap: Usage(count=2)})) == (0, POINTS_MAX)
    assert room_in(capped(), PLAIN_SITUATION) == (POINTS_MAX, POINTS_MAX)


def test_binding_caps__of_a_tier__are_its_own_and_everybodys() -> None:
    terms = capped(DAILY, GOLD)
    assert binding_caps(terms, "gold") == [DAILY, GOLD]
    assert binding_caps(terms, None) == binding_caps(terms, "silver") == [DAILY]


def test_binding_caps__for_all_but_some__bind_members_of_no_tier_too() -> None:
    others = Cap(Period.DAY, points=Points(7), except_tiers=frozenset({"gold"}))
    assert [binding_caps(capped(others), tier) for tier in (None, "silver", "gold")] == [[others], [others], []]


def test_require_count__when_all_were_made__names_field_and_limit() -> None:
    terms = capped(DAILY, YEARLY_IN)
    require_count(terms, Situation(used={YEARLY_IN: Usage(count=2)}), "amount_in")
    with pytest.raises(OverCap, match="3 transfers in a year") as refusal:
        require_count(terms, Situation(used={YEARLY_IN: Usage(count=3)}), "amount_in")
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == ("amount_in", 3, None)


@pytest.mark.parametrize("ask", [price, price_for])
def test_price__when_all_transfers_were_made__says_so_and_names_no_amount(ask: type) -> None:
    used = Situation(used={YEARLY_IN: Usage(count=3)})
    with pytest.raises(OverCap, match="3 transfers in a year") as refusal:
        ask(capped(YEARLY_IN), 10, used)
    assert refusal.value.nearest is None


def test_price__where_a_cap_leaves_less_than_gives_a_point__names_no_amount() -> None:
    terms = capped(Cap(Period.DAY, points=Points(2)), sides=(3, 1), bonuses=(Bonus("gift", flat=Points(5)),))
    with pytest.raises(OverCap) as refusal:
        price(terms, 9)
    assert (refusal.value.limit, refusal.value.nearest) == (2, None)
    with pytest.raises(OverCap) as refusal:
        price_for(terms, 6)
    assert refusal.value.nearest is None


def test_price__where_bonuses_arrive_too__counts_them_against_a_cap_on_what_arrives() -> None:
    terms = capped(Cap(Period.TRANSFER, points=Points(20), side=Side.IN), bonuses=(Bonus("gift", flat=Points(5)),))
    assert price(terms, 15).amount_out == 20
    with pytest.raises(OverCap) as refusal:
        price(terms, 16)
    assert (refusal.value.limit, refusal.value.nearest) == (15, 15)


@pytest.mark.parametrize("cap", [Cap(Period.DAY, Points(100)), Cap(Period.DAY, Points(33), side=Side.IN)])
def test_price__over_a_cap__names_an_amount_that_leaves_nothing_over(cap: Cap) -> None:
    terms = capped(cap, sides=(3, 1))
    with pytest.raises(OverCap) as refusal:
        price(terms, 200)
    assert refusal.value.nearest == 99
    assert price(terms, 99).remainder == 0


@pytest.mark.parametrize(("amount", "nearest"), [(0, 1), (-3, 1), (POINTS_MAX + 1, 100)])
def test_price__of_no_amount__names_what_passes_under_the_caps(amount: int, nearest: int) -> None:
    for ask in (price, price_for):
        with pytest.raises(Exception, match="an amount of points is") as refusal:
            ask(capped(DAILY), amount)
        assert getattr(refusal.value, "nearest", None) == nearest


def test_price__refused_for_its_size__names_only_what_the_caps_let_through() -> None:
    small = replace(make_terms(Ratio(Points(10), Points(1)), 5), rules=Rules())
    for cap, nearest in ((10, 10), (9, None)):
        terms = replace(small, rules=Rules(caps=(Cap(Period.TRANSFER, points=Points(cap)),)))
        with pytest.raises(BelowMinimum) as below:
            price(terms, 4)
        assert (below.value.limit, below.value.nearest) == (5, nearest)
        with pytest.raises(NothingOut) as nothing:
            price(terms, 9)
        assert (nothing.value.limit, nothing.value.nearest) == (10, nearest)
        with pytest.raises(InvalidAmount) as none:
            price_for(terms, 0)
        assert none.value.nearest == (None if nearest is None else 1)


def test_price__of_more_than_a_cap_that_burns_less__passes_and_names_nothing_above() -> None:
    priced = price(capped(Cap(Period.TRANSFER, points=Points(9)), sides=(3, 1)), 11)
    assert (priced.amount_in, priced.remainder, priced.nearest_above) == (9, 2, None)


def test_price_route__with_a_cap_on_what_leaves_the_middle__counts_it_there() -> None:
    second = replace(capped(Cap(Period.DAY, points=Points(100))), source="prg_b", destination="prg_c")
    hops = [Hop(make_terms(Ratio(Points(1), Points(2)))), Hop(second)]
    with pytest.raises(OverCap) as refusal:
        price_route(hops, 51)
    assert refusal.value.nearest == 50
    assert price_route(hops, 50).amount_out == 100
