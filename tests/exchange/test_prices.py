"""Prices: exact on numbers of any length, and found in few turns however the directions are ordered."""

import random
from fractions import Fraction
from math import gcd, prod

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exchange import prices as module
from exchange.cycle import Cycle
from exchange.gate import Gate
from exchange.points import POINTS_MAX
from exchange.prices import LONG_BITS, Exact, find_prices, is_less, times

PROGRAMS = 200

sides = st.integers(1, 2**70) | st.integers(2**LONG_BITS, 2 ** (4 * LONG_BITS))
hairs = st.sampled_from([0, 1, 2 ** (LONG_BITS - 100), 2 ** (LONG_BITS + 100)])


@st.composite
def exacts(draw: st.DrawFn) -> Exact:
    return Fraction(draw(sides), draw(sides)).as_integer_ratio()


@settings(max_examples=200)
@given(exacts(), exacts(), hairs, st.sampled_from([1, 2**64 - 1, 2**64, 2**300]))
def test_is_less__of_any_two_numbers__is_what_the_whole_numbers_say(
    one: Exact, other: Exact, hair: int, scale: int
) -> None:
    near = Fraction(one[0] * scale + hair, one[1] * scale)
    for left, right in ((Fraction(*one), Fraction(*other)), (Fraction(*one), near), (near, Fraction(*one))):
        assert is_less(left.as_integer_ratio(), right.as_integer_ratio()) == (left < right)


@given(exacts(), exacts())
def test_times__of_numbers_in_lowest_terms__is_the_product_in_lowest_terms(one: Exact, other: Exact) -> None:
    found = times(one, other)
    assert Fraction(*found) == Fraction(*one) * Fraction(*other)
    assert gcd(*found) == 1


def chain(order: str) -> list[tuple[str, str, Fraction]]:
    """Programs in a row, each with a rate of long numbers to the next and its inverse back: nothing has leeway."""
    chance = random.Random(order)
    directions = []
    for place in range(PROGRAMS):
        rate = Fraction(chance.randint(POINTS_MAX // 2, POINTS_MAX), chance.randint(POINTS_MAX // 2, POINTS_MAX))
        if order in ("up", "down"):
            rate = max(rate, 1 / rate) if order == "up" else min(rate, 1 / rate)
        directions.append((f"p{place}", f"p{place + 1}", rate))
        directions.append((f"p{place + 1}", f"p{place}", 1 / rate))
    if order == "shuffled":
        chance.shuffle(directions)
    return directions


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many numbers are multiplied."""
    calls = [0]

    def counting(one: Exact, other: Exact) -> Exact:
        calls[0] += 1
        return times(one, other)

    monkeypatch.setattr(module, "times", counting)
    return calls


@pytest.mark.parametrize("order", ["up", "down", "mixed", "shuffled"])
def test_from_rates__of_a_long_chain_of_exact_inverses__takes_few_turns_in_any_order(
    order: str, counted: list[int]
) -> None:
    directions = chain(order)
    gate = Gate.from_rates(directions)
    assert counted[0] <= 15 * len(directions)
    prices = gate.prices
    assert all(rate * prices[destination] == prices[source] for source, destination, rate in directions)


@pytest.mark.parametrize("order", ["up", "mixed"])
def test_find_prices__of_a_chain_in_which_one_inverse_is_a_hair_too_much__shows_where(order: str) -> None:
    into: dict[str, dict[str, Exact]] = {}
    for place, (source, destination, rate) in enumerate(chain(order)):
        gaining = rate + Fraction(1, 2**200) if place == PROGRAMS else rate
        into.setdefault(destination, {})[source] = gaining.as_integer_ratio()
    found = find_prices(into)
    assert isinstance(found, Cycle) and 1 < found.product < 1 + Fraction(1, 2**150)


@settings(max_examples=60)
@given(st.data())
def test_find_prices__of_long_rates_among_few_programs__is_a_certificate_or_a_gain(data: st.DataObject) -> None:
    """Worths of long numbers make products of one; a few rates are a hair more or less."""
    names = "abcd"
    worth = {name: Fraction(*data.draw(exacts())) for name in names}
    hair = Fraction(1, 2 ** (2 * LONG_BITS))
    into: dict[str, dict[str, Exact]] = {name: {} for name in names}
    for source in names:
        for destination in names:
            lost = data.draw(st.sampled_from([None, 0, 0, 1, 1, -1]))
            if source != destination and lost is not None:
                into[destination][source] = (worth[source] / worth[destination] * (1 - lost * hair)).as_integer_ratio()
    assume(any(into.values()))
    found = find_prices(into)
    if isinstance(found, Cycle):
        assert found.gains and found.product == prod(
            Fraction(*into[destination][source]) for source, destination in found.directions()
        )
        return
    for destination, sources in into.items():
        for source, rate in sources.items():
            assert Fraction(*rate) * Fraction(*found[destination]) <= Fraction(*found[source])


def test_put__in_a_chain_without_leeway__raises_all_that_leads_there_and_keeps_it_exact() -> None:
    directions = chain("mixed")
    gate = Gate.from_rates(directions)
    source, destination, rate = directions[-2]
    gate.put(destination, source, Fraction(9, 10) / rate)
    cycle = gate.examine(source, destination, rate * Fraction(11, 10))
    assert cycle is not None and cycle.product == Fraction(99, 100)
    gate.put(source, destination, rate * Fraction(11, 10))
    prices = gate.prices
    assert all(each * prices[end] <= prices[start] for start, end, each in gate.rates())
    refused = gate.examine(source, destination, rate * Fraction(10, 9) + Fraction(1, 2**200), Fraction(0))
    assert refused is not None and refused.gains
