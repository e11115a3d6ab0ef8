"""Rates of exchange: exact, dated, and what points are worth by them."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import NoRate
from exchange.fx import SAME, FxRate, PointValue, convert, decimal_text, no_rate, same_currency, valuation, worth
from exchange.points import MicroUnits

DAY = date(2026, 10, 30)
OLDER = date(2026, 10, 29)

RATES = st.fractions(min_value=Fraction(1, 10**6), max_value=10**6, max_denominator=10**9)
MICROS = st.integers(0, 2**63 - 1).map(MicroUnits)


def rate_of(text: str, base: str = "EUR", quote: str = "USD", day: date = DAY, source: str = "a bank") -> FxRate:
    return FxRate(base, quote, Fraction(text), day, source)


class Known:
    """A source of the rates it is given."""

    def __init__(self, *rates: FxRate) -> None:
        self.rates = {(one.base, one.quote): one for one in rates}
        self.asked: list[tuple[str, str]] = []

    def rate(self, base: str, quote: str, on: date) -> FxRate:
        self.asked.append((base, quote))
        if base == quote:
            return same_currency(base, on)
        if (base, quote) not in self.rates:
            raise no_rate(base, quote, on, "nobody said")
        return self.rates[base, quote]


@given(MICROS, RATES)
def test_convert__then_rounds_down_and_by_less_than_one(micro: MicroUnits, rate: Fraction) -> None:
    got = convert(micro, FxRate("EUR", "USD", rate, DAY, "a bank"))
    assert type(got) is int
    assert 0 <= micro * rate - got < 1


@given(MICROS)
def test_convert__to_the_same_currency__changes_nothing(micro: MicroUnits) -> None:
    assert convert(micro, same_currency("SAR", DAY)) == micro


def test_convert__of_a_known_amount__is_what_a_person_reckons() -> None:
    assert convert(MicroUnits(1_000_001), rate_of("1.1172")) == 1_117_201
    assert convert(MicroUnits(8_000), rate_of("1.1172").inverse()) == 7_160  # 8,000 / 1.1172 = 7,160.759...


@given(RATES, RATES)
def test_then__of_a_rate_and_its_inverse__is_exactly_one(first: Fraction, second: Fraction) -> None:
    there = FxRate("EUR", "USD", first, DAY, "a bank")
    onward = FxRate("USD", "SAR", second, DAY, "another")
    assert there.then(there.inverse()).rate == 1
    assert there.then(onward).rate == first * second
    assert there.then(onward).then(onward.inverse()).then(there.inverse()).rate == 1


def test_then__of_two_days_and_two_sources__is_of_the_older_day_and_names_both() -> None:
    crossed = rate_of("1.1172").then(rate_of("3.75", "USD", "SAR", OLDER, "a peg"))
    assert (crossed.base, crossed.quote, crossed.date, crossed.source) == ("EUR", "SAR", OLDER, "a bank; a peg")
    assert rate_of("2").then(rate_of("3", "USD", "GBP")).source == "a bank"
    assert rate_of("2").then(same_currency("USD", DAY)).source == "a bank"
    assert same_currency("USD", DAY).then(same_currency("USD", DAY)).source == SAME


def test_then__of_rates_that_do_not_meet__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        rate_of("2").then(rate_of("3", "GBP", "SAR"))


@pytest.mark.parametrize("rate", [Fraction(0), Fraction(-1), 1.5])
def test_rate__that_is_none__is_a_bug(rate: Fraction) -> None:
    with pytest.raises(AssertionError):
        FxRate("EUR", "USD", rate, DAY, "a bank")


def test_record__then_says_the_rate_exactly_in_texts() -> None:
    assert rate_of("1.1172").record() == {
        "base": "EUR",
        "quote": "USD",
        "rate": "2793/2500",
        "date": "2026-10-30",
        "source": "a bank",
    }


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        ("1", "1"),
        ("3.75", "3.75"),
        ("20275.17", "20275.17"),
        ("0.0000000001", "0.0000000001"),
        ("1/3", "about 0.33333333"),
        ("2/3", "about 0.66666667"),
        ("2500/2793", "about 0.89509488"),
        ("100000/3", "about 33333.333"),
        ("1000000000000/7", "about 142857140000"),
        ("1/30000", "about 0.000033333333"),
    ],
)
def test_decimal_text__of_a_rate__is_exact_or_says_about(rate: str, text: str) -> None:
    assert decimal_text(Fraction(rate)) == text


@given(RATES)
def test_decimal_text__then_is_off_by_less_than_a_millionth_part(rate: Fraction) -> None:
    text = decimal_text(rate)
    shown = Fraction(Decimal(text.removeprefix("about ")))
    assert abs(shown - rate) <= rate / 10**6
    assert text.startswith("about ") == (shown != rate)


def test_rate__as_text__names_the_day_and_the_source() -> None:
    assert str(rate_of("1.1172")) == "1 EUR = 1.1172 USD on 2026-10-30 (a bank)"


CENT, RIYAL = PointValue(MicroUnits(10_000), "USD"), PointValue(MicroUnits(30_000), "SAR")


def test_worth__of_one_currency__asks_for_no_other_and_names_the_values() -> None:
    rates = Known()
    found = worth(CENT, PointValue(MicroUnits(8_000), "USD"), "USD", rates, DAY)
    assert (found.source, found.destination, found.currency) == (Fraction(10_000), Fraction(8_000), "USD")
    assert found.note == "a point is 0.01 USD there and 0.008 USD here"
    assert set(rates.asked) == {("USD", "USD")}


def test_worth__of_two_currencies__is_exact_and_names_the_rate_with_its_day() -> None:
    found = valuation(RIYAL, CENT, "USD", Known(rate_of("4/15", "SAR", "USD", OLDER, "a peg")), DAY)
    assert (found.worth.source, found.worth.destination) == (Fraction(8_000), Fraction(10_000))
    assert found.worth.note == (
        "a point is 0.03 SAR there and 0.01 USD here; 1 SAR = about 0.26666667 USD on 2026-10-29 (a peg)"
    )
    assert [one.date for one in found.rates] == [OLDER]


def test_worth__in_a_third_currency__is_not_rounded_and_asks_once_for_each() -> None:
    rates = Known(rate_of("7/3", "SAR", "EUR"), rate_of("5/7", "USD", "EUR"))
    found = valuation(RIYAL, RIYAL, "EUR", rates, DAY)
    assert found.worth.source == found.worth.destination == 70_000
    assert rates.asked == [("SAR", "EUR")]
    mixed = valuation(RIYAL, CENT, "EUR", rates, DAY)
    assert (mixed.worth.destination, [one.base for one in mixed.rates]) == (Fraction(50_000, 7), ["SAR", "USD"])


def test_worth__without_a_rate__is_refused() -> None:
    with pytest.raises(NoRate) as refused:
        worth(RIYAL, CENT, "EUR", Known(), DAY)
    assert refused.value.field == "currency"
    assert "SAR" in refused.value.detail
    assert refused.value.nearest is None


def test_no_rate__with_a_day_that_has_one__names_it() -> None:
    refusal = no_rate("RUB", "USD", DAY, "it ended", nearest=date(2022, 3, 1))
    assert refusal.nearest == "2022-03-01"
    assert refusal.detail == (
        "no rate from RUB to USD for 2026-10-30: it ended; the nearest day that has one is 2022-03-01"
    )
