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


@pytest.mark.parametrize("words", [MANY_WORDS[:32], MANY_WORDS], ids=["one", "many"])
def test_decode__of_our_own_calls__gives_what_was_encoded(words: bytes) -> None:
    assert contracts.decode_post(contracts.encode_post(7, 9, words)) == (7, 9, words)
    path = (ONE, TWO, THREE)
    assert contracts.decode_settle(contracts.encode_settle(path, [4, 5], 7, 9, words)) == (path, (4, 5), 7, 9, words)


@pytest.mark.parametrize("decode", [contracts.decode_post, contracts.decode_settle])
def test_decode__of_anything_else__is_none(decode: Callable[[bytes], object]) -> None:
    """Anybody may call a contract with anything: what cannot be read is told, and breaks nothing."""
    post = contracts.encode_post(7, 9, MANY_WORDS[:64])
    settle = contracts.encode_settle((ONE, TWO), [4], 7, 9, MANY_WORDS[:64])
    other = settle if decode is contracts.decode_post else post
    assert decode(other) is None
    for call in (post, settle):
        assert not any(decode(call[:end]) for end in range(len(call)))
        assert not any(decode(call[:4] + b"\xff" * length) for length in range(400))


PAIR = (ONE, TWO)
TERMS = contracts.TermsOnChain(from_units=3, to_units=2, price=10**6, managed_cap=10**7, wallet_cap=0)
TERMS_VALUES = (3, 2, 10**6, 10**7, 0)
REFERENCE = b"\x09" * 20
ROOM = contracts.Bounds(1000, 7)
CALL = os.urandom(68)
SIGNATURE = os.urandom(65)
TOKEN_CALLS: list[tuple[Callable[[], bytes], str, list[Any]]] = [
    (lambda: contracts.encode_balance_of(ONE), "balanceOf", checksummed(ONE)),
    (contracts.encode_total_supply, "totalSupply", []),
    (contracts.encode_sequence, "sequence", []),
    (contracts.encode_name, "name", []),
    (contracts.encode_symbol, "symbol", []),
    (lambda: contracts.encode_limit_of(contracts.Limit.RELEASE), "limitOf", [2]),
    (lambda: contracts.encode_wallet_of(REFERENCE), "walletOf", [REFERENCE]),
    (lambda: contracts.encode_is_wallet(ONE), "isWallet", checksummed(ONE)),
    (contracts.encode_paused, "paused", []),
    (contracts.encode_issuer, "issuer", []),
    (contracts.encode_guardian, "guardian", []),
    (contracts.encode_transferable, "transferable", []),
    (contracts.encode_pause, "pause", []),
    (contracts.encode_unpause, "unpause", []),
    (lambda: contracts.encode_set_limit(contracts.Limit.REDEMPTION, ROOM), "setLimit", [1, 1000, 7]),
    (contracts.encode_retire_issuer, "retireIssuer", []),
    (lambda: contracts.encode_set_guardian(ONE), "setGuardian", checksummed(ONE)),
    (lambda: contracts.encode_unbind(REFERENCE), "unbind", [REFERENCE]),
    (lambda: contracts.encode_redeem(5, 6), "redeem", [5, 6]),
    (
        lambda: contracts.encode_redeem_for(ONE, 5, 6, 7, SIGNATURE),
        "redeemFor",
        [*checksummed(ONE), 5, 6, 7, SIGNATURE],
    ),
    (lambda: contracts.encode_deposit(REFERENCE, 5), "deposit", [REFERENCE, 5]),
    (
        lambda: contracts.encode_deposit_for(ONE, REFERENCE, 5, 6, 7, SIGNATURE),
        "depositFor",
        [*checksummed(ONE), REFERENCE, 5, 6, 7, SIGNATURE],
    ),
]
EXCHANGE_CALLS: list[tuple[Callable[[], bytes], str, list[Any]]] = [
    (lambda: contracts.encode_admit(ONE, 10**12), "admit", [*checksummed(ONE), 10**12]),
    (lambda: contracts.encode_request_credit(ONE, 5), "requestCredit", [*checksummed(ONE), 5]),
    (lambda: contracts.encode_grant_credit(ONE, 5), "grantCredit", [*checksummed(ONE), 5]),
    (lambda: contracts.encode_lower_credit(ONE, 5), "lowerCredit", [*checksummed(ONE), 5]),
    (lambda: contracts.encode_propose(*PAIR, TERMS), "propose", [*checksummed(*PAIR), TERMS_VALUES]),
    (lambda: contracts.encode_consent(*PAIR, 4), "consent", [*checksummed(*PAIR), 4]),
    (lambda: contracts.encode_suspend(*PAIR), "suspend", checksummed(*PAIR)),
    (lambda: contracts.encode_lower_caps(*PAIR, 4, 3, 2), "lowerCaps", [*checksummed(*PAIR), 4, 3, 2]),
    (contracts.encode_retire_operator, "retireOperator", []),
    (lambda: contracts.encode_position(ONE), "position", checksummed(ONE)),
    (lambda: contracts.encode_credit_limit(ONE), "creditLimit", checksummed(ONE)),
    (lambda: contracts.encode_credit_requested(ONE), "creditRequested", checksummed(ONE)),
    (lambda: contracts.encode_admitted(ONE), "admitted", checksummed(ONE)),
    (lambda: contracts.encode_in_force(*PAIR), "inForce", checksummed(*PAIR)),
    (lambda: contracts.encode_terms_of(*PAIR, 2), "termsOf", [*checksummed(*PAIR), 2]),
    (lambda: contracts.encode_used_of(*PAIR), "usedOf", checksummed(*PAIR)),
    (lambda: contracts.encode_sequence_of(PATH_ID), "sequenceOf", [PATH_ID]),
    (contracts.encode_operator, "operator", []),
    *(
        ((lambda place=place: contracts.encode_times()[place]), function, [])
        for place, function in enumerate(("delay", "notice", "longestQuote", "longestBatch", "capPeriod"))
    ),
    (lambda: contracts.encode_announce(CALL), "announce", [CALL]),
    (lambda: contracts.encode_withdraw(CALL), "withdraw", [CALL]),
    (lambda: contracts.encode_set_standby(ONE), "setStandby", checksummed(ONE)),
    (lambda: contracts.encode_ready_at(CALL), "readyAt", [Web3.keccak(CALL)]),
    (contracts.encode_admin, "admin", []),
    (contracts.encode_standby, "standby", []),
    (contracts.encode_delay, "delay", []),
    (contracts.encode_domain_separator, "DOMAIN_SEPARATOR", []),
    (lambda: contracts.encode_cancel(9), "cancel", [9]),
    (lambda: contracts.encode_is_spent(ONE, 9), "isSpent", [*checksummed(ONE), 9]),
    (lambda: contracts.encode_swap([ONE, TWO, THREE], 5, 6, 7), "swap", [checksummed(ONE, TWO, THREE), 5, 6, 7]),
    (
        lambda: contracts.encode_swap_for(ONE, [TWO, THREE], 5, 6, 7, 8, SIGNATURE),
        "swapFor",
        [*checksummed(ONE), checksummed(TWO, THREE), 5, 6, 7, 8, SIGNATURE],
    ),
]
CALLS = [("PointsToken", *each) for each in TOKEN_CALLS] + [("PointsExchange", *each) for each in EXCHANGE_CALLS]


