"""Situations: when a condition holds."""

import pytest

from exchange.points import Points
from exchange.rules import Bonus, Cap, Period, When
from exchange.situation import PLAIN_SITUATION, Situation, Usage

GOLD = frozenset({"gold"})
THIRD = When(nth_per=Period.YEAR, nth_from=3, nth_to=4)


@pytest.mark.parametrize(
    ("when", "situation", "amount", "holds"),
    [
        (When(), PLAIN_SITUATION, 1, True),
        (When(tiers=GOLD), Situation(tier="gold"), 1, True),
        (When(tiers=GOLD), Situation(tier="silver"), 1, False),
        (When(tiers=GOLD), PLAIN_SITUATION, 1, False),
        (When(except_tiers=GOLD), Situation(tier="gold"), 1, False),
        (When(except_tiers=GOLD), Situation(tier="silver"), 1, True),
        (When(except_tiers=GOLD), PLAIN_SITUATION, 1, True),
        (When(starts=10, ends=12), Situation(at=9), 1, False),
        (When(starts=10, ends=12), Situation(at=10), 1, True),
        (When(starts=10, ends=12), Situation(at=11), 1, True),
        (When(starts=10, ends=12), Situation(at=12), 1, False),
        (When(at_least=Points(5)), PLAIN_SITUATION, 4, False),
        (When(at_least=Points(5)), PLAIN_SITUATION, 5, True),
        (THIRD, Situation(before={Period.YEAR: 1}), 1, False),
        (THIRD, Situation(before={Period.YEAR: 2}), 1, True),
        (THIRD, Situation(before={Period.YEAR: 3}), 1, True),
        (THIRD, Situation(before={Period.YEAR: 4}), 1, False),
        (THIRD, Situation(before={Period.DAY: 2}), 1, False),
        (When(nth_per=Period.EVER, nth_to=1), PLAIN_SITUATION, 1, True),
        (When(nth_per=Period.EVER, nth_to=1), Situation(before={Period.EVER: 1}), 1, False),
        (When(nth_per=Period.WEEK, nth_from=2), Situation(before={Period.WEEK: 1}), 1, True),
        (When(nth_per=Period.DAY), Situation(before={Period.DAY: 99}), 1, True),
        (When(nth_per=Period.DAY, nth_to=1), PLAIN_SITUATION, 1, True),
    ],
)
def test_meets__each_condition__holds_within_its_bounds(
    when: When, situation: Situation, amount: int, holds: bool
) -> None:
    assert situation.meets(when, amount) is holds


def test_used_of__a_cap_of_single_transfers__is_nothing() -> None:
    single, daily = Cap(Period.TRANSFER, points=Points(5)), Cap(Period.DAY, points=Points(5))
    situation = Situation(used={single: Usage(3, 1), daily: Usage(3, 1)})
    assert situation.used_of(single) == Usage()
    assert situation.used_of(daily) == Usage(3, 1)
    assert PLAIN_SITUATION.used_of(daily) == Usage()


@pytest.mark.parametrize(
    ("most", "member_most", "had", "left"),
    [(None, None, 9, None), (5, None, 9, 5), (None, 10, 0, 10), (None, 10, 9, 1), (5, 10, 2, 5), (5, 10, 12, 0)],
)
def test_left_of__a_bonus__is_the_least_of_its_bounds(
    most: int | None, member_most: int | None, had: int, left: int | None
) -> None:
    of_all, of_member = (None if each is None else Points(each) for each in (most, member_most))
    bonus = Bonus("x", flat=Points(9), most=of_all, member_most=of_member)
    assert Situation(had={"x": had}).left_of(bonus) == left
