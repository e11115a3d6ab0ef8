"""The committed bytecode on a real chain, read back as an outsider would: by plain bytes and plain keccak.

Nothing here uses the project's own packing or decoding, so that a mistake shared by both cannot hide.
"""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from eth_utils.crypto import keccak
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import ContractCustomError
from web3.types import TxReceipt

from .tools import ARTIFACTS

EARN, REDEMPTION, SWAP, RELEASE, BIND = 1, 17, 33, 49, 50
DAY_S = 86_400
VALID_S = 600
PRICE = 4_000  # micro-units a destination point
CAPACITY = 2**48 - 1
LIMIT = (CAPACITY, 0)  # points, points a second
CAP = 1_000_000
CREDIT = 1_000_000_000  # micro-units
TRANSFER = keccak(text="Transfer(address,address,uint256)")


@dataclass(frozen=True)
class World:
    """One exchange and three admitted programs with terms A -> B (3 to 2) and B -> C (1 to 5)."""

    web3: Web3
    exchange: Contract
    a: Contract
    b: Contract
    c: Contract
    admin: str
    issuer: str
    operator: str
    holder: str

    def post(self, token: Contract, words: list[bytes]) -> TxReceipt:
        sequence = token.functions.sequence().call() + 1
        return self.send(token.functions.post(sequence, self.valid_until(), words), self.issuer)

    def settle(self, path: list[Contract], words: list[bytes]) -> TxReceipt:
        addresses = [token.address for token in path]
        sequence = self.exchange.functions.sequenceOf(path_id(path)).call() + 1
        versions = [1] * (len(path) - 1)
        call = self.exchange.functions.settle(addresses, versions, sequence, self.valid_until(), words)
        return self.send(call, self.operator)

    def valid_until(self) -> int:
        return int(self.web3.eth.get_block("latest")["timestamp"]) + VALID_S

    def send(self, call: Any, sender: str) -> TxReceipt:
        receipt = self.web3.eth.wait_for_transaction_receipt(call.transact({"from": sender}))
        assert receipt["status"] == 1
        return receipt


@pytest.fixture
def world(web3: Web3) -> World:
    admin, issuer, operator, standby, guardian, holder = list(web3.eth.accounts)[:6]
    # No delay, a notice as long as quote and batch together, and caps by the day.
    exchange = deploy(web3, "PointsExchange", admin, operator, standby, (0, 2 * DAY_S, DAY_S, DAY_S, DAY_S))
    keys = (issuer, standby, guardian, admin, exchange.address)
    a, b, c = [
        deploy(web3, "PointsToken", (f"Program {symbol}", symbol, *keys, False, 0, LIMIT, LIMIT, LIMIT))
        for symbol in "ABC"
    ]
    world = World(web3, exchange, a, b, c, admin, issuer, operator, holder)
    for token in (a, b, c):
        admission = exchange.encode_abi("admit", [token.address, CREDIT])
        world.send(exchange.functions.announce(bytes.fromhex(admission[2:])), admin)
        world.send(exchange.functions.admit(token.address, CREDIT), admin)
    for source, destination, from_units, to_units in ((a, b, 3, 2), (b, c, 1, 5)):
        direction = (source.address, destination.address)
        world.send(exchange.functions.propose(*direction, (from_units, to_units, PRICE, CAP, CAP)), admin)
        world.send(exchange.functions.consent(*direction, 1), admin)
    return world


def deploy(web3: Web3, name: str, *arguments: Any) -> Contract:
    artifact = json.loads((ARTIFACTS / f"{name}.json").read_text())
    factory = web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    sent = factory.constructor(*arguments).transact({"from": web3.eth.accounts[0]})
    address = web3.eth.wait_for_transaction_receipt(sent)["contractAddress"]
    assert address is not None
    return factory(address)


def reference(number: int) -> bytes:
    return keccak(number.to_bytes(32, "big"))[:20]


def word(number: int, kind: int, amount: int) -> bytes:
    """A word for the account of `reference(number)`, with a tag of full length as real ones have."""
    return reference(number) + bytes([kind]) + amount.to_bytes(6, "big") + b"\xff\xee\xdd\xcc\xbb"


def account(token: Contract, number: int) -> bytes:
    return keccak(bytes.fromhex(token.address[2:]) + reference(number))[12:]


