"""Holds in a ledger that is older than the chain: what was captured there is not captured again, nor lost."""

import pytest
import sqlalchemy as sa

from bridge.store import batches, captures, streams
from bridge.store.batches import Foreign, Mined, Told
from bridge.store.captures import CaptureRequest
from bridge.store.holds import CAPTURED, OPEN, VOIDED
from bridge.store.ids import new_id
from bridge.store.members import Member
from bridge.store.operations import Operation
from bridge.store.programs import Program
from bridge.store.schema import operation
from exchange.errors import HoldClosed, IdempotencyKeyReused, InsufficientPoints, UnknownHold
from exchange.points import Points
from exchange.words import EntryKind, EntryWord, capture_tag, digest, entry_tag
from tests.bridge.store.ledgers import DAY_MS, Ledger, hash_of


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    """A member with a lot of 10 points and one of 20 that expires later, both final."""
    ann = ledger.member(air, "ann")
    ledger.earn(ann, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 20)
    ledger.post(air)
    return ann


def _chain_took(
    ledger: Ledger, who: Member, amount: int, tag: bytes, kind: EntryKind = EntryKind.REDEMPTION
) -> Operation:
    """The chain has a debit that this ledger does not know; the operation as which it is restored."""
    of = ledger.stream(ledger.named("AIR"))
    words = EntryWord(who.reference, kind, Points(amount), tag).pack()
    number = ledger.mine()
    one = Foreign(of.id, of.lane_id, of.kind, of.last_sequence + 1, digest(words), words, words, Told(), ())
    ledger.do(batches.add_foreign, one, Mined(hash_of(number, 1), number, 9), ledger.now_ms)
    ledger.do(streams.set_last_sequence, of.id, of.last_sequence + 1)
    ledger.finalise(number)
    with ledger.database.read() as connection:
        newest = sa.select(operation.c.id).where(operation.c.restored).order_by(operation.c.seq.desc()).limit(1)
        found = connection.scalars(newest).one()
    return ledger.operation(found)


def test_restore__of_a_capture_from_an_open_hold__is_that_holds_and_no_second_one(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    held = ledger.authorise(ann, 25)
    restored = _chain_took(ledger, ann, 15, capture_tag(air.id, held.id, "key"))
    (account,) = ledger.accounts(ann)
    assert (account.frozen, account.balance.posted, account.balance.held, account.balance.available) == (
        False,
        15,
        10,
        5,
    )
    assert ledger.lots(ann) == [0, 5], "the points that the hold had were captured, not others"
    assert (restored.kind, restored.state, restored.hold_id) == ("redemption", "final", held.id)
    assert (ledger.hold(held).state, ledger.hold(held).captured) == (OPEN, 15)
    assert ledger.capture(held, 15, "key") == restored.id, "a repeat is the same capture"
    with pytest.raises(InsufficientPoints) as refused:
        ledger.capture(held, 15)
    assert refused.value.limit == 10
    ledger.void(held)
    assert ledger.lots(ann) == [0, 15]


def test_restore__of_all_that_a_hold_has__closes_it(ledger: Ledger, ann: Member, air: Program) -> None:
    held = ledger.authorise(ann, 30)
    restored = _chain_took(ledger, ann, 30, capture_tag(air.id, held.id, "key"))
    assert ledger.hold(held).state == CAPTURED and not ledger.accounts(ann)[0].frozen
    assert ledger.capture(held, None, "key") == restored.id
    with pytest.raises(HoldClosed):
        ledger.capture(held)


def test_restore__of_a_capture_that_was_the_last__closes_its_hold_once_it_is_repeated(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    """The chain does not tell that it was, and the till will not come back for the rest."""
    held = ledger.authorise(ann, 25)
    restored = _chain_took(ledger, ann, 15, capture_tag(air.id, held.id, "key"))
    for _ in range(2):
        assert ledger.capture(held, 15, "key", final=True) == restored.id
        assert (ledger.hold(held).state, ledger.hold(held).captured) == (CAPTURED, 15)
        assert (ledger.accounts(ann)[0].balance.held, ledger.lots(ann)) == (0, [0, 15])


def test_restore__of_a_capture_whose_hold_is_lost__answers_its_key_and_no_other(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    lost = new_id("hold")
    restored = _chain_took(ledger, ann, 15, capture_tag(air.id, lost, "key"))
    request = CaptureRequest("key", lost, 15)
    with pytest.raises(IdempotencyKeyReused):
        ledger.do(captures.accept, air.id, CaptureRequest("key", lost, 14), ledger.now_ms)
    for again in (request, CaptureRequest("key", new_id("hold"), 15), CaptureRequest("other", lost, 15)):
        if again is not request:
            with pytest.raises(UnknownHold):
                ledger.do(captures.accept, air.id, again, ledger.now_ms)
    for _ in range(2):
        assert ledger.do(captures.accept, air.id, request, ledger.now_ms) == (restored.id, True)
    assert ledger.accounts(ann)[0].balance.available == 15


def test_restore__of_a_redemption_beside_a_hold__leaves_the_hold_alone(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    held = ledger.authorise(ann, 25)
    assert _chain_took(ledger, ann, 5, entry_tag(air.id, "key")).hold_id is None
    assert (ledger.hold(held).captured, ledger.hold(held).left) == (0, 25)
    assert ledger.accounts(ann)[0].balance.available == 0


@pytest.mark.parametrize("kind", [EntryKind.REDEMPTION, EntryKind.ADJUSTMENT_DOWN])
def test_restore__of_more_than_is_free__ends_the_newest_holds_and_freezes_nothing(
    ledger: Ledger, ann: Member, air: Program, kind: EntryKind
) -> None:
    """Such as a hold that was voided, and its points spent otherwise, after the copy was made."""
    first, second, third = (ledger.authorise(ann, 8) for _ in range(3))
    _chain_took(ledger, ann, 15, entry_tag(air.id, "key"), kind)
    assert [ledger.hold(one).state for one in (first, second, third)] == [OPEN, VOIDED, VOIDED]
    (account,) = ledger.accounts(ann)
    assert (account.frozen, account.balance.posted, account.balance.held, account.balance.available) == (
        False,
        15,
        8,
        7,
    )
    assert sum(ledger.lots(ann)) == 7
    ledger.capture(first)


def test_restore__of_more_than_holds_and_free_points_make_up__freezes_the_account(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    ledger.redeem(ann, 20)
    held = ledger.authorise(ann, 10)
    _chain_took(ledger, ann, 15, entry_tag(air.id, "key"))
    assert ledger.accounts(ann)[0].frozen and ledger.hold(held).state == VOIDED
