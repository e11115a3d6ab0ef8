"""Programs and members: entered once, active when the chain has them."""

import pytest

from bridge.store import members, programs
from bridge.store.pages import Ask
from bridge.store.programs import Program
from exchange.errors import ProgramNotActive, SymbolTaken, UnknownMember, UnknownProgram
from exchange.fx import PointValue
from exchange.points import MicroUnits
from exchange.words import account_address
from tests.bridge.store.ledgers import Ledger


def test_add__of_a_symbol_that_is_taken__is_refused(ledger: Ledger) -> None:
    before = ledger.everything()
    with pytest.raises(SymbolTaken):
        ledger.program("AIR")
    assert ledger.everything() == before


def test_deployed_token__before_the_exchange_admitted_it__is_refused(ledger: Ledger) -> None:
    new = ledger.program("NEW", active=False)
    assert new.state == "deploying"
    ledger.do(programs.deployed, new.id, b"\7" * 20)
    deployed = ledger.ask(programs.by_id, new.id)
    with pytest.raises(ProgramNotActive):
        _ = deployed.deployed_token
    with pytest.raises(ProgramNotActive):
        ledger.member(deployed, "early")
    ledger.do(programs.admitted, new.id)
    assert ledger.ask(programs.by_id, new.id).deployed_token == b"\7" * 20


def test_point_value__then_is_what_was_said_last_and_none_before(ledger: Ledger, air: Program, box: Program) -> None:
    assert (air.money, air.point_value) == ("USD", None)
    changed = ledger.do(programs.worth_at_home, air.id, "SAR", 30_000)
    assert changed.point_value == PointValue(MicroUnits(30_000), "SAR")
    assert ledger.ask(programs.by_id, air.id) == changed
    assert ledger.ask(programs.by_id, box.id) == box, "nobody else's"
    assert ledger.do(programs.worth_at_home, air.id, "EUR", None).point_value is None
    with pytest.raises(UnknownProgram):
        ledger.do(programs.worth_at_home, "prg_none", "EUR", 1)


def test_by_id__and_by_token__of_none(ledger: Ledger, air: Program) -> None:
    assert ledger.ask(programs.by_token, air.deployed_token) == air
    assert ledger.ask(programs.by_token, bytes(20)) is None
    with pytest.raises(UnknownProgram):
        ledger.ask(programs.by_id, "prg_none")
    assert [one.symbol for one in ledger.ask(programs.page, Ask()).items] == ["AIR", "BOX", "CAR"]


def test_enrol__of_the_same_number__gives_the_same_member(ledger: Ledger, air: Program, box: Program) -> None:
    ann, new = ledger.do(members.enrol, air, "ann", ledger.now_ms)
    assert new
    assert ledger.do(members.enrol, air, "ann", ledger.now_ms) == (ann, False)
    assert ledger.member(box, "ann").id != ann.id
    assert ledger.ask(members.count) == 2


def test_enrol__of_a_member__makes_an_account_under_a_random_reference(ledger: Ledger, air: Program) -> None:
    ann, ben = ledger.member(air, "ann"), ledger.member(air, "ben")
    assert ann.reference != ben.reference
    assert ann.account == account_address(air.deployed_token, ann.reference)
    assert len(ann.reference) == 20


def test_find__of_a_member_of_another_program__is_unknown(ledger: Ledger, air: Program, box: Program) -> None:
    ann = ledger.member(air, "ann")
    assert ledger.ask(members.find, air.id, member_id=None, member_number="ann") == ann
    for member_id, number in ((ann.id, None), (None, "ann")):
        with pytest.raises(UnknownMember):
            ledger.ask(members.find, box.id, member_id=member_id, member_number=number)
