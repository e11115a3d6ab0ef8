"""Outcomes: what follows from what the chain made of a batch, and back again."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bridge.store import accounts, batches, blocks, events, freezing, links, outcomes
from bridge.store.batches import Batch, Control, Mined
from bridge.store.lanes import LaneId
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import account, entry, operation
from exchange.errors import InsufficientPoints, PointsNotFinal
from exchange.ledger import Balance
from exchange.points import Points
from tests.bridge.store.ledgers import Ledger


@pytest.fixture
def ann(ledger: Ledger, air: Program, box: Program) -> Member:
    """A member of AIR with 100 confirmed points, linked to `ben` in BOX; terms of 2 to 1."""
    ann = ledger.link(ledger.member(air, "ann"), ledger.member(box, "ben")).members[0]
    ledger.agree(air, box, (2, 1))
    ledger.earn(ann, 100)
    ledger.post(air)
    return ann


@pytest.fixture
def ben(ledger: Ledger, ann: Member, box: Program) -> Member:
    sides = ledger.ask(links.by_id, ann.link_id or "").members
    return next(one for one in sides if one.program_id == box.id)


def _balance(ledger: Ledger, who: Member, place: int = 0) -> Balance:
    return ledger.accounts(who)[place].balance


def _system(ledger: Ledger, program: Program) -> dict[str, tuple[int, int, int, int]]:
    query = sa.select(account).where(account.c.program_id == program.id, account.c.member_id.is_(None))
    with ledger.database.read() as connection:
        return {
            row.kind: (row.credits_pending, row.credits_posted, row.debits_pending, row.debits_posted)
            for row in connection.execute(query)
        }


# -- confirm ----------------------------------------------------------------------------------


def test_confirm__of_any_batch__moves_nothing_in_the_books_yet(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    frozen = _all_kinds(ledger, ann, ben, air, box)
    before = ledger.everything("event", "block", "batch", "operation")
    ledger.mine(*frozen)
    assert ledger.everything("event", "block", "batch", "operation") == before


def test_finalise__of_earns_and_redemptions__posts_them(ledger: Ledger, ann: Member, air: Program) -> None:
    ledger.earn(ann, 10)
    operation_id = ledger.redeem(ann, 30)
    frozen = ledger.confirm(air)
    found = ledger.operation(operation_id)
    assert (found.state, found.batch_id, found.block_number) == ("confirmed", frozen.id, 2)
    assert found.confirmed_ms == ledger.now_ms
    ledger.finalise(2)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(110), debits_posted=Points(30))
    assert _system(ledger, air) == {"issued": (0, 0, 0, 110), "redeemed": (0, 30, 0, 0), "swapped": (0, 0, 0, 0)}
    assert ledger.operation(operation_id).state == "final"


def test_finalise__of_a_swap__makes_what_it_brought_spendable(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.swap(ann, box, 40)
    ledger.post(air, box)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(100), debits_posted=Points(40))
    assert _balance(ledger, ben, 1) == Balance(credits_posted=Points(20))
    assert _system(ledger, air)["swapped"] == (0, 40, 0, 0)
    assert _system(ledger, box)["swapped"] == (0, 0, 0, 20)
    assert ledger.lots(ben) == [20]


def test_confirm__of_a_batch_that_was_not_seen_sent__tells_both_steps(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    operation_id = ledger.earn(ann, 10)
    before = ledger.ask(events.last_cursor)
    frozen = ledger.confirm(air)
    found = ledger.told(air, before)
    assert [(one.operation_id, one.state) for one in found] == [
        (operation_id, "submitted"),
        (operation_id, "confirmed"),
    ]
    assert ledger.batch(frozen.id).submitted_ms == ledger.now_ms


def test_confirm__twice__is_a_bug(ledger: Ledger, ann: Member, air: Program) -> None:
    ledger.earn(ann, 10)
    frozen = ledger.confirm(air)
    with pytest.raises(AssertionError, match="confirmed already"):
        ledger.mine(frozen)


def test_submitted__twice__is_told_once(ledger: Ledger, ann: Member, air: Program) -> None:
    operation_id = ledger.earn(ann, 10)
    frozen = ledger.freeze(ledger.stream(air))
    ledger.do(outcomes.submitted, frozen.id, ledger.now_ms)
    cursor = ledger.ask(events.last_cursor)
    ledger.do(outcomes.submitted, frozen.id, ledger.now_ms + 5)
    assert ledger.ask(events.last_cursor) == cursor
    assert ledger.operation(operation_id).submitted_ms == ledger.now_ms


# -- what the chain skipped -------------------------------------------------------------------


def test_confirm__with_a_skipped_redemption__leaves_it_held_and_freezes_the_account_when_final(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    earned, redeemed = ledger.earn(ann, 10), ledger.redeem(ann, 30)
    frozen = ledger.freeze(ledger.stream(air))
    number = ledger.mine(frozen, skipped=[1])
    assert not ledger.accounts(ann)[0].frozen
    assert ledger.finalise(number) == [ledger.accounts(ann)[0].id]
    assert ledger.accounts(ann)[0].frozen
    assert ledger.operation(earned).state == "final"
    failed = ledger.operation(redeemed)
    assert (failed.state, failed.reason) == ("failed", outcomes.SHORT_ON_CHAIN)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(110), debits_pending=Points(30)), "the hold stays"
    assert ledger.finalise(number) == []


def test_finalise__of_a_skipped_swap__gives_the_hold_back(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    operation_id = ledger.swap(ann, box, 40)
    number = ledger.mine(ledger.freeze(ledger.stream(air, box)), skipped=[0])
    assert _balance(ledger, ann) == Balance(credits_posted=Points(100), debits_pending=Points(40))
    ledger.finalise(number)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(100))
    assert _balance(ledger, ben, 1) == Balance()
    assert ledger.lots(ann) == [100]
    assert ledger.operation(operation_id).state == "failed"
    assert ledger.accounts(ann)[0].frozen
    assert _system(ledger, air)["swapped"] == (0, 0, 0, 0)
    assert _system(ledger, box)["swapped"] == (0, 0, 0, 0)


def test_finalise__of_a_redemption_that_was_skipped_in_two_accounts__tells_its_failure_once(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.swap(ann, box, 40)
    ledger.post(air, box)
    ledger.earn(ben, 10)
    ledger.post(box)
    operation_id = ledger.redeem(ben, 30)
    number = ledger.mine(ledger.freeze(ledger.stream(box)), skipped=[0, 1])
    cursor = ledger.ask(events.last_cursor)
    assert sorted(ledger.finalise(number)) == [one.id for one in ledger.accounts(ben)]
    found = ledger.told(box, cursor)
    assert [one.state for one in found if one.operation_id == operation_id] == ["failed"]


def test_finalise__of_a_skipped_swap__tells_both_programs_that_it_failed_and_nothing_more(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.swap(ann, box, 40)
    number = ledger.mine(ledger.freeze(ledger.stream(air, box)), skipped=[0])
    cursor = ledger.ask(events.last_cursor)
    ledger.finalise(number)
    for program in (air, box):
        found = ledger.told(program, cursor)
        assert [one.state for one in found] == ["failed"]


@pytest.fixture
def two_legs(ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program, car: Program) -> tuple[Member, str]:
    """A swap from BOX to CAR with a leg of 10 from ben's own account and one of 10 from what a swap brought him."""
    ledger.swap(ann, box, 20)
    ledger.post(air, box)
    ledger.earn(ben, 10)
    ledger.post(box)
    cat = ledger.link(ledger.member(car, "cat"), ben).members[-1]
    assert cat.program_id == car.id
    ledger.agree(box, car, (1, 1))
    return cat, ledger.swap(ben, car, 20)


