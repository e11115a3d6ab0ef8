"""Kinds of rules that programs are known to have, beside the published rows: made-up numbers, typical shapes."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.forms.spelling import moment_of
from bridge.forms.table import table_amounts, table_bonuses, table_ratio
from bridge.forms.terms_file import FaultyTermsFile, load
from exchange.errors import BelowMinimum, DirectionClosed, InvalidTerms
from exchange.points import MicroUnits, Points
from exchange.pricing import price, price_for
from exchange.ratio import Ratio
from exchange.rules import Period, Rules
from exchange.situation import Situation
from exchange.terms import Terms
from tests.bridge.forms.published import EXAMPLES, NOW, in_force


def terms_of(*lines: str) -> Terms:
    text = "\n    ".join(("terms:\n  - from: A", "to: B", *lines))
    return load(text).entries[0].terms()


def out_of(terms: Terms, amount: int, day: str = "2026-03-01", tier: str | None = None, before: int = 0) -> int:
    made = {Period.EVER: before, Period.YEAR: before, Period.MONTH: before, Period.WEEK: 0, Period.DAY: 0}
    return price(terms, amount, Situation(at=moment_of(day), tier=tier, before=made)).amount_out


def test_step_table__gives_what_its_rows_say_and_nothing_between() -> None:
    terms = terms_of('table: ["3000:1500", "10000:11000", "20000:25000"]')
    assert [out_of(terms, each) for each in (3_000, 9_999, 10_000, 19_999, 20_000, 10**6)] == [
        1_500,
        1_500,
        11_000,
        11_000,
        25_000,
        25_000,
    ]
    assert price(terms, 9_999).remainder == 6_999
    assert price_for(terms, 1_501).amount_in == 10_000
    with pytest.raises(BelowMinimum) as refusal:
        price(terms, 2_999)
    assert refusal.value.nearest == 3_000


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=8))
def test_any_rising_table__prices_each_row_exactly(steps: list[tuple[int, int]]) -> None:
    rows, amount, out = [], 0, 0
    for more_in, more_out in steps:
        amount, out = amount + more_in, out + more_out
        rows.append(Ratio(Points(amount), Points(out)))
    ways = [Fraction(more_out, more_in) for more_in, more_out in steps]
    if rows[0].from_units * min(ways) < 1:
        with pytest.raises(InvalidTerms):
            table_ratio(rows)
        return
    rules = Rules(amounts=table_amounts(rows), bonuses=table_bonuses(rows))
    terms = Terms("", "a", "b", 0, table_ratio(rows), Points(1), Points(1), MicroUnits(0), None, rules=rules)
    for row in rows:
        assert price(terms, row.from_units).amount_out == row.to_units


@pytest.mark.parametrize("rows", ['["2:1", "2:2"]', '["2:1", "3:1"]', '["3:3", "2:4"]'])
def test_table__that_does_not_rise__is_refused(rows: str) -> None:
    with pytest.raises(FaultyTermsFile, match="both sides of a table rise") as refusal:
        terms_of(f"table: {rows}")
    assert refusal.value.faults[0].field == "terms.0.table.1"


def test_third_transfer_of_the_year__at_half_the_rate() -> None:
    terms = terms_of("ratio: 2:1", 'bonuses: [{name: first two, ratio: "1:1", when: {nth_per: year, nth_to: 2}}]')
    assert [out_of(terms, 1_000, before=each) for each in range(4)] == [1_000, 1_000, 500, 500]


def test_first_transfer_of_the_month__gets_more() -> None:
    terms = terms_of("ratio: 1:1", "bonuses: [{name: welcome, flat: 250, when: {nth_per: month, nth_to: 1}}]")
    assert [out_of(terms, 1_000, before=each) for each in (0, 1)] == [1_250, 1_000]


def test_dated_promotion__counts_from_its_first_to_its_last_second() -> None:
    terms = terms_of(
        "ratio: 2:1", 'bonuses: [{name: spring, share: "30%", when: {starts: 2026-03-01, before: 2026-04-01}}]'
    )
    days = ["2026-02-28T23:59:59Z", "2026-03-01", "2026-03-31T23:59:59Z", "2026-04-01"]
    assert [out_of(terms, 2_000, day) for day in days] == [1_000, 1_300, 1_300, 1_000]


def test_promotions__add_up_but_for_those_of_one_group() -> None:
    terms = terms_of(
        "ratio: 1:1",
        "bonuses:",
        '  - {name: spring, share: "15%"}',
        '  - {name: gold, share: "20%", group: status, when: {tiers: [gold]}}',
        '  - {name: all, share: "5%", group: status}',
    )
    assert out_of(terms, 1_000) == 1_000 + 150 + 50
    assert out_of(terms, 1_000, tier="gold") == 1_000 + 150 + 200


def test_bonus_with_a_bound_and_a_threshold() -> None:
    terms = terms_of("ratio: 1:1", 'bonuses: [{name: large, share: "12.5%", most: 5000, when: {at_least: 20000}}]')
    assert [out_of(terms, each) for each in (19_999, 20_000, 40_000, 80_000)] == [19_999, 22_500, 45_000, 85_000]


def test_ratio_minimum_and_access__by_tier() -> None:
    terms = terms_of(
        "ratio: 3:1",
        "minimum: 3000",
        "increment: 1000",
        "tiers: [silver, gold]",
        "minimums: [{tiers: [gold], minimum: 1000}]",
        'bonuses: [{name: gold, ratio: "5:2", when: {tiers: [gold]}}]',
    )
    assert out_of(terms, 3_000, tier="silver") == 1_000
    assert out_of(terms, 1_000, tier="gold") == 400
    with pytest.raises(BelowMinimum):
        out_of(terms, 1_000, tier="silver")
    with pytest.raises(DirectionClosed):
        out_of(terms, 3_000)


def test_minimum_is_not_the_increment() -> None:
    terms = terms_of("ratio: 5:4", "minimum: 625", "increment: 5")
    assert [out_of(terms, each) for each in (625, 629, 630)] == [500, 500, 504]


def test_fee__of_money_by_rate_with_a_flat_part_and_a_ceiling() -> None:
    terms = terms_of("ratio: 1:1", "fees: [{flat: USD 2, rate: USD 0.5, per: 100, ceiling: USD 10}]")
    due = [price(terms, each).fees[0].micro for each in (1, 100, 101, 1_600, 1_601, 9_999)]
    assert due == [2_500_000, 2_500_000, 3_000_000, 10_000_000, 10_000_000, 10_000_000]


def test_fee__of_points_by_rate_for_all_but_some_tiers() -> None:
    terms = terms_of(
        "ratio: 1:1", "fees: [{points: 5, points_rate: 2, per: 100, points_ceiling: 50, when: {except_tiers: [gold]}}]"
    )
    due = [price(terms, each).fee_points for each in (1, 100, 101, 2_200, 2_201, 9_999)]
    assert due == [7, 7, 9, 49, 50, 50]
    assert [price(terms, 100, Situation(tier=tier)).fee_points for tier in ("gold", "silver")] == [0, 7]


def test_access__for_all_but_some_tiers_is_for_members_of_none_too() -> None:
    terms = terms_of("ratio: 1:1", "except_tiers: [basic]")
    assert [out_of(terms, 10, tier=tier) for tier in (None, "gold")] == [10, 10]
    with pytest.raises(DirectionClosed, match="in no tier of basic") as refusal:
        out_of(terms, 10, tier="basic")
    assert (refusal.value.limit, refusal.value.nearest) == ("basic", None)


def test_bonus__of_which_one_member_gets_so_much_ever() -> None:
    terms = terms_of(
        "ratio: 1:1", 'bonuses: [{name: first, share: "50%", member_most: 60, when: {nth_per: ever, nth_to: 2}}]'
    )
    situations = (
        Situation(had={"first": had}, before={Period.EVER: before})
        for had, before in ((0, 0), (50, 1), (60, 1), (0, 2))
    )
    assert [price(terms, 100, each).amount_out for each in situations] == [150, 110, 100, 100]


def test_example_of_all_kinds__prices_as_its_comments_say() -> None:
    file = load(EXAMPLES / "kinds_of_rules.yaml")
    assert len(file.terms()) == 6 and len(file.limits()) == 1

    def out(
        source: str, destination: str, amount: int, day: str = NOW, tier: str | None = None, before: int = 0
    ) -> int:
        return out_of(in_force(file, source, destination, day).terms(), amount, day, tier, before)

    assert [out("Sunny Grocery", "Blue Air", 1_999, day) for day in ("2026-04-30", "2026-05-01")] == [800, 500]
    assert [out("Blue Air", "Harbour Hotels", 20_000, tier=tier) for tier in (None, "silver", "gold")] == [
        40_000 + 6_000 + 5_000 + 5_000,
        40_000 + 6_000 + 5_000 + 5_000 + 2_000,
        40_000 + 6_000 + 5_000 + 5_000 + 4_000,
    ]
    assert out("Blue Air", "Harbour Hotels", 10_000, before=2) == out("Blue Air", "Harbour Hotels", 10_000) == 27_000
    assert out("Blue Air", "Harbour Hotels", 10_000, before=3) == 23_000
    assert [out("Blue Air", "Sunny Grocery", 1_000, before=each) for each in (1, 2)] == [1_000, 500]
    assert out("Harbour Hotels", "Blue Air", 10_000) == 11_000
    result = price(in_force(file, "Harbour Hotels", "Sunny Grocery").terms(), 3_500, Situation(tier="silver"))
    assert (result.amount_in, result.amount_out, result.fee_points) == (3_498, 1_166, 300)
    assert result.fees[0].micro == 4_000_000
