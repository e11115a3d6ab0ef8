"""What all resources share: idempotency keys, waiting, strict bodies, whole amounts, times, pages."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bridge.api.shapes import IDEMPOTENCY_KEY_LENGTH_MAX, WAIT_S_MAX
from exchange.points import POINTS_MAX

from .world import World, problem, unique

POSTS = ("/v1/earns", "/v1/redemptions", "/v1/swaps")


@pytest.fixture(scope="module")
def member_id(world: World) -> str:
    """Somebody of the coffee program with a few points."""
    member: str = world.coffee.member(points=500)["id"]
    return member


def _bodies(world: World, member_id: str) -> dict[str, dict[str, Any]]:
    customer = world.customer()
    asked = {"member_id": customer.coffee, "to_program_id": world.airline.id, "amount_in": 30}
    quote = world.coffee.post("/v1/quotes", asked).json()
    return {
        "/v1/earns": {"member_id": member_id, "points": 3},
        "/v1/redemptions": {"member_id": member_id, "points": 2},
        "/v1/swaps": {"quote_id": quote["id"]},
    }


@pytest.mark.parametrize("path", POSTS)
def test_idempotency_key__when_missing_or_empty__then_400(world: World, member_id: str, path: str) -> None:
    body = {"quote_id": "quo_x"} if path == "/v1/swaps" else {"member_id": member_id, "points": 1}

    for headers in ({}, {"Idempotency-Key": ""}):
        refusal = problem(world.coffee.post(path, body, headers=headers), 400, "idempotency-key-missing")
        assert refusal["field"] == "Idempotency-Key"


def test_idempotency_key__of_256_characters__then_400_with_the_limit(world: World, member_id: str) -> None:
    body = {"member_id": member_id, "points": 1}
    longest = unique("k").ljust(IDEMPOTENCY_KEY_LENGTH_MAX, "x")

    assert world.coffee.post("/v1/earns", body, key=longest).status_code == 202
    refusal = problem(world.coffee.post("/v1/earns", body, key=longest + "x"), 400, "invalid-header")
    assert (refusal["field"], refusal["limit"]) == ("Idempotency-Key", IDEMPOTENCY_KEY_LENGTH_MAX)


def test_idempotency_key__with_the_same_body__then_the_stored_answer(world: World, member_id: str) -> None:
    for path, body in _bodies(world, member_id).items():
        key = unique("same")
        first = world.coffee.post(path, body, key=key)
        again = world.coffee.post(path, body, key=key)

        assert first.status_code == again.status_code == 202
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == first.json()


def test_idempotency_key__once_the_operation_is_final__then_still_the_stored_answer(
    world: World, member_id: str
) -> None:
    key, body = unique("late"), {"member_id": member_id, "points": 3}
    first = world.coffee.post("/v1/earns", body, key=key)
    world.final(first.json()["id"])

    again = world.coffee.post("/v1/earns", body, key=key)
    waited = world.coffee.post("/v1/earns", body, key=key, wait_s=5)

    assert (again.status_code, again.json()) == (202, first.json())
    assert waited.status_code == 200 and waited.json()["state"] == "final"
    assert waited.headers["idempotency-replayed"] == again.headers["idempotency-replayed"] == "true"


def test_idempotency_key__with_another_body__then_422_that_names_the_header(world: World, member_id: str) -> None:
    bodies = _bodies(world, member_id)
    key = unique("used")
    before = world.coffee.post("/v1/earns", bodies["/v1/earns"], key=key).json()

    others = [
        ("/v1/earns", {"member_id": member_id, "points": 4}),
        ("/v1/earns", {"member_id": member_id, "spend_minor": 150}),
        ("/v1/earns", {"member_id": member_id, "points": 3, "occurred_at": "2026-01-01T00:00:00Z"}),
        ("/v1/redemptions", bodies["/v1/redemptions"]),
        ("/v1/swaps", bodies["/v1/swaps"]),
    ]
    for path, body in others:
        refusal = problem(world.coffee.post(path, body, key=key), 422, "idempotency-key-reused")
        assert refusal["field"] == "Idempotency-Key" and before["id"] in refusal["detail"]


def test_idempotency_key__of_another_program__then_is_another_key(world: World, member_id: str) -> None:
    key = unique("both")
    elsewhere = world.books.member()["id"]

    here = world.coffee.post("/v1/earns", {"member_id": member_id, "points": 1}, key=key)
    there = world.books.post("/v1/earns", {"member_id": elsewhere, "points": 9}, key=key)

    assert here.status_code == there.status_code == 202
    assert here.json()["id"] != there.json()["id"]


def test_idempotency_key__of_a_refused_request__then_is_not_used_up(world: World) -> None:
    key, member = unique("free"), world.coffee.member()
    body = {"member_id": member["id"], "points": 5}
    problem(world.coffee.post("/v1/redemptions", body, key=key), 409, "insufficient-points")
    world.coffee.earn(member["id"], 5)

    response = world.coffee.post("/v1/redemptions", body, key=key)

    assert response.status_code == 202 and "idempotency-replayed" not in response.headers


def test_idempotency_key__sent_many_times_at_once__then_one_operation(world: World) -> None:
    key, member = unique("race"), world.coffee.member()

    def send(_: int) -> Any:
        return world.coffee.post("/v1/earns", {"member_id": member["id"], "points": 7}, key=key)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(16)))

    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert world.coffee.balance(member["id"])["available"] == 7


def test_prefer_wait__when_there_is_time__then_200_with_the_final_operation(world: World, member_id: str) -> None:
    response = world.coffee.post("/v1/earns", {"member_id": member_id, "points": 1}, key=unique(), wait_s=WAIT_S_MAX)

    assert response.status_code == 200
    assert response.headers["preference-applied"] == f"wait={WAIT_S_MAX}"
    assert response.json()["state"] == "final" and response.json()["transaction"].startswith("0x")


def test_prefer_wait__when_time_is_over__then_202_with_the_state_so_far(world: World, member_id: str) -> None:
    with world.posting_stopped():
        response = world.coffee.post("/v1/earns", {"member_id": member_id, "points": 1}, key=unique(), wait_s=1)

    assert response.status_code == 202 and response.json()["state"] == "accepted"


@pytest.mark.parametrize("value", [f"wait={WAIT_S_MAX + 1}", "wait=-1", "wait=1.5", "wait=", "wait", "wait=²"])
def test_prefer_wait__of_no_possible_time__then_400_with_the_limit(world: World, member_id: str, value: str) -> None:
    headers = {"Prefer": value.encode()}

    response = world.coffee.post("/v1/earns", {"member_id": member_id, "points": 1}, key=unique(), headers=headers)

    refusal = problem(response, 400, "invalid-header")
    assert (refusal["field"], refusal["limit"], refusal["nearest"]) == ("Prefer", WAIT_S_MAX, WAIT_S_MAX)


def test_prefer_wait__of_thousands_of_digits__then_400(world: World, member_id: str) -> None:
    headers = {"Prefer": "wait=" + "9" * 5000}

    response = world.coffee.post("/v1/earns", {"member_id": member_id, "points": 1}, key=unique(), headers=headers)

    assert problem(response, 400, "invalid-header")["field"] == "Prefer"


def test_prefer__of_something_else__then_is_not_ours(world: World, member_id: str) -> None:
    headers = {"Prefer": "respond-async, return=minimal"}

    response = world.coffee.post("/v1/earns", {"member_id": member_id, "points": 1}, key=unique(), headers=headers)

    assert response.status_code == 202 and "preference-applied" not in response.headers


BODIES: dict[str, dict[str, Any]] = {
    "/v1/programs": {
        "name": "N",
        "symbol": "NN",
        "currency": "n",
        "earning_rate": {"points": 1, "per_minor_units": 1},
    },
    "/v1/members": {"member_number": "1"},
    "/v1/links": {"codes": ["a", "b"]},
    "/v1/earns": {"member_number": "1", "points": 1},
    "/v1/earns/bulk": {"items": [{"event_id": "e", "member_number": "1", "points": 1}]},
    "/v1/redemptions": {"member_number": "1", "points": 1},
    "/v1/terms": {
        "from_program_id": "a",
        "to_program_id": "b",
        "ratio": {"from_units": 1, "to_units": 1},
        "settlement_price_micro": 1,
    },
    "/v1/quotes": {"member_number": "1", "to_program_id": "b", "amount_in": 1},
    "/v1/swaps": {"quote_id": "q"},
}


def _post(world: World, path: str, body: object) -> Any:
    caller = world.operator if path == "/v1/programs" else world.coffee
    return caller.post(path, body, key=unique())


@pytest.mark.parametrize("path", BODIES)
def test_body__with_an_unknown_field__then_422_that_names_it(world: World, path: str) -> None:
    assert problem(_post(world, path, BODIES[path] | {"surprise": 1}), 422, "unknown-field")["field"] == "surprise"


@pytest.mark.parametrize(
    ("path", "inside", "field"),
    [
        ("/v1/programs", "earning_rate", "earning_rate.surprise"),
        ("/v1/terms", "ratio", "ratio.surprise"),
        ("/v1/earns/bulk", "items", "items.0.surprise"),
    ],
)
def test_body__with_an_unknown_field_inside__then_the_whole_way_to_it(
    world: World, path: str, inside: str, field: str
) -> None:
    part = BODIES[path][inside]
    changed = [part[0] | {"surprise": 1}] if isinstance(part, list) else part | {"surprise": 1}

    assert problem(_post(world, path, BODIES[path] | {inside: changed}), 422, "unknown-field")["field"] == field


@pytest.mark.parametrize("path", BODIES)
def test_body__without_a_needed_field__then_422(world: World, path: str) -> None:
    body = dict(BODIES[path])
    name = next(reversed(body)) if path not in ("/v1/earns", "/v1/redemptions", "/v1/quotes") else "member_number"
    del body[name]

    refusal = _post(world, path, body).json()

    if name == "member_number" and path != "/v1/members":  # one of two, either of which will do
        assert refusal["status"] == 422 and "exactly one" in refusal["detail"]
    else:
        assert (refusal["type"], refusal["field"]) == ("urn:sarraf:problem:missing-field", name)


#: What is no amount, and what the refusal says of it: its type, and the nearest amount where there is one.
NO_AMOUNTS = [
    (2**48, "invalid-amount", POINTS_MAX),
    (10**100, "invalid-amount", POINTS_MAX),
    (0, "invalid-amount", 1),
    (-1, "invalid-amount", 1),
    (True, "invalid-request", None),
    (1.0, "invalid-request", None),
    (1.5, "invalid-request", None),
    ("1", "invalid-request", None),
    ([1], "invalid-request", None),
]


@pytest.mark.parametrize(("value", "slug", "nearest"), NO_AMOUNTS)
@pytest.mark.parametrize("path", ["/v1/earns", "/v1/redemptions", "/v1/quotes"])
def test_amount__that_is_none__then_422_with_the_nearest_that_is(
    world: World, path: str, value: object, slug: str, nearest: int | None
) -> None:
    customer = _somebody(world)
    field = "amount_in" if path == "/v1/quotes" else "points"
    body = {"member_id": customer, field: value}
    if path == "/v1/quotes":
        body["to_program_id"] = world.airline.id

    refusal = problem(world.coffee.post(path, body, key=unique()), 422, slug)

    assert refusal["field"] == field
    assert refusal.get("limit") == nearest
    least = 30 if path == "/v1/quotes" and nearest == 1 else nearest  # what the terms take
    assert refusal.get("nearest") == least


_somebodies: list[str] = []


def _somebody(world: World) -> str:
    if not _somebodies:
        _somebodies.append(world.customer().coffee)
    return _somebodies[0]


def test_amount__the_greatest__then_is_taken(world: World) -> None:
    member = world.books.member()

    world.books.earn(member["id"], POINTS_MAX)

    assert world.books.balance(member["id"])["available"] == POINTS_MAX


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-21T21:00:00Z", "2026-11-21T21:00:00.000Z"),
        ("2026-11-21T23:30:00.1239+02:30", "2026-11-21T21:00:00.123Z"),
        ("2026-11-21T21:00:00", "2026-11-21T21:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
    ],
)
def test_time__in_rfc_3339__then_is_told_in_utc(world: World, member_id: str, text: str, told: str) -> None:
    body = {"member_id": member_id, "points": 1, "occurred_at": text}

    made = world.coffee.post("/v1/earns", body, key=unique()).json()

    assert made["occurred_at"] == told
    assert world.coffee.get(f"/v1/operations/{made['id']}").json()["occurred_at"] == told


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-11-21",
        "1700000000",
        1_700_000_000,
        "2026-13-01T00:00:00Z",
        True,
        "",
    ],
)
def test_time__that_is_none__then_422_and_nothing_is_kept(world: World, member_id: str, value: object) -> None:
    body = {"member_id": member_id, "points": 1, "occurred_at": value}

    refusal = problem(world.coffee.post("/v1/earns", body, key=unique()), 422, "invalid-request")

    assert refusal["field"] == "occurred_at"
    assert world.coffee.get("/v1/operations", member_id=member_id).status_code == 200


@pytest.mark.parametrize("path", ["/v1/members", "/v1/programs", "/v1/operations", "/v1/terms"])
@pytest.mark.parametrize(
    "cursor", ["nonsense", "é", "", "YQ", "YzEy", "YTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "YS0x", "YWFiYw=", "a" * 257]
)
def test_cursor__that_no_list_gave__then_is_refused_or_finds_nothing(world: World, path: str, cursor: str) -> None:
    response = world.coffee.get(path, cursor=cursor)

    if response.status_code == 422:
        assert response.json()["field"] == "cursor"
    else:  # it names a place in a list by text, where there may be anything
        assert response.status_code == 200 and path != "/v1/operations"


@pytest.mark.parametrize(("limit", "nearest"), [(0, 1), (201, 200), ("x", None), (-5, 1)])
def test_page__of_an_impossible_length__then_422_with_the_nearest(world: World, limit: object, nearest: int) -> None:
    refusal = problem(world.coffee.get("/v1/operations", limit=limit), 422, "invalid-request")

    assert refusal["field"] == "limit" and refusal.get("nearest") == nearest
