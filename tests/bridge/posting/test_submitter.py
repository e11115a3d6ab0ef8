"""The submitter: one nonce for one batch, fees under a ceiling, patience with nodes, a key that others use."""

import json
from collections.abc import Callable

import pytest

from bridge.chain.errors import ChainUnreachable
from bridge.chain.transactions import Fees
from bridge.posting import calls, nonces, submitter
from bridge.posting.fenced import LedLanes
from bridge.posting.submitter import (
    FUNDS_EVERY_MS,
    GWEI,
    PAUSE_MAX_MS,
    RESEND_AFTER_MS,
    UNMINED_PER_LANE_MAX,
    FeeRules,
    Submitter,
)
from bridge.store import attempts, batches, breaker, lanes, powers
from bridge.store.attempts import Attempt
from bridge.store.batches import Batch, Control
from bridge.store.lanes import LaneStatus, TroubleType
from bridge.store.members import Member
from bridge.store.programs import Program
from exchange.words import digest
from tests.bridge.posting.conftest import BATCH_LIFE_S, RULES, Office
from tests.bridge.posting.fake_chain import BASE_FEE_WEI, FakeChain

SPIKE_WEI = 40 * BASE_FEE_WEI


class Killed(BaseException):
    """The process ends here."""


def _newest(office: Office) -> list[Attempt]:
    return office.ledger.ask(attempts.unmined)


def _all(office: Office, program: Program, nonce: int = 0) -> list[Attempt]:
    return office.ledger.ask(attempts.of_nonce, program.issuer_lane_id, nonce)


def _status(office: Office, program: Program) -> LaneStatus:
    return next(one for one in office.ledger.ask(lanes.status) if one.id == program.issuer_lane_id)


def _trouble(office: Office, program: Program) -> str | None:
    found = _status(office, program).trouble
    return None if found is None else found.type.value


def _batch_of(office: Office, operation_id: str) -> Batch:
    batch_id = office.ledger.operation(operation_id).batch_id
    assert batch_id is not None
    return office.ledger.batch(batch_id)


def _wait(office: Office, ms: int = RESEND_AFTER_MS) -> None:
    office.ledger.now_ms += ms
    office.poster.step()


def _address(office: Office, program: Program) -> bytes:
    return office.ledger.ask(lanes.by_id, program.issuer_lane_id).address


# -- replacing ---------------------------------------------------------------------------------


