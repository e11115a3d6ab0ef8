"""Spending: which lots a debit takes from, over several accounts, and how a hold is given back."""

import pytest

from bridge.store import accounts, lots, spending
from bridge.store.members import Member
from bridge.store.programs import Program
from exchange.errors import CannotSplit, InsufficientPoints
from tests.bridge.store.ledgers import DAY_MS, Ledger


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


def test_take__of_lots_with_different_expiry__begins_with_the_first_to_expire(ledger: Ledger, ann: Member) -> None:
    for amount in (10, 20, 30):
        ledger.earn(ann, amount)
        ledger.now_ms += DAY_MS
    ledger.redeem(ann, 15)
    assert ledger.lots(ann) == [0, 15, 30]
    ledger.redeem(ann, 16)
    assert ledger.lots(ann) == [0, 0, 29]


def test_take__of_lots_without_expiry__begins_with_the_earliest(ledger: Ledger, box: Program) -> None:
    ben = ledger.member(box, "ben")
    ledger.now_ms += DAY_MS
    ledger.earn(ben, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(ben, 10)
    ledger.redeem(ben, 11)
    assert ledger.lots(ben) == [0, 9]


def test_take__of_expired_points__is_refused(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 5)
    ledger.now_ms += 29 * DAY_MS  # the first lot's last moment is over, the second's is not
    purse = ledger.ask(spending.purse, ann.id, ledger.now_ms)
    assert purse.spendable == 5
    with pytest.raises(InsufficientPoints) as refused:
        ledger.redeem(ann, 6)
    assert refused.value.limit == 5
    ledger.redeem(ann, 5)
    assert ledger.lots(ann) == [10, 0]


def test_take__a_second_before_expiry__is_possible(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += 30 * DAY_MS - 1_000
    ledger.redeem(ann, 10)
    assert ledger.lots(ann) == [0]


def test_take__over_several_accounts__begins_with_the_points_that_expire_first(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    """What a swap brought lies in an account of its own, and expires on its own day."""
    ben = ledger.member(box, "ben")
    ledger.link(ann, ben)
    ledger.agree(box, air)
    ledger.earn(ben, 8)
    ledger.post(box)
    ledger.swap(ben, air, 8)
    ledger.post(box, air)
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 10)
    own, landed = ledger.accounts(ann)
    assert (own.balance.available, landed.balance.available) == (10, 8)
    ledger.redeem(ann, 11)
    own, landed = ledger.accounts(ann)
    assert (own.balance.available, landed.balance.available) == (7, 0)
    purse = ledger.ask(spending.purse, ann.id, ledger.now_ms)
    assert [one.id for one in purse.first_expiring()] == [own.id, landed.id]


def test_purse__of_a_frozen_account__does_not_hold_its_points(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.do(accounts.freeze, ledger.accounts(ann)[0].id)
    with pytest.raises(InsufficientPoints) as refused:
        ledger.redeem(ann, 1)
    assert refused.value.limit == 0


def test_purse__of_points_that_wait_for_their_batch__has_nothing_to_swap(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    purse = ledger.ask(spending.purse, ann.id, ledger.now_ms)
    assert (purse.spendable, purse.swappable) == (10, 0)


def test_purse__of_confirmed_points_that_a_redemption_holds__has_only_the_rest_to_swap(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    ledger.earn(ann, 10)
    ledger.post(air)
    ledger.earn(ann, 6)
    ledger.redeem(ann, 7)
    purse = ledger.ask(spending.purse, ann.id, ledger.now_ms)
    assert (purse.spendable, purse.swappable) == (9, 3)


def test_give_back__of_one_account__returns_to_the_lots_it_came_from(ledger: Ledger, ann: Member) -> None:
    for amount in (10, 20):
        ledger.earn(ann, amount)
    operation_id = ledger.redeem(ann, 15)
    assert ledger.lots(ann) == [0, 15]
    ledger.do(lots.give_back, operation_id, [ledger.accounts(ann)[0].id])
    assert ledger.lots(ann) == [10, 20]
    ledger.do(lots.give_back, operation_id, [ledger.accounts(ann)[0].id])
    assert ledger.lots(ann) == [10, 20], "what was given back once is not given back again"


def test_listed_lots__of_a_member__stand_in_the_order_in_which_they_expire(ledger: Ledger, ann: Member) -> None:
    first = ledger.earn(ann, 10)
    ledger.now_ms += DAY_MS
    second = ledger.earn(ann, 20)
    ledger.redeem(ann, 10)
    found = ledger.ask(lots.of_member, ann.id)
    assert [(one.operation_id, one.remaining) for one in found] == [(second, 20)]
    assert first != second


def test_take__from_more_accounts_than_one_operation_can__names_what_can_be_taken(
    ledger: Ledger, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.earn(ann, 10)
    monkeypatch.setattr(spending, "ACCOUNTS_MAX", 0)
    with pytest.raises(CannotSplit) as refused:
        ledger.redeem(ann, 5)
    assert (refused.value.limit, refused.value.nearest) == (0, 0)
