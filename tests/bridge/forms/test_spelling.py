"""Spellings: texts become whole numbers exactly, and are written back as what reads the same."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.forms.spelling import (
    DECIMALS_MAX,
    MOMENT_MAX,
    Money,
    moment_of,
    money_of,
    ratio_of,
    row_of,
    share_of,
    spell_moment,
    spell_money,
    spell_share,
)
from exchange.errors import InvalidRatio, InvalidTerms
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, MicroUnits, Points
from exchange.ratio import Ratio
from tests.bridge.forms.strategies import moments
from tests.exchange.strategies import ratios


def pair(ratio: Ratio) -> tuple[int, int]:
    return ratio.from_units, ratio.to_units


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("3:1", (3, 1)),
        ("250:200", (250, 200)),
        ("3 : 1", (3, 1)),
        ("2:1.5", (4, 3)),
        ("3:1.1", (30, 11)),
        ("1.0:2.00", (1, 2)),
        ("0.000001:1", (1, 1_000_000)),
        (f"{POINTS_MAX}:1", (POINTS_MAX, 1)),
    ],
)
def test_ratio__as_it_is_published__is_two_whole_numbers(text: str, units: tuple[int, int]) -> None:
    assert pair(ratio_of(text)) == units


@pytest.mark.parametrize(
    "text",
    ["", "3", "3:", "3:1:1", "-3:1", "3/1", "3:1\n", "3:0", "0:1", "0.0:1", "1e3:1", "٣:1", 3, None, 1.5, "9" * 16],
)
def test_ratio__that_is_none__is_refused(text: object) -> None:
    with pytest.raises(InvalidRatio):
        ratio_of(text)


@pytest.mark.parametrize(
    ("read", "text", "nearest"),
    [
        (ratio_of, "0:1", "1:1"),
        (ratio_of, "0:999999999999999", f"1:{POINTS_MAX}"),
        (ratio_of, "2:0.0", "2:1"),
        (ratio_of, "999999999999999:1", f"{POINTS_MAX}:1"),
        (ratio_of, "999999999999999.5:1", f"{POINTS_MAX}:2"),
        (row_of, "0:5", "1:5"),
        (share_of, "0.00%", "0.01%"),
        (share_of, "999999999999999%", f"{POINTS_MAX}%"),
    ],
)
def test_ratio__beyond_its_bounds__is_told_the_nearest_as_it_is_written(
    read: Callable[[object], Ratio], text: str, nearest: str
) -> None:
    with pytest.raises(InvalidRatio) as refusal:
        read(text)
    assert refusal.value.nearest == nearest
    assert read(nearest)


def test_row__keeps_its_numbers_and_has_no_decimals() -> None:
    assert pair(row_of("3000:1500")) == (3000, 1500)
    with pytest.raises(InvalidRatio):
        row_of("3000:1500.5")


@pytest.mark.parametrize(
    ("text", "units"),
    [("15%", (100, 15)), ("12.5%", (1000, 125)), ("100%", (100, 100)), ("0.05%", (10000, 5)), ("7:1", (7, 1))],
)
def test_share__as_it_is_published__is_exact(text: str, units: tuple[int, int]) -> None:
    share = share_of(text)
    assert pair(share) == units
    assert spell_share(share) == text


@given(ratios())
def test_share_and_ratio__written__read_as_themselves(ratio: Ratio) -> None:
    assert share_of(spell_share(ratio)) == ratio
    assert ratio_of(str(ratio)) == ratio


@given(st.integers(0, 12), st.integers(1, POINTS_MAX))
def test_share__of_hundreds__reads_as_itself(places: int, part: int) -> None:
    share = Ratio(Points(100 * 10**places), Points(part))
    assert spell_share(share).endswith("%")
    assert share_of(spell_share(share)) == share


@pytest.mark.parametrize("text", ["15", "15 %", "%", "-5%", "0%", 15, "1.%"])
def test_share__that_is_none__is_refused(text: object) -> None:
    with pytest.raises(InvalidRatio):
        share_of(text)


@given(st.integers(0, MICRO_UNITS_MAX))
def test_money__written__reads_as_itself(micro: int) -> None:
    money = Money("SGD", MicroUnits(micro))
    assert money_of(spell_money(money)) == money


def test_money__is_written_as_people_do() -> None:
    texts = ["SGD 27.25", "USD 0.0006", "USD 5", "USD 0.50"]
    assert [spell_money(money_of(text)) for text in texts] == texts
    assert money_of("USD 0.0006").micro == 600
    assert spell_money(money_of("USD 0.5")) == "USD 0.50"


@pytest.mark.parametrize(
    "text", ["27.25", "usd 1", "USD1", "USD -1", "USD 1,000", "USD 0.0000001", f"USD {10**13}", 27.25, 1]
)
def test_money__that_is_none__is_refused(text: object) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        money_of(text)
    assert refusal.value.nearest == {"usd 1": "USD 1"}.get(str(text))


@pytest.mark.parametrize(("text", "nearest"), [("0.01 USD", "USD 0.01"), ("5 eur", "EUR 5"), ("EUR", None)])
def test_money__in_another_order_or_small_letters__is_told_as_it_is_written(text: str, nearest: str | None) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        money_of(text)
    assert refusal.value.nearest == nearest
    assert DECIMALS_MAX == 6


@given(moments())
def test_moment__written__reads_as_itself(seconds: int) -> None:
    assert moment_of(spell_moment(seconds)) == seconds


def test_moment__is_a_day_in_utc_or_has_its_zone() -> None:
    assert moment_of("1970-01-02") == 86_400
    assert moment_of("1970-01-02T08:00:00+08:00") == 86_400
    assert spell_moment(86_400) == "1970-01-02"
    assert spell_moment(86_401) == "1970-01-02T00:00:01Z"
    assert moment_of("9999-12-31T23:59:59Z") == MOMENT_MAX
    with pytest.raises(InvalidTerms):
        spell_moment(MOMENT_MAX + 1)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2026-2-3",
        "2026-02-03T10:00:00",
        "2026-02-03 10:00:00Z",
        "1969-12-31",
        "9999-12-31T23:59:59-01:00",
        "2026-02-03T10:00:00.5Z",
        "2026-02-03T25:00:00Z",
        "0001-01-01T00:00:00+14:00",
        1_770_000_000,
        None,
    ],
)
def test_moment__that_is_none__is_refused(text: object) -> None:
    with pytest.raises(InvalidTerms):
        moment_of(text)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("2026-02-30", "2026-02-28"),
        ("2028-02-30", "2028-02-29"),
        ("2026-04-31T10:00:00+08:00", "2026-04-30T10:00:00+08:00"),
        ("2026-04-00", "2026-04-01"),
        ("1500-02-30", "1970-01-01"),
        ("1969-12-31", "1970-01-01"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59Z"),
        ("2026-02-30T25:00:00Z", None),
        ("2026-02-03T25:00:00Z", None),
        ("2026-13-01", None),
        ("0000-02-30", None),
        ("23.2.2026", None),
    ],
)
def test_moment__that_no_calendar_has__is_told_the_nearest_where_there_is_one(text: str, nearest: str | None) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        moment_of(text)
    assert refusal.value.nearest == nearest
    assert nearest is None or moment_of(nearest) >= 0
