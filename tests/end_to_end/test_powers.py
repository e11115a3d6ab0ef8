"""Powers on a real chain: a pause holds what was accepted; lowering is at once, going on and raising are delayed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.answers import Limit, Operation, PowerCall, ProgramOnChain
from bridge.chain.contracts import NOBODY
from bridge.chain.rpc import Rpc
from bridge.client import Client
from tests.end_to_end.running import ServiceProcess, until, until_active

DELAY_S = 2
CENTS = 100
BEGIN: Limit = {"capacity": 1_000, "refill_per_second": 0}
LOWERED: Limit = {"capacity": 600, "refill_per_second": 0}
RAISED: Limit = {"capacity": 2_000, "refill_per_second": 3}


@dataclass
class Stage:
    """A program on a node where calls are announced, under a key of the program's own."""

    node: Rpc
    client: Client
    program_id: str

    def told(self, condition: Callable[[ProgramOnChain], bool], what: str) -> ProgramOnChain:
        """What the chain says, once it says so."""

        def look() -> ProgramOnChain | None:
            found = self.client.program_on_chain(self.program_id)
            return found if condition(found) else None

        return until(look, what, 60)

    def chain_s(self) -> int:
        """The time of the node's newest block."""
        newest = self.node.block("latest")
        assert newest is not None
        return newest.timestamp

    def operation(self, operation_id: str, condition: Callable[[Operation], bool], what: str) -> Operation:
        """An operation, once it is so."""

        def look() -> Operation | None:
            found = self.client.operation(operation_id)
            return found if condition(found) else None

        return until(look, what, 60)


@pytest.fixture
def stage(node: Rpc, tmp_path: Path) -> Iterator[Stage]:
    service = ServiceProcess(
        tmp_path / "data", SARRAF_RPC_URL=node.url, SARRAF_FINALITY="depth:0", SARRAF_DELAY_S=str(DELAY_S)
    )
    try:
        service.start()
        yield from _set(service, node)
        with service.client() as operator:
            assert operator.audit()["verdict"] == "ok"
    finally:
        assert service.stop() == 0


def _set(service: ServiceProcess, node: Rpc) -> Iterator[Stage]:
    with service.client() as operator:
        made = operator.create_program(
            name="Grocery",
            symbol="GRC",
            currency="points",
            earning_rate={"points": 1, "per_minor_units": CENTS},
            limits={"issuance": BEGIN},
        )
        until_active(operator, made["id"])
        key = operator.create_key(made["id"], ["earn", "members", "powers", "read"])["key"]
    with service.client(key) as client:
        client.enrol("one")
        yield Stage(node, client, made["id"])


def _ready(call: PowerCall) -> str:
    assert call["ready_at"] is not None, "it must be announced"
    return call["ready_at"]


def test_pause__then_what_is_accepted_waits_until_the_announced_unpause(stage: Stage) -> None:
    client, program_id = stage.client, stage.program_id
    (stop,) = client.pause(program_id)["calls"]
    assert (stop["call"], stop["ready_at"]) == ("pause", None)
    # Until the service itself has seen the block, it would sign a batch that the pause then refuses.
    stage.told(lambda told: told["paused"] and told["calls"][0]["state"] == "final", "the token is paused")

    earned = client.earn("one", key="while paused", spend_minor=50 * CENTS).operation["id"]
    waiting = stage.operation(earned, lambda one: one["throttled"] is not None, "the earn waits for the pause to end")
    assert waiting["state"] == "accepted"
    assert waiting["throttled"] is not None and waiting["throttled"]["limit"] == "pause"

    began_s = stage.chain_s()
    (first,) = client.unpause(program_id)["calls"]
    assert _ready(first) and client.unpause(program_id)["calls"][0]["id"] == first["id"]
    (again,) = client.pause(program_id)["calls"]
    stage.told(
        lambda told: (
            {first["id"]: "given_up", again["id"]: "final"}.items()
            <= {one["id"]: one["state"] for one in told["calls"]}.items()
        ),
        "the second pause gave up the unpause",
    )
    (then,) = client.unpause(program_id)["calls"]
    stage.told(lambda told: not told["paused"], "the unpause was made")

    assert stage.chain_s() >= began_s + DELAY_S
    done = stage.operation(earned, lambda one: one["state"] == "final", "the earn is final")
    assert done["throttled"] is None
    told = stage.told(lambda told: told["calls"][0]["state"] == "final", "the unpause is final")
    assert told["calls"][0]["id"] == then["id"]
    assert told["sequence"] == 1
    assert told["limits"]["issuance"]["available"] == BEGIN["capacity"] - 50


def test_limit__then_is_lowered_at_once_and_raised_after_the_delay(stage: Stage) -> None:
    client, program_id = stage.client, stage.program_id
    (raising,) = client.set_limits(program_id, {"issuance": RAISED})["calls"]
    assert _ready(raising)
    began_s = stage.chain_s()
    (lowering,) = client.set_limits(program_id, {"issuance": LOWERED})["calls"]
    assert lowering["ready_at"] is None

    told = stage.told(lambda told: told["limits"]["issuance"]["capacity"] == 600, "the limit is lowered")
    assert told["limits"]["issuance"] == {**LOWERED, "available": 600}
    states = {one["id"]: one["state"] for one in told["calls"]}
    assert states[raising["id"]] == "given_up"
    until(lambda: client.program(program_id)["limits"]["issuance"] == LOWERED, "the ledger heard of it")

    (raised,) = client.set_limits(program_id, {"issuance": RAISED})["calls"]
    assert _ready(raised)
    assert client.program_on_chain(program_id)["limits"]["issuance"]["capacity"] == LOWERED["capacity"]
    told = stage.told(lambda told: told["limits"]["issuance"]["capacity"] == 2_000, "the raise was made")

    assert stage.chain_s() >= began_s + DELAY_S
    assert told["limits"]["issuance"]["refill_per_second"] == RAISED["refill_per_second"]
    assert 600 <= told["limits"]["issuance"]["available"] < BEGIN["capacity"], "a raise fills nothing"
    until(lambda: client.program(program_id)["limits"]["issuance"] == RAISED, "the ledger heard of it")
    assert told["standby_issuer"] not in (None, f"0x{NOBODY.hex()}")
