"""Several sources as one, the first that knows a rate before the others."""

from collections.abc import Sequence
from datetime import date

from exchange.errors import NoRate
from exchange.fx import FxRate, RateSource, same_currency

#: Currencies that rates are crossed through where no source knows a pair: most pegs are to one of them.
PIVOTS = ("EUR", "USD")


class Chain:
    """A `RateSource` that asks others in their order; what none knows it crosses through a third currency.

    So a peg to the dollar from one source and a dollar rate from another give every rate of the pegged currency.
    """

    def __init__(self, sources: Sequence[RateSource], pivots: Sequence[str] = PIVOTS) -> None:
        assert sources, "a chain has a source"
        self._sources = tuple(sources)
        self._pivots = tuple(dict.fromkeys(pivots))

    def rate(self, base: str, quote: str, on: date) -> FxRate:
        """The first answer; else the first crossing, exact and as old as its older half. Raises `NoRate`."""
        if base == quote:
            return same_currency(base, on)
        try:
            return self._first(base, quote, on)
        except NoRate as refusal:
            refusals = [refusal]
        for pivot in self._pivots:
            if pivot in (base, quote):
                continue
            try:
                there = self._first(base, pivot, on)
            except NoRate as refusal:
                refusals.append(refusal)
                continue
            try:
                return there.then(self._first(pivot, quote, on))
            except NoRate as refusal:
                refusals.insert(0, refusal)  # half the way was found: this is what is missing
        raise _telling(refusals)

    def _first(self, base: str, quote: str, on: date) -> FxRate:
        """What the first source that knows the pair says. Raises `NoRate` of the last one, or one with a day."""
        refusals: list[NoRate] = []
        for source in self._sources:
            try:
                return source.rate(base, quote, on)
            except NoRate as refusal:
                refusals.insert(0, refusal)
        raise _telling(refusals)


def _telling(refusals: Sequence[NoRate]) -> NoRate:
    """The refusal that helps most: one that knows a day with a rate, else the first."""
    return next((one for one in refusals if one.nearest is not None), refusals[0])
