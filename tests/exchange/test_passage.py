"""Passages: the bounds of a hop lie on the right side, also where amounts are small."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exchange.conversion import Conversion
from exchange.passage import CLOSED, Passage, Widest, lane_of, needed, through, widest_lane
from exchange.points import Points
from exchange.pricing import Hop
from exchange.ratio import Ratio
from exchange.rules import Bonus, Cap, Period, Rules, TierMinimum, When
from exchange.situation import Situation
from exchange.terms import Terms
from tests.exchange.strategies import make_terms, ruled_terms, situations

TRIED_MAX = 600


@st.composite
def bonused(draw: st.DrawFn) -> Terms:
    """Small terms with a share from some amount on."""
    ratio = Ratio(Points(draw(st.integers(1, 6))), Points(draw(st.integers(1, 6))))
    share = Ratio(Points(100), Points(draw(st.integers(1, 100))))
    bonus = Bonus("more", share=share, when=When(at_least=Points(draw(st.integers(1, 60)))))
    plain = make_terms(ratio, draw(st.integers(1, 20)), draw(st.integers(1, 7)))
    return Terms(
        "trm_1", "prg_a", "prg_b", 1, ratio, plain.minimum, plain.increment, plain.settlement_price, None,
        rules=Rules(bonuses=(bonus,)),
    )  # fmt: skip


@given(bonused(), st.integers(1, 80))
def test_total_needed__of_few_points__is_never_more_than_the_least_that_gives_them(terms: Terms, total: int) -> None:
    hop = Hop(terms)
    needed = Passage(hop).total_needed(total)
    tried = range(terms.minimum, TRIED_MAX, terms.increment)
    least = next(each for each in tried if Conversion(terms, hop.situation).total_of(each) >= total)
    assert needed is not None
    assert needed <= least


def test_widest_lane__with_a_minimum_by_tier__begins_at_the_least_of_all() -> None:
    for minimum, of_gold in ((30, 5), (5, 30)):
        rules = Rules(minimums=(TierMinimum(frozenset({"gold"}), Points(of_gold)),))
        plain = make_terms(Ratio(Points(1), Points(1)), minimum, 10)
        least, _, step, *_ = widest_lane(replace(plain, rules=rules))
        assert (least, step) == (5, 1)


@given(ruled_terms(), st.sampled_from([None, "gold", "silver", "other"]), st.integers(1, 200))
def test_widest_lane__of_any_terms__is_wider_than_that_of_any_tier(terms: Terms, tier: str | None, amount: int) -> None:
    widest, lane = widest_lane(terms), lane_of(Hop(terms, Situation(tier=tier)))
    if lane is CLOSED:
        return
    assert through(widest, amount) >= through(lane, amount)
    takes = needed(lane, amount)
    assert takes is None or (needed(widest, amount) or takes + 1) <= takes


@given(ruled_terms(), st.integers(1, 400), st.data())
def test_widest__of_any_terms__gives_no_less_than_any_passage(terms: Terms, amount: int, data: st.DataObject) -> None:
    widest, passage = Widest(terms), Passage(Hop(terms, data.draw(situations(terms))))
    assert widest.total_through(amount) >= passage.total_through(amount)
    takes = passage.total_needed(amount)
    assert takes is None or (widest.total_needed(amount) or takes + 1) <= takes


def test_widest_lane__with_a_cap_for_all_but_some__is_theirs() -> None:
    cap = Cap(Period.TRANSFER, Points(50), except_tiers=frozenset({"gold"}))
    plain = make_terms(Ratio(Points(1), Points(1)), 10, 10)
    assert widest_lane(replace(plain, rules=Rules(caps=(cap,))))[1] > 50
    only_gold = Rules(caps=(cap,), except_tiers=frozenset({"gold"}))
    assert widest_lane(replace(plain, rules=only_gold))[:3] == (10, 50, 10)
