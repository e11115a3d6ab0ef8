"""What holders sign: the contracts, eth_account and Foundry's cast must mean the same bytes by it.

The three were written by different people. A digest that only we compute would leave every wallet unable to sign.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak
from web3.contract import Contract

from bridge.chain.errors import RpcRefused

from .gas.chain import VALID_UNTIL, private_chain
from .gas.compiler import committed
from .gas.words import BIND, EARN, RELEASE, reference, word
from .gas.world import World, account, build_world
from .tools import native
from .typed_data import CHAIN_ID, EXCHANGE_NAME, HOLDER, HOLDER_KEY, TypedData, digest, sign, typed_data

CAST_SECONDS_MAX = 20
MEMBER = 42
HELD = 1_000_000
UINT256_MAX = 2**256 - 1
STRANGER_KEY = "0x" + "11" * 32
WRONG_SIGNATURE = keccak(text="WrongSignature(address,bytes32)")[:4]
DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
FUNCTIONS = {"Redeem": "redeemFor", "Deposit": "depositFor", "Swap": "swapFor"}

Message = dict[str, Any]

MESSAGES: list[tuple[str, Message]] = [
    ("Redeem", {"holder": HOLDER, "amount": 250, "order": 7, "deadline": VALID_UNTIL}),
    ("Redeem", {"holder": HOLDER, "amount": UINT256_MAX, "order": UINT256_MAX, "deadline": UINT256_MAX}),
    (
        "Deposit",
        {"holder": HOLDER, "reference": reference(MEMBER), "amount": 300, "nonce": 8, "deadline": VALID_UNTIL},
    ),
    (
        "Deposit",
        {
            "holder": HOLDER,
            "reference": bytes(20),
            "amount": UINT256_MAX,
            "nonce": UINT256_MAX,
            "deadline": UINT256_MAX,
        },
    ),
    ("Swap", {"holder": HOLDER, "path": 2, "amountIn": 600, "minOut": 400, "nonce": 9, "deadline": VALID_UNTIL}),
    ("Swap", {"holder": HOLDER, "path": 5, "amountIn": 1, "minOut": 0, "nonce": UINT256_MAX, "deadline": UINT256_MAX}),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The programs, and HOLDER's wallet with points of the first one."""
    with private_chain(tmp_path_factory.mktemp("typed-data")) as chain:
        world = build_world(chain, committed())
        binding = [word(MEMBER, BIND, 0), bytes(12) + bytes.fromhex(HOLDER[2:])]
        world.post(world.tokens[0], [word(MEMBER, EARN, HELD), *binding, word(MEMBER, RELEASE, HELD)])
        yield world


@pytest.mark.parametrize(("kind", "message"), MESSAGES)
def test_digest__of_what_a_holder_signs__is_the_same_by_contract_and_eth_account(
    world: World, kind: str, message: Message
) -> None:
    contract, name, message = _meant(world, kind, message)
    assert _contracts_digest(world, contract, kind, message) == digest(typed_data(name, contract, kind, message))


@pytest.mark.parametrize(("kind", "message"), MESSAGES)
def test_signature__of_what_a_holder_signs__is_the_same_by_cast_and_eth_account(
    world: World, kind: str, message: Message
) -> None:
    contract, name, message = _meant(world, kind, message)
    data = typed_data(name, contract, kind, message)
    assert _signed_by_cast(data) == sign(data)


@pytest.mark.parametrize(("kind", "message"), MESSAGES[::2])
def test_call__signed_by_cast__is_accepted_and_moves_points(world: World, kind: str, message: Message) -> None:
    contract, name, message = _meant(world, kind, message)
    signature = _signed_by_cast(typed_data(name, contract, kind, message))
    member = account(world.tokens[0], reference(MEMBER))
    places: list[tuple[int, str | bytes]] = [(0, HOLDER), (0, member), (1, HOLDER)]
    before = [_held(world, *place) for place in places]

    world.chain.send(world.chain.accounts[6], contract, FUNCTIONS[kind], *message.values(), signature)

    moved = [_held(world, *place) - held for place, held in zip(places, before, strict=True)]
    assert moved == {"Redeem": [-250, 0, 0], "Deposit": [-300, 300, 0], "Swap": [-600, 0, 400]}[kind]


