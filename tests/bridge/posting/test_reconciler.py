"""The reconciler: every difference is found and named, at one final block."""

from typing import Any

import pytest

from bridge.chain.errors import ChainUnreachable
from bridge.chain.finality import FinalityRule
from bridge.posting.nonces import MAKING_MS
from bridge.posting.reconciler import WHOLE_EVERY_MS, NothingToAudit, Report
from bridge.store import blocks, breaker
from bridge.store.breaker import Alarm
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import block
from tests.bridge.posting.conftest import Office


@pytest.fixture
def swapped(office: Office, ann: Member, box: Program) -> Office:
    """100 earned and 10 redeemed in AIR, 40 of them swapped for 20 in BOX; final, and 7 more that are not."""
    office.ledger.earn(ann, 100)
    office.ledger.redeem(ann, 10)
    office.settle()
    office.ledger.swap(ann, box, 40)
    office.post()
    office.mine()
    office.ledger.earn(ann, 7)
    office.post()
    return office


def test_audit__of_books_that_agree__finds_nothing(swapped: Office) -> None:
    report = swapped.reconciler.audit()
    assert report.differences == 0
    assert report.block.number == 4
    found = {one.books.program.symbol: (one.supply, one.position_micro) for one in report.programs}
    assert found == {"AIR": (50, -140), "BOX": (20, 140), "CAR": (0, 0)}
    assert report.positions_sum == 0
    assert all(one.differences == 0 for one in report.programs)


def test_audit__where_an_account_differs__names_it_with_both_amounts(
    swapped: Office, ann: Member, air: Program
) -> None:
    final = swapped.chain.blocks[4].state
    final.balances[air.deployed_token, ann.account] += 3
    report = swapped.reconciler.audit()
    verdict = next(one for one in report.programs if one.books.program.id == air.id)
    (difference,) = verdict.differing
    assert (difference.account.address, difference.account.posted, difference.chain) == (ann.account, 50, 53)
    assert verdict.differences == 2, "the account and the supply"
    for told in ("AIR", f"0x{ann.account.hex()}", "53 on the chain", "50 in the ledger", "supply"):
        assert told in verdict.named()
    assert report.differences == 2


def test_audit__where_points_are_in_an_account_that_nobody_knows__finds_the_supply(
    swapped: Office, air: Program
) -> None:
    swapped.chain.blocks[4].state.balances[air.deployed_token, b"\x77" * 20] += 3
    verdict = next(one for one in swapped.reconciler.audit().programs if one.books.program.id == air.id)
    assert (verdict.differing, verdict.differences) == ([], 1)
    assert verdict.named() == "AIR: supply 53 on the chain, 50 in the ledger"


def test_audit__where_points_lie_in_another_account__finds_both(swapped: Office, ann: Member, air: Program) -> None:
    other = swapped.ledger.member(air, "other")
    balances = swapped.chain.blocks[4].state.balances
    balances[air.deployed_token, ann.account] -= 4
    balances[air.deployed_token, other.account] += 4
    verdict = next(one for one in swapped.reconciler.audit().programs if one.books.program.id == air.id)
    assert {one.account.address: one.chain - one.account.posted for one in verdict.differing} == {
        ann.account: -4,
        other.account: 4,
    }
    assert verdict.differences == 2


def test_audit__where_a_position_differs__names_it_and_the_sum(swapped: Office, air: Program) -> None:
    swapped.chain.blocks[4].state.positions[air.deployed_token] += 1
    report = swapped.reconciler.audit()
    verdict = next(one for one in report.programs if one.books.program.id == air.id)
    assert verdict.named() == "AIR: position -139 on the chain, -140 in the ledger"
    assert report.positions_sum == 1
    assert report.differences == 2, "the position, and the sum that is not zero"


def test_audit__of_one_program__compares_only_it(swapped: Office, air: Program, box: Program) -> None:
    swapped.chain.blocks[4].state.balances[air.deployed_token, b"\x77" * 20] += 3
    assert [one.differences for one in swapped.reconciler.audit(program_id=box.id).programs] == [0]
    assert [one.differences for one in swapped.reconciler.audit(program_id=air.id).programs] == [1]


def test_audit__of_a_program_without_a_token__leaves_it_out(swapped: Office) -> None:
    swapped.ledger.program("NEW", active=False)
    assert len(swapped.reconciler.audit().programs) == 3


def test_audit__of_a_block_that_the_node_no_longer_has__is_no_verdict(swapped: Office) -> None:
    swapped.chain.reorganise(3)
    swapped.chain.mine()
    swapped.chain.mine()
    with pytest.raises(ChainUnreachable):
        swapped.reconciler.audit()


def test_audit__before_a_final_block__has_nothing_to_compare(office: Office) -> None:
    with office.ledger.database.write() as connection:
        connection.execute(block.update().values(final=False))
    with pytest.raises(NothingToAudit):
        office.reconciler.audit()


def test_audit__of_contracts_that_are_not_there_yet_at_the_final_block__finds_that_they_hold_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.mine(3)
    monkeypatch.setattr(office.chain, "call_many", lambda calls, _block: [b""] * len(calls))
    report = office.reconciler.audit()
    assert [one.supply for one in report.programs] == [0, 0, 0]
    assert report.differences == 0


