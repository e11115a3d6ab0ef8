"""Restored operations: what a batch did that was not frozen here, or not as it was posted."""

import pytest
import sqlalchemy as sa

from bridge.store import accounts, attempts, batches, lots, streams
from bridge.store.batches import Foreign, Mined, Told
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import operation
from bridge.store.streams import Stream
from exchange.points import Points
from exchange.words import EntryKind, EntryWord, digest
from tests.bridge.store.ledgers import Ledger, hash_of


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


def _foreign(
    ledger: Ledger, of: Stream, sequence: int, words: bytes, skipped: tuple[int, ...] = (), told: Told | None = None
) -> int:
    """A block with a batch that nobody froze here; its number."""
    number = ledger.mine()
    one = Foreign(of.id, of.lane_id, of.kind, sequence, digest(words), words, words, told or Told(), skipped)
    ledger.do(batches.add_foreign, one, Mined(hash_of(number, 1), number, 9), ledger.now_ms)
    ledger.do(streams.set_last_sequence, of.id, ledger.ask(batches.last_used, of.id))
    return number


def _words(ledger: Ledger, who: Member, *operations: str) -> bytes:
    found = (ledger.operation(each) for each in operations)
    kinds = {"earn": EntryKind.EARN, "redemption": EntryKind.REDEMPTION}
    return b"".join(
        EntryWord(who.reference, kinds[one.kind], Points(one.points), one.tag or b"").pack() for one in found
    )


def test_finalise__of_a_foreign_batch_with_what_a_later_one_of_ours_froze__tears_that(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    first, second, third = (ledger.earn(ann, amount) for amount in (10, 20, 40))
    stream = ledger.stream(air)
    ledger.freeze(stream, 1)
    later = ledger.freeze(ledger.stream(air), 2)
    ledger.finalise(_foreign(ledger, stream, 1, _words(ledger, ann, first, second)))
    assert [ledger.operation(each).state for each in (first, second, third)] == ["final", "final", "accepted"]
    assert ledger.batch(later.id).state == batches.DISSOLVED, "it was never signed, and nothing of it can be mined"
    assert ledger.unposted() == []
    assert ledger.stream(air).last_sequence == 1
    ledger.post(air)
    (account,) = ledger.accounts(ann)
    assert (account.balance.posted, account.balance.credits_pending) == (70, 0)


def test_finalise__of_a_torn_batch_that_is_mined_after_all__books_what_the_chain_did_twice(
    ledger: Ledger, air: Program, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (ledger.earn(ann, amount) for amount in (10, 20, 40))
    stream = ledger.stream(air)
    ledger.freeze(stream, 1)
    later = ledger.freeze(ledger.stream(air), 2)
    monkeypatch.setattr(attempts, "signed_since", lambda *_: True)
    ledger.finalise(_foreign(ledger, stream, 1, _words(ledger, ann, first, second)))
    assert (ledger.batch(later.id).state, ledger.batch(later.id).origin) == (batches.FROZEN, batches.TORN)
    ledger.finalise(ledger.mine(ledger.batch(later.id)))
    assert [ledger.operation(each).state for each in (first, second, third)] == ["final", "final", "final"]
    (account,) = ledger.accounts(ann)
    assert account.balance.posted == 10 + 20 + 20 + 40
    assert account.balance.credits_pending == 0


def test_finalise__of_a_foreign_batch_with_a_skipped_redemption__fails_it_and_freezes_the_account(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    ledger.post(air)
    word = EntryWord(ann.reference, EntryKind.REDEMPTION, Points(50), b"lost!").pack()
    assert ledger.finalise(_foreign(ledger, ledger.stream(air), 2, word, skipped=(0,)))
    (account,) = ledger.accounts(ann)
    assert account.frozen and account.balance.posted == 10
    with ledger.database.read() as connection:
        (operation_id,) = connection.execute(sa.select(operation.c.id).where(operation.c.restored)).scalars()
    found = ledger.operation(operation_id)
    assert (found.kind, found.state, found.restored) == ("redemption", "failed", True)


def test_finalise__of_a_foreign_release_of_points_that_are_held__brings_them_to_the_wallet_all_the_same(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    ledger.post(air)
    ledger.redeem(ann, 4)
    word = EntryWord(ann.reference, EntryKind.RELEASE, Points(10), b"lost!").pack()
    address = b"\x77" * 20
    ledger.finalise(_foreign(ledger, ledger.stream(air), 2, word, told=Told(wallets=((0, address),))))
    holding = ledger.do(accounts.wallet_account, air.id, address)
    held = ledger.ask(lots.spendable, [holding])[holding]
    assert sum(one.remaining for one in held) == ledger.ask(accounts.posted, holding) == 10
    (account,) = ledger.accounts(ann)
    assert (account.frozen, account.balance.posted, account.balance.available) == (True, 0, 0)
