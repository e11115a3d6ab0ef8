"""The sources that settings ask for."""

from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from bridge.fx.fixed import InvalidFxFile
from bridge.fx.sources import rates_of
from bridge.settings import Settings
from exchange.errors import NoRate
from tests.bridge.fx.test_fixed import PEGS

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "fx.toml"
DAY = date(2014, 3, 28)


def test_rates__by_default__are_the_banks_however_old() -> None:
    rates = rates_of(Settings())
    assert rates.rate("EUR", "USD", DAY).rate == Fraction("1.3759")
    assert rates.rate("EUR", "USD", date.max).date > DAY
    with pytest.raises(NoRate):
        rates.rate("USD", "SAR", DAY)


def test_rates__with_a_file__come_from_both_and_cross_through_what_the_file_names(tmp_path: Path) -> None:
    file = tmp_path / "fx.toml"
    file.write_text(
        PEGS + '[[rate]]\nbase = "GBP"\nquote = "GIP"\nrate = 1\nsince = 1934-01-01\nsource = "Gibraltar, at par"\n'
    )
    rates = rates_of(Settings(fx_file=file))
    assert rates.rate("EUR", "SAR", DAY).rate == Fraction("1.3759") * Fraction("3.75")
    assert rates.rate("EUR", "GIP", DAY).rate == rates.rate("EUR", "GBP", DAY).rate


def test_example__in_the_docs__gives_the_rates_that_the_bank_does_not_publish() -> None:
    rates = rates_of(Settings(fx_file=EXAMPLE))
    for code, peg in (("SAR", "3.75"), ("AED", "3.6725"), ("QAR", "3.64")):
        assert rates.rate("EUR", code, DAY).rate == Fraction("1.3759") * Fraction(peg)


def test_rates__with_an_age__refuse_what_is_older() -> None:
    last = rates_of(Settings()).rate("EUR", "USD", date.max).date
    rates = rates_of(Settings(fx_age_max_days=3))
    assert rates.rate("EUR", "USD", last + timedelta(days=3)).date == last
    with pytest.raises(NoRate):
        rates.rate("EUR", "USD", last + timedelta(days=4))


def test_rates__with_a_file_that_cannot_be_used__stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidFxFile):
        rates_of(Settings(fx_file=tmp_path / "none.toml"))
