"""The gate: no cycle of directions may return more than went in.

The gate holds the best rate of each direction, and prices at which none of them gains (`exchange.prices`). They make
the decision short: a rate that the prices suit completes no gaining cycle, and no search is needed. For any other some
prices must rise, and that tells (`exchange.wave`). Everything is decided on whole numbers of any length.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Final

from exchange.cycle import Cycle, as_ratio
from exchange.errors import GainingCycle
from exchange.points import POINTS_MAX
from exchange.prices import ONE, Exact, find_prices, shorten
from exchange.wave import Wave

WARNING_SHARE: Final = Fraction(1, 20)
"""A cycle that loses less than this share is worth a warning."""

WARNING_PROGRAMS_MAX: Final = 1_000
"""Programs from which the search for cycles that lose little goes on; the gaining ones are searched without a limit."""

PRICE_BITS_MAX: Final = 1_024
"""A price with longer numbers has all prices found anew, which makes them as short as the rates allow."""


class Gate:
    """The market of best rates, which never holds a gaining cycle."""

    def __init__(self) -> None:
        self._into: dict[str, dict[str, Exact]] = {}
        self._out_of: dict[str, dict[str, Exact]] = {}
        self._prices: dict[str, Exact] = {}
        self._bits_allowed = PRICE_BITS_MAX

    @classmethod
    def from_rates(cls, rates: Iterable[tuple[str, str, Fraction]], names: Mapping[str, str] | None = None) -> "Gate":
        """A gate of many directions at once: source, destination and rate; a later one replaces an earlier.

        Raises `GainingCycle`, in which a cycle is shown under these names.
        """
        gate = cls()
        for source, destination, rate in rates:
            gate._set(source, destination, rate)
        if cycle := gate._find_prices():
            raise refusal(cycle, cycle.describe(names or {}))
        return gate

    @classmethod
    def gather(cls, rates: Iterable[tuple[str, str, Fraction]]) -> tuple["Gate", tuple[Cycle, ...]]:
        """A gate of those directions that complete no gaining cycle, in their order, and the cycles of the others.

        For a market that came about elsewhere, such as by consent on the chain alone.
        """
        known = {(source, destination): rate for source, destination, rate in rates}
        try:
            return cls.from_rates((*pair, rate) for pair, rate in known.items()), ()
        except GainingCycle:
            gate, cycles = cls(), list[Cycle]()
        for (source, destination), rate in known.items():
            if cycle := gate.examine(source, destination, rate, Fraction(0)):
                cycles.append(cycle)
            else:
                gate.put(source, destination, rate)
        return gate, tuple(cycles)

    @property
    def prices(self) -> dict[str, Fraction]:
        """The certificate: what a point of each program is worth, so that no direction returns more than it takes."""
        return {program: Fraction(*price) for program, price in self._prices.items()}

    def rates(self) -> Iterator[tuple[str, str, Fraction]]:
        """Source, destination and rate of every direction."""
        for source, rates in self._out_of.items():
            for destination, rate in rates.items():
                yield source, destination, Fraction(*rate)

    def rate(self, source: str, destination: str) -> Fraction | None:
        """A direction's best rate, None where there is no such direction."""
        rate = self._out_of.get(source, {}).get(destination)
        return None if rate is None else Fraction(*rate)

    def examine(
        self, source: str, destination: str, rate: Fraction, warn_below: Fraction = WARNING_SHARE
    ) -> Cycle | None:
        """The cycle of greatest product through this direction at this rate, where it loses less than `warn_below`.

        None where there is no such cycle: surely no gaining one, and none that loses little as far as
        `WARNING_PROGRAMS_MAX` programs show. Changes nothing.
        """
        assert 0 <= warn_below <= 1, "a share is from nothing to all"
        wave = self._wave(source, destination, rate, 1 - warn_below)
        if not wave.arrived:
            return None
        programs = [source, destination]
        while (following := wave.follows[programs[-1]]) != source:
            programs.append(following)
        onward = zip(programs[1:], [*programs[2:], source], strict=True)
        return Cycle(tuple(programs), (rate, *(Fraction(*self._out_of[one][next_]) for one, next_ in onward)))

    def require(
        self,
        source: str,
        destination: str,
        rate: Fraction,
        names: Mapping[str, str],
        warn_below: Fraction = WARNING_SHARE,
        explain: Callable[[Cycle], str] | None = None,
    ) -> Cycle | None:
        """Raises `GainingCycle` where the direction would complete one; returns a cycle to warn of, as `examine` does.

        `limit` and `nearest` are the greatest rate that would be admitted, as source and destination points. The
        refusal's sentence is what `explain` says of the cycle, or else the cycle's own description.
        """
        cycle = self.examine(source, destination, rate, warn_below)
        if cycle is not None and cycle.gains:
            said = cycle.describe(names) if explain is None else explain(cycle)
            raise refusal(cycle, said)
        return cycle

    def put(self, source: str, destination: str, rate: Fraction) -> None:
        """Sets a direction's best rate, which must have been found to complete no gaining cycle."""
        wave = self._wave(source, destination, rate, Fraction(1))
        assert not wave.arrived, "a rate is examined before it is put"
        self._set(source, destination, rate)
        self._prices.update(wave.needs)
        # Those that rose last lead to those that rose first, which gain leeway from them.
        shorten(self._prices, reversed(wave.needs), self._into, self._out_of)
        if any(self._is_long(self._prices[program]) for program in wave.needs):
            cycle = self._find_prices()
            assert cycle is None, "an admitted market has prices"

    def withdraw(self, source: str, destination: str) -> None:
        """Takes a direction away, if it is there. The prices still suit what remains."""
        self._out_of.get(source, {}).pop(destination, None)
        self._into.get(destination, {}).pop(source, None)
        for program in (source, destination):
            if not self._out_of.get(program) and not self._into.get(program):
                for known in (self._out_of, self._into, self._prices):
                    known.pop(program, None)

    def _set(self, source: str, destination: str, rate: Fraction) -> None:
        assert source != destination, "a direction leads from one program to another"
        assert rate > 0, "whatever a direction takes, it returns something"
        for program in (source, destination):
            self._prices.setdefault(program, ONE)
            self._into.setdefault(program, {})
            self._out_of.setdefault(program, {})
        self._out_of[source][destination] = self._into[destination][source] = rate.as_integer_ratio()

    def _wave(self, source: str, destination: str, rate: Fraction, floor: Fraction) -> Wave:
        """The wave that this direction at this rate sets off, until it arrives or has run out."""
        wave = Wave(self._prices, self._into, floor, WARNING_PROGRAMS_MAX)
        wave.run(source, destination, rate.as_integer_ratio())
        return wave

    def _find_prices(self) -> Cycle | None:
        """Finds all prices anew; or a gaining cycle, where there are none."""
        found = find_prices(self._into)
        if isinstance(found, Cycle):
            return found
        self._prices = found
        shorten(found, found, self._into, self._out_of)
        longest = max((max(price).bit_length() for price in found.values()), default=0)
        self._bits_allowed = max(PRICE_BITS_MAX, 2 * longest)
        return None

    def _is_long(self, price: Exact) -> bool:
        return max(price).bit_length() > self._bits_allowed


def refusal(cycle: Cycle, said: str) -> GainingCycle:
    """What refuses the first direction of a cycle, at its rate; `said` is a sentence that shows the cycle.

    `limit` and `nearest` are the greatest rate at which this cycle would not gain, as source and destination points.
    """
    nearest = _fitting(cycle.rates[0] / cycle.product)
    return GainingCycle(f"points could gain on the way round: {said}", field="ratio", limit=nearest, nearest=nearest)


def _fitting(rate: Fraction) -> str | None:
    """The rate as two numbers of points, rounded down where it takes larger ones than there are."""
    if max(rate.as_integer_ratio()) > POINTS_MAX:
        from_units = min(int(POINTS_MAX / rate), POINTS_MAX)
        rate = Fraction(int(rate * from_units), from_units) if from_units else Fraction(POINTS_MAX)
    return as_ratio(rate) if rate else None
