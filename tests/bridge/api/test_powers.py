"""Powers over a program's token: what it says, pausing and going on, changing limits."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.chain.errors import ChainUnreachable
from exchange.points import POINTS_MAX

from .world import Program, World, problem, until

ISSUANCE = {"capacity": 1_000, "refill_per_second": 0}
LOWERED = {"capacity": 700, "refill_per_second": 0}
RAISED = {"capacity": 2_000, "refill_per_second": 1}


@pytest.fixture(scope="module")
def herbs(world: World) -> Program:
    return world.program(world.create("Herbs", "HERB", limits={"issuance": ISSUANCE}))


def _chain(program: Program) -> dict[str, Any]:
    found: dict[str, Any] = program.get(f"/v1/programs/{program.id}/chain").json()
    return found


def _told(program: Program, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the chain says, once it says so."""
    until(lambda: condition(_chain(program)))
    return _chain(program)


def _made(program: Program, call: dict[str, Any]) -> None:
    """Wait until the ledger heard that the chain took the call."""
    states = ("confirmed", "final")
    _told(program, lambda told: any(one["id"] == call["id"] and one["state"] in states for one in told["calls"]))


def _asked(program: Program, what: str, body: object = None) -> list[dict[str, Any]]:
    response = program.post(f"/v1/programs/{program.id}/{what}", body)
    assert response.status_code == 202, response.text
    assert response.json()["program_id"] == program.id
    calls: list[dict[str, Any]] = response.json()["calls"]
    return calls


@pytest.fixture
def paused(herbs: Program) -> Iterator[Program]:
    (stop,) = _asked(herbs, "pause")
    _made(herbs, stop)
    assert _chain(herbs)["paused"]
    yield herbs
    (go_on,) = _asked(herbs, "unpause")
    _made(herbs, go_on)
    assert not _chain(herbs)["paused"]


def test_chain__then_tells_what_token_and_exchange_say(world: World, herbs: Program) -> None:
    world.final(herbs.earn(herbs.member()["id"], 30)["id"])
    known = herbs.get(f"/v1/programs/{herbs.id}").json()

    told = _chain(herbs)

    assert {name: told[name] for name in ("token", "issuer", "standby_issuer", "guardian", "admin")} == {
        name: known[name] for name in ("token", "issuer", "standby_issuer", "guardian", "admin")
    }
    assert (told["paused"], told["sequence"]) == (False, 1)
    assert told["limits"]["issuance"] == ISSUANCE | {"available": 970}
    for name in ("redemption", "release"):
        assert told["limits"][name] == known["limits"][name] | {"available": known["limits"][name]["capacity"]}
    assert (told["position_micro"], told["credit_limit_micro"]) == (0, known["credit_limit_micro"])
    assert told["block"] > 0
    assert world.operator.get(f"/v1/programs/{herbs.id}/chain").json()["token"] == told["token"]
    assert problem(world.books.get(f"/v1/programs/{herbs.id}/chain"), 403, "forbidden")["field"] == "program_id"
    problem(world.operator.get("/v1/programs/prg_none/chain"), 404, "unknown-program")


def test_chain__of_a_token_that_does_not_stand_yet__then_409_and_without_a_node_503(
    world: World, herbs: Program
) -> None:
    with world.posting_stopped():
        early = world.create("Spice", "SPIC")
        for method, what in (("GET", "chain"), ("POST", "pause"), ("POST", "unpause")):
            answer = world.operator.send(method, f"/v1/programs/{early}/{what}")
            problem(answer, 409, "program-not-active")
    world.program(early)

    class Silent:
        def head_number(self) -> int:
            raise ChainUnreachable("nobody answers")

    with world.other(rpc=Silent()) as caller:
        problem(caller(herbs.key).get(f"/v1/programs/{herbs.id}/chain"), 503, "chain-unreachable")


def test_pause__then_what_is_accepted_waits_until_the_unpause(world: World, paused: Program) -> None:
    earned = paused.earn(paused.member()["id"], 5)
    until(lambda: paused.get(f"/v1/operations/{earned['id']}").json()["throttled"] is not None)

    waiting = paused.get(f"/v1/operations/{earned['id']}").json()
    assert (waiting["state"], waiting["throttled"]["limit"]) == ("accepted", "pause")
    (call,) = _asked(paused, "unpause")
    assert (call["call"], call["ready_at"], call["state"]) == ("unpause", None, "queued"), "here nothing is delayed"

    assert world.final(earned["id"])["throttled"] is None
    made = {one["id"]: one["state"] for one in _chain(paused)["calls"]}
    assert made[call["id"]] in ("confirmed", "final")


def test_unpause__before_the_pause_is_in_a_block__then_409(world: World, herbs: Program) -> None:
    with world.posting_stopped():
        (first,), (second,) = _asked(herbs, "pause"), _asked(herbs, "pause")
        assert first == second
        problem(herbs.post(f"/v1/programs/{herbs.id}/unpause"), 409, "powers-under-way")
    _made(herbs, first)
    (go_on,) = _asked(herbs, "unpause")
    _made(herbs, go_on)


def test_limits__lowered_and_raised__then_the_chain_and_the_program_say_so(world: World, herbs: Program) -> None:
    (lowered,) = _asked(herbs, "limits", {"issuance": LOWERED})
    assert (lowered["call"], lowered["limit"], lowered["ready_at"]) == ("set-limit", "issuance", None)
    assert (lowered["capacity"], lowered["refill_per_second"]) == (700, 0)
    _made(herbs, lowered)
    assert _chain(herbs)["limits"]["issuance"]["capacity"] == 700
    until(lambda: herbs.get(f"/v1/programs/{herbs.id}").json()["limits"]["issuance"] == LOWERED)

    release = {"capacity": 5, "refill_per_second": 0}
    raised = _asked(herbs, "limits", {"issuance": RAISED, "release": release})
    assert [one["limit"] for one in raised] == ["issuance", "release"]
    told = _told(herbs, lambda told: told["limits"]["issuance"]["capacity"] == 2_000)
    assert told["limits"]["issuance"]["refill_per_second"] == 1
    assert _told(herbs, lambda told: told["limits"]["release"]["capacity"] == 5)["limits"]["release"]["available"] == 5
    world.quiet()
    assert {one["state"] for one in _chain(herbs)["calls"]} <= {"confirmed", "final"}


@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({}, "invalid-request", "body"),
        ({"issuance": None}, "invalid-request", "body"),
        ({"speed": ISSUANCE}, "unknown-field", "speed"),
        ({"issuance": {"capacity": 1}}, "missing-field", "issuance.refill_per_second"),
        (
            {"release": {"capacity": POINTS_MAX + 1, "refill_per_second": 0}},
            "invalid-request",
            "release.capacity",
        ),
        ({"release": {"capacity": -1, "refill_per_second": 0}}, "invalid-request", "release.capacity"),
    ],
)
def test_limits__misshapen__then_422_and_nothing_is_queued(
    world: World, herbs: Program, body: object, slug: str, field: str
) -> None:
    world.quiet()
    before = world.ledger()

    assert problem(herbs.post(f"/v1/programs/{herbs.id}/limits", body), 422, slug)["field"] == field

    assert world.ledger() == before


@pytest.mark.parametrize("what", ["pause", "unpause", "limits"])
def test_powers__of_another_program__then_403(world: World, herbs: Program, what: str) -> None:
    body = {"issuance": LOWERED} if what == "limits" else None

    refused = world.books.post(f"/v1/programs/{herbs.id}/{what}", body)

    assert problem(refused, 403, "forbidden")["field"] == "program_id"