def test_finalise__with_one_leg_skipped__makes_only_the_other_spendable(
    ledger: Ledger, ben: Member, two_legs: tuple[Member, str], box: Program, car: Program
) -> None:
    cat, operation_id = two_legs
    number = ledger.mine(ledger.freeze(ledger.stream(box, car)), skipped=[1])
    ledger.finalise(number)
    assert [one.balance.available for one in ledger.accounts(cat)] == [0, 10, 0]
    assert ledger.lots(cat) == [10]
    with pytest.raises(InsufficientPoints) as refused:
        ledger.redeem(cat, 11)
    assert refused.value.limit == 10
    ledger.redeem(cat, 10)
    assert ledger.operation(operation_id).state == "failed"
    assert [one.balance.posted for one in ledger.accounts(cat)] == [0, 10, 0]
    assert [(one.balance.posted, one.balance.available, one.frozen) for one in ledger.accounts(ben)] == [
        (0, 0, False),
        (10, 10, True),
    ]


# -- undone by a reorganisation ---------------------------------------------------------------


def _all_kinds(ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program) -> list[Batch]:
    ledger.earn(ann, 10)
    ledger.redeem(ann, 30)
    ledger.earn(ben, 5)
    ledger.swap(ann, box, 40)
    return [ledger.freeze(ledger.stream(*path)) for path in ((air,), (box,), (air, box))]