@pytest.mark.parametrize(("contract", "ours", "function", "arguments"), CALLS, ids=[each[2] for each in CALLS])
def test_encoded_call__of_every_function__equals_web3(
    contract: str, ours: Callable[[], bytes], function: str, arguments: list[Any]
) -> None:
    assert ours() == by_web3(contract, function, *arguments)


def constructor_kinds(contract: str) -> list[str]:
    inputs = artifact(contract).entries("constructor")[0]["inputs"]
    return signature({"name": "", "inputs": inputs})[1:-1].split(",")


@pytest.mark.parametrize("name", ["", "Bonus", "a name of more than thirty-two bytes, with ünicode", "x" * 32])
def test_token_init_code__of_any_name__equals_the_abi(name: str) -> None:
    bounds = "(uint48,uint48)"
    kinds = f"(string,string,address,address,address,address,address,bool,uint40,{bounds},{bounds},{bounds})"
    assert ",".join(constructor_kinds("PointsToken")) == kinds
    people = [ISSUER, THREE, TWO, ADMIN, EXCHANGE]
    limits = [(1, 2), (3, 4), (5, 6)]
    given: list[Any] = [*people, True, 77, *(contracts.Bounds(*each) for each in limits)]
    ours = contracts.token_init_code(contracts.TokenSetup(name, "SYM", *given))
    arguments = abi_encode([kinds], [(name, "SYM", *people, True, 77, *limits)])
    assert ours == artifact("PointsToken").bytecode + arguments


