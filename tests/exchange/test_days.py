"""Days in UTC: numbered since 1970, whatever the hour."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.days import DAY_MS, day_of, name_of, next_second, start_of
from exchange.lots import Lot, expired
from exchange.points import Points


@given(st.integers(0, 2**42))
def test_day_of__any_moment__is_the_day_that_has_begun_and_not_ended(moment_ms: int) -> None:
    day = day_of(moment_ms)
    assert start_of(day) <= moment_ms < start_of(day + 1) == start_of(day) + DAY_MS


@pytest.mark.parametrize(("day", "name"), [(0, "1970-01-01"), (20_788, "2026-12-01"), (19_782, "2024-02-29")])
def test_name_of__a_day__is_how_people_write_it(day: int, name: str) -> None:
    assert name_of(day) == name


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_next_second__parts_what_has_expired_from_what_has_not__as_for_whoever_spends(
    expires_ms: int, now_ms: int
) -> None:
    lot = Lot("a", Points(1), expires_ms // 1000, 0)
    assert bool(expired([lot], now_ms // 1000)) == (expires_ms < next_second(now_ms))
