"""Earns whose points come later, the days on which points expire, and how long ahead members are told."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bridge.posting.keeper import behind_ms
from bridge.store import events

from .world import World, hasty_clock, problem, unique, until


def in_days(days: float) -> str:
    """So many days from now by the service's clock, to the second."""
    moment = datetime.fromtimestamp(hasty_clock() // 1000, UTC) + timedelta(days=days)
    return f"{moment.replace(tzinfo=None).isoformat()}.000Z"


def pending(world: World, points: int = 80, days: float = 10) -> dict[str, Any]:
    """A member's earn that comes later."""
    body = {"member_id": world.coffee.member()["id"], "points": points, "available_at": in_days(days)}
    response = world.coffee.post("/v1/earns", body, key=unique())
    assert response.status_code == 202, response.text
    made: dict[str, Any] = response.json()
    return made


def test_earn__of_points_that_come_later__then_is_accepted_and_not_spendable(world: World) -> None:
    made = pending(world)
    assert (made["state"], made["pending"]) == ("accepted", True)
    balance = world.coffee.balance(made["member_id"])
    assert (balance["available"], balance["incoming"]) == (0, 80)
    coming = {"operation_id": made["id"], "points": 80, "available_at": made["available_at"]}
    assert balance["pending_earns"] == [coming]
    body = {"member_id": made["member_id"], "points": 1}
    problem(world.coffee.post("/v1/redemptions", body, key=unique()), 409, "insufficient-points")


def test_earn__of_points_that_come_later__waited_for_then_is_answered_at_once(world: World) -> None:
    body = {"member_id": world.coffee.member()["id"], "points": 5, "available_at": in_days(1)}
    response = world.coffee.post("/v1/earns", body, key=unique(), wait_s=30)
    assert (response.status_code, response.json()["state"]) == (202, "accepted")


def test_bulk__of_points_that_come_later_and_now__then_takes_each_in_its_way(world: World) -> None:
    member, event_id = world.coffee.member(), unique()
    items = [
        {"event_id": event_id, "member_id": member["id"], "points": 5, "available_at": in_days(1)},
        {"event_id": unique(), "member_id": member["id"], "points": 7},
        {"event_id": unique(), "member_id": member["id"], "points": 9, "available_at": in_days(4_000)},
    ]
    answer = world.coffee.post("/v1/earns/bulk", {"items": items}).json()
    assert answer["counts"] == {"accepted": 2, "replayed": 0, "nothing_earned": 0, "refused": 1}
    assert answer["results"][2]["problem"]["type"].endswith("release-too-far")
    balance = world.coffee.balance(member["id"])
    assert (balance["available"], balance["incoming"]) == (7, 5)


def test_change__then_the_points_come_as_changed_and_reach_the_chain(world: World) -> None:
    made, key = pending(world), unique()
    path = f"/v1/earns/{made['id']}"
    changed = world.coffee.send("PATCH", path, {"points": 50, "available_at": in_days(-1)}, key=key)
    assert (changed.status_code, changed.json()["points"], changed.json()["pending"]) == (200, 50, False)
    assert world.coffee.balance(made["member_id"])["available"] == 50
    until(lambda: world.coffee.get(f"/v1/operations/{made['id']}").json()["state"] == "final")
    problem(world.coffee.send("PATCH", path, {"points": 51}, key=unique()), 409, "earn-not-pending")
    problem(world.coffee.post(f"{path}/cancel", key=unique()), 409, "earn-not-pending")


def test_earn__when_its_time_comes__then_is_released_by_itself(world: World) -> None:
    body = {"member_id": world.coffee.member()["id"], "points": 80, "available_at": in_days(5 / 86_400)}
    first = world.coffee.post("/v1/earns", body, key=(key := unique()))
    until(lambda: world.coffee.balance(body["member_id"])["posted"] == 80)
    assert world.coffee.post("/v1/earns", body, key=key).json() == first.json(), "a repeat has the first answer"
    assert world.service.read(lambda connection: behind_ms(connection, hasty_clock())) < 60_000


def test_cancel__then_nothing_comes_and_a_repeat_says_so(world: World) -> None:
    made, key = pending(world), unique()
    path = f"/v1/earns/{made['id']}/cancel"
    first, again = world.coffee.post(path, key=key), world.coffee.post(path, key=key)
    assert (first.status_code, first.json()["state"], first.json()["pending"]) == (200, "cancelled", False)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    assert world.coffee.balance(made["member_id"])["incoming"] == 0
    problem(world.coffee.post(path, key=unique()), 409, "earn-not-pending")
    problem(
        world.coffee.send("PATCH", f"/v1/earns/{made['id']}", {"points": 1}, key=key), 422, "idempotency-key-reused"
    )


def test_change__of_nothing_or_to_too_far_ahead_or_of_no_earn__then_is_refused(world: World) -> None:
    path = f"/v1/earns/{pending(world)['id']}"
    problem(world.coffee.send("PATCH", path, {}, key=unique()), 422, "invalid-request")
    far = problem(
        world.coffee.send("PATCH", path, {"available_at": in_days(4_000)}, key=unique()), 422, "release-too-far"
    )
    assert far["field"] == "available_at"
    problem(world.coffee.send("PATCH", path, {"points": 5}), 400, "idempotency-key-missing")
    problem(world.airline.post(f"{path}/cancel", key=unique()), 404, "unknown-operation")
    problem(world.coffee.post("/v1/earns/op_none/cancel", key=unique()), 404, "unknown-operation")


def test_expirations__then_list_each_day_with_all_of_it_page_by_page(world: World) -> None:
    member = world.coffee.member(points=5)
    world.coffee.earn(member["id"], 7)
    later = world.coffee.earn(member["id"], 9, wait_s=None)
    path = f"/v1/members/{member['id']}/expirations"
    days = world.coffee.get(path).json()["items"]
    assert sum(one["points"] for one in days) == 21 and len(days) <= 2
    expected = (datetime.fromisoformat(later["created_at"]) + timedelta(days=30)).date().isoformat()
    assert days[-1]["day"] == expected
    assert days[0]["first_at"].startswith(days[0]["day"])
    page = world.coffee.get(path, limit=1).json()
    assert page["items"] == days[:1] and (page["next"] is None) == (len(days) == 1)
    never = world.airline.member(points=5)
    assert world.airline.get(f"/v1/members/{never['id']}/expirations").json()["items"] == []


@pytest.mark.parametrize("wrong", [[0], [366], [7, 7], list(range(1, 10)), [1.5]])
def test_notices__that_make_no_sense__then_422(world: World, wrong: list[float]) -> None:
    path = f"/v1/programs/{world.coffee.id}/notices"
    problem(world.coffee.send("PUT", path, {"notice_days": wrong}), 422, "invalid-request")


def test_notices__then_members_are_told_ahead_of_all_that_expires(world: World) -> None:
    member = world.coffee.member(points=5)
    path = f"/v1/programs/{world.coffee.id}/notices"
    cursor = world.service.read(events.last_cursor)
    answer = world.coffee.send("PUT", path, {"notice_days": [7, 30]}).json()
    assert answer["notice_days"] == [30, 7]
    told = until(lambda: _told(world, cursor, member["id"]))
    assert (told["kind"], told["state"], told["told"]["points"], told["told"]["lead_days"]) == (
        "expiry",
        "expiring",
        5,
        30,
    )
    assert world.coffee.send("PUT", path, {"notice_days": []}).json()["notice_days"] == []
    problem(world.airline.send("PUT", path, {"notice_days": []}), 403, "forbidden")


def _told(world: World, cursor: int, member_id: str) -> dict[str, Any]:
    """What was told of a member since then; empty: nothing yet."""
    while True:
        found, after = world.service.read(partial(events.after, cursor=cursor, program_id=world.coffee.id))
        for one in found:
            if isinstance(one, events.SubjectEvent) and one.subject == member_id:
                return asdict(one)
        if after == cursor:
            return {}
        cursor = after
