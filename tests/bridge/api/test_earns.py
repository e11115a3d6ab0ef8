"""Earns: one, and up to a thousand in a call."""

from typing import Any

import pytest

from bridge.api.earns import BULK_ITEMS_MAX
from exchange.points import POINTS_MAX

from .world import World, problem, unique


def _bulk(world: World, *items: dict[str, Any]) -> dict[str, Any]:
    response = world.coffee.post("/v1/earns/bulk", {"items": items})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize(("cents", "points"), [(50, 1), (99, 1), (100, 2), (12_345, 246)])
def test_spend__then_earns_at_the_programs_rate_rounded_down(world: World, cents: int, points: int) -> None:
    member = world.coffee.member()
    body = {"member_number": member["member_number"], "spend_minor": cents, "occurred_at": "2026-05-01T10:00:00Z"}

    response = world.coffee.post("/v1/earns", body, key=(key := unique()))

    assert response.status_code == 202
    made = response.json()
    assert (made["kind"], made["state"], made["reason"], made["points"]) == ("earn", "accepted", None, points)
    assert (made["program_id"], made["member_id"]) == (world.coffee.id, member["id"])
    assert (made["idempotency_key"], made["occurred_at"]) == (key, "2026-05-01T10:00:00.000Z")
    assert made["swap"] is made["transaction"] is made["block"] is made["batch_id"] is None
    assert world.coffee.balance(member["id"])["available"] == points


@pytest.mark.parametrize("cents", [0, 49])
def test_spend__too_small__then_earns_nothing_and_says_so_repeated_too(world: World, cents: int) -> None:
    member, key = world.coffee.member(), unique()
    body = {"member_id": member["id"], "spend_minor": cents}

    first = world.coffee.post("/v1/earns", body, key=key)
    again = world.coffee.post("/v1/earns", body, key=key)

    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    made = first.json()
    assert (made["state"], made["points"], made["reason"]) == ("final", 0, "nothing-earned")
    assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    assert world.coffee.balance(member["id"])["available"] == 0


