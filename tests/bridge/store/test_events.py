"""Events: in order, from where the reader stopped, and to whom they concern."""

import pytest

from bridge.store import events, outcomes
from bridge.store.events import OperationEvent
from bridge.store.members import Member
from bridge.store.programs import Program
from tests.bridge.store.ledgers import Ledger


@pytest.fixture
def ann(ledger: Ledger, air: Program, box: Program) -> Member:
    ann = ledger.link(ledger.member(air, "ann"), ledger.member(box, "ben")).members[0]
    ledger.agree(air, box)
    ledger.earn(ann, 100)
    ledger.post(air)
    return ann


def _states(ledger: Ledger, cursor: int, program: Program | None) -> list[tuple[str, str]]:
    return [(one.operation_id, one.state) for one in ledger.told(program, cursor)]


def test_after__of_a_batch__opens_into_each_of_its_operations(ledger: Ledger, ann: Member, air: Program) -> None:
    cursor = ledger.ask(events.last_cursor)
    operations = [ledger.earn(ann, amount) for amount in (1, 2, 3)]
    number = ledger.mine(ledger.freeze(ledger.stream(air)))
    ledger.finalise(number)
    steps = ("accepted", "submitted", "confirmed", "final")
    assert _states(ledger, cursor, air) == [(each, step) for step in steps for each in operations]


def test_after__from_a_cursor__goes_on_where_the_reader_stopped(
    ledger: Ledger, ann: Member, monkeypatch: pytest.MonkeyPatch, air: Program
) -> None:
    monkeypatch.setattr(events, "ROWS_MAX", 3)
    operations = [ledger.earn(ann, 1) for _ in range(8)]
    ledger.post(air)
    cursor, seen = 0, []
    while True:
        found, after = ledger.ask(events.after, cursor, air.id)
        assert all(cursor < one.cursor <= after for one in found)
        if after == cursor:
            break
        seen += [one.operation_id for one in found if isinstance(one, OperationEvent) and one.state == "accepted"]
        cursor = after
    assert seen[-8:] == operations
    assert cursor == ledger.ask(events.last_cursor)


def test_after__at_the_end__stays_there(ledger: Ledger, ann: Member) -> None:
    cursor = ledger.ask(events.last_cursor)
    assert ledger.ask(events.after, cursor, ann.program_id) == ([], cursor)


def test_after__for_a_program__tells_nothing_of_others(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ben = ledger.member(box, "another")
    ledger.earn(ben, 5)
    assert {one.program_id for one in ledger.ask(events.after, 0, box.id)[0]} == {box.id}
    assert {one.program_id for one in ledger.ask(events.after, 0, air.id)[0]} == {air.id}
    assert ledger.ask(events.after, 0, car.id) == ([], 0)
    assert ann.program_id == air.id


def test_after__of_a_swap__is_told_to_both_programs_and_once_to_an_operator(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    cursor = ledger.ask(events.last_cursor)
    operation_id = ledger.swap(ann, box, 10)
    number = ledger.mine(ledger.freeze(ledger.stream(air, box)))
    ledger.finalise(number)
    story = [(operation_id, step) for step in ("accepted", "submitted", "confirmed", "final")]
    for program in (air, box, None):
        assert _states(ledger, cursor, program) == story
    found, _ = ledger.ask(events.after, cursor, box.id)
    assert {(one.kind, one.program_id) for one in found} == {("swap", air.id)}


def test_after__of_a_reorganisation__tells_the_step_back(ledger: Ledger, ann: Member, air: Program) -> None:
    operation_id = ledger.earn(ann, 1)
    cursor = ledger.ask(events.last_cursor)
    frozen = ledger.freeze(ledger.stream(air))
    ledger.do(outcomes.submitted, frozen.id, ledger.now_ms)
    ledger.mine(frozen)
    ledger.undo_above(1)
    ledger.mine(ledger.batch(frozen.id))
    assert _states(ledger, cursor, air) == [
        (operation_id, step) for step in ("submitted", "confirmed", "submitted", "confirmed")
    ]