@pytest.mark.parametrize(("kind", "message"), MESSAGES[::2])
def test_call__with_one_field_changed_after_signing__is_refused(world: World, kind: str, message: Message) -> None:
    contract, name, message = _meant(world, kind, message)
    signature = sign(typed_data(name, contract, kind, message))
    for field, value in message.items():
        changed = {**message, field: _other(value)}
        refusal = _refusal(world, contract, FUNCTIONS[kind], *changed.values(), signature)
        assert refusal[:4] == WRONG_SIGNATURE, field


def test_permit__signed_by_cast__is_the_same_by_eth_account_and_accepted(world: World) -> None:
    token, spender = world.tokens[0], world.chain.accounts[7]
    message = {"owner": HOLDER, "spender": spender, "value": 5_000, "nonce": 0, "deadline": VALID_UNTIL}
    data = typed_data("Program A", token, "Permit", message)
    signature = _signed_by_cast(data)
    assert signature == sign(data)

    r, s, v = signature[:32], signature[32:64], signature[64]
    world.chain.send(world.chain.accounts[6], token, "permit", HOLDER, spender, 5_000, VALID_UNTIL, v, r, s)

    assert int.from_bytes(world.chain.call(token, "allowance", HOLDER, spender), "big") == 5_000


def test_domain__of_each_contract__is_its_name_version_chain_and_address(world: World) -> None:
    assert world.chain.anvil.rpc.chain_id() == CHAIN_ID
    for contract, name in (
        (world.exchange, EXCHANGE_NAME),
        (world.tokens[0], "Program A"),
        (world.tokens[1], "Program B"),
    ):
        hashes = [keccak(DOMAIN_TYPE), keccak(text=name), keccak(text="1")]
        fields = encode(["bytes32"] * 3 + ["uint256", "address"], [*hashes, CHAIN_ID, contract.address])
        assert world.chain.call(contract, "DOMAIN_SEPARATOR") == keccak(fields)


def _meant(world: World, kind: str, message: Message) -> tuple[Contract, str, Message]:
    """The contract and its domain's name; in the message a path's length becomes the path."""
    if kind != "Swap":
        return world.tokens[0], "Program A", message
    return world.exchange, EXCHANGE_NAME, {**message, "path": world.path(message["path"] - 1)}


def _contracts_digest(world: World, contract: Contract, kind: str, message: Message) -> bytes:
    """What the contract says it expected, when it refuses a stranger's signature."""
    strangers = sign(typed_data("", contract, kind, message), STRANGER_KEY)
    refusal = _refusal(world, contract, FUNCTIONS[kind], *message.values(), strangers)
    assert refusal[:36] == WRONG_SIGNATURE + bytes(12) + bytes.fromhex(HOLDER[2:])
    return refusal[36:]


def _other(value: Any) -> Any:
    """A value of the same type that was not signed."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return Account.create().address
    return value[::-1]


def _refusal(world: World, contract: Contract, function: str, *arguments: Any) -> bytes:
    with pytest.raises(RpcRefused) as refused:
        world.chain.call(contract, function, *arguments)
    assert refused.value.data is not None
    return refused.value.data


def _signed_by_cast(data: TypedData) -> bytes:
    """HOLDER's signature by cast, from the same JSON that a wallet would be given."""
    # As text, since numbers above 2^53 do not survive every reader of JSON.
    message = {name: str(value) if isinstance(value, int) else value for name, value in data["message"].items()}
    text = json.dumps({**data, "message": message}, default=lambda value: "0x" + bytes(value).hex())
    command = [str(native("cast")), "wallet", "sign", "--private-key", HOLDER_KEY, "--data", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CAST_SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stderr
    return bytes.fromhex(done.stdout.strip()[2:])


def _held(world: World, program: int, holder: str | bytes) -> int:
    return int.from_bytes(world.chain.call(world.tokens[program], "balanceOf", holder), "big")
