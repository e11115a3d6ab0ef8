"""Quotes as promises: firm, explained, and signed, so that a member can prove what was promised."""

import copy
import datetime
import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak

from bridge.chain import contracts
from bridge.posting.offers import Offer, Offers
from bridge.store.schema import quote

from .trio import LEAST, TRIO_POINTS, Traveller, Trio
from .world import Program, problem, unique, until

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2


@pytest.fixture(scope="module")
def who(trio: Trio) -> Traveller:
    return trio.traveller()


@pytest.fixture(scope="module")
def made(trio: Trio, who: Traveller) -> dict[str, Any]:
    """A quote from ALFA to CHAR directly, with a bonus and fees."""
    response = trio.quote(who, amount_in=2_001)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def recovered(typed_data: dict[str, Any], signature: str) -> str:
    """Whose signature it is, as anybody finds out from the JSON alone."""
    signable = encode_typed_data(full_message=json.loads(json.dumps(typed_data)))
    signer: str = Account.recover_message(signable, signature=bytes.fromhex(signature[2:]))
    return signer


def test_quote__with_rules__then_says_everything_and_adds_up(trio: Trio, made: dict[str, Any]) -> None:
    assert made["path"] == [trio.alfa.id, trio.charlie.id]
    assert (made["amount_in"], made["base_out"], made["amount_out"], made["remainder"]) == (2_000, 500, 600, 1)
    assert made["bonuses"] == [{"name": "big swap", "points": 100}]
    assert (made["fee_points"], made["fees_money"]) == (5, [{"micro": 500_000, "currency": "USD"}])
    assert (made["nearest_below"], made["nearest_above"]) == (2_000, 2_004)
    (hop,) = made["hops"]
    assert hop == {
        "from_program_id": trio.alfa.id,
        "to_program_id": trio.charlie.id,
        "terms_id": trio.direct["id"],
        "terms_version": trio.direct["version"],
        "ratio": {"from_units": 4, "to_units": 1},
        "amount_in": 2_000,
        "amount_out": 500,
        "settlement_micro": 5_000_000,
    }
    assert (made["settlement_micro"], made["currency"], made["tier"]) == (5_000_000, "USD", None)
    value = made["value"]
    assert (value["given_micro"], value["received_micro"], value["currency"]) == (20_050_000, 3_000_000, "USD")
    assert value["lost_bp"] == 8_503
    labels = [line["label"] for line in made["explanation"]]
    assert labels == [
        "burned", "base", "bonus", "fee", "fee", "remainder", "value given", "value received", "loss",
    ]  # fmt: skip
    by_label = {line["label"]: line for line in made["explanation"]}
    assert (by_label["burned"]["points"], by_label["burned"]["program"]) == (2_000, trio.alfa.id)
    assert (by_label["base"]["points"], by_label["base"]["program"]) == (500, trio.charlie.id)
    assert (by_label["value given"]["micro"], by_label["value given"]["currency"]) == (20_050_000, "USD")
    assert all(line["detail"] for line in made["explanation"])
    assert trio.alfa.get(f"/v1/quotes/{made['id']}").json() == made


def test_quote__along_a_path_that_crosses_currencies__then_names_the_rate_and_its_day(trio: Trio) -> None:
    who = trio.traveller()
    asked = {"member_id": who.alfa, "to_program_id": trio.bravo.id, "amount_in": 100}

    value = trio.alfa.post("/v1/quotes", asked).json()["value"]

    assert (value["given_micro"], value["currency"]) == (1_000_000, "USD")
    assert "1 EUR = " in value["note"] and "(ECB" in value["note"], value["note"]


def test_signed__then_the_account_that_the_contract_names_signed_exactly_this(
    trio: Trio, who: Traveller, made: dict[str, Any]
) -> None:
    signed, service = made["signed"], trio.world.service
    message = signed["typed_data"]["message"]
    exchange = trio.world.operator.get("/v1/status").json()["chain"]["exchange"]

    operator = contracts.decode_address(service.rpc.call(bytes.fromhex(exchange[2:]), contracts.encode_operator()))

    assert recovered(signed["typed_data"], signed["signature"]) == signed["signer"]
    assert signed["signer"].lower() == f"0x{operator.hex()}"
    signature = bytes.fromhex(signed["signature"][2:])
    assert len(signature) == 65 and int.from_bytes(signature[32:64]) <= HALF_ORDER
    domain = signed["typed_data"]["domain"]
    assert (domain["chainId"], domain["verifyingContract"].lower()) == (service.chain_id, exchange.lower())
    tokens = [trio.world.operator.get(f"/v1/programs/{each}").json()["token"] for each in made["path"]]
    assert [each.lower() for each in message["path"]] == [each.lower() for each in tokens]
    texts = {"member": who.alfa, "receiver": who.charlie, "fees": "USD:500000"}
    assert {name: message[name] for name in texts} == {
        name: f"0x{keccak(text.encode()).hex()}" for name, text in texts.items()
    }
    assert {name: message[name] for name in message if name not in ("path", "deadline", *texts)} == {
        "id": made["id"],
        "versions": [trio.direct["version"]],
        "amountIn": 2_000,
        "amountOut": 600,
        "bonus": 100,
        "feePoints": 5,
    }


