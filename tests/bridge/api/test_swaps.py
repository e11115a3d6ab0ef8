"""Swaps: a quote, accepted once."""

from typing import Any

from .world import CUSTOMER_POINTS, Customer, World, problem, unique


def _quote(world: World, customer: Customer, amount_in: int) -> str:
    asked = {"member_id": customer.coffee, "to_program_id": world.airline.id, "amount_in": amount_in}
    quote_id: str = world.coffee.post("/v1/quotes", asked).json()["id"]
    return quote_id


def _swap(world: World, quote_id: str, **more: Any) -> Any:
    return world.coffee.post("/v1/swaps", {"quote_id": quote_id}, **({"key": unique()} | more))


def test_swap__then_points_leave_one_program_and_reach_the_other_in_one_transaction(world: World) -> None:
    customer = world.customer()
    quote_id = _quote(world, customer, 300)

    response = _swap(world, quote_id, wait_s=30)

    assert response.status_code == 200
    made = response.json()
    assert (made["kind"], made["state"], made["points"]) == ("swap", "final", 300)
    assert made["swap"] == {
        "to_program_id": world.airline.id,
        "to_member_id": customer.airline,
        "points_out": 100,
        "quote_id": quote_id,
        "terms_id": world.terms["id"],
        "settlement_micro": 1_000_000,
        "path": [world.coffee.id, world.airline.id],
        "hops": [
            {
                "from_program_id": world.coffee.id,
                "to_program_id": world.airline.id,
                "terms_id": world.terms["id"],
                "amount_in": 300,
                "amount_out": 100,
                "settlement_micro": 1_000_000,
            }
        ],
        "extras": [],
    }
    assert made["of_swap"] is None
    assert world.coffee.balance(customer.coffee)["posted"] == CUSTOMER_POINTS - 300
    there = world.airline.balance(customer.airline)
    assert (there["posted"], there["available"], there["incoming"]) == (100, 100, 0)
    for program in (world.coffee, world.airline):
        assert program.get(f"/v1/swaps/{made['id']}").json() == made
        assert made["id"] in {one["id"] for one in program.get("/v1/operations", kind="swap").json()["items"]}
    assert world.coffee.get(f"/v1/quotes/{quote_id}").json()["state"] == "used"


def test_swap__until_it_is_confirmed__then_what_comes_in_cannot_be_spent(world: World) -> None:
    customer = world.customer()
    with world.posting_stopped():
        swap = _swap(world, _quote(world, customer, 90)).json()
        here, there = world.coffee.balance(customer.coffee), world.airline.balance(customer.airline)
        body = {"member_id": customer.airline, "points": 1}
        problem(world.airline.post("/v1/redemptions", body, key=unique()), 409, "insufficient-points")
    world.final(swap["id"])

    assert (here["available"], here["pending_out"]) == (CUSTOMER_POINTS - 90, 90)
    assert (there["available"], there["incoming"]) == (0, 30)
    assert world.airline.balance(customer.airline)["available"] == 30


def test_swap__of_a_used_quote__then_409_with_the_swap_that_used_it(world: World) -> None:
    quote_id, key = _quote(world, world.customer(), 30), unique()
    first = _swap(world, quote_id, key=key)

    refusal = problem(_swap(world, quote_id), 409, "quote-used")
    again = _swap(world, quote_id, key=key)

    assert refusal["field"] == "quote_id" and first.json()["id"] in refusal["detail"]
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"


def test_swap__of_another_quote_under_the_same_key__then_422(world: World) -> None:
    customer, key = world.customer(), unique()
    _swap(world, _quote(world, customer, 30), key=key)

    refusal = problem(_swap(world, _quote(world, customer, 30), key=key), 422, "idempotency-key-reused")

    assert refusal["field"] == "Idempotency-Key"


def test_swap__after_the_deadline__then_409_and_nothing_moves(world: World) -> None:
    customer = world.customer()
    quote_id = _quote(world, customer, 30)

    with world.later(world.service.settings.quote_life_s + 1) as caller:
        response = caller(world.coffee.key).post("/v1/swaps", {"quote_id": quote_id}, key=unique())

    assert problem(response, 409, "quote-expired")["field"] == "quote_id"
    assert world.coffee.balance(customer.coffee)["available"] == CUSTOMER_POINTS


def test_swap__of_more_than_there_is__then_409_with_what_there_is(world: World) -> None:
    customer = world.customer()
    quote_id = _quote(world, customer, 900)
    world.coffee.post("/v1/redemptions", {"member_id": customer.coffee, "points": 400}, key=unique())

    refusal = problem(_swap(world, quote_id), 409, "insufficient-points")

    assert (refusal["field"], refusal["limit"]) == ("quote_id", CUSTOMER_POINTS - 400)


def test_swap__of_points_not_yet_on_the_chain__then_409_until_they_are(world: World) -> None:
    customer = world.customer()
    with world.posting_stopped():
        earned = world.coffee.earn(customer.coffee, 500)
        quote_id = _quote(world, customer, 1200)
        refusal = problem(_swap(world, quote_id), 409, "points-not-final")
    world.final(earned["id"])

    assert (refusal["field"], refusal["limit"]) == ("quote_id", CUSTOMER_POINTS)
    assert _swap(world, quote_id).status_code == 202


def test_swap__of_a_quote_that_is_not_the_callers__then_404(world: World) -> None:
    quote_id = _quote(world, world.customer(), 30)

    for caller in (world.airline, world.books):
        problem(caller.post("/v1/swaps", {"quote_id": quote_id}, key=unique()), 404, "unknown-quote")
    assert _swap(world, quote_id).status_code == 202


def test_show__of_what_is_no_swap__then_404(world: World) -> None:
    earn = world.coffee.earn(world.coffee.member()["id"], 1)

    problem(world.coffee.get(f"/v1/swaps/{earn['id']}"), 404, "unknown-operation")
    problem(world.coffee.get("/v1/swaps/op_nothing"), 404, "unknown-operation")
