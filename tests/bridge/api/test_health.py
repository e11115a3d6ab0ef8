"""Health and status."""

import threading
from typing import Any

import pytest

from bridge.chain.rpc import Rpc
from bridge.posting.leadership import UNLED_MS_MAX, Leaders
from bridge.posting.recovery import Recovery
from bridge.store import chainstate

from .world import World, problem, until

CHECKS = ["ledger", "recovery", "chain", "leaders", "follower", "exchange", "signers", "breaker", "limits"]


def _failing(answer: Any) -> list[str]:
    assert [check["name"] for check in answer.json()["checks"]] == CHECKS
    failing = [check["name"] for check in answer.json()["checks"] if not check["ok"]]
    assert answer.json()["ready"] is (not failing)
    assert answer.status_code == (503 if failing else 200)
    return failing


def test_livez__then_answers_without_a_key(world: World) -> None:
    assert world.caller(None).get("/livez").json() == {"status": "alive"}


def test_readyz__of_a_healthy_service__then_200_without_a_key(world: World) -> None:
    answer = world.caller(None).get("/readyz")

    assert _failing(answer) == []
    assert all(check["detail"] for check in answer.json()["checks"])


def test_readyz__while_the_breaker_is_open__then_503_with_the_reason(world: World) -> None:
    with world.posting_stopped():
        answer = world.caller(None).get("/readyz")
        status = world.coffee.get("/v1/status").json()

    assert _failing(answer) == ["breaker"]
    told = {check["name"]: check["detail"] for check in answer.json()["checks"]}
    assert told["breaker"] == "by-hand: stopped by a test"
    stopped = status["posting"]["breaker"]
    assert (stopped["alarm"], stopped["reason"]) == ("by-hand", "stopped by a test") and stopped["since"]
    assert _failing(world.caller(None).get("/readyz")) == []


def test_writes__while_the_ledger_recovers__then_503_and_reads_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recovery, "step", lambda _: False)
    writer = world.service.writer
    writer.run(lambda connection: chainstate.begin_recovery(connection, "restored from a copy", world.service.clock()))
    until(lambda: world.service.recovery.active)
    try:
        assert _failing(world.caller(None).get("/readyz")) == ["recovery"]
        problem(world.coffee.post("/v1/members", {"member_number": "late"}), 503, "recovering")
        assert world.coffee.get("/v1/members").status_code == 200
        problem(world.operator.post("/v1/programs/prg_none/unpause", {}), 503, "recovering")
        problem(world.operator.post("/v1/programs/prg_none/pause", {}), 404, "unknown-program")
    finally:
        writer.run(lambda connection: chainstate.end_recovery(connection, world.service.clock()))
        until(lambda: not world.service.recovery.active)


def test_readyz__after_a_bug__then_503(world: World) -> None:
    bug = threading.Event()
    bug.set()

    with world.other(bug=bug) as caller:
        assert _failing(caller(None).get("/readyz")) == ["ledger"]


def test_readyz__when_the_node_does_not_answer__then_503(world: World) -> None:
    rpc = Rpc("http://127.0.0.1:9", timeout_s=0.5)
    with world.other(rpc=rpc, embedded=None) as caller:
        answer = caller(None).get("/readyz")
        status = caller(world.coffee.key).get("/v1/status").json()["chain"]
    rpc.close()

    assert _failing(answer) == ["chain", "signers"]
    assert (status["url_kind"], status["url"]) == ("external", "configured"), "a node's URL may hold a secret"


def test_readyz__of_a_node_whose_url_holds_a_secret__then_shows_only_where_it_is(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    rpc = Rpc("http://user:pw@127.0.0.1:9/v3/SECRETKEY", timeout_s=0.5)
    with caplog.at_level("DEBUG"), world.other(rpc=rpc, embedded=None) as caller:
        told = caller(None).get("/readyz").text
    rpc.close()

    assert "The node at http://127.0.0.1:9 did not answer" in told and "refused" in told
    shown = told + "".join(one.getMessage() for one in caplog.records if one.name.startswith("bridge"))
    assert "SECRETKEY" not in shown and "pw@" not in shown


def test_breaker__when_an_operator_resets_it__then_posting_goes_on(world: World) -> None:
    member = world.coffee.member()
    with world.posting_stopped():
        world.coffee.earn(member["id"], 1)
        assert world.coffee.get("/v1/status").json()["posting"]["accepted_waiting"] == 1
        assert world.operator.send("DELETE", "/v1/breaker?reason=mended&seen=999999").status_code == 204
        assert world.coffee.get("/v1/status").json()["posting"]["breaker"] is None
        world.quiet()
        assert world.coffee.get(f"/v1/members/{member['id']}/balance").json()["posted"] == 1


def test_status__then_tells_where_things_stand(world: World) -> None:
    member = world.coffee.member()
    before = world.coffee.get("/v1/status").json()
    with world.posting_stopped():
        world.coffee.earn(member["id"], 1)
        waiting = world.coffee.get("/v1/status").json()
    world.quiet()
    after = world.coffee.get("/v1/status").json()

    assert waiting["posting"]["accepted_waiting"] == 1 and waiting["posting"]["oldest_waiting_s"] >= 0
    reconciled = after["posting"].pop("reconciled")
    assert reconciled["differences"] == 0 and reconciled["block"] > 0
    assert after["posting"] == {
        "accepted_waiting": 0,
        "batches_in_flight": 0,
        "batches_throttled": 0,
        "oldest_waiting_s": None,
        "breaker": None,
    }
    assert after["totals"]["operations"] == before["totals"]["operations"] + 1
    assert after["totals"]["members"] >= 3 and after["totals"]["programs"] >= 3
    chain = after["chain"]
    assert chain["chain_id"] == world.service.chain_id and chain["url_kind"] == "embedded"
    assert chain["head"] >= chain["indexed"] >= chain["final"] > before["chain"]["final"] - 1
    assert chain["exchange"].startswith("0x") and chain["finality"] == "depth:0"
    assert after["version"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_health__under_a_wrong_key__then_answers_all_the_same(world: World, path: str) -> None:
    assert world.caller("nonsense").get(path).status_code == 200


def test_status__then_tells_which_process_leads_what(world: World) -> None:
    told = world.coffee.get("/v1/status").json()
    (leader,) = told["leaders"]
    assert leader.pop("since") and leader.pop("lanes") > 3
    assert leader == {"process": told["process"], "here": True, "chain": True, "keeper": True}


def test_readyz__while_nobody_leads__then_it_is_red_only_when_that_lasts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    leadership = world.service.posting.leadership
    for lapsed_ms, failing in ((0, []), (UNLED_MS_MAX, ["leaders"])):
        unled = Leaders({"chain": None}, lapsed_ms)
        with monkeypatch.context() as patch:
            patch.setattr(leadership, "leaders", lambda _, told=unled: told)
            answer = world.caller(None).get("/readyz")
        assert _failing(answer) == failing
        told = {check["name"]: check["detail"] for check in answer.json()["checks"]}
        assert told["leaders"] == "nobody leads chain: requests are accepted and wait"