def balance(token: Contract, number: int) -> int:
    return int(token.functions.balanceOf(Web3.to_checksum_address(account(token, number))).call())


def path_id(path: list[Contract]) -> bytes:
    return keccak(b"".join(bytes(12) + bytes.fromhex(token.address[2:]) for token in path))


def transfers(receipt: TxReceipt, token: Contract) -> list[tuple[bytes, bytes, int]]:
    """(from, to, amount) of every Transfer that `token` emitted, in order."""
    return [
        (bytes(log["topics"][1])[12:], bytes(log["topics"][2])[12:], int.from_bytes(log["data"], "big"))
        for log in receipt["logs"]
        if log["address"] == token.address and bytes(log["topics"][0]) == TRANSFER
    ]


def events(contract: Contract, name: str, receipt: TxReceipt) -> list[dict[str, Any]]:
    """The arguments of every event `name` that `contract` emitted, in order."""
    event = contract.events[name]()
    return [
        dict(event.process_log(log)["args"])
        for log in receipt["logs"]
        if log["address"] == contract.address and bytes(log["topics"][0]) == bytes.fromhex(event.topic[2:])
    ]


def test_post__credits_and_debits__moves_balances_and_says_so_in_logs(world: World) -> None:
    most = CAPACITY - 500
    words = [word(1, EARN, 500), word(2, EARN, most), word(1, REDEMPTION, 120)]

    receipt = world.post(world.a, words)

    assert balance(world.a, 1) == 380
    assert balance(world.a, 2) == most
    assert world.a.functions.totalSupply().call() == 380 + most
    assert transfers(receipt, world.a) == [
        (bytes(20), account(world.a, 1), 500),
        (bytes(20), account(world.a, 2), most),
        (account(world.a, 1), bytes(20), 120),
    ]
    posted = {"sequence": 1, "digest": keccak(b"".join(words)), "credited": CAPACITY, "debited": 120}
    assert events(world.a, "Posted", receipt) == [posted]


def test_account_of__any_reference__is_the_hash_of_token_and_reference(world: World) -> None:
    for number in range(5):
        derived = world.a.functions.accountOf(reference(number)).call()
        assert bytes.fromhex(derived[2:]) == account(world.a, number)


def test_post__short_debit__is_skipped_and_reported_and_the_rest_is_posted(world: World) -> None:
    words = [word(1, EARN, 50), word(2, EARN, 70), word(1, REDEMPTION, 51), word(2, REDEMPTION, 70)]

    receipt = world.post(world.a, words)

    assert (balance(world.a, 1), balance(world.a, 2)) == (50, 0)
    [skipped] = events(world.a, "Skipped", receipt)
    assert bytes.fromhex(skipped.pop("account")[2:]) == account(world.a, 1)
    assert skipped == {"sequence": 1, "index": 2, "amount": 51, "balance": 50}
    assert events(world.a, "Posted", receipt)[0]["debited"] == 70


def test_post__same_batch_again__reverts_with_the_numbers(world: World) -> None:
    world.post(world.a, [word(1, EARN, 1)])
    again = world.a.functions.post(1, world.valid_until(), [word(1, EARN, 1)])

    with pytest.raises(ContractCustomError) as refusal:
        again.call({"from": world.issuer})

    selector = keccak(text="WrongSequence(uint64,uint64)")[:4]
    assert refusal.value.data == "0x" + (selector + (2).to_bytes(32, "big") + (1).to_bytes(32, "big")).hex()


def test_settle__two_hops__burns_mints_floors_and_moves_positions(world: World) -> None:
    world.post(world.a, [word(1, EARN, 100), word(2, EARN, 10)])
    legs = [word(1, SWAP, 100), word(2, SWAP, 11), word(2, SWAP, 10)]

    receipt = world.settle([world.a, world.b, world.c], legs)

    path = path_id([world.a, world.b, world.c])
    assert (balance(world.a, 1), balance(world.a, 2)) == (0, 0)
    assert (balance(world.c, 1), balance(world.c, 2)) == (66 * 5, 6 * 5)
    assert transfers(receipt, world.b) == []
    assert events(world.exchange, "LegSkipped", receipt) == [{"path": path, "sequence": 1, "index": 1}]
    settled = {"path": path, "sequence": 1, "digest": keccak(b"".join(legs)), "burned": 110, "minted": 360}
    assert events(world.exchange, "Settled", receipt) == [settled]
    first_hop, second_hop = 72 * PRICE, 360 * PRICE
    moved = [-first_hop, first_hop - second_hop, second_hop]
    assert events(world.exchange, "PositionMoved", receipt) == [
        {"program": token.address, "delta": delta, "position": delta}
        for token, delta in zip((world.a, world.b, world.c), moved, strict=True)
    ]


