"""A real service on a real node with a bad network between them, a disk that is full, and callers in a hurry."""

import resource
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx2
import pytest

from bridge.chain.rpc import Rpc
from exchange.words import entry_tag
from tests.end_to_end.running import ServiceProcess, fresh_node, until, until_active
from tests.end_to_end.words import words_on_chain
from tests.faults.answers import Kind
from tests.faults.faults import SEND, Faults
from tests.faults.proxy import FaultProxy

AT_ONCE = 50
#: Requests that nobody is hurried with.
FEW = 8
_numbers = count(1)


@dataclass
class Post:
    """A partner's HTTP client, and the node itself behind all that is put before the service's."""

    service: ServiceProcess
    node: Rpc
    faults: Faults
    program: str
    token: bytes
    http: httpx2.Client

    def earn(self, key: str, points: int = 7) -> httpx2.Response:
        """Ask for points, once."""
        body = {"member_number": "ann", "points": points}
        return self.http.post("/v1/earns", json=body, headers={"Idempotency-Key": key})

    def checks(self) -> Mapping[str, Any]:
        """What readiness rests on."""
        return {one["name"]: one for one in self.http.get("/readyz").json()["checks"]}

    def require_once(self, keys: list[str], points: int = 7) -> None:
        """Each is final, the chain carried it once, and the ledger is the chain."""
        self.service.wait_until_quiet()
        words = words_on_chain(self.node)
        for key in keys:
            (word,) = words[self.token, entry_tag(self.program, key)]
            assert word.amount == points
        with self.service.client() as operator:
            audit = operator.audit()
        assert audit["differences"] == 0, audit
        (program,) = audit["programs"]
        assert program["supply"] == sum(word.amount for found in words.values() for word in found)


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    faults = Faults()
    with fresh_node() as node, FaultProxy(node.url, faults) as between:
        service = ServiceProcess(
            tmp_path_factory.mktemp("post") / "data",
            SARRAF_RPC_URL=between.url,
            SARRAF_FINALITY="depth:0",
            SARRAF_DELAY_S="0",
        )
        try:
            service.start()
            yield from _open(service, node, faults)
        finally:
            faults.clear()
            service.stop()


def _open(service: ServiceProcess, node: Rpc, faults: Faults) -> Iterator[Post]:
    with service.client() as operator:
        made = operator.create_program(
            name="Post", symbol="POST", currency="points", earning_rate={"points": 1, "per_minor_units": 1}
        )
        until_active(operator, made["id"])
        token = bytes.fromhex(str(operator.program(made["id"])["token"])[2:])
        key = operator.create_key(made["id"], ["earn", "members", "read"])["key"]
    with service.client(key) as client:
        client.enrol("ann")
    limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=service.url, headers=headers, timeout=60, trust_env=False, limits=limits) as http:
        yield Post(service, node, faults, made["id"], token, http)


def fresh_keys(number: int = FEW) -> list[str]:
    """Keys that no other test uses."""
    return [f"key {next(_numbers)}" for _ in range(number)]


def test_key__used_by_fifty_requests_at_once__has_one_effect_and_one_answer(post: Post) -> None:
    (key,) = fresh_keys(1)
    together = threading.Barrier(AT_ONCE)

    def send(_: int) -> httpx2.Response:
        together.wait(30)
        return post.earn(key)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(send, range(AT_ONCE)))
    assert {one.status_code for one in answers} == {202}
    assert len({one.json()["id"] for one in answers}) == 1
    assert sum("idempotency-replayed" not in one.headers for one in answers) == 1
    post.require_once([key])


@pytest.mark.parametrize(
    ("kind", "methods"),
    [
        (Kind.EMPTY_LOGS, ()),
        (Kind.HIDE_RECEIPT, ()),
        (Kind.LOSE_ANSWER, (SEND,)),
        (Kind.HTML_PAGE, ()),
    ],
    ids=str,
)
def test_network__that_hides_or_loses_answers__delays_and_repeats_nothing(
    post: Post, kind: Kind, methods: tuple[str, ...]
) -> None:
    keys = fresh_keys()
    planned = post.faults.plan(kind, *methods, times=3)
    for key in keys:
        assert post.earn(key).status_code == 202
    until(lambda: planned.injected, f"{kind} was met")
    post.require_once(keys)
    planned.stop()


@contextmanager
def full_disk(service: ServiceProcess) -> Iterator[None]:
    """The system lets the service's files grow no further, as a used-up quota would; the node has its own."""
    before = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux changes the limits of another process")
def test_disk__that_is_full__refuses_what_changes_and_goes_on_when_there_is_room(post: Post) -> None:
    before, refused, after = fresh_keys(), fresh_keys(), fresh_keys()
    for key in before:
        assert post.earn(key).status_code == 202
    with full_disk(post.service):
        for key in refused:
            answer = post.earn(key)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:sarraf:problem:ledger-unwritable")
            assert answer.headers["retry-after"] == "1"
        assert not post.checks()["ledger"]["ok"]
        assert post.http.get("/v1/members").status_code == 200, "reads go on"
    until(lambda: post.checks()["ledger"]["ok"], "it found by itself that there is room")
    for key in [*refused, *after, *before]:
        assert post.earn(key).status_code == 202
    post.require_once(before + refused + after)
