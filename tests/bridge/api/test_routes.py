"""Routes: the best ways, each explained, and nothing promised."""

from typing import Any

import pytest

from .trio import Traveller, Trio
from .world import problem


@pytest.fixture(scope="module")
def who(trio: Trio) -> Traveller:
    return trio.traveller()


def _routes(trio: Trio, **more: Any) -> Any:
    asked = {"from_program_id": trio.alfa.id, "to_program_id": trio.charlie.id}
    return trio.alfa.get("/v1/routes", **(asked | more))


def test_routes__by_points__then_the_best_first_each_explained(trio: Trio) -> None:
    answer = _routes(trio, amount_in=1_003, count=5).json()

    through, direct = answer["items"]
    assert answer["complete"]
    assert through["path"] == [trio.alfa.id, trio.bravo.id, trio.charlie.id]
    assert (through["amount_in"], through["amount_out"], through["remainder"]) == (1_000, 1_500, 3)
    assert (direct["path"], direct["amount_out"]) == ([trio.alfa.id, trio.charlie.id], 300)
    for route in (through, direct):
        assert [hop["terms_version"] for hop in route["hops"]] == [1] * len(route["hops"])
        assert route["value"]["currency"] == "USD" and route["value"]["note"]
        assert {"burned", "base", "remainder", "value given", "loss"} <= {
            each["label"] for each in route["explanation"]
        }


def test_routes__by_hops__then_the_shortest_first(trio: Trio) -> None:
    assert [len(each["hops"]) for each in _routes(trio, amount_in=1_000, best="hops", count=2).json()["items"]] == [
        1,
        2,
    ]
    assert [len(each["hops"]) for each in _routes(trio, amount_in=1_000, hops_max=1, count=2).json()["items"]] == [1]


def test_routes__for_an_amount_out__then_the_one_that_takes_least(trio: Trio) -> None:
    (best,) = _routes(trio, amount_out=300).json()["items"]

    assert (len(best["hops"]), best["amount_in"], best["amount_out"]) == (2, 200, 300)


def test_routes__then_a_quote_along_one_is_the_same_and_firm(trio: Trio, who: Traveller) -> None:
    for route in _routes(trio, amount_in=1_003, count=2, member_id=who.alfa).json()["items"]:
        quoted = trio.quote(who, amount_in=1_003, path=route["path"]).json()

        assert {name: quoted[name] for name in route} == route


def test_routes__of_a_member__then_what_is_left_of_the_caps_counts(trio: Trio) -> None:
    who = trio.traveller()
    assert trio.quote(who, amount_in=6_000).status_code == 201, "which reserves most of 8,000 a year"

    for_anybody = _routes(trio, amount_in=4_000, hops_max=1)
    refusal = problem(_routes(trio, amount_in=4_000, hops_max=1, member_id=who.alfa), 409, "no-route")

    assert for_anybody.json()["items"][0]["amount_in"] == 4_000
    assert refusal["field"] == "to_program_id"
    (left,) = _routes(trio, amount_in=2_000, hops_max=1, member_id=who.alfa).json()["items"]
    assert left["amount_in"] == 2_000


def test_routes__then_nothing_is_kept(trio: Trio) -> None:
    trio.world.quiet()
    before = trio.world.ledger()

    _routes(trio, amount_in=1_000, count=3)

    assert trio.world.ledger() == before


def test_routes__of_a_member_of_another_program_than_the_source__then_says_nothing_of_what_is_used(trio: Trio) -> None:
    who = trio.traveller()
    asked = {"from_program_id": trio.alfa.id, "to_program_id": trio.charlie.id, "amount_in": 4_000}

    for caller in (trio.bravo, trio.world.operator):
        refusal = problem(caller.get("/v1/routes", **asked, member_id=who.bravo), 404, "unknown-member")
        assert refusal["field"] == "member_id"
    problem(trio.bravo.get("/v1/routes", **asked, member_id=who.alfa), 404, "unknown-member")

    assert trio.world.operator.get("/v1/routes", **asked, member_id=who.alfa).status_code == 200


@pytest.mark.parametrize(
    ("more", "status", "slug", "field"),
    [
        ({}, 422, "invalid-request", "amount_in"),
        ({"amount_in": 1, "amount_out": 1}, 422, "invalid-request", "amount_in"),
        ({"amount_in": 0}, 422, "invalid-amount", "amount_in"),
        ({"amount_in": -5}, 422, "invalid-amount", "amount_in"),
        ({"amount_out": 2**48}, 422, "invalid-amount", "amount_out"),
        ({"amount_in": "1.5"}, 422, "invalid-request", "amount_in"),
        ({"amount_in": 1, "hops_max": 5}, 422, "invalid-request", "hops_max"),
        ({"amount_in": 1, "count": 17}, 422, "invalid-request", "count"),
        ({"amount_in": 1, "best": "price"}, 422, "invalid-request", "best"),
        ({"amount_in": 1, "to_program_id": "prg_nowhere"}, 404, "unknown-program", "program_id"),
        ({"amount_in": 1, "member_id": "mbr_nobody"}, 404, "unknown-member", "member_id"),
    ],
)
def test_routes__asked_for_what_cannot_be__then_says_what(
    trio: Trio, more: dict[str, Any], status: int, slug: str, field: str
) -> None:
    assert problem(_routes(trio, **more), status, slug)["field"] == field


def test_routes__below_what_any_takes__then_names_the_least(trio: Trio) -> None:
    refusal = problem(_routes(trio, amount_in=99), 409, "no-route")

    assert (refusal["limit"], refusal["nearest"]) == (100, 100)


def test_routes__where_none_leads__then_409(trio: Trio) -> None:
    problem(_routes(trio, from_program_id=trio.charlie.id, to_program_id=trio.alfa.id, amount_in=100), 409, "no-route")
