"""The gate: against all cycles of small markets tried one by one, and its certificate direction by direction."""

import random
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise, permutations
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exchange import gate as module
from exchange.cycle import DESCRIBED_MAX, Cycle
from exchange.errors import GainingCycle
from exchange.gate import PRICE_BITS_MAX, WARNING_SHARE, Gate
from exchange.points import POINTS_MAX
from exchange.prices import find_prices, simplest_between

PROGRAMS = ("air", "bank", "card", "dine", "earn")
NAMES = {"air": "AIR", "bank": "BANK", "card": "CARD"}
Market = dict[tuple[str, str], Fraction]

SIDES = (1, 2, 3, 5)
"""So few that products of exactly one are common, and yet no two cycles need have the same."""

programs = st.sampled_from(PROGRAMS)
rates = st.builds(Fraction, st.sampled_from(SIDES), st.sampled_from(SIDES))
near_one = st.builds(Fraction, st.integers(96, 104), st.just(100))
pairs = st.permutations(PROGRAMS).map(lambda order: (order[0], order[1]))


def cycles_through(market: Mapping[tuple[str, str], Fraction], source: str, destination: str) -> Iterator[Cycle]:
    """Every simple cycle that begins with this direction."""
    others = [each for each in PROGRAMS if each not in (source, destination)]
    for length in range(len(others) + 1):
        for between in permutations(others, length):
            order = (source, destination, *between)
            directions = list(pairwise((*order, source)))
            if all(each in market for each in directions):
                yield Cycle(order, tuple(market[each] for each in directions))


def best_through(market: Market, source: str, destination: str) -> Fraction:
    """The greatest product of a cycle through a direction, 0 where there is none."""
    return max((cycle.product for cycle in cycles_through(market, source, destination)), default=Fraction(0))


def assert_holds(gate: Gate) -> None:
    """The certificate: at the gate's prices no direction returns more than it takes."""
    prices = gate.prices
    assert all(price > 0 for price in prices.values())
    assert all(rate * prices[destination] <= prices[source] for source, destination, rate in gate.rates())


def exists(market: Market, cycle: Cycle) -> bool:
    return all(market[each] == rate for each, rate in zip(cycle.directions(), cycle.rates, strict=True))


