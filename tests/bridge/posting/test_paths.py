"""Swaps over several programs, posted: room at every hop, and all of it on a chain that counts."""

import pytest

from bridge.chain.contracts import Bounds, Limit
from bridge.store import limits, terms
from bridge.store.members import Member
from bridge.store.programs import Program
from exchange.points import Points
from exchange.rules import Bonus, PointsFee, Rules
from tests.bridge.posting.conftest import BATCH_LIFE_S, Office
from tests.bridge.posting.fake_chain import CAP_PERIOD_S


@pytest.fixture
def dora(office: Office, air: Program, box: Program, car: Program) -> Member:
    """A member of AIR with 500 final points, linked to CAR; terms of 2 to 1 from AIR to BOX, 1 to 3 on to CAR."""
    office.agree(air, box, (2, 1))
    office.agree(box, car, (1, 3))
    joined = office.ledger.link(office.ledger.member(air, "dora"), office.ledger.member(car, "dora"))
    office.ledger.earn(joined.members[0], 500)
    office.settle()
    return joined.members[0]


def _throttled(office: Office, operation_id: str) -> dict[str, object] | None:
    return office.ledger.operation(operation_id).throttled


def _positions(office: Office) -> list[int]:
    report = office.reconciler.audit()
    assert report.differences == 0
    return [one.position_micro for one in report.programs]


def test_step__of_a_swap_along_a_path__burns_mints_and_moves_all_positions(
    office: Office, dora: Member, box: Program, car: Program
) -> None:
    swap_id = office.ledger.swap(dora, car, 101, through=[box])
    office.settle()
    assert office.states(swap_id) == ["final"]
    assert _positions(office) == [-50 * 7, 50 * 7 - 150 * 7, 150 * 7]
    assert sum(one.balance.posted for one in office.ledger.accounts(dora)) == 400


def test_step__over_the_cap_of_a_later_hop__waits_for_the_next_period(
    office: Office, dora: Member, box: Program, car: Program
) -> None:
    office.ledger.do(terms.lower_caps, box.id, car.id, 1, managed_cap=100, wallet_cap=0)
    office.chain.caps[box.deployed_token, car.deployed_token] = 100
    first = office.ledger.swap(dora, car, 160, through=[box])
    office.settle()
    late = office.ledger.swap(dora, car, 80, through=[box])
    office.poster.step()
    assert office.states(first, late) == ["final", "accepted"]
    assert _throttled(office, late) == {"limit": limits.MANAGED_CAP, "needed": 40, "available": 20}
    office.ledger.now_ms += CAP_PERIOD_S * 1000
    for _ in range(3):
        office.post()
        office.ledger.now_ms += 2_000
    assert office.states(late) == ["final"]
    assert office.breaker is None


def test_step__over_the_credit_of_a_program_between__waits_until_it_may_owe_more(
    office: Office, dora: Member, box: Program, car: Program
) -> None:
    office.chain.credit_limits[box.deployed_token] = 1_000
    first = office.ledger.swap(dora, car, 100, through=[box])  # BOX gets 350 and owes 1,050
    office.settle()
    late = office.ledger.swap(dora, car, 50, through=[box])
    office.poster.step()
    assert office.states(first, late) == ["final", "accepted"]
    assert _throttled(office, late) == {"limit": limits.CREDIT, "needed": 350, "available": 300}
    office.chain.credit_limits[box.deployed_token] = 1_050
    office.ledger.now_ms += 2_000
    office.settle()
    assert office.states(late) == ["final"]
    assert _positions(office) == [-75 * 7, 75 * 7 - 225 * 7, 225 * 7]


