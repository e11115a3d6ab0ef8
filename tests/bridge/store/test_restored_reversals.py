"""Reversals and repayments that only the chain tells of: known again under their keys, and never done twice."""

import pytest

from bridge.store import accounts, batches, debts, lots, programs, repayments, spending, streams
from bridge.store.batches import Foreign, Mined, Told
from bridge.store.members import Member
from bridge.store.operations import Filter, Operation, page
from bridge.store.pages import Ask
from bridge.store.programs import Program
from exchange.errors import IdempotencyKeyReused, MoreThanOriginal
from exchange.points import Points
from exchange.words import EntryKind, EntryWord, digest, entry_tag
from tests.bridge.store.ledgers import DAY_MS, Ledger, hash_of


@pytest.fixture
def air(ledger: Ledger, air: Program) -> Program:
    """Its members may owe 50 points."""
    return ledger.do(programs.may_be_owed, air.id, 50)


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


def told(ledger: Ledger, of: Program, *words: EntryWord, skipped: tuple[int, ...] = ()) -> list[Operation]:
    """The chain tells of a batch that nobody froze here, with these words; the operations that were restored of it."""
    stream = ledger.stream(of)
    packed = b"".join(one.pack() for one in words)
    number = ledger.mine()
    sequence = stream.last_sequence + 1
    one = Foreign(stream.id, stream.lane_id, stream.kind, sequence, digest(packed), packed, packed, Told(), skipped)
    ledger.do(batches.add_foreign, one, Mined(hash_of(number, 1), number, 9), ledger.now_ms)
    ledger.do(streams.set_last_sequence, stream.id, ledger.ask(batches.last_used, stream.id))
    ledger.finalise(number)
    found = ledger.ask(page, Filter(program_id=of.id), Ask(50)).items
    return [one for one in reversed(found) if one.restored]


def word(who: Member, kind: EntryKind, amount: int, key: str) -> EntryWord:
    return EntryWord(who.reference, kind, Points(amount), entry_tag(who.program_id, key))


def repayment(who: Member, amount: int, key: str) -> EntryWord:
    """What the earn under this key paid off."""
    tag = repayments.repayment_tag(who.program_id, entry_tag(who.program_id, key))
    return EntryWord(who.reference, EntryKind.REVERSAL, Points(amount), tag)


def spent(ledger: Ledger, who: Member, amount: int) -> tuple[str, str]:
    """An earn and a redemption of so much, both final."""
    ids = ledger.earn(who, amount), ledger.redeem(who, amount)
    ledger.post(ledger.ask(programs.by_id, who.program_id))
    return ids


def available(ledger: Ledger, who: Member) -> int:
    return ledger.ask(spending.purse, who.id, ledger.now_ms).spendable


def test_redemption__whose_reversal_the_chain_tells_of__is_reversed_once_and_its_points_are_as_old_as_they_were(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 20)
    redeemed = ledger.redeem(ann, 25)
    ledger.post(air)
    ledger.now_ms += DAY_MS
    (found,) = told(ledger, air, word(ann, EntryKind.REINSTATEMENT, 18, "back"))
    assert (found.kind, found.points, found.reverses_id) == ("reversal", 18, None)
    assert ledger.lots(ann) == [0, 5, 18], "in a lot of its own, as young as the chain's word of it"
    ledger.redeem(ann, 6)
    made = ledger.reverse(redeemed, 18, "back")
    assert (made.id, made.reverses_id, made.idempotency_key) == (found.id, redeemed, "back")
    assert ledger.lots(ann) == [2, 15, 0], "but for the point that is spent, of those that expire first"
    assert ledger.ask(lots.taken_by, redeemed)[ledger.accounts(ann)[0].id][0].remaining == 7
    assert ledger.reverse(redeemed, 18, "back") == made
    assert ledger.reverse(redeemed).points == 7
    assert available(ledger, ann) == 24


@pytest.mark.parametrize("other", [17, 19])
def test_redemption__whose_restored_reversal_is_repeated_with_other_points__is_refused(
    ledger: Ledger, air: Program, ann: Member, other: int
) -> None:
    _, redeemed = spent(ledger, ann, 30)
    told(ledger, air, word(ann, EntryKind.REINSTATEMENT, 18, "back"))
    before = ledger.everything()
    with pytest.raises(IdempotencyKeyReused):
        ledger.reverse(redeemed, other, "back")
    assert ledger.everything() == before


