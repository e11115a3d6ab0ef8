"""Programs and their keys."""

from typing import Any

import pytest

from bridge.chain import contracts
from exchange.points import POINTS_MAX

from .world import World, problem, unique

BODY: dict[str, Any] = {
    "name": "Tea & Söhne",
    "symbol": "LEAF",
    "currency": "leaves",
    "earning_rate": {"points": 1, "per_minor_units": 100},
}


def test_create__then_it_deploys_and_becomes_active_and_takes_nothing_before(world: World) -> None:
    with world.posting_stopped():
        response = world.operator.post("/v1/programs", BODY | {"expiry_days": 365})
        made = response.json()
        early = world.caller(world.key(made["id"])["key"]).post("/v1/members", {"member_number": "1"})
        path = {"from_program_id": world.coffee.id, "to_program_id": made["id"]}
        terms = {"ratio": {"from_units": 1, "to_units": 1}, "settlement_price_micro": 1}
        untimely = world.coffee.post("/v1/terms", path | terms)
    program = world.program(made["id"])

    assert response.status_code == 202
    assert (made["state"], made["token"]) == ("deploying", None)
    assert {name: made[name] for name in BODY} == BODY and made["expiry_days"] == 365
    assert (made["transferable"], made["credit_limit_micro"]) == (False, 10**12)
    assert (made["money"], made["point_value_micro"]) == ("USD", None)
    assert made["limits"] == {
        "issuance": {"capacity": 10_000_000, "refill_per_second": 100},
        "redemption": {"capacity": 10_000_000, "refill_per_second": 100},
        "release": {"capacity": 1_000_000, "refill_per_second": 10},
    }
    for refused in (early, untimely):
        problem(refused, 409, "program-not-active")
    active = world.books.get(f"/v1/programs/{made['id']}").json()
    assert active == made | {"state": "active", "token": active["token"]} and len(active["token"]) == 42
    people = ("token", "issuer", "standby_issuer", "guardian", "admin")
    assert len({active[one] for one in people}) == len(people)
    assert program.member()["program_id"] == made["id"]


def test_create__with_a_symbol_that_is_taken__then_409(world: World) -> None:
    before = world.operator.get("/v1/programs").json()

    refusal = problem(world.operator.post("/v1/programs", BODY | {"symbol": "BEAN"}), 409, "symbol-taken")

    assert refusal["field"] == "symbol"
    assert world.operator.get("/v1/programs").json() == before


@pytest.mark.parametrize(
    ("change", "slug", "field"),
    [
        ({"symbol": "bean"}, "invalid-request", "symbol"),
        ({"symbol": "B"}, "invalid-request", "symbol"),
        ({"symbol": "BEAN\n"}, "invalid-request", "symbol"),
        ({"name": ""}, "invalid-request", "name"),
        ({"name": "n" * 65}, "invalid-request", "name"),
        ({"currency": "c" * 33}, "invalid-request", "currency"),
        ({"expiry_days": 0}, "invalid-request", "expiry_days"),
        ({"expiry_days": 36_501}, "invalid-request", "expiry_days"),
        ({"limits": {"issuance": {"capacity": 1}}}, "missing-field", "limits.issuance.refill_per_second"),
        (
            {"limits": {"issuance": {"capacity": 2**48, "refill_per_second": 0}}},
            "invalid-request",
            "limits.issuance.capacity",
        ),
        ({"limits": {"speed": 1}}, "unknown-field", "limits.speed"),
        ({"credit_limit_micro": -1}, "invalid-request", "credit_limit_micro"),
        ({"transferable": 1}, "invalid-request", "transferable"),
        ({"money": "usd"}, "invalid-request", "money"),
        ({"money": "USD\n"}, "invalid-request", "money"),
        ({"money": None}, "invalid-request", "money"),
        ({"point_value_micro": 0}, "invalid-request", "point_value_micro"),
        ({"point_value_micro": 2**48}, "invalid-request", "point_value_micro"),
        ({"point_value_micro": 8000.0}, "invalid-request", "point_value_micro"),
        ({"earning_rate": {"points": 1.5, "per_minor_units": 1}}, "invalid-request", "earning_rate.points"),
        ({"earning_rate": {"points": 0, "per_minor_units": 1}}, "invalid-ratio", "earning_rate.points"),
        (
            {"earning_rate": {"points": 1, "per_minor_units": POINTS_MAX + 1}},
            "invalid-ratio",
            "earning_rate.per_minor_units",
        ),
    ],
)
def test_create__with_what_cannot_be__then_422_that_names_it(
    world: World, change: dict[str, Any], slug: str, field: str
) -> None:
    refusal = problem(world.operator.post("/v1/programs", BODY | {"symbol": "NONE"} | change), 422, slug)

    assert refusal["field"] == field


