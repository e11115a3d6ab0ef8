"""Links: joined by a one-time code from each side."""

from typing import Any

import pytest

from bridge.store.links import LINK_CODE_LIFE_MS, LINK_MEMBERS_MAX

from .world import Program, World, problem, unique


def _join(caller: Program, *codes: str) -> Any:
    return caller.post("/v1/links", {"codes": codes})


def test_join__by_a_code_of_each_side__then_both_members_are_in_it(world: World) -> None:
    here, there = world.coffee.member()["id"], world.airline.member()["id"]

    response = _join(world.coffee, world.coffee.code(here), world.airline.code(there))

    assert response.status_code == 201
    made = response.json()
    assert {(one["member_id"], one["program_id"]) for one in made["members"]} == {
        (here, world.coffee.id),
        (there, world.airline.id),
    }
    for program, member_id in ((world.coffee, here), (world.airline, there)):
        assert program.get(f"/v1/members/{member_id}").json()["link_id"] == made["id"]
        assert program.get(f"/v1/links/{made['id']}").json() == made


def test_join__of_a_third_program__then_the_link_grows(world: World) -> None:
    customer, book = world.customer(), world.books.member()["id"]

    joined = _join(world.books, world.books.code(book), world.airline.code(customer.airline)).json()

    assert joined["id"] == customer.link_id
    assert {one["member_id"] for one in joined["members"]} == {customer.coffee, customer.airline, book}


def test_code__used_twice__then_422_that_names_it(world: World) -> None:
    here, there = world.coffee.member()["id"], world.airline.member()["id"]
    code = world.coffee.code(here)
    assert _join(world.coffee, code, world.airline.code(there)).status_code == 201

    again = _join(world.coffee, world.airline.code(world.airline.member()["id"]), code)

    assert problem(again, 422, "link-code-invalid")["field"] == "codes.1"


def test_code__twice_in_one_call__then_422(world: World) -> None:
    code = world.coffee.code(world.coffee.member()["id"])

    assert problem(_join(world.coffee, code, code), 422, "link-code-invalid")["field"] == "codes.1"


@pytest.mark.parametrize(("seconds", "status"), [(-30, 201), (1, 422)])
def test_code__about_its_expiry__then_is_good_until_then(world: World, seconds: int, status: int) -> None:
    codes = [program.code(program.member()["id"]) for program in (world.coffee, world.airline)]

    with world.later(LINK_CODE_LIFE_MS // 1000 + seconds) as caller:
        response = caller(world.coffee.key).post("/v1/links", {"codes": codes})

    assert response.status_code == status
    if status == 422:
        assert problem(response, 422, "link-code-invalid")["field"] == "codes.0"


def test_codes__of_others_only__then_422_and_they_stay_good(world: World) -> None:
    codes = [program.code(program.member()["id"]) for program in (world.coffee, world.airline)]

    assert problem(_join(world.books, *codes), 422, "link-code-invalid")["field"] == "codes"
    assert _join(world.airline, *codes).status_code == 201


def test_join__of_two_members_of_one_program__then_409_and_nothing_is_joined(world: World) -> None:
    members = [world.coffee.member()["id"] for _ in range(2)]
    codes = [world.coffee.code(member_id) for member_id in members]

    problem(_join(world.coffee, *codes), 409, "link-conflict")
    assert [world.coffee.get(f"/v1/members/{one}").json()["link_id"] for one in members] == [None, None]


def test_join__of_two_links_of_one_program__then_409(world: World) -> None:
    one, other = world.customer(), world.customer()
    codes = [world.coffee.code(one.coffee), world.airline.code(other.airline)]

    problem(_join(world.coffee, *codes), 409, "link-conflict")
    assert len(world.coffee.get(f"/v1/links/{one.link_id}").json()["members"]) == 2


@pytest.mark.parametrize(("count", "limit"), [(0, 2), (1, 2), (LINK_MEMBERS_MAX + 1, LINK_MEMBERS_MAX)])
def test_join__of_too_few_or_many_codes__then_422_with_the_limit(world: World, count: int, limit: int) -> None:
    refusal = problem(_join(world.coffee, *(unique("code") for _ in range(count))), 422, "invalid-request")

    assert (refusal["field"], refusal["limit"]) == ("codes", limit)


def test_leave__then_the_member_is_out_and_a_quote_no_longer_stands(world: World) -> None:
    customer = world.customer()
    asked = {"member_id": customer.coffee, "to_program_id": world.airline.id, "amount_in": 30}
    quote = world.coffee.post("/v1/quotes", asked).json()

    response = world.coffee.delete(f"/v1/links/{customer.link_id}/members/{customer.coffee}")

    assert response.status_code == 204 and response.content == b""
    assert world.coffee.get(f"/v1/members/{customer.coffee}").json()["link_id"] is None
    problem(world.coffee.get(f"/v1/links/{customer.link_id}"), 404, "unknown-link")
    problem(world.coffee.post("/v1/swaps", {"quote_id": quote["id"]}, key=unique()), 409, "not-linked")
    again = world.coffee.delete(f"/v1/links/{customer.link_id}/members/{customer.coffee}")
    problem(again, 404, "unknown-link")


def test_show__of_no_link__then_404(world: World) -> None:
    problem(world.coffee.get("/v1/links/lnk_nowhere"), 404, "unknown-link")
    problem(world.operator.get("/v1/links/lnk_nowhere"), 404, "unknown-link")
