"""Notes: terms that two programs agree on with their own keys, past the service."""

import pytest

from bridge.chain.events import Event, Suspended, TermsAdopted, TermsProposed
from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.market import MarketKeeper
from bridge.store import terms
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.terms import Proposal, TermsRow
from exchange.errors import DirectionClosed
from exchange.points import Points
from exchange.ratio import Ratio
from tests.bridge.posting.conftest import BATCH_LIFE_S, Office
from tests.bridge.store.ledgers import EXCHANGE

ADMIN = b"\1" * 20
LATER_S = 1_000


def _happened(office: Office, *events: Event) -> None:
    office.chain.mine(events=[(EXCHANGE, each) for each in events])
    office.follow()


def _adopt(office: Office, source: Program, destination: Program, version: int, effective_ms: int) -> None:
    """Terms of 3 to 2 at a price of 9, adopted by both programs' own calls."""
    pair = source.deployed_token, destination.deployed_token
    _happened(office, TermsAdopted(*pair, version, 3, 2, 9, 50, 40, effective_ms // 1000))


def _now(office: Office) -> int:
    """Whole seconds, as the chain's time is."""
    office.ledger.now_ms -= office.ledger.now_ms % 1000
    return office.ledger.now_ms


def _newest(office: Office, source: Program, destination: Program) -> TermsRow:
    found = office.ledger.ask(terms.last_adopted, source.id, destination.id)
    assert found is not None
    return found


def test_terms__adopted_past_the_service__replace_the_old_ones_at_their_time(
    office: Office, air: Program, box: Program
) -> None:
    now_ms = _now(office)
    old = office.agree(air, box)
    begins_ms = now_ms + LATER_S * 1000
    _adopt(office, air, box, 2, begins_ms)
    new = _newest(office, air, box)
    assert (new.version, new.effective_ms, new.foreign, new.reason) == (2, begins_ms, True, terms.ADOPTED_ELSEWHERE)
    assert (new.from_units, new.to_units, new.settlement_price_micro) == (3, 2, 9)
    assert (new.managed_cap, new.wallet_cap, new.rules) == (50, 40, {})
    assert office.ledger.ask(terms.next_change_ms, air.id, box.id, now_ms) == begins_ms
    assert office.ledger.ask(terms.is_in_force, old, begins_ms - 1)
    assert not office.ledger.ask(terms.is_in_force, old, begins_ms)
    assert office.ledger.ask(terms.in_force, air.id, box.id, begins_ms - 1) == old
    with pytest.raises(DirectionClosed, match="past this service"):
        office.ledger.ask(terms.in_force, air.id, box.id, begins_ms)


def test_terms__adopted_past_the_service__are_quoted_to_nobody_until_others_are_proposed_here(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.ledger.earn(ann, 500)
    office.settle()
    keeper = MarketKeeper(Gatekeeper())
    direction = air.id, box.id
    with office.ledger.database.read() as connection, keeper.open(connection, office.ledger.now_ms) as market:
        assert market.terms(*direction) is not None
    _adopt(office, air, box, 2, _now(office))
    with pytest.raises(DirectionClosed):
        office.ledger.quote(ann, box, 10)
    with office.ledger.database.read() as connection, keeper.open(connection, office.ledger.now_ms) as market:
        assert market.terms(*direction) is None
    office.agree(air, box, (5, 1), version=3)
    assert office.ledger.quote(ann, box, 10).amount_out == 2
    with office.ledger.database.read() as connection, keeper.open(connection, office.ledger.now_ms) as market:
        assert market.terms(*direction) is not None


def test_terms__adopted_past_the_service__count_in_the_gate(office: Office, air: Program, box: Program) -> None:
    gatekeeper = Gatekeeper()
    office.agree(air, box, (3, 1))
    office.agree(box, air, (1, 2))
    with office.ledger.database.read() as connection:
        assert gatekeeper.barred(connection, office.ledger.now_ms) == {}
    _adopt(office, air, box, 2, _now(office))
    with office.ledger.database.read() as connection:
        assert list(gatekeeper.barred(connection, office.ledger.now_ms)) == [(air.id, box.id)]


def test_swap__that_waits_while_its_terms_are_replaced_past_the_service__fails_and_gives_its_hold_back(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.ledger.earn(ann, 500)
    office.settle()
    (before,) = [one.balance for one in office.ledger.accounts(ann)]
    swap = office.ledger.swap(ann, box, 100)
    office.chain.terms[air.deployed_token, box.deployed_token] = (Ratio(Points(3), Points(2)), 9, 2)
    _adopt(office, air, box, 2, _now(office))
    for _ in range(3):
        office.ledger.now_ms += (BATCH_LIFE_S + 2) * 1000
        office.post()
        office.mine(2)
    assert office.states(swap) == ["failed"]
    assert [one.balance for one in office.ledger.accounts(ann)] == [before]
    assert office.breaker is None


@pytest.mark.parametrize("state", [terms.PROPOSED, terms.CONSENTING])
def test_proposal__that_is_open_when_another_is_made_past_the_service__is_replaced(
    office: Office, air: Program, box: Program, state: str
) -> None:
    row = office.ledger.do(terms.propose, Proposal(air.id, box.id, 2, 1, 1, 1, 7, "USD", air.id), office.ledger.now_ms)
    office.ledger.do(terms.proposed, row.id, 1)
    office.ledger.do(terms.set_state, row.id, state)
    _happened(office, TermsProposed(box.deployed_token, air.deployed_token, 1, 3, 2, 9, 50, 40, ADMIN))
    assert office.ledger.ask(terms.by_id, row.id).state == state, "another direction"
    _happened(office, TermsProposed(air.deployed_token, box.deployed_token, 2, 3, 2, 9, 50, 40, ADMIN))
    found = office.ledger.ask(terms.by_id, row.id)
    assert found.state == terms.FAILED and "past this service" in str(found.reason)


def test_terms__whose_block_is_reorganised_away__count_no_more_until_they_are_told_again(
    office: Office, air: Program, box: Program
) -> None:
    gatekeeper = Gatekeeper()
    old = office.agree(air, box)
    office.agree(box, air, (3, 2))
    _adopt(office, air, box, 2, _now(office))
    office.chain.reorganise(1)
    office.mine(2)
    assert office.ledger.ask(terms.in_force, air.id, box.id, office.ledger.now_ms) == old
    with office.ledger.database.read() as connection:
        gatekeeper.barred(connection, office.ledger.now_ms)
    _adopt(office, air, box, 2, office.ledger.now_ms)
    assert not office.ledger.ask(terms.is_in_force, old, office.ledger.now_ms)
    _happened(office, Suspended(air.deployed_token, box.deployed_token, ADMIN))
    with pytest.raises(DirectionClosed, match="suspended"):
        office.ledger.ask(terms.in_force, air.id, box.id, office.ledger.now_ms)
    newest = _newest(office, air, box)
    assert office.ledger.ask(terms.standing, newest, office.ledger.now_ms) == terms.SUSPENDED
