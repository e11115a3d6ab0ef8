"""Attempts: signed bytes, one nonce for one batch, any of them mined, and all sent again when that is undone."""

from dataclasses import replace

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


def _attempt(ledger: Ledger, batch_id: str, place: int = 0, nonce: int | None = None) -> Attempt:
    """Signed under the lane's next nonce, or in place of the one before."""
    if nonce is None:
        nonce = ledger.do(lanes.reserve_nonce, LANE, batch_id)
    fee = 9 + place
    one = Attempt(hash_of(nonce, place), LANE, nonce, batch_id, b"raw", fee, 1, ledger.now_ms, place)
    ledger.do(attempts.add, one)
    return one


def test_without_attempt__of_batches__names_those_that_nothing_was_signed_for(ledger: Ledger) -> None:
    first, second = _control(ledger), _control(ledger)
    assert ledger.ask(attempts.unsigned_controls, ledger.now_ms) == [first, second]
    _attempt(ledger, first)
    assert ledger.ask(attempts.unsigned_controls, ledger.now_ms) == [second]


def test_add__in_a_place_that_is_taken__is_refused_by_the_database(ledger: Ledger) -> None:
    one = _attempt(ledger, _control(ledger))
    with pytest.raises(sa.exc.IntegrityError):
        ledger.do(attempts.add, replace(one, hash=hash_of(7)))


def test_add__under_a_nonce_that_nobody_reserved__is_refused_by_the_database(ledger: Ledger) -> None:
    control = _control(ledger)
    with pytest.raises(sa.exc.IntegrityError):
        _attempt(ledger, control, nonce=5)


def test_reserve_nonce__for_a_batch_that_has_one__is_refused_by_the_database(ledger: Ledger) -> None:
    control = _control(ledger)
    _attempt(ledger, control)
    with pytest.raises(sa.exc.IntegrityError):
        ledger.do(lanes.reserve_nonce, LANE, control)
    assert ledger.do(attempts.use_up, LANE, 1) == [0]
    assert ledger.do(lanes.reserve_nonce, LANE, control) == 1


def test_unmined__of_attempts__are_the_newest_of_each_nonce_in_order(ledger: Ledger) -> None:
    made = [_attempt(ledger, _control(ledger)) for _ in range(3)]
    later = _attempt(ledger, made[0].batch_id, 1, made[0].nonce)
    assert ledger.ask(attempts.unmined) == [later, *made[1:]]
    ledger.do(attempts.mined, [made[1].hash], 5)
    assert ledger.ask(attempts.unmined) == [later, made[2]]
    assert ledger.ask(lanes.unmined) == {LANE: 2}
    assert ledger.ask(attempts.of_nonce, LANE, 0) == [made[0], later]


@pytest.mark.parametrize("place", [0, 1])
def test_mined__of_any_attempt__uses_up_the_nonce_of_its_batch(ledger: Ledger, place: int) -> None:
    first = _attempt(ledger, _control(ledger))
    pair = [first, _attempt(ledger, first.batch_id, 1, first.nonce)]
    ledger.do(attempts.mined, [pair[place].hash], 5)
    assert ledger.ask(attempts.unmined) == []
    assert {one.id for one in ledger.ask(batches.of_transactions, [one.hash for one in pair]).values()} == {
        first.batch_id
    }


def test_undo_above__a_block__makes_its_attempts_unsent(ledger: Ledger) -> None:
    made = [_attempt(ledger, _control(ledger)) for _ in range(2)]
    for number, one in enumerate(made, start=5):
        ledger.do(attempts.sent, one.hash, ledger.now_ms)
        ledger.do(attempts.taken, one.hash, ledger.now_ms, number - 1)
        ledger.do(attempts.mined, [one.hash], number)
    ledger.do(attempts.undo_above, 5)
    assert ledger.ask(attempts.unmined) == [made[1]]
    assert ledger.ask(attempts.newest_mined, LANE) == 5


def test_taken__a_second_time__keeps_when_it_first_was(ledger: Ledger) -> None:
    one = _attempt(ledger, _control(ledger))
    for number in (1, 2):
        ledger.do(attempts.taken, one.hash, ledger.now_ms + number, number)
    assert ledger.ask(attempts.unmined) == [replace(one, taken_ms=ledger.now_ms + 1, taken_block=1)]


def test_use_up__of_nonces__leaves_out_those_that_ours_used(ledger: Ledger) -> None:
    made = [_attempt(ledger, _control(ledger)) for _ in range(4)]
    ledger.do(attempts.mined, [made[1].hash], 5)
    assert ledger.do(attempts.use_up, LANE, 3) == [0, 2]
    assert ledger.ask(attempts.unmined) == [made[3]]
    assert ledger.ask(attempts.unsigned_controls, ledger.now_ms) == [made[0].batch_id, made[2].batch_id]


def test_status__of_lanes__tells_the_oldest_nonce_and_the_trouble(ledger: Ledger) -> None:
    first = _attempt(ledger, _control(ledger))
    ledger.now_ms += 1_000
    _attempt(ledger, first.batch_id, 1, first.nonce)
    _attempt(ledger, _control(ledger))
    ledger.do(lanes.tell, LANE, lanes.TroubleType.POOL_FULL, "full", 5)
    ledger.do(lanes.tell, LANE, lanes.TroubleType.POOL_FULL, "fuller", 6)
    found = {one.id: one for one in ledger.ask(lanes.status)}
    assert found[LANE].oldest == lanes.Oldest(0, first.batch_id, first.created_ms, 10, 1, 2)
    assert (found[LANE].next_nonce, found[LANE].unmined) == (2, 2)
    assert found[LANE].trouble == lanes.Trouble(lanes.TroubleType.POOL_FULL, "fuller", 5)
    other = found[2]
    assert (other.unmined, other.oldest, other.trouble) == (0, None, None)
    ledger.do(lanes.tell, LANE, lanes.TroubleType.REFUSED, "no", 7)
    assert ledger.ask(lanes.troubles) == {LANE: lanes.Trouble(lanes.TroubleType.REFUSED, "no", 7)}
    ledger.do(lanes.clear, LANE)
    assert ledger.ask(lanes.troubles) == {}


def test_unmined__of_a_dissolved_batch__stays_since_its_nonce_is_not_used(ledger: Ledger) -> None:
    air = ledger.named("AIR")
    ledger.earn(ledger.member(air, "ann"), 1)
    frozen = ledger.freeze(ledger.stream(air))
    number = ledger.do(lanes.reserve_nonce, frozen.lane_id, frozen.id)
    ledger.do(attempts.add, Attempt(hash_of(7), frozen.lane_id, number, frozen.id, b"raw", 9, 1, ledger.now_ms))
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
