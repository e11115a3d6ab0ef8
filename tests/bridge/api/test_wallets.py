"""Wallets: proved by a signed message, bound on the chain, unbound again; and everything that is refused on the way."""

import dataclasses
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from bridge.chain import signin
from bridge.chain.errors import RpcRefused
from bridge.store.challenges import CHALLENGE_LIFE_MS, CHALLENGES_OPEN_MAX

from .purses import bind, challenge, hexadecimal, purse, signed
from .world import World, problem, until

HOLDER = Account.from_key(b"\x0a" * 32)


def path(member: dict[str, Any]) -> str:
    return f"/v1/members/{member['id']}/wallets"


def test_challenge__then_is_a_message_that_names_site_chain_member_and_account(world: World) -> None:
    member = world.coffee.member()

    asked = challenge(world.coffee, member["id"], HOLDER.address.lower())

    said = signin.parse(asked["message"])
    assert asked["address"] == HOLDER.address and said.address == bytes.fromhex(HOLDER.address[2:])
    assert (said.domain, said.version, said.chain_id) == ("localhost:8080", "1", world.service.chain_id)
    assert said.uri == f"http://localhost:8080{path(member)}"
    assert member["member_number"] in said.statement and member["reference"] in said.statement
    assert "BEAN" in said.statement
    assert said.nonce == asked["nonce"] and said.expires_at == asked["expires_at"]


def test_bind__with_either_form_of_signature__then_the_wallet_becomes_active(world: World) -> None:
    for form in (lambda signature: signature, signin.compact):
        member, key = world.coffee.member(), Account.create()
        text = challenge(world.coffee, member["id"], key.address)["message"]
        signature = bytes(key.sign_message(encode_defunct(text=text)).signature)

        response = world.coffee.post(path(member), {"message": text, "signature": hexadecimal(form(signature))})

        assert response.status_code == 202, response.text
        bound = response.json()
        assert (bound["address"], bound["reference"]) == (key.address, member["reference"])
        operation = world.final(bound["bind_operation_id"])
        assert (operation["kind"], operation["points"], operation["member_id"]) == ("bind", 0, member["id"])
        shown = world.coffee.get(f"{path(member)}/{bound['id']}").json()
        assert shown["state"] == "active" and shown["effective_at"] is not None and shown["points"] == 0
        assert [one["id"] for one in world.coffee.get(path(member)).json()["items"]] == [bound["id"]]


def test_bind__with_anothers_signature__then_422_and_the_challenge_can_still_be_answered(world: World) -> None:
    member = world.coffee.member()
    text = challenge(world.coffee, member["id"], HOLDER.address)["message"]

    for body in (signed(Account.create(), text), {"message": text, "signature": "0x" + "00" * 65}):
        assert problem(world.coffee.post(path(member), body), 422, "wrong-signature")["field"] == "signature"

    assert world.coffee.get(path(member)).json()["items"] == []
    assert world.coffee.post(path(member), signed(HOLDER, text)).status_code == 202


@pytest.mark.parametrize(
    ("changes", "slug", "field"),
    [
        ({"domain": "evil.example"}, "wrong-domain", "message.domain"),
        ({"chain_id": 1}, "foreign-chain", "message.chain_id"),
        ({"statement": "Bind this wallet to nobody."}, "sign-in-invalid", "message.statement"),
        ({"uri": "https://evil.example/"}, "sign-in-invalid", "message.uri"),
        ({"version": "2"}, "sign-in-invalid", "message.version"),
        ({"address": bytes(20)}, "sign-in-invalid", "message.address"),
        ({"nonce": "0123456789abcdef"}, "challenge-unknown", "message.nonce"),
        ({"not_before": "2999-01-01T00:00:00Z"}, "sign-in-invalid", "message.not_before"),
    ],
)
def test_bind__with_a_message_that_says_something_else__then_422(
    world: World, changes: dict[str, Any], slug: str, field: str
) -> None:
    member, key = world.coffee.member(), Account.create()
    said = signin.parse(challenge(world.coffee, member["id"], key.address)["message"])
    text = dataclasses.replace(said, **changes).text()

    assert problem(world.coffee.post(path(member), signed(key, text)), 422, slug)["field"] == field


def test_bind__with_a_message_whose_own_time_is_over__then_409(world: World) -> None:
    member, key = world.coffee.member(), Account.create()
    said = signin.parse(challenge(world.coffee, member["id"], key.address)["message"])
    text = dataclasses.replace(said, expires_at="2001-01-01T00:00:00Z").text()

    refusal = problem(world.coffee.post(path(member), signed(key, text)), 409, "challenge-expired")
    assert refusal["field"] == "message.expires_at"


def test_bind__with_a_text_that_is_no_message__then_422(world: World) -> None:
    refusal = problem(world.coffee.post(path(world.coffee.member()), signed(HOLDER, "hello")), 422, "sign-in-invalid")
    assert refusal["field"] == "message"


def test_bind__a_second_time_with_the_same_message__then_409(world: World) -> None:
    member, key = world.coffee.member(), Account.create()
    body = signed(key, challenge(world.coffee, member["id"], key.address)["message"])
    assert world.coffee.post(path(member), body).status_code == 202

    problem(world.coffee.post(path(member), body), 409, "challenge-used")

    assert len(world.coffee.get(path(member)).json()["items"]) == 1


def test_bind__for_another_member__then_422(world: World) -> None:
    first, second = world.coffee.member(), world.coffee.member()
    body = signed(HOLDER, challenge(world.coffee, first["id"], HOLDER.address)["message"])

    problem(world.coffee.post(path(second), body), 422, "challenge-unknown")


