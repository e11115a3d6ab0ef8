"""Reversals over HTTP: earns and redemptions taken back once, debts and how they are paid off, and who may do it."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .world import Program, World, problem, unique

CLIENTS = 50
DEBT_LIMIT = 500


@pytest.fixture
def books(world: World) -> Iterator[Program]:
    """A program whose members may owe DEBT_LIMIT points, for as long as a test lasts."""
    path = f"/v1/programs/{world.books.id}/debt-limit"
    assert world.books.send("PUT", path, {"points": DEBT_LIMIT}).json()["debt_limit"] == DEBT_LIMIT
    yield world.books
    assert world.books.send("PUT", path, {"points": 0}).json()["debt_limit"] == 0


def reverse(program: Program, operation_id: str, points: int | None = None, **more: Any) -> Any:
    body = {"operation_id": operation_id} | ({} if points is None else {"points": points})
    return program.post("/v1/reversals", body, **({"key": unique("reversal")} | more))


def redeem(program: Program, member_id: str, points: int) -> str:
    response = program.post("/v1/redemptions", {"member_id": member_id, "points": points}, key=unique())
    assert response.status_code == 202, response.text
    operation_id: str = response.json()["id"]
    return operation_id


def redeemed_finally(world: World, program: Program, member_id: str, points: int) -> str:
    """A redemption that is final; its operation's id."""
    operation_id = redeem(program, member_id, points)
    world.final(operation_id)
    return operation_id


def test_reverse__a_redemption__then_its_points_are_back_on_the_chain(world: World) -> None:
    member = world.coffee.member(points=400)
    redeemed = redeem(world.coffee, member["id"], 300)

    part = reverse(world.coffee, redeemed, 100, wait_s=30)
    rest = reverse(world.coffee, redeemed, wait_s=30)

    assert (part.status_code, part.json()["state"]) == (200, "final")
    assert (part.json()["kind"], part.json()["points"]) == ("reversal", 100)
    detail = {"operation_id": redeemed, "taken": 0, "returned": 200, "expired": 0, "owed": 0}
    assert rest.json()["reversal"] == detail
    balance = world.coffee.balance(member["id"])
    assert (balance["available"], balance["posted"], balance["debt"]) == (400, 400, 0)


def test_reverse__a_redemption_that_is_not_final__then_409_that_says_so_and_the_same_request_later_is_accepted(
    world: World,
) -> None:
    member = world.coffee.member(points=40)
    redeemed, key = redeem(world.coffee, member["id"], 30), unique()

    refusal = problem(reverse(world.coffee, redeemed, key=key), 409, "not-reversible")

    assert "not final yet; try again when it is" in refusal["detail"]
    waited = reverse(world.coffee, redeemed, key=key, wait_s=30)
    assert (waited.status_code, waited.json()["state"]) == (200, "final")


def test_reverse__an_earn_that_is_spent__then_409_that_names_what_can_be_taken(world: World) -> None:
    member = world.coffee.member()
    earned = world.coffee.earn(member["id"], 100)["id"]
    redeem(world.coffee, member["id"], 70)

    refusal = problem(reverse(world.coffee, earned), 409, "points-spent")

    assert (refusal["field"], refusal["limit"], refusal["nearest"]) == ("points", 30, 30)
    assert reverse(world.coffee, earned, 30).status_code == 202


def test_reverse__an_earn_that_is_spent_where_members_may_owe__then_the_next_earns_pay_it_off(
    world: World, books: Program
) -> None:
    member = books.member()
    earned = books.earn(member["id"], 100)["id"]
    redeem(books, member["id"], 70)

    made = reverse(books, earned, wait_s=30).json()

    detail = {"operation_id": earned, "taken": 30, "returned": 0, "expired": 0, "owed": 70}
    assert (made["state"], made["reversal"]) == ("final", detail)
    assert (books.balance(member["id"])["available"], books.balance(member["id"])["debt"]) == (0, 70)
    assert books.get("/v1/audit").json()["programs"][0]["owed"] >= 70
    items = [{"event_id": unique(), "member_id": member["id"], "points": points} for points in (20, 60)]
    counts = books.post("/v1/earns/bulk", {"items": items}).json()["counts"]
    assert counts["accepted"] == 2
    listed = books.get("/v1/operations", member_id=member["id"], kind="repayment").json()["items"]
    assert [one["points"] for one in listed] == [50, 20]
    assert all(one["of_credit"] is not None and one["of_swap"] is None for one in listed)
    for one in listed:
        world.final(one["id"])
    balance = books.balance(member["id"])
    assert (balance["posted"], balance["available"], balance["debt"]) == (10, 10, 0)


def test_reverse__all_of_which_is_owed__then_is_done_at_once(books: Program) -> None:
    member = books.member()
    earned = books.earn(member["id"], 40)["id"]
    redeem(books, member["id"], 40)
    key = unique()

    made = reverse(books, earned, key=key)
    again = reverse(books, earned, key=key)

    assert (made.status_code, made.json()["state"], made.json()["reason"]) == (200, "final", "nothing-posted")
    assert made.json()["reversal"]["owed"] == 40
    assert (again.status_code, again.json()) == (200, made.json())
    assert again.headers["idempotency-replayed"] == "true"


