"""A running service with three programs, and callers that hold every answer against the API's own description."""

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from bridge.api.app import create_app
from bridge.api.context import Service
from bridge.api.problems import PROBLEM, TYPE_PREFIX
from bridge.posting.clock import system_clock
from bridge.store import breaker
from bridge.store.breaker import Alarm
from bridge.store.schema import metadata

Answer = TypeVar("Answer")

SCOPES = ("earn", "redeem", "swap", "terms", "members", "powers", "adjust", "approve", "read")
#: Who holds the keys of the tests, unless a test says otherwise.
PERSON = "Ann Lee"
#: Points that a customer from the pool has at the coffee program, confirmed.
CUSTOMER_POINTS = 1000
CUSTOMERS = 60
WAIT_S_MAX = 30.0
#: Seconds of the service in one of the machine's: a block takes a second of its own, and most tests wait for some.
HASTE = 5
DOCS = Path(__file__).resolve().parents[3] / "docs"

_PROBLEM_ROW = re.compile(r"^\| `([a-z-]+)` \| (\d{3}) \|", re.MULTILINE)
_numbers = itertools.count(1)


_BEGAN_MS = system_clock()


def hasty_clock() -> int:
    """The clock of the service and of its chain, which goes faster than the machine's."""
    return _BEGAN_MS + (system_clock() - _BEGAN_MS) * HASTE


def documented_problems() -> dict[str, int]:
    """The problem types of docs/api.md that are answered over HTTP, with their status."""
    rows = _PROBLEM_ROW.findall((DOCS / "api.md").read_text())
    assert len(rows) == len(dict(rows)), "a type has two rows"
    return {slug: int(status) for slug, status in rows}


def unique(prefix: str = "t") -> str:
    """A text that no other test uses: a member number, an idempotency key."""
    return f"{prefix}-{next(_numbers)}"


def until(condition: Callable[[], Answer], seconds: float = WAIT_S_MAX) -> Answer:
    """The first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.02)
    return answer


def problem(response: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem document of a refusal, which must be of this type."""
    assert (response.status_code, response.json().get("type")) == (status, TYPE_PREFIX + slug), response.text
    body: dict[str, Any] = response.json()
    return body


class Description:
    """What the app says of itself: which statuses each route answers."""

    def __init__(self, app: FastAPI) -> None:
        self.problems = documented_problems()
        self._routes = [
            (method.upper(), re.compile(re.sub(r"{\w+}", "[^/]+", path) + r"\Z"), set(operation["responses"]))
            for path, operations in app.openapi()["paths"].items()
            for method, operation in operations.items()
        ]

    def check(self, request: httpx2.Request, response: httpx2.Response) -> None:
        """Raises AssertionError for an answer that the description does not foresee."""
        assert len(response.headers.get_list("x-request-id")) == 1
        what = f"{request.method} {request.url.path} answered {response.status_code}"
        if response.headers["content-type"] == PROBLEM:
            body = response.json()
            slug = body["type"].removeprefix(TYPE_PREFIX)
            assert self.problems.get(slug) == response.status_code == body["status"], f"{what}: {slug} is not in api.md"
            assert body["request_id"] == response.headers["x-request-id"]
            assert body["title"] and body["detail"]
            if slug in ("no-such-route", "method-not-allowed", "internal-error"):
                return
        described = [
            statuses
            for method, path, statuses in self._routes
            if method == request.method and path.match(request.url.path)
        ]
        assert any(str(response.status_code) in statuses for statuses in described), f"{what}, which is not described"


class Caller:
    """Somebody with an API key (or none)."""

    def __init__(self, http: httpx2.Client, description: Description, key: str | None) -> None:
        self.http = http
        self.description = description
        self.key = key

    def headers(self, more: Mapping[str, str | bytes] | None = None) -> dict[str, Any]:
        """The headers of a request."""
        own: dict[str, str | bytes] = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return own | dict(more or {})

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        wait_s: int | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        """Ask, and check that the answer is one of those described. `key` is the idempotency key."""
        own = self.headers(headers)
        if key is not None:
            own["Idempotency-Key"] = key
        if wait_s is not None:
            own["Prefer"] = f"wait={wait_s}"
        if body is not None:
            more["json"] = body
        with self.http.stream(method, path, headers=own, **more) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):  # that has no end
                response.read()
        if response.status_code != 204:
            self.description.check(response.request, response)
        return response

    def get(self, path: str, **params: Any) -> httpx2.Response:
        """Read."""
        return self.send("GET", path, params=params)

    def post(self, path: str, body: object = None, **more: Any) -> httpx2.Response:
        """Change."""
        return self.send("POST", path, body, **more)

    def delete(self, path: str) -> httpx2.Response:
        """Take away."""
        return self.send("DELETE", path)


@dataclass(frozen=True)
class Program(Caller):
    """A program under a key with all its scopes."""

    id: str
    symbol: str
    http: httpx2.Client
    description: Description
    key: str

    def member(self, points: int = 0) -> dict[str, Any]:
        """A new member, maybe with points that are not yet on the chain."""
        made: dict[str, Any] = self.post("/v1/members", {"member_number": unique("member")}).json()
        if points:
            self.earn(made["id"], points)
        return made

    def earn(self, member_id: str, points: int, **more: Any) -> dict[str, Any]:
        """Points outright."""
        response = self.post("/v1/earns", {"member_id": member_id, "points": points}, key=unique("earn"), **more)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def balance(self, member_id: str) -> dict[str, Any]:
        """What a member has."""
        answer: dict[str, Any] = self.get(f"/v1/members/{member_id}/balance").json()
        return answer

    def code(self, member_id: str) -> str:
        """A link code."""
        code: str = self.post(f"/v1/members/{member_id}/link-codes").json()["code"]
        return code


