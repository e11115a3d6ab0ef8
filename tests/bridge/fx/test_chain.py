"""Several sources as one: their order, and crossings between them."""

from datetime import date
from fractions import Fraction

import pytest

from bridge.fx.chain import Chain
from bridge.fx.ecb import EcbRates
from bridge.fx.fixed import parse
from exchange.errors import NoRate
from tests.bridge.fx.test_fixed import PEGS

DAY = date(2014, 3, 28)  # the ECB published 1.3759 USD and 1.2186 CHF for a euro
BANK = EcbRates()
BOTH = Chain((parse(PEGS), BANK), ("EUR", "USD", "SAR", "AED"))


def test_rate__that_two_sources_know__is_the_first_ones() -> None:
    own = parse('[[rate]]\nbase="EUR"\nquote="USD"\nrate="1.5"\nsince=2000-01-01\nsource="us"')
    assert Chain((own, BANK)).rate("EUR", "USD", DAY).rate == Fraction("1.5")
    assert Chain((BANK, own)).rate("EUR", "USD", DAY).rate == Fraction("1.3759")
    # Before the first source has one, the next is asked.
    assert Chain((own, BANK)).rate("EUR", "USD", date(1999, 1, 4)).rate == Fraction("1.1789")


@pytest.mark.parametrize(
    ("base", "quote", "rate"),
    [
        ("USD", "SAR", Fraction("3.75")),
        ("EUR", "SAR", Fraction("1.3759") * Fraction("3.75")),
        ("SAR", "CHF", 1 / Fraction("3.75") / Fraction("1.3759") * Fraction("1.2186")),
        ("SAR", "AED", Fraction("3.6725") / Fraction("3.75")),
        ("CHF", "AED", Fraction("1.3759") / Fraction("1.2186") * Fraction("3.6725")),
    ],
)
def test_rate__across_sources__is_exact_both_ways(base: str, quote: str, rate: Fraction) -> None:
    assert BOTH.rate(base, quote, DAY).rate == rate
    assert BOTH.rate(quote, base, DAY).rate == 1 / rate


def test_rate__across_sources__is_as_old_as_the_older_and_names_both() -> None:
    sunday = date(2014, 3, 30)
    found = BOTH.rate("EUR", "SAR", sunday)
    assert found.date == DAY
    assert found.source == "ECB reference rates; Saudi Central Bank, fixed since 1987-01-01"
    assert BOTH.rate("USD", "SAR", sunday).date == sunday


def test_rate__of_a_currency_in_itself__is_one() -> None:
    assert BOTH.rate("QAR", "QAR", DAY).rate == 1


def test_rate__that_no_source_knows__says_how_to_supply_it() -> None:
    for pair in (("QAR", "EUR"), ("SAR", "QAR")):
        with pytest.raises(NoRate, match=r"no rate of QAR; .*SARRAF_FX_FILE") as refused:
            BOTH.rate(*pair, DAY)
        assert refused.value.nearest is None


def test_rate__that_another_day_has__is_refused_with_that_day() -> None:
    with pytest.raises(NoRate) as refused:
        BOTH.rate("EUR", "RUB", date(2026, 1, 1))
    assert refused.value.nearest == "2022-03-01"
    with pytest.raises(NoRate) as early:
        BOTH.rate("USD", "AED", date(1990, 1, 1))
    assert early.value.nearest == "1997-11-01"
