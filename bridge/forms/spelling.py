"""Spellings: ratios, shares, money and moments as people write them, read into whole numbers exactly.

Whatever can be read is written back such that it reads as the same value again.
"""

import calendar
import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from exchange.errors import InvalidRatio, InvalidTerms
from exchange.points import POINTS_MAX, MicroUnits, Points
from exchange.ratio import Ratio

DECIMALS_MAX = 6
"""Digits after the point in a ratio or in money: micro-units have no more."""

SHARE_DECIMALS_MAX = 12
"""Digits after the point in a share, whose other side must stay an amount."""

MOMENT_MAX = 253_402_300_799
"""The last second of the year 9999, the last one that has a date of four digits."""

DAY_S = 86_400
MONTHS = 12

_NUMBER = rf"\d{{1,15}}(?:\.\d{{1,{DECIMALS_MAX}}})?"
RATIO_PATTERN = rf"^{_NUMBER} ?: ?{_NUMBER}$"
ROW_PATTERN = r"^\d{1,15} ?: ?\d{1,15}$"
SHARE_PATTERN = rf"^(?:\d{{1,15}}(?:\.\d{{1,{SHARE_DECIMALS_MAX}}})?%|{_NUMBER} ?: ?{_NUMBER})$"
MONEY_PATTERN = rf"^[A-Z]{{3}} \d{{1,13}}(?:\.\d{{1,{DECIMALS_MAX}}})?$"
MOMENT_PATTERN = r"^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2}))?$"

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Money:
    """Micro-units of a currency."""

    currency: str
    micro: MicroUnits


def ratio_of(text: object) -> Ratio:
    """`3:1` as a ratio: three source points become one.

    Two whole numbers are kept as they are written. Decimals are made whole exactly, in lowest terms: `2:1.5` is 4:3.
    Raises `InvalidRatio`.
    """
    if not isinstance(text, str) or not _matches(RATIO_PATTERN, text):
        raise InvalidRatio("a ratio is two numbers, such as 3:1: source points, then destination points")
    left, right = (side.strip() for side in text.split(":"))
    from_side, to_side = Fraction(left), Fraction(right)
    if not from_side or not to_side:
        exact = (to_side or Fraction(1)) / (from_side or Fraction(1))
        nearest = _clamped(exact.denominator, exact.numerator)
        raise InvalidRatio("both sides of a ratio are more than 0", limit=1, nearest=str(nearest))
    if "." not in text:
        return _ratio(int(left), int(right), str)
    exact = to_side / from_side
    return _ratio(exact.denominator, exact.numerator, str)


def _ratio(from_side: int, to_side: int, spell: Callable[[Ratio], str]) -> Ratio:
    """The ratio of two sides; a refusal tells the nearest one as it is spelt."""
    try:
        return Ratio(Points(from_side), Points(to_side))
    except InvalidRatio as refusal:
        nearest = spell(_clamped(from_side, to_side))
        raise InvalidRatio(refusal.detail, field=refusal.field, limit=refusal.limit, nearest=nearest) from None


def _clamped(from_side: int, to_side: int) -> Ratio:
    """The ratio whose sides are the nearest that a ratio may have."""
    return Ratio(*(Points(min(max(side, 1), POINTS_MAX)) for side in (from_side, to_side)))


def row_of(text: object) -> Ratio:
    """`3000:1500` as an amount in and what exactly it gives. Raises `InvalidRatio`."""
    if not isinstance(text, str) or not _matches(ROW_PATTERN, text):
        raise InvalidRatio("a row is an amount and what it gives in whole points, such as 3000:1500")
    return ratio_of(text)


def share_of(text: object) -> Ratio:
    """`15%` as 100:15 and `12.5%` as 1000:125; or two numbers, as in a ratio.

    Raises `InvalidRatio`.
    """
    if not isinstance(text, str) or not _matches(SHARE_PATTERN, text):
        raise InvalidRatio("a share is a percentage, such as 15% or 12.5%")
    if not text.endswith("%"):
        return ratio_of(text)
    whole, _, decimals = text.removesuffix("%").partition(".")
    return _ratio(100 * 10 ** len(decimals), int(whole + decimals), spell_share)


