from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.chain.bloom import BLOOM_BYTES, bloom_of, may_log
from bridge.chain.rpc import Rpc

from .helpers import ANYBODY, Sender, existing

# Logs a word under the topic 1 while it is created, and leaves no code.
LOUD = bytes.fromhex("7f" + "ab" * 32 + "600052600160206000a1")
ADDRESSES = st.binary(min_size=20, max_size=20)


def test_bloom__of_a_real_block__names_whoever_logged_in_it(rpc: Rpc, sender: Sender) -> None:
    receipt = sender.send(None, LOUD)
    assert receipt.contract_address is not None and receipt.loggers == {receipt.contract_address}
    bloom = existing(rpc.block(receipt.block_hash)).logs_bloom
    assert len(bloom) == BLOOM_BYTES
    assert may_log(bloom, [ANYBODY, receipt.contract_address])
    assert not may_log(bloom, [ANYBODY])
    assert int.from_bytes(bloom, "big") & int.from_bytes(bloom_of([receipt.contract_address]), "big") != 0
    silent = existing(rpc.block(sender.send(ANYBODY).block_hash)).logs_bloom
    assert not may_log(silent, [receipt.contract_address])


@settings(max_examples=50, deadline=None)
@given(st.lists(ADDRESSES, max_size=8), ADDRESSES)
def test_bloom__never_denies_one_that_logged__and_an_empty_one_denies_nobody(logged: list[bytes], other: bytes) -> None:
    assert all(may_log(bloom_of(logged), [one]) for one in logged)
    assert may_log(bloom_of([*logged, other]), [other])
    assert not may_log(bloom_of([]), [other])
    assert may_log(b"", [other])
    assert not may_log(bloom_of([other]), [])


def test_bloom__with_one_of_the_three_bits__denies() -> None:
    filled = int.from_bytes(bloom_of([ANYBODY]), "big")
    one_bit = (filled & -filled).to_bytes(BLOOM_BYTES, "big")
    assert not may_log(one_bit, [ANYBODY])
    assert may_log(filled.to_bytes(BLOOM_BYTES, "big"), [ANYBODY])
