"""Quotes: firm offers, explained."""

from typing import Any

import pytest

from .world import CUSTOMER_POINTS, World, problem


def _ask(world: World, member_id: str, **more: Any) -> Any:
    return world.coffee.post("/v1/quotes", {"member_id": member_id, "to_program_id": world.airline.id} | more)


@pytest.fixture
def customer(world: World) -> Any:
    return world.customer()


def test_quote__for_an_amount_in__then_explains_itself_line_by_line(world: World, customer: Any) -> None:
    response = _ask(world, customer.coffee, amount_in=100)

    assert response.status_code == 201
    made = response.json()
    assert (made["member_id"], made["to_member_id"]) == (customer.coffee, customer.airline)
    assert (made["from_program_id"], made["to_program_id"]) == (world.coffee.id, world.airline.id)
    assert (made["amount_in"], made["amount_out"], made["remainder"]) == (99, 33, 1)
    assert (made["terms_id"], made["terms_version"]) == (world.terms["id"], world.terms["version"])
    assert (made["settlement_micro"], made["currency"], made["state"]) == (330_000, "USD", "open")
    assert [(line["label"], line["points"]) for line in made["explanation"]] == [
        ("burned", 99),
        ("base", 33),
        ("remainder", 1),
    ]
    assert all(line["detail"] for line in made["explanation"])
    assert world.coffee.get(f"/v1/quotes/{made['id']}").json() == made


def test_quote__for_an_amount_out__then_gives_at_least_that(world: World, customer: Any) -> None:
    made = _ask(world, customer.coffee, amount_out=50).json()

    assert (made["amount_in"], made["amount_out"], made["remainder"]) == (150, 50, 0)


def test_quote__by_member_number__then_is_the_same_member(world: World, customer: Any) -> None:
    number = world.coffee.get(f"/v1/members/{customer.coffee}").json()["member_number"]

    made = world.coffee.post(
        "/v1/quotes", {"member_number": number, "to_program_id": world.airline.id, "amount_in": 30}
    ).json()

    assert made["member_id"] == customer.coffee


def test_quote__below_the_minimum__then_422_with_the_nearest(world: World, customer: Any) -> None:
    refusal = problem(_ask(world, customer.coffee, amount_in=29), 422, "below-minimum")

    assert (refusal["field"], refusal["limit"], refusal["nearest"]) == ("amount_in", 30, 30)


def test_quote__of_less_out_than_the_minimum_gives__then_gives_the_minimum(world: World, customer: Any) -> None:
    made = _ask(world, customer.coffee, amount_out=1).json()

    assert (made["amount_in"], made["amount_out"]) == (30, 10)


@pytest.mark.parametrize("more", [{}, {"amount_in": 30, "amount_out": 10}])
def test_quote__for_no_amount_or_two__then_422(world: World, customer: Any, more: dict[str, int]) -> None:
    assert "exactly one" in problem(_ask(world, customer.coffee, **more), 422, "invalid-request")["detail"]


def test_quote__for_a_member_without_a_link__then_409(world: World) -> None:
    refusal = problem(_ask(world, world.coffee.member()["id"], amount_in=30), 409, "not-linked")

    assert refusal["field"] == "to_program_id"


def test_quote__in_a_direction_without_terms__then_409(world: World) -> None:
    here, there = world.coffee.member()["id"], world.books.member()["id"]
    world.coffee.post("/v1/links", {"codes": [world.coffee.code(here), world.books.code(there)]})

    response = _ask(world, here, to_program_id=world.books.id, amount_in=30)

    assert problem(response, 409, "no-terms")["field"] == "to_program_id"


def test_quote__to_the_own_or_no_program__then_is_refused(world: World, customer: Any) -> None:
    problem(_ask(world, customer.coffee, to_program_id="prg_nowhere", amount_in=30), 404, "unknown-program")
    own = _ask(world, customer.coffee, to_program_id=world.coffee.id, amount_in=30)
    assert own.status_code == 409


def test_quote__for_more_than_there_is__then_409_with_what_there_is(world: World, customer: Any) -> None:
    """An offer holds nothing, but what it takes of caps is kept from everybody else."""
    refusal = problem(_ask(world, customer.coffee, amount_in=300_000), 409, "insufficient-points")

    assert (refusal["field"], refusal["limit"]) == ("amount_in", CUSTOMER_POINTS)


def test_quote__after_its_deadline__then_is_expired(world: World, customer: Any) -> None:
    made = _ask(world, customer.coffee, amount_in=30).json()

    states = []
    for seconds in (-30, 1):
        with world.later(world.service.settings.quote_life_s + seconds) as caller:
            states.append(caller(world.coffee.key).get(f"/v1/quotes/{made['id']}").json()["state"])

    assert states == ["open", "expired"]


def test_quote__shown_to_its_destination_or_by_a_wrong_id__then_404(world: World, customer: Any) -> None:
    made = _ask(world, customer.coffee, amount_in=30).json()

    problem(world.airline.get(f"/v1/quotes/{made['id']}"), 404, "unknown-quote")
    problem(world.coffee.get("/v1/quotes/quo_nothing"), 404, "unknown-quote")
    assert world.operator.get(f"/v1/quotes/{made['id']}").status_code == 200
