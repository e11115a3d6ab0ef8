"""Room: a batch that a limit does not let through waits unsigned, says so, and goes on by itself."""

from typing import Any

import pytest

from bridge.chain.contracts import Bounds, Limit, LimitNow
from bridge.posting import room
from bridge.posting.poster import LOOK_AGAIN_MS
from bridge.store import batches, blocks, limits, operations, programs, terms
from bridge.store.batches import Batch
from bridge.store.members import Member
from bridge.store.pages import Ask
from bridge.store.programs import Program
from exchange.days import DAY_MS
from exchange.errors import OverLimit
from exchange.operations import OperationKind
from tests.bridge.posting.conftest import BATCH_LIFE_S, Office
from tests.bridge.posting.fake_chain import CAP_PERIOD_S

CAPACITY, REFILL = 100, 10
#: Points of AIR last so long.
LIFE_MS = 30 * DAY_MS


def _limit(office: Office, program: Program, limit: Limit, capacity: int = CAPACITY, refill: int = REFILL) -> None:
    """As if the program had begun with this limit."""
    office.chain.limits[program.deployed_token, limit] = Bounds(capacity, refill)
    office.ledger.do(limits.changed, program.id, limit.name.lower(), limits.Bounds(capacity, refill))


def _batch_of(office: Office, operation_id: str) -> Batch:
    batch_id = office.ledger.operation(operation_id).batch_id
    assert batch_id is not None
    return office.ledger.batch(batch_id)


def _pass(office: Office, seconds: int) -> None:
    office.ledger.now_ms += seconds * 1000


def _throttled(office: Office, operation_id: str) -> dict[str, Any] | None:
    return office.ledger.operation(operation_id).throttled


def test_step__over_what_the_chain_lets_through__waits_says_so_and_goes_on(
    office: Office, ann: Member, air: Program
) -> None:
    _limit(office, air, Limit.ISSUANCE)
    first = office.ledger.earn(ann, 90)
    office.post()
    late = office.ledger.earn(ann, 60)
    office.poster.step()
    sent = len(office.chain.sent)
    assert office.states(first, late) == ["confirmed", "accepted"]
    assert _throttled(office, late) == {"limit": "issuance", "needed": 60, "available": 10}
    assert office.ledger.ask(batches.count_throttled) == 1
    _pass(office, 5 + room.CLOCK_LAG_S - 1)
    office.poster.step()
    assert len(office.chain.sent) == sent, "one second short"
    _pass(office, 1)
    office.post()
    assert office.states(late) == ["confirmed"]
    assert _throttled(office, late) is None
    assert office.ledger.ask(batches.count_throttled) == 0
    assert office.chain.state.balances.total() == 150
    told = [one.state for one in office.ledger.told(air) if one.operation_id == late]
    assert told == ["accepted", "throttled", "submitted", "confirmed"], "that it waits is told once"


def test_step__where_a_limit_is_used_up__lets_not_one_point_through(office: Office, ann: Member, air: Program) -> None:
    _limit(office, air, Limit.ISSUANCE)
    office.ledger.earn(ann, CAPACITY)
    office.post()
    late = office.ledger.earn(ann, 1)
    office.poster.step()
    assert _throttled(office, late) == {"limit": "issuance", "needed": 1, "available": 0}