class Markets(RuleBasedStateMachine):
    """Directions come, change and go in any order; what the gate says is what trying every cycle says."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.market: Market = {}

    @rule(pair=pairs, rate=rates | near_one)
    def change(self, pair: tuple[str, str], rate: Fraction) -> None:
        changed = self.market | {pair: rate}
        best = best_through(changed, *pair)
        for share in (Fraction(0), WARNING_SHARE, Fraction(1)):
            cycle = self.gate.examine(*pair, rate, share)
            assert (cycle is not None) == (best > 1 - share)
            if cycle is not None:
                assert cycle.programs[:2] == pair
                assert exists(changed, cycle)
                assert cycle.product == best
        if best > 1:
            self.refused(pair, rate, best)
        else:
            assert self.gate.require(*pair, rate, NAMES) == self.gate.examine(*pair, rate)
            self.gate.put(*pair, rate)
            self.market = changed

    def refused(self, pair: tuple[str, str], rate: Fraction, best: Fraction) -> None:
        greatest = rate / best
        with pytest.raises(GainingCycle) as refusal:
            self.gate.require(*pair, rate, NAMES)
        assert refusal.value.field == "ratio"
        assert refusal.value.nearest == refusal.value.limit == f"{greatest.denominator}:{greatest.numerator}"
        assert str(best.numerator) in refusal.value.detail
        with pytest.raises(AssertionError):
            self.gate.put(*pair, rate)
        cycle = self.gate.examine(*pair, greatest)
        assert cycle is not None and cycle.product == 1

    @precondition(lambda self: self.market)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(sorted(self.market)))
        self.gate.withdraw(*pair)
        del self.market[pair]

    @rule(pair=pairs)
    def withdraw_perhaps_nothing(self, pair: tuple[str, str]) -> None:
        self.gate.withdraw(*pair)
        self.market.pop(pair, None)

    @rule()
    def find_all_prices_anew(self) -> None:
        self.gate = Gate.from_rates((*pair, rate) for pair, rate in self.market.items())

    @invariant()
    def holds(self) -> None:
        assert {(source, destination): rate for source, destination, rate in self.gate.rates()} == self.market
        assert_holds(self.gate)


Markets.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMarkets = Markets.TestCase


@given(st.dictionaries(pairs, rates | near_one, max_size=12))
def test_from_rates__of_any_market__refuses_exactly_those_with_a_gaining_cycle(market: Market) -> None:
    directions = [(*pair, rate) for pair, rate in market.items()]
    gains = any(best_through(market, *pair) > 1 for pair in market)
    if not gains:
        assert_holds(Gate.from_rates(directions))
        return
    with pytest.raises(GainingCycle, match="could come back"):
        Gate.from_rates(directions, NAMES)
    into = {program: dict[str, tuple[int, int]]() for program in PROGRAMS}
    for (source, destination), rate in market.items():
        into[destination][source] = rate.as_integer_ratio()
    found = find_prices(into)
    assert isinstance(found, Cycle) and found.gains and exists(market, found)


@given(st.dictionaries(pairs, rates, max_size=12))
def test_gather__of_any_market__leaves_out_only_what_completes_a_gaining_cycle(market: Market) -> None:
    gate, cycles = Gate.gather((*pair, rate) for pair, rate in market.items())
    assert_holds(gate)
    kept = {(source, destination): rate for source, destination, rate in gate.rates()}
    assert len(kept) + len(cycles) == len(market)
    assert all(cycle.gains and exists(market, cycle) for cycle in cycles)
    assert kept.items() <= market.items()


@given(pairs, rates, rates)
def test_rate__of_a_direction__is_the_one_put_last(pair: tuple[str, str], one: Fraction, other: Fraction) -> None:
    gate = Gate()
    assert gate.rate(*pair) is None
    gate.put(*pair, one)
    gate.put(*pair, other)
    assert gate.rate(*pair) == other
    gate.withdraw(*pair)
    assert gate.rate(*pair) is None
    assert gate.prices == {}


def test_examine__at_a_product_of_exactly_one__admits_and_one_part_in_2_to_the_96_more__refuses() -> None:
    gate, large = Gate(), Fraction(POINTS_MAX, POINTS_MAX - 1)
    gate.put("air", "bank", large)
    assert gate.examine("bank", "air", 1 / large, Fraction(0)) is None
    just_more = Fraction(POINTS_MAX - 1, POINTS_MAX) + Fraction(1, 2**96)
    cycle = gate.examine("bank", "air", just_more, Fraction(0))
    assert cycle is not None and 1 < cycle.product < 1 + Fraction(1, 2**94)
    with pytest.raises(GainingCycle, match=r"under 0\.01% more"):
        gate.require("bank", "air", just_more, NAMES)
    gate.put("bank", "air", 1 / large)
    assert_holds(gate)


def test_examine__of_a_direction_that_is_changed__does_not_count_its_old_rate() -> None:
    gate = Gate.from_rates([("air", "bank", Fraction(3)), ("bank", "air", Fraction(1, 3))])
    cycle = gate.examine("air", "bank", Fraction(2), Fraction(1))
    assert cycle is not None and cycle.product == Fraction(2, 3)


def test_examine__just_below_the_named_share__warns_and_at_it__does_not() -> None:
    gate = Gate.from_rates([("air", "bank", Fraction(1))])
    assert gate.examine("bank", "air", 1 - WARNING_SHARE) is None
    warned = gate.examine("bank", "air", 1 - WARNING_SHARE + Fraction(1, 10**30))
    assert warned is not None and not warned.gains
    assert gate.require("bank", "air", 1 - WARNING_SHARE + Fraction(1, 10**30), NAMES) == warned


@pytest.mark.parametrize("long_first", [True, False])
def test_examine__among_equally_good_cycles__shows_a_short_one(long_first: bool) -> None:
    one = Fraction(1)
    around = [("bank", "card"), ("card", "dine"), ("dine", "air")]
    across = [("bank", "earn"), ("earn", "air")]
    ways = [*around, *across] if long_first else [*across, *around]
    gate = Gate.from_rates((a, b, one) for way in ways for a, b in (way, way[::-1]))
    cycle = gate.examine("air", "bank", one)
    assert cycle is not None and cycle.programs == ("air", "bank", "earn")


@pytest.mark.parametrize("over", range(1, 8))
@pytest.mark.parametrize(("first", "second"), [("card", "dine"), ("dine", "card")])
def test_examine__of_two_cycles_that_differ_by_a_hair__takes_the_better(over: int, first: str, second: str) -> None:
    """Shortened to 64 bits the two are the same; it is decided on the whole numbers."""
    hair, rate = Fraction(1, 2**90), Fraction(over, 7)
    for lost_at_bank, lost_at_air in ((0, 1), (2, 1), (1, 2)):
        gate = Gate.from_rates(
            [
                (first, "air", rate),
                ("bank", first, rate * (1 - lost_at_bank * hair)),
                (second, "air", rate * (1 - lost_at_air * hair)),
                ("bank", second, rate),
            ]
        )
        cycle = gate.examine("air", "bank", Fraction(11, 13), Fraction(1))
        assert cycle is not None
        assert cycle.programs[2] == (first if lost_at_bank < lost_at_air else second)


def test_examine__beyond_the_programs_that_warnings_look_at__still_finds_what_gains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WARNING_PROGRAMS_MAX", 2)
    forth = [(f"prg_{place}", f"prg_{place + 1}", Fraction(1)) for place in range(50)]
    gate = Gate.from_rates([*forth, *((destination, source, one) for source, destination, one in forth)])
    assert gate.examine("prg_50", "prg_0", Fraction(1)) is None
    cycle = gate.examine("prg_50", "prg_0", 1 + Fraction(1, 10**40))
    assert cycle is not None and cycle.gains and len(cycle.programs) == 51


def test_require__of_a_gaining_rate__shows_the_cycle_by_name_and_the_greatest_rate() -> None:
    gate = Gate.from_rates([("bank", "card", Fraction(1, 3)), ("card", "air", Fraction(2))])
    with pytest.raises(GainingCycle) as refusal:
        gate.require("air", "bank", Fraction(2), NAMES)
    assert refusal.value.detail == (
        "points could gain on the way round: AIR to BANK at 1:2, BANK to CARD at 3:1, CARD to AIR at 1:2: "
        "4/3 of what went in could come back, 33.33% more"
    )
    assert (refusal.value.limit, refusal.value.nearest) == ("2:3", "2:3")


@given(st.integers(1, 2**96), st.integers(1, 2**96))
def test_require__whatever_the_rate__names_one_that_is_admitted_and_fits(numerator: int, denominator: int) -> None:
    gate = Gate.from_rates([("bank", "air", Fraction(numerator, denominator))])
    with pytest.raises(GainingCycle) as refusal:
        gate.require("air", "bank", Fraction(denominator, numerator) + 1, NAMES)
    greatest = Fraction(denominator, numerator)
    if refusal.value.nearest is None:
        assert greatest * POINTS_MAX < 1
        return
    from_units, to_units = map(int, str(refusal.value.nearest).split(":"))
    assert 1 <= from_units <= POINTS_MAX and 1 <= to_units <= POINTS_MAX
    nearest = Fraction(to_units, from_units)
    assert gate.examine("air", "bank", nearest, Fraction(0)) is None
    assert greatest - nearest <= max(greatest, Fraction(1)) * Fraction(2, POINTS_MAX) or nearest == POINTS_MAX


def test_describe__of_other_products__says_them_in_words() -> None:
    even = Cycle(("air", "bank"), (Fraction(3), Fraction(1, 3)))
    assert even.describe(NAMES) == "AIR to BANK at 1:3, BANK to AIR at 3:1: exactly what went in could come back"
    less = Cycle(("air", "new"), (Fraction(3), Fraction(39, 125)))
    assert less.describe(NAMES).endswith("new to AIR at 125:39: 117/125 of what went in could come back, 6.40% less")


def test_describe__of_a_long_cycle__names_both_ends_and_no_endless_number() -> None:
    length = 100
    cycle = Cycle(tuple(f"p{place}" for place in range(length)), (Fraction(10**9 + 7, 10**9),) * length)
    said = cycle.describe({})
    assert said.count(" at ") == DESCRIBED_MAX
    assert f", {length - DESCRIBED_MAX} more, p94 to p95 at" in said
    assert said.endswith("a fraction too long to write of what went in could come back, under 0.01% more")


def test_prices__after_thousands_of_changes_without_leeway__stay_of_bounded_length() -> None:
    one, more = Fraction(1), Fraction(7919, 7907)
    gate = Gate.from_rates([("air", "bank", one), ("bank", "air", one), ("card", "dine", one), ("dine", "card", one)])
    longest = 0
    for _ in range(400):
        for source, destination in (("air", "card"), ("card", "air")):
            gate.put(source, destination, more)
            gate.withdraw(source, destination)
            longest = max([longest, *(max(price.as_integer_ratio()).bit_length() for price in gate.prices.values())])
    assert_holds(gate)
    assert PRICE_BITS_MAX - 30 < longest <= PRICE_BITS_MAX, "they grew, and were found anew"


def test_prices__after_many_changes_with_leeway__have_few_digits() -> None:
    chance = random.Random(3)
    worth = {f"p{place}": chance.randint(200, 2_400) for place in range(30)}
    gate = Gate()
    for _ in range(600):
        source, destination = chance.sample(sorted(worth), 2)
        gate.put(source, destination, Fraction(worth[source] * chance.randint(500, 970), worth[destination] * 1_000))
    assert max(max(price.as_integer_ratio()) for price in gate.prices.values()) < 10**6
    assert_holds(gate)


def test_from_rates__of_a_long_chain_of_long_numbers__is_exact() -> None:
    rates = [Fraction(POINTS_MAX - place, POINTS_MAX - 1_000 + place) for place in range(60)]
    chain = [(f"p{place:03}", f"p{place + 1:03}", rate) for place, rate in enumerate(rates)]
    gate = Gate.from_rates(chain)
    back = 1 / prod(rates, start=Fraction(1))
    assert gate.examine("p060", "p000", back + Fraction(1, 10**2500), Fraction(0)) is not None
    assert gate.examine("p060", "p000", back, Fraction(0)) is None
    gate.put("p060", "p000", back)
    gate.put("p000", "p001", rates[0])
    assert_holds(gate)


@pytest.mark.parametrize("worth_max", [1, 50])
def test_change__in_a_market_without_leeway__keeps_every_other_direction(worth_max: int) -> None:
    """Where all is worth exactly what is given for it, each rise must move every price that leads there."""
    chance = random.Random(worth_max)
    worth = {f"p{place}": chance.randint(1, worth_max) for place in range(60)}
    market = {tuple(chance.sample(sorted(worth), 2)) for _ in range(600)}
    gate = Gate.from_rates((a, b, Fraction(worth[a], worth[b])) for a, b in market)
    assert_holds(gate)
    for source, destination in list(market)[:50]:
        rate = Fraction(worth[source], worth[destination])
        gate.put(source, destination, rate * Fraction(99, 100))
        cycle = gate.examine(source, destination, rate * Fraction(101, 100))
        assert cycle is not None and cycle.product == Fraction(101, 100)
        gate.put(source, destination, rate)
    assert_holds(gate)


@given(st.fractions(Fraction(1, 40), 50, max_denominator=40), st.fractions(Fraction(1, 40), 50, max_denominator=40))
def test_simplest_between__two_numbers__has_the_least_denominator(one: Fraction, other: Fraction) -> None:
    low, high = sorted((one, other))
    numerator, denominator = simplest_between(low.as_integer_ratio(), high.as_integer_ratio())
    assert low <= Fraction(numerator, denominator) <= high
    assert all(-(-low.numerator * each // low.denominator) > high * each for each in range(1, denominator))
