"""Prices: a worth for each program's point, at which no direction returns more than it takes.

Where a price stands at every program, and `rate * price of destination <= price of source` in every direction, the
rates around any cycle multiply to at most one: each price is divided away once. So such prices are a certificate that
nobody can gain, which anyone checks direction by direction; and where no cycle gains, there are such prices.

Prices are exact: a numerator and a denominator, whole numbers as long as they have to be.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import gcd

from exchange.cycle import Cycle

Exact = tuple[int, int]
"""A positive number: its numerator and its denominator. Much faster than `Fraction`, and as exact."""

Rates = Mapping[str, Mapping[str, Exact]]
"""For each destination its sources, or for each source its destinations, with the rate."""

ONE: Exact = (1, 1)


def times(one: Exact, other: Exact) -> Exact:
    """The product, in lowest terms."""
    numerator, denominator = one[0] * other[0], one[1] * other[1]
    common = gcd(numerator, denominator)
    return numerator // common, denominator // common


def over(one: Exact, other: Exact) -> Exact:
    """One divided by the other, in lowest terms."""
    return times(one, (other[1], other[0]))


def is_less(one: Exact, other: Exact) -> bool:
    return one[0] * other[1] < other[0] * one[1]


def find_prices(into: Rates) -> dict[str, Exact] | Cycle:
    """The least prices from one on at which no direction gains; or a gaining cycle, where there are none.

    Prices rise until they suffice. Each remembers the direction that raised it; where these directions form a cycle, it
    gains. That is looked for after as many raises as there are programs, so the search always ends.
    """
    prices = dict.fromkeys(into, ONE)
    raised_by: dict[str, str] = {}
    waiting, is_waiting = deque(into), set(into)
    raises = 0
    while waiting:
        destination = waiting.popleft()
        is_waiting.discard(destination)
        price = prices[destination]
        for source, rate in into[destination].items():
            there = prices[source]
            if rate[0] * price[0] * there[1] <= there[0] * rate[1] * price[1]:
                continue
            prices[source] = times(rate, price)
            raised_by[source] = destination
            raises += 1
            if source not in is_waiting:
                waiting.append(source)
                is_waiting.add(source)
            if raises % len(into) == 0 and (programs := _cycle_in(raised_by)):
                return _cycle_of(programs, into)
    return prices


def _cycle_in(follows: Mapping[str, str]) -> list[str]:
    """The programs of some cycle, where each program is followed by at most one; empty where there is none."""
    seen_from: dict[str, str] = {}
    for start in follows:
        program = start
        while program in follows and program not in seen_from:
            seen_from[program] = start
            program = follows[program]
        if program in follows and seen_from[program] == start:
            cycle = [program]
            while follows[cycle[-1]] != program:
                cycle.append(follows[cycle[-1]])
            return cycle
    return []


def _cycle_of(programs: list[str], into: Rates) -> Cycle:
    rates = [
        Fraction(*into[destination][source])
        for source, destination in zip(programs, [*programs[1:], programs[0]], strict=True)
    ]
    cycle = Cycle(tuple(programs), tuple(rates))
    assert cycle.gains, "prices raised around a cycle show that it gains"
    return cycle


def shorten(prices: dict[str, Exact], programs: Iterable[str], into: Rates, out_of: Rates) -> None:
    """Gives each of the programs in turn a price of few digits, in the middle of those that suit its directions.

    Where a price has no leeway it stays as it is. Leeway also means that fewer prices move at the next change.
    """
    for program in programs:
        least = _greatest(times(rate, prices[each]) for each, rate in out_of.get(program, {}).items())
        if least is None:
            continue
        most = _least(over(prices[each], rate) for each, rate in into.get(program, {}).items())
        prices[program] = _middle(least, (2 * least[0], least[1]) if most is None else most)


def _greatest(numbers: Iterable[Exact]) -> Exact | None:
    greatest: Exact | None = None
    for each in numbers:
        if greatest is None or is_less(greatest, each):
            greatest = each
    return greatest


def _least(numbers: Iterable[Exact]) -> Exact | None:
    least: Exact | None = None
    for each in numbers:
        if least is None or is_less(each, least):
            least = each
    return least


def _middle(least: Exact, most: Exact) -> Exact:
    """The number of fewest digits in the inner half from `least` to `most`."""
    low, high = Fraction(*least), Fraction(*most)
    assert low <= high, "a price that suits the directions out suits those in"
    if low == high:  # The search below would come to the same, by all the digits.
        return least
    quarter = (high - low) / 4
    return simplest_between(low + quarter, high - quarter)


def simplest_between(low: Fraction, high: Fraction) -> Exact:
    """The number of least denominator from `low` to `high`: their continued fractions as far as they agree, and one."""
    assert 0 < low <= high, "prices are above zero"
    (low_n, low_d), (high_n, high_d) = low.as_integer_ratio(), high.as_integer_ratio()
    before, last = (0, 1), (1, 0)
    while True:
        whole = low_n // low_d
        ends = low_n == whole * low_d
        if not ends and (whole + 1) * high_d <= high_n:
            whole, ends = whole + 1, True
        before, last = last, (whole * last[0] + before[0], whole * last[1] + before[1])
        if ends:
            return last
        # Neither bound is whole, and no whole number lies between: turn both over, which changes their order.
        low_n, low_d, high_n, high_d = high_d, high_n - whole * high_d, low_d, low_n - whole * low_d
