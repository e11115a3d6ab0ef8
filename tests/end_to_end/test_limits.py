"""Limits on a real chain: what does not fit waits, says so, and goes on by itself; admission waits out the delay."""

from pathlib import Path

import httpx2
import pytest

from bridge.answers import Limit, Operation
from bridge.chain.events import Admitted, Announced, Event, decode_event
from bridge.chain.rpc import Rpc
from bridge.client import Client, ProblemAnswer
from tests.end_to_end.running import ServiceProcess, until, until_active

#: Enough comes back in some seconds for what the tests let wait.
CAPACITY, REFILL = 200, 20
FIRST, LATE = 190, 150
CENTS = 100
DELAY_S = 2


def _program(service: ServiceProcess, issuance: Limit) -> Client:
    """A client of a new program with this limit."""
    with service.client() as operator:
        made = operator.create_program(
            name="Grocery",
            symbol="GRC",
            currency="points",
            earning_rate={"points": 1, "per_minor_units": CENTS},
            limits={"issuance": issuance},
        )
        until_active(operator, made["id"])
        assert operator.program(made["id"])["limits"]["issuance"] == issuance
        return service.client(operator.create_key(made["id"], ["earn", "members", "read"])["key"])


def _throttled(client: Client, operation_id: str) -> Operation:
    def waits() -> Operation | None:
        found = client.operation(operation_id)
        return found if found["throttled"] else None

    return until(waits, "the operation waits for room under the limit", 20)


def _final(client: Client, operation_id: str) -> Operation:
    until(lambda: client.operation(operation_id)["state"] == "final", "the operation is final", 90)
    return client.operation(operation_id)


def test_batch__over_its_programs_limit__waits_visibly_and_goes_on_after_the_refill(service: ServiceProcess) -> None:
    with _program(service, {"capacity": CAPACITY, "refill_per_second": REFILL}) as client:
        client.enrol("one")
        _final(client, client.earn("one", key="first", spend_minor=FIRST * CENTS).operation["id"])
        late = client.earn("one", key="late", spend_minor=LATE * CENTS).operation["id"]
        waiting = _throttled(client, late)
        assert waiting["state"] == "accepted"
        assert waiting["throttled"] is not None
        assert (waiting["throttled"]["limit"], waiting["throttled"]["needed"]) == ("issuance", LATE)
        assert waiting["throttled"]["available"] < LATE
        assert client.status()["posting"]["batches_throttled"] == 1
        ready = httpx2.get(f"{service.url}/readyz", timeout=5)
        assert ready.status_code == 200 and "1 batches wait for room" in ready.text
        assert "sarraf_batches_throttled 1.0" in httpx2.get(f"{service.url}/metrics", timeout=5).text
        assert _final(client, late)["throttled"] is None
        assert client.status()["posting"]["batches_throttled"] == 0
        with pytest.raises(ProblemAnswer) as refused:
            client.earn("one", key="too many", spend_minor=(CAPACITY + 1) * CENTS)
        assert (refused.value.status, refused.value.type) == (422, "over-limit")
        assert (refused.value.field, refused.value.limit) == ("points", CAPACITY)
    with service.client() as operator:
        assert operator.audit()["verdict"] == "ok"


def test_batch__throttled_for_longer_than_it_is_valid__is_frozen_anew(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", SARRAF_BATCH_LIFE_S="5")
    try:
        service.start()
        with _program(service, {"capacity": CAPACITY, "refill_per_second": 14}) as client:
            member = client.enrol("one").member
            _final(client, client.earn("one", key="first", spend_minor=FIRST * CENTS).operation["id"])
            late = client.earn("one", key="late", spend_minor=LATE * CENTS).operation["id"]
            first = _throttled(client, late)["batch_id"]
            assert _final(client, late)["batch_id"] != first
            assert client.balance(member["id"])["posted"] == FIRST + LATE
    finally:
        assert service.stop() == 0


def test_program__where_calls_are_announced__is_admitted_when_the_delay_is_over(node: Rpc, tmp_path: Path) -> None:
    service = ServiceProcess(
        tmp_path / "data", SARRAF_RPC_URL=node.url, SARRAF_FINALITY="depth:0", SARRAF_DELAY_S=str(DELAY_S)
    )
    try:
        service.start()
        with _program(service, {"capacity": CAPACITY, "refill_per_second": REFILL}), service.client() as operator:
            exchange = operator.status()["chain"]["exchange"]
        assert exchange is not None
        said = _said(node, bytes.fromhex(exchange[2:]))
        assert said[Admitted] - said[Announced] >= DELAY_S
    finally:
        assert service.stop() == 0


def _said(node: Rpc, contract: bytes) -> dict[type[Event], int]:
    """When the contract last told of each kind of event, in the chain's own seconds."""
    said = {}
    for number in range(node.head_number() + 1):
        block = node.block(number)
        assert block is not None
        for log in node.logs(block.hash, [contract]):
            event = decode_event(log)
            if event is not None:
                said[type(event)] = block.timestamp
    return said
