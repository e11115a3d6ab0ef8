"""Simulation: the very terms give back what was made, and other terms what they would have."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.conversion import MoneyDue
from exchange.errors import InvalidTerms, SarrafError
from exchange.explanation import Worth
from exchange.points import MicroUnits, Points
from exchange.pricing import Hop, Price, price_route
from exchange.ratio import Ratio
from exchange.rules import COUNTED, Bonus, Cap, MoneyFee, Period, PointsFee, Rules, Scope, Side, When
from exchange.simulation import PastSwap, Report, in_force, simulate
from exchange.situation import Situation, Usage
from exchange.terms import Terms

MAY = 1_777_593_600
"""The first second of May 2026."""

DAY = 86_400


def terms_between(
    source: str, destination: str, ratio: tuple[int, int] = (1, 1), rules: Rules | None = None, **more: int
) -> Terms:
    return Terms(
        id=f"trm_{source}{destination}",
        source=source,
        destination=destination,
        version=more.get("version", 1),
        ratio=Ratio(Points(ratio[0]), Points(ratio[1])),
        minimum=Points(more.get("minimum", 1)),
        increment=Points(more.get("increment", 1)),
        settlement_price=MicroUnits(more.get("price", 10)),
        effective_at=more.get("effective_at"),
        rules=rules or Rules(),
    )


def swap(amount: int, at: int = MAY, path: str = "ab", customer: str = "m", **more: object) -> PastSwap:
    """A swap at 1:1 and a price of 10, without bonus or fee."""
    facts = {"offered": amount, "burned": amount, "base": amount, "bonus": 0, "fee_points": 0, "fees": ()}
    hops = len(path) - 1
    return PastSwap(
        path=tuple(path),
        customer=customer,
        at=at,
        tier=None,
        settlements=(MicroUnits(amount * 10),) * hops,
        **{**facts, **more},  # type: ignore[arg-type]
    )


class Till:
    """Makes swaps one after another, counting what went before by looking through all of it each time."""

    def __init__(self, terms: list[Terms]) -> None:
        self.terms = {(one.source, one.destination): one for one in terms}
        self.made: list[tuple[PastSwap, Price]] = []

    def take(self, path: str, customer: str, at: int, tier: str | None, offered: int) -> None:
        hops = [
            Hop(terms, self.situation(terms, customer, at, tier if place == 0 else None))
            for place, terms in enumerate(self.terms[pair] for pair in pairwise(path))
        ]
        try:
            priced = price_route(hops, offered)
        except SarrafError:
            return
        made = PastSwap(
            path=tuple(path),
            customer=customer,
            at=at,
            tier=tier,
            offered=Points(offered),
            burned=priced.amount_in,
            base=priced.base_out,
            bonus=Points(priced.amount_out - priced.base_out),
            fee_points=priced.fee_points,
            fees=priced.fees,
            settlements=tuple(hop.settlement for hop in priced.hops),
        )
        self.made.append((made, priced))

    def situation(self, terms: Terms, customer: str, at: int, tier: str | None) -> Situation:
        before = {each: self.used(terms, Cap(each, count=1), customer, at).count for each in COUNTED}
        caps = {cap: self.used(terms, cap, customer, at) for cap in terms.rules.caps if cap.per is not Period.TRANSFER}
        had = {bonus.name: self.had(terms, bonus, customer, at) for bonus in terms.rules.bonuses if bonus.member_most}
        return Situation(at, tier, before, caps, had)

    def had(self, terms: Terms, bonus: Bonus, customer: str, at: int) -> int:
        return sum(
            granted.points
            for made, priced in self.made
            if made.customer == customer and same_period(made.at, at, bonus.member_per)
            if made.path[-2:] == (terms.source, terms.destination)
            for granted in priced.bonuses
            if granted.name == bonus.name
        )

    def used(self, terms: Terms, cap: Cap, customer: str, at: int) -> Usage:
        points, count = 0, 0
        for made, priced in self.made:
            if same_period(made.at, at, cap.per) and (cap.scope is Scope.EVERYONE or made.customer == customer):
                for hop in priced.hops:
                    if counted_together(terms, hop.terms, cap):
                        last = hop is priced.hops[-1]
                        arrived = priced.amount_out if last else hop.amount_out
                        points += hop.amount_in if cap.side is Side.OUT else arrived
                        count += 1
        return Usage(points, count)


def counted_together(one: Terms, other: Terms, cap: Cap) -> bool:
    if (one.source, one.destination) == (other.source, other.destination) or not cap.shared:
        return (one.source, one.destination) == (other.source, other.destination)
    end = "source" if cap.side is Side.OUT else "destination"
    return getattr(one, end) == getattr(other, end) and one.rules.group == other.rules.group


def same_period(one: int, other: int, period: Period) -> bool:
    format_ = {
        Period.DAY: "%F",
        Period.WEEK: "%G week %V",
        Period.MONTH: "%Y-%m",
        Period.YEAR: "%Y",
        Period.EVER: "",
    }[period]
    written = [datetime.fromtimestamp(at, UTC).strftime(format_) for at in (one, other)]
    return written[0] == written[1]


whens = st.builds(
    When,
    tiers=st.sampled_from([frozenset[str](), frozenset({"gold"})]),
    at_least=st.sampled_from([None, Points(20)]),
    nth_per=st.sampled_from(COUNTED),
    nth_from=st.integers(1, 3),
)
caps = st.builds(
    Cap,
    per=st.sampled_from(COUNTED),
    points=st.integers(20, 150).map(Points),
    count=st.sampled_from([None, 2, 4]),
    side=st.sampled_from(Side),
    scope=st.sampled_from(Scope),
    shared=st.booleans(),
)
flats = st.builds(
    Bonus,
    name=st.sampled_from(["more", "other"]),
    flat=st.just(Points(3)),
    when=whens,
    member_most=st.integers(1, 8).map(Points),
    member_per=st.sampled_from(COUNTED),
)
rules = st.builds(
    Rules,
    group=st.just("partners"),
    caps=st.lists(caps, max_size=2).map(tuple),
    bonuses=st.lists(
        st.builds(Bonus, name=st.just("free"), flat=st.just(Points(3)), when=whens) | flats, max_size=1
    ).map(tuple),
    fees=st.lists(
        st.builds(MoneyFee, currency=st.just("USD"), rate=st.just(MicroUnits(7)), when=whens), max_size=1
    ).map(tuple),
)
ratios = st.sampled_from([(1, 1), (3, 2), (2, 3)])
markets = st.tuples(
    *(st.builds(terms_between, st.just(pair[0]), st.just(pair[1]), ratios, rules) for pair in ("ab", "bc", "ac"))
).map(list)
steps = st.tuples(
    st.sampled_from(["ab", "bc", "ac", "abc"]),
    st.sampled_from(["m", "n"]),
    st.integers(0, 40 * DAY),
    st.sampled_from([None, "gold"]),
    st.integers(1, 60),
)


@settings(max_examples=150)
@given(markets, st.lists(steps, max_size=12))
def test_simulate__the_terms_under_which_swaps_were_made__gives_them_again(
    terms: list[Terms], asked: list[tuple[str, str, int, str | None, int]]
) -> None:
    till = Till(terms)
    for path, customer, later, tier, offered in sorted(asked, key=lambda step: step[2]):
        till.take(path, customer, MAY + later, tier, offered)
    report = simulate([made for made, _ in till.made], terms)
    assert report.changes_nothing
    for one in report.paths:
        assert one.before == one.after
    assert sum(one.before.swaps for one in report.paths) == len(till.made)
    for position in report.positions.values():
        assert position.before == position.after
    assert sum(position.after for position in report.positions.values()) == 0


@settings(max_examples=60)
@given(markets, markets, st.lists(steps, max_size=8))
def test_simulate__other_terms__loses_no_swap_and_no_money(
    made_under: list[Terms], tried: list[Terms], asked: list[tuple[str, str, int, str | None, int]]
) -> None:
    till = Till(made_under)
    for path, customer, later, tier, offered in sorted(asked, key=lambda step: step[2]):
        till.take(path, customer, MAY + later, tier, offered)
    past = [made for made, _ in till.made]
    report = simulate(past, tried)
    assert report == simulate(past, tried)
    for one in report.paths:
        assert one.before.swaps == one.after.swaps + one.refused.total()
        assert one.after.burned <= sum(swap.offered for swap in past if swap.path == one.path)
    assert sum(position.after for position in report.positions.values()) == 0
    assert sum(position.before for position in report.positions.values()) == 0


def only(report: Report) -> tuple[int, int, int, dict[str, int]]:
    """Of the only path: swaps that go, burned, given, and what is refused."""
    (one,) = report.paths
    return one.after.swaps, one.after.burned, one.after.out, dict(one.refused)


def test_simulate__a_worse_ratio_and_a_minimum__says_what_changes() -> None:
    past = [swap(100), swap(30), swap(7)]
    report = simulate(past, [terms_between("a", "b", (2, 1), minimum=10)])
    (one,) = report.paths
    assert only(report) == (2, 130, 65, {"below-minimum": 1})
    assert (one.before.swaps, one.before.burned, one.before.base, one.altered) == (3, 137, 137, 2)
    assert (report.positions["a"].before, report.positions["a"].after) == (-1_370, -650)
    assert (report.positions["b"].before, report.positions["b"].after) == (1_370, 650)
    assert not report.changes_nothing


def test_simulate__a_swap_between_two_steps__offers_again_what_was_offered() -> None:
    past = [swap(90, offered=Points(95))]
    assert only(simulate(past, [terms_between("a", "b")])) == (1, 95, 95, {})


@pytest.mark.parametrize(
    ("period", "moments", "goes"),
    [
        (Period.DAY, (MAY, MAY + DAY - 1), 1),
        (Period.DAY, (MAY + DAY - 1, MAY + DAY), 2),
        (Period.DAY, (MAY, MAY + 31 * DAY), 2),
        (Period.MONTH, (MAY, MAY + 31 * DAY - 1), 1),
        (Period.MONTH, (MAY, MAY + 31 * DAY), 2),
        (Period.YEAR, (MAY, MAY + 245 * DAY - 1), 1),
        (Period.YEAR, (MAY, MAY + 245 * DAY), 2),
    ],
)
def test_simulate__a_cap__counts_by_the_calendar_in_utc(period: Period, moments: tuple[int, int], goes: int) -> None:
    capped = terms_between("a", "b", rules=Rules(caps=(Cap(period, points=Points(150)),)))
    swaps, _, _, refused = only(simulate([swap(100, at) for at in moments], [capped]))
    assert swaps == goes
    assert refused == ({} if goes == 2 else {"over-cap": 1})


def test_simulate__a_cap_on_each_member__does_not_count_others() -> None:
    each = terms_between("a", "b", rules=Rules(caps=(Cap(Period.DAY, count=1),)))
    everyone = terms_between("a", "b", rules=Rules(caps=(Cap(Period.DAY, count=1, scope=Scope.EVERYONE),)))
    past = [swap(5), swap(5, customer="n"), swap(5)]
    assert only(simulate(past, [each]))[0] == 2
    assert only(simulate(past, [everyone]))[0] == 1


def test_simulate__a_swap_that_is_refused__uses_nothing_of_a_cap() -> None:
    capped = terms_between("a", "b", minimum=10, rules=Rules(caps=(Cap(Period.DAY, count=1),)))
    assert only(simulate([swap(5), swap(50)], [capped])) == (1, 50, 50, {"below-minimum": 1})


def test_simulate__a_shared_cap__counts_all_directions_of_the_group() -> None:
    shared = Rules(group="air", caps=(Cap(Period.DAY, points=Points(150), shared=True),))
    terms = [terms_between("a", "b", rules=shared), terms_between("a", "c", rules=shared)]
    report = simulate([swap(100), swap(100, path="ac")], terms)
    assert [dict(one.refused) for one in report.paths] == [{}, {"over-cap": 1}]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("group", [None, "rail"])
def test_simulate__a_shared_cap__counts_what_its_direction_did_before_it_joined_the_group_and_nothing_twice(
    side: Side, group: str | None
) -> None:
    before = terms_between("a", "b", rules=Rules(group=group))
    shared = Rules(group="air", caps=(Cap(Period.YEAR, Points(150), side=side, shared=True),))
    since = terms_between("a", "b", rules=shared, version=2, effective_at=MAY + DAY)
    past = [swap(80), swap(30, MAY + DAY), swap(40, MAY + DAY), swap(1, MAY + DAY)]
    assert only(simulate(past, [before, since])) == (3, 150, 150, {"over-cap": 1})


GOLD = frozenset({"gold"})


@pytest.mark.parametrize(
    "rules_",
    [
        Rules(bonuses=(Bonus("status", flat=Points(5), when=When(tiers=GOLD)),)),
        Rules(except_tiers=GOLD),
        Rules(fees=(MoneyFee("USD", flat=MicroUnits(5), when=When(except_tiers=GOLD)),)),
        Rules(caps=(Cap(Period.DAY, Points(99), tiers=GOLD),)),
    ],
)
def test_simulate__a_tier__is_only_one_of_the_first_program(rules_: Rules) -> None:
    """What a quote would have given: no program on the way says a tier of another's members."""
    terms = [terms_between("a", "b"), terms_between("b", "c", rules=rules_)]
    made = price_route([Hop(terms[0], Situation(MAY, "gold")), Hop(terms[1], Situation(MAY))], 100)
    past = swap(100, path="abc", fees=made.fees)
    assert made.amount_out == 100
    assert simulate([replace(past, tier="gold")], terms).changes_nothing


