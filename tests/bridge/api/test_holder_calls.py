"""Holders' calls: signed by a key that the service does not have, checked by the contract, relayed and booked."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from bridge.chain import contracts
from bridge.chain.signin import compact
from bridge.posting.gatekeeper import Gatekeeper
from bridge.store.schema import holder_call
from exchange.cycle import Cycle

from .purses import Purse, hexadecimal, purse
from .world import World, problem, until


@pytest.fixture(scope="module")
def ours(world: World) -> Purse:
    """A wallet with points at the coffee program, of which tests take a few."""
    return purse(world.coffee, world.coffee.member(points=500)["id"], 400)


@pytest.fixture(scope="module")
def open_terms(world: World) -> dict[str, Any]:
    """Terms from books to the airline that let wallets swap 50 points in a period: 3 to 2."""
    agreed = world.agree(
        world.books, world.airline, ratio={"from_units": 3, "to_units": 2}, minimum=1, increment=1, wallet_cap=50
    )
    return world.terms_in(agreed["id"], "in_force")


def test_domain__then_is_what_the_contracts_say(world: World, ours: Purse, open_terms: dict[str, Any]) -> None:
    assert open_terms
    readers = purse(world.books, world.books.member(points=10)["id"], 10)
    calls = [ours.call("redeem", 1), readers.call("swap", 3, path=[world.airline.id])]
    for call in calls:
        signable = encode_typed_data(full_message=call["typed_data"])
        to = bytes.fromhex(call["transaction"]["to"][2:])
        assert world.service.rpc.call(to, contracts.encode_domain_separator()) == signable.header


@pytest.mark.parametrize("form", ["whole", "compact"])
def test_redeem__signed_by_the_wallet__then_is_booked_once_for_the_member(world: World, ours: Purse, form: str) -> None:
    before = ours.show()["points"]
    call = ours.call("redeem", 7)
    assert call["state"] == "open" and call["typed_data"]["message"]["order"] == call["number"]
    signature = ours.sign(call)
    if form == "compact":
        signature = hexadecimal(compact(bytes.fromhex(signature[2:])))

    sent = ours.hand_in(call, signature)

    assert (sent.status_code, sent.json()["state"]) == (202, "relayed")
    operation = world.coffee.get(f"/v1/operations/{ours.done(call)['operation_id']}").json()
    assert (operation["kind"], operation["points"], operation["state"]) == ("redemption", 7, "final")
    assert (operation["member_id"], operation["reason"]) == (ours.member_id, None)
    assert operation["idempotency_key"] is None and operation["batch_id"] is None
    assert operation["transaction"] is not None and operation["block"] is not None
    assert [step["state"] for step in operation["steps"]] == ["accepted", "confirmed", "final"]
    assert ours.show()["points"] == before - 7


def test_numbers__of_one_wallet__then_count_up(ours: Purse) -> None:
    first, second = ours.call("redeem", 1), ours.call("deposit", 1)

    assert second["number"] == first["number"] + 1


def test_signature__of_another_key__then_422_and_the_call_stays_open(ours: Purse) -> None:
    call = ours.call("redeem", 1)
    stranger = Account.create().sign_message(encode_typed_data(full_message=call["typed_data"])).signature

    for wrong in (hexadecimal(stranger), "0x00", ours.sign(ours.call("redeem", 2))):
        assert problem(ours.hand_in(call, wrong), 422, "wrong-signature")["field"] == "signature"

    assert ours.hand_in(call).status_code == 202
    ours.done(call)


def test_signature__for_another_chain_or_contract__then_422(ours: Purse) -> None:
    call = ours.call("redeem", 1)
    for changes in ({"chainId": 1}, {"verifyingContract": f"0x{'ab' * 20}"}, {"name": "Tea"}):
        data = call["typed_data"] | {"domain": call["typed_data"]["domain"] | changes}
        problem(ours.hand_in(call, ours.sign({"typed_data": data})), 422, "wrong-signature")


def test_signature__a_second_time__then_409(ours: Purse) -> None:
    call = ours.call("redeem", 1)
    assert ours.hand_in(call).status_code == 202
    problem(ours.hand_in(call), 409, "holder-call-state")
    ours.done(call)
    problem(ours.hand_in(call), 409, "holder-call-state")


def test_order__that_the_chain_has_seen__then_the_contract_refuses_it(world: World, ours: Purse) -> None:
    call = ours.call("redeem", 1)
    assert ours.hand_in(call).status_code == 202
    ours.done(call)
    # A ledger that lost its memory of the call would still not get it past the contract.
    world.service.writer.run(
        lambda connection: connection.execute(
            holder_call.update().where(holder_call.c.id == call["id"]).values(state="open")
        )
    )

    assert "NonceSpent" in problem(ours.hand_in(call), 409, "holder-call-refused")["detail"]


def test_signature__after_the_deadline__then_409(world: World, ours: Purse) -> None:
    call = ours.call("redeem", 1, expires_in_s=60)

    with world.later(62) as caller:
        late = caller(world.coffee.key)
        assert late.get(f"{ours.path}/{call['id']}").json()["state"] == "expired"
        answer = late.post(f"{ours.path}/{call['id']}/signature", {"signature": ours.sign(call)})
        problem(answer, 409, "holder-call-expired")


def test_call__for_more_than_the_wallet_holds__then_409(world: World, ours: Purse) -> None:
    empty = purse(world.coffee, world.coffee.member()["id"])
    asked = {"kind": "redeem", "points": 1}
    refusal = problem(world.coffee.post(empty.path, asked), 409, "insufficient-points")
    assert (refusal["limit"], refusal.get("nearest")) == (0, None)

    held = ours.show()["points"]
    refusal = problem(world.coffee.post(ours.path, asked | {"points": held + 1}), 409, "insufficient-points")
    assert refusal["nearest"] == held


def test_call__that_is_withdrawn__then_can_no_longer_be_signed(ours: Purse, world: World) -> None:
    call = ours.call("redeem", 1)

    for _ in range(2):
        withdrawn = world.coffee.delete(f"{ours.path}/{call['id']}")
        assert (withdrawn.status_code, withdrawn.json()["state"]) == (200, "cancelled")

    problem(ours.hand_in(call), 409, "holder-call-state")
    cancellation = bytes.fromhex(withdrawn.json()["cancellation"]["data"][2:])
    assert cancellation == contracts.encode_cancel(call["number"])


def test_call__that_was_relayed__then_cannot_be_withdrawn(ours: Purse, world: World) -> None:
    call = ours.call("redeem", 1)
    ours.hand_in(call)

    problem(world.coffee.delete(f"{ours.path}/{call['id']}"), 409, "holder-call-state")
    ours.done(call)


def test_own_transaction__then_says_the_same_as_what_is_signed(ours: Purse) -> None:
    call = ours.call("redeem", 3)

    assert bytes.fromhex(call["transaction"]["data"][2:]) == contracts.encode_redeem(3, call["number"])
    assert call["transaction"]["to"] == call["typed_data"]["domain"]["verifyingContract"]


def test_deposit__then_the_points_are_the_members_again(world: World, ours: Purse) -> None:
    before = world.coffee.balance(ours.member_id)
    call = ours.call("deposit", 9)

    ours.hand_in(call)

    operation = world.coffee.get(f"/v1/operations/{ours.done(call)['operation_id']}").json()
    assert (operation["kind"], operation["member_id"]) == ("deposit", ours.member_id)
    after = world.coffee.balance(ours.member_id)
    assert after["swappable"] == before["swappable"] + 9


def test_deposit__from_a_wallet_that_is_unbound__then_409_and_it_can_still_redeem(world: World) -> None:
    own = purse(world.coffee, world.coffee.member(points=20)["id"], 20)
    signed_before = own.call("deposit", 1)
    world.coffee.delete(f"/v1/members/{own.member_id}/wallets/{own.wallet_id}")
    until(lambda: own.show()["state"] == "unbound")

    problem(world.coffee.post(own.path, {"kind": "deposit", "points": 1}), 409, "wallet-not-bound")
    assert "NotBound" in problem(own.hand_in(signed_before), 409, "holder-call-refused")["detail"]
    call = own.call("redeem", 20)
    assert own.hand_in(call).status_code == 202
    own.done(call)
    assert own.show()["points"] == 0


def _reader(world: World, points: int) -> Purse:
    return purse(world.books, world.books.member(points=points)["id"], points)


def test_swap__at_terms_that_are_open_to_wallets__then_positions_and_both_books_follow(
    world: World, open_terms: dict[str, Any]
) -> None:
    own = _reader(world, 20)
    call = own.call("swap", 8, path=[world.airline.id])
    assert call["min_out"] == 5, "rounded down"

    own.hand_in(call)

    operation = world.books.get(f"/v1/operations/{own.done(call)['operation_id']}").json()
    assert operation["swap"] == {
        "to_program_id": world.airline.id,
        "to_member_id": None,
        "points_out": 5,
        "quote_id": None,
        "terms_id": None,
        "settlement_micro": 5 * open_terms["settlement_price_micro"],
        "path": [],
        "hops": [],
        "extras": [],
    }
    assert world.airline.get(f"/v1/operations/{operation['id']}").status_code == 200
    problem(world.coffee.get(f"/v1/operations/{operation['id']}"), 404, "unknown-operation")
    world.quiet()
    assert world.operator.get("/v1/audit").json()["differences"] == 0


def test_swap__for_more_than_it_gives__then_the_contract_refuses_it(world: World, open_terms: dict[str, Any]) -> None:
    assert open_terms
    own = _reader(world, 9)
    call = own.call("swap", 9, path=[world.airline.id], min_out=7)

    assert "TooLittleOut" in problem(own.hand_in(call), 409, "holder-call-refused")["detail"]


@pytest.mark.parametrize(
    ("points", "path", "status", "slug"),
    [
        (30, ["airline"], 409, "closed-to-wallets"),
        (30, ["books"], 409, "no-terms"),
        (30, ["coffee"], 422, "invalid-path"),
        (30, ["airline", "airline"], 422, "invalid-path"),
        (30, ["nowhere"], 404, "unknown-program"),
    ],
)
def test_swap__along_a_path_that_is_not_open__then_is_refused(
    world: World, ours: Purse, points: int, path: list[str], status: int, slug: str
) -> None:
    ids = [getattr(getattr(world, name, None), "id", "prg_none") for name in path]

    problem(world.coffee.post(ours.path, {"kind": "swap", "points": points, "path": ids}), status, slug)


def test_swap__through_a_direction_in_which_points_could_gain__then_is_neither_prepared_nor_relayed(
    world: World, open_terms: dict[str, Any]
) -> None:
    assert open_terms
    own = _reader(world, 20)
    call = own.call("swap", 3, path=[world.airline.id])
    barred = _Barring((world.books.id, world.airline.id))

    with world.other(gatekeeper=barred) as caller:
        barring = caller(world.books.key)
        asked = {"kind": "swap", "points": 3, "path": [world.airline.id]}
        handed_in = {"signature": own.sign(call)}
        for path, body in ((own.path, asked), (f"{own.path}/{call['id']}/signature", handed_in)):
            refusal = problem(barring.post(path, body), 409, "direction-closed")
            assert (refusal["field"], "could gain" in refusal["detail"]) == ("path", True)
        assert barring.post(own.path, {"kind": "redeem", "points": 1}).status_code == 201

    assert own.hand_in(call).status_code == 202
    own.done(call)


class _Barring(Gatekeeper):
    """Bars one direction, with the way back."""

    def __init__(self, direction: tuple[str, str]) -> None:
        super().__init__()
        self._direction = direction

    def barred(self, *_: object) -> Mapping[tuple[str, str], Cycle]:
        return {self._direction: Cycle(self._direction, (Fraction(2), Fraction(1)))}


def test_swap__of_more_than_the_cap_ever_lets_through__then_422(world: World, open_terms: dict[str, Any]) -> None:
    assert open_terms
    own = _reader(world, 60)

    answer = world.books.post(own.path, {"kind": "swap", "points": 51, "path": [world.airline.id]})

    assert problem(answer, 422, "over-limit")["limit"] == 50


def test_swap__of_so_few_that_nothing_arrives__then_422(world: World, open_terms: dict[str, Any]) -> None:
    assert open_terms
    answer = world.books.post(_reader(world, 1).path, {"kind": "swap", "points": 1, "path": [world.airline.id]})

    problem(answer, 422, "nothing-out")


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "swap", "points": 1},
        {"kind": "redeem", "points": 1, "path": ["prg_x"]},
        {"kind": "deposit", "points": 1, "min_out": 1},
        {"kind": "transfer", "points": 1},
        {"kind": "swap", "points": 1, "path": []},
        {"kind": "swap", "points": 1, "path": ["a", "b", "c", "d", "e"]},
        {"kind": "redeem", "points": 1, "expires_in_s": 0},
        {"kind": "redeem", "points": 1, "expires_in_s": 30 * 86_400 + 1},
        {"kind": "redeem", "points": 1.0},
    ],
)
def test_call__of_the_wrong_shape__then_422(world: World, ours: Purse, body: dict[str, Any]) -> None:
    problem(world.coffee.post(ours.path, body), 422, "invalid-request")


@pytest.mark.parametrize("points", [0, -1, 2**48])
def test_call__of_no_amount__then_422(world: World, ours: Purse, points: int) -> None:
    problem(world.coffee.post(ours.path, {"kind": "redeem", "points": points}), 422, "invalid-amount")


@pytest.mark.parametrize("signature", ["", "0x", "0x0", "00", "0xzz", "0x" + "00" * 4097])
def test_signature__that_is_no_hexadecimal__then_422(world: World, ours: Purse, signature: str) -> None:
    call = ours.call("redeem", 1)

    answer = world.coffee.post(f"{ours.path}/{call['id']}/signature", {"signature": signature})

    assert problem(answer, 422, "invalid-request")["field"] == "signature"


def test_wallet_and_call__of_others__then_404(world: World, ours: Purse) -> None:
    call = ours.call("redeem", 1)
    other = purse(world.coffee, world.coffee.member()["id"])

    problem(world.books.post(ours.path, {"kind": "redeem", "points": 1}), 404, "unknown-wallet")
    problem(world.coffee.get(f"{other.path}/{call['id']}"), 404, "unknown-holder-call")
    problem(world.coffee.get(f"{ours.path}/hcl_none"), 404, "unknown-holder-call")
    assert world.operator.get(f"{ours.path}/{call['id']}").status_code == 200