def test_step__behind_what_is_under_way__counts_that_as_used(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.posting.calls.POST_ENTRIES_MAX", 1)
    _limit(office, air, Limit.ISSUANCE)
    operations = [office.ledger.earn(ann, amount) for amount in (60, 60)]
    office.poster.step()
    assert len(office.chain.sent) == 1
    assert _throttled(office, operations[1]) == {"limit": "issuance", "needed": 60, "available": 40}
    office.mine()
    assert office.states(*operations) == ["confirmed", "accepted"]
    _pass(office, 10)
    office.post()
    assert office.states(*operations) == ["confirmed", "confirmed"]


def test_step__of_a_throttled_stream__asks_the_chain_again_only_after_a_pause(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    _limit(office, air, Limit.REDEMPTION, capacity=10, refill=0)
    office.ledger.earn(ann, 50)
    office.settle()
    office.ledger.redeem(ann, 10)
    office.settle()
    office.ledger.redeem(ann, 5)
    office.poster.step()
    asked: list[int] = []
    call_many = office.chain.call_many
    monkeypatch.setattr(office.chain, "call_many", lambda *given: [asked.append(1), call_many(*given)][1])
    office.ledger.now_ms += LOOK_AGAIN_MS - 1
    assert not office.poster.step()
    assert asked == []
    office.ledger.now_ms += 1
    assert not office.poster.step()
    assert asked == [1]


def test_step__of_more_than_a_limits_capacity__cuts_batches_that_each_fit(
    office: Office, ann: Member, air: Program
) -> None:
    _limit(office, air, Limit.ISSUANCE, refill=100)
    operations = [office.ledger.earn(ann, 40) for _ in range(5)]
    for _ in range(4):
        office.post()
        _pass(office, 10)
    office.settle()
    assert office.states(*operations) == ["final"] * 5
    held = [_batch_of(office, one) for one in operations]
    assert [one.sequence for one in held] == [1, 1, 2, 2, 3]
    assert {one.demand["issuance"] for one in held} == {80, 40}


def test_step__of_a_batch_throttled_beyond_its_time__dissolves_it_and_freezes_anew(
    office: Office, ann: Member, air: Program
) -> None:
    _limit(office, air, Limit.ISSUANCE, refill=0)
    office.ledger.earn(ann, 90)
    office.post()
    late = office.ledger.earn(ann, 60)
    office.poster.step()
    first = _batch_of(office, late)
    _pass(office, BATCH_LIFE_S + 2)
    office.poster.step()
    again = _batch_of(office, late)
    assert again.id != first.id
    assert (first.sequence, again.sequence) == (2, 2)
    assert again.valid_until is not None and again.valid_until >= office.ledger.now_ms // 1000
    assert office.ledger.batch(first.id).state == batches.DISSOLVED
    assert _throttled(office, late) is not None
    _limit(office, air, Limit.ISSUANCE, refill=100)
    _pass(office, 5)
    office.post()
    assert office.states(late) == ["confirmed"]


def test_step__of_a_batch_that_a_lowered_limit_never_lets_through__freezes_smaller_ones(
    office: Office, ann: Member, air: Program
) -> None:
    _limit(office, air, Limit.ISSUANCE, refill=1)
    office.ledger.earn(ann, 60)
    office.post()
    operations = [office.ledger.earn(ann, 30) for _ in range(3)]
    office.poster.step()
    assert _batch_of(office, operations[0]).demand == {"issuance": 90}
    _limit(office, air, Limit.ISSUANCE, capacity=50, refill=100)
    for _ in range(4):
        _pass(office, 5)
        office.post()
    office.settle()
    assert office.states(*operations) == ["final"] * 3
    assert office.chain.state.balances.total() == 150


def test_step__of_one_operation_that_a_lowered_limit_never_lets_through__waits_until_it_is_raised(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 500)
    _limit(office, air, Limit.ISSUANCE)
    for _ in range(3):
        _pass(office, 5)
        office.post()
    assert _throttled(office, operation_id) == {"limit": "issuance", "needed": 500, "available": 100}
    _limit(office, air, Limit.ISSUANCE, capacity=1000, refill=100)
    _pass(office, 10)
    office.post()
    assert office.states(operation_id) == ["confirmed"]


def test_step__of_swaps_over_the_cap__waits_for_the_next_period(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.ledger.do(terms.lower_caps, air.id, box.id, 1, managed_cap=100, wallet_cap=0)
    office.chain.caps[air.deployed_token, box.deployed_token] = 100
    office.ledger.earn(ann, 500)
    office.settle()
    first = office.ledger.swap(ann, box, 80)
    office.settle()
    late = office.ledger.swap(ann, box, 40)
    office.poster.step()
    assert office.states(first, late) == ["final", "accepted"]
    assert _throttled(office, late) == {"limit": "managed-cap", "needed": 40, "available": 20}
    _pass(office, CAP_PERIOD_S)
    for _ in range(3):
        office.post()
        _pass(office, 2)
    assert office.states(late) == ["final"]


@pytest.mark.parametrize(("late_s", "used"), [(-1, 80), (0, 0)])
def test_read__of_a_path_as_a_period_begins__counts_the_cap_anew_once_the_chains_clock_is_sure_to_be_in_it(
    office: Office, ann: Member, air: Program, box: Program, late_s: int, used: int
) -> None:
    office.ledger.earn(ann, 500)
    office.settle()
    office.ledger.swap(ann, box, 80)
    office.settle()
    tip, stream = office.ledger.ask(blocks.tip), office.ledger.stream(air, box)
    assert tip is not None
    begins_s = (tip.timestamp // CAP_PERIOD_S + 1) * CAP_PERIOD_S
    now_s = begins_s + room.CLOCK_LAG_S + late_s
    found = office.ledger.ask(lambda connection: room.read(office.chain, connection, stream, now_s))
    assert found.caps_used == {limits.cap_of(air.id, box.id): used}


def test_keeps_enough__behind_what_is_under_way__counts_that_as_used(office: Office, ann: Member, air: Program) -> None:
    _limit(office, air, Limit.REDEMPTION)
    office.ledger.earn(ann, 50)
    office.settle()
    office.ledger.redeem(ann, 30)
    office.poster.step()
    stream, kept = office.ledger.stream(air), limits.kept_from_expiry(CAPACITY)

    def keeps(points: int) -> bool:
        with office.ledger.database.read() as connection:
            found = room.read(office.chain, connection, stream, office.ledger.now_ms // 1000)
            return found.keeps_enough(connection, stream, {limits.REDEMPTION: points})

    assert keeps(CAPACITY - 30 - kept)
    assert not keeps(CAPACITY - 30 - kept + 1)


def test_step__of_swaps_over_the_credit_limit__waits_until_the_source_owes_less(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.chain.credit_limits[air.deployed_token] = 700
    office.ledger.earn(ann, 500)
    office.settle()
    first = office.ledger.swap(ann, box, 160)
    office.settle()
    late = office.ledger.swap(ann, box, 60)
    office.poster.step()
    assert office.states(first, late) == ["final", "accepted"]
    assert _throttled(office, late) == {"limit": "credit", "needed": 210, "available": 140}
    back = office.ledger.swap(_counterpart(office, "ben", box), air, 40)
    _pass(office, 2)
    office.settle()
    assert office.states(back) == ["final"]
    _pass(office, 2)
    office.settle()
    assert office.states(late) == ["final"]
    assert office.reconciler.audit().differences == 0


def test_step__of_two_paths_from_one_program__counts_both_against_its_credit(
    office: Office, ann: Member, air: Program, box: Program, car: Program
) -> None:
    office.agree(air, car, (2, 1))
    office.ledger.link(ann, office.ledger.member(car, "cid"), _counterpart(office, "ben", box))
    office.chain.credit_limits[air.deployed_token] = 700
    office.ledger.earn(ann, 500)
    office.settle()
    swaps = [office.ledger.swap(ann, to, 120) for to in (box, car)]
    office.poster.step()
    assert _throttled(office, swaps[0]) is None
    assert _throttled(office, swaps[1]) == {"limit": "credit", "needed": 420, "available": 280}


def test_step__of_a_paused_program__holds_its_batches_until_it_goes_on(
    office: Office, ann: Member, air: Program
) -> None:
    office.chain.paused = {air.deployed_token}
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    assert office.chain.sent == []
    assert _throttled(office, operation_id) == {"limit": "pause", "needed": 1, "available": 0}
    office.chain.paused = set()
    _pass(office, 1)
    office.post()
    assert office.states(operation_id) == ["confirmed"]


def test_accept__of_more_than_a_batch_can_ever_carry__is_refused(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.ledger.earn(ann, 5_000)
    office.settle()
    _limit(office, air, Limit.ISSUANCE)
    _limit(office, air, Limit.REDEMPTION)
    with pytest.raises(AssertionError) as refused:
        office.ledger.earn(ann, CAPACITY + 1)
    assert isinstance(refused.value.args[0], OverLimit)
    with pytest.raises(OverLimit) as refusal:
        office.ledger.redeem(ann, CAPACITY + 1)
    assert (refusal.value.field, refusal.value.limit) == ("points", CAPACITY)
    assert office.ledger.redeem(ann, CAPACITY)
    agreed = office.ledger.agree(air, box, (2, 1), version=2, managed_cap=1_000)
    with pytest.raises(OverLimit) as refusal:
        office.ledger.quote(ann, box, 1_002)
    assert (refusal.value.field, refusal.value.limit) == ("amount_in", 1_000)
    assert office.ledger.quote(ann, box, 1_000).terms_id == agreed.id


@pytest.mark.parametrize(
    ("now_s", "expected"), [(990, 40), (1000, 40), (1000 + room.CLOCK_LAG_S, 40), (1005 + room.CLOCK_LAG_S, 90)]
)
def test_refilled__of_a_limit_told_before__reckons_on(now_s: int, expected: int) -> None:
    assert room.refilled(LimitNow(CAPACITY, REFILL, 40), 1000, now_s) == expected


def test_refilled__after_a_long_time__is_the_capacity() -> None:
    assert room.refilled(LimitNow(CAPACITY, REFILL, 40), 1000, 10**9) == CAPACITY


def _counterpart(office: Office, number: str, program: Program) -> Member:
    from bridge.store import members

    return office.ledger.ask(members.find, program.id, member_id=None, member_number=number)


@pytest.fixture
def eve(office: Office, ann: Member, air: Program, box: Program) -> Member:
    """Another member of AIR with points, beside `ann`."""
    eve = office.ledger.link(office.ledger.member(air, "eve"), office.ledger.member(box, "eve")).members[0]
    for one in (ann, eve):
        office.ledger.earn(one, 500)
    office.settle()
    return eve


def _spendable(office: Office, who: Member) -> list[int]:
    return [one.balance.available for one in office.ledger.accounts(who)]


def _lower_credit(office: Office, program: Program, limit_micro: int) -> None:
    office.ledger.do(programs.may_owe, program.id, limit_micro)
    office.chain.credit_limits[program.deployed_token] = limit_micro


def test_step__of_one_swap_over_a_lowered_cap__fails_it_at_once_so_that_others_go_on(
    office: Office, ann: Member, eve: Member, air: Program, box: Program
) -> None:
    """Caps of a version are only ever lowered, so the swap could wait for ever."""
    lone = office.ledger.swap(ann, box, 200)
    behind = office.ledger.swap(eve, box, 100)
    office.ledger.do(terms.lower_caps, air.id, box.id, 1, managed_cap=100, wallet_cap=0)
    office.chain.caps[air.deployed_token, box.deployed_token] = 100
    for _ in range(2):
        office.poster.step()
    office.settle()
    assert office.states(lone, behind) == ["failed", "final"]
    assert "cap" in str(office.ledger.operation(lone).reason)
    assert _spendable(office, ann) == [500]
    assert office.ledger.ask(batches.count_throttled) == 0


def test_step__of_one_swap_over_the_whole_credit_limit__fails_it_once_its_batchs_time_is_over(
    office: Office, ann: Member, eve: Member, air: Program, box: Program
) -> None:
    """The limit may be raised, and points may come back: that is waited for as long as a batch lives."""
    lone = office.ledger.swap(ann, box, 200)
    behind = office.ledger.swap(eve, box, 100)
    _lower_credit(office, air, 600)
    for _ in range(3):
        _pass(office, 2)
        office.post()
    assert office.states(lone, behind) == ["accepted", "accepted"]
    assert _throttled(office, lone) == {"limit": "credit", "needed": 700, "available": 600}
    _pass(office, BATCH_LIFE_S + 2)
    office.poster.step()
    office.settle()
    assert office.states(lone, behind) == ["failed", "final"]
    assert "owe" in str(office.ledger.operation(lone).reason)
    assert _spendable(office, ann) == [500]


def test_step__of_one_swap_within_the_credit_limit_that_finds_no_room__waits_on(
    office: Office, ann: Member, eve: Member, air: Program, box: Program
) -> None:
    _lower_credit(office, air, 700)
    office.ledger.swap(eve, box, 100)
    office.settle()
    late = office.ledger.swap(ann, box, 200)
    for _ in range(2):
        office.poster.step()
        _pass(office, BATCH_LIFE_S + 2)
    office.poster.step()
    assert office.states(late) == ["accepted"]
    assert _throttled(office, late) == {"limit": "credit", "needed": 700, "available": 350}


def test_step__of_one_swap_over_the_credit_limit_of_a_program_that_is_owed__goes_out(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.ledger.earn(ann, 500)
    office.settle()
    office.chain.state.positions[air.deployed_token] = 100
    swap = office.ledger.swap(ann, box, 200)
    _lower_credit(office, air, 600)
    office.settle()
    assert office.states(swap) == ["final"]


def _expire(office: Office, air: Program, *points: int) -> list[str]:
    """So many points expire, each a member's of their own: these operations."""
    for place, amount in enumerate(points):
        office.ledger.earn(office.ledger.member(air, f"m{place}"), amount)
    office.settle()
    office.ledger.now_ms += LIFE_MS
    office.keep()
    return _expiries(office)


def _expiries(office: Office) -> list[str]:
    of = operations.Filter(kind=OperationKind.EXPIRY.value)
    return [one.id for one in reversed(office.ledger.ask(operations.page, of, Ask()).items)]


def _posted(office: Office, *of: str) -> int:
    return office.states(*of).count("final")


def test_step__of_more_expiry_than_a_limit_lets_through__lets_all_else_pass_and_goes_on_as_it_refills(
    office: Office, ann: Member, air: Program
) -> None:
    """Whoever expires has no right before a till: half of the limit is the tills', at any time."""
    expiries = _expire(office, air, *[20] * 10)
    _limit(office, air, Limit.REDEMPTION, refill=0)
    earned = office.ledger.earn(ann, 80)
    office.settle()
    assert office.states(earned) == ["final"] and _posted(office, *expiries) == 1, "a quarter at most in one batch"
    for _ in range(3):
        office.settle()
    assert _posted(office, *expiries) == 2, "and no more than half is taken"
    redeemed = office.ledger.redeem(ann, 50)
    office.settle()
    assert office.states(redeemed) == ["final"] and _throttled(office, redeemed) is None
    assert _posted(office, *expiries) == 2
    _limit(office, air, Limit.REDEMPTION, refill=1)
    for _ in range(12):
        _pass(office, 60)
        office.settle()
    assert _posted(office, *expiries) == 10
    assert office.chain.state.balances.total() == 30
    assert office.reconciler.audit().differences == 0


def test_step__of_expiry_without_room__keeps_it_unfrozen_and_holds_nobody_up(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    *expiries, late = _expire(office, air, 20, 20, 20)
    _limit(office, air, Limit.REDEMPTION, capacity=80, refill=0)
    office.settle()
    office.settle()
    assert _posted(office, *expiries) == 2
    _pass(office, 1)
    assert not office.poster.step()
    assert office.ledger.operation(late).batch_id is None and _throttled(office, late) is None
    assert office.ledger.ask(batches.count_throttled) == 0
    asked: list[int] = []
    call_many = office.chain.call_many
    monkeypatch.setattr(office.chain, "call_many", lambda *given: [asked.append(1), call_many(*given)][1])
    office.ledger.now_ms += LOOK_AGAIN_MS - 1
    assert not office.poster.step()
    assert asked == []
    earned = office.ledger.earn(ann, 1)
    office.poster.step()
    assert office.states(earned, late) == ["submitted", "accepted"], "an earn waits for no look at what expires"
    office.mine(3)
    _limit(office, air, Limit.REDEMPTION, capacity=80, refill=1)
    _pass(office, 20)
    office.settle()
    assert office.states(late) == ["final"]


def test_step__of_expiry_older_than_all_else__gives_it_the_places_that_are_left(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiries = _expire(office, air, 1, 1, 1)
    monkeypatch.setattr("bridge.posting.calls.POST_ENTRIES_MAX", 2)
    earned = [office.ledger.earn(ann, 10) for _ in range(3)]
    office.poster.step()
    held = {one: _batch_of(office, one).sequence for one in [*earned, *expiries]}
    first = held[earned[0]]
    assert first is not None
    assert list(held.values()) == [first, first, first + 1, first + 1, first + 2, first + 2]


def test_step__of_a_members_redemption_that_overtakes_an_expiry__finds_its_own_points(
    office: Office, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The expired points are held and their credit is ahead of both, so neither takes what is the other's."""
    cat = office.ledger.member(air, "cat")
    expired = office.ledger.earn(cat, 20)
    office.ledger.now_ms += LIFE_MS
    office.keep()
    (expiry,) = _expiries(office)
    monkeypatch.setattr("bridge.posting.calls.POST_ENTRIES_MAX", 1)
    kept, redeemed = office.ledger.earn(cat, 5), office.ledger.redeem(cat, 5)
    for _ in range(4):
        office.settle()
    assert office.states(expired, kept, redeemed, expiry) == ["final"] * 4
    assert [_batch_of(office, one).sequence for one in (expired, kept, redeemed, expiry)] == [1, 2, 3, 4]
    assert office.chain.state.balances.total() == 0
    assert office.reconciler.audit().differences == 0


def test_step__of_expiry_that_is_frozen_when_the_limit_is_lowered__gives_way_to_what_comes(
    office: Office, ann: Member, air: Program
) -> None:
    *expiries, small = _expire(office, air, 20, 20, 3)
    office.chain.paused = {air.deployed_token}
    office.ledger.earn(ann, 30)
    office.poster.step()
    assert {_batch_of(office, one).sequence for one in (*expiries, small)} == {2}, "frozen while nothing goes"
    redeemed = office.ledger.redeem(ann, 10)
    office.chain.paused = set()
    _limit(office, air, Limit.REDEMPTION, capacity=30, refill=1)
    _pass(office, 1)
    office.settle()
    assert office.states(redeemed, *expiries, small) == ["final", "accepted", "accepted", "accepted"]
    _pass(office, 60)
    office.settle()
    assert office.states(*expiries, small) == ["accepted", "accepted", "final"], "what is over the limit lets it pass"
    _limit(office, air, Limit.REDEMPTION, capacity=80, refill=1)
    for _ in range(3):
        _pass(office, 60)
        office.settle()
    assert _posted(office, *expiries) == 2


def test_step__of_what_finds_no_room_after_expiry_gave_way__waits_too(
    office: Office, ann: Member, air: Program
) -> None:
    (expiry,) = _expire(office, air, 20)
    office.chain.paused = {air.deployed_token}
    office.ledger.earn(ann, 30)
    office.poster.step()
    assert _batch_of(office, expiry).sequence == 2, "frozen while nothing goes"
    redeemed = office.ledger.redeem(ann, 25)
    office.chain.paused = set()
    office.mine()
    _limit(office, air, Limit.REDEMPTION, capacity=30, refill=1)
    office.chain.state.levels[air.deployed_token, Limit.REDEMPTION] = (5, office.ledger.now_ms // 1000)
    sent = len(office.chain.sent)
    _pass(office, 1)
    office.poster.step()
    assert len(office.chain.sent) == sent, "the chain would refuse it"
    assert _throttled(office, redeemed) is not None and office.states(expiry) == ["accepted"]
    _pass(office, 60)
    office.settle()
    assert office.states(redeemed) == ["final"]
