"""Earns: each on its own, many at once, and the same again."""

import pytest

from bridge.store import earns
from bridge.store.earns import EarnRequest
from bridge.store.operations import NOTHING_EARNED
from bridge.store.programs import Program
from exchange.errors import IdempotencyKeyReused, InvalidAmount, ProgramNotActive, UnknownMember, UnknownProgram
from exchange.ledger import Balance
from exchange.points import POINTS_MAX, Points
from tests.bridge.store.ledgers import DAY_MS, Ledger, earn_of


def test_accept__of_points__is_spendable_at_once_and_pending(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    operation_id = ledger.earn(ann, 70)
    (account,) = ledger.accounts(ann)
    assert account.balance == Balance(credits_pending=Points(70))
    assert ledger.lots(ann) == [70]
    found = ledger.operation(operation_id)
    assert (found.kind, found.state, found.points, found.member_id) == ("earn", "accepted", 70, ann.id)


def test_accept__of_a_spend__gives_what_the_rate_says(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    requests = [EarnRequest("by number", None, "ann", 1_299, None, 5), EarnRequest("by id", ann.id, None, 100, None, 6)]
    assert [one.points for one in ledger.earn_many(air.id, requests)] == [12, 1]
    assert ledger.lots(ann) == [12, 1]


def test_accept__of_too_little_spend__is_remembered_and_final(ledger: Ledger, air: Program) -> None:
    ledger.member(air, "ann")
    request = EarnRequest("cheap", None, "ann", 99, None, None)
    (answer,) = ledger.earn_many(air.id, [request])
    assert (answer.points, answer.reason, answer.replayed) == (0, NOTHING_EARNED, False)
    assert answer.operation_id is not None
    assert ledger.operation(answer.operation_id).state == "final"
    (again,) = ledger.earn_many(air.id, [request])
    assert (again.operation_id, again.points, again.reason, again.replayed) == (
        answer.operation_id,
        0,
        NOTHING_EARNED,
        True,
    )


def test_accept__of_the_same_key_and_request__answers_the_first_again(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    first = ledger.earn(ann, 5, "key")
    before = ledger.everything()
    (again,) = ledger.earn_many(air.id, [earn_of(ann, 5, "key")])
    assert (again.operation_id, again.points, again.replayed) == (first, 5, True)
    assert ledger.everything() == before


@pytest.mark.parametrize("other", ["amount", "member", "occurred"])
def test_accept__of_the_same_key_and_another_request__is_refused(ledger: Ledger, air: Program, other: str) -> None:
    ann, ben = ledger.member(air, "ann"), ledger.member(air, "ben")
    ledger.earn(ann, 5, "key")
    request = {
        "amount": earn_of(ann, 6, "key"),
        "member": earn_of(ben, 5, "key"),
        "occurred": EarnRequest("key", ann.id, None, None, 5, 1),
    }[other]
    before = ledger.everything()
    (answer,) = ledger.earn_many(air.id, [request])
    assert isinstance(answer.refusal, IdempotencyKeyReused)
    assert answer.refusal.field == "event_id"
    assert ledger.everything() == before


def test_accept__of_a_key_that_another_program_used__is_another_earn(
    ledger: Ledger, air: Program, box: Program
) -> None:
    ann, ben = ledger.member(air, "ann"), ledger.member(box, "ben")
    assert ledger.earn(ann, 5, "key") != ledger.earn(ben, 5, "key")


def test_accept__of_many_with_one_key_twice__takes_it_once(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    first, again, other = ledger.earn_many(
        air.id, [earn_of(ann, 5, "key"), earn_of(ann, 5, "key"), earn_of(ann, 6, "key")]
    )
    assert (first.replayed, again.replayed) == (False, True)
    assert first.operation_id == again.operation_id
    assert isinstance(other.refusal, IdempotencyKeyReused)
    assert ledger.lots(ann) == [5]


def test_accept__of_many_of_which_some_are_wrong__takes_the_others(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    answers = ledger.earn_many(
        air.id,
        [
            earn_of(ann, 5, "a"),
            EarnRequest("b", None, "nobody", None, 5, None),
            EarnRequest("c", "mbr_nobody", None, None, 5, None),
            earn_of(ann, 0, "d"),
            earn_of(ann, POINTS_MAX + 1, "e"),
            earn_of(ann, POINTS_MAX, "f"),
        ],
    )
    refused = [type(one.refusal) for one in answers]
    assert refused == [type(None), UnknownMember, UnknownMember, InvalidAmount, InvalidAmount, type(None)]
    assert [one.key for one in answers] == ["a", "b", "c", "d", "e", "f"]
    assert ledger.lots(ann) == [5, POINTS_MAX]


def test_accept__of_a_member_of_another_program__is_refused(ledger: Ledger, air: Program, box: Program) -> None:
    ben = ledger.member(box, "ben")
    (answer,) = ledger.earn_many(air.id, [EarnRequest("a", ben.id, None, None, 5, None)])
    assert isinstance(answer.refusal, UnknownMember)


def test_accept__of_several_for_one_member__sums_them(ledger: Ledger, air: Program) -> None:
    ann, ben = ledger.member(air, "ann"), ledger.member(air, "ben")
    ledger.earn_many(air.id, [earn_of(who, amount, f"{who.id} {amount}") for who in (ann, ben) for amount in (1, 2, 4)])
    assert ledger.accounts(ann)[0].balance.credits_pending == 7
    assert ledger.lots(ben) == [1, 2, 4]


def test_accept__where_points_expire__makes_lots_that_do(ledger: Ledger, air: Program, box: Program) -> None:
    ann, ben = ledger.member(air, "ann"), ledger.member(box, "ben")
    ledger.earn(ann, 5)
    ledger.earn(ben, 5)
    lots = {row[1]: row for row in ledger.everything()["lot"]}
    expiry = {row[-1] for row in lots.values()}
    assert expiry == {ledger.now_ms + 30 * DAY_MS, None}


def test_accept__in_a_program_without_a_token__is_refused(ledger: Ledger) -> None:
    new = ledger.program("NEW", active=False)
    with pytest.raises(ProgramNotActive):
        ledger.do(earns.accept, new.id, [], ledger.now_ms)
    with pytest.raises(UnknownProgram):
        ledger.do(earns.accept, "prg_nobody", [], ledger.now_ms)


def test_accept__of_several__tells_each(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    told = [ledger.earn(ann, amount) for amount in (1, 2, 3)]
    assert [(one.operation_id, one.state) for one in ledger.told(air)] == [(each, "accepted") for each in told]


def test_accept__of_more_than_a_programs_books_can_count__is_refused_with_what_is_left(
    ledger: Ledger, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = ledger.member(air, "ann")
    monkeypatch.setattr(earns, "ISSUED_MAX", 10)
    ledger.earn(ann, 4)
    first, second, third = ledger.earn_many(
        ann.program_id, [earn_of(ann, amount, ledger.key()) for amount in (5, 2, 1)]
    )
    assert first.refusal is None and third.refusal is None
    assert isinstance(second.refusal, InvalidAmount)
    assert (second.refusal.limit, second.refusal.nearest) == (1, 1)
