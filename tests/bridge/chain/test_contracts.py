import os
from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from web3 import Web3

from bridge.chain import contracts
from bridge.chain.artifacts import CONTRACTS, artifact, signature

ISSUER, ADMIN, EXCHANGE = (bytes([each]) * 20 for each in (1, 2, 3))
ONE, TWO, THREE = (bytes([each]) * 20 for each in (0x11, 0x22, 0x33))
PATH_ID = b"\x07" * 32
MANY_WORDS = os.urandom(32 * 100)


def by_web3(contract: str, function: str, *arguments: Any) -> bytes:
    encoded = Web3().eth.contract(abi=list(artifact(contract).abi)).encode_abi(function, list(arguments))
    return bytes.fromhex(encoded[2:])


def checksummed(*addresses: bytes) -> list[str]:
    return [Web3.to_checksum_address("0x" + each.hex()) for each in addresses]


def split(words: bytes) -> list[bytes]:
    return [words[at : at + 32] for at in range(0, len(words), 32)]


@pytest.mark.parametrize("words", [MANY_WORDS[:32], MANY_WORDS], ids=["one", "many"])
def test_encode_post__of_any_batch__equals_web3(words: bytes) -> None:
    ours = contracts.encode_post(7, 2**64 - 1, words)
    assert ours == by_web3("PointsToken", "post", 7, 2**64 - 1, split(words))


@pytest.mark.parametrize("hops", [1, 2, 4])
@pytest.mark.parametrize("words", [MANY_WORDS[:32], MANY_WORDS], ids=["one", "many"])
def test_encode_settle__of_any_path__equals_web3(hops: int, words: bytes) -> None:
    path = [bytes([number]) * 20 for number in range(1, hops + 2)]
    versions = list(range(5, 5 + hops))
    ours = contracts.encode_settle(path, versions, 3, 1_800_000_000, words)
    assert ours == by_web3("PointsExchange", "settle", checksummed(*path), versions, 3, 1_800_000_000, split(words))


PAIR = (ONE, TWO)
CALLS: list[tuple[Callable[[], bytes], str, str, list[Any]]] = [
    (lambda: contracts.encode_admit(ONE), "PointsExchange", "admit", checksummed(ONE)),
    (
        lambda: contracts.encode_propose(*PAIR, 3, 2, 10**6),
        "PointsExchange",
        "propose",
        [*checksummed(*PAIR), 3, 2, 10**6],
    ),
    (lambda: contracts.encode_consent(*PAIR, 4), "PointsExchange", "consent", [*checksummed(*PAIR), 4]),
    (lambda: contracts.encode_suspend(*PAIR), "PointsExchange", "suspend", checksummed(*PAIR)),
    (lambda: contracts.encode_position(ONE), "PointsExchange", "position", checksummed(ONE)),
    (lambda: contracts.encode_admitted(ONE), "PointsExchange", "admitted", checksummed(ONE)),
    (lambda: contracts.encode_in_force(*PAIR), "PointsExchange", "inForce", checksummed(*PAIR)),
    (lambda: contracts.encode_terms_of(*PAIR, 2), "PointsExchange", "termsOf", [*checksummed(*PAIR), 2]),
    (lambda: contracts.encode_sequence_of(PATH_ID), "PointsExchange", "sequenceOf", [PATH_ID]),
    (lambda: contracts.encode_balance_of(ONE), "PointsToken", "balanceOf", checksummed(ONE)),
    (lambda: contracts.encode_total_supply(), "PointsToken", "totalSupply", []),
    (lambda: contracts.encode_sequence(), "PointsToken", "sequence", []),
]


@pytest.mark.parametrize(("ours", "contract", "function", "arguments"), CALLS, ids=[each[2] for each in CALLS])
def test_encoded_call__of_every_function__equals_web3(
    ours: Callable[[], bytes], contract: str, function: str, arguments: list[Any]
) -> None:
    assert ours() == by_web3(contract, function, *arguments)


@pytest.mark.parametrize("name", ["", "Bonus", "a name of more than thirty-two bytes, with ünicode", "x" * 32])
def test_token_init_code__of_any_name__equals_the_abi(name: str) -> None:
    kinds = ["string", "string", "address", "address", "address", "bool"]
    assert [each["type"] for each in artifact("PointsToken").entries("constructor")[0]["inputs"]] == kinds
    ours = contracts.token_init_code(name, "SYM", ISSUER, ADMIN, EXCHANGE, transferable=True)
    arguments = abi_encode(kinds, [name, "SYM", ISSUER, ADMIN, EXCHANGE, True])
    assert ours == artifact("PointsToken").bytecode + arguments


def test_exchange_init_code__equals_the_abi() -> None:
    kinds = ["address", "address", "uint64"]
    assert [each["type"] for each in artifact("PointsExchange").entries("constructor")[0]["inputs"]] == kinds
    ours = contracts.exchange_init_code(ADMIN, ISSUER, 3600)
    assert ours == artifact("PointsExchange").bytecode + abi_encode(kinds, [ADMIN, ISSUER, 3600])


def test_path_id__of_a_path__is_keccak_of_its_words() -> None:
    packed = Web3.solidity_keccak(["address[]"], [checksummed(ONE, TWO, THREE)])
    assert contracts.path_id([ONE, TWO, THREE]) == bytes(packed)
    assert contracts.path_id([ONE, TWO]) != contracts.path_id([TWO, ONE])


@pytest.mark.parametrize("path", [[], [ONE], [ONE] * 6])
def test_path_id__of_no_path__is_a_bug(path: list[bytes]) -> None:
    with pytest.raises(AssertionError):
        contracts.path_id(path)


@pytest.mark.parametrize("words", [b"", b"x" * 31, b"x" * 33])
def test_encode_post__of_no_whole_words__is_a_bug(words: bytes) -> None:
    with pytest.raises(AssertionError):
        contracts.encode_post(1, 1, words)


def test_decode__of_numbers__knows_their_sign() -> None:
    minus_two = (2**256 - 2).to_bytes(32, "big")
    assert contracts.decode_int(minus_two) == -2
    assert contracts.decode_uint(minus_two) == 2**256 - 2
    with pytest.raises(AssertionError, match="contract"):
        contracts.decode_uint(b"")  # what a call to no contract gives


def test_decode_terms__of_an_answer__has_its_fields_in_the_abis_order() -> None:
    (entry,) = [each for each in artifact("PointsExchange").entries("function") if each["name"] == "termsOf"]
    outputs = entry["outputs"]
    fields = outputs[0]["components"] if outputs[0]["type"] == "tuple" else outputs
    assert [each["name"] for each in fields] == ["fromUnits", "toUnits", "price", "effectiveAt"]
    answer = b"".join(each.to_bytes(32, "big") for each in (3, 2, 10**6, 99))
    assert contracts.decode_terms(answer) == contracts.TermsOnChain(3, 2, 10**6, 99)


def test_every_signature__of_the_module__is_in_a_committed_abi() -> None:
    known = {signature(entry) for name in CONTRACTS for entry in artifact(name).entries("function")}
    ours = {value for name, value in vars(contracts).items() if name.isupper() and isinstance(value, str)}
    assert ours - known == set()
    assert len(ours) == 14
