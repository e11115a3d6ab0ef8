"""Two services on one PostgreSQL and one node: what one accepts the other knows, and one leads at a time."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from bridge.chain.rpc import Rpc
from bridge.client import ClientError, ProblemAnswer
from tests.end_to_end.running import ServiceProcess, fresh_node, until, until_active
from tests.faults.answers import Kind
from tests.faults.faults import Faults
from tests.faults.proxy import FaultProxy
from tests.postgres import Address
from tests.soak.customers import Customer
from tests.soak.record import EARN, Asked, Record
from tests.soak.rest import rest
from tests.soak.town import SCOPES, Town, open_town
from tests.soak.verdict import judge
from tests.takeover.__main__ import TAKEOVER_S_MAX, strike
from tests.takeover.crew import Crew, metric
from tests.takeover.ledger import LedgerView

pytestmark = pytest.mark.postgres

EVENT_S_MAX = 30.0
#: Points of terms' whole cap, and of one quote that takes most of it.
CAP, MOST = 100, 80


@dataclass
class Place:
    """The two services, the town in which they serve, and all that was promised there."""

    crew: Crew
    town: Town
    record: Record
    node: Rpc
    database_url: str
    #: between each service and the node
    faults: tuple[Faults, Faults]

    def leader_and_other(self) -> tuple[ServiceProcess, ServiceProcess]:
        """Who follows the chain, and who stands by."""
        self.crew.wait_until_led()
        leader = self.crew.leader()
        assert leader is not None
        (other,) = (one for one in self.crew.services if one is not leader)
        return leader, other

    def earn(self, by: ServiceProcess, points: int = 1, *, again_by: ServiceProcess | None = None) -> str:
        """An earn of the first customer, asked of one service, and repeated at another where there was no answer."""
        program, number = next(iter(self.town.keys)), self.town.members[0]
        with self.guard:
            self.asked += 1
            asked = Asked(EARN, program, number, f"key {self.asked}", points)
        try:
            operation_id = self._ask(by, asked)
        except (ClientError, OSError, ValueError):
            if again_by is None:
                raise
            operation_id = self._ask(again_by, asked)
        self.record.accept(asked, operation_id)
        return operation_id

    def _ask(self, service: ServiceProcess, asked: Asked) -> str:
        with service.client(self.town.keys[asked.program]) as client:
            return client.earn(asked.member, key=asked.key, spend_minor=asked.points).operation["id"]

    def __post_init__(self) -> None:
        self.guard = threading.Lock()
        self.asked = 0

    def require_exact(self) -> None:
        """Everything that was promised has exactly one effect on the chain."""
        rest(self.town)
        assert judge(self.town, self.record, self.node).violations == []


@pytest.fixture(scope="module")
def place(postgres_server: Address, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    url, faults = postgres_server.make(), (Faults(), Faults())
    with fresh_node() as node, FaultProxy(node.url, faults[0]) as one, FaultProxy(node.url, faults[1]) as other:
        crew = Crew(tmp_path_factory.mktemp("crew"), url, [one.url, other.url])
        try:
            crew.start()
            yield Place(crew, open_town(crew), Record(), node, url, faults)
        finally:
            crew.stop()
            postgres_server.drop(url)


class Listener:
    """Reads the event stream of one service until it ends, in a thread of its own."""

    def __init__(self, service: ServiceProcess, key: str, after: str = "0") -> None:
        self.events: list[dict[str, Any]] = []
        self.last_id = after
        self.ended_cleanly: bool | None = None
        self._url, self._key = service.url, key
        self._open = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._open.wait(EVENT_S_MAX), "the stream begins"

    def _read(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}", "Last-Event-ID": self.last_id}
        try:
            with httpx2.stream("GET", f"{self._url}/v1/events", headers=headers, timeout=None) as answer:
                self._open.set()
                for line in answer.iter_lines():
                    name, _, value = line.partition(": ")
                    if name == "data":
                        self.events.append(json.loads(value))
                    elif name == "id":
                        self.last_id = value
            self.ended_cleanly = True
        except httpx2.TransportError:
            self.ended_cleanly = False

    def hears(self, operation_id: str, state: str) -> None:
        """Returns when the stream has told that an operation is in this state."""
        wanted = (operation_id, state)
        until(
            lambda: wanted in [(one.get("operation_id"), one["state"]) for one in self.events],
            f"the stream tells of {wanted}",
            EVENT_S_MAX,
        )

    def end(self) -> bool | None:
        """Whether the service ended the stream in order."""
        self._thread.join(EVENT_S_MAX)
        return self.ended_cleanly


def test_event_stream__of_one_process__then_it_tells_what_another_accepted(place: Place) -> None:
    first, second = place.crew.services
    key = next(iter(place.town.keys.values()))
    listener = Listener(first, key)
    operation_id = place.earn(second)
    listener.hears(operation_id, "accepted")
    listener.hears(operation_id, "final")


def test_leader__asleep_until_another_took_over__then_its_write_is_refused(place: Place) -> None:
    first, second = place.leader_and_other()
    held = place.faults[place.crew.services.index(first)].plan(Kind.HOLD_ANSWER, "eth_getLogs")
    place.earn(second)
    assert held.held.wait(EVENT_S_MAX), "the leader reads the block of its batch"
    os.kill(first.pid, signal.SIGSTOP)
    try:
        until(lambda: _leads(second), "another leads", TAKEOVER_S_MAX)
        operation_id = place.earn(second)
        with second.client(place.town.keys[next(iter(place.town.keys))]) as client:
            until(lambda: client.operation(operation_id)["state"] == "final", "it posts")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    held.stop()
    until(lambda: (metric(first, "sarraf_writes_fenced") or 0) > 0, "a write of the first one is refused")
    assert metric(first, "sarraf_leases_held") == 0 and metric(second, "sarraf_leases_unled") == 0
    place.require_exact()


def _leads(service: ServiceProcess) -> bool:
    with suppress(ClientError, OSError, ValueError), service.client() as operator:
        return any(one["here"] and one["chain"] and one["lanes"] for one in operator.status()["leaders"])
    return False


def test_leader__that_stops_in_order__then_its_streams_end_and_another_leads_and_nothing_is_lost(place: Place) -> None:
    first, second = place.leader_and_other()
    listener = Listener(first, next(iter(place.town.keys.values())))
    listener.hears(place.earn(second), "accepted")
    ending, accepted = threading.Event(), list[str]()

    def ask() -> None:
        while not ending.is_set():
            accepted.append(place.earn(first, again_by=second))

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(ask)
        try:
            until(lambda: len(accepted) > 20, "requests are answered")
            assert first.stop() == 0
            until(lambda: _leads(second), "another leads", TAKEOVER_S_MAX)
        finally:
            ending.set()
    assert listener.end() is True, "the stream ended in order"
    again = Listener(second, next(iter(place.town.keys.values())), after=listener.last_id)
    told = {one.get("operation_id") for one in listener.events}
    for operation_id in accepted:
        if operation_id not in told:
            again.hears(operation_id, "accepted")
    first.start()
    place.require_exact()


def test_leader__that_is_killed_under_load__then_another_posts_within_seconds_and_nothing_is_lost(place: Place) -> None:
    customers = [Customer(number, place.town, place.record, seed=1) for number in place.town.members]
    for one in customers:
        one.begin()
    measured = strike(place.crew, LedgerView(place.database_url))
    for one in customers:
        one.end()
    assert 0 < measured.next_batch_ms < TAKEOVER_S_MAX * 1000
    place.require_exact()


@pytest.fixture(scope="module")
def newcomers(place: Place) -> list[str]:
    """The ids of two programs, each created at another process at the same moment."""

    def create(number: int) -> str:
        with place.crew.services[number].client() as operator:
            symbol = f"NEW{number}"
            program = operator.create_program(
                name=symbol, symbol=symbol, currency="points", earning_rate={"points": 1, "per_minor_units": 1}
            )
            until_active(operator, program["id"])
            return str(program["id"])

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(create, range(2)))


def test_programs__created_at_two_processes_at_once__then_each_has_keys_of_its_own(
    place: Place, newcomers: list[str]
) -> None:
    with place.crew.client() as operator:
        addresses = [one["address"] for one in operator.lanes()]
    assert len(set(addresses)) == len(addresses) > len(newcomers)


def test_quote__reserved_at_one_process__then_it_counts_against_the_cap_at_another(
    place: Place, newcomers: list[str]
) -> None:
    first, second = place.crew.services
    with first.client() as operator:
        keys = {one: operator.create_key(one, SCOPES)["key"] for one in newcomers}
    source, destination = newcomers
    with first.client(keys[source]) as here, second.client(keys[destination]) as there:
        here.link([client.link_code(client.enrol("ann").member["id"])["code"] for client in (here, there)])
        here.earn("ann", key="for the quotes", spend_minor=2 * CAP, wait_s=20)
        terms = here.propose_terms(
            from_program_id=source,
            to_program_id=destination,
            ratio={"from_units": 1, "to_units": 1},
            minimum=1,
            increment=1,
            settlement_price_micro=10,
            rules={"caps": [{"per": "day", "points": CAP}]},
        )
        until(lambda: here.show_terms(terms["id"])["state"] == "proposed", "the terms are proposed")
        there.consent(terms["id"])
        until(lambda: here.show_terms(terms["id"])["state"] == "in_force", "the terms are in force")
    with first.client(keys[source]) as here, second.client(keys[source]) as there:
        here.quote(to_program_id=destination, member_number="ann", amount_in=MOST)
        with pytest.raises(ProblemAnswer) as refused:
            there.quote(to_program_id=destination, member_number="ann", amount_in=MOST)
    assert refused.value.type == "over-cap"