def test_simulate__a_cap_on_what_arrives__counts_bonuses() -> None:
    generous = Rules(bonuses=(Bonus("gift", flat=Points(50)),), caps=(Cap(Period.DAY, Points(260), side=Side.IN),))
    assert only(simulate([swap(100), swap(100)], [terms_between("a", "b", rules=generous)])) == (
        1,
        100,
        150,
        {"over-cap": 1},
    )


def test_simulate__a_cap_on_what_a_member_receives__counts_what_they_receive_from_all_of_a_group() -> None:
    received = Rules(group="air", caps=(Cap(Period.DAY, Points(150), side=Side.IN, shared=True),))
    terms = [terms_between("a", "b", rules=received), terms_between("c", "b", rules=received)]
    past = [swap(100), swap(100, path="cb"), swap(100, path="cb", customer="n")]
    assert [dict(one.refused) for one in simulate(past, terms).paths] == [{}, {"over-cap": 1}]


def test_simulate__the_third_of_a_month_at_half__counts_the_simulated_ones() -> None:
    first_two = Bonus("first two", ratio=Ratio(Points(1), Points(1)), when=When(nth_per=Period.MONTH, nth_to=2))
    halved = terms_between("a", "b", (2, 1), Rules(bonuses=(first_two,)), minimum=10)
    (one,) = simulate([swap(100), swap(4), swap(100), swap(100)], [halved]).paths
    assert (one.after.base, one.after.bonus, dict(one.refused)) == (150, 100, {"below-minimum": 1})


