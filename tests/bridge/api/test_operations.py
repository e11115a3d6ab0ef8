"""Operations: what became of each accepted request."""

from typing import Any

import pytest

from .world import World, problem, unique


def test_operation__until_it_is_final__then_tells_each_step_with_transaction_and_block(world: World) -> None:
    member = world.coffee.member()
    accepted = world.coffee.earn(member["id"], 5)

    done = world.final(accepted["id"])

    assert [step["state"] for step in done["steps"]] == ["accepted", "submitted", "confirmed", "final"]
    times = [step["at"] for step in done["steps"]]
    assert times == sorted(times) and times[0] == done["created_at"] == accepted["created_at"]
    receipt = world.service.rpc.request("eth_getTransactionReceipt", done["transaction"])
    assert int(receipt["blockNumber"], 16) == done["block"] and int(receipt["status"], 16) == 1
    assert done["batch_id"].startswith("bat_") and len(bytes.fromhex(done["tag"][2:])) == 5
    assert [step["state"] for step in accepted["steps"]] == ["accepted"]
    assert world.coffee.get(f"/v1/operations/{done['id']}").json() == done


@pytest.fixture(scope="module")
def busy(world: World) -> str:
    """A member with two redemptions after five earns; their ids, newest first, are to be found by listing."""
    member: str = world.coffee.member()["id"]
    for points in range(1, 6):
        world.coffee.earn(member, points)
    for points in (2, 3):
        world.coffee.post("/v1/redemptions", {"member_id": member, "points": points}, key=unique())
    return member


def test_list__of_a_member__then_newest_first_by_kind_and_state(world: World, busy: str) -> None:
    def listed(**asked: Any) -> list[tuple[str, int]]:
        items = world.coffee.get("/v1/operations", member_id=busy, **asked).json()["items"]
        return [(one["kind"], one["points"]) for one in items]

    earns = [("earn", points) for points in (5, 4, 3, 2, 1)]
    redemptions = [("redemption", 3), ("redemption", 2)]
    assert listed() == redemptions + earns
    assert listed(kind="earn") == earns and listed(kind="redemption") == redemptions and listed(kind="swap") == []
    world.quiet()
    assert listed(state="final") == redemptions + earns and listed(state="accepted") == []


def test_list__by_cursor__then_pages_both_ways(world: World, busy: str) -> None:
    path, asked = "/v1/operations", {"member_id": busy, "limit": 3}
    pages = [world.coffee.get(path, **asked).json()]
    while pages[-1]["next"]:
        pages.append(world.coffee.get(path, **asked, cursor=pages[-1]["next"]).json())
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(world.coffee.get(path, **asked, cursor=back[-1]["previous"]).json())

    def ids(some: list[dict[str, Any]]) -> list[list[str]]:
        return [[one["id"] for one in page["items"]] for page in some]

    assert [len(page) for page in ids(pages)] == [3, 3, 1]
    assert ids(back[::-1]) == ids(pages)
    assert pages[0]["previous"] is pages[-1]["next"] is back[-1]["previous"] is None


def test_list__while_new_ones_come_in__then_the_next_page_does_not_shift(world: World, busy: str) -> None:
    asked = {"limit": 3}
    first = world.coffee.get("/v1/operations", **asked).json()
    expected = world.coffee.get("/v1/operations", limit=6).json()["items"][3:]
    made = world.coffee.earn(busy, 1)

    second = world.coffee.get("/v1/operations", **asked, cursor=first["next"]).json()
    newer = world.coffee.get("/v1/operations", **asked, cursor=second["previous"]).json()

    assert [one["id"] for one in second["items"]] == [one["id"] for one in expected]
    assert [one["id"] for one in newer["items"]] == [one["id"] for one in first["items"]]
    newest = world.coffee.get("/v1/operations", **asked, cursor=newer["previous"]).json()["items"]
    assert [one["id"] for one in newest] == [made["id"]]


@pytest.mark.parametrize(("name", "value"), [("kind", "gift"), ("state", "lost")])
def test_list__by_a_word_that_does_not_exist__then_422(world: World, name: str, value: str) -> None:
    assert problem(world.coffee.get("/v1/operations", **{name: value}), 422, "invalid-request")["field"] == name


def test_list__of_nobody__then_404(world: World) -> None:
    assert problem(world.coffee.get("/v1/operations", member_id="mbr_x"), 404, "unknown-member")["field"] == "member_id"
    problem(world.coffee.get("/v1/operations/op_nothing"), 404, "unknown-operation")
