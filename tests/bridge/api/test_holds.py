"""Redemptions in two steps: authorised, captured, voided, and at last free again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from bridge import answers
from bridge.client import Client
from bridge.store import events

from .test_client_market import check_shape
from .world import CUSTOMER_POINTS, World, problem, unique, until

CLIENTS = 50


@pytest.fixture
def member(world: World) -> dict[str, Any]:
    """A member with 100 points that are not on the chain yet."""
    return world.coffee.member(points=100)


@pytest.fixture
def hold(world: World, member: dict[str, Any]) -> dict[str, Any]:
    """A hold of all of them."""
    return _hold(world, member, 100)


def _hold(world: World, member: dict[str, Any], points: int, **more: Any) -> dict[str, Any]:
    answer = world.coffee.post("/v1/holds", {"member_id": member["id"], "points": points, **more}, key=unique())
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _capture(world: World, hold: dict[str, Any], key: str | None = None, **body: Any) -> httpx2.Response:
    return world.coffee.post(f"/v1/holds/{hold['id']}/captures", body, key=key or unique())


def _void(world: World, hold: dict[str, Any], key: str | None = None) -> httpx2.Response:
    return world.coffee.post(f"/v1/holds/{hold['id']}/void", key=key or unique())


def _now(world: World, hold: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = world.coffee.get(f"/v1/holds/{hold['id']}").json()
    return found


def _all_at_once(calls: list[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(call) for call in calls]]


def test_hold__then_captured_in_two_parts__then_only_these_are_burned(world: World) -> None:
    customer = world.customer()
    made = world.coffee.post("/v1/holds", {"member_id": customer.coffee, "points": 400}, key=unique()).json()
    held = world.coffee.balance(customer.coffee)
    first = _capture(world, made, points=150)
    between = _now(world, made)
    last = _capture(world, made, points=50, final=True)
    at_once = world.coffee.balance(customer.coffee)
    for answer in (first, last):
        assert answer.status_code == 202
        assert (answer.json()["kind"], answer.json()["hold_id"]) == ("redemption", made["id"])
        world.final(answer.json()["id"])
    after = world.coffee.balance(customer.coffee)

    assert (made["state"], made["captured"], made["left"], made["closed_at"]) == ("open", 0, 400, None)
    assert (held["held"], held["available"], held["swappable"]) == (400, *[CUSTOMER_POINTS - 400] * 2)
    assert (held["posted"], held["pending_out"], held["accounts"][0]["held"]) == (CUSTOMER_POINTS, 0, 400)
    assert (between["state"], between["captured"], between["left"]) == ("open", 150, 250)
    assert (at_once["held"], at_once["available"]) == (0, CUSTOMER_POINTS - 200)
    assert after["posted"] == after["available"] == CUSTOMER_POINTS - 200
    assert (_now(world, made)["state"], _now(world, made)["left"]) == ("captured", 0)


def test_void__then_everything_is_free_at_once(world: World, member: dict[str, Any], hold: dict[str, Any]) -> None:
    body = {"member_id": member["id"], "points": 1}
    refusal = problem(world.coffee.post("/v1/redemptions", body, key=unique()), 409, "insufficient-points")
    _capture(world, hold, points=30)

    closed = _void(world, hold)

    assert refusal["limit"] == 0
    assert (closed.status_code, closed.json()["state"], closed.json()["captured"]) == (200, "voided", 30)
    assert world.coffee.balance(member["id"])["available"] == 70
    assert world.coffee.post("/v1/redemptions", body | {"points": 70}, key=unique()).status_code == 202


def test_hold__once_its_time_is_over__then_is_expired_and_its_points_are_free(
    world: World, member: dict[str, Any]
) -> None:
    made = _hold(world, member, 100, expires_in_s=5)
    _capture(world, made, points=1)

    until(lambda: _now(world, made)["state"] == "expired")

    assert _now(world, made)["closed_at"] == made["expires_at"]
    assert "expired" in problem(_capture(world, made, points=1), 409, "hold-closed")["detail"]
    assert "expired" in problem(_void(world, made), 409, "hold-closed")["detail"]
    until(lambda: world.coffee.balance(member["id"])["available"] == 99)


def test_requests__again_under_their_keys__then_have_the_same_answers(world: World, member: dict[str, Any]) -> None:
    keys = [unique() for _ in range(3)]
    body = {"member_id": member["id"], "points": 40, "expires_in_s": 1000}

    def ask() -> list[httpx2.Response]:
        made = world.coffee.post("/v1/holds", body, key=keys[0])
        return [made, _capture(world, made.json(), keys[1], points=15), _void(world, made.json(), keys[2])]

    first, again = ask(), ask()

    assert [one.status_code for one in first] == [one.status_code for one in again] == [201, 202, 200]
    assert [one.json() for one in first] == [one.json() for one in again]
    assert [one.headers.get("idempotency-replayed") for one in first + again] == [None] * 3 + ["true"] * 3
    assert world.coffee.balance(member["id"])["available"] == 85


def test_keys__of_other_requests__then_422(world: World, member: dict[str, Any]) -> None:
    keys = [unique() for _ in range(3)]
    body = {"member_id": member["id"], "points": 40}
    made = world.coffee.post("/v1/holds", body, key=keys[0]).json()
    _capture(world, made, keys[1], points=15)
    _void(world, made, keys[2])

    for key in keys:
        for path in ("/v1/earns", "/v1/redemptions"):
            problem(world.coffee.post(path, body, key=key), 422, "idempotency-key-reused")
    for refused in (
        world.coffee.post("/v1/holds", body | {"points": 41}, key=keys[0]),
        _capture(world, made, keys[0]),
        _capture(world, made, keys[1], points=15, final=True),
        _void(world, made, keys[1]),
        _capture(world, made, keys[2], points=15),
    ):
        problem(refused, 422, "idempotency-key-reused")


def test_capture__by_many_at_once__then_never_more_than_was_held(
    world: World, member: dict[str, Any], hold: dict[str, Any]
) -> None:
    found = _all_at_once([lambda: _capture(world, hold, points=3)] * CLIENTS)

    assert sorted(one.status_code for one in found) == [202] * 33 + [409] * 17
    for one in found:
        if one.status_code == 409:
            assert problem(one, 409, "insufficient-points")["nearest"] == 1
    assert (_now(world, hold)["captured"], _now(world, hold)["left"]) == (99, 1)
    assert world.coffee.balance(member["id"])["pending_out"] <= 99
    for one in found:
        if one.status_code == 202:
            world.final(one.json()["id"])
    assert world.coffee.balance(member["id"])["posted"] == 1


def test_capture__by_many_at_once_under_one_key__then_debits_once(world: World, hold: dict[str, Any]) -> None:
    key = unique()
    found = _all_at_once([lambda: _capture(world, hold, key, points=60)] * CLIENTS)

    assert {(one.status_code, one.json()["id"]) for one in found} == {(202, found[0].json()["id"])}
    assert sum("idempotency-replayed" in one.headers for one in found) == CLIENTS - 1
    assert _now(world, hold)["captured"] == 60


def test_capture__that_races_a_void__then_one_of_them_wins_and_the_other_is_told(world: World) -> None:
    member = world.coffee.member(points=80)
    for made in [_hold(world, member, 10) for _ in range(8)]:
        captured, voided = _all_at_once([lambda: _capture(world, made), lambda: _void(world, made)])  # noqa: B023

        state = _now(world, made)["state"]
        if captured.status_code == 202:
            assert "the hold is captured" in problem(voided, 409, "hold-closed")["detail"] and state == "captured"
        else:
            assert "the hold is voided" in problem(captured, 409, "hold-closed")["detail"] and state == "voided"
            assert voided.status_code == 200


def test_capture__of_more_than_is_left__then_409_with_what_is(world: World, hold: dict[str, Any]) -> None:
    refusal = problem(_capture(world, hold, points=101), 409, "insufficient-points")

    assert (refusal["field"], refusal["limit"], refusal["nearest"]) == ("points", 100, 100)


def test_capture__that_is_waited_for__then_200(world: World, hold: dict[str, Any]) -> None:
    answer = world.coffee.post(f"/v1/holds/{hold['id']}/captures", {}, key=unique(), wait_s=30)

    assert (answer.status_code, answer.json()["state"], answer.json()["points"]) == (200, "final", 100)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"points": 1}, None),
        ({"member_id": "a", "member_number": "b", "points": 1}, None),
        ({"member_id": "a", "points": 1, "expires_in_s": 0}, "expires_in_s"),
        ({"member_id": "a", "points": 1, "expires_in_s": 30 * 86_400 + 1}, "expires_in_s"),
        ({"member_id": "a", "points": 1, "expires_in_s": 1.0}, "expires_in_s"),
    ],
)
def test_hold__that_is_badly_asked_for__then_422(world: World, body: dict[str, Any], field: str | None) -> None:
    refusal = problem(world.coffee.post("/v1/holds", body, key=unique()), 422, "invalid-request")

    assert field is None or refusal["field"] == field


def test_capture__that_is_final_perhaps__then_422(world: World, hold: dict[str, Any]) -> None:
    problem(_capture(world, hold, final="yes"), 422, "invalid-request")


def test_hold__without_a_key__then_400(world: World, member: dict[str, Any], hold: dict[str, Any]) -> None:
    paths = ["/v1/holds", f"/v1/holds/{hold['id']}/captures", f"/v1/holds/{hold['id']}/void"]
    for path, body in zip(paths, ({"member_id": member["id"], "points": 1}, {}, None), strict=True):
        problem(world.coffee.post(path, body), 400, "idempotency-key-missing")


def test_hold__that_nobody_made__then_404(world: World) -> None:
    nobody = {"id": "hld_0"}
    for answer in (_capture(world, nobody), _void(world, nobody), world.coffee.get("/v1/holds/hld_0")):
        problem(answer, 404, "unknown-hold")


def test_list__of_a_members_holds__then_comes_in_pages(world: World) -> None:
    member = world.coffee.member(points=3)
    made = [_hold(world, member, 1)["id"] for _ in range(3)]
    path = f"/v1/members/{member['id']}/holds"

    first = world.coffee.get(path, limit=2).json()
    rest = world.coffee.get(path, limit=2, cursor=first["next"]).json()

    assert [one["id"] for one in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
    problem(world.coffee.get("/v1/members/mbr_0/holds"), 404, "unknown-member")


def test_stream__then_tells_every_step_of_a_hold(world: World, member: dict[str, Any]) -> None:
    after = str(world.service.read(events.last_cursor))
    made = _hold(world, member, 40)
    operation = _capture(world, made, points=15).json()
    _void(world, made)

    def steps() -> Iterator[dict[str, Any]]:
        headers = world.coffee.headers()
        with world.http.stream("GET", "/v1/events", params={"after": after}, headers=headers, timeout=10.0) as stream:
            for one in httpx2.EventSource(stream):
                about: Any = one.json() if one.event == "hold" else {}
                if about.get("id") == made["id"]:
                    yield about

    told = [one for _, one in zip(range(3), steps(), strict=False)]

    assert [(one["state"], one["about"]["captured"], one["about"]["left"]) for one in told] == [
        ("open", 0, 40),
        ("open", 15, 25),
        ("voided", 15, 0),
    ]
    assert [one["about"]["operation_id"] for one in told] == [None, operation["id"], None]
    assert {one["about"]["member_id"] for one in told} == {member["id"]}


def test_client__then_holds_captures_and_voids(world: World, member: dict[str, Any]) -> None:
    with Client(world.url, world.coffee.key) as client:
        made = client.hold(member["member_number"], key=unique(), points=40, expires_in_s=600)
        captured = client.capture(made["id"], key=unique(), points=15)
        shown = client.show_hold(made["id"])
        closed = client.void(made["id"], key=unique())
        listed = list(client.holds(member["id"]))
        balance = client.balance(member["id"])

    check_shape(made, answers.Hold)
    check_shape(captured.operation, answers.Operation)
    check_shape(balance, answers.Balance)
    assert (shown["captured"], shown["left"], closed["state"], captured.replayed) == (15, 25, "voided", False)
    assert listed == [closed]