def test_post__more_than_the_bucket_holds__reverts_with_the_numbers(world: World) -> None:
    world.post(world.a, [word(1, EARN, CAPACITY - 10)])
    over = world.a.functions.post(2, world.valid_until(), [word(2, EARN, 11)])

    with pytest.raises(ContractCustomError) as refusal:
        over.call({"from": world.issuer})

    selector = keccak(text="OverLimit(uint8,uint256,uint256)")[:4]
    assert refusal.value.data == "0x" + (selector + b"".join(n.to_bytes(32, "big") for n in (0, 11, 10))).hex()


def test_wallet__bound_released_redeemed_deposited_swapped__tells_each_by_its_event(world: World) -> None:
    member, wallet = reference(1), bytes.fromhex(world.holder[2:])
    binding = [word(1, BIND, 0), bytes(12) + wallet]

    receipt = world.post(world.a, [word(1, EARN, 1_000), *binding, word(1, RELEASE, 900)])

    now = world.web3.eth.get_block(receipt["blockNumber"])["timestamp"]
    assert transfers(receipt, world.a)[1:] == [(account(world.a, 1), wallet, 900)]
    assert events(world.a, "Bound", receipt) == [{"reference_": member, "wallet": world.holder, "effectiveAt": now}]
    assert events(world.a, "Released", receipt) == [{"reference_": member, "wallet": world.holder, "amount": 900}]

    receipt = world.send(world.a.functions.redeem(200, 7), world.holder)
    assert transfers(receipt, world.a) == [(wallet, bytes(20), 200)]
    assert events(world.a, "Redeemed", receipt) == [{"holder": world.holder, "order": 7, "amount": 200}]

    receipt = world.send(world.a.functions.deposit(member, 100), world.holder)
    assert transfers(receipt, world.a) == [(wallet, account(world.a, 1), 100)]
    assert events(world.a, "Deposited", receipt) == [{"reference_": member, "wallet": world.holder, "amount": 100}]

    path = [world.a.address, world.b.address]
    receipt = world.send(world.exchange.functions.swap(path, 301, 200, world.valid_until()), world.holder)
    assert transfers(receipt, world.a) == [(wallet, bytes(20), 301)]
    assert transfers(receipt, world.b) == [(bytes(20), wallet, 200)]
    [swapped] = events(world.exchange, "Swapped", receipt)
    assert swapped == {
        "holder": world.holder,
        "from": world.a.address,
        "to": world.b.address,
        "amountIn": 301,
        "amountOut": 200,
    }

    assert world.a.functions.balanceOf(world.holder).call() == 900 - 200 - 100 - 301
    assert world.a.functions.totalSupply().call() == 1_000 - 200 - 301
    assert world.b.functions.totalSupply().call() == 200


def test_settle__above_the_credit_limit__reverts_with_the_numbers(world: World) -> None:
    amount = CREDIT // PRICE // 2 * 3 + 3  # whose points at B cost one price more than A may owe
    world.post(world.a, [word(1, EARN, amount)])
    call = world.exchange.functions.settle(
        [world.a.address, world.b.address], [1], 1, world.valid_until(), [word(1, SWAP, amount)]
    )

    with pytest.raises(ContractCustomError) as refusal:
        call.call({"from": world.operator})

    owed = amount // 3 * 2 * PRICE
    selector = keccak(text="OverCredit(address,int256,uint256)")[:4]
    numbers = (-owed).to_bytes(32, "big", signed=True) + CREDIT.to_bytes(32, "big")
    assert refusal.value.data == "0x" + (selector + bytes(12) + bytes.fromhex(world.a.address[2:]) + numbers).hex()