def test_reversal__from_several_accounts__is_restored_as_one(ledger: Ledger, air: Program, ann: Member) -> None:
    other = b"\x77" * 20
    ledger.do(
        accounts.add_member_account, program_id=air.id, token=air.deployed_token, member_id=ann.id, reference=other
    )
    spent(ledger, ann, 30)
    tag = entry_tag(air.id, "back")
    words = [EntryWord(each, EntryKind.REINSTATEMENT, Points(5), tag) for each in (ann.reference, other)]
    found = told(ledger, air, *words, word(ann, EntryKind.EARN, 3, "earned"))
    assert sorted((one.kind, one.points, one.state) for one in found) == [
        ("earn", 3, "final"),
        ("reversal", 10, "final"),
    ]
    assert [one.balance.posted for one in ledger.accounts(ann)] == [8, 5]


def test_earn__whose_reversal_the_chain_tells_of__owes_again_what_was_not_burned(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 100)
    ledger.redeem(ann, 40)
    ledger.post(air)
    (found,) = told(ledger, air, word(ann, EntryKind.REVERSAL, 60, "refund"))
    assert (found.kind, found.points, ledger.owed(ann)) == ("reversal", 60, 0)
    made = ledger.reverse(earned, 100, "refund")
    assert (made.id, made.points, made.debt_change, ledger.owed(ann)) == (found.id, 100, 40, 40)
    assert ledger.reverse(earned, 100, "refund") == made
    with pytest.raises(MoreThanOriginal):
        ledger.reverse(earned, 1)


def test_earn__whose_restored_reversal_is_repeated_without_points__owes_nothing_that_nobody_told(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 100)
    ledger.redeem(ann, 40)
    ledger.post(air)
    told(ledger, air, word(ann, EntryKind.REVERSAL, 60, "refund"))
    made = ledger.reverse(earned, None, "refund")
    assert (made.points, made.debt_change, ledger.owed(ann)) == (60, 0, 0)


@pytest.mark.parametrize("wrong", ["redemption", "fewer"])
def test_earn__whose_restored_reversal_is_another_request__is_refused(
    ledger: Ledger, air: Program, ann: Member, wrong: str
) -> None:
    ledger.earn(ann, 60)
    earned, redeemed = spent(ledger, ann, 40)
    told(ledger, air, word(ann, EntryKind.REVERSAL, 30, "refund"))
    with pytest.raises(IdempotencyKeyReused):
        ledger.reverse(redeemed if wrong == "redemption" else earned, 29 if wrong == "fewer" else 30, "refund")


def test_debt__that_a_restored_earn_paid_off__is_not_paid_twice(ledger: Ledger, air: Program, ann: Member) -> None:
    earned, _ = spent(ledger, ann, 40)
    ledger.reverse(earned)
    assert ledger.owed(ann) == 40
    later, paid = told(ledger, air, word(ann, EntryKind.EARN, 100, "later"), repayment(ann, 40, "later"))
    assert (paid.kind, paid.after_id, paid.debt_change) == ("repayment", later.id, -40)
    assert (ledger.owed(ann), available(ledger, ann)) == (0, 60)
    assert ledger.earn(ann, 100, "later") == later.id
    ledger.earn(ann, 100)
    assert (ledger.owed(ann), available(ledger, ann)) == (0, 160)


