import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bridge.chain.anvil import free_port
from bridge.chain.errors import ChainError, ChainUnreachable, RpcRefused, WrongChain
from bridge.chain.rpc import CALLS_PER_REQUEST_MAX, Rpc

from .helpers import ANYBODY, Sender, existing

# Returns as the contract's code what stands behind these twelve bytes.
CONSTRUCTOR = "60{size:02x}600c60003960{size:02x}6000f3"
COPY_CALL_DATA = "366000600037"


def init_code(runtime: str) -> bytes:
    return bytes.fromhex(CONSTRUCTOR.format(size=len(runtime) // 2) + runtime)


ECHO = init_code(COPY_CALL_DATA + "366000f3")  # answers every call with its call data
REFUSE = init_code(COPY_CALL_DATA + "366000fd")  # reverts every call with its call data
LOUD = init_code(COPY_CALL_DATA + "6001366000a100")  # logs the call data under the topic 1


def deployed(sender: Sender, code: bytes) -> bytes:
    address = sender.send(None, code, 200_000).contract_address
    assert address is not None
    return address


def test_block__by_number_hash_and_name__is_the_same(rpc: Rpc, sender: Sender) -> None:
    receipt = sender.send(ANYBODY)
    block = existing(rpc.block(receipt.block_number))
    assert block == rpc.block(block.hash) == rpc.block("latest")
    assert block.parent_hash == existing(rpc.block(block.number - 1)).hash
    assert block.transactions == (receipt.transaction_hash,)
    assert block.gas_used == receipt.gas_used == 21_000
    assert block.base_fee == rpc.base_fee()


def test_block__that_does_not_exist__is_none(rpc: Rpc) -> None:
    assert rpc.block(10**9) is None
    assert rpc.block(b"\x01" * 32) is None


def test_pending_time__of_a_node_that_could_make_a_block__is_not_behind_its_newest(rpc: Rpc, sender: Sender) -> None:
    sender.send(ANYBODY)
    told = rpc.pending_time()
    assert told is not None and told >= existing(rpc.block("latest")).timestamp


def test_raw_transaction__of_a_mined_one__is_what_was_sent(rpc: Rpc, sender: Sender) -> None:
    raw, transaction_hash = sender.signed(ANYBODY)
    assert rpc.raw_transaction(transaction_hash) is None
    assert rpc.receipt(transaction_hash) is None
    rpc.send_raw(raw)
    sender.send(ANYBODY)
    assert rpc.raw_transactions([transaction_hash, b"\x01" * 32]) == [raw, None]


def test_calls_in__a_block__are_its_transactions_with_who_sent_them(rpc: Rpc, sender: Sender) -> None:
    made = [sender.send(to, data, gas) for to, data, gas in ((ANYBODY, b"", 21_000), (None, ECHO, 200_000))]
    found = [rpc.calls_in(receipt.block_hash) or [] for receipt in made]
    assert [[one.transaction_hash for one in each] for each in found] == [[one.transaction_hash] for one in made]
    (plain,), (creation,) = found
    assert (plain.to, plain.data, creation.to, creation.data) == (ANYBODY, b"", None, ECHO)
    assert plain.sender == creation.sender and creation.nonce == plain.nonce + 1
    assert rpc.transaction_count(plain.sender) == creation.nonce + 1
    assert rpc.calls_in(b"\x01" * 32) is None


def test_send_raw__a_second_time__is_refused_with_the_nodes_words(rpc: Rpc, sender: Sender) -> None:
    raw, _ = sender.signed(ANYBODY)
    rpc.send_raw(raw)
    sender.send(ANYBODY)
    with pytest.raises(RpcRefused, match="nonce too low") as refused:
        rpc.send_raw(raw)
    assert refused.value.code == -32003
    assert refused.value.data is None
    assert refused.value.method == "eth_sendRawTransaction"


def test_receipt__of_a_reverted_transaction__has_status_0(sender: Sender) -> None:
    refusing = deployed(sender, REFUSE)
    assert sender.send(refusing, b"no").status == 0
    assert sender.send(ANYBODY).status == 1


def test_call_many__beyond_one_request__answers_in_order(rpc: Rpc, sender: Sender) -> None:
    echo = deployed(sender, ECHO)
    asked = [number.to_bytes(32, "big") for number in range(2 * CALLS_PER_REQUEST_MAX + 1)]
    assert rpc.call_many([(echo, each) for each in asked]) == asked
    assert rpc.call_many([]) == []


def test_call__as_of_a_block__sees_that_block_only(rpc: Rpc, sender: Sender) -> None:
    before = existing(rpc.block("latest"))
    echo = deployed(sender, ECHO)
    assert rpc.call(echo, b"now") == b"now"
    assert rpc.call(echo, b"then", before.number) == b""
    assert rpc.call(echo, b"then", before.hash) == b""
    assert rpc.code(echo) == ECHO[12:]
    assert rpc.code(echo, before.number) == b""


def test_call__that_reverts__raises_with_the_revert_data(rpc: Rpc, sender: Sender) -> None:
    refusing = deployed(sender, REFUSE)
    with pytest.raises(RpcRefused) as refused:
        rpc.call(refusing, b"reason")
    assert refused.value.data == b"reason"
    with pytest.raises(RpcRefused) as refused_of_many:
        rpc.call_many([(ANYBODY, b""), (refusing, b"one of many")])
    assert refused_of_many.value.data == b"one of many"


def test_logs__of_one_block__are_those_of_the_asked_contracts(rpc: Rpc, sender: Sender) -> None:
    loud, other = deployed(sender, LOUD), deployed(sender, LOUD)
    first, second = sender.send(loud, b"heard"), sender.send(other, b"unheard")
    (log,) = rpc.logs(first.block_hash, [loud])
    assert (log.address, log.data) == (loud, b"heard")
    assert log.topics == (b"\x01".rjust(32, b"\0"),)
    assert (log.transaction_hash, log.block_hash) == (first.transaction_hash, first.block_hash)
    assert rpc.logs(second.block_hash, [loud]) == []
    assert rpc.logs(first.block_hash, []) == []
    heard = rpc.logs_in_range(first.block_number, second.block_number, [loud, other])
    assert [each.data for each in heard] == [b"heard", b"unheard"]


def test_transaction_count__with_one_waiting__differs_by_name(rpc: Rpc, sender: Sender) -> None:
    count = rpc.transaction_count(sender.address)
    sender.send(ANYBODY)
    assert rpc.transaction_count(sender.address) == count + 1
    assert rpc.transaction_count(sender.address, rpc.head_number() - 1) == count


def test_gas__estimated_and_paid__comes_from_the_balance(rpc: Rpc, sender: Sender) -> None:
    assert rpc.estimate_gas(sender.address, ANYBODY, b"") == 21_000
    before = rpc.balance(sender.address)
    receipt = sender.send(ANYBODY)
    assert before - rpc.balance(sender.address) == receipt.gas_used * receipt.gas_price


def test_require_chain_id__of_another_chain__is_refused(rpc: Rpc) -> None:
    rpc.require_chain_id(31337)
    with pytest.raises(WrongChain, match="31337"):
        rpc.require_chain_id(1)


def test_rpc__from_many_threads__answers_each(rpc: Rpc, sender: Sender) -> None:
    echo = deployed(sender, ECHO)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: rpc.call(echo, bytes([number])), range(200)))
    assert answers == [bytes([number]) for number in range(200)]


