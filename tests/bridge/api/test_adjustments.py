"""Adjustments over HTTP: one person proposes, another approves, and the chain has it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.posting.reconciler import Reconciler
from bridge.store import accounts
from bridge.store.schema import account
from bridge.store.thaws import Seen

from .world import PERSON, Caller, World, problem, unique

WHY = "counted twice at the till"


@pytest.fixture(scope="module")
def bob(world: World) -> Caller:
    """Another person of the coffee program."""
    return world.caller(world.key(world.coffee.id, ("approve", "read"), "Bob")["key"])


def _propose(world: World, member_id: str, points: int, **more: Any) -> dict[str, Any]:
    body = {"member_id": member_id, "points": points, "reason": WHY} | more
    response = world.coffee.post("/v1/adjustments", body, key=unique("adjust"))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def _decide(caller: Caller, one: dict[str, Any], way: str = "approve", key: str | None = None) -> Any:
    body = {"reason": "no such receipt"} if way == "reject" else None
    return caller.post(f"/v1/adjustments/{one['id']}/{way}", body, key=key or unique("decide"))


@pytest.mark.parametrize("points", [70, -30])
def test_approve__by_another_person__moves_the_points_on_the_chain(world: World, bob: Caller, points: int) -> None:
    member = world.coffee.member(points=50)
    proposed = _propose(world, member["id"], points)
    assert (proposed["state"], proposed["kind"], proposed["proposed_by"]) == ("proposed", "points", PERSON)
    assert world.coffee.balance(member["id"])["available"] == 50

    done = _decide(bob, proposed, key="yes" + proposed["id"])

    assert done.status_code == 200 and done.json()["decided_by"] == "Bob"
    again = _decide(bob, proposed, key="yes" + proposed["id"])
    assert again.json() == done.json() and again.headers["idempotency-replayed"] == "true"
    made = world.final(done.json()["operation_id"])
    assert (made["kind"], made["points"], made["member_id"]) == ("adjustment", abs(points), member["id"])
    assert made["adjustment"] == {
        "adjustment_id": proposed["id"],
        "points": points,
        "reason": WHY,
        "proposed_by": PERSON,
        "approved_by": "Bob",
    }
    assert world.coffee.balance(member["id"])["posted"] == 50 + points
    assert world.coffee.get(f"/v1/adjustments/{proposed['id']}").json() == done.json()


def test_decide__by_the_proposer_under_whatever_key_and_spelling__is_refused(world: World) -> None:
    proposed = _propose(world, world.coffee.member()["id"], 5)
    second = world.caller(world.key(world.coffee.id, ("approve",), f"  {PERSON.upper()} ")["key"])

    for caller in (world.coffee, second):
        for way in ("approve", "reject"):
            assert PERSON in problem(_decide(caller, proposed, way), 403, "same-person")["detail"]


def test_decide__by_many_at_once__has_one_outcome(world: World, bob: Caller) -> None:
    member = world.coffee.member()
    proposed = _propose(world, member["id"], 5)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda place: _decide(bob, proposed, ("approve", "reject")[place % 2]), range(8)))

    (done,) = (one for one in answers if one.status_code == 200)
    for one in answers:
        if one is not done:
            problem(one, 409, "adjustment-state")
    state = done.json()["state"]
    assert world.coffee.get(f"/v1/adjustments/{proposed['id']}").json()["state"] == state
    assert world.coffee.balance(member["id"])["available"] == (5 if state == "approved" else 0)


def test_approve__of_more_than_there_is__says_what_there_is_and_leaves_it_open(world: World, bob: Caller) -> None:
    member = world.coffee.member(points=10)
    proposed = _propose(world, member["id"], -11)

    refusal = problem(_decide(bob, proposed), 409, "insufficient-points")

    assert (refusal["limit"], refusal["nearest"]) == (10, 10)
    assert world.coffee.get(f"/v1/adjustments/{proposed['id']}").json() == proposed


def test_approve__with_a_key_that_was_revoked_elsewhere__is_refused(world: World) -> None:
    """Another process remembers the key still; the ledger is asked again where points move."""
    proposed = _propose(world, world.coffee.member()["id"], 5)
    made = world.key(world.coffee.id, ("approve", "read"), "Cid")
    cid = world.caller(made["key"])
    assert cid.get("/v1/adjustments").status_code == 200
    remembered = dict(world.service.known_keys._known)
    assert world.operator.delete(f"/v1/keys/{made['id']}").status_code == 204
    world.service.known_keys._known.update(remembered)

    problem(_decide(cid, proposed), 401, "unauthenticated")
    world.service.known_keys.forget()


@pytest.mark.parametrize(
    ("change", "slug", "field"),
    [
        ({"points": 0}, "invalid-amount", "points"),
        ({"points": 2**48}, "invalid-amount", "points"),
        ({"points": 1.0}, "invalid-request", "points"),
        ({"points": 10_000_001}, "over-limit", "points"),
        ({"points": None}, "invalid-request", None),
        ({"thaw": True}, "invalid-request", None),
        ({"points": None, "thaw": True}, "invalid-request", None),
        ({"account": f"0x{'ab' * 20}"}, "invalid-request", None),
        ({"account": "0x12", "member_id": None}, "invalid-request", "account"),
        ({"reason": ""}, "invalid-request", "reason"),
        ({"reason": "  "}, "unfit-text", "reason"),
        ({"reason": "a\tb"}, "unfit-text", "reason"),
        ({"reason": "x" * 501}, "invalid-request", "reason"),
        ({"by": "me"}, "unknown-field", "by"),
    ],
)
def test_propose__of_what_cannot_be__is_refused(world: World, change: Any, slug: str, field: str | None) -> None:
    body = {"member_id": world.coffee.member()["id"], "points": 5, "reason": WHY} | change

    refusal = problem(world.coffee.post("/v1/adjustments", body, key=unique()), 422, slug)

    if field is not None:
        assert refusal["field"] == field


@pytest.mark.parametrize("scopes", [["adjust"], ["approve"], ["read", "approve"]])
def test_key__that_may_propose_or_approve__says_who_holds_it(world: World, scopes: list[str]) -> None:
    path = f"/v1/programs/{world.books.id}/keys"

    assert problem(world.operator.post(path, {"scopes": scopes}), 422, "person-needed")["field"] == "person"
    problem(world.operator.post(path, {"scopes": scopes, "person": " \t "}), 422, "unfit-text")
    problem(world.operator.post(path, {"scopes": scopes, "person": "x" * 65}), 422, "invalid-request")
    made = world.operator.post(path, {"scopes": scopes, "person": " Dot "}).json()
    assert made["person"] == "Dot"


def test_list__by_state__shows_the_programs_own_and_the_operator_all(world: World, bob: Caller) -> None:
    member = world.coffee.member()
    made = [_propose(world, member["id"], points) for points in (1, 2)]
    assert _decide(bob, made[0], "reject").json()["note"] == "no such receipt"

    found = world.coffee.get("/v1/adjustments", member_id=member["id"]).json()["items"]
    assert [(one["points"], one["state"]) for one in found] == [(2, "proposed"), (1, "rejected")]
    (one,) = world.operator.get("/v1/adjustments", member_id=member["id"], state="rejected").json()["items"]
    assert one["id"] == made[0]["id"]
    assert world.books.get("/v1/adjustments", member_id=member["id"]).json()["items"] == []


@contextmanager
def _frozen(world: World) -> Iterator[tuple[dict[str, Any], str]]:
    """A member with 50 final points whose account is frozen, and the account's address."""
    member = world.coffee.member()
    world.final(world.coffee.earn(member["id"], 50)["id"])
    with world.service.database.read() as connection:
        (own,) = accounts.of_member(connection, member["id"])
    world.service.writer.run(lambda connection: accounts.freeze(connection, own.id))
    try:
        yield member, f"0x{own.address.hex()}"
    finally:
        world.service.writer.run(
            lambda connection: connection.execute(sa.update(account).where(account.c.id == own.id).values(frozen=False))
        )


