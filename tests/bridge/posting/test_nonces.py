"""Nonces: what the chain says is used, and not by us; and what a node says that is just making its next block."""

import json

import pytest

from bridge.chain.errors import RpcRefused
from bridge.chain.finality import FinalityRule
from bridge.chain.rpc import BlockId
from bridge.posting import calls, nonces, powers
from bridge.posting.nonces import MAKING_MS
from bridge.posting.submitter import RESEND_AFTER_MS
from bridge.store import attempts, breaker, lanes
from bridge.store.breaker import Alarm
from bridge.store.lanes import Lane
from bridge.store.members import Member
from bridge.store.programs import Program
from tests.bridge.posting.conftest import Office


def _lane(office: Office, program: Program) -> Lane:
    return office.ledger.ask(lanes.by_id, program.issuer_lane_id)


def test_examine__of_a_ledger_that_recovers__frees_the_batch_and_trips_nothing(
    office: Office, ann: Member, air: Program
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    lane_id, now_ms = air.issuer_lane_id, office.ledger.now_ms
    used = office.ledger.do(nonces.examine, lane_id, 3, recovering=True, now_ms=now_ms)
    assert used == [0, 1, 2]
    assert office.breaker is None
    assert _lane(office, air).next_nonce == 3
    assert office.ledger.ask(attempts.next_unsigned, office.ledger.stream(air).id) is not None
    assert office.ledger.do(nonces.examine, lane_id, 3, recovering=True, now_ms=now_ms) == []


def test_accounted_for__of_nonces_that_wait__ends_before_the_first_of_them(
    office: Office, ann: Member, air: Program
) -> None:
    for amount in (5, 7):
        assert office.ledger.ask(nonces.accounted_for, _lane(office, air)) == _lane(office, air).next_nonce
        office.ledger.earn(ann, amount)
        office.poster.step()
        assert office.ledger.ask(nonces.accounted_for, _lane(office, air)) == _lane(office, air).next_nonce - 1
        office.mine()
    assert _lane(office, air).next_nonce == 2


def _is_doubted(office: Office, program: Program) -> bool:
    """Whether nothing may be signed on the program's lane."""
    return not office.ledger.ask(office.submitter.has_room, program.issuer_lane_id)


def _newest(office: Office) -> bytes:
    """The hash of the newest block."""
    return office.chain.blocks[-1].block.hash


def _forget_state(office: Office, block_hash: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node no longer has the state of this block."""
    known = office.chain.transaction_count

    def answer(address: bytes, block: BlockId = "latest") -> int:
        if block == block_hash:
            raise RpcRefused(-32000, "missing trie node", method="eth_getTransactionCount")
        return known(address, block)

    monkeypatch.setattr(office.chain, "transaction_count", answer)


@pytest.fixture
def told(office: Office, ann: Member, air: Program) -> str:
    """An earn that waits to be mined, of which the node told as if it were; the operation's id. Blocks are final."""
    office.finality = FinalityRule.parse("depth:0")
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.begin()
    office.ledger.earn(ann, 7)
    office.chain.counts_ahead = 1
    office.poster.step()
    assert office.chain.counts_ahead == 0 and _is_doubted(office, air)
    return operation_id


def test_step__where_the_node_told_of_its_next_block__takes_no_nonce_of_ours_for_anothers(
    office: Office, told: str, air: Program
) -> None:
    for _ in range(3):
        office.poster.step()
    assert office.breaker is None and _is_doubted(office, air), "nothing is concluded from one answer"
    office.ledger.now_ms += MAKING_MS
    for _ in range(2):
        office.poster.step()
    assert office.breaker is None and not _is_doubted(office, air), "the second tells that it was none"
    office.post()
    assert office.states(told) == ["final"]


def test_step__once_that_next_block_is_taken_in__goes_on_at_once(office: Office, told: str, air: Program) -> None:
    office.chain.mine()
    office.follow()
    for _ in range(2):
        office.poster.step()
    assert office.breaker is None and not _is_doubted(office, air)
    assert office.states(told) == ["final"]


@pytest.mark.parametrize("hasty", ["first", "second"])
def test_step__where_one_of_two_answers_is_of_the_next_block__names_only_what_both_say(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch, hasty: str
) -> None:
    """Ours under the next nonce is the next to be mined, and must not be taken for the thief's."""
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    office.finality = FinalityRule.parse("depth:0")
    office.begin()
    for amount in (5, 7):
        office.ledger.earn(ann, amount)
    office.poster.step()
    office.chain.mine(office.chain.foreign(_lane(office, air).address))
    office.follow()
    office.ledger.now_ms += RESEND_AFTER_MS
    office.chain.counts_ahead = hasty == "first"
    office.poster.step()
    assert office.chain.counts_ahead == 0
    office.ledger.now_ms += MAKING_MS
    office.chain.counts_ahead = hasty == "second"
    office.poster.step()
    assert office.chain.counts_ahead == 0
    assert office.breaker is not None and "nonce 0 of lane" in office.breaker
    assert [one.nonce for one in office.ledger.ask(attempts.unmined)] == [1]


def test_step__where_another_block_is_above__is_certain_at_once(office: Office, told: str, air: Program) -> None:
    waiting = dict(office.chain.mempool)
    office.chain.mempool.clear()
    office.chain.mine()  # while no time goes by
    office.chain.mempool |= waiting
    for _ in range(2):
        office.poster.step()
    assert not _is_doubted(office, air) and office.states(told) == ["submitted"]


def test_step__of_a_theft_whose_state_is_gone_when_it_is_final__still_trips_the_breaker(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mine(office.chain.foreign(_lane(office, air).address))
    office.follow()
    seen = _newest(office)
    office.ledger.now_ms += RESEND_AFTER_MS
    office.poster.step()
    office.ledger.now_ms += MAKING_MS
    office.poster.step()
    _forget_state(office, seen, monkeypatch)
    assert office.breaker is None
    office.mine(2)
    office.poster.step()
    assert office.breaker is not None and "nonce 0 of lane" in office.breaker


def test_step__where_the_node_lost_the_state_it_told_of__asks_of_a_newer_block(
    office: Office, told: str, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a lane could never be used again."""
    _forget_state(office, _newest(office), monkeypatch)
    office.pass_over()
    with pytest.raises(RpcRefused):
        office.poster.step()
    for _ in range(2):
        office.poster.step()
    assert office.breaker is None and not _is_doubted(office, air)
    office.post()
    assert office.states(told) == ["final"]


def test_step__where_the_node_does_not_tell_while_posting_is_stopped__sends_the_guardians_calls_and_no_others(
    office: Office, told: str, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forget_state(office, _newest(office), monkeypatch)
    office.pass_over()
    office.ledger.do(breaker.trip, Alarm.BY_HAND, "a key was stolen", office.ledger.now_ms)
    pause = office.ledger.do(powers.pause, air.id, office.ledger.now_ms)
    office.chain.mempool.clear()
    before = len(office.chain.sent)
    office.ledger.now_ms += RESEND_AFTER_MS
    with pytest.raises(RpcRefused):
        office.poster.step()
    (sent,) = office.chain.sent[before:]
    assert json.loads(sent)["from"] == office.ledger.ask(lanes.by_id, pause.lane_id).address.hex()
    assert office.states(told) == ["submitted"], "it is due to be sent again"