def _final(program: Program, operation_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] = program.get(f"/v1/operations/{operation_id}").json()
    return found if found["state"] == "final" else None


def _another(value: Any) -> Any:
    """A value of the same shape that says something else."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [*value[:-1], _another(value[-1])]
    return value[:-1] + ("0" if value[-1] != "0" else "1")


@pytest.mark.parametrize(
    "field",
    [
        "id",
        "path",
        "versions",
        "member",
        "receiver",
        "amountIn",
        "amountOut",
        "bonus",
        "feePoints",
        "fees",
        "deadline",
    ],
)
def test_signed__with_any_field_changed__then_is_nobodys_promise(made: dict[str, Any], field: str) -> None:
    typed_data = copy.deepcopy(made["signed"]["typed_data"])
    message = typed_data["message"]
    assert set(message) == {
        "id", "path", "versions", "member", "receiver", "amountIn", "amountOut", "bonus", "feePoints", "fees",
        "deadline",
    }  # fmt: skip
    message[field] = _another(message[field])

    assert recovered(typed_data, made["signed"]["signature"]) != made["signed"]["signer"]


@pytest.mark.parametrize(("field", "value"), [("chainId", 1), ("verifyingContract", "0x" + "11" * 20), ("name", "X")])
def test_signed__for_another_exchange_or_chain__then_is_nobodys_promise(
    made: dict[str, Any], field: str, value: Any
) -> None:
    typed_data = copy.deepcopy(made["signed"]["typed_data"])
    typed_data["domain"][field] = value

    assert recovered(typed_data, made["signed"]["signature"]) != made["signed"]["signer"]


def test_signed__deadline__then_is_never_later_than_the_quote_can_be_accepted(made: dict[str, Any]) -> None:
    expires = datetime.datetime.fromisoformat(made["expires_at"])
    assert made["signed"]["typed_data"]["message"]["deadline"] == int(expires.timestamp())


def test_quote__whose_signature_was_lost__then_is_signed_the_same_again(trio: Trio, made: dict[str, Any]) -> None:
    """The process may end between keeping an offer and signing it; the same key signs the same."""
    service = trio.world.service
    unsigned = quote.update().where(quote.c.id == made["id"]).values(signature=None, signer=None)
    service.writer.run(lambda connection: connection.execute(unsigned))

    again = trio.alfa.get(f"/v1/quotes/{made['id']}").json()

    assert again["signed"] == made["signed"]


class _Rotated(Offers):
    """Another key is the operator's by now."""

    def offer(self, *given: Any) -> Offer:
        return replace(super().offer(*given), signer=b"\x99" * 20, key_index=0)


def test_quote__after_the_operator_was_exchanged__then_names_who_signed_it(trio: Trio, who: Traveller) -> None:
    service, made = trio.world.service, trio.quote(who, amount_in=100).json()
    rotated = _Rotated(service.offers._keystore, service.chain_id)
    with trio.world.other(offers=rotated) as caller:
        again = caller(trio.alfa.key).get(f"/v1/quotes/{made['id']}").json()

    assert again["signed"] == made["signed"]


def test_signed__without_fees_in_money__then_the_hash_is_that_of_nothing(trio: Trio, who: Traveller) -> None:
    path = [trio.alfa.id, trio.bravo.id, trio.charlie.id]
    message = trio.quote(who, amount_in=200, path=path).json()["signed"]["typed_data"]["message"]

    assert message["fees"] == f"0x{keccak(b'').hex()}"


def test_swap__of_a_quote__then_is_what_was_promised_though_terms_and_values_changed(trio: Trio) -> None:
    """Never priced again: what points are worth, and a ratio that is to come, change nothing of an accepted quote."""
    who = trio.traveller()
    made = trio.quote(who, amount_in=LEAST * 2).json()
    worth = {"money": "USD", "point_value_micro": 1}
    assert trio.charlie.send("PUT", f"/v1/programs/{trio.charlie.id}/value", worth).status_code == 200
    try:
        swap = trio.swap(made["id"]).json()
        assert trio.alfa.get(f"/v1/quotes/{made['id']}").json() == made | {"state": "used"}
        assert (swap["points"], swap["swap"]["points_out"]) == (made["amount_in"], made["base_out"])
    finally:
        worth["point_value_micro"] = 5_000
        trio.charlie.send("PUT", f"/v1/programs/{trio.charlie.id}/value", worth)


