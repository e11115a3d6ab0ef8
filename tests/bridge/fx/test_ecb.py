"""The ECB's rates, held against the bundled file as it stands, read here by another way."""

import csv
import io
import threading
import zipfile
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import currency_converter
import pytest

from bridge.fx.ecb import GAP_DAYS_MAX, SOURCE, EcbRates
from exchange.errors import NoRate

BUNDLED = Path(currency_converter.__file__).parent / "eurofxref-hist.zip"


@pytest.fixture(scope="module")
def published() -> dict[str, dict[str, str]]:
    """The bank's table by day and currency: the digits as published."""
    with zipfile.ZipFile(BUNDLED) as bundle:
        text = bundle.read("eurofxref-hist.csv").decode()
    return {row["Date"]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.fixture(scope="module")
def last_day(published: dict[str, dict[str, str]]) -> date:
    return date.fromisoformat(max(published))


@pytest.fixture(scope="module")
def bank() -> EcbRates:
    return EcbRates()


#: As the ECB published them on these days, for one euro.
KNOWN = [
    (date(1999, 1, 4), "USD", "1.1789"),
    (date(2014, 3, 28), "USD", "1.3759"),
    (date(2014, 3, 28), "JPY", "140.9"),
    (date(2014, 3, 28), "BGN", "1.9558"),
]


@pytest.mark.parametrize(("day", "quote", "digits"), KNOWN)
def test_rate__of_a_known_day__is_what_the_bank_published(
    bank: EcbRates, published: dict[str, dict[str, str]], day: date, quote: str, digits: str
) -> None:
    assert published[day.isoformat()][quote] == digits
    found = bank.rate("EUR", quote, day)
    assert (found.base, found.quote, found.rate) == ("EUR", quote, Fraction(digits))
    assert (found.date, found.source) == (day, SOURCE)
    assert bank.rate(quote, "EUR", day).rate == 1 / Fraction(digits)


def test_rate__of_every_currency_on_every_hundredth_day__is_the_files(
    bank: EcbRates, published: dict[str, dict[str, str]]
) -> None:
    compared = 0
    for day in sorted(published)[::100]:
        for code, digits in published[day].items():
            if code not in ("Date", "") and digits not in ("N/A", ""):
                found = bank.rate("EUR", code, date.fromisoformat(day))
                assert (found.rate, found.date.isoformat()) == (Fraction(digits), day), (day, code)
                compared += 1
    assert compared > 1_000


def test_rate__between_two_currencies__crosses_the_euro_exactly(
    bank: EcbRates, published: dict[str, dict[str, str]]
) -> None:
    row = published["2014-03-28"]
    found = bank.rate("USD", "CHF", date(2014, 3, 28))
    assert found.rate == Fraction(row["CHF"]) / Fraction(row["USD"])
    assert found.rate * bank.rate("CHF", "USD", date(2014, 3, 28)).rate == 1
    assert found.rate == bank.rate("USD", "EUR", found.date).then(bank.rate("EUR", "CHF", found.date)).rate


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (date(2014, 3, 29), date(2014, 3, 28)),  # Saturday
        (date(2014, 3, 30), date(2014, 3, 28)),  # Sunday
        (date(2014, 4, 21), date(2014, 4, 17)),  # Easter Monday, and Good Friday before it
        (date(2014, 12, 26), date(2014, 12, 24)),
        (date(2015, 1, 1), date(2014, 12, 31)),
    ],
)
def test_rate__of_a_weekend_or_holiday__is_that_of_the_last_working_day_and_says_so(
    bank: EcbRates, published: dict[str, dict[str, str]], asked: date, answered: date
) -> None:
    assert asked.isoformat() not in published
    found = bank.rate("EUR", "USD", asked)
    assert (found.date, found.rate) == (answered, Fraction(published[answered.isoformat()]["USD"]))


def test_gap__is_longer_than_any_silence_of_the_bank(published: dict[str, dict[str, str]]) -> None:
    days = sorted(map(date.fromisoformat, published))
    assert max(later - day for day, later in pairwise(days)) <= timedelta(days=GAP_DAYS_MAX)