def test_rpc__with_nobody_listening__is_unreachable() -> None:
    rpc = Rpc(f"http://127.0.0.1:{free_port()}", timeout_s=1)
    with pytest.raises(ChainUnreachable):
        rpc.chain_id()
    with pytest.raises(ChainUnreachable):
        rpc.call_many([(ANYBODY, b"")])
    rpc.close()


def test_rpc__with_a_silent_node__gives_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        rpc = Rpc(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)
        with pytest.raises(ChainUnreachable):
            rpc.chain_id()
        rpc.close()


class Odd:
    """A server that answers every request the same way, and counts them."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b"", 0
        odd = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                odd.asked += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(odd.status)
                self.send_header("Content-Length", str(len(odd.body)))
                self.end_headers()
                self.wfile.write(odd.body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def odd() -> Iterator[Odd]:
    odd = Odd()
    serving = threading.Thread(target=odd.server.serve_forever, args=(0.01,))
    serving.start()
    yield odd
    odd.server.shutdown()
    serving.join(5)
    odd.server.server_close()


@pytest.fixture
def odd_rpc(odd: Odd) -> Iterator[Rpc]:
    rpc = Rpc(odd.url, timeout_s=5)
    yield rpc
    rpc.close()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_send_raw__to_a_failing_node__is_sent_exactly_once(odd: Odd, odd_rpc: Rpc, status: int) -> None:
    odd.status = status
    with pytest.raises(ChainUnreachable):
        odd_rpc.send_raw(b"signed")
    assert odd.asked == 1


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"[]", b"{}", b"\xff\xfe", b'"text"', b"null"])
def test_rpc__answered_with_no_json_rpc__is_unreachable(odd: Odd, odd_rpc: Rpc, body: bytes) -> None:
    odd.body = body
    with pytest.raises(ChainUnreachable):
        odd_rpc.chain_id()
    with pytest.raises(ChainUnreachable):
        odd_rpc.call_many([(ANYBODY, b"")])


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (b'{"number": null, "hash": null, "timestamp": "0x6b02bd0a"}', 0x6B02BD0A),
        (b'{"number": null, "hash": null, "timestamp": null}', None),
        (b"null", None),
    ],
)
def test_pending_time__in_any_nodes_manner__is_what_is_said_of_it(
    odd: Odd, odd_rpc: Rpc, block: bytes, told: int | None
) -> None:
    """A block that is not made yet has no hash, and with some nodes no number and no time."""
    odd.body = b'{"jsonrpc": "2.0", "id": 1, "result": ' + block + b"}"
    assert odd_rpc.pending_time() == told


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (b'{"code": 3, "message": "reverted", "data": "0x1234"}', b"\x12\x34"),
        (b'{"code": 3, "message": "reverted", "data": {"data": "0x1234"}}', b"\x12\x34"),
        (b'{"code": 3, "message": "reverted", "data": "0xyz"}', None),
        (b'{"code": 3, "message": "reverted"}', None),
        (b'"reverted"', None),
    ],
)
def test_refusal__in_any_nodes_manner__keeps_its_data(odd: Odd, odd_rpc: Rpc, error: bytes, data: bytes | None) -> None:
    odd.body = b'{"jsonrpc": "2.0", "id": 1, "error": ' + error + b"}"
    with pytest.raises(RpcRefused, match="reverted") as refused:
        odd_rpc.chain_id()
    assert refused.value.data == data
    assert isinstance(refused.value, ChainError)
