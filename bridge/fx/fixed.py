"""Rates that a person states in a file: pegs, and currencies that no other source knows.

The file is TOML, one table for each rate and the day from which it holds; the next one of the same pair ends it:

    [[rate]]
    base = "USD"
    quote = "SAR"
    rate = "3.75"            # what one unit of base is in quote; digits are taken as they stand
    since = 2003-01-01
    source = "Saudi Central Bank, official peg"
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from exchange.checks import NAME_MAX
from exchange.errors import Invalid
from exchange.fx import FxRate, no_rate, same_currency

RATES_MAX = 1_000
"""Rates in one file."""

FILE_BYTES_MAX = 1_000_000

FIELDS = ("base", "quote", "rate", "since", "source")

_RATE = re.compile(r"\d{1,15}(\.\d{1,15})?")
_CODE = re.compile(r"[A-Z]{3}")


class InvalidFxFile(Invalid):
    """Raised when the file of fixed rates of exchange cannot be used; `field` says where, such as rate.2.since."""

    type = "invalid-fx-file"


@dataclass(frozen=True, slots=True)
class Stated:
    """A rate that holds from a day on: one unit of `base` is `rate` of `quote`."""

    base: str
    quote: str
    rate: Fraction
    since: date
    source: str

    def on(self, day: date) -> FxRate:
        """The rate as it held on this day."""
        return FxRate(self.base, self.quote, self.rate, day, f"{self.source}, fixed since {self.since.isoformat()}")


class FixedRates:
    """A `RateSource` of stated rates, each of which serves both ways. Raises `InvalidFxFile` for two of one day."""

    def __init__(self, stated: Iterable[Stated]) -> None:
        self._of: dict[tuple[str, str], list[Stated]] = {}
        for one in sorted(stated, key=lambda each: each.since):
            if (one.quote, one.base) in self._of:
                raise InvalidFxFile(
                    f"{one.base}/{one.quote} is stated both ways; state it one way, the other follows", field="rate"
                )
            held = self._of.setdefault((one.base, one.quote), [])
            if held and held[-1].since == one.since:
                raise InvalidFxFile(f"{one.base}/{one.quote} has two rates since {one.since}", field="rate")
            held.append(one)

    @property
    def currencies(self) -> tuple[str, ...]:
        """Every currency that has a rate here."""
        return tuple(dict.fromkeys(code for pair in self._of for code in pair))

    def rate(self, base: str, quote: str, on: date) -> FxRate:
        """The stated rate that held on the day; its `date` is that day itself. Raises `NoRate`."""
        if base == quote:
            return same_currency(base, on)
        if (quote, base) in self._of:
            return self._held(quote, base, on).inverse()
        return self._held(base, quote, on)

    def _held(self, base: str, quote: str, on: date) -> FxRate:
        held = self._of.get((base, quote), [])
        if not held:
            raise no_rate(base, quote, on, "the file of fixed rates has no such pair")
        place = bisect_right(held, on, key=lambda each: each.since)
        if place == 0:
            first = held[0].since
            raise no_rate(base, quote, on, f"the file of fixed rates has it since {first}", nearest=first)
        return held[place - 1].on(on)


def read_file(path: Path) -> FixedRates:
    """The fixed rates in the file at `path`. Raises `InvalidFxFile`."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InvalidFxFile(f"{path} has more than {FILE_BYTES_MAX:,} bytes", limit=FILE_BYTES_MAX)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise InvalidFxFile(f"{path} cannot be read: {failure}", field="fx_file") from failure
    return parse(text)


def parse(text: str) -> FixedRates:
    """The fixed rates in a TOML text. Raises `InvalidFxFile`."""
    try:
        # Numbers with a decimal point stay the text that they are: a float would not be the rate that was written.
        found = tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as failure:
        raise InvalidFxFile(f"the file of fixed rates is no TOML: {failure}", field="fx_file") from failure
    rows = found.pop("rate", None)
    if found:
        raise InvalidFxFile(f"only [[rate]] tables are known, not {next(iter(found))!r}", field=next(iter(found)))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidFxFile("the file of fixed rates has one [[rate]] table for each rate", field="rate")
    if len(rows) > RATES_MAX:
        raise InvalidFxFile(f"a file has at most {RATES_MAX} rates", field="rate", limit=RATES_MAX)
    return FixedRates(_stated(row, f"rate.{place}") for place, row in enumerate(rows))


def _stated(row: Mapping[str, Any], where: str) -> Stated:
    for name in (*FIELDS, *row):
        if name not in row:
            raise InvalidFxFile(f"{where} lacks {name}", field=f"{where}.{name}")
        if name not in FIELDS:
            raise InvalidFxFile(
                f"{where} has the unknown {name}; known are {', '.join(FIELDS)}", field=f"{where}.{name}"
            )
    base, quote = (_code(row, name, where) for name in ("base", "quote"))
    if base == quote:
        raise InvalidFxFile(f"{where} is between two different currencies", field=f"{where}.quote")
    since, source = row["since"], row["source"]
    if type(since) is not date:  # a time of day is a date to isinstance, and none here
        raise InvalidFxFile(f"{where}.since is a day, such as 2003-01-01, without quotes", field=f"{where}.since")
    if not isinstance(source, str) or not 1 <= len(source) <= NAME_MAX:
        raise InvalidFxFile(f"{where}.source says in 1 to {NAME_MAX} characters who fixed it", field=f"{where}.source")
    return Stated(base, quote, _number(row["rate"], where), since, source)


def _code(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row[name]
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise InvalidFxFile(f"{where}.{name} is three capital letters, such as USD", field=f"{where}.{name}")
    return value


def _number(value: object, where: str) -> Fraction:
    text = str(value) if type(value) in (int, str) else ""
    # Plain ASCII digits: other scripts' digits, exponents, signs, inf and nan are no rates.
    if not (text.isascii() and _RATE.fullmatch(text)) or Fraction(text) == 0:
        raise InvalidFxFile(f'{where}.rate is a number above zero, such as "3.75"', field=f"{where}.rate")
    return Fraction(text)
