"""A price of terms in the settlement currency."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.fx.fixed import parse
from bridge.fx.settlement import to_settlement
from exchange.errors import InvalidTerms, NoRate
from exchange.points import MicroUnits
from exchange.terms import PRICE_MAX

DAY = date(2026, 10, 30)
RATES = parse(
    """
    rate = [
        {base = "SAR", quote = "USD", rate = "0.26", since = 2000-01-01, source = "made up"},
        {base = "BHD", quote = "USD", rate = "2.65", since = 2000-01-01, source = "made up"},
    ]
    """
)


def test_to_settlement__of_the_same_currency__asks_nobody() -> None:
    same = to_settlement(MicroUnits(7), "USD", "USD", RATES, DAY)
    assert (same.price_micro, same.rate) == (7, None)


def test_to_settlement__then_rounds_down_and_names_the_rate() -> None:
    found = to_settlement(MicroUnits(10_001), "SAR", "USD", RATES, DAY)
    assert found.price_micro == 2_600  # 2,600.26
    assert found.rate is not None
    assert (found.rate.rate, found.rate.date) == (Fraction("0.26"), DAY)


def test_to_settlement__of_nothing__is_nothing() -> None:
    assert to_settlement(MicroUnits(0), "SAR", "USD", RATES, DAY).price_micro == 0


@given(st.integers(1, PRICE_MAX).map(MicroUnits), st.sampled_from(["SAR", "BHD"]))
def test_to_settlement__then_is_within_what_the_contract_holds_or_refused_with_the_nearest(
    price: MicroUnits, currency: str
) -> None:
    try:
        found = to_settlement(price, currency, "USD", RATES, DAY).price_micro
    except InvalidTerms as refusal:
        found = to_settlement(MicroUnits(int(refusal.nearest or 0)), currency, "USD", RATES, DAY).price_micro
    assert 1 <= found <= PRICE_MAX


@pytest.mark.parametrize(
    ("price", "currency", "beyond"),
    [(3, "SAR", 1), (PRICE_MAX, "BHD", -1)],
    ids=["comes to nothing", "more than the contract holds"],
)
def test_to_settlement__out_of_bounds__is_refused_with_the_nearest_price(
    price: int, currency: str, beyond: int
) -> None:
    with pytest.raises(InvalidTerms) as refused:
        to_settlement(MicroUnits(price), currency, "USD", RATES, DAY)
    assert refused.value.field == "settlement_price"
    nearest = refused.value.nearest
    assert isinstance(nearest, int)
    assert 1 <= to_settlement(MicroUnits(nearest), currency, "USD", RATES, DAY).price_micro <= PRICE_MAX
    with pytest.raises(InvalidTerms):  # and it is the nearest one
        to_settlement(MicroUnits(nearest - beyond), currency, "USD", RATES, DAY)


@pytest.mark.parametrize("currency", ["", "usd", "US", "DOLLAR", "ÄÖÜ"])
def test_to_settlement__of_no_currency__is_refused(currency: str) -> None:
    with pytest.raises(InvalidTerms) as refused:
        to_settlement(MicroUnits(1), currency, "USD", RATES, DAY)
    assert refused.value.field == "currency"


def test_to_settlement__without_a_rate__is_refused() -> None:
    with pytest.raises(NoRate) as refused:
        to_settlement(MicroUnits(1), "QAR", "USD", RATES, DAY)
    assert refused.value.field == "currency"
