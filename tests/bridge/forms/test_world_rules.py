"""Every published rule that one number cannot hold: written as terms, it prices exactly as it says.

The expected numbers are worked out by hand from the published sentence, or from the table's own columns with nothing
but multiplication; none of them comes out of the code that is tested.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from bridge.forms.spelling import moment_of
from bridge.forms.terms_file import Limits, TermsEntry, TermsFile, load
from exchange.errors import BelowMinimum, DirectionClosed, NothingOut, OverCap, SarrafError
from exchange.points import Points
from exchange.pricing import price, price_for
from exchange.rules import Cap, Expiry, Period, Received, Side
from exchange.situation import PLAIN_SITUATION, Situation, Usage
from exchange.terms import Terms
from tests.bridge.forms.published import NOW, WORLD, Row, in_force, rows

RULES = {row["id"]: row for row in rows("transfer_rules_world.csv")}
WITHOUT_RATIO = {
    "qitaf_fursan_diamond",
    "qitaf_fursan_platinum",
    "qitaf_fursan_gold",
    "qitaf_fursan_classic",
    "almosafer_mokafaa",
    "in_axis_burgundy",
    "in_axis_olympus",
}

READ = {
    "amex_us_default": "the offset is owed to US airlines alone, so those are a destination of their own",
    "bilt_default": "the minimum varies by status and is not said: one step, as the increment is",
    "marriott_air": "no increment is said, so every amount from 3,000 on goes; 5,000 come for each whole 60,000",
    "marriott_anz": "no increment is said: every amount from 3,000 on goes, and only what makes a mile is burned",
    "marriott_jetblue": "as above",
    "marriott_united": "3:1.1 is 30:11, and the bonus of the other airlines is not said for this one",
    "marriott_p2p": "members of one program are read as two programs; both sides have a cap for a calendar year",
    "citi_p2p": "as above; received points live 90 days or less and do not go on",
    "avios_nectar": "rates are said per 400 Nectar points, so the blocks are of 250, 300 and 400 Avios in their times",
    "qatar_accor": "the cap is in Avios, on the side that they leave, in a calendar year",
    "ajwaa_qitaf": "the amounts are the rows of the published table, of which the ninth is absent",
    "qitaf_cash": "the destination is money: each of its points is one riyal, and fractions of it do not exist here",
    "hsbc_us_emirates": "what may not be transferred again may not be swapped again",
    "sg_dbs": "who has the yearly plan is in a tier of its own; what the plan costs is no matter of one conversion",
    "sg_uob": "as above",
    "sg_hsbc": "the first block and those beyond have the same rate, 3:1, so one ratio says both",
    "sg_sc_t1": "points that do not pool are those of two programs",
    "kris_krisflyer": "points older than 21 days do not go; that a transaction goes only whole is not said by terms",
    "in_axis_magnus": "one program with two tiers; 5:2 is what all get, 5:4 what one tier gets; blocks of 5 go",
    "in_axis_magnus_burg": "as above; a year is the calendar's, and the points are those that leave",
    "jp_pex_bank": "the cap is in yen, on the side where they arrive; the fee is burned on top of the amount",
    "ihg_p2p": "USD 5 for each 1,000 points begun",
    "qatar_buy_gift_transfer": "the cap is counted where the points leave; the price of a block is not said",
}
"""How each row that can be read in two ways is read."""

BLOCKS = {"in_axis_magnus": 5, "in_axis_magnus_burg": 5}
"""The increments of rows that say none, where it is not 1."""

PLACES = {
    "in_axis_magnus": ("Axis EDGE", "Group A partners", "Magnus"),
    "in_axis_magnus_burg": ("Axis EDGE", "Group A partners", "Magnus Burgundy"),
    "sg_dbs": ("DBS Points", "KrisFlyer", "yearly plan"),
    "sg_uob": ("UOB UNI$", "KrisFlyer", "yearly plan"),
}
"""Where a row stands in the file, and for which tier, unless it is where its programs say."""


@pytest.fixture(scope="module")
def world() -> TermsFile:
    return load(WORLD)


def place(row: Row) -> tuple[str, str, str | None]:
    source, destination = row["from_program"], row["to_program"]
    if source == destination:
        destination += " (recipient)"
    return PLACES.get(row["id"], (source, destination, None))


def entry_of(world: TermsFile, name: str) -> TermsEntry:
    source, destination, _ = place(RULES[name])
    return in_force(world, source, destination)


def test_table__is_read__whole() -> None:
    assert len(RULES) == 51
    assert {name for name, row in RULES.items() if not row["from_points"]} == WITHOUT_RATIO
    assert set(READ) <= set(RULES)


@pytest.mark.parametrize("name", [name for name in RULES if name not in WITHOUT_RATIO])
def test_rule_with_a_ratio__priced_at_its_own_amounts__gives_what_its_columns_say(world: TermsFile, name: str) -> None:
    row = RULES[name]
    tier = place(row)[2]
    terms = entry_of(world, name).terms()
    from_units, to_units = int(row["from_points"]), int(row["to_points"])
    step = int(row["increment_from"] or BLOCKS.get(name, 1))
    minimum = int(row["min_from"]) if row["min_from"].isdigit() else step
    situation = Situation(at=moment_of(NOW), tier=tier)
    for amount in (minimum, minimum + step, minimum + 6 * step, minimum + 7 * step - 1):
        valid = minimum + (amount - minimum) // step * step
        out = valid * to_units // from_units
        if out == 0:
            with pytest.raises(NothingOut):
                price(terms, amount, situation)
            continue
        result = price(terms, amount, situation)
        assert (result.base_out if tier is None else result.amount_out) == out
        least = valid
        while least - step >= minimum and (least - step) * to_units // from_units == out:
            least -= step
        assert (result.amount_in, result.remainder) == (least, amount - least)
    if minimum > 1:
        with pytest.raises(BelowMinimum) as refusal:
            price(terms, minimum - 1, situation)
        assert refusal.value.nearest == minimum


@dataclass(frozen=True)
class Case:
    """One swap and what is published of it; `out` None where it is refused, with the nearest amount in `nearest`."""

    source: str
    destination: str
    amount: int
    out: int | None
    burned: int | None = None
    bonus: int = 0
    day: str = NOW
    tier: str | None = None
    fee_points: int = 0
    fees: Mapping[str, int] = field(default_factory=dict)
    nearest: int | None = None


AMEX, AIRLINE = "Amex Membership Rewards US", "(default partner, a US airline)"
MARRIOTT, AIRLINES = "Marriott Bonvoy", "about 39 airlines"
AMEX_AU = "Amex MR Australia (Platinum Edge)"
AVIOS, NECTAR = "Avios (BA Club)", "Nectar UK"
AJWAA, QITAF = "Bank AlJazira Ajwaa", "Qitaf (stc)"
SG, KRIS = "Amex MR Singapore (Plat Charge/Centurion)", "KrisFlyer"
SGD_27_25 = {"SGD": 27_250_000}

CASES = [
    # USD 0.0006 for each point, and USD 99 at most: 165,000 points cost exactly that.
    Case(AMEX, AIRLINE, 1_000, 1_000, fees={"USD": 600_000}),
    Case(AMEX, AIRLINE, 165_000, 165_000, fees={"USD": 99_000_000}),
    Case(AMEX, AIRLINE, 500_000, 500_000, fees={"USD": 99_000_000}),
    Case(AMEX, "(default partner)", 1_000, 1_000),
    # 3:1, and 5,000 more for each 60,000: 60,000 give 25,000, which is 2.4:1.
    Case(MARRIOTT, AIRLINES, 59_999, 19_999, burned=59_997),
    Case(MARRIOTT, AIRLINES, 60_000, 25_000, bonus=5_000),
    Case(MARRIOTT, AIRLINES, 119_999, 44_999, burned=119_997, bonus=5_000),
    Case(MARRIOTT, AIRLINES, 120_000, 50_000, bonus=10_000),
    Case(MARRIOTT, AIRLINES, 2_999, None, nearest=3_000),
    Case(MARRIOTT, "Air New Zealand Airpoints", 3_199, 15, burned=3_000),
    Case(MARRIOTT, "JetBlue TrueBlue", 6_000, 1_000),
    Case(MARRIOTT, "United MileagePlus", 60_000, 22_000),
    # A whole mile or nothing: 2,500 give 1,875 and 2,504 give 1,878; 2,503 burns 2,500.
    Case(AMEX_AU, "Emirates Skywards", 2_500, 1_875),
    Case(AMEX_AU, "Emirates Skywards", 2_503, 1_875, burned=2_500),
    Case(AMEX_AU, "Emirates Skywards", 2_504, 1_878),
    Case(AMEX_AU, "Emirates Skywards", 1_999, None, nearest=2_000),
    # 400 become 250 the one way, and 400 become 400 the other way, since 2024-03-11.
    Case(NECTAR, AVIOS, 400, 250),
    Case(NECTAR, AVIOS, 799, 250, burned=400),
    Case(NECTAR, AVIOS, 800, 500),
    Case(AVIOS, NECTAR, 400, 400),
    Case(AVIOS, NECTAR, 300, 400, day="2024-03-10"),
    Case(AVIOS, NECTAR, 400, 400, day="2024-03-11"),
    Case(AVIOS, NECTAR, 300, None, day="2024-03-11", nearest=400),
    Case(AVIOS, NECTAR, 250, 400, day="2022-11-15"),
    Case(AVIOS, NECTAR, 299, None, day="2022-11-16", nearest=300),
    # 18,000 ALL points become 9,000, and those 2,000: 89% are lost.
    Case("Accor Le Club/ALL", "Qatar Privilege Club", 18_000, 9_000),
    Case("Qatar Privilege Club (Avios)", "Accor Le Club/ALL", 9_000, 2_000),
    # The first of the year's Avios up to 100,000: 22 blocks of 4,500 are 99,000.
    Case("Qatar Privilege Club (Avios)", "Accor Le Club/ALL", 99_000, 22_000),
    Case("Qatar Privilege Club (Avios)", "Accor Le Club/ALL", 103_500, None, nearest=99_000),
    # Blocks of 50 up to 500, without 450.
    Case(AJWAA, QITAF, 2_835, 50),
    Case(AJWAA, QITAF, 22_680, 400),
    Case(AJWAA, QITAF, 25_515, 400, burned=22_680),
    Case(AJWAA, QITAF, 28_350, 500),
    Case(AJWAA, QITAF, 100_000, 500, burned=28_350),
    Case("Mukafaat Albilad", "Saudia AlFursan Reward Miles", 59_999, 1_000, burned=30_000),
    Case("Qitaf point", "SAR", 9, 1, burned=5),
    # Dated blocks: 400 points on the day before, 500 from 2026-02-23 on.
    Case(SG, KRIS, 400, 250, day="2026-02-22"),
    Case(SG, KRIS, 400, None, day="2026-02-23", nearest=500),
    Case(SG, KRIS, 500, 250, day="2026-02-23"),
    Case("Amex MR Singapore (other)", KRIS, 450, 250, day="2026-02-22"),
    Case("Amex MR Singapore (other)", KRIS, 1_100, 500),
    # Flat fees in money, whatever the amount.
    Case("BOC points Singapore", KRIS, 50_000, 10_000, fees={"SGD": 30_000_000}),
    Case("Citi Miles Singapore", KRIS, 20_000, 20_000, fees=SGD_27_25),
    Case("Citi ThankYou Singapore", KRIS, 49_999, 10_000, burned=25_000, fees=SGD_27_25),
    Case("Maybank TREATS", KRIS, 25_000, 10_000, fees=SGD_27_25),
    Case("Standard Chartered 360 (tier 1)", KRIS, 25_000, 10_000, fees=SGD_27_25),
    Case("Standard Chartered 360 (tier 2)", KRIS, 34_500, 10_000, fees=SGD_27_25),
    Case("OCBC$", KRIS, 25_000, 10_000, fees={"SGD": 25_000_000}),
    Case("OCBC 90N Miles", KRIS, 1_000, 1_000, fees={"SGD": 25_000_000}),
    Case("OCBC VOYAGE Miles", KRIS, 1, 1, fees={"SGD": 25_000_000}),
    Case("DBS Points", KRIS, 5_000, 10_000, tier="each conversion", fees=SGD_27_25),
    Case("DBS Points", KRIS, 5_000, 10_000, tier="yearly plan"),
    Case("UOB UNI$", KRIS, 5_000, 10_000, tier="each conversion", fees={"SGD": 25_000_000}),
    Case("UOB UNI$", KRIS, 5_000, 10_000, tier="yearly plan"),
    # A first block of 30,000, then steps of 6 that give 2.
    Case("HSBC Points Singapore", KRIS, 29_999, None, nearest=30_000),
    Case("HSBC Points Singapore", KRIS, 30_000, 10_000),
    Case("HSBC Points Singapore", KRIS, 30_005, 10_000, burned=30_000),
    Case("HSBC Points Singapore", KRIS, 30_006, 10_002),
    Case("HSBC Points Singapore", KRIS, 60_000, 20_000),
    Case("DBS Points", "KrisPay", 100, 170),
    # 5:2 for one tier, 5:4 for the other, and each with its own cap; Group B has room for four times as much.
    Case("Axis EDGE", "Group A partners", 5_000, 2_000, tier="Magnus"),
    Case("Axis EDGE", "Group A partners", 5_000, 4_000, bonus=2_000, tier="Magnus Burgundy"),
    Case("Axis EDGE", "Group A partners", 100_000, 40_000, tier="Magnus"),
    Case("Axis EDGE", "Group A partners", 100_005, None, tier="Magnus", nearest=100_000),
    Case("Axis EDGE", "Group A partners", 200_005, None, tier="Magnus Burgundy", nearest=200_000),
    Case("Axis EDGE", "Group B partners", 400_005, None, tier="Magnus", nearest=400_000),
    Case("Axis EDGE", "Group B partners", 800_000, 640_000, bonus=320_000, tier="Magnus Burgundy"),
    Case("Axis EDGE", "Group A partners", 5_000, None, tier="Olympus"),
    # 500 points on top; up to a million yen a month, which are ten million points.
    Case("PeX points", "JPY bank (Rakuten)", 5_000, 500, fee_points=500),
    Case("PeX points", "JPY bank (Rakuten)", 5_999, 550, burned=5_500, fee_points=500),
    Case("PeX points", "JPY bank (Rakuten)", 10_000_000, 1_000_000, fee_points=500),
    Case("PeX points", "JPY bank (Rakuten)", 10_000_500, None, nearest=10_000_000),
    # USD 5 for each 1,000 points begun.
    Case("IHG One Rewards member", "IHG One Rewards member (recipient)", 1_000, 1_000, fees={"USD": 5_000_000}),
    Case("IHG One Rewards member", "IHG One Rewards member (recipient)", 1_001, 1_001, fees={"USD": 10_000_000}),
    Case("Qatar Avios member", "Qatar Avios member (recipient)", 251_000, None, nearest=250_000),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.source}-{case.destination}-{case.amount}-{case.day}")
def test_rule__priced_at_a_published_example__gives_what_is_published(world: TermsFile, case: Case) -> None:
    terms = in_force(world, case.source, case.destination, case.day).terms()
    situation = Situation(at=moment_of(case.day), tier=case.tier)
    if case.out is None:
        with pytest.raises((BelowMinimum, OverCap, DirectionClosed)) as refusal:
            price(terms, case.amount, situation)
        if case.nearest is not None:
            assert refusal.value.nearest == case.nearest
        return
    result = price(terms, case.amount, situation)
    assert result.amount_out == case.out
    assert result.base_out == case.out - case.bonus
    assert result.amount_in == (case.amount if case.burned is None else case.burned)
    assert result.fee_points == case.fee_points
    assert {fee.currency: fee.micro for fee in result.fees} == dict(case.fees)
    assert price_for(terms, case.out, situation).amount_in == result.amount_in


def test_amex_australia__after_2500__offers_2504_and_one_transfer_a_day(world: TermsFile) -> None:
    terms = entry_of(world, "amex_au_emirates").terms()
    assert price(terms, 2_500).nearest_above == 2_504
    (cap,) = terms.rules.caps
    assert price(terms, 2_500, Situation(used={cap: Usage(count=0)})).amount_out == 1_875
    with pytest.raises(OverCap) as refusal:
        price(terms, 2_500, Situation(used={cap: Usage(points=2_000, count=1)}))
    assert refusal.value.limit == 1


@pytest.mark.parametrize(
    ("name", "most_out", "most_in"), [("marriott_p2p", 100_000, 500_000), ("citi_p2p", 100_000, 100_000)]
)
def test_transfers_between_members__are_capped_on_both_sides(
    world: TermsFile, name: str, most_out: int, most_in: int
) -> None:
    terms = entry_of(world, name).terms()
    out, into = Cap(Period.YEAR, Points(most_out)), Cap(Period.YEAR, Points(most_in), side=Side.IN)
    assert terms.rules.caps == (out, into)
    assert price(terms, most_out).amount_out == most_out
    assert nearest(terms, most_out + 1_000) == most_out
    sent, received = {out: Usage(most_out - 2_000, 3)}, {into: Usage(most_in - 3_000, 9)}
    assert nearest(terms, 5_000, Situation(used=sent)) == 2_000
    assert nearest(terms, 5_000, Situation(used=received)) == 3_000


def nearest(terms: Terms, amount: int, situation: Situation = PLAIN_SITUATION) -> int | str | None:
    with pytest.raises(SarrafError) as refusal:
        price(terms, amount, situation)
    assert isinstance(refusal.value, OverCap)
    return refusal.value.nearest


def test_citi_shared_points__expire_after_90_days_and_do_not_go_on(world: TermsFile) -> None:
    rules = entry_of(world, "citi_p2p").rules()
    assert rules.received == Received(Expiry.SHORTENS, days=90, onward=False)
    assert (rules.eligible.left_min_days, rules.eligible.earned_only) == (90, True)


def test_other_rules_of_points__are_what_is_published(world: TermsFile) -> None:
    assert not entry_of(world, "hsbc_us_emirates").rules().received.onward
    assert entry_of(world, "kris_krisflyer").rules().eligible.age_max_days == 21


def test_axis__partners_of_one_group__share_the_cap_of_the_tier(world: TermsFile) -> None:
    group_a = [in_force(world, "Axis EDGE", name).terms() for name in ("Group A partners", "another Group A partner")]
    group_b = in_force(world, "Axis EDGE", "Group B partners").terms()
    assert [each.rules.group for each in (*group_a, group_b)] == ["A", "A", "B"]
    assert group_a[0].rules.caps == group_a[1].rules.caps
    cap = next(cap for cap in group_a[0].rules.caps if "Magnus" in cap.tiers)
    assert cap == Cap(Period.YEAR, Points(100_000), shared=True, tiers=frozenset({"Magnus"}))
    used = Situation(tier="Magnus", used={cap: Usage(60_000, 2)})  # at the one partner
    assert price(group_a[1], 40_000, used).amount_out == 16_000
    assert nearest(group_a[1], 40_005, used) == 40_000


def test_nectar__there_and_back__loses_more_with_each_change(world: TermsFile) -> None:
    avios = price(in_force(world, NECTAR, AVIOS).terms(), 19_200).amount_out
    assert avios == 12_000
    days = ["2022-11-15", "2022-11-16", "2024-03-11"]
    back = [price(in_force(world, AVIOS, NECTAR, day).terms(), avios).amount_out for day in days]
    assert back == [19_200, 16_000, 12_000]


def test_rules_without_a_ratio__load_as_limits(world: TermsFile) -> None:
    limits = {(each.source, each.destination): each for each in world.limits()}
    qitaf = limits["Qitaf (stc)", "Saudia AlFursan"]
    assert (qitaf.minimum, qitaf.increment) == (100, None)
    for name in ("diamond", "platinum", "gold", "classic"):
        row = RULES[f"qitaf_fursan_{name}"]
        assert row["min_from"] == "100"
        caps = {cap.per: cap.points for cap in qitaf.rules.caps if cap.tiers == {name}}
        assert caps == {Period.TRANSFER: int(row["max_per_txn"]), Period.YEAR: int(row["max_per_year"])}
    for source, group_a, group_b in [("Burgundy Private", 300_000, 1_200_000), ("Olympus", 150_000, 600_000)]:
        for group, most in (("A", group_a), ("B", group_b)):
            each = limits[f"Axis EDGE ({source})", f"Group {group} partners"]
            assert each.rules.group == group
            assert each.rules.caps == (Cap(Period.YEAR, Points(most), shared=True),)
    nothing = limits["Almosafer points", "alrajhi mokafaa"]
    assert nothing == Limits("Almosafer points", "alrajhi mokafaa", None, None, nothing.rules)
    assert len(limits) == 6  # four rows of Qitaf are one, two of Axis are four


def test_file__has_nothing_that_the_table_has_not(world: TermsFile) -> None:
    named = {place(row)[:2] for row in RULES.values()}
    groups = {(source, f"Group {group} partners") for source, _ in named if "Axis" in source for group in "AB"}
    split = {(AMEX, AIRLINE), ("Axis EDGE", "another Group A partner"), ("Qitaf (stc)", "Saudia AlFursan")}
    assert {entry.direction for entry in world.entries} <= named | groups | split
