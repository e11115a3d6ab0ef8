"""What surrounds a request: its id, and the limit on its body."""

import re
from collections.abc import Iterator

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
