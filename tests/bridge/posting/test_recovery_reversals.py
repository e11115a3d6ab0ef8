"""Recovery of reversals and debts: nobody pays twice for what a lost ledger took back or was owed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.store import debts, programs
from bridge.store.members import Member
from bridge.store.programs import Program
from tests.bridge.posting.conftest import Office
from tests.bridge.posting.restoring import lost, recover, require_sound


@pytest.mark.parametrize("backwards", [False, True])
def test_recover__of_reversals_and_repayments__leaves_each_one_effect_in_whatever_order_they_are_repeated(
    office: Office, ann: Member, air: Program, tmp_path: Path, backwards: bool
) -> None:
    ledger = office.ledger
    ledger.do(programs.may_be_owed, air.id, 100)
    earned, redeemed = ledger.earn(ann, 100), ledger.redeem(ann, 80)
    office.settle()

    def repeat() -> tuple[int, int]:
        """All requests, as partners make them; what they came to take from the member and give back."""
        asked: list[Callable[[], Any]] = [
            lambda: ledger.reverse(earned, 60, "refund"),
            lambda: ledger.operation(ledger.earn(ann, 30, "next")),
            lambda: ledger.reverse(redeemed, 50, "cancelled"),
        ]
        done = [ask() for ask in (reversed(asked) if backwards and ledger.owed(ann) < 0 else asked)]
        for _ in range(3):
            ledger.now_ms += 60_000
            office.settle()
        require_sound(office)
        assert sorted(one.points for one in done) == [30, 50, 60]
        return sum(one.balance.posted for one in ledger.accounts(ann)), ledger.owed(ann)

    with lost(office, tmp_path):
        assert repeat() == (40, 0), "20 burned and 40 owed, of which the earn paid 30 and the reward 10"
    recover(office)
    assert ledger.owed(ann) == -40, "what was paid ahead of the debt that is not known yet"
    assert repeat() == (40, 0)
    assert ledger.ask(debts.of_program, air.id) == 0
    ledger.earn(ann, 5)
    assert ledger.owed(ann) == 0
