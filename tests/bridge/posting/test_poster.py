"""The poster: stored before it is sent, taken up after a crash, sent again, and never too much at once."""

import json

import pytest

from bridge.chain.errors import ChainUnreachable
from bridge.chain.finality import FinalityRule
from bridge.posting import calls, poster, powers
from bridge.posting.chain_time import FRESH_S
from bridge.posting.submitter import RESEND_AFTER_MS, UNMINED_PER_LANE_MAX, Submitter
from bridge.store import attempts, batches, breaker, freezing, lanes, streams
from bridge.store.attempts import Attempt
from bridge.store.batches import Batch, Control
from bridge.store.breaker import Alarm
from bridge.store.members import Member
from bridge.store.programs import Program
from exchange.words import digest
from tests.bridge.posting.conftest import BATCH_LIFE_S, Office


class Killed(BaseException):
    """The process ends here."""


def _unmined(office: Office) -> list[Attempt]:
    return office.ledger.ask(attempts.unmined)


def _nonces(office: Office) -> list[int]:
    return [json.loads(raw)["nonce"] for raw in office.chain.sent]


def _batch_of(office: Office, operation_id: str) -> Batch:
    batch_id = office.ledger.operation(operation_id).batch_id
    assert batch_id is not None
    return office.ledger.batch(batch_id)


def test_step__of_waiting_operations__sends_them_as_one_batch(office: Office, ann: Member) -> None:
    operations = [office.ledger.earn(ann, amount) for amount in (1, 2, 3)]
    assert office.poster.step()
    assert office.states(*operations) == ["submitted"] * 3
    assert len(office.chain.sent) == 1
    office.mine()
    assert office.states(*operations) == ["confirmed"] * 3
    office.mine(2)
    assert office.states(*operations) == ["final"] * 3
    assert not office.poster.step()


def test_step__before_anything_is_sent__has_the_signed_bytes_committed(
    office: Office, ann: Member, box: Program
) -> None:
    """Looked up by another connection at the moment of sending."""
    seen: list[bytes] = []

    def look(raw: bytes) -> None:
        (stored,) = [one for one in _unmined(office) if one.hash == digest(raw)]
        assert stored.raw == raw
        assert stored.sent_ms is None or office.ledger.now_ms - stored.sent_ms >= RESEND_AFTER_MS
        batch = office.ledger.batch(stored.batch_id)
        assert batch.state in batches.UNMINED
        assert batch.calldata.hex() == json.loads(raw)["data"]
        seen.append(raw)

    office.chain.on_send = look
    office.ledger.earn(ann, 100)
    office.settle()
    office.ledger.earn(ann, 1)
    office.ledger.swap(ann, box, 10)
    office.poster.step()
    assert len(seen) == 3
    assert seen == office.chain.sent


def test_step__that_dies_between_storing_and_sending__is_taken_up_with_the_same_bytes(
    office: Office, ann: Member
) -> None:
    operation_id = office.ledger.earn(ann, 5)

    def die(_: bytes) -> None:
        raise Killed

    office.chain.on_send = die
    with pytest.raises(Killed):
        office.poster.step()
    (stored,) = _unmined(office)
    assert stored.sent_ms is None
    assert office.states(operation_id) == ["accepted"]
    assert office.chain.sent == []
    office.chain.on_send = lambda _: None
    office.begin()
    office.poster.step()
    assert office.chain.sent == [stored.raw]
    office.mine()
    assert office.states(operation_id) == ["confirmed"]


def test_step__that_dies_between_sending_and_noting_it__sends_the_same_bytes_again(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = office.ledger.earn(ann, 5)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Submitter, "_note", die)
        office.writer.stop()
        with pytest.raises(BaseException):  # noqa: B017, PT011 - the writer has stopped, as it would have
            office.poster.step()
    assert office.states(operation_id) == ["accepted"]
    fresh = Office(office.ledger)
    fresh.chain = office.chain
    fresh.begin()
    fresh.writer.start()
    fresh.poster.step()
    fresh.mine()
    fresh.writer.stop()
    assert fresh.states(operation_id) == ["confirmed"]
    assert len(set(fresh.chain.sent)) == 1
    assert fresh.chain.state.balances.total() == 5


def test_step__where_a_batch_was_frozen_and_not_signed__signs_it(office: Office, ann: Member, air: Program) -> None:
    operation_id = office.ledger.earn(ann, 5)
    _freeze(office, air, BATCH_LIFE_S)
    office.post()
    assert office.states(operation_id) == ["confirmed"]