@pytest.mark.parametrize(("cents", "nearest"), [(-1, 0), (10**30, ((POINTS_MAX + 1) * 100 - 1) // 2)])
def test_spend__out_of_bounds__then_422_with_the_nearest(world: World, cents: int, nearest: int) -> None:
    body = {"member_id": world.coffee.member()["id"], "spend_minor": cents}

    refusal = problem(world.coffee.post("/v1/earns", body, key=unique()), 422, "invalid-amount")

    assert (refusal["field"], refusal["nearest"]) == ("spend_minor", nearest)


@pytest.mark.parametrize(
    "body",
    [
        {"points": 1},
        {"member_id": "a", "member_number": "b", "points": 1},
        {"member_id": "a"},
        {"member_id": "a", "points": 1, "spend_minor": 1},
    ],
)
def test_earn__that_says_too_little_or_too_much__then_422(world: World, body: dict[str, Any]) -> None:
    assert (
        "exactly one" in problem(world.coffee.post("/v1/earns", body, key=unique()), 422, "invalid-request")["detail"]
    )


@pytest.mark.parametrize("field", ["member_id", "member_number"])
def test_earn__for_nobody__then_404_that_names_how_the_member_was_named(world: World, field: str) -> None:
    response = world.coffee.post("/v1/earns", {field: "nobody", "points": 1}, key=unique())

    assert problem(response, 404, "unknown-member")["field"] == field


def test_bulk__then_each_item_has_its_own_fate_in_order(world: World) -> None:
    member = world.coffee.member()["id"]
    old = unique("event")
    assert _bulk(world, {"event_id": old, "member_id": member, "points": 5})["counts"]["accepted"] == 1

    answer = _bulk(
        world,
        {"event_id": unique("event"), "member_id": member, "spend_minor": 500},
        {"event_id": old, "member_id": member, "points": 5},
        {"event_id": unique("event"), "member_id": member, "spend_minor": 0},
        {"event_id": unique("event"), "member_number": "nobody", "points": 1},
        {"event_id": unique("event"), "member_id": member, "points": 0},
        {"event_id": old, "member_id": member, "points": 6},
    )

    results = answer["results"]
    statuses = ["accepted", "replayed", "nothing_earned", "refused", "refused", "refused"]
    assert [one["status"] for one in results] == statuses
    assert [one["points"] for one in results] == [10, 5, 0, 0, 0, 0]
    assert [one["problem"] and one["problem"]["field"] for one in results] == [
        None,
        None,
        None,
        "member_number",
        "points",
        "event_id",
    ]
    assert [one["problem"]["status"] for one in results[3:]] == [404, 422, 422]
    assert [one["operation_id"] is None for one in results] == [False, False, False, True, True, True]
    assert answer["counts"] == {"accepted": 1, "replayed": 1, "nothing_earned": 1, "refused": 3}
    assert world.coffee.balance(member)["available"] == 15


def test_bulk__with_one_event_twice__then_it_counts_once(world: World) -> None:
    member, event = world.coffee.member()["id"], unique("event")
    item = {"event_id": event, "member_id": member, "points": 9}

    answer = _bulk(world, item, item, item | {"points": 10})

    assert [one["status"] for one in answer["results"]] == ["accepted", "replayed", "refused"]
    assert answer["results"][0]["operation_id"] == answer["results"][1]["operation_id"]
    assert answer["results"][2]["problem"]["type"] == "urn:sarraf:problem:idempotency-key-reused"
    assert world.coffee.balance(member)["available"] == 9


def test_bulk__with_a_zero_event_again__then_it_is_replayed(world: World) -> None:
    item = {"event_id": unique("event"), "member_id": world.coffee.member()["id"], "spend_minor": 0}

    answers = [_bulk(world, item, item), _bulk(world, item)]

    statuses = [one["status"] for answer in answers for one in answer["results"]]
    assert statuses == ["nothing_earned", "replayed", "replayed"]
    assert answers[1]["counts"] == {"accepted": 0, "replayed": 1, "nothing_earned": 0, "refused": 0}


def test_bulk__of_an_event_that_was_earned_alone__then_is_replayed(world: World) -> None:
    member, event = world.coffee.member()["id"], unique("event")
    alone = world.coffee.post("/v1/earns", {"member_id": member, "points": 3}, key=event).json()

    (result,) = _bulk(world, {"event_id": event, "member_id": member, "points": 3})["results"]

    assert (result["status"], result["operation_id"]) == ("replayed", alone["id"])


def test_bulk__of_a_thousand__then_all_are_accepted_and_repeating_changes_nothing(world: World) -> None:
    member, first = world.coffee.member()["id"], unique("event")
    items = [{"event_id": f"{first}-{place}", "member_id": member, "points": 1} for place in range(BULK_ITEMS_MAX)]

    once, again = _bulk(world, *items), _bulk(world, *items)

    assert once["counts"]["accepted"] == again["counts"]["replayed"] == BULK_ITEMS_MAX
    assert [one["event_id"] for one in once["results"]] == [item["event_id"] for item in items]
    assert [one["operation_id"] for one in once["results"]] == [one["operation_id"] for one in again["results"]]
    assert world.coffee.balance(member)["available"] == BULK_ITEMS_MAX


@pytest.mark.parametrize(("count", "limit"), [(0, 1), (BULK_ITEMS_MAX + 1, BULK_ITEMS_MAX)])
def test_bulk__of_none_or_too_many__then_422_with_the_limit(world: World, count: int, limit: int) -> None:
    member = world.coffee.member()["id"]
    items = [{"event_id": str(place), "member_id": member, "points": 1} for place in range(count)]

    refusal = problem(world.coffee.post("/v1/earns/bulk", {"items": items}), 422, "invalid-request")

    assert (refusal["field"], refusal["limit"]) == ("items", limit)
    assert world.coffee.balance(member)["available"] == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_id": ""}, "items.1.event_id"),
        ({"event_id": "e" * 256}, "items.1.event_id"),
        ({"points": "1"}, "items.1.points"),
    ],
)
def test_bulk__with_a_misshapen_item__then_422_for_the_call_and_nothing_is_kept(
    world: World, change: dict[str, Any], field: str
) -> None:
    member = world.coffee.member()["id"]
    good = {"event_id": unique("event"), "member_id": member, "points": 1}

    response = world.coffee.post("/v1/earns/bulk", {"items": [good, good | {"event_id": unique("event")} | change]})

    assert problem(response, 422, "invalid-request")["field"] == field
    assert world.coffee.balance(member)["available"] == 0
