"""Operations: found again by id, by key, and in lists."""

import pytest

from bridge.store import operations
from bridge.store.members import Member
from bridge.store.operations import Filter
from bridge.store.pages import Ask
from bridge.store.programs import Program
from exchange.errors import UnknownOperation
from tests.bridge.store.ledgers import Ledger


@pytest.fixture
def story(ledger: Ledger, air: Program, box: Program, car: Program) -> dict[str, str]:
    """An earn, a redemption and a swap from AIR to BOX; an earn in CAR."""
    ann = ledger.link(ledger.member(air, "ann"), ledger.member(box, "ben")).members[0]
    ledger.agree(air, box)
    earned = ledger.earn(ann, 100)
    ledger.post(air)
    return {
        "earn": earned,
        "redemption": ledger.redeem(ann, 10),
        "swap": ledger.swap(ann, box, 20),
        "other": ledger.earn(ledger.member(car, "cat"), 1),
    }


def _listed(ledger: Ledger, **wanted: str) -> list[str]:
    return [one.id for one in ledger.ask(operations.page, Filter(**wanted), Ask()).items]


def test_page__by_program__shows_a_swap_to_both(
    ledger: Ledger, story: dict[str, str], air: Program, box: Program, car: Program
) -> None:
    assert _listed(ledger, program_id=air.id) == [story["swap"], story["redemption"], story["earn"]]
    assert _listed(ledger, program_id=box.id) == [story["swap"]]
    assert _listed(ledger, program_id=car.id) == [story["other"]]


def test_page__by_member_kind_and_state__shows_only_those(ledger: Ledger, story: dict[str, str], box: Program) -> None:
    ben = ledger.member(box, "ben")
    assert _listed(ledger, member_id=ben.id) == [story["swap"]]
    assert _listed(ledger, kind="earn") == [story["other"], story["earn"]]
    assert _listed(ledger, kind="earn", state="final") == [story["earn"]]


def test_by_id__for_a_program_that_it_does_not_concern__is_unknown(
    ledger: Ledger, story: dict[str, str], air: Program, box: Program, car: Program
) -> None:
    for program in (air, box):
        assert ledger.ask(operations.by_id, story["swap"], program.id).id == story["swap"]
    for operation_id in (story["swap"], "op_none"):
        with pytest.raises(UnknownOperation):
            ledger.ask(operations.by_id, operation_id, car.id)


def test_waiting__of_a_ledger__counts_what_no_batch_holds(ledger: Ledger, story: dict[str, str], air: Program) -> None:
    assert ledger.ask(operations.waiting).count == 3
    ledger.freeze(ledger.stream(air))
    found = ledger.ask(operations.waiting)
    assert (found.count, found.oldest_ms) == (2, ledger.now_ms)
    assert ledger.ask(operations.count) == len(story)


def test_known__of_keys__are_those_of_the_program(ledger: Ledger, air: Program, box: Program) -> None:
    ann: Member = ledger.member(air, "ann")
    ledger.earn(ann, 5, "key")
    assert set(ledger.ask(operations.known, air.id, ["key", "other"])) == {"key"}
    assert ledger.ask(operations.known, box.id, ["key"]) == {}
