"""Who is a member where."""

from bridge.demo.events import Coupon, Purchase
from bridge.demo.households import memberships, share, split_coupons


def _bought(household: str, kind: str) -> Purchase:
    return Purchase(f"{kind}-{household}", kind, household, "2017-05-01T10:00:00Z", 100)


def test_memberships__when_a_household_buys_at_two_shops__then_is_member_of_both() -> None:
    found = memberships([_bought("2", "fuel"), _bought("1", "drugstore"), _bought("2", "grocery")])

    assert found == {"2": ("grocery", "fuel"), "1": ("drugstore",)}


def test_split_coupons__when_a_household_is_no_grocery_member__then_is_counted_apart() -> None:
    coupons = [Coupon(household, "77", "26", "2017-05-01", 1) for household in ("1", "2", "3")]

    members, strangers = split_coupons(coupons, {"1": ("drugstore",), "2": ("grocery", "fuel")})

    assert [c.household for c in members] == ["2"]
    assert strangers == 2


def test_share__given_any_household__then_is_stable_and_in_range() -> None:
    parts = [share(str(number), 4) for number in range(100)]

    assert set(parts) == {0, 1, 2, 3}
    assert share("900", 4) == 2
