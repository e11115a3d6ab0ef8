"""Freezing: what goes into the next batch of a stream, and in which order."""

import struct

import pytest
import sqlalchemy as sa

from bridge.store import freezing, terms
from bridge.store.batches import Batch
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import entry
from exchange.words import EntryKind, EntryWord, entry_tag
from tests.bridge.store.ledgers import ENTRIES_MAX, Ledger


def _words(found: Batch) -> list[EntryWord]:
    return [EntryWord.unpack(found.calldata[at : at + 32]) for at in range(0, len(found.calldata), 32)]


def test_waiting_items__of_credits_and_debits__stand_credits_first_and_each_in_its_order(
    ledger: Ledger, air: Program
) -> None:
    ann = ledger.member(air, "ann")
    for amount in (10, 20):
        ledger.earn(ann, amount)
        ledger.redeem(ann, amount - 1)
    frozen = ledger.freeze(ledger.stream(air))
    assert [(word.kind, word.amount) for word in _words(frozen)] == [
        (EntryKind.EARN, 10),
        (EntryKind.EARN, 20),
        (EntryKind.REDEMPTION, 9),
        (EntryKind.REDEMPTION, 19),
    ]


def test_freeze__of_a_stream__names_each_entry_by_reference_and_tag(ledger: Ledger, air: Program) -> None:
    ann, ben = ledger.member(air, "ann"), ledger.member(air, "ben")
    ledger.earn(ann, 1, "first")
    ledger.earn(ben, 2, "second")
    frozen = ledger.freeze(ledger.stream(air))
    assert [(word.reference, word.tag) for word in _words(frozen)] == [
        (ann.reference, entry_tag(air.id, "first")),
        (ben.reference, entry_tag(air.id, "second")),
    ]
    with ledger.database.read() as connection:
        ids = list(connection.execute(sa.select(entry.c.id).order_by(entry.c.id)).scalars())
    assert frozen.entry_ids == struct.pack(">2Q", *ids)
    assert frozen.item_count == 2