def test_rate__after_the_last_day_of_the_file__is_the_last_one_with_its_own_day(
    bank: EcbRates, published: dict[str, dict[str, str]], last_day: date
) -> None:
    for later in (1, 30, 3_650):
        found = bank.rate("EUR", "USD", last_day + timedelta(days=later))
        assert (found.date, found.rate) == (last_day, Fraction(published[last_day.isoformat()]["USD"]))


def test_rate__older_than_may_be__is_refused_with_the_day_that_has_one(last_day: date) -> None:
    strict = EcbRates(age_days_max=30)
    assert strict.rate("EUR", "USD", last_day + timedelta(days=30)).date == last_day
    with pytest.raises(NoRate, match="31 days older, and at most 30") as refused:
        strict.rate("EUR", "USD", last_day + timedelta(days=31))
    assert refused.value.nearest == last_day.isoformat()
    assert strict.rate("USD", "USD", date.max).rate == 1, "a currency in itself does not age"


@pytest.mark.parametrize("day", [date(1999, 1, 3), date(1970, 1, 1), date.min])
def test_rate__before_the_euro__is_refused_with_its_first_day(bank: EcbRates, day: date) -> None:
    with pytest.raises(NoRate) as refused:
        bank.rate("EUR", "USD", day)
    assert (refused.value.field, refused.value.nearest) == ("currency", "1999-01-04")


def test_rate__of_a_currency_that_ended__is_refused_with_its_last_day(bank: EcbRates) -> None:
    assert bank.rate("EUR", "RUB", date(2022, 3, 3)).date == date(2022, 3, 1)
    for day in (date(2022, 3, 1) + timedelta(days=GAP_DAYS_MAX + 1), date.max):
        for pair in (("RUB", "USD"), ("USD", "RUB")):
            with pytest.raises(NoRate, match="published both until 2022-03-01") as refused:
                bank.rate(*pair, day)
            assert refused.value.nearest == "2022-03-01"


def test_rate__of_a_currency_that_was_silent_for_years__is_refused_with_the_nearest_day(bank: EcbRates) -> None:
    # The króna: none between 2008-12-09 and 2018-02-01.
    for day, near in ((date(2009, 1, 1), "2008-12-09"), (date(2017, 12, 31), "2018-02-01")):
        with pytest.raises(NoRate, match="did not publish both then") as refused:
            bank.rate("ISK", "EUR", day)
        assert refused.value.nearest == near


def test_rate__of_currencies_that_never_met__is_refused_without_a_day(bank: EcbRates) -> None:
    with pytest.raises(NoRate, match="never published both") as refused:
        bank.rate("TRL", "TRY", date(2014, 3, 28))
    assert refused.value.nearest is None


@pytest.mark.parametrize("code", ["SAR", "AED", "QAR", "XXX", "usd", ""])
def test_rate__of_a_currency_that_the_bank_does_not_publish__says_how_to_supply_it(bank: EcbRates, code: str) -> None:
    for pair in ((code, "EUR"), ("USD", code)):
        with pytest.raises(NoRate, match="SARRAF_FX_FILE") as refused:
            bank.rate(*pair, date(2014, 3, 28))
        assert f"no rate of {code};" in refused.value.detail
        assert refused.value.nearest is None


def test_rate__of_a_currency_in_itself__is_one_without_reading_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(currency_converter, "CurrencyConverter", None)
    same = EcbRates().rate("SAR", "SAR", date(1900, 1, 1))
    assert (same.rate, same.date) == (Fraction(1), date(1900, 1, 1))


def test_file__asked_from_many_threads_at_once__is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = currency_converter.CurrencyConverter
    reads, together = [], threading.Barrier(8)

    def counted(**named: bool) -> currency_converter.CurrencyConverter:
        reads.append(named)
        return made(currency_file=currency_converter.SINGLE_DAY_CURRENCY_FILE, **named)

    monkeypatch.setattr(currency_converter, "CurrencyConverter", counted)
    bank, got = EcbRates(), []

    def ask() -> None:
        together.wait(10)
        got.append(bank.rate("EUR", "USD", date.max).rate)

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for each in askers:
        each.start()
    for each in askers:
        each.join(30)
    assert len(got) == 8 and len(set(got)) == 1
    assert reads == [{"decimal": True}], "read once, and as decimal numbers"
