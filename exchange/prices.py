"""Prices: a worth for each program's point, at which no direction returns more than it takes.

Where a price stands at every program, and `rate * price of destination <= price of source` in every direction, the
rates around any cycle multiply to at most one: each price is divided away once. So such prices are a certificate that
nobody can gain, which anyone checks direction by direction; and where no cycle gains, there are such prices.

Prices are exact: a numerator and a denominator, whole numbers as long as they have to be.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import gcd
from typing import Final

from exchange.cycle import Cycle

Exact = tuple[int, int]
"""A positive number: its numerator and its denominator. Much faster than `Fraction`, and as exact."""

Rates = Mapping[str, Mapping[str, Exact]]
"""For each destination its sources, or for each source its destinations, with the rate."""

ONE: Exact = (1, 1)

LONG_BITS: Final = 512
"""Numbers from this length on are compared by their first digits, and multiplied out only where these do not tell."""

_LEAD_BITS: Final = 64


def times(one: Exact, other: Exact) -> Exact:
    """The product of two numbers in lowest terms, in lowest terms.

    What can be divided away stands crosswise. To look for it there takes a short number and a long one, where one of
    the two is a rate; in the product it would take two long ones, and the time grows with the square of their length.
    """
    (one_n, one_d), (other_n, other_d) = one, other
    first, second = gcd(one_n, other_d), gcd(other_n, one_d)
    return (one_n // first) * (other_n // second), (one_d // second) * (other_d // first)


def over(one: Exact, other: Exact) -> Exact:
    """One divided by the other, in lowest terms."""
    return times(one, (other[1], other[0]))


def is_less(one: Exact, other: Exact) -> bool:
    """Whether one number is less than the other, exactly."""
    if (one[0] | other[0]).bit_length() < LONG_BITS:
        return one[0] * other[1] < other[0] * one[1]
    return one != other and _is_less(one, other)


def _is_less(one: Exact, other: Exact) -> bool:
    """The same for long numbers: from their first digits, each side between two bounds, where these are apart."""
    (low, high, unit), (other_low, other_high, other_unit) = _bounds(one[0], other[1]), _bounds(other[0], one[1])
    if unit + high.bit_length() < other_unit + other_low.bit_length():
        return True
    if other_unit + other_high.bit_length() < unit + low.bit_length():
        return False
    shift, other_shift = max(unit - other_unit, 0), max(other_unit - unit, 0)
    if high << shift <= other_low << other_shift:
        return True
    if other_high << other_shift <= low << shift:
        return False
    return one[0] * other[1] < other[0] * one[1]


def _bounds(one: int, other: int) -> tuple[int, int, int]:
    """A product from its factors' first digits: at least the first, less than the second, times 2 to the third."""
    cut, other_cut = max(0, one.bit_length() - _LEAD_BITS), max(0, other.bit_length() - _LEAD_BITS)
    one, other = one >> cut, other >> other_cut
    return one * other, (one + 1) * (other + 1), cut + other_cut


def find_prices(into: Rates) -> dict[str, Exact] | Cycle:
    """The least prices from one on at which no direction gains; or a gaining cycle, where there are none.

    Prices rise until they suffice, in turns. Within a turn a program comes before those whose prices it raises, so that
    a rise goes all the way in one turn. Each program remembers the direction that raised it; where these directions
    form a cycle, it gains. Without one there are at most as many turns as programs.
    """
    prices = dict.fromkeys(into, ONE)
    raised_by: dict[str, str] = {}
    raised = dict.fromkeys(into)
    while raised:
        for destination in _in_order(raised, prices, into):
            if destination not in raised:
                continue
            del raised[destination]
            for source, rate in into[destination].items():
                asked = times(rate, prices[destination])
                if is_less(prices[source], asked):
                    prices[source], raised_by[source], raised[source] = asked, destination, None
        if programs := _cycle_in(raised_by):
            return _cycle_of(programs, into)
    return prices


def _in_order(raised: Iterable[str], prices: Mapping[str, Exact], into: Rates) -> list[str]:
    """The raised programs and all whose prices may have to follow theirs, each before those that follow it.

    Where some follow each other in a circle, one of them is the first.
    """
    after: list[str] = []
    seen: set[str] = set()
    for start in raised:
        if start in seen:
            continue
        seen.add(start)
        ways = [(start, iter(into[start].items()))]
        while ways:
            destination, sources = ways[-1]
            for source, rate in sources:
                if source not in seen and not is_less(times(rate, prices[destination]), prices[source]):
                    seen.add(source)
                    ways.append((source, iter(into[source].items())))
                    break
            else:
                after.append(destination)
                ways.pop()
    return after[::-1]


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
    if least == most:  # The search below would come to the same, by all the digits.
        return least
    low, high, unit = least[0] * most[1], most[0] * least[1], least[1] * most[1]
    assert low < high, "a price that suits the directions out suits those in"
    return simplest_between((3 * low + high, 4 * unit), (low + 3 * high, 4 * unit))


def simplest_between(low: Exact, high: Exact) -> Exact:
    """The number of least denominator from `low` to `high`: their continued fractions as far as they agree, and one."""
    (low_n, low_d), (high_n, high_d) = low, high
    assert low_n > 0 and low_n * high_d <= high_n * low_d, "prices are above zero"
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