def test_freeze__again__takes_only_what_came_since_under_the_next_sequence(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    first_id = ledger.earn(ann, 1)
    first = ledger.freeze(ledger.stream(air))
    second_id = ledger.earn(ann, 2)
    second = ledger.freeze(ledger.stream(air))
    assert (first.sequence, second.sequence) == (1, 2)
    assert [ledger.operation(each).batch_id for each in (first_id, second_id)] == [first.id, second.id]
    assert ledger.ask(freezing.waiting_streams) == []
    assert ledger.stream(air).last_sequence == 2


def test_freeze__with_another_sequence__is_a_bug(ledger: Ledger, air: Program) -> None:
    ledger.earn(ledger.member(air, "ann"), 1)
    stream = ledger.stream(air)
    frozen = ledger.freeze(stream)
    ledger.earn(ledger.member(air, "ann"), 2)
    items = ledger.ask(freezing.waiting_items, stream.id, 10)
    again = freezing.Frozen("post", 1, 0, frozen.digest or b"", b"", b"", 1)
    with pytest.raises(AssertionError):
        ledger.do(freezing.freeze, ledger.stream(air), items, again, ledger.now_ms)


@pytest.fixture
def scattered(ledger: Ledger, air: Program, box: Program, car: Program) -> Member:
    """A member of CAR with points in three accounts, so that a redemption has three entries."""
    owners = [ledger.member(program, "same") for program in (air, box, car)]
    joined = ledger.link(*owners)
    for program, owner in zip((air, box), joined.members, strict=False):
        ledger.agree(program, car)
        ledger.earn(owner, 10)
        ledger.post(program)
        ledger.swap(owner, car, 10)
        ledger.post(program, car)
    ledger.earn(joined.members[2], 10)
    ledger.post(car)
    assert [one.balance.available for one in ledger.accounts(joined.members[2])] == [10, 10, 10]
    return joined.members[2]


def test_waiting_items__of_an_operation_that_does_not_fit__stop_before_it(
    ledger: Ledger, scattered: Member, car: Program
) -> None:
    ledger.earn(scattered, 1)
    ledger.redeem(scattered, 30)
    ledger.earn(scattered, 2)
    stream = ledger.stream(car)
    first = ledger.freeze(stream, entries_max=3)
    assert [word.kind for word in _words(first)] == [EntryKind.EARN]
    second = ledger.freeze(stream, entries_max=3)
    assert [word.kind for word in _words(second)] == [EntryKind.REDEMPTION] * 3
    assert len({word.reference for word in _words(second)}) == 3
    third = ledger.freeze(stream, entries_max=3)
    assert [word.amount for word in _words(third)] == [2]


def test_waiting_items__of_an_operation_that_no_batch_could_carry__is_a_bug(
    ledger: Ledger, scattered: Member, car: Program
) -> None:
    ledger.redeem(scattered, 30)
    with pytest.raises(AssertionError, match="more than 2 entries"):
        ledger.freeze(ledger.stream(car), entries_max=2)


def test_waiting_items__of_many__are_at_most_as_many_as_asked(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    for amount in range(1, 8):
        ledger.earn(ann, amount)
    frozen = [ledger.freeze(ledger.stream(air), entries_max=3) for _ in range(3)]
    assert [[word.amount for word in _words(one)] for one in frozen] == [[1, 2, 3], [4, 5, 6], [7]]
    assert [one.sequence for one in frozen] == [1, 2, 3]


def test_waiting_items__of_swaps_under_two_versions__share_one(ledger: Ledger, air: Program, box: Program) -> None:
    ann = ledger.link(ledger.member(air, "ann"), ledger.member(box, "ben")).members[0]
    ledger.earn(ann, 100)
    ledger.post(air)
    ledger.agree(air, box)
    for amount in (1, 2):
        ledger.swap(ann, box, amount)
    ledger.agree(air, box, version=2)
    ledger.swap(ann, box, 3)
    stream = ledger.stream(air, box)
    with ledger.database.read() as connection:
        items = freezing.waiting_items(connection, stream.id, ENTRIES_MAX)
    assert [(item.amount, item.versions) for item in items] == [(1, (1,)), (2, (1,))]
    assert len(ledger.ask(freezing.waiting_terms, stream.id)) == 2
    ledger.freeze(stream)
    with ledger.database.read() as connection:
        items = freezing.waiting_items(connection, stream.id, ENTRIES_MAX)
        (agreed,) = freezing.waiting_terms(connection, stream.id)
        assert terms.by_id(connection, agreed).version == 2
    assert [(item.amount, item.versions) for item in items] == [(3, (2,))]


def test_waiting_items__of_a_swap__are_its_debits_only(ledger: Ledger, air: Program, box: Program) -> None:
    ann = ledger.link(ledger.member(air, "ann"), ledger.member(box, "ben")).members[0]
    ledger.earn(ann, 10)
    ledger.post(air)
    ledger.agree(air, box, (2, 1))
    ledger.swap(ann, box, 10)
    (word,) = _words(ledger.freeze(ledger.stream(air, box)))
    assert (word.kind, word.amount, word.reference) == (EntryKind.SWAP, 10, ann.reference)


def test_waiting_streams__of_a_ledger__say_how_many_wait_and_since_when(
    ledger: Ledger, air: Program, box: Program
) -> None:
    since = ledger.now_ms
    ledger.earn(ledger.member(box, "ben"), 1)
    ledger.now_ms += 50
    ledger.earn(ledger.member(box, "ben"), 1)
    ledger.earn(ledger.member(air, "ann"), 1)
    found = {one.stream.key: (one.count, one.oldest_ms) for one in ledger.ask(freezing.waiting_streams)}
    assert found == {air.id: (1, since + 50), box.id: (2, since)}