def test_audit__of_contracts_that_are_gone__finds_that_what_the_ledger_holds_is_missing(
    swapped: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swapped.chain, "call_many", lambda calls, _block: [b""] * len(calls))
    assert swapped.reconciler.audit().differences > 0


def test_step__then_compares_everything_once_and_later_what_was_moved(
    swapped: Office, ann: Member, air: Program
) -> None:
    assert swapped.reconciler.step() and swapped.reconciler.last is not None
    assert swapped.reconciler.last.block.number == 4
    assert not swapped.reconciler.step(), "nothing became final since"
    other = swapped.ledger.member(air, "other")
    swapped.ledger.earn(other, 5)
    swapped.settle()
    assert swapped.reconciler.step()
    report = swapped.reconciler.last
    held = {one.books.program.symbol: {each.address for each in one.books.accounts} for one in report.programs}
    assert held == {"AIR": {ann.account, other.account}, "BOX": set(), "CAR": set()}, "7 more of ann's became final"
    assert report.differences == 0 and swapped.breaker is None


def test_step__where_a_moved_account_differs__then_the_breaker_names_it(swapped: Office, ann: Member) -> None:
    swapped.reconciler.step()
    swapped.ledger.earn(ann, 5)
    swapped.settle()
    final = swapped.ledger.ask(blocks.newest_final)
    assert final is not None
    swapped.chain.blocks[final.number].state.balances[swapped.program("AIR").deployed_token, ann.account] += 2
    swapped.reconciler.step()
    stopped = swapped.ledger.ask(breaker.state)
    assert stopped is not None and stopped.alarm is Alarm.BOOKS_DIFFER
    assert f"0x{ann.account.hex()} holds" in stopped.reason and f"at block {final.number}" in stopped.reason


def test_step__where_an_account_differs_that_was_not_moved__then_found_when_everything_is_compared(
    swapped: Office, ann: Member, box: Program
) -> None:
    swapped.settle()  # the last of what ann earned
    swapped.reconciler.step()
    swapped.ledger.earn(swapped.ledger.member(box, "other"), 5)
    swapped.settle()
    final = swapped.ledger.ask(blocks.newest_final)
    assert final is not None
    air = swapped.program("AIR").deployed_token
    moved = swapped.chain.blocks[final.number].state.balances
    moved[air, ann.account] -= 2
    moved[air, b"\x77" * 20] += 2
    assert swapped.reconciler.step() and swapped.breaker is None, "the supply is right, and AIR did not move"
    swapped.ledger.now_ms += WHOLE_EVERY_MS
    assert swapped.reconciler.step() and swapped.breaker is not None
    moved[air, ann.account] += 2
    moved[air, b"\x77" * 20] -= 2
    swapped.ledger.earn(swapped.ledger.member(box, "third"), 5)
    swapped.settle()
    assert swapped.reconciler.step() and swapped.reconciler.last is not None and swapped.reconciler.last.is_equal
    assert swapped.reconciler.differing is not None, "a part that is equal does not make the rest equal"
    swapped.ledger.now_ms += WHOLE_EVERY_MS
    assert swapped.reconciler.step() and swapped.reconciler.differing is None


def test_step__where_only_the_positions_do_not_sum_to_zero__then_the_breaker_says_so(
    swapped: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Report, "positions_sum", 5)
    swapped.reconciler.step()
    assert swapped.breaker is not None and "sum to 5 micro-units" in swapped.breaker


def test_step__before_a_final_block__then_does_nothing(office: Office) -> None:
    with office.ledger.database.write() as connection:
        connection.execute(block.update().values(final=False))
    assert not office.reconciler.step() and office.reconciler.last is None


def test_audit__where_the_node_answers_once_of_the_block_it_is_making__is_no_difference(
    swapped: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, looks = swapped.chain.call_many, []

    def too_new(calls: Any, block_number: Any) -> list[bytes]:
        looks.append(block_number)
        return answer(calls, len(swapped.chain.blocks) - 1 if len(looks) == 1 else block_number)

    monkeypatch.setattr(swapped.chain, "call_many", too_new)
    assert swapped.reconciler.audit().differences == 0
    assert looks[0] != len(swapped.chain.blocks) - 1, "the first answer was of another block"


def test_reconcile__while_the_node_makes_a_block__waits_for_it_before_a_difference_counts(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is asked meanwhile, it answers of that block, and says that the one before is its newest."""
    office.finality = FinalityRule.parse("depth:0")
    office.begin()
    office.ledger.earn(ann, 5)
    office.post()
    office.ledger.earn(ann, 7)
    office.poster.step()
    office.chain.shown = office.chain.head_number()
    office.chain.mine()
    making, rests = [True], []
    answer = office.chain.call_many

    def of_the_next(asked: Any, number: Any) -> list[bytes]:
        if not making:
            return answer(asked, number)
        with monkeypatch.context() as shown:
            shown.setattr(office.chain, "shown", None)
            return answer(asked, number + 1)

    def rest(seconds: float) -> None:
        rests.append(seconds)
        making.clear()

    monkeypatch.setattr(office.chain, "call_many", of_the_next)
    monkeypatch.setattr(office.reconciler, "_rest", rest)
    assert office.reconciler.reconcile().differences == 0
    assert (rests, office.breaker) == ([MAKING_MS / 1000], None)
