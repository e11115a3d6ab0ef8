"""Terms: how they stand over time."""

from typing import Any

import pytest

from bridge.store import terms
from bridge.store.pages import Ask
from bridge.store.programs import Program
from bridge.store.terms import (
    ADOPTED,
    ANNOUNCED,
    FAILED,
    IN_FORCE,
    PROPOSED,
    PROPOSING,
    SUPERSEDED,
    SUSPENDED,
    Proposal,
)
from exchange.errors import DirectionClosed, InvalidRatio, InvalidTerms, NoTerms, TermsStateConflict, UnknownTerms
from tests.bridge.store.ledgers import Ledger


def _proposal(source: Program, destination: Program, **changed: int) -> Proposal:
    given: dict[str, Any] = {
        "from_units": 3,
        "to_units": 2,
        "minimum": 1,
        "increment": 1,
        "settlement_price_micro": 7,
    } | changed
    return Proposal(
        from_program_id=source.id, to_program_id=destination.id, currency="USD", proposed_by=source.id, **given
    )


def _standing(ledger: Ledger, terms_id: str, at_ms: int) -> str:
    row = ledger.ask(terms.by_id, terms_id)
    return ledger.ask(terms.standing, row, at_ms)


def test_propose__of_terms__is_on_its_way_to_the_chain(ledger: Ledger, air: Program, box: Program) -> None:
    row = ledger.do(terms.propose, _proposal(air, box), ledger.now_ms)
    assert ledger.ask(terms.by_id, row.id) == row
    assert (row.state, row.version) == (PROPOSING, None)
    assert _standing(ledger, row.id, ledger.now_ms) == PROPOSING
    with pytest.raises(NoTerms):
        ledger.ask(terms.in_force, air.id, box.id, ledger.now_ms)


@pytest.mark.parametrize(
    ("changed", "error"),
    [({"from_units": 0}, InvalidRatio), ({"minimum": 0}, InvalidTerms), ({"settlement_price_micro": -1}, InvalidTerms)],
)
def test_propose__of_what_contradicts_itself__is_refused(
    ledger: Ledger, air: Program, box: Program, changed: dict[str, int], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ledger.do(terms.propose, _proposal(air, box, **changed), ledger.now_ms)
    with pytest.raises(InvalidTerms):
        ledger.do(terms.propose, _proposal(air, air), ledger.now_ms)


def test_standing__over_time__is_announced_then_in_force_then_superseded(
    ledger: Ledger, air: Program, box: Program
) -> None:
    first = ledger.agree(air, box)
    later_ms = ledger.now_ms + 1_000
    second = ledger.agree(air, box, (2, 1), version=2, effective_ms=later_ms)
    assert _standing(ledger, first.id, later_ms - 1) == IN_FORCE
    assert _standing(ledger, second.id, later_ms - 1) == ANNOUNCED
    assert _standing(ledger, first.id, later_ms) == SUPERSEDED
    assert _standing(ledger, second.id, later_ms) == IN_FORCE
    assert ledger.ask(terms.in_force, air.id, box.id, later_ms - 1).id == first.id
    assert ledger.ask(terms.in_force, air.id, box.id, later_ms).id == second.id
    assert ledger.ask(terms.next_change_ms, air.id, box.id, later_ms - 1) == later_ms
    assert ledger.ask(terms.next_change_ms, air.id, box.id, later_ms) is None


def test_in_force__before_any_is_effective__is_refused(ledger: Ledger, air: Program, box: Program) -> None:
    ledger.agree(air, box, effective_ms=ledger.now_ms + 1)
    with pytest.raises(NoTerms, match="no terms are in force"):
        ledger.ask(terms.in_force, air.id, box.id, ledger.now_ms)


def test_suspended__direction__has_no_terms_until_new_ones_are_adopted(
    ledger: Ledger, air: Program, box: Program
) -> None:
    first = ledger.agree(air, box)
    other = ledger.agree(box, air)
    announced = ledger.agree(air, box, version=2, effective_ms=ledger.now_ms + 1_000)
    ledger.do(terms.suspended, air.id, box.id, ledger.now_ms)
    assert _standing(ledger, first.id, ledger.now_ms) == SUSPENDED
    assert _standing(ledger, announced.id, ledger.now_ms + 2_000) == SUSPENDED
    assert _standing(ledger, other.id, ledger.now_ms) == IN_FORCE
    for at_ms in (ledger.now_ms, ledger.now_ms + 2_000):
        with pytest.raises(DirectionClosed, match="suspended for swaps from AIR to BOX"):
            ledger.ask(terms.in_force, air.id, box.id, at_ms)
    assert ledger.ask(terms.next_change_ms, air.id, box.id, ledger.now_ms) is None
    again = ledger.agree(air, box, version=3)
    assert ledger.ask(terms.in_force, air.id, box.id, ledger.now_ms).id == again.id


def test_proposed__twice__keeps_the_first_version(ledger: Ledger, air: Program, box: Program) -> None:
    row = ledger.do(terms.propose, _proposal(air, box), ledger.now_ms)
    ledger.do(terms.proposed, row.id, 4)
    assert (ledger.ask(terms.by_id, row.id).state, ledger.ask(terms.by_id, row.id).version) == (PROPOSED, 4)
    ledger.do(terms.adopted, air.id, box.id, 4, ledger.now_ms)
    ledger.do(terms.proposed, row.id, 4)
    assert ledger.ask(terms.by_id, row.id).state == ADOPTED


def test_set_state__of_failed__keeps_the_reason(ledger: Ledger, air: Program, box: Program) -> None:
    row = ledger.do(terms.propose, _proposal(air, box), ledger.now_ms)
    ledger.do(terms.set_state, row.id, FAILED, "NotAdmin()")
    found = ledger.ask(terms.by_id, row.id)
    assert (found.state, found.reason) == (FAILED, "NotAdmin()")
    assert _standing(ledger, row.id, ledger.now_ms) == FAILED
    with pytest.raises(TermsStateConflict):
        terms.require_state(found, PROPOSED, "consent to")


def test_by_id__of_none__is_unknown(ledger: Ledger) -> None:
    with pytest.raises(UnknownTerms):
        ledger.ask(terms.by_id, "trm_none")


def test_page__of_a_direction__is_newest_first(ledger: Ledger, air: Program, box: Program) -> None:
    rows = [ledger.agree(air, box, version=version) for version in (1, 2, 3)]
    ledger.agree(box, air)
    found = ledger.ask(terms.page, air.id, box.id, Ask())
    assert [one.id for one in found.items] == [one.id for one in reversed(rows)]
    assert len(ledger.ask(terms.page, None, None, Ask()).items) == 4
