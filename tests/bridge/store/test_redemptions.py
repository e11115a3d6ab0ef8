"""Redemptions: held at once, never more than there is, and the same again."""

import pytest

from bridge.store import redemptions
from bridge.store.programs import Program
from bridge.store.redemptions import RedemptionRequest
from exchange.errors import IdempotencyKeyReused, InsufficientPoints, InvalidAmount, ProgramNotActive, UnknownMember
from exchange.ledger import Balance
from exchange.points import Points
from tests.bridge.store.ledgers import Ledger


def test_accept__of_points_that_are_queued__holds_them(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    ledger.earn(ann, 10)
    operation_id = ledger.redeem(ann, 4)
    assert ledger.accounts(ann)[0].balance == Balance(credits_pending=Points(10), debits_pending=Points(4))
    assert ledger.lots(ann) == [6]
    assert ledger.operation(operation_id).state == "accepted"


def test_accept__of_more_than_there_is__says_how_much_there_is_and_leaves_no_trace(
    ledger: Ledger, air: Program
) -> None:
    ann = ledger.member(air, "ann")
    ledger.earn(ann, 10)
    ledger.redeem(ann, 4)
    before = ledger.everything()
    with pytest.raises(InsufficientPoints) as refused:
        ledger.redeem(ann, 7)
    assert (refused.value.limit, refused.value.nearest, refused.value.field) == (6, 6, "points")
    assert ledger.everything() == before


def test_accept__where_nothing_is_there__names_no_nearest_amount(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    with pytest.raises(InsufficientPoints) as refused:
        ledger.redeem(ann, 1)
    assert (refused.value.limit, refused.value.nearest) == (0, None)


def test_accept__until_nothing_is_left__never_overdraws(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    ledger.earn(ann, 10)
    taken = 0
    while taken < 10:
        taken += 2
        ledger.redeem(ann, 2)
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ann, 1)
    assert ledger.lots(ann) == [0]


def test_accept__of_the_same_key_and_request__answers_the_first_again(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    ledger.earn(ann, 10)
    request = RedemptionRequest("key", None, "ann", 4)
    first, replayed = ledger.do(redemptions.accept, air.id, request, ledger.now_ms)
    assert not replayed
    before = ledger.everything()
    assert ledger.do(redemptions.accept, air.id, request, ledger.now_ms) == (first, True)
    assert ledger.everything() == before


def test_accept__of_the_same_key_and_another_amount__is_refused(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    ledger.earn(ann, 10)
    ledger.redeem(ann, 4, "key")
    with pytest.raises(IdempotencyKeyReused):
        ledger.redeem(ann, 5, "key")


def test_accept__of_a_key_that_an_earn_used__is_refused(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    ledger.earn(ann, 10, "key")
    with pytest.raises(IdempotencyKeyReused):
        ledger.redeem(ann, 10, "key")


@pytest.mark.parametrize("amount", [0, -1, 2**48])
def test_accept__of_what_is_no_amount__is_refused(ledger: Ledger, air: Program, amount: int) -> None:
    ann = ledger.member(air, "ann")
    with pytest.raises(InvalidAmount):
        ledger.redeem(ann, amount)


def test_accept__by_a_member_of_another_program__is_refused(ledger: Ledger, air: Program, box: Program) -> None:
    ben = ledger.member(box, "ben")
    request = RedemptionRequest("key", ben.id, None, 1)
    with pytest.raises(UnknownMember):
        ledger.do(redemptions.accept, air.id, request, ledger.now_ms)


def test_accept__in_a_program_without_a_token__is_refused(ledger: Ledger) -> None:
    new = ledger.program("NEW", active=False)
    with pytest.raises(ProgramNotActive):
        ledger.do(redemptions.accept, new.id, RedemptionRequest("key", None, "x", 1), ledger.now_ms)