@dataclass(frozen=True)
class Customer:
    """A person with CUSTOMER_POINTS confirmed points at the coffee program, linked to a membership at the airline."""

    coffee: str
    airline: str
    link_id: str


@dataclass
class World:
    """The running service and who calls it; `terms` stand from coffee to airline: 3 to 1, from 30 in steps of 3."""

    service: Service
    app: FastAPI
    url: str
    http: httpx2.Client
    operator: Caller
    coffee: Program = field(init=False)
    airline: Program = field(init=False)
    books: Program = field(init=False)
    terms: dict[str, Any] = field(init=False)
    customers: list[Customer] = field(default_factory=list)

    def customer(self) -> Customer:
        """One whom no other test knows."""
        assert self.customers, "the tests need a larger pool: raise CUSTOMERS"
        return self.customers.pop()

    def until(self, condition: Callable[[], Answer]) -> Answer:
        """The first true answer of `condition`; where there is none, what the service says of itself is told."""
        try:
            return until(condition)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.http.get('/readyz').text}") from late

    def caller(self, key: str | None) -> Caller:
        """A caller under another key."""
        return Caller(self.http, self.operator.description, key)

    def key(self, program_id: str, scopes: tuple[str, ...] = SCOPES, person: str = PERSON) -> dict[str, Any]:
        """A new key of a program, held by this person."""
        response = self.operator.post(f"/v1/programs/{program_id}/keys", {"scopes": scopes, "person": person})
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    def create(self, name: str, symbol: str, expiry_days: int | None = None, **more: Any) -> str:
        """Ask for a program that gives 2 points for each 100 cents; answers its id."""
        body: dict[str, Any] = {
            "name": name,
            "symbol": symbol,
            "currency": f"{name} points",
            "earning_rate": {"points": 2, "per_minor_units": 100},
            "expiry_days": expiry_days,
        }
        response = self.operator.post("/v1/programs", body | more)
        assert response.status_code == 202, response.text
        program_id: str = response.json()["id"]
        return program_id

    def program(self, program_id: str) -> Program:
        """The program, once its token is on the chain."""
        self.until(lambda: self.operator.get(f"/v1/programs/{program_id}").json()["state"] == "active")
        symbol = self.operator.get(f"/v1/programs/{program_id}").json()["symbol"]
        return Program(program_id, symbol, self.http, self.operator.description, self.key(program_id)["key"])

    def terms_in(self, terms_id: str, state: str) -> dict[str, Any]:
        """The terms, once they are in this state."""
        path = f"/v1/terms/{terms_id}"
        self.until(lambda: self.operator.get(path).json()["state"] == state)
        found: dict[str, Any] = self.operator.get(path).json()
        return found

    def agree(self, source: Program, destination: Program, **more: Any) -> dict[str, Any]:
        """Terms that both programs consented to; 3 to 1 unless told otherwise."""
        body = {
            "from_program_id": source.id,
            "to_program_id": destination.id,
            "ratio": {"from_units": 3, "to_units": 1},
            "minimum": 30,
            "increment": 3,
            "settlement_price_micro": 10_000,
        }
        response = source.post("/v1/terms", body | more)
        assert response.status_code == 202, response.text
        terms_id = response.json()["id"]
        self.terms_in(terms_id, "proposed")
        assert destination.post(f"/v1/terms/{terms_id}/consent").status_code == 202
        self.until(lambda: self.operator.get(f"/v1/terms/{terms_id}").json()["state"] != "consenting")
        found: dict[str, Any] = self.operator.get(f"/v1/terms/{terms_id}").json()
        return found

    def final(self, operation_id: str) -> dict[str, Any]:
        """The operation, once it is final."""
        path = f"/v1/operations/{operation_id}"
        self.until(lambda: self.operator.get(path).json()["state"] == "final")
        found: dict[str, Any] = self.operator.get(path).json()
        return found

    def quiet(self) -> None:
        """Wait until nothing is on its way to the chain."""

        def still() -> bool:
            posting = self.operator.get("/v1/status").json()["posting"]
            return bool(posting["accepted_waiting"] == posting["batches_in_flight"] == 0)

        self.until(still)

    def ledger(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        with self.service.database.read() as connection:
            return {
                table.name: [tuple(row) for row in connection.execute(sa.select(table))]
                for table in metadata.sorted_tables
            }

    @contextmanager
    def posting_stopped(self) -> Iterator[None]:
        """Nothing goes to the chain meanwhile."""
        self.quiet()
        writer = self.service.writer
        writer.run(lambda connection: breaker.trip(connection, Alarm.BY_HAND, "stopped by a test", hasty_clock()))
        try:
            yield
        finally:
            writer.run(lambda connection: breaker.reset(connection, "mended", 1))

    @contextmanager
    def other(self, **changes: Any) -> Iterator[Callable[[str | None], Caller]]:
        """An app on the same service of which some parts are exchanged; gives callers by their key."""
        with TestClient(create_app(replace(self.service, **changes)), raise_server_exceptions=False) as http:
            yield lambda key: Caller(http, self.operator.description, key)

    def later(self, seconds: float) -> Any:
        """An app whose clock is ahead."""
        return self.other(clock=lambda: hasty_clock() + int(seconds * 1000))


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serve an app on a free port from a thread; gives its URL."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="api-under-test")
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WAIT_S_MAX)
        assert not thread.is_alive()
        listener.close()
