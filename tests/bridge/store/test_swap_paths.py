"""Swaps over several programs: one operation, one entry on the chain, positions of all of them moved."""

import pytest
import sqlalchemy as sa

from bridge.store import attempts, audit, freezing, lanes, limits, outcomes, paths, quotes, streams, terms
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.quotes import QuoteRequest
from bridge.store.schema import entry, leg_hop
from exchange.errors import DirectionClosed, NoRoute, NoTerms, OverLimit
from exchange.points import Points
from exchange.rules import Received, Rules
from tests.bridge.store.ledgers import FIRMNESS, Ledger


@pytest.fixture
def dan(ledger: Ledger) -> Program:
    return ledger.program("DAN")


@pytest.fixture
def ann(ledger: Ledger, air: Program, car: Program) -> Member:
    """A member of AIR with 100 final points, linked to one of CAR and nobody in between."""
    joined = ledger.link(ledger.member(air, "ann"), ledger.member(car, "cid"))
    ledger.earn(joined.members[0], 100)
    ledger.post(air)
    return joined.members[0]


@pytest.fixture
def route(ledger: Ledger, air: Program, box: Program, car: Program) -> list[terms.TermsRow]:
    """Terms from AIR through BOX to CAR: 3 to 2, then 5 to 3, at 7 and 11 micro-units."""
    return [ledger.agree(air, box, (3, 2), price=7), ledger.agree(box, car, (5, 3), price=11)]


def test_create__along_a_path__names_every_hop(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program, route: list[terms.TermsRow]
) -> None:
    offer = ledger.quote(ann, car, 100, through=[box])
    assert (offer.amount_in, offer.amount_out, offer.remainder) == (98, 39, 2)
    assert [(hop.amount_in, hop.amount_out, hop.settlement_micro) for hop in offer.hops] == [
        (98, 65, 65 * 7),
        (65, 39, 39 * 11),
    ]
    assert [hop.terms_id for hop in offer.hops] == [row.id for row in route]
    assert offer.path == [air.id, box.id, car.id]
    assert offer.settlement_micro == 65 * 7
    assert {line["program"] for line in offer.explanation} >= {air.id, box.id, car.id}
    assert ledger.ask(quotes.by_id, offer.id) == offer


@pytest.mark.parametrize("path", [("air",), ("air", "box"), ("box", "car"), ("air", "box", "air", "car")])
def test_create__along_no_path__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program, path: tuple[str, ...]
) -> None:
    ids = {"air": air.id, "box": box.id, "car": car.id}
    request = QuoteRequest(ann.id, None, car.id, 10, None, [ids[one] for one in path])
    with pytest.raises(paths.InvalidPath):
        ledger.do(quotes.create, air.id, request, FIRMNESS, ledger.now_ms)


def test_create__through_a_closed_direction__says_which(
    ledger: Ledger, ann: Member, box: Program, car: Program, air: Program
) -> None:
    ledger.agree(air, box)
    with pytest.raises(NoTerms, match="from BOX to CAR"):
        ledger.quote(ann, car, 10, through=[box])
    ledger.agree(box, car)
    ledger.do(terms.suspended, box.id, car.id, ledger.now_ms)
    with pytest.raises(DirectionClosed, match="suspended for swaps from BOX to CAR"):
        ledger.quote(ann, car, 10, through=[box])


def test_create__through_terms_that_let_nothing_on__is_refused(
    ledger: Ledger, ann: Member, box: Program, car: Program, air: Program
) -> None:
    ledger.agree(air, box, rules=Rules(received=Received(onward=False)))
    ledger.agree(box, car)
    with pytest.raises(NoRoute):
        ledger.quote(ann, car, 10, through=[box])


@pytest.mark.usefixtures("route")
def test_create__before_a_later_hop_changes__ends_early_enough(
    ledger: Ledger, ann: Member, box: Program, car: Program
) -> None:
    change_ms = ledger.now_ms + FIRMNESS.batch_life_ms + 10_000
    ledger.agree(box, car, (2, 1), version=2, effective_ms=change_ms)
    assert ledger.quote(ann, car, 10, through=[box]).expires_ms == change_ms - FIRMNESS.batch_life_ms
    ledger.now_ms += 10_000
    with pytest.raises(DirectionClosed, match="from BOX to CAR are about to be replaced"):
        ledger.quote(ann, car, 10, through=[box])


