"""Audit: the ledger against the chain."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.chain.rpc import Rpc
from bridge.posting.reconciler import Reconciler
from bridge.store.schema import account
from bridge.store.sqlite import SqliteDatabase

from .world import World, problem, unique


def test_audit__of_everything__then_ok_and_the_sums_hold(world: World) -> None:
    customer = world.customer()
    asked = {"member_id": customer.coffee, "to_program_id": world.airline.id, "amount_in": 60}
    quote = world.coffee.post("/v1/quotes", asked).json()
    assert world.coffee.post("/v1/swaps", {"quote_id": quote["id"]}, key=unique(), wait_s=30).status_code == 200
    world.quiet()

    verdict = world.operator.get("/v1/audit").json()

    assert (verdict["verdict"], verdict["differences"], verdict["positions_sum"]) == ("ok", 0, 0)
    assert verdict["block"]["number"] > 0 and verdict["block"]["hash"].startswith("0x")
    rows = {one["symbol"]: one for one in verdict["programs"]}
    assert {"BEAN", "MILE", "PAGE"} <= set(rows)
    for row in rows.values():
        assert row["differing"] == [] and row["supply"] == row["ledger"]
        flowed = row["points_earned"] + row["swapped_in"] - row["points_redeemed"] - row["swapped_out"]
        assert flowed == row["supply"], row["symbol"]
        assert row["position_micro"]["ledger"] == row["position_micro"]["chain"]
    assert rows["BEAN"]["swapped_out"] >= 60 and rows["MILE"]["swapped_in"] >= 20
    assert rows["BEAN"]["position_micro"]["chain"] == -rows["MILE"]["position_micro"]["chain"] < 0
    (settlement,) = [one for one in verdict["settlements"] if one["path"] == ["BEAN", "MILE"]]
    assert settlement["items"] >= settlement["batches"] > 0 and settlement["gas_used"] > 0


def test_audit__by_a_program__then_its_own_row_only(world: World) -> None:
    verdict = world.books.get("/v1/audit").json()

    assert [one["program_id"] for one in verdict["programs"]] == [world.books.id]
    assert verdict["verdict"] == "ok" and verdict["settlements"] == []


@contextmanager
def falsified(world: World, address: str, by: int) -> Iterator[None]:
    def add(points: int) -> Any:
        change = account.update().where(account.c.address == bytes.fromhex(address[2:]))
        return world.service.writer.run(
            lambda connection: (
                connection.execute(change.values(credits_posted=account.c.credits_posted + points)).rowcount
            )
        )

    assert add(by) == 1
    try:
        yield
    finally:
        add(-by)


def test_audit__of_a_false_ledger__then_names_the_account(world: World) -> None:
    member = world.books.member()
    world.final(world.books.earn(member["id"], 40)["id"])
    with falsified(world, member["account"], 7):
        verdict = world.books.get("/v1/audit").json()
        whole = world.operator.get("/v1/audit").json()
        elsewhere = world.coffee.get("/v1/audit").json()

    assert verdict["verdict"] == whole["verdict"] == "differences"
    assert verdict["differences"] == whole["differences"] == 2, "the account, and with it the supply"
    (row,) = verdict["programs"]
    assert row["differing"] == [
        {"account": member["account"], "reference": member["reference"], "ledger": 47, "chain": 40}
    ]
    assert row["ledger"] == row["supply"] + 7
    assert elsewhere["verdict"] == "ok"
    assert world.books.get("/v1/audit").json()["verdict"] == "ok"


def test_audit__without_a_chain__then_503_to_come_back(world: World) -> None:
    rpc = Rpc("http://127.0.0.1:9", timeout_s=0.5)
    reconciler = Reconciler(
        database=world.service.database, writer=world.service.writer, rpc=rpc, clock=world.service.clock
    )
    with world.other(reconciler=reconciler) as caller:
        response = caller(world.books.key).get("/v1/audit")
    rpc.close()

    problem(response, 503, "chain-unreachable")
    assert response.headers["retry-after"] == "1"


def test_audit__before_any_block_is_final__then_503_to_come_back(world: World, tmp_path: Path) -> None:
    young = SqliteDatabase.in_file(tmp_path / "young.sqlite3")
    reconciler = Reconciler(
        database=young, writer=world.service.writer, rpc=world.service.rpc, clock=world.service.clock
    )
    with world.other(reconciler=reconciler) as caller:
        response = caller(world.books.key).get("/v1/audit")
    young.close()

    problem(response, 503, "nothing-to-audit")
    assert response.headers["retry-after"] == "1"
