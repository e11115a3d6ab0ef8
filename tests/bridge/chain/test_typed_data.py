"""What holders sign, hashed by two independent signers, and by hand as the contracts do."""

import json
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak

from bridge.chain import typed_data
from bridge.chain.contracts import path_id
from bridge.chain.errors import KeysRefused
from bridge.chain.keystore import WellKnownKeys
from bridge.chain.typed_data import EXCHANGE_NAME, Domain, Promise

CHAIN_ID = 31337
CONTRACT = bytes(range(20))
HOLDER = Account.from_key(b"\x07" * 32)
ADDRESS = bytes.fromhex(HOLDER.address[2:])
REFERENCE = b"\xab" * 20
PATH = [b"\x01" * 20, b"\x02" * 20, b"\x03" * 20]
TOKEN = Domain("Coffee", CHAIN_ID, CONTRACT)
EXCHANGE = Domain(EXCHANGE_NAME, CHAIN_ID, CONTRACT)
#: Half of the order of the group in which signatures are made (SEC 2, secp256k1).
HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2


def word(kind: str, value: Any) -> bytes:
    return encode([kind], [value])


def separator(domain: Domain) -> bytes:
    named = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    return keccak(
        keccak(named)
        + keccak(domain.name.encode())
        + keccak(b"1")
        + word("uint256", domain.chain_id)
        + word("address", domain.contract)
    )


def by_hand(domain: Domain, named: bytes, *words: bytes) -> bytes:
    """The digest as the contracts compute it."""
    return keccak(b"\x19\x01" + separator(domain) + keccak(keccak(named) + b"".join(words)))


PROMISE = Promise(
    id="quo_1",
    path=PATH,
    versions=[2, 7],
    member_id="mbr_1",
    to_member_id="mbr_2",
    amount_in=99,
    amount_out=40,
    bonus=7,
    fee_points=5,
    fees=[("USD", 500_000), ("EUR", 2**60)],
    deadline=1_900_000_000,
)

CASES = {
    "redeem": (
        typed_data.redeem(TOKEN, holder=ADDRESS, amount=25, order=3, deadline=1_900_000_000),
        by_hand(
            TOKEN,
            b"Redeem(address holder,uint256 amount,uint256 order,uint256 deadline)",
            word("address", ADDRESS),
            word("uint256", 25),
            word("uint256", 3),
            word("uint256", 1_900_000_000),
        ),
    ),
    "deposit": (
        typed_data.deposit(
            TOKEN, holder=ADDRESS, reference=REFERENCE, amount=2**48 - 1, nonce=4, deadline=1_900_000_000
        ),
        by_hand(
            TOKEN,
            b"Deposit(address holder,bytes20 reference,uint256 amount,uint256 nonce,uint256 deadline)",
            word("address", ADDRESS),
            REFERENCE.ljust(32, b"\0"),
            word("uint256", 2**48 - 1),
            word("uint256", 4),
            word("uint256", 1_900_000_000),
        ),
    ),
    "swap": (
        typed_data.swap(EXCHANGE, holder=ADDRESS, path=PATH, amount_in=30, min_out=10, nonce=5, deadline=1_900_000_000),
        by_hand(
            EXCHANGE,
            b"Swap(address holder,address[] path,uint256 amountIn,uint256 minOut,uint256 nonce,uint256 deadline)",
            word("address", ADDRESS),
            path_id(PATH),
            word("uint256", 30),
            word("uint256", 10),
            word("uint256", 5),
            word("uint256", 1_900_000_000),
        ),
    ),
    "quote": (
        typed_data.quote(EXCHANGE, PROMISE),
        by_hand(
            EXCHANGE,
            b"Quote(string id,address[] path,uint256[] versions,bytes32 member,bytes32 receiver,uint256 amountIn,"
            b"uint256 amountOut,uint256 bonus,uint256 feePoints,bytes32 fees,uint256 deadline)",
            keccak(b"quo_1"),
            path_id(PATH),
            keccak(word("uint256", 2) + word("uint256", 7)),
            keccak(b"mbr_1"),
            keccak(b"mbr_2"),
            *(word("uint256", number) for number in (99, 40, 7, 5)),
            keccak(b"EUR:1152921504606846976,USD:500000"),
            word("uint256", 1_900_000_000),
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_typed_data__hashed_by_eth_account__is_what_the_contract_hashes(name: str) -> None:
    data, expected = CASES[name]

    signable = encode_typed_data(full_message=json.loads(json.dumps(data)))

    assert keccak(b"\x19" + signable.version + signable.header + signable.body) == expected


def test_typed_data__of_another_contract_or_chain__is_another_hash() -> None:
    def digest(domain: Domain) -> bytes:
        data = typed_data.redeem(domain, holder=ADDRESS, amount=25, order=3, deadline=9)
        return bytes(encode_typed_data(full_message=data).header)

    domains = [TOKEN, EXCHANGE, Domain("Coffee", 1, CONTRACT), Domain("Coffee", CHAIN_ID, b"\x09" * 20)]

    assert len({digest(domain) for domain in domains}) == len(domains)


def test_quote__signed_by_the_keystore__is_of_its_account_and_in_the_lower_form() -> None:
    """Anybody recovers the signer; of the two signatures that would do, contracts commonly take only the lower."""
    data = typed_data.quote(EXCHANGE, PROMISE)
    keys = WellKnownKeys(CHAIN_ID)

    signature = keys.sign_typed_data(1, data)

    assert len(signature) == 65 and int.from_bytes(signature[32:64], "big") <= HALF_ORDER
    signable = encode_typed_data(full_message=json.loads(json.dumps(data)))
    assert bytes.fromhex(Account.recover_message(signable, signature=signature)[2:]) == keys.address(1)
    assert keys.sign_typed_data(1, data) == signature


def test_quote__for_another_chain_than_a_local_one__is_not_signed_with_public_keys() -> None:
    data = typed_data.quote(Domain(EXCHANGE_NAME, 1, CONTRACT), PROMISE)

    with pytest.raises(KeysRefused):
        WellKnownKeys(CHAIN_ID).sign_typed_data(1, data)


def test_quote__then_says_nothing_of_the_members_but_a_hash() -> None:
    assert "mbr_" not in json.dumps(typed_data.quote(EXCHANGE, PROMISE))


@pytest.mark.parametrize(
    ("fees", "text"),
    [
        ([], ""),
        ([("USD", 5)], "USD:5"),
        ([("USD", 5), ("EUR", 7)], "EUR:7,USD:5"),
        ([("USD", 5), ("USD", 40)], "USD:40,USD:5"),
    ],
)
def test_fees_text__then_is_the_same_in_any_order(fees: list[tuple[str, int]], text: str) -> None:
    assert typed_data.fees_text(fees) == typed_data.fees_text(fees[::-1]) == text
