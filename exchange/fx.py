"""Money in several currencies: dated rates of exchange, where they come from, and what points are worth by them.

A rate is an exact fraction with the day on which it held and the name of who published it, so that whoever reads an
amount can see how it came about. Nothing here is rounded before the amount itself is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import floor
from typing import Protocol

from exchange.errors import NoRate
from exchange.explanation import Worth, money
from exchange.points import MicroUnits

SAME = "the same currency"
"""The source of a rate between a currency and itself."""

PLACES_MAX = 10
"""Decimal places that a rate is shown with where they say it exactly."""

DIGITS_SHOWN = 8
"""Significant digits that any other rate is shown with."""


@dataclass(frozen=True, slots=True)
class FxRate:
    """One unit of `base` is `rate` units of `quote`, as `source` had it on the day `date`."""

    base: str
    quote: str
    rate: Fraction
    date: date
    source: str

    def __post_init__(self) -> None:
        # Who reads rates from outside checks them there; from here on a rate that is no rate is a bug.
        assert isinstance(self.rate, Fraction) and self.rate > 0

    def __str__(self) -> str:
        return f"1 {self.base} = {decimal_text(self.rate)} {self.quote} on {self.date.isoformat()} ({self.source})"

    def inverse(self) -> "FxRate":
        """The same rate, seen from the other currency."""
        return FxRate(self.quote, self.base, 1 / self.rate, self.date, self.source)

    def then(self, onward: "FxRate") -> "FxRate":
        """This rate and one that goes on from its `quote`, as one: exact, and as old as the older of the two."""
        assert onward.base == self.quote, "the second rate begins where the first one ends"
        sources = dict.fromkeys(each.source for each in (self, onward) if each.source != SAME)
        joined = "; ".join(sources) or SAME
        return FxRate(self.base, onward.quote, self.rate * onward.rate, min(self.date, onward.date), joined)

    def record(self) -> dict[str, str]:
        """The rate in plain texts, to be kept: `rate` is the exact fraction, such as 217/200."""
        return {
            "base": self.base,
            "quote": self.quote,
            "rate": str(self.rate),
            "date": self.date.isoformat(),
            "source": self.source,
        }


class RateSource(Protocol):
    """Whoever knows rates of exchange.

    A source is asked from several threads at once, and answers the same for ever unless its data is replaced.
    """

    def rate(self, base: str, quote: str, on: date) -> FxRate:
        """What one unit of `base` was in `quote` on the day `on`, or on the latest day before that has a rate.

        A currency in itself is exactly 1, whether or not the source knows it. Raises `NoRate`, whose `detail` names
        the currency that lacks a rate and whose `nearest` is the nearest day with one, if there is any.
        """


def same_currency(currency: str, on: date) -> FxRate:
    """One of a currency is one of it."""
    return FxRate(currency, currency, Fraction(1), on, SAME)


def convert(micro: MicroUnits, rate: FxRate) -> MicroUnits:
    """Micro-units of the rate's `base` in micro-units of its `quote`, rounded down."""
    return MicroUnits(floor(micro * rate.rate))


@dataclass(frozen=True, slots=True)
class PointValue:
    """What one point is worth when it is redeemed at home: `micro` micro-units of `currency`."""

    micro: MicroUnits
    currency: str


@dataclass(frozen=True, slots=True)
class Valuation:
    """What points are worth in one currency, and the rates by which that was found."""

    worth: Worth
    rates: tuple[FxRate, ...]


def valuation(source: PointValue, destination: PointValue, display: str, rates: RateSource, on: date) -> Valuation:
    """What a point given and a point received are worth in the currency `display`, unrounded, with the rates used.

    The note names each value at home and each rate with its day. Raises `NoRate`.
    """
    used = {code: rates.rate(code, display, on) for code in dict.fromkeys((source.currency, destination.currency))}
    given, received = (value.micro * used[value.currency].rate for value in (source, destination))
    converted = tuple(rate for code, rate in used.items() if code != display)
    return Valuation(Worth(given, received, display, _note(source, destination, converted)), converted)


def worth(source: PointValue, destination: PointValue, display: str, rates: RateSource, on: date) -> Worth:
    """What `valuation` finds, without its rates: the note names them. Raises `NoRate`."""
    return valuation(source, destination, display, rates, on).worth


def _note(source: PointValue, destination: PointValue, converted: Iterable[FxRate]) -> str:
    at_home = f"a point is {_each(source)} there and {_each(destination)} here"
    return "; ".join([at_home, *map(str, converted)])


def _each(value: PointValue) -> str:
    return f"{money(value.micro)} {value.currency}"


def decimal_text(rate: Fraction) -> str:
    """A rate as a decimal number: exactly where ten places say it, else to eight digits, and "about" unless exact."""
    scaled = rate * 10**PLACES_MAX
    if scaled.denominator == 1:
        return _placed(scaled.numerator, PLACES_MAX)
    places = DIGITS_SHOWN - _magnitude(rate)
    digits = round(rate * Fraction(10) ** places)
    text = _placed(digits, places) if places > 0 else str(digits * 10**-places)
    return text if digits == rate * Fraction(10) ** places else f"about {text}"


def _magnitude(rate: Fraction) -> int:
    """How many digits stand before the decimal point; below zero the number of zeros right behind it."""
    if rate >= 1:
        return len(str(floor(rate)))
    return 1 - len(str(floor(1 / rate)))


def _placed(digits: int, places: int) -> str:
    whole, rest = divmod(digits, 10**places)
    shown = f"{rest:0{places}}".rstrip("0")
    return f"{whole}.{shown}" if shown else str(whole)


def no_rate(base: str, quote: str, on: date, why: str, *, nearest: date | None = None) -> NoRate:
    """The refusal of a source, for it to raise: which rate is missing, for which day, and why.

    Its `field` is `currency`; whoever asked for somebody else names the part of that request instead.
    """
    day = None if nearest is None else nearest.isoformat()
    known = "" if day is None else f"; the nearest day that has one is {day}"
    detail = f"no rate from {base} to {quote} for {on.isoformat()}: {why}{known}"
    return NoRate(detail, field="currency", nearest=day)
