"""The event stream: live, resumed, and nobody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from bridge.store import events

from .world import Caller, World, problem, unique, until

STEPS = ["accepted", "submitted", "confirmed", "final"]


@contextmanager
def _stream(caller: Caller, *, after: int | None = None, last: str | None = None) -> Iterator[Iterator[Any]]:
    """The events of a stream, which ends the test if it is silent for 10 seconds."""
    params = {} if after is None else {"after": str(after)}
    headers = caller.headers({} if last is None else {"Last-Event-ID": last})
    with caller.http.stream("GET", "/v1/events", params=params, headers=headers, timeout=10.0) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"] and response.headers["ratelimit"]
        yield (one for one in httpx2.EventSource(response) if one.event == "operation")


def _about(stream: Iterator[Any], operation_id: str) -> list[Any]:
    """The events of one operation, up to its final one."""
    found = []
    for one in stream:
        if one.json()["operation_id"] == operation_id:
            found.append(one)
            if one.json()["state"] == "final":
                break
    return found


def _cursor(world: World) -> int:
    return world.service.read(events.last_cursor)


def test_stream__while_things_happen__then_tells_each_step_as_it_comes(world: World) -> None:
    member = world.coffee.member()["id"]
    with _stream(world.coffee, after=_cursor(world)) as stream:
        operation = world.coffee.earn(member, 6)
        told = _about(stream, operation["id"])

    steps = [one.json() for one in told]
    assert [one["state"] for one in steps] == STEPS
    assert {(one["program_id"], one["kind"]) for one in steps} == {(world.coffee.id, "earn")}
    done = world.coffee.get(f"/v1/operations/{operation['id']}").json()
    assert [one["at"] for one in steps] == [step["at"] for step in done["steps"]]


def test_stream__without_a_cursor__then_begins_with_now(world: World) -> None:
    member = world.coffee.member()["id"]
    old = world.coffee.earn(member, 1)
    world.final(old["id"])
    with _stream(world.coffee) as stream:
        new = world.coffee.earn(member, 2)
        first = next(stream).json()

    assert first["operation_id"] == new["id"]


@pytest.mark.parametrize("by", ["header", "query", "both"])
def test_stream__resumed__then_goes_on_behind_the_last_event(world: World, by: str) -> None:
    start = _cursor(world)
    operation = world.coffee.earn(world.coffee.member()["id"], 6)
    world.final(operation["id"])
    with _stream(world.coffee, after=start) as stream:
        told = _about(stream, operation["id"])
    seen = told[1].id
    assert seen.isdigit()

    # The header wins: it is what a browser sends when it takes up a stream again at its first URL.
    after = {"header": None, "query": int(seen), "both": start}[by]
    with _stream(world.coffee, after=after, last=None if by == "query" else seen) as stream:
        rest = _about(stream, operation["id"])

    assert [one.json()["state"] for one in rest] == STEPS[2:]


def test_stream__from_the_first__then_tells_everything_of_the_program_and_nothing_else(world: World) -> None:
    world.coffee.earn(world.coffee.member()["id"], 1)
    operation = world.books.earn(world.books.member()["id"], 2)

    with _stream(world.books, after=0) as stream:
        told = []
        for one in stream:
            told.append(one.json())
            if (told[-1]["operation_id"], told[-1]["state"]) == (operation["id"], "final"):
                break

    assert {one["program_id"] for one in told} == {world.books.id}
    listed: set[str] = set()
    page = world.books.get("/v1/operations", limit=200).json()
    listed |= {one["id"] for one in page["items"]}
    assert {one["operation_id"] for one in told} == listed


def test_stream__of_a_swap__then_both_programs_and_the_operator_hear_of_it_once(world: World) -> None:
    customer, start = world.customer(), _cursor(world)
    asked = {"member_id": customer.coffee, "to_program_id": world.airline.id, "amount_in": 30}
    quote = world.coffee.post("/v1/quotes", asked).json()
    swap = world.coffee.post("/v1/swaps", {"quote_id": quote["id"]}, key=unique()).json()

    for caller in (world.coffee, world.airline, world.operator):
        with _stream(caller, after=start) as stream:
            told = [one.json() for one in _about(stream, swap["id"])]
        assert [one["state"] for one in told] == STEPS
        assert {(one["kind"], one["program_id"]) for one in told} == {("swap", world.coffee.id)}


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 19, "9" * 5000])
def test_stream__behind_what_is_no_event__then_400_before_it_begins(world: World, last: str) -> None:
    response = world.coffee.send("GET", "/v1/events", headers={"Last-Event-ID": last})

    assert problem(response, 400, "invalid-header")["field"] == "Last-Event-ID"


@pytest.mark.parametrize("after", ["x", "-1", "9223372036854775808"])
def test_stream__after_what_is_no_event__then_422(world: World, after: str) -> None:
    assert problem(world.coffee.get("/v1/events", after=after), 422, "invalid-request")["field"] == "after"


def test_stream__that_nobody_reads_any_more__then_is_let_go(world: World) -> None:
    listening = world.service.hub._coroutines
    until(lambda: not listening)
    for _ in range(3):
        with _stream(world.coffee):
            until(lambda: listening)

    until(lambda: not listening)
