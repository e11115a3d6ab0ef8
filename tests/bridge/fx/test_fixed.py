"""Fixed rates: what a file may say, and what holds on which day."""

from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from bridge.fx import fixed
from bridge.fx.fixed import InvalidFxFile, parse, read_file
from exchange.errors import NoRate

PEGS = """
[[rate]]
base = "USD"
quote = "SAR"
rate = "3.75"
since = 1987-01-01
source = "Saudi Central Bank"

[[rate]]
base = "USD"
quote = "AED"
rate = 3.6725
since = 1997-11-01
source = "Central Bank of the UAE"

[[rate]]
base = "USD"
quote = "AED"
rate = 4
since = 2030-01-01
source = "made up"
"""
DAY = date(2026, 10, 30)


def test_rate__of_a_peg__is_exact_both_ways_and_of_the_day_itself() -> None:
    pegs = parse(PEGS)
    found = pegs.rate("USD", "SAR", DAY)
    assert (found.base, found.quote, found.rate, found.date) == ("USD", "SAR", Fraction(15, 4), DAY)
    assert found.source == "Saudi Central Bank, fixed since 1987-01-01"
    back = pegs.rate("SAR", "USD", DAY)
    assert (back.base, back.quote, back.rate, back.date) == ("SAR", "USD", Fraction(4, 15), DAY)


def test_rate__written_as_a_number__is_the_digits_and_not_a_float() -> None:
    assert parse(PEGS).rate("USD", "AED", DAY).rate == Fraction(36725, 10_000)


@pytest.mark.parametrize(
    ("day", "rate"),
    [(date(1997, 11, 1), "3.6725"), (date(2029, 12, 31), "3.6725"), (date(2030, 1, 1), "4"), (date.max, "4")],
)
def test_rate__of_a_pair_that_changes__is_the_one_that_held(day: date, rate: str) -> None:
    assert parse(PEGS).rate("USD", "AED", day).rate == Fraction(rate)


def test_rate__before_it_held__is_refused_with_its_first_day() -> None:
    with pytest.raises(NoRate) as refused:
        parse(PEGS).rate("AED", "USD", date(1997, 10, 31))
    assert refused.value.nearest == "1997-11-01"


@pytest.mark.parametrize("pair", [("SAR", "AED"), ("EUR", "SAR"), ("QAR", "USD")])
def test_rate__of_a_pair_that_is_not_stated__is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(NoRate) as refused:
        parse(PEGS).rate(*pair, DAY)
    assert (refused.value.field, refused.value.nearest) == ("currency", None)


def test_rate__of_a_currency_in_itself__is_one() -> None:
    assert parse(PEGS).rate("QAR", "QAR", DAY).rate == 1


def test_currencies__then_are_those_with_a_rate() -> None:
    assert set(parse(PEGS).currencies) == {"USD", "SAR", "AED"}


GOOD = {"base": '"USD"', "quote": '"QAR"', "rate": '"3.64"', "since": "2001-07-01", "source": '"Qatar Central Bank"'}


def _text(**change: str | None) -> str:
    rows = GOOD | change
    return "[[rate]]\n" + "\n".join(f"{name} = {value}" for name, value in rows.items() if value is not None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        *(({name: None}, f"rate.0.{name}") for name in GOOD),
        ({"until": "2030-01-01"}, "rate.0.until"),
        ({"base": '"usd"'}, "rate.0.base"),
        ({"base": "1"}, "rate.0.base"),
        ({"quote": '"DOLLAR"'}, "rate.0.quote"),
        ({"quote": '"QAR\\n"'}, "rate.0.quote"),
        ({"quote": '"ÄÖÜ"'}, "rate.0.quote"),
        ({"quote": '"USD"'}, "rate.0.quote"),
        *(
            ({"rate": rate}, "rate.0.rate")
            for rate in ("0", '"0.0"', "-1", '"-1"', '"1e3"', "1e3", "nan", "inf", '"1/3"', '""', "true", '"٣"', "[1]")
        ),
        ({"rate": '"' + "9" * 16 + '"'}, "rate.0.rate"),
        ({"since": '"2001-07-01"'}, "rate.0.since"),
        ({"since": "2001-07-01T00:00:00"}, "rate.0.since"),
        ({"source": '""'}, "rate.0.source"),
        ({"source": f'"{"s" * 65}"'}, "rate.0.source"),
        ({"source": "1"}, "rate.0.source"),
    ],
)
def test_file__with_a_row_that_cannot_be__is_refused_and_names_it(change: dict[str, str | None], field: str) -> None:
    assert parse(_text()).rate("USD", "QAR", DAY).rate == Fraction("3.64")
    with pytest.raises(InvalidFxFile) as refused:
        parse(_text(**change))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "rate"),
        ("rate = 1", "rate"),
        ("rate = [1]", "rate"),
        (f"{_text()}\n[other]\n", "other"),
        ("[[rate]", "fx_file"),
        (f"{_text()}\n{_text()}", "rate"),
        (_text() + "\n" + _text(base='"QAR"', quote='"USD"', since="2002-01-01"), "rate"),
        ("\n".join([_text()] * (fixed.RATES_MAX + 1)), "rate"),
    ],
    ids=["empty", "a number", "numbers", "another table", "no TOML", "twice", "both ways", "too many"],
)
def test_file__that_cannot_be_used__is_refused(text: str, field: str) -> None:
    with pytest.raises(InvalidFxFile) as refused:
        parse(text)
    assert refused.value.field == field


def test_read_file__then_gives_its_rates(tmp_path: Path) -> None:
    file = tmp_path / "fx.toml"
    file.write_text(PEGS)
    assert read_file(file).rate("USD", "SAR", DAY).rate == Fraction("3.75")


def test_read_file__that_is_missing_or_no_text_or_too_long__is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "fx.toml"
    with pytest.raises(InvalidFxFile, match="cannot be read"):
        read_file(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidFxFile, match="cannot be read"):
        read_file(file)
    file.write_text(PEGS)
    monkeypatch.setattr(fixed, "FILE_BYTES_MAX", len(PEGS) - 1)
    with pytest.raises(InvalidFxFile, match="more than") as refused:
        read_file(file)
    assert refused.value.limit == len(PEGS) - 1