def test_bind__after_the_challenges_time__then_409(world: World) -> None:
    member = world.coffee.member()
    body = signed(HOLDER, challenge(world.coffee, member["id"], HOLDER.address)["message"])

    with world.later(CHALLENGE_LIFE_MS / 1000 + 1) as caller:
        problem(caller(world.coffee.key).post(path(member), body), 409, "challenge-expired")


def test_bind__when_the_account_has_a_wallet__then_409_until_that_is_unbound(world: World) -> None:
    member = world.coffee.member()
    first = bind(world.coffee, member["id"])
    key = Account.create()
    body = signed(key, challenge(world.coffee, member["id"], key.address)["message"])
    problem(world.coffee.post(path(member), body), 409, "account-bound")

    ended = world.coffee.delete(f"{path(member)}/{first.wallet_id}")
    assert (ended.status_code, ended.json()["state"]) == (202, "unbinding")
    again = world.coffee.delete(f"{path(member)}/{first.wallet_id}").json()
    assert again["unbind_operation_id"] == ended.json()["unbind_operation_id"], "ended once"
    assert world.coffee.post(path(member), body).status_code == 202, "a refused request used up nothing"

    until(lambda: first.show()["state"] == "unbound")
    assert world.final(ended.json()["unbind_operation_id"])["kind"] == "unbind"
    states = {one["address"]: one["state"] for one in world.coffee.get(path(member)).json()["items"]}
    assert states[first.key.address] == "unbound" and states[key.address] in ("binding", "active")
    until(lambda: world.coffee.get(path(member)).json()["items"][0]["state"] == "active")


def test_bind__of_another_members_wallet__then_409(world: World) -> None:
    taken = bind(world.coffee, world.coffee.member()["id"])
    member = world.coffee.member()
    body = signed(taken.key, challenge(world.coffee, member["id"], taken.key.address)["message"])

    problem(world.coffee.post(path(member), body), 409, "wallet-taken")
    elsewhere = world.books.member()
    assert bind(world.books, elsewhere["id"], taken.key).wallet_id, "one key may be a wallet at several programs"


def test_challenge__for_an_account_that_is_not_the_members__then_404(world: World) -> None:
    mine, theirs = world.coffee.member(), world.coffee.member()
    asked = {"address": HOLDER.address, "reference": theirs["reference"]}

    answer = world.coffee.post(f"/v1/members/{mine['id']}/wallet-challenges", asked)

    assert problem(answer, 404, "unknown-account")["field"] == "reference"
    named = challenge(world.coffee, mine["id"], HOLDER.address, reference=mine["reference"])
    assert mine["reference"] in named["statement"]


def test_challenges__more_than_may_wait__then_409(world: World) -> None:
    member = world.coffee.member()
    for _ in range(CHALLENGES_OPEN_MAX):
        challenge(world.coffee, member["id"], HOLDER.address)

    answer = world.coffee.post(f"/v1/members/{member['id']}/wallet-challenges", {"address": HOLDER.address})

    assert problem(answer, 409, "too-many-challenges")["limit"] == CHALLENGES_OPEN_MAX


@pytest.mark.parametrize("address", ["", "0x", "0x" + "g" * 40, "0x" + "a" * 39, "a" * 40, "0x" + "a" * 41])
def test_challenge__for_no_address__then_422(world: World, address: str) -> None:
    answer = world.coffee.post(f"/v1/members/{world.coffee.member()['id']}/wallet-challenges", {"address": address})

    assert problem(answer, 422, "invalid-request")["field"] == "address"


class _ContractWallet:
    """A node at which there is a contract wherever one looks, which answers one thing to everything."""

    def __init__(self, answer: bytes | RpcRefused) -> None:
        self.answer = answer

    def code(self, _address: bytes) -> bytes:
        return b"\x60"

    def call(self, _to: bytes, _data: bytes) -> bytes:
        if isinstance(self.answer, RpcRefused):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [b"", bytes(32), signin.ACCEPTED[:31], signin.ACCEPTED + b"\0", RpcRefused(3, "execution reverted", b"")],
    ids=["nothing", "no", "too short", "too long", "reverts"],
)
def test_bind__of_a_contract_wallet_that_says_no__then_422(world: World, answer: bytes | RpcRefused) -> None:
    member = world.coffee.member()
    text = challenge(world.coffee, member["id"], f"0x{'cd' * 20}")["message"]

    with world.other(rpc=_ContractWallet(answer)) as caller:
        body = {"message": text, "signature": "0x1234"}
        problem(caller(world.coffee.key).post(path(member), body), 422, "wallet-refused")


def test_bind__of_a_contract_wallet_that_says_yes__then_202(world: World) -> None:
    member = world.coffee.member()
    text = challenge(world.coffee, member["id"], f"0x{'ce' * 20}")["message"]

    with world.other(rpc=_ContractWallet(signin.ACCEPTED)) as caller:
        answer = caller(world.coffee.key).post(path(member), {"message": text, "signature": "0x1234"})

    assert answer.status_code == 202


def test_wallet__of_another_member__then_404(world: World) -> None:
    mine = purse(world.coffee, world.coffee.member()["id"])
    other = world.coffee.member()

    problem(world.coffee.get(f"{path(other)}/{mine.wallet_id}"), 404, "unknown-wallet")
    problem(world.coffee.delete(f"{path(other)}/{mine.wallet_id}"), 404, "unknown-wallet")
