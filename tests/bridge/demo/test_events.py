"""The purchases as read, from the real files and from made-up ones."""

from pathlib import Path

import pytest

from bridge.demo.errors import BadData
from bridge.demo.events import ALL, MAY, Period, read_coupons, read_purchases
from tests.bridge.demo.conftest import coupon, purchase, write_rows


def test_period__given_words_and_months__then_is_understood() -> None:
    assert Period.parse("may") == Period.parse("2017-05") == Period(MAY)
    assert Period.parse("ALL") == Period(ALL)


@pytest.mark.parametrize("text", ["", "2018-01", "2017-13", "2017-00", "2017-5", "june"])
def test_period__given_another_word__then_is_refused(text: str) -> None:
    with pytest.raises(BadData, match="events"):
        Period.parse(text)


def test_purchases__of_may__then_are_those_of_the_month_in_file_order() -> None:
    purchases = read_purchases(Period(MAY))

    assert len(purchases) == 18_996
    assert {p.kind for p in purchases} == {"grocery", "drugstore", "fuel"}
    assert all(p.date.startswith("2017-05-") for p in purchases)
    assert [p.at for p in purchases] == sorted(p.at for p in purchases)
    assert len({p.event_id for p in purchases}) == len(purchases)
    assert sum(p.cents == 0 for p in purchases) == 72


def test_purchases__of_the_whole_file__then_all_217359_are_there() -> None:
    purchases = read_purchases(Period(ALL))

    assert len(purchases) == 217_359
    assert sum(p.cents == 0 for p in purchases) == 862


def test_coupons__of_may_and_of_the_file__then_have_keys_of_their_own() -> None:
    assert len(read_coupons(Period(MAY))) == 268
    coupons = read_coupons(Period(ALL))
    assert len({c.key for c in coupons}) == len(coupons) == 2_102


def test_coupons__when_rows_are_alike__then_the_keys_count_them(tmp_path: Path) -> None:
    write_rows(tmp_path / "coupon_redemptions.csv.gz", [coupon("1", "2017-05-02")] * 2)

    keys = [c.key for c in read_coupons(Period(MAY), tmp_path)]

    assert keys == ["coupon-1-77-26-2017-05-02-1", "coupon-1-77-26-2017-05-02-2"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [purchase(1, "1", "2017-05-02 10:00:00", 5), purchase(2, "1", "2017-05-01 10:00:00", 5)],
            "earlier",
        ),
        ([purchase(1, "1", "2017-05-02 10:00:00", 5, "bakery")], "bakery"),
        ([purchase(1, "1", "2017-05-02 10:00:00", "1.5")], "1.5"),
        ([{"event_id": "x"}], "lacks the columns"),
    ],
)
def test_purchases__when_the_file_is_wrong__then_says_where(
    tmp_path: Path, rows: list[dict[str, str]], reason: str
) -> None:
    write_rows(tmp_path / "earn_events.csv.gz", rows)

    with pytest.raises(BadData, match=reason):
        read_purchases(Period(MAY), tmp_path)


def test_purchases__when_the_file_is_missing_or_torn__then_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="cannot be read"):
        read_purchases(Period(MAY), tmp_path)
    (tmp_path / "earn_events.csv.gz").write_bytes(b"\x1f\x8b\x08\x00torn")
    with pytest.raises(BadData, match="cannot be read"):
        read_purchases(Period(MAY), tmp_path)
