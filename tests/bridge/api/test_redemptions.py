"""Redemptions: held at once, burned on the chain."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .world import CUSTOMER_POINTS, World, problem, unique


def test_redeem__then_the_points_are_gone_at_once_and_burned_on_the_chain(world: World) -> None:
    customer = world.customer()

    response = world.coffee.post("/v1/redemptions", {"member_id": customer.coffee, "points": 400}, key=unique())
    at_once = world.coffee.balance(customer.coffee)["available"]
    world.final(response.json()["id"])
    after = world.coffee.balance(customer.coffee)

    assert response.status_code == 202 and response.json()["kind"] == "redemption"
    assert at_once == after["available"] == after["posted"] == CUSTOMER_POINTS - 400


def test_redeem__of_points_that_are_still_on_their_way__then_is_taken(world: World) -> None:
    member = world.coffee.member(points=20)

    response = world.coffee.post(
        "/v1/redemptions", {"member_number": member["member_number"], "points": 20}, key=unique(), wait_s=30
    )

    assert response.status_code == 200 and response.json()["state"] == "final"
    assert world.coffee.balance(member["id"])["posted"] == 0


@pytest.mark.parametrize("more", [1, 10**9])
def test_redeem__of_more_than_there_is__then_409_with_what_there_is(world: World, more: int) -> None:
    member = world.coffee.member(points=12)
    body = {"member_id": member["id"], "points": 12 + more}

    refusal = problem(world.coffee.post("/v1/redemptions", body, key=unique()), 409, "insufficient-points")

    assert (refusal["field"], refusal["limit"], refusal["nearest"]) == ("points", 12, 12)
    assert world.coffee.balance(member["id"])["available"] == 12


def test_redeem__of_nothing_there__then_409_without_a_nearest(world: World) -> None:
    body = {"member_id": world.coffee.member()["id"], "points": 1}

    refusal = problem(world.coffee.post("/v1/redemptions", body, key=unique()), 409, "insufficient-points")

    assert refusal["limit"] == 0 and "nearest" not in refusal


def test_redeem__many_times_at_once__then_never_more_than_there_is(world: World) -> None:
    member = world.coffee.member(points=100)

    def redeem(_: int) -> Any:
        return world.coffee.post("/v1/redemptions", {"member_id": member["id"], "points": 30}, key=unique())

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(redeem, range(8)))

    assert statuses == [202] * 3 + [409] * 5
    assert world.coffee.balance(member["id"])["available"] == 10


@pytest.mark.parametrize("field", ["member_id", "member_number"])
def test_redeem__for_nobody__then_404(world: World, field: str) -> None:
    response = world.coffee.post("/v1/redemptions", {field: "nobody", "points": 1}, key=unique())

    assert problem(response, 404, "unknown-member")["field"] == field


@pytest.mark.parametrize("body", [{"points": 1}, {"member_id": "a", "member_number": "b", "points": 1}])
def test_redeem__that_names_no_one_or_two__then_422(world: World, body: dict[str, Any]) -> None:
    refusal = problem(world.coffee.post("/v1/redemptions", body, key=unique()), 422, "invalid-request")

    assert "exactly one" in refusal["detail"]
