"""An RPC object behind the wrapper answers as it does without, by requests and by methods."""

from bridge.chain.rpc import Rpc
from tests.bridge.chain.helpers import ANYBODY, Sender
from tests.faults.faults import Faults
from tests.faults.wrapped import FaultyRpc, by_methods, by_request

# Logs its call data under the topic 1 from its constructor on, and has no code afterwards.
LOUD = bytes.fromhex("7f" + "ab" * 32 + "600052600160206000a1")


def test_wrapped__by_request_or_by_methods__answers_as_the_object_itself(node: Rpc, sender: Sender) -> None:
    receipt = sender.send(None, LOUD)
    assert receipt.contract_address is not None
    loud, number = receipt.contract_address, receipt.block_number
    for forward in (by_request(node), by_methods(node)):
        faults = Faults()
        rpc = FaultyRpc(faults, forward)
        assert rpc.chain_id() == 31337 and rpc.head_number() == number
        assert rpc.block(number) == rpc.block(receipt.block_hash) == rpc.block("latest") == node.block(number)
        assert rpc.block(number + 1) is None
        assert len(rpc.logs(receipt.block_hash, [loud])) == 1
        assert rpc.logs_in_range(0, number, [loud]) == node.logs(receipt.block_hash, [loud])
        assert rpc.receipts([receipt.transaction_hash, bytes(32)]) == [receipt, None]
        assert rpc.raw_transaction(receipt.transaction_hash) == node.raw_transaction(receipt.transaction_hash)
        assert rpc.raw_transaction(bytes(32)) is None
        assert rpc.transaction_count(sender.address) == node.transaction_count(sender.address)
        assert rpc.balance(sender.address) == node.balance(sender.address)
        assert rpc.code(ANYBODY) == b""
        assert rpc.call(ANYBODY, b"", sender=sender.address) == rpc.call_many([(ANYBODY, b"")], number)[0] == b""
        assert rpc.estimate_gas(sender.address, ANYBODY, b"") == 21_000
        assert rpc.priority_fee() == node.priority_fee() and rpc.base_fee() == node.base_fee()
        assert not faults.injected


def test_wrapped__sends_what_it_is_given(node: Rpc, sender: Sender) -> None:
    raw, transaction_hash = sender.signed(ANYBODY)
    FaultyRpc(Faults(), by_methods(node)).send_raw(raw)
    assert node.raw_transaction(transaction_hash) == raw