def spell_share(share: Ratio) -> str:
    """A share as a percentage where it is one of hundred, thousand and so on; otherwise as two numbers."""
    hundreds, rest = divmod(share.from_units, 100)
    digits = str(hundreds)
    if rest or digits.strip("0") != "1":
        return str(share)
    places = len(digits) - 1
    text = str(share.to_units).rjust(places + 1, "0")
    return f"{text[: len(text) - places]}.{text[len(text) - places :]}%" if places else f"{text}%"


def money_of(text: object) -> Money:
    """`SGD 27.25` as 27,250,000 micro-units of SGD. Raises `InvalidTerms`."""
    if not isinstance(text, str) or not _matches(MONEY_PATTERN, text):
        raise InvalidTerms(
            f"money is a currency and a number with at most {DECIMALS_MAX} decimals, such as SGD 27.25",
            nearest=_money_meant(text),
        )
    currency, number = text.split(" ")
    whole, _, decimals = number.partition(".")
    return Money(currency, MicroUnits(int(whole) * _MICRO + int(decimals.ljust(DECIMALS_MAX, "0"))))


def _money_meant(text: object) -> str | None:
    """What is money but for small letters, or a currency that stands behind."""
    parts = text.upper().split(" ") if isinstance(text, str) else []
    ways = [" ".join(parts), " ".join(reversed(parts))]
    return next((way for way in ways if _matches(MONEY_PATTERN, way)), None)


def spell_money(money: Money) -> str:
    """Money with as many decimals as it needs, none or at least two: `USD 5`, `SGD 27.50`, `USD 0.0006`."""
    whole, rest = divmod(money.micro, _MICRO)
    decimals = f"{rest:0{DECIMALS_MAX}}".rstrip("0").ljust(2, "0") if rest else ""
    return f"{money.currency} {whole}.{decimals}" if decimals else f"{money.currency} {whole}"


def moment_of(text: object) -> int:
    """A moment in Unix seconds: `2026-02-23` is the beginning of that day in UTC, `2026-02-23T10:00:00+08:00` a second.

    Raises `InvalidTerms`.
    """
    if not isinstance(text, str) or not _matches(MOMENT_PATTERN, text):
        raise InvalidTerms(
            "a moment is a day, such as 2026-02-23, or a time with its zone, such as 2026-02-23T10:00:00Z"
        )
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidTerms(f"there is no such moment as {text}", nearest=_moment_meant(text)) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    seconds = (moment - _EPOCH) // datetime.timedelta(seconds=1)
    if not 0 <= seconds <= MOMENT_MAX:
        bound = spell_moment(0 if seconds < 0 else MOMENT_MAX)
        raise InvalidTerms("a moment is in the years 1970 to 9999 in UTC", limit=bound, nearest=bound)
    return seconds


def _moment_meant(text: str) -> str | None:
    """The same with the last day of its month, where there is no such day; None where something else is wrong."""
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    if year < datetime.MINYEAR or not 1 <= month <= MONTHS:
        return None
    last = calendar.monthrange(year, month)[1]
    if 1 <= day <= last:
        return None  # the time is wrong
    nearest = f"{text[:8]}{min(max(day, 1), last):02}{text[10:]}"
    try:
        moment_of(nearest)
    except InvalidTerms as refusal:  # the time is wrong too, or the year is before all
        return None if refusal.nearest is None else str(refusal.nearest)
    return nearest


def spell_moment(seconds: int) -> str:
    """Unix seconds as a day where one begins then, otherwise as a time in UTC. Raises `InvalidTerms` beyond 9999."""
    if not 0 <= seconds <= MOMENT_MAX:
        raise InvalidTerms("a moment is in the years 1970 to 9999 in UTC", limit="9999-12-31")
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%d}" if seconds % DAY_S == 0 else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _matches(pattern: str, text: str) -> bool:
    return text.isascii() and not text.endswith("\n") and re.match(pattern, text) is not None
