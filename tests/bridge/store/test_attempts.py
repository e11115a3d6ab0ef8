"""Attempts: signed bytes, one nonce for one batch, sent again when their block is gone."""

import pytest
import sqlalchemy as sa

from bridge.store import attempts, batches, lanes, outcomes
from bridge.store.attempts import Attempt
from bridge.store.batches import Control
from bridge.store.lanes import LaneId
from tests.bridge.store.ledgers import Ledger, hash_of

LANE = LaneId(1)


def _control(ledger: Ledger) -> str:
    return ledger.do(batches.add_control, Control("fund", "lane 1", LANE, b"\1" * 20, b"", 21_000, 5), ledger.now_ms)


def _attempt(ledger: Ledger, batch_id: str, nonce: int) -> Attempt:
    one = Attempt(hash_of(nonce, 1), LANE, nonce, batch_id, b"raw", 9, created_ms=ledger.now_ms)
    ledger.do(attempts.add, one)
    return one


def test_without_attempt__of_batches__names_those_that_nothing_was_signed_for(ledger: Ledger) -> None:
    first, second = _control(ledger), _control(ledger)
    assert ledger.ask(attempts.unsigned_controls, ledger.now_ms) == [first, second]
    _attempt(ledger, first, 0)
    assert ledger.ask(attempts.unsigned_controls, ledger.now_ms) == [second]


def test_add__of_a_nonce_that_is_taken__is_refused_by_the_database(ledger: Ledger) -> None:
    control = _control(ledger)
    _attempt(ledger, control, 0)
    with pytest.raises(sa.exc.IntegrityError):
        ledger.do(attempts.add, Attempt(hash_of(7), LANE, 0, control, b"other", 9, created_ms=1))


def test_unmined__of_attempts__stand_in_the_order_of_their_nonces(ledger: Ledger) -> None:
    control = _control(ledger)
    made = [_attempt(ledger, control, nonce) for nonce in (2, 0, 1)]
    assert [one.nonce for one in ledger.ask(attempts.unmined)] == [0, 1, 2]
    ledger.do(attempts.mined, [made[1].hash], 5)
    assert [one.nonce for one in ledger.ask(attempts.unmined)] == [1, 2]
    assert ledger.ask(lanes.unmined) == {LANE: 2}


def test_undo_above__a_block__makes_its_attempts_unsent(ledger: Ledger) -> None:
    control = _control(ledger)
    made = [_attempt(ledger, control, nonce) for nonce in (0, 1)]
    for number, one in enumerate(made, start=5):
        ledger.do(attempts.sent, one.hash, ledger.now_ms)
        ledger.do(attempts.mined, [one.hash], number)
    ledger.do(attempts.undo_above, 5)
    (again,) = ledger.ask(attempts.unmined)
    assert (again.nonce, again.sent_ms, again.mined_block) == (1, None, None)


def test_unmined__of_a_dissolved_batch__stays_since_its_nonce_is_not_used(ledger: Ledger) -> None:
    air = ledger.named("AIR")
    ledger.earn(ledger.member(air, "ann"), 1)
    frozen = ledger.freeze(ledger.stream(air))
    _attempt(ledger, frozen.id, 0)
    ledger.dissolve(ledger.stream(air))
    assert [one.batch_id for one in ledger.ask(attempts.unmined)] == [frozen.id]
    assert ledger.ask(attempts.unsigned_controls, ledger.now_ms) == []


def test_open_controls__of_a_purpose__do_not_count_those_that_failed(ledger: Ledger) -> None:
    first = _control(ledger)
    assert ledger.ask(batches.open_controls, "fund", "lane 1") == 1
    ledger.do(batches.fail_control, first, batches.Mined(hash_of(1), 1, 1), "no")
    assert ledger.ask(batches.open_controls, "fund", "lane 1") == 0
    assert ledger.ask(batches.open_controls, "fund", None) == 0


def test_in_flight__of_streams__counts_what_is_unposted_and_what_was_refused(ledger: Ledger) -> None:
    air, box = ledger.named("AIR"), ledger.named("BOX")
    ann = ledger.member(air, "ann")
    frozen = []
    for amount in (1, 2):
        ledger.earn(ann, amount)
        ledger.now_ms += 5_000
        frozen.append(ledger.freeze(ledger.stream(air)))
    ledger.earn(ledger.member(box, "ben"), 1)
    ledger.post(box)
    _control(ledger)
    ledger.do(batches.note_revert, frozen[0].id, "Expired()")
    (found,) = ledger.ask(batches.in_flight).values()
    assert (found.stream_id, found.count, found.refused) == (ledger.stream(air).id, 2, 1)
    assert found.valid_until == frozen[1].valid_until
    ledger.do(outcomes.submitted, frozen[0].id, ledger.now_ms)
    assert ledger.ask(batches.in_flight)[found.stream_id].count == 2
