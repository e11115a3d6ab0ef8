"""What surrounds a request: its id, and the limit on its body."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.api.envelope import BODY_BYTES_MAX, REQUEST_ID_LENGTH_MAX

from .world import World, problem, unique

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("given", ["checkout-77", "A" * REQUEST_ID_LENGTH_MAX])
def test_request_id__of_the_caller__then_comes_back(world: World, given: str) -> None:
    for path in ("/livez", "/v1/nowhere", "/v1/members/mbr_nobody"):
        response = world.coffee.send("GET", path, headers={"X-Request-ID": given})
        assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "with space", "semi;colon", "é", "A" * (REQUEST_ID_LENGTH_MAX + 1)])
def test_request_id__that_cannot_be_kept__then_a_new_one(world: World, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given.encode()}

    made = [world.coffee.send("GET", "/livez", headers=headers).headers["x-request-id"] for _ in range(2)]

    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made) and made[0] != made[1]


def _padded(length: int) -> bytes:
    body = b'{"member_number": "%s"' % unique("padded").encode()
    return body + b" " * (length - len(body) - 1) + b"}"


def _chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def test_body__as_long_as_allowed__then_is_taken(world: World) -> None:
    whole = world.coffee.send("POST", "/v1/members", content=_padded(BODY_BYTES_MAX), headers=JSON)
    chunked = world.coffee.send("POST", "/v1/members", content=_chunks(_padded(BODY_BYTES_MAX)), headers=JSON)

    assert whole.status_code == chunked.status_code == 201


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
@pytest.mark.parametrize("key", ["good", "none"])
def test_body__one_byte_too_long__then_413(world: World, chunked: bool, key: str) -> None:
    body = _padded(BODY_BYTES_MAX + 1)
    caller = world.coffee if key == "good" else world.caller(None)

    response = caller.send("POST", "/v1/members", content=_chunks(body) if chunked else body, headers=JSON)

    assert problem(response, 413, "body-too-large")["limit"] == BODY_BYTES_MAX
    assert response.headers["connection"] == "close"
    assert world.coffee.get("/v1/status").status_code == 200


NUL = '{"member_number": "a\\u0000b"}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_body__with_nul_in_a_text__then_422_and_nothing_breaks(world: World, encoding: str) -> None:
    """PostgreSQL refuses the character; where it got as far as the ledger's writer, it would stop the service."""
    response = world.coffee.send("POST", "/v1/members", content=NUL.encode(encoding), headers=JSON)

    problem(response, 422, "unfit-text")
    assert world.coffee.get("/v1/status").status_code == 200


def test_body__not_in_utf_8__then_422(world: World) -> None:
    """Whatever it says: what is looked for in a body is looked for in one encoding."""
    body = f'{{"member_number": "{unique()}"}}'

    refused = world.coffee.send("POST", "/v1/members", content=body.encode("utf-16"), headers=JSON)

    problem(refused, 422, "unfit-text")
    assert world.coffee.send("POST", "/v1/members", content=body.encode(), headers=JSON).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        ("/v1/earns/bulk", {"items": [{"event_id": "e\0", "member_number": "a", "points": 1}]}),
        ("/v1/terms", {"rules": {"bonuses": [{"a\0": 1}]}}),
        ("/v1/members", {"\ud800": "\0"}),
    ],
    ids=["in a list", "as a name", "under a name that is none"],
)
def test_body__with_nul_deep_within__then_422(world: World, body: tuple[str, Any]) -> None:
    path, said = body

    response = world.coffee.send("POST", path, content=json.dumps(said), headers=JSON | {"Idempotency-Key": unique()})

    problem(response, 422, "unfit-text")


def test_body__with_a_backslash_before_u0000__then_is_a_text_like_any_other(world: World) -> None:
    body = b'{"member_number": "%s\\\\u0000"}' % unique().encode()

    assert world.coffee.send("POST", "/v1/members", content=body, headers=JSON).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        rb'{"member_number": "\ud800"}',
        b'{"member_number": "\xed\xa0\x80"}',
        rb'{"\ud800": 1, "member_number": "a"}',
        rb'{"member_number": {"\ud800": "\udfff"}}',
    ],
)
def test_body__with_half_a_character__then_422_and_nothing_breaks(world: World, body: bytes) -> None:
    """A surrogate without its other half is no character of Unicode, though JSON can write it."""
    response = world.coffee.send("POST", "/v1/members", content=body, headers=JSON)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert world.coffee.get("/v1/status").status_code == 200


@pytest.mark.parametrize("path", ["/v1/members/a%00b", "/v1/members?member_number=a%00b", "/v1/operations?cursor=%00"])
def test_url__with_nul__then_422(world: World, path: str) -> None:
    problem(world.coffee.send("GET", path), 422, "unfit-text")