def test_exchange_init_code__equals_the_abi() -> None:
    kinds = ["address", "address", "address", "(uint40,uint40,uint40,uint40,uint40)"]
    assert ",".join(constructor_kinds("PointsExchange")) == ",".join(kinds)
    ours = contracts.exchange_init_code(ADMIN, ISSUER, contracts.NOBODY, contracts.Times(1, 2, 3, 4, 5))
    arguments = abi_encode(kinds, [ADMIN, ISSUER, bytes(20), (1, 2, 3, 4, 5)])
    assert ours == artifact("PointsExchange").bytecode + arguments


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda: contracts.encode_balance_of(ONE[1:]),
        lambda: contracts.encode_wallet_of(ONE + b"x"),
        lambda: contracts.encode_sequence_of(ONE),
        lambda: contracts.encode_admit(ONE, 2**120),
        lambda: contracts.encode_set_limit(contracts.Limit.RELEASE, contracts.Bounds(2**48, 0)),
        lambda: contracts.encode_admit(ONE, -1),
    ],
)
def test_encode__of_a_value_that_does_not_fit__is_a_bug(spoilt: Callable[[], bytes]) -> None:
    with pytest.raises(AssertionError):
        spoilt()


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
    with pytest.raises(AssertionError):
        contracts.encode_settle([ONE, TWO], [1], 1, 1, words)


def test_decode__of_numbers__knows_their_sign() -> None:
    minus_two = (2**256 - 2).to_bytes(32, "big")
    assert contracts.decode_int(minus_two) == -2
    assert contracts.decode_uint(minus_two) == 2**256 - 2
    with pytest.raises(AssertionError, match="contract"):
        contracts.decode_uint(b"")  # what a call to no contract gives


def outputs(contract: str, function: str) -> list[str]:
    (entry,) = [each for each in artifact(contract).entries("function") if each["name"] == function]
    given = entry["outputs"]
    return [each["name"] for each in (given[0].get("components") or given)]


@pytest.mark.parametrize("text", ["", "Points", "x" * 32, "Ünïcode, longer than one word of the chain"])
def test_decode_text__of_an_answer__gives_the_text(text: str) -> None:
    assert contracts.decode_text(abi_encode(["string"], [text])) == text


def test_decode_terms__of_an_answer__has_its_fields_in_the_abis_order() -> None:
    assert outputs("PointsExchange", "termsOf") == ["fromUnits", "toUnits", "price", "managedCap", "walletCap"]
    answer = b"".join(each.to_bytes(32, "big") for each in TERMS_VALUES)
    assert contracts.decode_terms(answer) == TERMS


def test_decode__of_answers_with_several_values__has_them_in_the_abis_order() -> None:
    assert outputs("PointsToken", "limitOf") == ["capacity", "refill", "available"]
    words = [each.to_bytes(32, "big") for each in (7, 8, 9)]
    assert contracts.decode_limit(b"".join(words)) == contracts.LimitNow(capacity=7, refill=8, available=9)
    assert contracts.decode_used(b"".join(words[:2])) == contracts.Used(managed=7, wallet=8)
    bound = contracts.decode_binding(ONE.rjust(32, b"\0") + words[2])
    assert bound == contracts.Binding(wallet=ONE, effective_at=9)
    assert contracts.decode_address(ONE.rjust(32, b"\0")) == ONE


def test_every_signature__of_the_module__is_in_a_committed_abi_and_encoded() -> None:
    known = {signature(entry) for name in CONTRACTS for entry in artifact(name).entries("function")}
    ours = {value for name, value in vars(contracts).items() if name.isupper() and isinstance(value, str)}
    functions = {each for each in ours if not each.startswith("(")} - {contracts.EXCHANGE_SETUP}
    assert functions - known == set()
    assert {each.split("(")[0] for each in functions} == {each[2] for each in CALLS} | {"post", "settle"}