def test_step__of_a_batch_that_nobody_signed_in_time__dissolves_no_other(
    office: Office, ann: Member, air: Program
) -> None:
    """The one before it is signed and may yet be mined: frozen anew beside it, its entries could be posted twice."""
    signed = office.ledger.earn(ann, 5)
    office.poster.step()
    kept = _batch_of(office, signed)
    late = office.ledger.earn(ann, 7)
    _freeze(office, air, life_s=1)
    office.ledger.now_ms += 2_000
    office.poster.step()
    assert _batch_of(office, signed).id == kept.id
    assert office.ledger.operation(late).batch_id is None
    office.mine()
    office.post()
    assert office.states(signed, late) == ["confirmed"] * 2
    assert office.chain.state.balances.total() == 12


def test_step__of_a_batch_that_nobody_signed_until_its_last_second__still_posts_it(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    _freeze(office, air, life_s=1)
    frozen = _batch_of(office, operation_id)
    office.ledger.now_ms += 1_000
    _require_posted(office, operation_id, frozen)


def test_step__of_a_batch_that_is_over_by_our_clock_alone__goes_by_the_time_of_the_chain(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    _freeze(office, air, BATCH_LIFE_S)
    frozen, there_ms = _batch_of(office, operation_id), office.ledger.now_ms
    monkeypatch.setattr(office.chain, "clock", lambda: there_ms)
    office.ledger.now_ms += (BATCH_LIFE_S + FRESH_S + 1) * 1000
    _require_posted(office, operation_id, frozen)


def test_step__where_nothing_is_over_by_our_clock__asks_the_node_for_no_time(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ledger.earn(ann, 5)
    office.post()
    office.ledger.now_ms += (FRESH_S + 1) * 1000
    monkeypatch.setattr(office.chain, "pending_time", lambda: pytest.fail("it was asked"))
    assert not office.poster.step()


def _require_posted(office: Office, operation_id: str, frozen: Batch) -> None:
    """In this very second the operation is posted, by the batch that it was frozen in."""
    office.poster.step()
    office.chain.mine()
    office.follow()
    assert office.states(operation_id) == ["confirmed"]
    assert _batch_of(office, operation_id).id == frozen.id


def _freeze(office: Office, program: Program, life_s: int) -> None:
    """Freeze what waits, and sign nothing, as a service that dies in between."""
    with office.ledger.database.write() as connection:
        stream = streams.by_id(connection, office.ledger.stream(program).id)
        items = freezing.waiting_items(connection, stream.id, 10)
        valid_until = office.ledger.now_ms // 1000 + life_s
        frozen = calls.post(program.deployed_token, items, stream.last_sequence + 1, valid_until)
        freezing.freeze(connection, stream, items, frozen, office.ledger.now_ms)


def test_step__while_nothing_is_mined__sends_again_only_after_a_while(office: Office, ann: Member) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.ledger.now_ms += RESEND_AFTER_MS - 1
    assert not office.poster.step()
    assert len(office.chain.sent) == 1
    office.chain.mempool.clear()  # the node forgot it
    office.ledger.now_ms += 1
    assert office.poster.step()
    assert office.chain.sent[0] == office.chain.sent[1]
    assert len(office.chain.sent) == 2
    office.mine()
    office.ledger.now_ms += 2 * RESEND_AFTER_MS
    assert not office.poster.step(), "what is mined is not sent again"


@pytest.mark.parametrize("answer", ["already known", "nonce too low", "insufficient funds", "gibberish"])
def test_step__whatever_the_node_answers__decides_nothing_by_it(office: Office, ann: Member, answer: str) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.chain.refuses_to_take = answer
    office.poster.step()
    (stored,) = _unmined(office)
    assert stored.nonce == 0
    office.chain.refuses_to_take = None
    office.ledger.now_ms += RESEND_AFTER_MS
    office.post()
    assert office.states(operation_id) == ["confirmed"]
    assert len(set(office.chain.sent)) == 1


def test_step__while_the_node_is_down__freezes_nothing_and_loses_nothing(office: Office, ann: Member) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.chain.down = True
    for _ in range(2):
        with pytest.raises(ChainUnreachable):
            office.poster.step()
    office.chain.down = False
    office.ledger.now_ms += RESEND_AFTER_MS
    office.post()
    assert office.states(operation_id) == ["confirmed"]
    assert len(set(office.chain.sent)) == 1


def test_step__with_a_full_lane__waits_until_some_are_mined(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    operations = [office.ledger.earn(ann, amount) for amount in range(1, UNMINED_PER_LANE_MAX + 5)]
    office.poster.step()
    office.poster.step()
    assert len(_unmined(office)) == UNMINED_PER_LANE_MAX
    assert _nonces(office) == list(range(UNMINED_PER_LANE_MAX))
    office.mine()
    assert _unmined(office) == []
    office.poster.step()
    office.mine()
    assert set(office.states(*operations)) == {"confirmed"}


def test_step__with_more_calls_than_a_lane_may_have_under_way__sends_the_rest_when_some_are_mined(
    office: Office, air: Program
) -> None:
    calls = UNMINED_PER_LANE_MAX + 3
    for number in range(calls):
        office.ledger.do(
            batches.add_control, Control("fund", f"lane {number}", air.admin_lane_id, b"\1" * 20, b"", 21_000, 1), 0
        )
    office.poster.step()
    assert len(_unmined(office)) == UNMINED_PER_LANE_MAX
    office.mine()
    office.poster.step()
    assert len(_unmined(office)) == calls - UNMINED_PER_LANE_MAX


def test_step__behind_a_batch_that_is_under_way__lets_a_part_of_one_gather(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 3)
    office.ledger.earn(ann, 1)
    office.poster.step()
    late = [office.ledger.earn(ann, amount) for amount in (2, 3)]
    office.poster.step()
    assert office.states(*late) == ["accepted"] * 2
    office.mine()
    office.poster.step()
    assert _batch_of(office, late[0]).id == _batch_of(office, late[1]).id


def test_step__before_an_operation_has_lingered__waits_for_company(office: Office, ann: Member) -> None:
    office.poster._pace = poster.Pace(linger_ms=500, batch_life_s=BATCH_LIFE_S)
    office.ledger.earn(ann, 1)
    office.ledger.now_ms += 499
    assert not office.poster.step()
    office.ledger.now_ms += 1
    assert office.poster.step()


def test_step__of_as_many_operations_as_a_batch_takes__waits_for_no_more(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 2)
    office.poster._pace = poster.Pace(linger_ms=500, batch_life_s=BATCH_LIFE_S)
    office.ledger.earn(ann, 1)
    assert not office.poster.step()
    office.ledger.earn(ann, 2)
    assert office.poster.step()


def test_step__with_the_breaker_tripped__does_nothing(office: Office, ann: Member) -> None:
    office.ledger.earn(ann, 1)
    office.ledger.do(breaker.trip, Alarm.BY_HAND, "for a test", office.ledger.now_ms)
    assert not office.poster.step()
    assert office.chain.sent == []
    office.ledger.do(breaker.reset, "mended", 1)
    assert office.poster.step()


def test_step__after_the_chain_refused_a_batch__freezes_nothing_until_it_is_dissolved(
    office: Office, ann: Member, air: Program
) -> None:
    refused = office.ledger.earn(ann, 1)
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[0])}
    office.mine()
    assert office.states(refused) == ["submitted"]
    assert _batch_of(office, refused).reason is not None
    later = office.ledger.earn(ann, 2)
    office.poster.step()
    assert office.ledger.operation(later).batch_id is None
    assert office.ledger.stream(air).last_sequence == 1
    office.ledger.now_ms += (BATCH_LIFE_S + 1) * 1000
    office.mine(3)  # a block behind the batch's end is final
    office.poster.step()
    assert _batch_of(office, refused).id == _batch_of(office, later).id
    assert _batch_of(office, refused).sequence == 1
    office.mine()
    assert office.states(refused, later) == ["confirmed"] * 2
    assert office.chain.state.balances.total() == 3


def test_step__on_a_chain_without_empty_blocks__makes_one_so_that_a_refused_batch_can_be_dissolved(
    office: Office, ann: Member
) -> None:
    office.finality = FinalityRule.parse("depth:0")
    office.begin()
    refused = office.ledger.earn(ann, 1)
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[0])}
    valid_until = _batch_of(office, refused).valid_until
    assert valid_until is not None
    office.ledger.now_ms = valid_until * 1000 + 999
    office.chain.mine()
    office.follow()
    for _ in range(2):
        office.poster.step()
    assert len(office.chain.sent) == 1, "its time is not over"
    office.ledger.now_ms += 1
    for _ in range(3):
        office.poster.step()
    assert len(office.chain.sent) == 2, "one block is enough"
    office.mine()
    office.poster.step()
    office.poster.step()
    office.mine()
    assert office.states(refused) == ["final"]


