"""The index of directions: after any changes as one that is built anew, and what it answers."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.market import Market
from exchange.passage import Lane, lane_of, through
from exchange.path import Hop
from exchange.points import Points
from exchange.rules import Cap, Eligible, Period, PointsFee, Received, Rules, TierMinimum
from exchange.situation import Situation
from exchange.terms import Terms
from tests.exchange.markets import TIERS, build_market, random_terms

PROGRAMS = ("prg_a", "prg_b", "prg_c", "prg_d")
CHANGES = 25


def seen(market: Market) -> object:
    """All that a market answers; a passage is made of its terms alone, so whether it is there says all of it."""
    return len(market), {
        program: (
            market.partners(program),
            {to: _direction(each) for to, each in market.directions_from(program).items()},
            {of: _direction(each) for of, each in market.directions_into(program).items()},
            dict(market.lanes_from(program)),
            dict(market.lanes_into(program)),
            [market.terms(program, other) for other in PROGRAMS],
        )
        for program in PROGRAMS
    }


def _direction(direction: object) -> tuple[object, ...]:
    passage = direction.passage  # type: ignore[attr-defined]
    lane = None if passage is None else passage.lane
    return direction.terms, lane, direction.onward, direction.takes_through  # type: ignore[attr-defined]


def between(source: str, destination: str, rules: Rules | None = None) -> Terms:
    made = random_terms(Random(1), f"{source}-{destination}", source, destination, (1, 2), rich=0)
    return made if rules is None else Terms(**{name: getattr(made, name) for name in made.__slots__} | {"rules": rules})


@settings(max_examples=30)
@given(st.randoms(use_true_random=False))
def test_index__after_any_changes__is_the_one_built_anew(random: Random) -> None:
    market, known = Market(), dict[tuple[str, str], Terms]()
    for number in range(CHANGES):
        one, other = random.sample(PROGRAMS, 2)
        if random.random() < 0.4:
            market.remove(one, other)
            known.pop((one, other), None)
        else:
            known[one, other] = random_terms(random, str(number), one, other, rich=0.7)
            market.put(known[one, other])
    assert seen(market) == seen(build_market(list(known.values())))
    for pair in list(known):
        market.remove(*pair)
    assert seen(market) == seen(Market())


@settings(max_examples=100)
@given(st.randoms(use_true_random=False), st.integers(1, 300))
def test_lane__of_any_terms__lets_through_no_less_than_any_member_gets(random: Random, amount: int) -> None:
    terms = random_terms(random, "one", "prg_a", "prg_b", rich=1)
    lane: Lane | None = build_market([terms]).lanes_from("prg_a").get("prg_b")
    if lane is None:
        return
    for tier in TIERS:
        member = lane_of(Hop(terms, Situation(tier=tier)))
        assert through(member, amount) <= through(lane, amount)


def test_partners__of_a_program__are_those_it_leads_to_by_their_ids() -> None:
    market = build_market([between("prg_a", "prg_c"), between("prg_a", "prg_b"), between("prg_b", "prg_a")])
    assert [each.destination for each in market.partners("prg_a")] == ["prg_b", "prg_c"]
    assert market.partners("prg_d") == []


def test_terms__of_a_direction__are_the_last_put_until_removed() -> None:
    market = build_market([between("prg_a", "prg_b")])
    changed = between("prg_a", "prg_b", Rules(notice_days=3))
    market.put(changed)
    assert market.terms("prg_a", "prg_b") is changed
    assert len(market) == 1
    market.remove("prg_a", "prg_b")
    assert market.terms("prg_a", "prg_b") is None
    assert len(market) == 0


def test_remove__of_what_is_not_there__changes_nothing() -> None:
    market = build_market([between("prg_a", "prg_b")])
    before = seen(market)
    market.remove("prg_b", "prg_a")
    market.remove("prg_a", "prg_d")
    assert seen(market) == before


@pytest.mark.parametrize(
    "rules",
    [
        Rules(received=Received(onward=False)),
        Rules(fees=(PointsFee(Points(5)),)),
        Rules(eligible=Eligible(earned_only=True)),
        Rules(caps=(Cap(per=Period.TRANSFER, points=Points(0)),)),
    ],
)
def test_lane__of_terms_that_no_route_has_in_its_middle__is_not_there(rules: Rules) -> None:
    market = build_market([between("prg_a", "prg_b", rules)])
    assert market.lanes_from("prg_a") == {} == market.lanes_into("prg_b")
    assert list(market.directions_from("prg_a")) == ["prg_b"]
    market.put(between("prg_a", "prg_b"))
    assert list(market.lanes_from("prg_a")) == ["prg_b"]


@pytest.mark.parametrize("rules", [Rules(), Rules(minimums=(TierMinimum(frozenset({"gold"}), Points(2)),))])
def test_passage__of_terms__is_kept_where_it_is_the_same_for_all(rules: Rules) -> None:
    direction = build_market([between("prg_a", "prg_b", rules)]).directions_from("prg_a")["prg_b"]
    assert (direction.passage is None) == bool(rules.minimums)