def test_swap__with_bonus_and_fee__then_they_are_operations_of_their_own_and_name_their_swap(trio: Trio) -> None:
    who = trio.traveller()
    made = trio.quote(who, amount_in=2_000).json()

    swap = trio.swap(made["id"], wait_s=30).json()

    detail = swap["swap"]
    assert (detail["path"], [hop["terms_id"] for hop in detail["hops"]]) == (made["path"], [trio.direct["id"]])
    bonus, fee = sorted(detail["extras"], key=lambda each: each["kind"])
    assert (bonus["kind"], bonus["program_id"], bonus["points"]) == ("bonus", trio.charlie.id, 100)
    assert (fee["kind"], fee["program_id"], fee["points"]) == ("fee", trio.alfa.id, 5)
    for program, extra in ((trio.charlie, bonus), (trio.alfa, fee)):
        found = until(partial(_final, program, extra["operation_id"]))
        assert found is not None
        assert (found["of_swap"], found["swap"], found["points"]) == (swap["id"], None, extra["points"])
    assert trio.charlie.balance(who.charlie)["posted"] == 600
    assert trio.alfa.balance(who.alfa)["posted"] == TRIO_POINTS - 2_005
    again = trio.alfa.get(f"/v1/swaps/{swap['id']}").json()
    assert {each["state"] for each in again["swap"]["extras"]} == {"final"}


def test_swap__asked_again__then_the_first_answer_extras_and_all(trio: Trio) -> None:
    who, key = trio.traveller(), unique("again")
    made = trio.quote(who, amount_in=2_000).json()
    first = trio.swap(made["id"], key=key)
    trio.world.final(first.json()["id"])
    bonus = next(each for each in first.json()["swap"]["extras"] if each["kind"] == "bonus")
    trio.world.final(bonus["operation_id"])

    again = trio.swap(made["id"], key=key)

    assert again.json() == first.json() and again.headers["idempotency-replayed"] == "true"


def test_swap__over_two_hops__then_is_one_operation(trio: Trio) -> None:
    who = trio.traveller()
    path = [trio.alfa.id, trio.bravo.id, trio.charlie.id]
    made = trio.quote(who, amount_in=1_007, path=path).json()
    assert (made["path"], made["amount_in"], made["amount_out"], made["remainder"]) == (path, 1_000, 1_500, 7)
    assert [(hop["amount_in"], hop["amount_out"]) for hop in made["hops"]] == [(1_000, 500), (500, 1_500)]
    assert made["signed"]["typed_data"]["message"]["versions"] == [trio.to_bravo["version"], trio.onward["version"]]
    assert recovered(**{k: made["signed"][k] for k in ("typed_data", "signature")}) == made["signed"]["signer"]

    swap = trio.swap(made["id"], wait_s=30).json()

    assert (swap["state"], swap["swap"]["path"]) == ("final", path)
    assert trio.charlie.balance(who.charlie)["posted"] == 1_500
    assert trio.bravo.balance(who.bravo)["posted"] == 0, "between nothing exists"


def test_quote__by_the_best_route__then_leads_along_it(trio: Trio) -> None:
    who = trio.traveller()

    points, hops = (trio.quote(who, amount_in=1_000, route=route).json() for route in ("points", "hops"))

    assert points["path"] == [trio.alfa.id, trio.bravo.id, trio.charlie.id] and points["amount_out"] == 1_500
    assert hops["path"] == [trio.alfa.id, trio.charlie.id] and hops["amount_out"] == 300


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        (("alfa",), "invalid-request"),
        (("alfa", "bravo"), "invalid-path"),
        (("bravo", "charlie"), "invalid-path"),
        (("alfa", "bravo", "alfa", "charlie"), "invalid-path"),
    ],
)
def test_quote__along_no_path_from_here_to_there__then_422(trio: Trio, who: Traveller, path: Any, slug: str) -> None:
    refusal = problem(trio.quote(who, amount_in=100, path=[getattr(trio, each).id for each in path]), 422, slug)

    assert refusal["field"] == "path"


def test_quote__with_a_path_and_a_route__then_422(trio: Trio, who: Traveller) -> None:
    response = trio.quote(who, amount_in=100, path=[trio.alfa.id, trio.charlie.id], route="points")

    assert "path" in problem(response, 422, "invalid-request")["detail"]