def test_reverse__beyond_what_may_be_owed__then_409(books: Program) -> None:
    member = books.member()
    earned = books.earn(member["id"], DEBT_LIMIT + 5)["id"]
    redeem(books, member["id"], DEBT_LIMIT + 5)

    refusal = problem(reverse(books, earned), 409, "points-spent")

    assert refusal["nearest"] == DEBT_LIMIT
    assert reverse(books, earned, DEBT_LIMIT).status_code == 200
    assert "nearest" not in problem(reverse(books, earned, 1), 409, "points-spent")


def test_reverse__what_cannot_be__then_409_in_words(world: World) -> None:
    member = world.coffee.member(points=50)
    redeemed = redeemed_finally(world, world.coffee, member["id"], 10)
    reversal = reverse(world.coffee, redeemed).json()["id"]

    refusal = problem(reverse(world.coffee, reversal), 409, "not-reversible")

    assert refusal["field"] == "operation_id" and "is a reversal itself" in refusal["detail"]
    over = problem(reverse(world.coffee, redeemed, 1), 409, "more-than-original")
    assert over["limit"] == 0 and "nearest" not in over
    problem(reverse(world.coffee, "op_nothing"), 404, "unknown-operation")
    problem(world.coffee.post("/v1/reversals", {"operation_id": redeemed}), 400, "idempotency-key-missing")


def test_reverse__in_parts_by_fifty_clients_at_once__then_never_more_than_the_original(world: World) -> None:
    """Each asks for a part under a key of its own, and each asks twice."""
    member = world.coffee.member(points=1_000)
    redeemed = redeemed_finally(world, world.coffee, member["id"], 1_000)
    keys = [unique("race") for _ in range(CLIENTS)]

    def ask(place: int) -> Any:
        return reverse(world.coffee, redeemed, 30, key=keys[place % CLIENTS])

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(ask, range(2 * CLIENTS)))

    counted = Counter(answer.status_code for answer in answers)
    done = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(done) == 1_000 // 30
    assert counted == {202: 2 * len(done), 409: 2 * (CLIENTS - len(done))}
    assert {answer.json()["type"] for answer in answers if answer.status_code == 409} == {
        "urn:sarraf:problem:more-than-original"
    }
    assert world.coffee.balance(member["id"])["available"] == 30 * len(done)
    for operation_id in done:
        world.final(operation_id)
    assert world.coffee.balance(member["id"])["posted"] == 30 * len(done)


def test_reverse__and_earn_and_redeem_by_many_at_once__then_points_and_debt_add_up(
    world: World, books: Program
) -> None:
    """Parts of one earn are taken back while its member goes on earning and spending."""
    member = books.member()
    first = books.earn(member["id"], 300)["id"]
    redeem(books, member["id"], 300)

    def act(place: int) -> tuple[str, int, int]:
        kind = ("reverse", "earn", "redeem")[place % 3]
        if kind == "reverse":
            status = reverse(books, first, 15).status_code
        elif kind == "earn":
            status = books.post("/v1/earns", {"member_id": member["id"], "points": 15}, key=unique()).status_code
        else:
            body = {"member_id": member["id"], "points": 5}
            status = books.post("/v1/redemptions", body, key=unique()).status_code
        return kind, status, {"reverse": -15, "earn": 15, "redeem": -5}[kind]

    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(act, range(48)))

    assert {status for kind, status, _ in done if kind != "redeem"} <= {200, 202}
    world.quiet()
    balance = books.balance(member["id"])
    assert balance["available"] - balance["debt"] == sum(moved for _, status, moved in done if status in (200, 202))
    assert balance["posted"] == balance["available"] >= 0
    assert books.get("/v1/audit").json()["verdict"] == "ok"


@pytest.mark.parametrize(("scope", "other"), [("earn", "redeem"), ("redeem", "earn")])
def test_reverse__with_the_scope_of_what_it_takes_back__then_only_that(world: World, scope: str, other: str) -> None:
    member = world.coffee.member(points=20)
    ids = {
        "earn": world.coffee.earn(member["id"], 5)["id"],
        "redeem": redeemed_finally(world, world.coffee, member["id"], 5),
    }
    caller = world.caller(world.key(world.coffee.id, (scope, "read"))["key"])

    def ask(operation_id: str) -> Any:
        return caller.post("/v1/reversals", {"operation_id": operation_id}, key=unique())

    assert ask(ids[scope]).status_code == 202
    assert f"'{other}'" in problem(ask(ids[other]), 403, "forbidden")["detail"]


def test_reverse__with_neither_scope__then_403_that_names_both(world: World) -> None:
    caller = world.caller(world.key(world.coffee.id, ("read",))["key"])

    refusal = problem(caller.post("/v1/reversals", {"operation_id": "op_any"}, key=unique()), 403, "forbidden")

    assert "'earn' or 'redeem'" in refusal["detail"]


@pytest.mark.parametrize("points", [-1, 2**48, 1.0, "5", None, True])
def test_debt_limit__that_is_no_amount__then_422(world: World, points: object) -> None:
    response = world.books.send("PUT", f"/v1/programs/{world.books.id}/debt-limit", {"points": points})

    assert problem(response, 422, "invalid-request")["field"] == "points"


def test_debt_limit__of_another_program__then_403(world: World) -> None:
    response = world.books.send("PUT", f"/v1/programs/{world.coffee.id}/debt-limit", {"points": 1})

    assert problem(response, 403, "forbidden")["field"] == "program_id"
    assert world.operator.get(f"/v1/programs/{world.coffee.id}").json()["debt_limit"] == 0