def test_create__with_limits__then_the_chain_keeps_them_and_too_large_amounts_are_refused(world: World) -> None:
    limits = {"issuance": {"capacity": 500, "refill_per_second": 0}}
    program = world.program(world.create("Narrow", "NARROW", limits=limits, credit_limit_micro=77, transferable=True))
    told = program.get(f"/v1/programs/{program.id}").json()
    token, exchange = (bytes.fromhex(each[2:]) for each in (told["token"], _exchange(world)))
    rpc = world.service.rpc

    kept = contracts.decode_limit(rpc.call(token, contracts.encode_limit_of(contracts.Limit.ISSUANCE)))
    assert kept == contracts.LimitNow(capacity=500, refill=0, available=500)
    assert contracts.decode_uint(rpc.call(token, contracts.encode_transferable())) == 1
    assert contracts.decode_uint(rpc.call(exchange, contracts.encode_credit_limit(token))) == 77
    for role, asked in (("issuer", contracts.encode_issuer()), ("guardian", contracts.encode_guardian())):
        assert f"0x{contracts.decode_address(rpc.call(token, asked)).hex()}" == told[role]
    assert f"0x{contracts.decode_address(rpc.call(token, contracts.encode_standby())).hex()}" == told["standby_issuer"]
    refusal = problem(
        program.post("/v1/earns", {"member_id": program.member()["id"], "points": 501}, key=unique()), 422, "over-limit"
    )
    assert (refusal["field"], refusal["limit"]) == ("points", 500)


def _exchange(world: World) -> str:
    address: str = world.operator.get("/v1/status").json()["chain"]["exchange"]
    return address


def test_value__then_is_kept_by_the_program_and_by_an_operator_and_seen_by_all(world: World) -> None:
    with world.posting_stopped():
        worth = {"money": "SAR", "point_value_micro": 30_000}
        made = world.operator.post("/v1/programs", BODY | {"symbol": "WORTH"} | worth).json()
    own = world.caller(world.key(made["id"])["key"])
    path = f"/v1/programs/{made['id']}"

    assert {name: made[name] for name in worth} == worth
    for caller, value in (
        (own, {"money": "EUR", "point_value_micro": 8_000}),
        (world.operator, {"money": "EUR", "point_value_micro": None}),
        (own, {"money": "USD", "point_value_micro": 2**48 - 1}),
    ):
        changed = caller.send("PUT", f"{path}/value", value)
        assert changed.status_code == 200
        assert changed.json() == made | value == world.books.get(path).json()


@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({"money": "USD"}, "missing-field", "point_value_micro"),
        ({"point_value_micro": 1}, "missing-field", "money"),
        ({"money": "dollar", "point_value_micro": 1}, "invalid-request", "money"),
        ({"money": "USD", "point_value_micro": 0}, "invalid-request", "point_value_micro"),
        ({"money": "USD", "point_value_micro": "1"}, "invalid-request", "point_value_micro"),
        ({"money": "USD", "point_value_micro": 1, "since": 1}, "unknown-field", "since"),
    ],
)
def test_value__that_cannot_be__then_422_that_names_it_and_nothing_changes(
    world: World, body: dict[str, Any], slug: str, field: str
) -> None:
    path = f"/v1/programs/{world.coffee.id}"
    before = world.coffee.get(path).json()

    assert problem(world.coffee.send("PUT", f"{path}/value", body), 422, slug)["field"] == field
    assert world.coffee.get(path).json() == before


