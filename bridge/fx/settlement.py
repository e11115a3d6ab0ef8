"""A settlement price in the one currency in which an exchange keeps its positions."""

from dataclasses import dataclass
from datetime import date
from math import ceil

from exchange.checks import check_currency
from exchange.errors import InvalidTerms
from exchange.fx import FxRate, RateSource, convert
from exchange.points import MicroUnits
from exchange.terms import PRICE_MAX

FIELD = "settlement_price"
"""What terms call the price, for refusals."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A price in micro-units of the settlement currency; `rate` is how it got there, None where nothing was to do."""

    price_micro: MicroUnits
    rate: FxRate | None


def to_settlement(
    price_micro: MicroUnits, currency: str, settlement_currency: str, rates: RateSource, on: date
) -> Converted:
    """The price that the contract is to hold, rounded down; no source is asked where the currency is the same.

    Raises `NoRate`, and `InvalidTerms` where the code is none, or where a price would come to nothing or to more than
    the contract holds.
    """
    check_currency("currency", currency)
    if currency == settlement_currency:
        return Converted(price_micro, None)
    rate = rates.rate(currency, settlement_currency, on)
    converted = convert(price_micro, rate)
    if price_micro > 0 and converted < 1:
        # The least price in the terms' own currency that comes to one micro-unit here.
        least = ceil(1 / rate.rate)
        raise InvalidTerms(
            f"a {FIELD} of {price_micro} micro-units of {currency} comes to less than one of {settlement_currency}:"
            f" {rate}",
            field=FIELD,
            limit=least,
            nearest=least,
        )
    if converted > PRICE_MAX:
        # The largest price whose conversion, rounded down, is still within it.
        most = ceil((PRICE_MAX + 1) / rate.rate) - 1
        raise InvalidTerms(
            f"a {FIELD} of {price_micro} micro-units of {currency} comes to {converted} of {settlement_currency};"
            f" the contract holds at most {PRICE_MAX}: {rate}",
            field=FIELD,
            limit=most,
            nearest=most,
        )
    return Converted(converted, rate)