def test_step__after_the_base_fee_rose_above_what_was_offered__replaces_with_the_same_call_and_higher_fees(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.base_fee_wei = SPIKE_WEI
    office.mine()
    assert office.states(operation_id) == ["submitted"]
    _wait(office)
    first, second = _all(office, air)
    told = [json.loads(one.raw) for one in (first, second)]
    fees = [(one.pop("max_fee"), one.pop("tip")) for one in told]
    assert told[0] == told[1]
    assert fees == [(one.max_fee_wei, one.tip_wei) for one in (first, second)]
    assert all(after * 8 >= before * 9 for before, after in zip(*fees, strict=True))
    assert fees[1][0] >= 2 * SPIKE_WEI
    assert list(office.chain.mempool) == [second.hash]
    office.mine()
    assert office.states(operation_id) == ["confirmed"]
    assert office.ledger.operation(operation_id).transaction_hash == second.hash
    assert office.chain.state.balances.total() == 5


def test_step__at_a_base_fee_of_all_that_was_offered__leaves_it_since_it_can_be_mined(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.base_fee_wei = _newest(office)[0].max_fee_wei
    _wait(office)
    assert len(_all(office, air)) == 1
    office.mine()
    assert office.states(operation_id) == ["confirmed"]


def test_step__before_a_replacement_is_sent__has_it_stored(office: Office, ann: Member, air: Program) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.base_fee_wei = SPIKE_WEI
    seen: list[int] = []

    def look(raw: bytes) -> None:
        (stored,) = [one for one in _all(office, air) if one.hash == digest(raw)]
        seen.append(stored.place)

    office.chain.on_send = look
    _wait(office)
    assert seen == [1]


def test_step__while_blocks_go_by_without_it__replaces_after_a_while_and_not_before(
    office: Office, ann: Member, air: Program
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    _wait(office, RULES.replace_after_ms)
    assert len(_all(office, air)) == 1, "no block was mined, so none passed it over"
    office.pass_over()
    _wait(office)
    assert len(_all(office, air)) == 2
    office.pass_over()
    _wait(office, RULES.replace_after_ms - 2_000)
    assert len(_all(office, air)) == 2, "the newest has not waited long"
    _wait(office)
    assert [one.place for one in _all(office, air)] == [0, 1, 2]


def test_step__of_several_that_wait__replaces_only_the_first(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    operations = [office.ledger.earn(ann, amount) for amount in (1, 2, 3)]
    office.poster.step()
    office.chain.base_fee_wei = SPIKE_WEI
    replaced = []
    for _ in operations:
        _wait(office)
        replaced.append([len(_all(office, air, nonce)) for nonce in range(3)])
        office.mine()
    assert replaced == [[2, 1, 1], [2, 2, 1], [2, 2, 2]]
    assert set(office.states(*operations)) <= {"confirmed", "final"}
    assert office.chain.state.balances.total() == 6


def test_step__of_one_that_is_first_only_since_the_last_block__gives_it_a_block_of_its_own(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    for amount in (1, 2):
        office.ledger.earn(ann, amount)
    office.poster.step()
    office.chain.mine(_newest(office)[0].raw)
    office.follow()
    _wait(office, RULES.replace_after_ms)
    assert len(_all(office, air, 1)) == 1
    office.pass_over()
    _wait(office)
    assert len(_all(office, air, 1)) == 2


def test_step__at_the_fee_ceiling__sends_the_newest_again_and_says_so(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.base_fee_wei = RULES.fee_max_wei + 1
    _wait(office)
    office.chain.mempool.clear()
    _wait(office)
    (only,) = _all(office, air)
    assert list(office.chain.mempool) == [only.hash]
    told = _status(office, air).trouble
    assert told is not None and told.type is TroubleType.FEE_CEILING
    assert told.text == "fee ceiling reached: base fee 500.000000001 gwei, ceiling 500 gwei"
    since_ms = told.since_ms
    later = office.ledger.earn(ann, 7)
    _wait(office)
    assert office.ledger.operation(later).batch_id is None, "nothing is signed that could not be mined"
    told = _status(office, air).trouble
    assert told is not None and told.since_ms == since_ms
    office.chain.base_fee_wei = BASE_FEE_WEI
    office.mine()
    office.post()
    assert office.states(operation_id, later) == ["confirmed"] * 2
    assert _trouble(office, air) is None


def test_step__with_a_base_fee_above_the_ceiling__signs_nothing_until_it_falls(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.chain.base_fee_wei = RULES.fee_max_wei + 1
    for _ in range(3):
        _wait(office)
    assert office.chain.sent == []
    assert _trouble(office, air) == "fee-ceiling"
    office.chain.base_fee_wei = BASE_FEE_WEI
    office.post()
    office.poster.step()
    assert office.states(operation_id) == ["confirmed"]
    assert _trouble(office, air) is None


def test_step__where_the_node_knows_a_dearer_one__raises_until_it_is_taken(
    office: Office, ann: Member, air: Program
) -> None:
    """As after a restore: its mempool holds an attempt that this ledger has no record of."""
    operation_id = office.ledger.earn(ann, 5)
    (dearer,) = _sign_elsewhere(office, air, Fees(8 * GWEI, 2 * GWEI))
    office.chain.mempool[digest(dearer)] = dearer
    sent = 0
    while _trouble(office, air) is not None or not office.chain.sent:
        _wait(office)
        assert len(office.chain.sent) == sent + 1, "one attempt in a round"
        sent += 1
        if len(office.chain.mempool) == 1 and digest(dearer) in office.chain.mempool:
            assert _trouble(office, air) == "underpriced"
    made = _all(office, air)
    assert 2 < len(made) < 12
    assert list(office.chain.mempool) == [made[-1].hash]
    office.mine()
    assert office.states(operation_id) == ["confirmed"]


def test_step__that_is_underpriced_for_ever__stops_raising(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (attempts, submitter):
        monkeypatch.setattr(module, "REPLACEMENTS_MAX", 5)
    office.ledger.earn(ann, 5)
    office.chain.refuses_to_take = "replacement transaction underpriced"
    for _ in range(7):
        _wait(office)
    assert len(_all(office, air)) == 5
    assert len(office.chain.sent) == 7
    assert len(set(office.chain.sent)) == 5
    assert _trouble(office, air) == "underpriced"


def _sign_elsewhere(office: Office, program: Program, *fees: Fees) -> list[bytes]:
    """Transactions of the lane's next nonce that call nothing."""
    told = json.loads(office.chain.foreign(_address(office, program)))
    return [json.dumps(told | {"max_fee": one.max_fee, "tip": one.priority_fee}).encode() for one in fees]


def test_step__once_nothing_waits_under_a_high_base_fee_any_more__has_no_trouble_left(
    office: Office, air: Program
) -> None:
    office.chain.base_fee_wei = RULES.fee_max_wei + 1
    control = Control("pause", air.id, air.issuer_lane_id, b"\1" * 20, b"", 21_000)
    batch_id = office.ledger.do(batches.add_control, control, office.ledger.now_ms)
    office.poster.step()
    assert _trouble(office, air) == "fee-ceiling"
    assert office.ledger.do(powers.take_back, batch_id, "for a test")
    office.poster.step()
    assert _trouble(office, air) is None


# -- whichever is mined ------------------------------------------------------------------------


def _two_attempts(office: Office, ann: Member, air: Program) -> tuple[str, Attempt, Attempt]:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.base_fee_wei = SPIKE_WEI
    _wait(office)
    office.chain.base_fee_wei = BASE_FEE_WEI
    first, second = _all(office, air)
    return operation_id, first, second


def test_step__where_the_replaced_attempt_is_mined_instead__confirms_the_batch_by_it(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id, first, second = _two_attempts(office, ann, air)
    office.chain.mine(first.raw)
    office.follow()
    assert office.states(operation_id) == ["confirmed"]
    assert office.ledger.operation(operation_id).transaction_hash == first.hash
    assert _newest(office) == []
    sent = len(office.chain.sent)
    _wait(office, 10 * RULES.replace_after_ms)
    assert len(office.chain.sent) == sent, "nobody waits for the hash that is never mined"
    assert second.hash in office.chain.mempool
    office.mine(2)
    assert office.states(operation_id) == ["final"]
    assert office.reconciler.audit().differences == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_step__after_a_reorganisation_that_holds_another_attempt__confirms_it_again(
    office: Office, ann: Member, air: Program, order: tuple[int, int]
) -> None:
    operation_id, *pair = _two_attempts(office, ann, air)
    before, after = (pair[place] for place in order)
    office.chain.mine(before.raw)
    office.follow()
    assert office.ledger.operation(operation_id).transaction_hash == before.hash
    office.chain.reorganise(1)
    office.chain.mine()
    office.chain.mine(after.raw)
    office.follow()
    assert office.ledger.operation(operation_id).transaction_hash == after.hash
    assert (office.states(operation_id), office.breaker) == (["confirmed"], None)
    office.mine(2)
    assert office.states(operation_id) == ["final"]
    assert office.chain.state.balances.total() == 5


def test_step__after_a_reorganisation_that_lost_it__sends_the_newest_attempt_again(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id, first, second = _two_attempts(office, ann, air)
    office.chain.mine(first.raw)
    office.follow()
    office.chain.mempool.clear()
    office.chain.reorganise(1)
    office.mine(2)
    assert office.states(operation_id) == ["submitted"]
    assert [(one.hash, one.sent_ms, one.taken_ms) for one in _newest(office)] == [(second.hash, None, None)]
    office.poster.step()
    assert list(office.chain.mempool) == [second.hash]
    assert len(_all(office, air)) == 2


# -- a crash at each gap -----------------------------------------------------------------------


def _die(*_: object) -> None:
    raise Killed


def test_step__that_dies_between_storing_a_replacement_and_sending_it__sends_it_after_the_start(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.base_fee_wei = SPIKE_WEI
    office.chain.on_send = _die
    with pytest.raises(Killed):
        _wait(office)
    assert [one.sent_ms is None for one in _all(office, air)] == [False, True]
    office.chain.on_send = lambda _: None
    office.begin()
    office.poster.step()
    assert len(_all(office, air)) == 2
    office.mine()
    assert office.states(operation_id) == ["confirmed"]


def test_step__that_dies_between_sending_a_replacement_and_noting_it__does_not_replace_it_again(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.base_fee_wei = SPIKE_WEI
    with monkeypatch.context() as patched:
        patched.setattr(Submitter, "_rest", _die)
        with pytest.raises(Killed):
            _wait(office)
    office.begin()
    office.poster.step()
    assert len(_all(office, air)) == 2
    assert len(office.chain.sent) == 3
    office.mine()
    assert office.states(operation_id) == ["confirmed"]


def test_step__whose_answer_is_lost__notes_what_was_answered_and_sends_the_rest_again(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    operations = [office.ledger.earn(ann, amount) for amount in (1, 2, 3)]
    send, lost = FakeChain.send_raw, [1]

    def lose(chain: FakeChain, raw: bytes) -> None:
        send(chain, raw)
        if json.loads(raw)["nonce"] in lost:
            lost.clear()
            raise ChainUnreachable("the answer is lost")

    monkeypatch.setattr(FakeChain, "send_raw", lose)
    with pytest.raises(ChainUnreachable):
        office.poster.step()
    assert [one.sent_ms is None for one in _newest(office)] == [False, True, True]
    office.poster.step()
    assert [json.loads(raw)["nonce"] for raw in office.chain.sent] == [0, 1, 1, 2]
    office.mine()
    assert office.states(*operations) == ["confirmed"] * 3


# -- patience with a node ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ("insufficient funds for gas * price + value: balance 0, tx cost 5, overshot 5", "empty-signer"),
        ("txpool is full", "pool-full"),
        ("project ID request rate exceeded", "pool-full"),
        ("exceeds block gas limit", "gas-cap"),
        ("nonce too high", "nonce-gap"),
        ("gibberish", "refused"),
    ],
)
def test_step__whatever_a_node_refuses__tells_the_trouble_and_sends_the_same_bytes_when_it_is_over(
    office: Office, ann: Member, air: Program, answer: str, trouble: str
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.chain.refuses_to_take = answer
    office.poster.step()
    told = _status(office, air).trouble
    assert told is not None and told.type.value == trouble
    assert trouble == "empty-signer" or told.text == f"nonce 0: {answer}"
    assert office.states(operation_id) == ["accepted"], "no node took it"
    assert not office.poster.step()
    office.chain.refuses_to_take = None
    _wait(office)
    assert _trouble(office, air) is None
    office.mine()
    assert office.states(operation_id) == ["confirmed"]
    assert len(set(office.chain.sent)) == 1


def test_step__refused_for_another_reason__tells_the_newest_and_logs_each_once(
    office: Office, ann: Member, air: Program, caplog: pytest.LogCaptureFixture
) -> None:
    office.ledger.earn(ann, 5)
    told: list[str | None] = []
    for answer in ("txpool is full", "txpool is full", "gibberish"):
        office.chain.refuses_to_take = answer
        _wait(office, PAUSE_MAX_MS)
        told.append(_trouble(office, air))
    assert told == ["pool-full", "pool-full", "refused"]
    lane = f"lane {air.issuer_lane_id}: nonce 0: "
    assert [one for one in caplog.messages if one.startswith("lane")] == [f"{lane}txpool is full", f"{lane}gibberish"]


def test_step__while_a_node_has_no_room__tries_one_and_waits_twice_as_long_each_time_up_to_a_most(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    for amount in (5, 7):
        office.ledger.earn(ann, amount)
    office.chain.refuses_to_take = "txpool is full"
    office.poster.step()
    for times, pause_s in enumerate((3, 6, 12, 24, 48, 60, 60), start=1):
        _wait(office, pause_s * 1000 - 1)
        assert len(office.chain.sent) == times
        _wait(office, 1)
        assert len(office.chain.sent) == times + 1
    assert PAUSE_MAX_MS == 60_000
    assert len(_newest(office)) == 2
    assert len(set(office.chain.sent)) == 1


def test_step__of_an_empty_signer__says_who_needs_how_much_and_goes_on_when_it_is_funded(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    address = _address(office, air)
    office.chain.funds[address] = 0
    office.poster.step()
    told = _status(office, air).trouble
    assert told is not None and told.type is TroubleType.EMPTY_SIGNER
    need = _batch_of(office, operation_id).gas_limit * _newest(office)[0].max_fee_wei
    assert told.text == f"0x{address.hex()} cannot pay for gas: a transaction may cost {need} wei"
    office.chain.funds[address] = need
    _wait(office)
    office.mine()
    assert office.states(operation_id) == ["confirmed"]
    assert len(_all(office, air)) == 1


def test_step__of_an_empty_signer_of_a_call_that_brings_money__counts_that_money_too(
    office: Office, air: Program
) -> None:
    control = Control("fund", "x", air.issuer_lane_id, b"\1" * 20, b"", 21_000, value_wei=10**17)
    office.ledger.do(batches.add_control, control, office.ledger.now_ms)
    office.chain.funds[_address(office, air)] = 0
    office.poster.step()
    told = _status(office, air).trouble
    (sent,) = _newest(office)
    assert json.loads(sent.raw)["value"] == 10**17
    need = 10**17 + 21_000 * sent.max_fee_wei
    assert told is not None and told.text.endswith(f"a transaction may cost {need} wei")


def test_step__where_the_node_lost_an_earlier_nonce__sends_all_from_the_first_again(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    office.chain.takes_no_gaps = True
    operations = [office.ledger.earn(ann, amount) for amount in (1, 2)]
    office.poster.step()
    office.chain.mempool.clear()
    office.ledger.now_ms += 1_000
    operations.append(office.ledger.earn(ann, 3))
    office.poster.step()
    assert _trouble(office, air) == "nonce-gap"
    _wait(office)
    assert [json.loads(raw)["nonce"] for raw in office.chain.sent] == [0, 1, 2, 0, 1, 2]
    office.mine()
    assert office.states(*operations) == ["confirmed"] * 3
    office.poster.step()
    assert _trouble(office, air) is None


def test_step__of_a_lane_that_rests__keeps_no_other_from_sending(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.chain.funds[_address(office, air)] = 0
    poor = office.ledger.earn(ann, 5)
    rich = office.ledger.earn(office.ledger.member(box, "ben"), 7)
    office.post()
    assert office.states(poor, rich) == ["accepted", "confirmed"]


def test_step__after_the_clock_was_set_back__does_not_wait_for_it(office: Office, ann: Member) -> None:
    office.ledger.earn(ann, 5)
    office.chain.refuses_to_take = "txpool is full"
    office.poster.step()
    office.chain.refuses_to_take = None
    office.ledger.now_ms -= 3_600_000
    office.poster.step()
    assert len(office.chain.mempool) == 1
    office.chain.mempool.clear()
    office.ledger.now_ms -= 3_600_000
    office.poster.step()
    assert len(office.chain.mempool) == 1


def test_step__with_little_gas_money__warns_before_it_is_gone(office: Office, ann: Member, air: Program) -> None:
    office.rules = FeeRules(30_000, 500 * GWEI, low_funds_wei=10**24 + 1)
    office.begin()
    office.ledger.earn(ann, 5)
    office.post()
    assert _trouble(office, air) == "low-funds"
    office.chain.funds[_address(office, air)] = office.rules.low_funds_wei
    office.poster.step()
    assert _trouble(office, air) == "low-funds", "it is looked at only now and then"
    _wait(office, FUNDS_EVERY_MS)
    assert _trouble(office, air) is None


# -- limits ------------------------------------------------------------------------------------


def test_step__after_a_restart_with_a_full_lane__reserves_no_nonce_more(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    for amount in range(1, UNMINED_PER_LANE_MAX + 3):
        office.ledger.earn(ann, amount)
    office.poster.step()
    office.begin()
    _wait(office)
    found = _status(office, air)
    assert (found.unmined, found.next_nonce) == (UNMINED_PER_LANE_MAX, UNMINED_PER_LANE_MAX)
    assert found.oldest is not None and (found.oldest.nonce, found.oldest.attempts) == (0, 1)


# -- nonces that others used -------------------------------------------------------------------


def _steal(office: Office, program: Program) -> None:
    """Somebody else's transaction under the lane's next nonce, taken in."""
    office.chain.mine(office.chain.foreign(_address(office, program)))
    office.follow()


def test_step__where_somebody_else_used_the_nonce__trips_the_breaker_once_that_is_final(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    lost = _newest(office)[0]
    _steal(office, air)
    for _ in range(2):
        _wait(office)
    assert office.breaker is None
    assert _newest(office) == [one for one in _all(office, air) if one.hash == lost.hash]
    office.mine(2)
    assert office.poster.step(), "there may be more to do at once"
    assert office.breaker is not None
    assert f"nonce 0 of lane issuer:{air.id} (0x{_address(office, air).hex()})" in office.breaker
    assert _trouble(office, air) == "foreign-nonce"
    assert _newest(office) == []
    office.ledger.do(breaker.reset, "mended", 1)
    office.post()
    assert office.states(operation_id) == ["confirmed"]
    assert [one.nonce for one in _all(office, air, 1)] == [1]
    assert office.chain.state.balances.total() == 5
    assert _batch_of(office, operation_id).sequence == 1
    office.mine(2)
    assert office.reconciler.audit().differences == 0


def test_step__while_it_is_unsure_who_used_a_nonce__neither_replaces_nor_signs(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    office.ledger.earn(ann, 5)
    office.poster.step()
    _steal(office, air)
    office.chain.base_fee_wei = SPIKE_WEI
    _wait(office)
    office.ledger.earn(ann, 7)
    _wait(office)
    assert len(_all(office, air)) == 1
    assert _status(office, air).next_nonce == 1


def test_step__where_the_block_with_anothers_transaction_is_gone__goes_on(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    _steal(office, air)
    _wait(office)
    office.chain.reorganise(1)
    office.chain.mempool.clear()
    office.mine(4)
    later = office.ledger.earn(ann, 7)
    _wait(office)
    assert office.breaker is None
    office.mine()
    assert office.states(operation_id) == ["confirmed"]
    office.post()
    assert office.states(later) == ["confirmed"]


def test_step__while_anothers_transaction_stands_in_a_block_not_taken_in__concludes_nothing(
    office: Office, ann: Member, air: Program
) -> None:
    """That block may yet be gone; a conclusion must stand on a block whose finality is known."""
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mine(office.chain.foreign(_address(office, air)))
    _wait(office)
    office.chain.reorganise(1)
    office.chain.mempool.clear()
    office.mine(4)
    office.poster.step()
    assert office.breaker is None


def test_step__of_two_keys_that_others_use__concludes_each_by_its_own_block(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    assert air.issuer_lane_id < box.issuer_lane_id
    for program, member in ((box, office.ledger.member(box, "eve")), (air, ann)):
        office.ledger.earn(member, 5)
        office.poster.step()
        _steal(office, program)
        _wait(office)
    office.mine()
    assert (_trouble(office, air), _trouble(office, box)) == (None, None)
    office.poster.step()
    assert (_trouble(office, air), _trouble(office, box)) == (None, "foreign-nonce")


def test_step__with_nonces_that_this_ledger_never_reserved__signs_only_behind_them(
    office: Office, ann: Member, air: Program
) -> None:
    for _ in range(2):
        _steal(office, air)
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    assert office.chain.sent == []
    office.mine(2)
    office.poster.step()
    assert office.breaker is not None and "2 nonces from 0 on" in office.breaker
    office.ledger.do(breaker.reset, "mended", 1)
    office.post()
    assert office.states(operation_id) == ["confirmed"]
    assert [json.loads(raw)["nonce"] for raw in office.chain.sent] == [2]


def test_step__while_somebody_goes_on_using_the_key__never_signs_a_nonce_that_is_gone(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    _steal(office, air)
    _wait(office)
    _steal(office, air)
    office.mine()
    office.poster.step()
    assert office.breaker is not None and "nonce 0 of lane" in office.breaker
    office.ledger.do(breaker.reset, "mended", 1)
    office.poster.step()
    office.mine(2)
    office.poster.step()
    assert office.breaker is not None and "nonce 1 of lane" in office.breaker
    office.ledger.do(breaker.reset, "mended", 1)
    office.post()
    assert office.states(operation_id) == ["confirmed"]
    assert {json.loads(raw)["nonce"] for raw in office.chain.sent} == {0, 2}


def test_step__of_later_nonces_alone__leaves_the_trouble_of_the_first(
    office: Office, ann: Member, air: Program
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.base_fee_wei = RULES.fee_max_wei + 1
    _wait(office)
    assert _trouble(office, air) == "fee-ceiling"
    office.chain.base_fee_wei = BASE_FEE_WEI
    control = Control("pause", air.id, air.issuer_lane_id, b"\1" * 20, b"", 21_000)
    office.ledger.do(batches.add_control, control, office.ledger.now_ms)
    office.poster.step()
    assert len(_newest(office)) == 2
    assert _trouble(office, air) == "fee-ceiling"
    _wait(office)
    assert _trouble(office, air) is None


def test_step__where_ours_was_mined_a_moment_ago__makes_nothing_of_nonce_too_low(
    office: Office, ann: Member, air: Program
) -> None:
    """The node knows of a block that the ledger has not taken in."""
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mine()
    office.chain.base_fee_wei = SPIKE_WEI
    _wait(office)
    assert office.breaker is None
    assert _trouble(office, air) is None
    office.follow()
    office.mine(2)
    assert office.states(operation_id) == ["final"]
    assert office.breaker is None


def test_step__of_a_batch_that_lost_its_nonce_before_one_that_kept_its_own__dissolves_neither_early(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is signed and may yet be mined: frozen anew beside it, its entries could be posted twice."""
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    first, second = office.ledger.earn(ann, 5), office.ledger.earn(ann, 7)
    office.poster.step()
    office.chain.mempool.clear()
    office.chain.mine(office.chain.foreign(_address(office, air)))
    office.mine(2)
    office.ledger.do(lanes.skip_to, air.issuer_lane_id, 2)
    office.ledger.do(nonces.examine, air.issuer_lane_id, 1, recovering=True, now_ms=office.ledger.now_ms)
    kept = [_batch_of(office, one).id for one in (first, second)]
    office.ledger.now_ms += (BATCH_LIFE_S + 1) * 1000
    office.poster.step()
    assert [_batch_of(office, one).id for one in (first, second)] == kept
    assert len(_newest(office)) == 1, "nothing is signed that the chain would refuse"
    office.mine(3)
    office.poster.step()
    office.poster.step()
    office.mine()
    office.ledger.now_ms += RESEND_AFTER_MS
    office.post()
    assert office.states(first, second) == ["confirmed"] * 2
    assert office.chain.state.balances.total() == 12


def test_sign__of_a_batch_that_has_a_nonce__is_refused_by_the_database(office: Office, air: Program) -> None:
    control = Control("fund", "x", air.admin_lane_id, b"\1" * 20, b"", 21_000)
    batch_id = office.ledger.do(batches.add_control, control, office.ledger.now_ms)
    sign: Callable[[], None] = lambda: office.ledger.do(  # noqa: E731
        lambda connection: office.submitter.sign(connection, batches.by_id(connection, batch_id), Fees(2, 1))
    )
    sign()
    with pytest.raises(Exception, match=r"UNIQUE|duplicate key"):
        sign()


def _lost_of_two_lanes(office: Office, ann: Member, box: Program) -> int:
    """Of two programs something is due to be sent again; how much was sent before."""
    office.ledger.earn(ann, 5)
    office.ledger.earn(office.ledger.member(box, "ben"), 7)
    office.poster.step()
    office.chain.mempool.clear()
    office.ledger.now_ms += RESEND_AFTER_MS
    return len(office.chain.sent)


def test_step__of_lanes_that_another_process_leads__sends_nothing_of_theirs(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    sent = _lost_of_two_lanes(office, ann, box)
    office.submitter._led = LedLanes({air.issuer_lane_id: office.writer})
    assert office.submitter.step()
    assert [json.loads(raw)["from"] for raw in office.chain.sent[sent:]] == [_address(office, air).hex()]


def test_step__of_a_lane_in_trouble_that_has_nothing_to_send__has_nothing_more_to_do(
    office: Office, air: Program
) -> None:
    office.ledger.do(lanes.tell, air.issuer_lane_id, TroubleType.FOREIGN_NONCE, "a stranger", office.ledger.now_ms)
    assert not office.submitter.step(), "else its loop would never rest"


def test_step__of_the_lanes_that_it_is_told__sends_nothing_of_others(office: Office, ann: Member, box: Program) -> None:
    """While posting is stopped these are the guardians' lanes."""
    sent = _lost_of_two_lanes(office, ann, box)
    assert office.submitter.step({box.issuer_lane_id})
    assert [json.loads(raw)["from"] for raw in office.chain.sent[sent:]] == [_address(office, box).hex()]
