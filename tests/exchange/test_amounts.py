"""Amounts: the valid ones, against trying each."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exchange.amounts import Listed, Steps, valid_amounts
from exchange.points import POINTS_MAX, Points
from exchange.ratio import Ratio
from exchange.rules import Rounding, Rules, TierMinimum
from exchange.terms import Terms
from tests.exchange.strategies import TIERS, amounts, make_terms, ratios, ruled_terms
from tests.exchange.twin import is_taken, takes

TRIED_MAX = 400


@given(ruled_terms(), st.sampled_from([None, *TIERS]))
def test_valid_amounts__of_any_terms__are_those_that_the_rules_take(terms: Terms, tier: str | None) -> None:
    valid = valid_amounts(terms, tier)
    taken = [amount for amount in range(1, TRIED_MAX) if is_taken(terms, tier, amount)]
    assert [amount for amount in range(1, TRIED_MAX) if takes(valid, amount)] == taken
    assert [valid[index] for index in range(min(len(taken), len(valid)))] == taken
    assert [valid.count_up_to(each) for each in taken] == list(range(1, len(taken) + 1))
    assert all(valid.count_up_to(each - 1) == place for place, each in enumerate(taken))
    assert valid.count_up_to(TRIED_MAX - 1) == len(taken)


@given(ratios(), amounts(), amounts(), st.sampled_from(Rounding))
def test_valid_amounts__of_any_size__stay_within_what_an_amount_can_say(
    ratio: Ratio, minimum: Points, increment: Points, rounding: Rounding
) -> None:
    terms = replace(make_terms(ratio, minimum, increment), rules=Rules(rounding=rounding))
    valid = valid_amounts(terms)
    assert valid.count_up_to(POINTS_MAX) == valid.count_up_to(POINTS_MAX**2) == len(valid)
    if len(valid):
        assert minimum <= valid[0] <= valid[len(valid) - 1] <= POINTS_MAX
        assert all(is_taken(terms, None, valid[index]) for index in {0, len(valid) // 2, len(valid) - 1})
        assert not takes(valid, valid[len(valid) - 1] + 1) or isinstance(valid, Steps)
    assert not takes(valid, POINTS_MAX + 1)


def test_valid_amounts__where_steps_never_convert_whole__are_none() -> None:
    terms = replace(make_terms(Ratio(Points(2), Points(1)), 5, 10), rules=Rules(rounding=Rounding.WHOLE))
    assert len(valid_amounts(terms)) == 0


def test_steps__whose_first_is_beyond_every_amount__count_none() -> None:
    steps = Steps(POINTS_MAX + 10, 1)
    assert (len(steps), steps.count_up_to(POINTS_MAX**2)) == (0, 0)


def test_valid_amounts__of_a_list__hold_whatever_the_minimum_says() -> None:
    listed = (Points(3_000), Points(10_000))
    rules = Rules(amounts=listed, minimums=(TierMinimum(frozenset({"gold"}), Points(1)),))
    terms = replace(make_terms(Ratio(Points(1), Points(1)), 50_000), rules=rules)
    assert valid_amounts(terms, "gold") == Listed(listed)
