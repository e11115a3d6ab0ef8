"""The board: every partner of a program in one call."""

from typing import Any

from bridge.store import terms
from bridge.store.terms import Elsewhere, Proposal

from .trio import Trio
from .world import problem


def _board(trio: Trio, program_id: str) -> dict[str, dict[str, Any]]:
    answer = trio.world.books.get("/v1/board", program_id=program_id).json()
    return {each["symbol"]: each for each in answer["partners"]}


def test_board__then_shows_every_partner_with_what_counts_now(trio: Trio) -> None:
    board = _board(trio, trio.alfa.id)

    assert list(board) == ["BRAV", "CHAR", "DELT", "ECHO"], "by symbol"
    assert board["DELT"]["out"]["state"] == "suspended"
    direct = board["CHAR"]["out"]
    assert (direct["terms_id"], direct["state"]) == (trio.direct["id"], "in_force")
    assert (direct["ratio"], direct["inverse"]) == (
        {"from_units": 4, "to_units": 1},
        {"from_units": 1, "to_units": 4},
    )
    assert (direct["minimum"], direct["increment"]) == (100, 4)
    assert direct["bonuses"] == [{"name": "big swap", "share": "20%", "when": {"at_least": 1_000}}]
    assert direct["fees"] == [{"points": 5}, {"flat": "USD 0.50"}]
    assert direct["changed"] == {
        "at": trio.direct["effective_at"],
        "terms_id": trio.direct["id"],
        "before": None,
        "after": {"from_units": 4, "to_units": 1},
    }
    assert direct["coming"] is None
    assert (direct["value"]["given_micro"], direct["value"]["received_micro"]) == (10_000, 1_250)
    assert (direct["value"]["lost_bp"], direct["value"]["currency"]) == (8_750, "USD")
    assert board["CHAR"]["back"] is None and board["CHAR"]["round_trip"] is None


def test_board__of_a_program_that_points_come_from__then_shows_them_as_back(trio: Trio) -> None:
    board = _board(trio, trio.charlie.id)

    assert board["BRAV"]["out"] is None
    assert board["BRAV"]["back"]["ratio"] == {"from_units": 1, "to_units": 3}
    assert board["ALFA"]["back"]["terms_id"] == trio.direct["id"]


def test_board__of_a_direction_with_changes__then_says_from_what_to_what_and_when(trio: Trio) -> None:
    """A story, since each step takes a block: both ways, a change announced, its day, and suspended."""
    world = trio.world
    back = {"ratio": {"from_units": 2, "to_units": 1}, "minimum": 1, "increment": 1}
    first = world.agree(trio.charlie, trio.bravo, ratio={"from_units": 4, "to_units": 1}, minimum=4, increment=4)
    row = _board(trio, trio.charlie.id)["BRAV"]
    assert (row["out"]["terms_id"], row["round_trip"]) == (first["id"], "3/4")

    second = world.agree(trio.charlie, trio.bravo, **(back | {"ratio": {"from_units": 5, "to_units": 1}}))
    assert second["state"] == "announced"
    now = _board(trio, trio.charlie.id)["BRAV"]["out"]
    assert (now["terms_id"], now["coming"]) == (
        first["id"],
        {
            "at": second["effective_at"],
            "terms_id": second["id"],
            "before": {"from_units": 4, "to_units": 1},
            "after": {"from_units": 5, "to_units": 1},
        },
    )
    with world.later(world.service.settings.notice + 5) as caller:
        answer = caller(world.books.key).get("/v1/board", program_id=trio.charlie.id).json()
    later = next(each["out"] for each in answer["partners"] if each["symbol"] == "BRAV")
    assert (later["terms_id"], later["coming"], later["changed"]) == (second["id"], None, now["coming"])

    assert trio.charlie.post(f"/v1/terms/{first['id']}/suspend").status_code == 202
    world.terms_in(first["id"], "suspended")
    closed = _board(trio, trio.charlie.id)["BRAV"]["out"]
    assert (closed["state"], closed["coming"]) == ("suspended", None)


def test_board__of_terms_adopted_past_the_service__then_shows_them_as_what_nobody_is_quoted(trio: Trio) -> None:
    who, writer, now_ms = trio.traveller(points=0), trio.world.service.writer, trio.world.service.clock()
    agreed = Proposal(trio.charlie.id, trio.alfa.id, 9, 1, 1, 1, 0, "USD", trio.charlie.id)
    at = Elsewhere(version=1, effective_ms=now_ms, block=1, block_ms=now_ms)
    row = writer.run(lambda connection: terms.adopted_elsewhere(connection, agreed, at))
    try:
        shown = _board(trio, trio.charlie.id)["ALFA"]["out"]
        wanted = {"member_id": who.charlie, "to_program_id": trio.alfa.id, "amount_in": 30}
        refused = trio.charlie.post("/v1/quotes", wanted)
    finally:
        writer.run(lambda connection: terms.forget_above(connection, 0))

    assert (shown["terms_id"], shown["state"]) == (row.id, "foreign")
    assert "past this service" in problem(refused, 409, "direction-closed")["detail"]


def test_board__of_no_program__then_404(trio: Trio) -> None:
    problem(trio.alfa.get("/v1/board", program_id="prg_nowhere"), 404, "unknown-program")
    assert problem(trio.alfa.get("/v1/board"), 422, "missing-field")["field"] == "program_id"
