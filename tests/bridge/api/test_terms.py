"""Terms: proposed by one program, agreed to by the other, kept on the chain."""

from typing import Any

import pytest

from exchange.points import POINTS_MAX
from exchange.terms import PRICE_MAX

from .world import World, problem


def _body(world: World, **more: Any) -> dict[str, Any]:
    return {
        "from_program_id": world.airline.id,
        "to_program_id": world.books.id,
        "ratio": {"from_units": 5, "to_units": 2},
        "settlement_price_micro": 4_000,
    } | more


def _history(world: World) -> list[tuple[int, str]]:
    asked = {"from_program_id": world.airline.id, "to_program_id": world.books.id}
    return [(one["version"], one["state"]) for one in world.coffee.get("/v1/terms", **asked).json()["items"]]


def test_terms__from_proposal_to_suspension(world: World) -> None:
    """One story, since each step takes a block: propose, consent, change, announce, suspend."""
    response = world.airline.post("/v1/terms", _body(world))
    first = response.json()

    assert response.status_code == 202
    assert (first["state"], first["version"], first["effective_at"]) == ("proposing", None, None)
    assert (first["proposed_by"], first["minimum"], first["increment"]) == (world.airline.id, 1, 1)
    path = f"/v1/terms/{first['id']}"
    problem(world.books.post(f"{path}/suspend"), 409, "terms-state")
    assert world.terms_in(first["id"], "proposed")["version"] == 1
    for wrong in (world.airline, world.coffee):
        assert problem(wrong.post(f"{path}/consent"), 403, "forbidden")["field"] == "terms_id"

    agreed = world.books.post(f"{path}/consent")
    assert (agreed.status_code, agreed.json()["state"]) == (202, "consenting")
    problem(world.books.post(f"{path}/consent"), 409, "terms-state")
    in_force = world.terms_in(first["id"], "in_force")
    assert in_force["effective_at"] is not None

    second = world.agree(world.airline, world.books, ratio={"from_units": 2, "to_units": 1})
    assert (second["version"], second["state"]) == (2, "announced"), "a change needs its notice"
    assert _history(world) == [(2, "announced"), (1, "in_force")]
    with world.later(world.service.settings.notice + 5) as caller:
        listed = caller(world.coffee.key).get("/v1/terms", from_program_id=world.airline.id).json()["items"]
        assert [(one["version"], one["state"]) for one in listed] == [(2, "in_force"), (1, "superseded")]

    problem(world.coffee.post(f"{path}/suspend"), 403, "forbidden")
    assert world.books.post(f"{path}/suspend").status_code == 202
    world.terms_in(first["id"], "suspended")
    assert _history(world) == [(2, "suspended"), (1, "suspended")]
    here, there = world.airline.member(points=10)["id"], world.books.member()["id"]
    world.airline.post("/v1/links", {"codes": [world.airline.code(here), world.books.code(there)]})
    asked = {"member_id": here, "to_program_id": world.books.id, "amount_in": 2}
    assert "suspended" in problem(world.airline.post("/v1/quotes", asked), 409, "direction-closed")["detail"]


def test_propose__by_an_operator_or_the_destination__then_is_theirs_and_the_newer_counts(world: World) -> None:
    body = _body(world, from_program_id=world.coffee.id)
    by_operator = world.operator.post("/v1/terms", body).json()
    world.terms_in(by_operator["id"], "proposed")
    problem(world.coffee.post(f"/v1/terms/{by_operator['id']}/consent"), 403, "forbidden")

    by_destination = world.books.post("/v1/terms", body).json()
    world.terms_in(by_destination["id"], "proposed")
    problem(world.books.post(f"/v1/terms/{by_destination['id']}/consent"), 403, "forbidden")

    assert (by_operator["proposed_by"], by_destination["proposed_by"]) == (world.coffee.id, world.books.id)
    assert "newer" in world.terms_in(by_operator["id"], "failed")["reason"]
    problem(world.books.post(f"/v1/terms/{by_operator['id']}/consent"), 409, "terms-state")


def test_propose__for_others__then_403(world: World) -> None:
    refusal = problem(world.coffee.post("/v1/terms", _body(world)), 403, "forbidden")

    assert refusal["field"] == "from_program_id"


@pytest.mark.parametrize(
    ("change", "slug", "field", "nearest"),
    [
        ({"ratio": {"from_units": 0, "to_units": 1}}, "invalid-ratio", "ratio.from_units", 1),
        ({"ratio": {"from_units": 1, "to_units": -1}}, "invalid-ratio", "ratio.to_units", 1),
        ({"ratio": {"from_units": 1, "to_units": 2**48}}, "invalid-ratio", "ratio.to_units", POINTS_MAX),
        ({"ratio": {"from_units": 1, "to_units": 10**90}}, "invalid-ratio", "ratio.to_units", POINTS_MAX),
        ({"minimum": 0}, "invalid-terms", "minimum", 1),
        ({"increment": 2**48}, "invalid-terms", "increment", POINTS_MAX),
        ({"settlement_price_micro": -1}, "invalid-terms", "settlement_price_micro", 0),
        ({"settlement_price_micro": 2**256}, "invalid-terms", "settlement_price_micro", PRICE_MAX),
        ({"managed_cap": 2**48}, "invalid-terms", "managed_cap", POINTS_MAX),
        ({"wallet_cap": -1}, "invalid-terms", "wallet_cap", 0),
        ({"currency": "usd"}, "invalid-request", "currency", None),
        ({"minimum": 1.0}, "invalid-request", "minimum", None),
    ],
)
def test_propose__of_numbers_that_cannot_be__then_422_and_the_service_lives(
    world: World, change: dict[str, Any], slug: str, field: str, nearest: int | None
) -> None:
    refusal = problem(world.airline.post("/v1/terms", _body(world, **change)), 422, slug)

    assert (refusal["field"], refusal.get("nearest")) == (field, nearest)
    assert world.service.writer.running and not world.service.bug.is_set()


def test_propose__to_itself_or_nobody__then_is_refused(world: World) -> None:
    own = world.airline.post("/v1/terms", _body(world, to_program_id=world.airline.id))
    assert problem(own, 422, "invalid-terms")["field"] == "to_program_id"
    problem(world.airline.post("/v1/terms", _body(world, to_program_id="prg_nowhere")), 404, "unknown-program")


def test_list__by_direction_and_state__then_those_only(world: World) -> None:
    asked = {"from_program_id": world.coffee.id, "to_program_id": world.airline.id}

    (found,) = world.books.get("/v1/terms", **asked, state="in_force").json()["items"]

    assert found == world.terms == world.books.get(f"/v1/terms/{world.terms['id']}").json()
    assert world.books.get("/v1/terms", **asked, state="failed").json()["items"] == []
    assert world.books.get("/v1/terms", from_program_id="prg_nowhere").json()["items"] == []


@pytest.mark.parametrize("step", ["", "/consent", "/suspend"])
def test_terms__that_do_not_exist__then_404(world: World, step: str) -> None:
    path = f"/v1/terms/trm_nothing{step}"

    problem(world.coffee.post(path) if step else world.coffee.get(path), 404, "unknown-terms")