def test_thaw__by_two_persons__lets_the_member_spend_again(world: World, bob: Caller) -> None:
    with _frozen(world) as (member, address):
        assert world.coffee.balance(member["id"])["available"] == 0
        (listed,) = (one for one in world.coffee.get("/v1/accounts").json()["items"] if one["address"] == address)
        assert (listed["frozen"], listed["member_id"], listed["posted"]) == (True, member["id"], 50)
        body = {"account": address, "thaw": True, "reason": "looked at the chain"}
        proposed = world.coffee.post("/v1/adjustments", body, key=unique()).json()
        assert (proposed["kind"], proposed["points"], proposed["account"]) == ("thaw", 0, address)

        done = _decide(bob, proposed)

        assert (done.status_code, done.json()["state"], done.json()["operation_id"]) == (200, "approved", None)
        assert world.coffee.balance(member["id"])["available"] == 50
        assert address not in {one["address"] for one in world.coffee.get("/v1/accounts").json()["items"]}
        problem(world.coffee.post("/v1/adjustments", body, key=unique()), 409, "not-frozen")
        problem(_decide(bob, proposed), 409, "adjustment-state")


def test_thaw__where_ledger_and_chain_differ__is_refused(
    world: World, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Reconciler.seen

    def less(self: Reconciler, account_id: int) -> Seen:
        found = seen(self, account_id)
        return Seen(found.block_number, found.points - 1)

    with _frozen(world) as (member, address):
        body = {"account": address, "thaw": True, "reason": "looked at the chain"}
        proposed = world.coffee.post("/v1/adjustments", body, key=unique()).json()
        monkeypatch.setattr(Reconciler, "seen", less)
        assert "49 points on the chain" in problem(_decide(bob, proposed), 409, "account-differs")["detail"]
        assert world.coffee.balance(member["id"])["available"] == 0


def test_thaw__while_blocks_pass_at_each_look__is_refused_for_now(
    world: World, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def old(_self: Reconciler, account_id: int) -> Seen:
        looks.append(account_id)
        return Seen(0, 50)

    with _frozen(world) as (_, address):
        body = {"account": address, "thaw": True, "reason": "looked at the chain"}
        proposed = world.coffee.post("/v1/adjustments", body, key=unique()).json()
        monkeypatch.setattr(Reconciler, "seen", old)
        problem(_decide(bob, proposed), 503, "block-passed")
        assert len(looks) == 10