def test_debt__that_a_later_batch_of_the_lost_ledger_paid_off__is_told_by_the_tag_alone(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    earned, _ = spent(ledger, ann, 40)
    ledger.reverse(earned)
    told(ledger, air, word(ann, EntryKind.EARN, 100, "later"))
    assert ledger.owed(ann) == 40, "a restored earn pays nothing here: the chain tells what it paid"
    told(ledger, air, repayment(ann, 40, "later"))
    assert (ledger.owed(ann), available(ledger, ann)) == (0, 60)


def test_debt__that_is_not_known_here__was_paid_ahead_and_its_reversal_takes_nothing_more(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    earned, _ = spent(ledger, ann, 40)
    told(ledger, air, word(ann, EntryKind.EARN, 100, "later"), repayment(ann, 40, "later"))
    assert (ledger.owed(ann), available(ledger, ann), ledger.ask(debts.of_program, air.id)) == (-40, 60, 0)
    ledger.earn(ann, 1)
    assert available(ledger, ann) == 61, "who paid ahead pays nothing off"
    made = ledger.reverse(earned)
    assert (made.state, made.debt_change, ledger.owed(ann), available(ledger, ann)) == ("final", 40, 0, 61)


@pytest.mark.parametrize("paid", [40, 60])
def test_debt__that_a_pending_earn_paid_off_in_the_lost_ledger__is_not_paid_twice(
    ledger: Ledger, air: Program, ann: Member, paid: int
) -> None:
    """Also where the lost ledger knew of a larger debt."""
    earned, _ = spent(ledger, ann, 40)
    ledger.reverse(earned)
    ledger.earn_later(ann, 100, ledger.now_ms + DAY_MS, "stay")
    told(ledger, air, word(ann, EntryKind.EARN, 100, "stay"), repayment(ann, paid, "stay"))
    ledger.now_ms += 2 * DAY_MS
    ledger.keep()
    assert (ledger.owed(ann), available(ledger, ann)) == (40 - paid, 100 - paid)
    assert ledger.stream(air).last_sequence == 2 and not ledger.unposted()


def test_debt__whose_restored_repayment_the_chain_skipped__is_owed(ledger: Ledger, air: Program, ann: Member) -> None:
    earned, _ = spent(ledger, ann, 40)
    ledger.reverse(earned)
    told(ledger, air, word(ann, EntryKind.EARN, 100, "later"), repayment(ann, 40, "later"), skipped=(1,))
    assert ledger.owed(ann) == 40
    assert ledger.ask(debts.of_program, air.id) == 40


def _orphaned(ledger: Ledger, air: Program, *, skipped: tuple[int, ...] = ()) -> list[Operation]:
    """As a rebuild from the chain alone finds an account: what became a debt of 40 has no word there."""
    nobody = Member("", air.id, "", None, b"\x99" * 20, b"", 0)
    told(ledger, air, word(nobody, EntryKind.EARN, 40, "first"), word(nobody, EntryKind.REDEMPTION, 40, "spent"))
    words = word(nobody, EntryKind.EARN, 100, "later"), repayment(nobody, 40, "later")
    return told(ledger, air, *words, skipped=skipped)[2:]


def test_repayment__of_an_account_that_is_nobodys__was_paid_ahead_once_it_is_somebodys(
    ledger: Ledger, air: Program
) -> None:
    found = _orphaned(ledger, air)
    assert [(one.kind, one.member_id) for one in found] == [("earn", None), ("repayment", None)]
    ann = ledger.member(air, "ann")
    earned = ledger.earn(ann, 40, "first")
    assert (ledger.owed(ann), ledger.ask(debts.of_program, air.id)) == (-40, 0)
    made = ledger.reverse(earned, None, "refund")
    assert (made.state, made.debt_change, ledger.owed(ann)) == ("final", 40, 0)
    assert ledger.earn(ann, 100, "later") == found[0].id
    ledger.earn(ann, 1)
    assert available(ledger, ann) == 61, "the debt was paid once"


def test_repayment__of_an_account_that_is_nobodys__that_the_chain_skipped__paid_nothing(
    ledger: Ledger, air: Program
) -> None:
    _orphaned(ledger, air, skipped=(1,))
    ann = ledger.member(air, "ann")
    ledger.earn(ann, 40, "first")
    assert (ledger.owed(ann), ledger.ask(debts.of_program, air.id)) == (0, 0)


def test_debt__for_points_whose_expiry_only_the_chain_tells_of__is_owed_no_longer(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 40)
    ledger.post(air)
    ledger.now_ms += 10 * DAY_MS
    held = ledger.authorise(ann, 40, life_s=30 * DAY_MS // 1000)
    assert ledger.reverse(earned).debt_change == 40
    ledger.now_ms += 21 * DAY_MS
    ledger.void(held)
    (found,) = told(ledger, air, word(ann, EntryKind.EXPIRY, 40, "expired"))
    assert (found.kind, found.after_id, found.debt_change, ledger.owed(ann)) == ("expiry", earned, -40, 0)
    assert (ledger.keep(), ledger.lots(ann)) == (0, [0])