def test_step__of_a_batch_whose_last_second_is_final__waits_as_it_may_yet_be_mined_in_it(
    office: Office, ann: Member
) -> None:
    """Blocks of one second are not forbidden everywhere."""
    office.finality = FinalityRule.parse("depth:0")
    office.begin()
    operation_id = office.ledger.earn(ann, 1)
    office.poster.step()
    sent = _batch_of(office, operation_id)
    assert sent.valid_until is not None
    office.ledger.now_ms = (sent.valid_until - 1) * 1000
    office.pass_over()
    office.poster.step()
    assert _batch_of(office, operation_id).id == sent.id
    office.chain.mine()
    office.follow()
    assert office.states(operation_id) == ["final"]
    assert office.chain.state.balances.total() == 1


def test_step__of_a_batch_that_expired__dissolves_it_only_when_that_is_final(office: Office, ann: Member) -> None:
    operation_id = office.ledger.earn(ann, 1)
    office.poster.step()
    first = _batch_of(office, operation_id)
    office.chain.mempool.clear()
    office.ledger.now_ms += (BATCH_LIFE_S + 1) * 1000
    office.mine(2)
    assert office.poster.step()  # sent again: until a later block is final, it might still be mined
    assert _batch_of(office, operation_id).id == first.id
    office.chain.mempool.clear()
    office.mine()
    assert office.poster.step()
    assert office.states(operation_id) == ["accepted"]
    office.poster.step()
    again = _batch_of(office, operation_id)
    assert again.id != first.id
    assert (first.sequence, again.sequence) == (1, 1)
    assert [one.nonce for one in _unmined(office)] == [0, 1], "the nonce of the first must be used up as well"
    office.ledger.now_ms += RESEND_AFTER_MS
    office.post()
    assert office.states(operation_id) == ["confirmed"]
    assert office.chain.state.balances.total() == 1


