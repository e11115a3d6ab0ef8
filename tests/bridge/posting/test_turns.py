"""Turns: one lane, or stream, for which the chain always fails keeps no other from going on."""

import json

import pytest

from bridge.chain.errors import ChainUnreachable
from bridge.chain.rpc import BlockId
from bridge.posting import calls, room
from bridge.posting.submitter import RESEND_AFTER_MS, UNMINED_PER_LANE_MAX
from bridge.posting.turns import Turns
from bridge.store import lanes
from bridge.store.members import Member
from bridge.store.programs import Program
from tests.bridge.posting.conftest import Office

ROUNDS = 4


def _serve(served: list[int], failing: set[int]) -> bool | None:
    turns = Turns()
    answers: list[bool | None] = []
    for _ in range(ROUNDS):

        def serve(one: int) -> bool:
            if one in failing:
                raise ChainUnreachable("away")
            served.append(one)
            return one == 3

        try:
            answers.append(turns.serve({3, 1, 2}, serve))
        except ChainUnreachable:
            answers.append(None)
        served.append(0)
    return answers[-1]


@pytest.mark.parametrize(
    ("failing", "served"),
    [
        (set(), [1, 2, 3, 0] * ROUNDS),
        ({1}, [0, *([2, 3, 0] * (ROUNDS - 1))]),
        ({3}, [1, 2, 0] * ROUNDS),
        ({1, 2}, [0, 0, 3, 0, 0]),
        ({1, 2, 3}, [0] * ROUNDS),
    ],
)
def test_serve__where_some_always_fail__comes_to_each_of_the_others(failing: set[int], served: list[int]) -> None:
    told: list[int] = []
    assert _serve(told, failing) is (None if failing else True)
    assert told == served


def _pass(office: Office) -> None:
    office.ledger.now_ms += RESEND_AFTER_MS
    with pytest.raises(ChainUnreachable, match="this one times out"):
        office.poster.step()
    office.mine()


def _of_both(office: Office, ann: Member, box: Program) -> tuple[str, str]:
    return office.ledger.earn(ann, 5), office.ledger.earn(office.ledger.member(box, "zoe"), 7)


@pytest.mark.parametrize("of_air", [True, False])
def test_step__while_what_one_lane_sends_always_times_out__sends_what_the_others_have(
    office: Office, ann: Member, air: Program, box: Program, of_air: bool
) -> None:
    bad = office.ledger.ask(lanes.by_id, (air if of_air else box).issuer_lane_id).address
    on_send = office.chain.on_send

    def refuse(raw: bytes) -> None:
        if json.loads(raw)["from"] == bad.hex():
            raise ChainUnreachable("this one times out")

    office.chain.on_send = refuse
    of_both = _of_both(office, ann, box)
    for _ in range(ROUNDS):
        _pass(office)
    states = dict(zip((True, False), office.states(*of_both), strict=True))
    assert states == {of_air: "accepted", not of_air: "final"}
    office.chain.on_send = on_send
    for _ in range(2):
        office.ledger.now_ms += RESEND_AFTER_MS
        office.settle()
    assert office.states(*of_both) == ["final", "final"]


@pytest.mark.parametrize("of_air", [True, False])
def test_step__while_the_chain_does_not_tell_of_one_lane__signs_on_the_others(
    office: Office, ann: Member, air: Program, box: Program, of_air: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = office.chain.transaction_count
    bad = office.ledger.ask(lanes.by_id, (air if of_air else box).issuer_lane_id).address

    def refuse(address: bytes, block: BlockId = "latest") -> int:
        if address == bad:
            raise ChainUnreachable("this one times out")
        return count(address, block)

    of_both = _of_both(office, ann, box)
    with monkeypatch.context() as failing:
        failing.setattr(office.chain, "transaction_count", refuse)
        with pytest.raises(ChainUnreachable, match="this one times out"):
            office.poster.step()
        office.poster.step()  # the next round is the others', and that lane rests
        office.mine()
        assert office.states(*of_both) == (["accepted", "confirmed"] if of_air else ["confirmed", "accepted"])
        of_both = _of_both(office, ann, box)
        _pass(office)  # in the very round in which it fails again
        assert office.states(*of_both) == (["accepted", "confirmed"] if of_air else ["confirmed", "accepted"])
    for _ in range(2):
        office.ledger.now_ms += RESEND_AFTER_MS
        office.settle()
    assert office.states(*of_both) == ["final", "final"]


def test_step__while_one_stream_cannot_be_asked_about__posts_the_others_and_sends_what_is_signed(
    office: Office, ann: Member, air: Program, box: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, bad = room.read, office.ledger.stream(air).id

    def refuse(*args: object) -> room.Room:
        if args[2].id == bad:  # type: ignore[attr-defined]
            raise ChainUnreachable("this one times out")
        return read(*args)  # type: ignore[arg-type]

    of_both = _of_both(office, ann, box)
    with monkeypatch.context() as failing:
        failing.setattr(room, "read", refuse)
        for _ in range(ROUNDS):
            _pass(office)
    assert office.states(*of_both) == ["accepted", "final"]
    office.settle()
    assert office.states(*of_both) == ["final", "final"]


def test_step__where_a_reorganisation_freed_more_than_a_lane_may_have_under_way__sends_the_first(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 1)
    for _ in range(2 * UNMINED_PER_LANE_MAX):
        office.ledger.earn(ann, 1)
    office.post()
    office.poster.step()
    office.chain.reorganise(1)
    office.chain.mempool.clear()
    office.chain.mine()
    office.mine()
    assert set(office.ledger.ask(lanes.unmined).values()) == {2 * UNMINED_PER_LANE_MAX}
    office.ledger.now_ms += RESEND_AFTER_MS
    office.poster.step()
    sent = sorted(json.loads(raw)["nonce"] for raw in office.chain.mempool.values())
    assert sent == list(range(UNMINED_PER_LANE_MAX))
    for _ in range(3):
        office.ledger.now_ms += RESEND_AFTER_MS
        office.settle()
    assert office.chain.state.balances.total() == 2 * UNMINED_PER_LANE_MAX
