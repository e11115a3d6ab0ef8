"""The breaker over HTTP: it is seen, tripped by hand, and reset only while ledger and chain agree."""

from functools import partial

import pytest

from bridge.store import breaker
from bridge.store.breaker import Alarm

from .test_audit import falsified
from .world import World, problem


def test_breaker__tripped_by_hand__then_posting_stops_and_the_reason_is_told(world: World) -> None:
    member = world.coffee.member()
    world.quiet()
    try:
        assert world.operator.send("PUT", "/v1/breaker", json={"reason": "looking at a node"}).status_code == 204
        world.coffee.earn(member["id"], 1)
        found = world.operator.get("/v1/breaker").json()
        assert (found["tripped"], found["alarm"], found["reason"]) == (True, "by-hand", "looking at a node")
        newest = found["history"][0]
        assert newest.pop("id") > 0
        assert newest == {"at": found["since"], "alarm": "by-hand", "reason": "looking at a node"}
        assert world.coffee.get("/v1/status").json()["posting"]["accepted_waiting"] == 1
    finally:
        assert world.operator.send("DELETE", "/v1/breaker?reason=it+was+sound&seen=999999").status_code == 204
    world.quiet()
    assert world.coffee.get(f"/v1/members/{member['id']}/balance").json()["posted"] == 1
    found = world.operator.get("/v1/breaker").json()
    assert found["tripped"] is False and found["reason"] is None
    assert found["history"][0]["alarm"] is None and found["history"][0]["reason"] == "it was sound"


def test_breaker__reset_without_a_reason__then_422_and_it_stays_tripped(world: World) -> None:
    with world.posting_stopped():
        refused = problem(world.operator.send("DELETE", "/v1/breaker?seen=1"), 422, "missing-field")
        assert refused["field"] == "reason"
        assert world.operator.get("/v1/breaker").json()["tripped"] is True


def test_breaker__reset_where_it_is_closed__then_nothing_is_written(world: World) -> None:
    before = world.operator.get("/v1/breaker").json()
    assert world.operator.send("DELETE", "/v1/breaker?reason=nothing&seen=0").status_code == 204
    assert world.operator.get("/v1/breaker").json() == before


def test_breaker__reset_while_ledger_and_chain_differ__then_409_and_it_stays_tripped(world: World) -> None:
    member = world.books.member()
    world.final(world.books.earn(member["id"], 40)["id"])
    with world.posting_stopped():
        with falsified(world, member["account"], 7):
            refused = problem(
                world.operator.send("DELETE", "/v1/breaker?reason=x&seen=999999"), 409, "books-still-differ"
            )
            assert member["account"] in refused["detail"] and "47 in the ledger" in refused["detail"]
            assert world.operator.get("/v1/breaker").json()["tripped"] is True
        assert world.operator.send("DELETE", "/v1/breaker?reason=mended&seen=999999").status_code == 204


def test_reconcile__of_books_that_differ__then_the_breaker_names_the_account(world: World) -> None:
    member = world.books.member()
    world.final(world.books.earn(member["id"], 40)["id"])
    world.quiet()
    try:
        with falsified(world, member["account"], 7):
            assert world.operator.post("/v1/audit", {}).json()["verdict"] == "differences"
        stopped = world.service.read(breaker.state)
        assert stopped is not None and stopped.alarm is Alarm.BOOKS_DIFFER
        assert f"{member['account']} holds 40 on the chain, 47 in the ledger" in stopped.reason
        status = world.coffee.get("/v1/status").json()["posting"]
        assert status["breaker"]["alarm"] == "books-differ" and status["reconciled"]["differences"] == 2
        assert world.operator.post("/v1/audit", {}).json()["verdict"] == "ok", "the books are right again"
        assert world.service.read(breaker.is_tripped), "but only a person lets posting go on"
    finally:
        world.service.writer.run(lambda connection: breaker.reset(connection, "mended", 1))


def test_breaker__tripped_twice_for_the_same__then_told_once(world: World) -> None:
    writer, seen = world.service.writer, []
    for alarm, reason in (
        (Alarm.BY_HAND, "first"),
        (Alarm.BY_HAND, "first"),
        (Alarm.FOREIGN_NONCE, "second"),
    ):
        writer.run(partial(breaker.trip, alarm=alarm, reason=reason, now_ms=5))
    try:
        stopped = world.service.read(breaker.state)
        assert stopped is not None and (stopped.alarm, stopped.reason) == (Alarm.BY_HAND, "first")
        seen = [(one.alarm, one.reason) for one in world.service.read(breaker.history)[:2]]
        assert seen == [(Alarm.FOREIGN_NONCE, "second"), (Alarm.BY_HAND, "first")]
    finally:
        writer.run(lambda connection: breaker.reset(connection, "mended", 6))


@pytest.mark.parametrize("reason", ["", "x" * 501])
def test_breaker__tripped_for_no_reason_or_a_book_of_one__then_422(world: World, reason: str) -> None:
    problem(world.operator.send("PUT", "/v1/breaker", json={"reason": reason}), 422, "invalid-request")
    assert world.operator.get("/v1/breaker").json()["tripped"] is False


def test_breaker__reset_by_who_has_not_seen_the_newest_finding__then_409_and_it_stays_tripped(world: World) -> None:
    with world.posting_stopped():
        seen = world.operator.get("/v1/breaker").json()["history"][0]["id"]
        world.service.writer.run(lambda connection: breaker.trip(connection, Alarm.FOREIGN_BATCH, "meanwhile", 7))
        refused = problem(world.operator.send("DELETE", f"/v1/breaker?reason=x&seen={seen}"), 409, "new-alarm")
        assert (refused["field"], refused["nearest"]) == ("seen", seen + 1)
        assert world.service.read(breaker.is_tripped)
        assert world.operator.send("DELETE", f"/v1/breaker?reason=x&seen={seen + 1}").status_code == 204


def test_trip__over_books_that_still_differ__then_one_finding_in_its_newest_words(world: World) -> None:
    writer = world.service.writer
    findings = [(Alarm.FOREIGN_BATCH, "a batch"), (Alarm.BOOKS_DIFFER, "at 7"), (Alarm.BOOKS_DIFFER, "at 8")]
    for alarm, reason in findings:
        writer.run(partial(breaker.trip, alarm=alarm, reason=reason, now_ms=5))
    try:
        newest = [(one.alarm, one.reason) for one in world.service.read(breaker.history)[:2]]
        assert newest == [(Alarm.BOOKS_DIFFER, "at 8"), (Alarm.FOREIGN_BATCH, "a batch")]
    finally:
        writer.run(lambda connection: breaker.reset(connection, "mended", 6))