def test_simulate__versions_that_follow_each_other__takes_each_in_its_time() -> None:
    first = terms_between("a", "b", effective_at=MAY + DAY)
    second = terms_between("a", "b", (2, 1), version=2, effective_at=MAY + 2 * DAY)
    past = [swap(100, MAY), swap(100, MAY + 2 * DAY - 1), swap(100, MAY + 2 * DAY)]
    assert only(simulate(past, [second, first])) == (3, 300, 250, {})
    assert in_force([first, second], MAY) is first


def test_simulate__a_direction_without_terms__is_refused_as_such() -> None:
    report = simulate([swap(5), swap(5, path="abc")], [terms_between("a", "b")])
    assert [dict(one.refused) for one in report.paths] == [{}, {"no-terms": 1}]


def test_simulate__a_route__moves_the_positions_between() -> None:
    terms = [terms_between("a", "b", (2, 1), price=7), terms_between("b", "c", (1, 3), price=2)]
    report = simulate([swap(10, path="abc")], terms)
    assert only(report) == (1, 10, 15, {})
    assert {name: each.after for name, each in report.positions.items()} == {"a": -35, "b": 35 - 30, "c": 30}


def test_simulate__with_fees__adds_them_by_currency() -> None:
    costly = Rules(
        fees=(MoneyFee("USD", rate=MicroUnits(3)), MoneyFee("EUR", flat=MicroUnits(9)), PointsFee(Points(2)))
    )
    past = [swap(10, fees=(MoneyDue("EUR", MicroUnits(4)),), fee_points=Points(1))] * 2
    (one,) = simulate(past, [terms_between("a", "b", rules=costly)]).paths
    assert (one.before.fees, one.before.fee_points) == ({"EUR": 8}, 2)
    assert (one.after.fees, one.after.fee_points) == ({"USD": 60, "EUR": 18}, 4)
    assert one.altered == 2


def test_simulate__where_points_have_a_worth__says_what_is_given_and_received() -> None:
    worth = Worth(Fraction(2_000), Fraction(5_000, 3), "USD", "as published")
    past = [swap(10, fee_points=Points(1))]
    (one,) = simulate(past, [terms_between("a", "b", (2, 1))], {("a", "b"): worth}).paths
    assert (one.currency, one.before.given, one.before.received) == ("USD", 22_000, 16_666)
    assert (one.after.given, one.after.received) == (20_000, 8_333)
    (unknown,) = simulate(past, [terms_between("a", "b")]).paths
    assert (unknown.currency, unknown.before.given) == (None, 0)


def test_past_swap__beyond_the_calendar__is_refused() -> None:
    with pytest.raises(InvalidTerms):
        swap(1, at=253_402_300_800)