def test_step__of_swaps_whose_terms_are_gone__fails_them_when_they_are_dissolved(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.ledger.earn(ann, 100)
    office.settle()
    dead = office.ledger.swap(ann, box, 40)
    office.poster.step()
    office.agree(air, box, (4, 1), version=2)
    office.mine()
    assert _batch_of(office, dead).reason == "0xdeadbeef"
    alive = office.ledger.swap(ann, box, 8)
    office.ledger.now_ms += (BATCH_LIFE_S + 1) * 1000
    office.mine(3)
    office.poster.step()
    office.mine()
    assert office.states(dead, alive) == ["failed", "confirmed"]
    assert office.ledger.operation(dead).reason == "the terms of this swap are no longer in force"
    office.mine(2)
    assert [one.balance.posted for one in office.ledger.accounts(ann)] == [92]
    assert office.reconciler.audit().differences == 0


def test_step__while_the_breaker_is_tripped__then_only_the_guardians_calls_go_out(
    office: Office, ann: Member, air: Program
) -> None:
    """A stolen key is what trips it, and then a pause is what is needed."""
    waiting = office.ledger.earn(ann, 5)
    office.ledger.do(breaker.trip, Alarm.BY_HAND, "a key was stolen", office.ledger.now_ms)
    pause = office.ledger.do(powers.pause, air.id, office.ledger.now_ms)
    office.poster.step()

    assert office.states(waiting) == ["accepted"]
    assert office.ledger.batch(pause.id).state == "submitted"
    assert len(office.chain.sent) == 1


def test_step__where_the_node_does_not_tell_what_there_is_room_for__sends_again_what_is_signed(
    office: Office, ann: Member, box: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.ledger.earn(office.ledger.member(box, "ben"), 7)
    office.ledger.now_ms += RESEND_AFTER_MS
    monkeypatch.setattr(office.chain, "call_many", _away)
    with pytest.raises(ChainUnreachable):
        office.poster.step()
    assert len(office.chain.sent) == 2 and office.chain.sent[0] == office.chain.sent[1]


def test_step__where_the_node_does_not_tell_of_a_guardian_while_posting_is_stopped__sends_nothing_of_others(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.ledger.do(breaker.trip, Alarm.BY_HAND, "a key was stolen", office.ledger.now_ms)
    pause = office.ledger.do(powers.pause, air.id, office.ledger.now_ms)
    guardian, known = office.ledger.ask(lanes.by_id, pause.lane_id).address, office.chain.transaction_count
    monkeypatch.setattr(
        office.chain,
        "transaction_count",
        lambda address, block="latest": _away() if address == guardian else known(address, block),
    )
    office.ledger.now_ms += RESEND_AFTER_MS
    with pytest.raises(ChainUnreachable):
        office.poster.step()
    assert len(office.chain.sent) == 1


def _away(*_: object) -> None:
    raise ChainUnreachable("away")
