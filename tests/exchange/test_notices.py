"""Notices: each day of expiry is told once for each lead that was there to be told by, and never when it is over."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.notices import days_to_tell

leads_strategy = st.sets(st.integers(0, 40), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("lead", "days"), [(30, range(108, 131)), (7, range(101, 108)), (0, range(100, 101))], ids=["30", "7", "0"]
)
def test_days_to_tell__of_several_leads__part_the_days_ahead(lead: int, days: range) -> None:
    assert days_to_tell([30, 7, 0], lead, 100) == days


@given(leads_strategy, st.integers(0, 10**5))
def test_days_to_tell__over_all_leads__is_each_day_up_to_the_longest_once(leads: set[int], today: int) -> None:
    told = Counter(day for lead in leads for day in days_to_tell(leads, lead, today))
    assert told == Counter(range(today, today + max(leads) + 1))


@given(leads_strategy, st.sets(st.integers(0, 120), min_size=1), st.integers(41, 120))
def test_days_to_tell__on_whatever_days_it_is_done__tells_by_each_lead_once_and_by_the_last_that_can(
    leads: set[int], done_on: set[int], expires: int
) -> None:
    """As who keeps times does it: for each lead it goes on behind the day that it reached."""
    reached = dict.fromkeys(leads, -1)
    told: list[tuple[int, int]] = []
    for today in sorted(done_on):
        for lead in leads:
            for day in days_to_tell(leads, lead, today):
                if day > reached[lead]:
                    reached[lead] = day
                    told += [(today, lead)] if day == expires else []
    assert len({lead for _, lead in told}) == len(told), "no lead tells twice"
    assert len({today for today, _ in told}) == len(told), "nobody is told twice on one day"
    for lead in leads:
        shorter = max((one for one in leads if one < lead), default=-1)
        in_time = [today for today in done_on if expires - lead <= today < expires - shorter]
        assert [today for today, by in told if by == lead] == sorted(in_time)[:1]
