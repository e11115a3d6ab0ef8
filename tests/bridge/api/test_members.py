"""Members: enrolment, balances, lots and link codes."""

from typing import Any

import pytest

from .world import CUSTOMER_POINTS, World, problem, unique


def test_enrol__of_a_new_number__then_answers_201_with_an_account_of_its_own(world: World) -> None:
    number = unique("card")

    response = world.coffee.post("/v1/members", {"member_number": number})

    assert response.status_code == 201
    member = response.json()
    assert member["member_number"] == number and member["program_id"] == world.coffee.id
    assert member["link_id"] is None
    assert len(bytes.fromhex(member["reference"][2:])) == len(bytes.fromhex(member["account"][2:])) == 20
    assert world.coffee.get(f"/v1/members/{member['id']}").json() == member


def test_enrol__of_the_same_number__then_answers_200_with_the_same_member(world: World) -> None:
    body = {"member_number": unique("card")}
    first = world.coffee.post("/v1/members", body)

    again = world.coffee.post("/v1/members", body)
    elsewhere = world.airline.post("/v1/members", body)

    assert again.status_code == 200 and again.json() == first.json()
    assert elsewhere.status_code == 201 and elsewhere.json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    ("number", "field"),
    [("", "member_number"), ("9" * 65, "member_number"), (7, "member_number"), (None, "member_number")],
)
def test_enrol__of_what_is_no_number__then_says_so(world: World, number: Any, field: str) -> None:
    refusal = problem(world.coffee.post("/v1/members", {"member_number": number}), 422, "invalid-request")

    assert refusal["field"] == field


def test_enrol__of_half_a_character__then_is_refused(world: World) -> None:
    response = world.coffee.send(
        "POST",
        "/v1/members",
        content=b'{"member_number": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )

    assert problem(response, 422, "invalid-request")["field"] == "member_number"


def test_list__by_number__then_has_that_member_only(world: World) -> None:
    member = world.coffee.member()

    page = world.coffee.get("/v1/members", member_number=member["member_number"]).json()

    assert page == {"items": [member], "next": None, "previous": None}
    assert world.coffee.get("/v1/members", member_number=unique("nobody")).json()["items"] == []


def test_list__by_cursor__then_pages_both_ways_without_gap_or_repeat(world: World) -> None:
    for _ in range(3):
        world.books.member()
    everything = world.books.get("/v1/members", limit=200).json()["items"]
    pages: list[dict[str, Any]] = [world.books.get("/v1/members", limit=2).json()]
    assert pages[0]["previous"] is None

    while pages[-1]["next"]:
        pages.append(world.books.get("/v1/members", limit=2, cursor=pages[-1]["next"]).json())
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(world.books.get("/v1/members", limit=2, cursor=back[-1]["previous"]).json())

    assert len(pages) >= 2
    assert [one for page in pages for one in page["items"]] == everything
    assert [page["items"] for page in reversed(back)] == [page["items"] for page in pages]
    assert [one["id"] for one in everything] == sorted(one["id"] for one in everything)


def test_balance__before_and_after_the_chain_confirms__then_tells_them_apart(world: World) -> None:
    member = world.coffee.member()
    with world.posting_stopped():
        earned = world.coffee.earn(member["id"], 70)
        before = world.coffee.balance(member["id"])
    world.final(earned["id"])
    after = world.coffee.balance(member["id"])

    counted = ("posted", "available", "swappable", "pending_in", "pending_out", "incoming")
    assert [before[name] for name in counted] == [0, 70, 0, 70, 0, 0]
    assert [after[name] for name in counted] == [70, 70, 70, 0, 0, 0]
    assert after["accounts"] == [
        {"reference": member["reference"], "address": member["account"], "posted": 70, "available": 70, "held": 0}
    ]
    assert after["block"] >= world.final(earned["id"])["block"] > 0


def test_balance__with_points_held_for_a_redemption__then_they_are_not_available(world: World) -> None:
    customer = world.customer()
    with world.posting_stopped():
        world.coffee.post("/v1/redemptions", {"member_id": customer.coffee, "points": 400}, key=unique())
        held = world.coffee.balance(customer.coffee)

    assert (held["posted"], held["pending_out"]) == (CUSTOMER_POINTS, 400)
    assert held["available"] == held["swappable"] == CUSTOMER_POINTS - 400


def test_lots__after_earns__then_tell_what_is_left_and_when_it_expires(world: World) -> None:
    customer = world.customer()
    later = world.coffee.earn(customer.coffee, 50)
    world.coffee.post("/v1/redemptions", {"member_id": customer.coffee, "points": 300}, key=unique())

    first, second = world.coffee.get(f"/v1/members/{customer.coffee}/lots").json()["items"]

    assert (first["amount"], first["remaining"]) == (CUSTOMER_POINTS, CUSTOMER_POINTS - 300), (
        "the oldest is spent first"
    )
    assert (second["amount"], second["remaining"], second["operation_id"]) == (50, 50, later["id"])
    assert first["expires_at"] < second["expires_at"] and first["earned_at"] < first["expires_at"]
    there = world.airline.member(points=5)
    assert world.airline.get(f"/v1/members/{there['id']}/lots").json()["items"][0]["expires_at"] is None


def test_lots__once_expired__then_are_not_spent(world: World) -> None:
    member = world.coffee.member(points=40)

    with world.later(31 * 86_400) as caller:
        late = caller(world.coffee.key)
        response = late.post("/v1/redemptions", {"member_id": member["id"], "points": 1}, key=unique())
        assert late.get(f"/v1/members/{member['id']}/balance").json()["available"] == 0

    refusal = problem(response, 409, "insufficient-points")
    assert refusal["limit"] == 0 and "nearest" not in refusal


def test_show__of_nobody__then_is_unknown(world: World) -> None:
    for path in ("", "/balance", "/lots"):
        problem(world.coffee.get(f"/v1/members/mbr_nobody{path}"), 404, "unknown-member")
    problem(world.coffee.post("/v1/members/mbr_nobody/link-codes"), 404, "unknown-member")
