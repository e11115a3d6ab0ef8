"""A member's points go out to a wallet whose key the service never sees, and come back, by every way there is."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from bridge.answers import HolderCall, Wallet
from bridge.chain import contracts
from bridge.chain.abi import encode_call
from bridge.chain.rpc import Rpc
from bridge.client import Client, ProblemAnswer
from tests.end_to_end.holder import Holder, contract_wallet
from tests.end_to_end.running import ServiceProcess, fresh_node, until, until_active

#: Between announcing a binding, or a program's admission, and its effect.
DELAY_S = 3
SITE = "points.example:8443"
SCOPES = ["earn", "redeem", "swap", "terms", "members", "read"]
EARNED = 1_000

_numbers = itertools.count(17)


@dataclass
class Stage:
    """Two programs with terms that are open to wallets, and a member with points."""

    service: ServiceProcess
    node: Rpc
    coffee: Client
    airline: Client
    coffee_id: str
    airline_id: str
    coffee_key: str
    member_number: str
    member_id: str

    def bind(self, address: str, sign: Callable[[str], str], member_id: str | None = None) -> Wallet:
        """Prove a wallet and bind it; returns when releases to it are taken."""
        owner = member_id or self.member_id
        asked = self.coffee.wallet_challenge(owner, address)
        bound = self.coffee.bind_wallet(owner, message=asked["message"], signature=sign(asked["message"]))
        assert bound["state"] == "binding"
        return self.active(owner, bound["id"])

    def active(self, member_id: str, wallet_id: str) -> Wallet:
        """The wallet, once the chain's clock is past its time."""

        def look() -> Wallet | None:
            found = self.coffee.wallet(member_id, wallet_id)
            if found["state"] != "active":
                return None
            self.node.request("evm_mine")  # a chain without transactions has no newer time
            return found

        return until(look, "the binding takes effect")

    def release(self, wallet: Wallet, points: int, member_id: str | None = None) -> None:
        """Points for the wallet, final."""
        owner = member_id or self.member_id
        posted = until(lambda: self._release(owner, wallet, points), "the release is taken")
        self.final(self.coffee, posted)

    def _release(self, owner: str, wallet: Wallet, points: int) -> str | None:
        try:
            posted = self.coffee.release(owner, wallet["id"], key=f"{wallet['id']}-{points}", points=points)
        except ProblemAnswer as refusal:
            if refusal.type != "binding-not-effective":  # the node's last block may be older than the binding's time
                raise
            return None
        return posted.operation["id"]

    def final(self, client: Client, operation_id: str) -> dict[str, Any]:
        """The operation, once it is final."""

        def look() -> dict[str, Any] | None:
            found = client.operation(operation_id)
            assert found["state"] != "failed", found
            return dict(found) if found["state"] == "final" else None

        return until(look, "the operation is final")

    def done(self, call: HolderCall, state: str = "final") -> dict[str, Any]:
        """The call, once it has come to this state."""

        def look() -> dict[str, Any] | None:
            found = self.coffee.show_holder_call(call["wallet_id"], call["id"])
            return dict(found) if found["state"] == state else None

        return until(look, f"the call is {state}")

    def points(self, wallet: Wallet) -> int:
        """What the wallet holds, final."""
        return self.coffee.wallet(wallet["member_id"], wallet["id"])["points"]

    def on_chain(self, client: Client, program_id: str, address: str) -> int:
        """What the token says that an address holds."""
        token = client.program(program_id)["token"]
        assert token is not None
        data = contracts.encode_balance_of(bytes.fromhex(address[2:]))
        return contracts.decode_uint(self.node.call(bytes.fromhex(token[2:]), data))

    def require_exact(self) -> None:
        """Ledger and chain agree about every account, the wallets included, about supplies and positions."""
        self.service.wait_until_quiet()
        with self.service.client() as operator:
            audit = operator.audit()
        assert audit["differences"] == 0, audit


