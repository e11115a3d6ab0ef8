"""Through the proxy before a real node: each fault as the network would bring it, and what the client makes of it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.chain.errors import ChainUnreachable, RpcRefused
from bridge.chain.messages import MESSAGES, Meaning, NodeMessage
from bridge.chain.rpc import Rpc
from tests.bridge.chain.helpers import ANYBODY, Sender, mined
from tests.faults.answers import Kind
from tests.faults.faults import LOGS, SEND, Faults
from tests.faults.proxy import FaultProxy

TIMEOUT_S = 5.0
SHORT_S = 0.2


@pytest.fixture
def faults() -> Faults:
    return Faults(seed=1)


@pytest.fixture
def proxy(node: Rpc, faults: Faults) -> Iterator[FaultProxy]:
    with FaultProxy(node.url, faults) as proxy:
        yield proxy


@pytest.fixture
def rpc(proxy: FaultProxy) -> Iterator[Rpc]:
    rpc = Rpc(proxy.url, TIMEOUT_S)
    yield rpc
    rpc.close()


def said(node: str, meaning: Meaning) -> NodeMessage:
    return next(one for one in MESSAGES if one.node == node and one.meaning is meaning)


def test_proxy__with_nothing_planned__is_the_node_itself(rpc: Rpc, node: Rpc, sender: Sender, faults: Faults) -> None:
    receipt = sender.send(ANYBODY)
    assert rpc.receipt(receipt.transaction_hash) == receipt
    assert rpc.block(receipt.block_hash) == node.block(receipt.block_number)
    assert rpc.call_many([(ANYBODY, b"")] * 3) == [b""] * 3
    with pytest.raises(RpcRefused, match="nonce too low") as refused:
        rpc.send_raw(node.raw_transaction(receipt.transaction_hash) or b"")
    assert refused.value.meaning is Meaning.NONCE_TOO_LOW
    assert not faults.injected


def test_lost_request_and_lost_answer__look_the_same__and_only_one_was_taken(
    rpc: Rpc, node: Rpc, sender: Sender, faults: Faults
) -> None:
    raw, transaction_hash = sender.signed(ANYBODY)
    faults.plan(Kind.LOSE_REQUEST, SEND)
    with pytest.raises(ChainUnreachable):
        rpc.send_raw(raw)
    assert node.raw_transaction(transaction_hash) is None
    faults.plan(Kind.LOSE_ANSWER, SEND)
    with pytest.raises(ChainUnreachable):
        rpc.send_raw(raw)
    assert mined(node, transaction_hash).status == 1
    assert faults.injected == {Kind.LOSE_REQUEST: 1, Kind.LOSE_ANSWER: 1}


def test_doubled_request__is_refused_as_known__though_it_was_taken(
    rpc: Rpc, node: Rpc, sender: Sender, faults: Faults
) -> None:
    raw, transaction_hash = sender.signed(ANYBODY)
    faults.plan(Kind.DOUBLE_REQUEST, SEND)
    with pytest.raises(RpcRefused) as refused:
        rpc.send_raw(raw)
    assert refused.value.meaning in (Meaning.ALREADY_KNOWN, Meaning.NONCE_TOO_LOW)  # the second, once it is mined
    assert mined(node, transaction_hash).status == 1


def test_late_request__arrives_after_the_asker_gave_up(rpc: Rpc, node: Rpc, sender: Sender, faults: Faults) -> None:
    raw, transaction_hash = sender.signed(ANYBODY)
    faults.plan(Kind.LATE_REQUEST, SEND)
    with pytest.raises(ChainUnreachable):
        rpc.send_raw(raw)
    assert node.raw_transaction(transaction_hash) is None
    assert faults.deliver_late() == 1
    assert mined(node, transaction_hash).status == 1


def test_held_answer__for_longer_than_the_clients_timeout__is_given_up(proxy: FaultProxy, faults: Faults) -> None:
    impatient = Rpc(proxy.url, SHORT_S)
    faults.plan(Kind.HOLD_ANSWER)
    began = time.monotonic()
    with pytest.raises(ChainUnreachable):
        impatient.head_number()
    assert time.monotonic() - began < TIMEOUT_S
    impatient.close()


def test_two_answers__in_another_order_than_asked__each_reach_their_asker(rpc: Rpc, node: Rpc, faults: Faults) -> None:
    held = faults.plan(Kind.HOLD_ANSWER, "eth_chainId")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(rpc.chain_id)
        assert held.held.wait(TIMEOUT_S)
        assert rpc.head_number() == node.head_number()
        assert not first.done()
        held.release.set()
        assert first.result(TIMEOUT_S) == 31337


def test_answers_of_a_batch__in_any_order__are_told_apart(rpc: Rpc, sender: Sender, faults: Faults) -> None:
    hashes = [sender.send(ANYBODY).transaction_hash for _ in range(3)]
    faults.plan(Kind.REORDER_ANSWERS, times=None)
    found = rpc.receipts([*hashes, b"\x01" * 32])
    assert [one.transaction_hash if one else None for one in found] == [*hashes, None]
    assert faults.injected[Kind.REORDER_ANSWERS] == 1


@pytest.mark.parametrize("kind", [Kind.HTTP_STATUS, Kind.HTML_PAGE, Kind.TRUNCATED, Kind.WRONG_ID])
def test_answer__that_is_no_answer__is_never_taken_for_one(rpc: Rpc, faults: Faults, kind: Kind) -> None:
    faults.plan(kind, times=2)
    with pytest.raises(ChainUnreachable):
        rpc.head_number()
    with pytest.raises(ChainUnreachable):
        rpc.call_many([(ANYBODY, b""), (ANYBODY, b"")])
    assert faults.injected == {kind: 2}
    assert rpc.chain_id() == 31337


@pytest.mark.parametrize("status", [429, 500, 503])
def test_page_of_a_gateway__tells_its_status(rpc: Rpc, faults: Faults, status: int) -> None:
    faults.plan(Kind.HTTP_STATUS, status=status)
    with pytest.raises(ChainUnreachable, match=str(status)):
        rpc.head_number()


@pytest.mark.parametrize("row", [one for one in MESSAGES if one.status != 200], ids=lambda one: one.node)
def test_refusal__with_an_http_error__is_read_all_the_same(rpc: Rpc, faults: Faults, row: NodeMessage) -> None:
    faults.plan(Kind.REFUSE, "eth_blockNumber", row=row)
    with pytest.raises(RpcRefused) as refused:
        rpc.head_number()
    assert (refused.value.code, refused.value.meaning) == (row.code, row.meaning)


def test_range_limit__that_comes_with_an_http_error__is_halved(rpc: Rpc, sender: Sender, faults: Faults) -> None:
    last = sender.send(ANYBODY).block_number
    faults.plan(Kind.LOG_RANGE, times=None, limit=1, row=said("QuickNode", Meaning.RANGE_TOO_WIDE))
    assert rpc.logs_in_range(0, last, [ANYBODY]) == []
    assert faults.injected[Kind.LOG_RANGE] > 0


def test_real_node__asked_for_logs_beyond_its_head__leaves_them_out_without_a_word__but_not_for_us(
    rpc: Rpc, node: Rpc
) -> None:
    head = node.head_number()
    span = {"fromBlock": "0x0", "toBlock": hex(head + 5), "address": ["0x" + ANYBODY.hex()]}
    assert node.request(LOGS, span) == []  # what the client guards against
    with pytest.raises(ChainUnreachable, match="lags"):
        rpc.logs_in_range(0, head + 5, [ANYBODY])


def test_lagging_node__shows_the_past__until_it_has_caught_up(
    rpc: Rpc, node: Rpc, sender: Sender, faults: Faults
) -> None:
    receipt = sender.send(ANYBODY)
    faults.view.lag(1)
    assert rpc.head_number() == receipt.block_number - 1
    assert rpc.block(receipt.block_number) is None and rpc.block(receipt.block_hash) is None
    assert rpc.receipt(receipt.transaction_hash) is None
    assert rpc.transaction_count(sender.address) == node.transaction_count(sender.address) - 1
    faults.view.catch_up()
    assert rpc.receipt(receipt.transaction_hash) == receipt
    assert faults.injected[Kind.OLD_HEAD] >= 5