def test_value__of_no_program__then_404(world: World) -> None:
    body = {"money": "USD", "point_value_micro": 1}
    problem(world.operator.send("PUT", "/v1/programs/prg_nowhere/value", body), 404, "unknown-program")


def test_list__then_every_program_oldest_first_for_every_key(world: World) -> None:
    listed = world.books.get("/v1/programs", limit=3).json()

    assert [one["symbol"] for one in listed["items"]] == ["BEAN", "MILE", "PAGE"]
    assert listed["previous"] is None
    (first,) = world.books.get("/v1/programs", limit=1).json()["items"]
    assert first == world.coffee.get(f"/v1/programs/{world.coffee.id}").json()
    problem(world.coffee.get("/v1/programs/prg_nowhere"), 404, "unknown-program")


def test_key__then_is_shown_once_and_works_at_once(world: World) -> None:
    made = world.key(world.books.id, ("read", "earn"))

    assert made["scopes"] == ["earn", "read"] and made["program_id"] == world.books.id
    mark, key_id, secret = made["key"].split("_")
    assert (mark, f"key_{key_id}") == ("sarraf", made["id"]) and len(secret) >= 32
    assert world.caller(made["key"]).get("/v1/members").status_code == 200
    stored = [row for row in world.ledger()["api_key"] if row[0] == made["id"]]
    assert len(stored) == 1 and secret not in repr(stored)


def test_key__third_with_the_same_scopes__then_409_until_one_is_revoked(world: World) -> None:
    path, body = f"/v1/programs/{world.books.id}/keys", {"scopes": ["terms", "read"]}
    kept, old = (world.operator.post(path, body).json() for _ in range(2))

    refusal = problem(world.operator.post(path, {"scopes": ["read", "terms"]}), 409, "too-many-keys")
    assert world.caller(old["key"]).get("/v1/status").status_code == 200
    assert world.operator.delete(f"/v1/keys/{old['id']}").status_code == 204

    assert (refusal["field"], refusal["limit"]) == ("scopes", 2)
    problem(world.caller(old["key"]).get("/v1/status"), 401, "unauthenticated")
    assert world.caller(kept["key"]).get("/v1/status").status_code == 200
    assert world.operator.post(path, body).status_code == 201


@pytest.mark.parametrize(
    ("scopes", "slug", "field"),
    [
        (["operator"], "unknown-scope", "scopes.0"),
        (["read", "everything"], "unknown-scope", "scopes.1"),
        ([], "invalid-request", "scopes"),
        (["read"] * 10, "invalid-request", "scopes"),
        ("read", "invalid-request", "scopes"),
    ],
)
def test_key__with_scopes_that_cannot_be__then_422(world: World, scopes: Any, slug: str, field: str) -> None:
    refusal = problem(world.operator.post(f"/v1/programs/{world.books.id}/keys", {"scopes": scopes}), 422, slug)

    assert refusal["field"] == field


def test_key__for_no_program__then_404(world: World) -> None:
    problem(world.operator.post("/v1/programs/prg_nowhere/keys", {"scopes": ["read"]}), 404, "unknown-program")


def test_revoke__of_nothing_or_of_itself__then_is_refused(world: World) -> None:
    assert world.operator.key is not None
    own = f"key_{world.operator.key.split('_')[1]}"

    problem(world.operator.delete("/v1/keys/key_nothing"), 404, "unknown-key")
    assert problem(world.operator.delete(f"/v1/keys/{own}"), 403, "forbidden")["field"] == "key_id"
    assert world.operator.get("/v1/status").status_code == 200