@dataclass
class House:
    """What all tests here share: to admit programs and to agree on terms takes long."""

    service: ServiceProcess
    node: Rpc
    programs: dict[str, str]
    keys: dict[str, str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with fresh_node() as node:
        service = ServiceProcess(
            tmp_path_factory.mktemp("house") / "data",
            SARRAF_RPC_URL=node.url,
            SARRAF_FINALITY="depth:0",
            SARRAF_DELAY_S=str(DELAY_S),
            SARRAF_PUBLIC_URL=f"https://{SITE}",
        )
        try:
            service.start()
            yield _furnished(service, node)
        finally:
            service.stop()


def _furnished(service: ServiceProcess, node: Rpc) -> House:
    with service.client() as operator:
        programs = {
            symbol: operator.create_program(
                name=name,
                symbol=symbol,
                currency="points",
                earning_rate={"points": 1, "per_minor_units": 1},
                expiry_days=30,
                transferable=True,
            )["id"]
            for name, symbol in (("Coffee", "BEAN"), ("Airline", "MILE"))
        }
        for program_id in programs.values():
            until_active(operator, program_id)
        keys = {symbol: operator.create_key(program_id, SCOPES)["key"] for symbol, program_id in programs.items()}
    with service.client(keys["BEAN"]) as coffee, service.client(keys["MILE"]) as airline:
        _agree(coffee, airline, programs, node)
    return House(service, node, programs, keys)


@pytest.fixture
def stage(house: House) -> Iterator[Stage]:
    """A member whom no other test knows; clients of its own, as a service that is started again listens elsewhere."""
    number = f"member {next(_numbers)}"
    with house.service.client(house.keys["BEAN"]) as coffee, house.service.client(house.keys["MILE"]) as airline:
        member = coffee.enrol(number).member
        earned = coffee.earn(number, key=f"first of {number}", spend_minor=EARNED, wait_s=30).operation
        assert earned["state"] == "final"
        yield Stage(
            house.service,
            house.node,
            coffee,
            airline,
            house.programs["BEAN"],
            house.programs["MILE"],
            house.keys["BEAN"],
            number,
            member["id"],
        )


def _agree(coffee: Client, airline: Client, programs: dict[str, str], node: Rpc) -> None:
    proposed = coffee.propose_terms(
        from_program_id=programs["BEAN"],
        to_program_id=programs["MILE"],
        ratio={"from_units": 2, "to_units": 1},
        minimum=1,
        increment=1,
        settlement_price_micro=10_000,
        wallet_cap=500,
    )
    until(lambda: coffee.show_terms(proposed["id"])["state"] == "proposed", "the terms are proposed")
    airline.consent(proposed["id"])
    until(lambda: coffee.show_terms(proposed["id"])["state"] == "in_force", "the terms are in force")
    node.request("evm_mine")


def test_round__with_a_key_that_the_service_never_sees__then_ledger_and_chain_agree_to_the_point(stage: Stage) -> None:
    holder = Holder(stage.node)
    wallet = _prove(stage, holder)
    stage.release(wallet, 600)
    assert stage.points(wallet) == stage.on_chain(stage.coffee, stage.coffee_id, holder.address) == 600
    assert stage.coffee.balance(stage.member_id)["available"] == EARNED - 600
    stage.require_exact()
    _redeem_and_deposit(stage, holder, wallet)
    _swap(stage, holder, wallet)
    _cancel(stage, holder, wallet)
    stage.require_exact()

    # After kill -9 all is as it was.
    stage.service.kill()
    stage.service.start()
    with stage.service.client(stage.coffee_key) as again:
        assert again.wallet(stage.member_id, wallet["id"])["points"] == 359
        assert again.unbind_wallet(stage.member_id, wallet["id"])["state"] == "unbinding"
        until(lambda: again.wallet(stage.member_id, wallet["id"])["state"] == "unbound", "the binding ends")
    stage.require_exact()


def _prove(stage: Stage, holder: Holder) -> Wallet:
    """The wallet is bound once; nothing is released before the binding's time."""
    asked = stage.coffee.wallet_challenge(stage.member_id, holder.address)
    assert asked["domain"] == SITE and f"member {stage.member_number} at Coffee (BEAN)" in asked["statement"]
    signature = holder.sign_text(asked["message"])
    bound = stage.coffee.bind_wallet(stage.member_id, message=asked["message"], signature=signature)
    with pytest.raises(ProblemAnswer) as early:
        stage.coffee.release(stage.member_id, bound["id"], key="early", points=1)
    assert early.value.type == "binding-not-effective"
    with pytest.raises(ProblemAnswer) as replayed:
        stage.coffee.bind_wallet(stage.member_id, message=asked["message"], signature=signature)
    assert replayed.value.type == "challenge-used"
    return stage.active(stage.member_id, bound["id"])


def _redeem_and_deposit(stage: Stage, holder: Holder, wallet: Wallet) -> None:
    """By the wallet's own transaction, by a signature of 64 bytes, and by one of 65."""
    coffee = stage.coffee
    own = coffee.holder_call(wallet["id"], kind="redeem", points=50)
    holder.send(own["transaction"])
    operation = coffee.operation(stage.done(own)["operation_id"])
    assert (operation["kind"], operation["points"], operation["reason"]) == ("redemption", 50, None)
    assert operation["member_id"] == stage.member_id and operation["transaction"] is not None
    signed = coffee.holder_call(wallet["id"], kind="redeem", points=30)
    coffee.sign_holder_call(wallet["id"], signed["id"], holder.sign_compact(signed))
    stage.done(signed)
    assert stage.points(wallet) == 520
    deposit = coffee.holder_call(wallet["id"], kind="deposit", points=100)
    coffee.sign_holder_call(wallet["id"], deposit["id"], holder.sign(deposit))
    stage.done(deposit)
    assert coffee.balance(stage.member_id)["swappable"] == EARNED - 600 + 100


def _swap(stage: Stage, holder: Holder, wallet: Wallet) -> None:
    """By signature and by own transaction, into the same wallet, which is nobody's at the destination."""
    coffee = stage.coffee
    heard = len(list(stage.airline.operations(kind="swap")))
    relayed = coffee.holder_call(wallet["id"], kind="swap", points=41, path=[stage.airline_id])
    assert relayed["min_out"] == 20, "rounded down"
    coffee.sign_holder_call(wallet["id"], relayed["id"], holder.sign(relayed))
    swap = coffee.operation(stage.done(relayed)["operation_id"])["swap"]
    assert swap is not None
    assert (swap["points_out"], swap["quote_id"], swap["settlement_micro"]) == (20, None, 200_000)
    by_own_hand = coffee.holder_call(wallet["id"], kind="swap", points=20, path=[stage.airline_id])
    holder.send(by_own_hand["transaction"])
    until(lambda: stage.points(wallet) == 420 - 61, "the swap by transaction is booked")
    assert len(list(coffee.operations(member_id=stage.member_id, kind="swap"))) == 2
    assert len(list(stage.airline.operations(kind="swap"))) == heard + 2, "the destination hears of both"
    assert stage.on_chain(stage.airline, stage.airline_id, holder.address) == 30


def _cancel(stage: Stage, holder: Holder, wallet: Wallet) -> None:
    """A call that is withdrawn is void here; its number is void everywhere once the chain knows."""
    spare = stage.coffee.holder_call(wallet["id"], kind="redeem", points=1)
    given_away = holder.sign(spare)
    withdrawn = stage.coffee.cancel_holder_call(wallet["id"], spare["id"])
    holder.send(withdrawn["cancellation"])
    until(
        lambda: "chain" in (stage.coffee.show_holder_call(wallet["id"], spare["id"])["reason"] or ""),
        "the cancellation is final",
    )
    with pytest.raises(ProblemAnswer) as voided:
        stage.coffee.sign_holder_call(wallet["id"], spare["id"], given_away)
    assert voided.value.type == "holder-call-state"


def test_contract_wallet__that_accepts_and_refuses__then_is_asked_by_erc_1271(stage: Stage) -> None:
    address = contract_wallet(Holder(stage.node))
    coffee = stage.coffee
    asked = coffee.wallet_challenge(stage.member_id, address)
    with pytest.raises(ProblemAnswer) as refused:
        coffee.bind_wallet(stage.member_id, message=asked["message"], signature="0x02")
    assert refused.value.type == "wallet-refused"

    wallet = stage.bind(address, lambda _: "0x01")
    stage.release(wallet, 200)
    call = coffee.holder_call(wallet["id"], kind="redeem", points=150)
    with pytest.raises(ProblemAnswer) as wrong:
        coffee.sign_holder_call(wallet["id"], call["id"], "0x02")
    assert wrong.value.type == "wrong-signature"
    coffee.sign_holder_call(wallet["id"], call["id"], "0x01ff")
    stage.done(call)

    assert stage.points(wallet) == 50
    stage.require_exact()


def test_transfer__between_two_members_wallets__then_is_booked_as_the_chain_says(stage: Stage) -> None:
    first, second = Holder(stage.node), Holder(stage.node)
    other = stage.coffee.enrol("another member").member["id"]
    mine = stage.bind(first.address, first.sign_text)
    theirs = stage.bind(second.address, second.sign_text, other)
    stage.release(mine, 300)

    token = stage.coffee.program(stage.coffee_id)["token"]
    assert token is not None
    to = bytes.fromhex(second.address[2:])
    first.transact(bytes.fromhex(token[2:]), encode_call("transfer(address,uint256)", to, 120))
    first.transact(bytes.fromhex(token[2:]), encode_call("redeem(uint256,uint256)", 7, 2**200))

    until(lambda: stage.points(mine) == 173, "both are booked")
    assert stage.points(theirs) == 120
    (transfer,) = stage.coffee.operations(member_id=stage.member_id, kind="transfer")
    (redemption,) = stage.coffee.operations(member_id=stage.member_id, kind="redemption")
    assert transfer["points"] == 120 and redemption["reason"] is not None, "nobody gave out that order"
    stage.require_exact()


def test_command_line__with_an_encrypted_key__then_signs_here_and_the_service_relays(
    stage: Stage, tmp_path: Path
) -> None:
    account = Account.create()
    password, keystore, plain = tmp_path / "password", tmp_path / "key.json", tmp_path / "key.hex"
    password.write_text("a wallet's own password\n")
    keystore.write_text(json.dumps(Account.encrypt(account.key, "a wallet's own password", iterations=2)))
    plain.write_text(f"0x{bytes(account.key).hex()}\n")
    api_key = tmp_path / "api.key"
    api_key.write_text(stage.coffee_key)

    def sarraf(*words: str) -> Any:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "bridge.cli.main",
                "--url",
                stage.service.url,
                "--key-file",
                str(api_key),
                *words,
                "--json",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    sealed = ("--key-file", str(keystore), "--password-file", str(password))
    bound = sarraf("wallet", "bind", stage.member_number, *sealed)
    assert bound["address"] == account.address
    wallet = stage.active(stage.member_id, bound["id"])
    stage.release(wallet, 100)
    assert sarraf("wallet", "list", stage.member_number)[0]["points"] == 100
    redeemed = sarraf("wallet", "redeem", wallet["id"], "10", *sealed)
    stage.done(redeemed)
    stage.done(sarraf("wallet", "deposit", wallet["id"], "20", "--key-file", str(plain)))
    stage.done(sarraf("wallet", "swap", wallet["id"], "MILE", "30", "--min-out", "15", "--key-file", str(plain)))
    unsigned = sarraf("wallet", "redeem", wallet["id"], "1")
    assert unsigned["state"] == "open" and unsigned["typed_data"]["primaryType"] == "Redeem"
    assert sarraf("wallet", "cancel", wallet["id"], unsigned["id"])["state"] == "cancelled"

    assert stage.points(wallet) == 40
    assert sarraf("wallet", "unbind", stage.member_number, wallet["id"])["state"] == "unbinding"
    stage.require_exact()