@pytest.mark.parametrize("skipped", [[], [0]], ids=["nothing skipped", "swap skipped"])
def test_unconfirm__of_a_block__restores_everything_exactly(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program, skipped: list[int]
) -> None:
    frozen = _all_kinds(ledger, ann, ben, air, box)
    for one in frozen:
        ledger.do(outcomes.submitted, one.id, ledger.now_ms)
    before = ledger.everything("event")
    ledger.mine(*frozen, skipped=skipped)
    assert ledger.everything("event")["batch"] != before["batch"]
    assert sorted(ledger.undo_above(1)) == sorted(one.id for one in frozen)
    assert ledger.everything("event") == before


def test_unconfirm__and_mined_again__ends_as_if_nothing_had_been(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    """Where a debit was skipped in the block that is gone, and is not in the one that stays."""
    frozen = _all_kinds(ledger, ann, ben, air, box)
    ledger.mine(*frozen, skipped=[0])
    ledger.undo_above(1)
    ledger.mine(*(ledger.batch(one.id) for one in frozen))
    ledger.finalise(2)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(110), debits_posted=Points(70))
    assert [one.balance.posted for one in ledger.accounts(ben)] == [5, 20]
    assert {state for _, state in _states(ledger)} == {"final"}
    assert not ledger.accounts(ann)[0].frozen


def _states(ledger: Ledger) -> list[tuple[str, str]]:
    with ledger.database.read() as connection:
        rows = connection.execute(sa.select(operation.c.id, operation.c.state))
        return [(row.id, row.state) for row in rows]