def test_create__of_more_than_a_later_hop_ever_lets_through__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ledger.agree(air, box, (1, 2))
    ledger.agree(box, car, managed_cap=100)
    with pytest.raises(OverLimit, match="from BOX to CAR") as refused:
        ledger.quote(ann, car, 60, through=[box])
    assert (refused.value.limit, refused.value.nearest) == (100, 50)
    offer = ledger.quote(ann, car, 50, through=[box])
    ledger.do(terms.lower_caps, box.id, car.id, 1, managed_cap=99, wallet_cap=0)
    with pytest.raises(OverLimit):
        ledger.accept(offer)


@pytest.mark.usefixtures("route")
def test_accept__along_a_path__is_one_operation_without_entries_between(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    swap_id = ledger.swap(ann, car, 100, through=[box])
    with ledger.database.read() as connection:
        found = sa.select(entry).where(entry.c.operation_id == swap_id).order_by(entry.c.id)
        entries = connection.execute(found).all()
        between = connection.execute(sa.select(leg_hop)).all()
    assert [(one.program_id, one.credit, one.amount) for one in entries] == [(air.id, False, 98), (car.id, True, 39)]
    assert [(one.operation_id, one.leg, one.place, one.points) for one in between] == [(swap_id, 0, 0, 65)]
    told = [ledger.told(one) for one in (air, box, car)]
    assert [any(each.operation_id == swap_id for each in some) for some in told] == [True, False, True]


@pytest.mark.usefixtures("route")
def test_freeze__of_a_path__names_all_versions_and_what_each_limit_gives(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ledger.swap(ann, car, 100, through=[box])
    stream = ledger.stream(air, box, car)
    (item,) = ledger.ask(freezing.waiting_items, stream.id, 10)
    assert item.versions == (1, 1)
    frozen = ledger.freeze(stream)
    assert frozen.demand == {
        limits.cap_of(air.id, box.id): 98,
        limits.cap_of(box.id, car.id): 65,
        limits.credit_of(air.id): 65 * 7,
    }, "BOX gets 455 micro-units and passes 429 on"
    assert ledger.ask(terms.caps_of_batch, frozen.id) == {
        limits.cap_of(air.id, box.id): terms.MANAGED_CAP,
        limits.cap_of(box.id, car.id): terms.MANAGED_CAP,
    }


def test_freeze__of_a_program_that_passes_on_more_than_it_gets__takes_the_rest_of_its_credit(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ledger.agree(air, box, price=2)
    ledger.agree(box, car, price=5)
    ledger.swap(ann, car, 10, through=[box])
    demand = ledger.freeze(ledger.stream(air, box, car)).demand
    assert (demand[limits.credit_of(air.id)], demand[limits.credit_of(box.id)]) == (20, 30)


@pytest.mark.usefixtures("route")
def test_freeze__of_swaps_under_other_versions_of_a_later_hop__makes_two_batches(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ledger.swap(ann, car, 10, through=[box])
    ledger.agree(box, car, (5, 3), version=2)
    ledger.swap(ann, car, 20, through=[box])
    stream = ledger.stream(air, box, car)
    items = ledger.ask(freezing.waiting_items, stream.id, 10)
    assert [(one.amount, one.versions) for one in items] == [(8, (1, 1))]
    assert len(ledger.ask(freezing.waiting_terms, stream.id)) == 3
    ledger.freeze(stream)
    assert [one.versions for one in ledger.ask(freezing.waiting_items, stream.id, 10)] == [(1, 2)]


def test_fail_swaps__of_a_later_hops_dead_terms__fails_the_swap(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program, route: list[terms.TermsRow]
) -> None:
    swap_id = ledger.swap(ann, car, 10, through=[box])
    stream = ledger.stream(air, box, car)
    assert ledger.do(outcomes.fail_swaps, stream.id, [route[1].id], "replaced", ledger.now_ms) == 1
    assert ledger.operation(swap_id).state == "failed"
    assert ledger.lots(ann) == [100]


def _positions(ledger: Ledger) -> dict[str, int]:
    snapshot = ledger.ask(audit.snapshot)
    assert snapshot is not None
    return {one.program.symbol: one.position_micro for one in snapshot.books}


@pytest.mark.usefixtures("route")
def test_snapshot__after_a_swap_along_a_path__has_the_positions_of_all_programs(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ledger.swap(ann, car, 100, through=[box])
    ledger.post(air, box, car)
    assert _positions(ledger) == {"AIR": -65 * 7, "BOX": 65 * 7 - 39 * 11, "CAR": 39 * 11}


@pytest.fixture
def two_accounts(ledger: Ledger, air: Program, box: Program, car: Program, dan: Program) -> Member:
    """A member of BOX with 20 points of their own and 14 that a swap brought, linked to DAN."""
    ann, ben, _, _ = ledger.link(*(ledger.member(one, "same") for one in (air, box, car, dan))).members
    ledger.agree(air, box)
    ledger.earn(ann, 14)
    ledger.post(air)
    ledger.swap(ann, box, 14)
    ledger.post(air, box)
    ledger.earn(ben, 20)
    ledger.post(box)
    ledger.agree(box, car, (3, 2), price=7)
    ledger.agree(car, dan, (4, 3), price=11)
    return ben


def test_accept__from_several_accounts_along_a_path__rounds_at_no_leg_more_than_quoted(
    ledger: Ledger, two_accounts: Member, car: Program, dan: Program
) -> None:
    """At 3 to 2 and 4 to 3 whole legs are of 6: 20 and 9 would lose, since 20 gives 13 and 9, and 9 gives 6 and 4."""
    offer = ledger.quote(two_accounts, dan, 29, through=[car])
    assert [hop.amount_out for hop in offer.hops] == [19, 14]
    swap_id = ledger.accept(offer)
    with ledger.database.read() as connection:
        rows = connection.execute(sa.select(entry).where(entry.c.operation_id == swap_id)).all()
        between = {row.leg: row.points for row in connection.execute(sa.select(leg_hop))}
    paid = {row.leg: row.amount for row in rows if not row.credit}
    brought = {row.leg: row.amount for row in rows if row.credit}
    assert len(paid) == 2 and sum(1 for amount in paid.values() if amount % 6) == 1
    assert (sum(paid.values()), sum(between.values()), sum(brought.values())) == (29, 19, 14)
    for leg, amount in paid.items():
        assert between[leg] == amount * 2 // 3
        assert brought[leg] == between[leg] * 3 // 4


def test_snapshot__after_one_of_two_legs_was_skipped__moves_positions_by_the_other(
    ledger: Ledger, two_accounts: Member, box: Program, car: Program, dan: Program
) -> None:
    before = _positions(ledger)
    ledger.swap(two_accounts, dan, 29, through=[car])
    frozen = ledger.freeze(ledger.stream(box, car, dan))
    assert frozen.demand[limits.cap_of(box.id, car.id)] == 29
    ledger.finalise(ledger.mine(frozen, skipped=[0]))
    with ledger.database.read() as connection:
        (left,) = connection.execute(
            sa.select(entry.c.amount).where(entry.c.state == "posted", entry.c.program_id == dan.id)
        ).scalars()
        passed = connection.execute(sa.select(leg_hop.c.points).where(leg_hop.c.leg == 1)).scalar_one()
    after = _positions(ledger)
    assert after["BOX"] - before["BOX"] == -passed * 7
    assert after["CAR"] - before["CAR"] == passed * 7 - left * 11
    assert after["DAN"] - before["DAN"] == left * 11


@pytest.mark.usefixtures("route")
def test_demands_under_way__of_paths_that_cross__count_together(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ledger.swap(ann, car, 30, through=[box])
    frozen = ledger.freeze(ledger.stream(air, box, car))
    with ledger.database.write() as connection:
        lanes.reserve_nonce(connection, frozen.lane_id, frozen.id)
        other = streams.for_path(connection, [air.id, box.id])
        own = streams.for_program(connection, air.id)
        assert attempts.demands_under_way(connection, other) == [frozen.demand]
        assert attempts.demands_under_way(connection, own) == []
    assert Points(30) == frozen.demand[limits.cap_of(air.id, box.id)]
