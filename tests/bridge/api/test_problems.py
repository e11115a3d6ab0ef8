"""Refusals as problem documents, and what a caller learns of a bug: nothing but the request id."""

import logging
import sys
from contextlib import contextmanager
from typing import Any

import pytest

from bridge.api.problems import STATUS, status_of
from bridge.bootstrap import RECURSION_MAX
from bridge.store import writer
from exchange.errors import SarrafError

from .world import World, problem, unique

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"member_number": }',
        b"\xff\xfe",
        b'{"member_number": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=["empty", "open", "no value", "no text", "a long number", "deep arrays", "deep objects"],
)
@pytest.mark.parametrize("key", ["good", "none"])
def test_body__that_is_no_json__then_400_and_the_service_lives(world: World, content: bytes, key: str) -> None:
    caller = world.coffee if key == "good" else world.caller(None)

    response = caller.send("POST", "/v1/members", content=content, headers=JSON)

    if content == b"":
        assert response.status_code == (422 if key == "good" else 401)
    else:
        problem(response, 400, "invalid-json")
    assert world.coffee.get("/v1/status").status_code == 200


def test_recursion__while_the_service_runs__then_is_as_deep_as_python_means_it(world: World) -> None:
    assert world.service.posting is not None and sys.getrecursionlimit() == RECURSION_MAX


@pytest.mark.parametrize("content", [b"[]", b"3", b'"text"', b"null"])
def test_body__that_is_no_object__then_422(world: World, content: bytes) -> None:
    response = world.coffee.send("POST", "/v1/members", content=content, headers=JSON)

    assert response.status_code == 422 and response.json()["field"] == "body"


def test_body__that_does_not_say_that_it_is_json__then_422(world: World) -> None:
    response = world.coffee.send("POST", "/v1/members", content=b'{"member_number": "1"}')

    assert problem(response, 422, "invalid-request")["field"] == "body"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nowhere", "/v1/members/a/b/c", "/v2/members"])
def test_route__that_is_not_there__then_404(world: World, path: str) -> None:
    problem(world.coffee.get(path), 404, "no-such-route")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method__that_a_route_does_not_have__then_405_with_those_it_has(world: World, method: str) -> None:
    response = world.coffee.send(method, "/v1/earns")

    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


def test_refusal__then_looks_like_rfc_9457(world: World) -> None:
    response = world.coffee.post("/v1/redemptions", {"member_number": "nobody", "points": 1}, key=unique())

    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:sarraf:problem:unknown-member",
        "title": "Unknown member",
        "status": 404,
        "detail": "the program has no member with the number 'nobody'",
        "field": "member_number",
        "request_id": response.headers["x-request-id"],
    }


class _Broken:
    """A database whose failure holds what no caller should read."""

    @contextmanager
    def read(self) -> Any:
        raise RuntimeError("password=hunter2 in /srv/ledger.sqlite3")
        yield


def test_bug__in_a_route__then_500_without_internals(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with world.other(database=_Broken()) as caller, caplog.at_level(logging.ERROR):
        response = caller(world.coffee.key).send("GET", "/v1/status", headers={"X-Request-ID": "find-me"})

    refusal = problem(response, 500, "internal-error")
    assert refusal["request_id"] == response.headers["x-request-id"] == "find-me"
    assert not any(word in response.text for word in ("hunter2", "ledger", "RuntimeError", "Traceback", "bridge"))
    assert any("find-me" in record.message and "hunter2" in record.message for record in caplog.records)


def test_queue__when_full__then_503_to_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(writer, "QUEUE_MAX", 0)
        response = world.coffee.post("/v1/members", {"member_number": unique()})

    assert problem(response, 503, "too-busy")["limit"] == 0
    assert response.headers["retry-after"] == "1"
    assert world.coffee.post("/v1/members", {"member_number": unique()}).status_code == 201


def test_families__then_each_has_a_status_and_a_stranger_is_a_bug() -> None:
    assert sorted(status for _, status in STATUS) == [400, 401, 403, 404, 409, 422, 503]
    with pytest.raises(AssertionError, match="no family"):
        status_of(SarrafError("of no family"))