def test_step__of_paths_that_share_a_direction__counts_what_is_under_way_on_both(
    office: Office, dora: Member, air: Program, box: Program, car: Program
) -> None:
    ann = office.ledger.link(office.ledger.member(air, "ann"), office.ledger.member(box, "ben")).members[0]
    office.ledger.earn(ann, 500)
    office.settle()
    office.ledger.do(terms.lower_caps, air.id, box.id, 1, managed_cap=100, wallet_cap=0)
    office.chain.caps[air.deployed_token, box.deployed_token] = 100
    swaps = [office.ledger.swap(dora, car, 60, through=[box]), office.ledger.swap(ann, box, 60)]
    office.poster.step()
    assert [_throttled(office, one) for one in swaps] == [
        None,
        {"limit": limits.MANAGED_CAP, "needed": 60, "available": 40},
    ]
    office.settle()
    assert office.states(*swaps) == ["final", "accepted"]


def test_step__of_a_path_through_a_paused_program__goes_on(
    office: Office, dora: Member, box: Program, car: Program
) -> None:
    """Nothing is burned or minted between: only the ends are asked."""
    office.chain.paused = {box.deployed_token}
    swap_id = office.ledger.swap(dora, car, 10, through=[box])
    office.settle()
    assert office.states(swap_id) == ["final"]
    office.chain.paused = {car.deployed_token}
    held = office.ledger.swap(dora, car, 10, through=[box])
    office.settle()
    assert _throttled(office, held) == {"limit": limits.PAUSE, "needed": 1, "available": 0}


def test_step__of_a_path_whose_later_hop_was_replaced__fails_the_swap_with_what_was_to_follow(
    office: Office, dora: Member, air: Program, box: Program, car: Program
) -> None:
    office.ledger.agree(box, car, (1, 3), version=2, price=7, rules=Rules(bonuses=(Bonus("welcome", flat=Points(5)),)))
    office.chain.terms[box.deployed_token, car.deployed_token] = (
        *office.chain.terms[box.deployed_token, car.deployed_token][:2],
        2,
    )
    swap_id = office.ledger.swap(dora, car, 100, through=[box])
    office.chain.paused = {air.deployed_token}
    office.poster.step()
    office.agree(box, car, (1, 2), version=3)
    office.ledger.now_ms += (BATCH_LIFE_S + 2) * 1000
    office.poster.step()
    assert office.states(swap_id) == ["failed"]
    assert office.ledger.extras(swap_id)["bonus"].state == "failed"
    office.chain.paused = set()
    office.settle()
    assert _positions(office) == [0, 0, 0]


def test_step__of_a_bonus_without_room__waits_and_is_posted_when_there_is(
    office: Office, dora: Member, air: Program, box: Program, car: Program
) -> None:
    rules = Rules(bonuses=(Bonus("welcome", flat=Points(50)),))
    office.ledger.agree(box, car, (1, 3), version=2, price=7, rules=rules)
    fee = Rules(fees=(PointsFee(Points(7)),))
    office.ledger.agree(air, box, (2, 1), version=2, price=7, rules=fee)
    for hop in ((air, box), (box, car)):
        ratio, price, _ = office.chain.terms[hop[0].deployed_token, hop[1].deployed_token]
        office.chain.terms[hop[0].deployed_token, hop[1].deployed_token] = (ratio, price, 2)
    office.chain.limits[car.deployed_token, Limit.ISSUANCE] = Bounds(60, 1)
    office.ledger.do(limits.changed, car.id, limits.ISSUANCE, limits.Bounds(60, 1))
    office.ledger.earn(office.ledger.member(car, "dora"), 40)
    office.post()
    swap_id = office.ledger.swap(dora, car, 100, through=[box])
    office.settle()
    office.poster.step()
    extras = office.ledger.extras(swap_id)
    assert office.states(swap_id) == ["final"]
    assert extras["bonus"].throttled is not None and extras["bonus"].throttled["limit"] == limits.ISSUANCE
    for _ in range(3):
        office.ledger.now_ms += 10_000
        office.settle()
    assert {one.state for one in office.ledger.extras(swap_id).values()} == {"final"}
    assert sum(one.balance.posted for one in office.ledger.accounts(dora)) == 500 - 100 - 7
    assert _positions(office) == [-50 * 7, 50 * 7 - 150 * 7, 150 * 7]
