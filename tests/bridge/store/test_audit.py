"""The ledger's side of an audit: the books as of the newest final block, whatever stands above it."""

import pytest

from bridge.store import audit
from bridge.store.audit import Books, Snapshot
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import block
from tests.bridge.store.ledgers import Ledger


def _books(ledger: Ledger) -> dict[str, Books]:
    found = ledger.ask(audit.snapshot)
    assert found is not None
    return {one.program.symbol: one for one in found.books}


def _held(books: Books) -> list[int]:
    return [one.posted for one in books.accounts]


@pytest.fixture
def ann(ledger: Ledger, air: Program, box: Program) -> Member:
    """Earned 100 and redeemed 10 in AIR, and swapped 40 for 20 in BOX at a price of 7; all final at block 2."""
    ann = ledger.link(ledger.member(air, "ann"), ledger.member(box, "ben")).members[0]
    ledger.agree(air, box, (2, 1), price=7)
    ledger.earn(ann, 100)
    ledger.redeem(ann, 10)
    ledger.post(air)
    ledger.swap(ann, box, 40)
    ledger.post(air, box)
    return ann


@pytest.mark.usefixtures("ann")
def test_snapshot__of_final_blocks__has_every_sum(ledger: Ledger) -> None:
    air, box = _books(ledger)["AIR"], _books(ledger)["BOX"]
    assert (air.issued, air.redeemed, air.swapped_in, air.swapped_out, air.ledger) == (100, 10, 0, 40, 50)
    assert (box.issued, box.redeemed, box.swapped_in, box.swapped_out, box.ledger) == (0, 0, 20, 0, 20)
    assert (air.position_micro, box.position_micro) == (-140, 140)
    assert air.operations == {"earn": 1, "redemption": 1, "swap": 1}
    assert (air.flow.batches, air.flow.items, air.flow.gas_used) == (1, 2, 50_000)
    assert _held(box) == [0, 20]


def test_snapshot__with_blocks_above_the_final_one__leaves_out_what_they_moved(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    before = ledger.ask(audit.snapshot)
    assert before is not None
    ledger.earn(ann, 7)
    ledger.redeem(ann, 3)
    ledger.confirm(air)
    ledger.swap(ann, box, 20)
    ledger.confirm(air, box)
    after = ledger.ask(audit.snapshot)
    assert after is not None
    assert _without_counts(after) == _without_counts(before)
    ledger.finalise(3)
    books = _books(ledger)["AIR"]
    assert (books.issued, books.redeemed, books.swapped_out, books.ledger) == (107, 13, 40, 54)
    ledger.finalise(4)
    assert _books(ledger)["AIR"].ledger == 34
    assert _books(ledger)["BOX"].position_micro == 210


def _without_counts(of: Snapshot) -> list[object]:
    return [
        (one.issued, one.redeemed, one.swapped_in, one.swapped_out, one.accounts, one.position_micro, one.flow)
        for one in of.books
    ] + [of.block, of.settlements]


def test_snapshot__with_what_is_only_accepted__leaves_it_out(ledger: Ledger, ann: Member, box: Program) -> None:
    before = _books(ledger)["AIR"]
    ledger.earn(ann, 7)
    ledger.redeem(ann, 3)
    ledger.swap(ann, box, 20)
    after = _books(ledger)["AIR"]
    assert (after.accounts, after.issued, after.position_micro) == (
        before.accounts,
        before.issued,
        before.position_micro,
    )
    assert after.operations == {"earn": 2, "redemption": 2, "swap": 2}


def test_snapshot__of_a_skipped_swap__does_not_move_the_position(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.swap(ann, box, 20)
    ledger.finalise(ledger.mine(ledger.freeze(ledger.stream(air, box)), skipped=[0]))
    books = _books(ledger)
    assert (books["AIR"].position_micro, books["BOX"].position_micro) == (-140, 140)
    assert books["AIR"].refused_by_chain == 1
    assert books["AIR"].ledger == 50


def test_snapshot__of_a_swap_with_one_leg_skipped__has_the_position_of_the_other(
    ledger: Ledger, ann: Member, box: Program, car: Program
) -> None:
    ben = ledger.member(box, "ben")
    ledger.earn(ben, 10)
    ledger.post(box)
    ledger.link(ben, ledger.member(car, "cat"))
    ledger.agree(box, car, price=3)
    ledger.swap(ben, car, 30)
    ledger.finalise(ledger.mine(ledger.freeze(ledger.stream(box, car)), skipped=[0]))
    books = _books(ledger)
    assert sorted(_held(books["CAR"])) == [0, 0, 20]
    assert (books["BOX"].position_micro, books["CAR"].position_micro) == (140 - 60, 60)
    assert ann.member_number == "ann"


def test_snapshot__of_paths__names_what_was_settled(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    found = ledger.ask(audit.snapshot)
    assert found is not None
    (settled,) = found.settlements
    assert (settled.path, settled.flow.batches, settled.flow.items) == ([air.id, box.id], 1, 1)
    assert ann.program_id == air.id


def test_snapshot__before_a_final_block__is_none(ledger: Ledger) -> None:
    with ledger.database.write() as connection:
        connection.execute(block.update().values(final=False))
    assert ledger.ask(audit.snapshot) is None