def test_unconfirm__of_several_blocks__undoes_them_all(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.swap(ann, box, 40)
    swapped = ledger.confirm(air, box)
    ledger.redeem(ann, 20)
    redeemed = ledger.confirm(air)
    assert ledger.undo_above(1) == [redeemed.id, swapped.id]
    assert {ledger.batch(one.id).state for one in (swapped, redeemed)} == {"submitted"}
    tip = ledger.ask(blocks.tip)
    assert tip is not None and tip.number == 1


def test_spending__of_what_is_confirmed_and_not_final__is_refused(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    """Neither what a swap brought nor, for a swap, what was earned: a reorganisation may take both back."""
    ledger.agree(box, air)
    ledger.swap(ann, box, 40)
    ledger.confirm(air, box)
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ben, 1)
    ledger.earn(ben, 5)
    ledger.confirm(box)
    with pytest.raises(PointsNotFinal):
        ledger.swap(ben, air, 1)
    ledger.finalise(3)
    ledger.redeem(ben, 20)
    ledger.swap(ben, air, 5)
    assert ledger.lots(ben) == [0, 0]


def test_unconfirm__of_a_final_batch__is_a_bug(ledger: Ledger, ann: Member, air: Program) -> None:
    ledger.earn(ann, 10)
    frozen = ledger.post(air)
    with pytest.raises(AssertionError, match="below finality nothing is undone"):
        ledger.do(outcomes.unconfirm, frozen.id, ledger.now_ms)


def _control(ledger: Ledger) -> str:
    return ledger.do(batches.add_control, Control("admit", "prg_x", LaneId(1), b"\1" * 20, b"", 1), ledger.now_ms)


@pytest.mark.parametrize("refused", [False, True])
def test_unconfirm__of_a_call_that_sets_up__waits_for_its_block_again(ledger: Ledger, refused: bool) -> None:
    control = _control(ledger)
    ledger.do(outcomes.submitted, control, ledger.now_ms)
    before = ledger.batch(control)
    number = ledger.mine()
    mined = Mined(b"\2" * 32, number, 5)
    if refused:
        ledger.do(batches.fail_control, control, mined, "NotAdmin()")
        assert ledger.batch(control).state == "failed"
    else:
        ledger.do(outcomes.confirm, control, mined, (), ledger.now_ms)
        assert ledger.batch(control).state == "confirmed"
    ledger.undo_above(0)
    assert ledger.batch(control) == before


# -- finality ---------------------------------------------------------------------------------


def test_finalise__up_to_a_block__leaves_what_stands_above(ledger: Ledger, ann: Member, air: Program) -> None:
    operations = []
    for _ in range(2):
        operations.append(ledger.earn(ann, 10))
        ledger.confirm(air)
    ledger.finalise(2)
    assert [ledger.operation(each).state for each in operations] == ["final", "confirmed"]
    assert ledger.operation(operations[0]).final_ms == ledger.now_ms
    ledger.finalise(3)
    assert ledger.operation(operations[1]).state == "final"


# -- dissolving -------------------------------------------------------------------------------


def test_dissolve__of_unposted_batches__puts_their_operations_back_in_their_old_order(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    operations: list[str] = []
    for amount in (1, 2, 3):
        operations.append(ledger.earn(ann, amount))
        ledger.freeze(ledger.stream(air))
    operations.append(ledger.earn(ann, 4))
    assert ledger.dissolve(ledger.stream(air)) == 3
    with ledger.database.read() as connection:
        items = freezing.waiting_items(connection, ledger.stream(air).id, 10)
    assert [item.operation_id for item in items] == operations
    assert {ledger.operation(each).state for each in operations} == {"accepted"}
    again = ledger.freeze(ledger.stream(air))
    assert again.sequence == 2, "the sequence after the last one that was posted"
    ledger.finalise(ledger.mine(again))
    assert _balance(ledger, ann) == Balance(credits_posted=Points(110))


def test_dissolve__of_batches_that_were_sent__makes_their_operations_accepted_again(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    operation_id = ledger.earn(ann, 1)
    frozen = ledger.freeze(ledger.stream(air))
    ledger.do(outcomes.submitted, frozen.id, ledger.now_ms)
    assert ledger.operation(operation_id).state == "submitted"
    before = _balance(ledger, ann)
    ledger.dissolve(ledger.stream(air))
    found = ledger.operation(operation_id)
    assert (found.state, found.batch_id, found.submitted_ms) == ("accepted", None, None)
    assert ledger.batch(frozen.id).state == "dissolved"
    assert _balance(ledger, ann) == before


def test_dissolve__of_swaps__is_told_to_both_programs(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    operation_id = ledger.swap(ann, box, 40)
    ledger.freeze(ledger.stream(air, box))
    cursor = ledger.ask(events.last_cursor)
    ledger.dissolve(ledger.stream(air, box))
    for program in (air, box):
        found = ledger.told(program, cursor)
        assert [(one.operation_id, one.state) for one in found] == [(operation_id, "accepted")]


def test_fail_swaps__of_terms_that_are_gone__gives_the_holds_back(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    dead = ledger.swap(ann, box, 40)
    ledger.freeze(ledger.stream(air, box))
    agreed = ledger.agree(air, box, (4, 1), version=2)
    alive = ledger.swap(ann, box, 8)
    stream = ledger.stream(air, box)
    ledger.dissolve(stream)
    gone = [one for one in ledger.ask(freezing.waiting_terms, stream.id) if one != agreed.id]
    cursor = ledger.ask(events.last_cursor)
    assert ledger.do(outcomes.fail_swaps, stream.id, gone, "replaced", ledger.now_ms) == 1
    assert _balance(ledger, ann) == Balance(credits_posted=Points(100), debits_pending=Points(8))
    assert _balance(ledger, ben, 1) == Balance(incoming_pending=Points(2))
    assert ledger.lots(ann) == [92]
    failed = ledger.operation(dead)
    assert (failed.state, failed.reason) == ("failed", "replaced")
    assert ledger.operation(alive).state == "accepted"
    for program in (air, box):
        found = ledger.told(program, cursor)
        assert [(one.operation_id, one.state) for one in found] == [(dead, "failed")]
    with ledger.database.read() as connection:
        states = connection.execute(sa.select(entry.c.state).where(entry.c.operation_id == dead)).scalars().all()
    assert set(states) == {"void"}


# -- the database's own defence ---------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda changes, account_id: changes.add(account_id, "debits_pending", 101),
        lambda changes, account_id: changes.add(account_id, "credits_pending", -1),
        lambda changes, account_id: changes.add(account_id, "credits_posted", -1),
    ],
    ids=["overdraft", "pending below zero", "posted less than is held"],
)
def test_counters__that_would_owe__are_refused_by_the_database(
    ledger: Ledger, ann: Member, change: Callable[[accounts.Changes, int], None]
) -> None:
    ledger.redeem(ann, 100)
    changes = accounts.Changes()
    change(changes, ledger.accounts(ann)[0].id)
    with pytest.raises(sa.exc.IntegrityError):
        ledger.do(changes.apply)
