"""Wallets and their holders between ledger and chain: what is seen waits for finality, whatever happens before."""

import datetime

import pytest
import sqlalchemy as sa

from bridge.chain.contracts import Bounds, Limit
from bridge.chain.events import Bound, Deposited, Event, PositionMoved, Redeemed, Swapped
from bridge.chain.finality import FinalityRule
from bridge.posting import relays
from bridge.posting.poster import LOOK_AGAIN_MS
from bridge.store import accounts, audit, challenges, holder_calls, limits, releases, wallets
from bridge.store.accounts import Account
from bridge.store.holder_calls import HolderCall, Wish
from bridge.store.members import Member
from bridge.store.operations import Filter, Operation
from bridge.store.operations import page as operation_page
from bridge.store.pages import Ask
from bridge.store.programs import Program
from bridge.store.releases import ReleaseRequest
from bridge.store.schema import lot
from bridge.store.wallets import Wallet
from exchange.words import account_address
from tests.bridge.posting.conftest import Office
from tests.bridge.store.ledgers import EXCHANGE

ADDRESS = b"\x5a" * 20
NOBODY = bytes(20)


class Holding:
    """A member of AIR with a bound wallet, and what its holder does on the chain."""

    def __init__(self, office: Office, air: Program, member: Member, address: bytes = ADDRESS) -> None:
        self.office, self.ledger, self.air, self.member = office, office.ledger, air, member
        self.wallet_id = self.ask_to_bind(address).id

    def ask_to_bind(self, address: bytes) -> Wallet:
        def bind(connection: sa.Connection) -> Wallet:
            account_id = accounts.by_reference(connection, self.air.id, self.member.reference)
            assert account_id is not None
            asked = challenges.create(connection, self.member.id, account_id, address, "text", self.ledger.now_ms)
            return wallets.bind(connection, self.member, asked.nonce, self.ledger.now_ms)

        return self.ledger.do(bind)

    @property
    def wallet(self) -> Wallet:
        return self.ledger.ask(wallets.by_id, self.wallet_id)

    @property
    def managed(self) -> Account:
        return self.ledger.accounts(self.member)[0]

    def release(self, points: int) -> str:
        request = ReleaseRequest(self.ledger.key(), self.member.id, self.wallet_id, points)
        return self.ledger.do(releases.accept, self.air.id, request, self.ledger.now_ms)[0]

    def acts(self, token: bytes, event: Event, *moves: tuple[bytes, bytes, int]) -> None:
        """A block with what the holder did; `moves` are the balances that it changed: token, holder, points."""
        for at, holder, points in moves:
            self.office.chain.state.balances[at, holder] += points
        self.office.ledger.now_ms += 1_000
        self.office.chain.mine(events=[(token, event)])
        self.office.follow()

    def call(self, kind: str, points: int) -> HolderCall:
        wish = Wish(kind, points, self.ledger.now_ms // 1000 + 900)
        return self.ledger.do(holder_calls.create, self.wallet, wish, self.ledger.now_ms)

    def operations(self, kind: str) -> list[Operation]:
        return self.ledger.ask(operation_page, Filter(member_id=self.member.id, kind=kind), Ask()).items

    def state(self, call: HolderCall) -> str:
        with self.ledger.database.read() as connection:
            return holder_calls.standing(connection, holder_calls.by_id(connection, call.id), self.ledger.now_ms)

    def require_exact(self) -> None:
        assert self.office.reconciler.audit().differences == 0


def holding(office: Office, air: Program, points: int = 100, released: int = 60) -> Holding:
    """A member whose wallet holds what was released."""
    member = office.ledger.member(air, "ann")
    made = Holding(office, air, member)
    office.ledger.earn(member, points)
    office.settle()
    if released:
        made.release(released)
        office.settle()
    return made


def test_bind__then_counts_when_it_is_final_and_not_before(office: Office, air: Program) -> None:
    made = Holding(office, air, office.ledger.member(air, "ann"))
    office.post()
    assert (made.wallet.state, made.wallet.effective_ms) == (wallets.BINDING, None)

    office.mine(2)

    assert made.wallet.state == wallets.BOUND and made.wallet.effective_ms is not None
    assert office.states(made.wallet.bind_operation_id) == ["final"]


def test_bind__whose_block_is_replaced__then_has_the_time_of_the_new_block(office: Office, air: Program) -> None:
    made = Holding(office, air, office.ledger.member(air, "ann"))
    office.post()
    office.chain.reorganise(1, forget=False)
    office.ledger.now_ms += 60_000
    office.mine(3)

    assert made.wallet.effective_ms is not None
    assert made.wallet.effective_ms > office.ledger.now_ms - 60_000
    assert office.breaker is None


def test_release__then_moves_points_and_their_age_to_the_wallet(office: Office, air: Program) -> None:
    made = holding(office, air)

    assert made.wallet.points == 60
    assert made.managed.balance.posted == made.managed.balance.available == 40
    made.require_exact()
    with office.ledger.database.read() as connection:
        rows = connection.execute(sa.select(lot).order_by(lot.c.id)).all()
    assert [(row.account_id, row.remaining) for row in rows] == [
        (made.managed.id, 40),
        (made.wallet.holding_id, 60),
    ]
    assert len({(row.earned_ms, row.expires_ms) for row in rows}) == 1 and rows[0].expires_ms is not None


def test_release__in_one_batch_with_its_earn_and_a_redemption__then_nothing_is_skipped(
    office: Office, air: Program
) -> None:
    made = holding(office, air, points=1, released=0)
    ledger = office.ledger
    released = made.release(1)
    earned, redeemed = ledger.earn(made.member, 10), ledger.redeem(made.member, 7)
    again = made.release(3)
    office.settle()

    assert office.states(released, earned, redeemed, again) == ["final"] * 4
    assert len({ledger.operation(one).batch_id for one in (released, earned, redeemed, again)}) == 1
    assert (made.wallet.points, made.managed.balance.posted) == (4, 0)
    made.require_exact()


def test_release__without_room_under_its_limit__then_only_it_waits(office: Office, air: Program) -> None:
    """A release limit may take a day to refill, and whoever earns or redeems must not wait for it."""
    made = holding(office, air, points=50, released=0)
    ledger = office.ledger
    office.chain.limits[air.deployed_token, Limit.RELEASE] = Bounds(30, 0)
    ledger.do(limits.changed, air.id, limits.RELEASE, limits.Bounds(30, 0))
    first = made.release(20)
    office.settle()
    waits, earned = made.release(20), ledger.earn(made.member, 10)
    office.settle()
    assert office.states(first, waits, earned) == ["final", "accepted", "final"]

    redeemed = ledger.redeem(made.member, 7)
    office.ledger.now_ms += LOOK_AGAIN_MS
    office.settle()
    assert office.states(waits, redeemed) == ["accepted", "final"]
    office.poster.step()
    assert ledger.operation(waits).throttled == {"limit": "release", "needed": 20, "available": 10}

    office.chain.limits[air.deployed_token, Limit.RELEASE] = Bounds(30, 1)
    office.ledger.now_ms += 30_000
    office.settle()
    assert office.states(waits) == ["final"]
    made.require_exact()


def test_release__to_a_wallet_that_was_unbound_on_the_chain__then_its_hold_comes_back(
    office: Office, air: Program
) -> None:
    made = holding(office, air, released=0)
    office.chain.state.bindings[air.deployed_token, made.member.reference] = NOBODY  # a guardian took it away
    operation_id = made.release(60)
    assert made.managed.balance.available == 40
    office.settle()

    found = office.ledger.operation(operation_id)
    assert found.state == "failed" and found.reason is not None and "wallet" in found.reason
    assert made.managed.balance.available == 100 and not made.managed.frozen
    assert office.ledger.lots(made.member) == [100] and made.wallet.points == 0
    made.require_exact()


def test_skip__behind_a_binding_of_two_words__then_is_the_right_operations(office: Office, air: Program) -> None:
    made = holding(office, air, released=0)
    other = office.ledger.member(air, "eve")
    office.chain.state.bindings[air.deployed_token, made.member.reference] = NOBODY
    Holding(office, air, other, b"\x5c" * 20)  # stands in front of the release in its batch
    skipped, redeemed = made.release(60), office.ledger.redeem(made.member, 10)
    office.settle()

    assert office.states(skipped, redeemed) == ["failed", "final"]
    assert made.managed.balance.posted == made.managed.balance.available == 90
    made.require_exact()


def test_unbinding__by_a_guardian_or_the_holder__then_ends_the_wallet_when_it_is_final(
    office: Office, air: Program
) -> None:
    made = holding(office, air)
    made.acts(air.deployed_token, Bound(made.member.reference, NOBODY, 0))
    assert made.wallet.state == wallets.BOUND
    office.mine(2)

    assert made.wallet.state == wallets.UNBOUND and made.wallet.points == 60


def test_bindings__one_after_another__then_each_wallet_has_its_own_end(office: Office, air: Program) -> None:
    made = holding(office, air, released=0)
    office.ledger.do(wallets.unbind, made.wallet, office.ledger.now_ms)
    second = made.ask_to_bind(b"\x5b" * 20)
    office.ledger.do(wallets.unbind, second, office.ledger.now_ms)
    third = made.ask_to_bind(b"\x5c" * 20)
    office.settle()

    ended, bound = (office.ledger.ask(wallets.by_id, one.id) for one in (second, third))
    assert made.wallet.state == ended.state == wallets.UNBOUND and bound.state == wallets.BOUND
    assert ended.effective_ms is not None, "it was bound for a moment"
    assert office.chain.state.bindings[air.deployed_token, made.member.reference] == b"\x5c" * 20


def test_redemption__then_is_confirmed_when_seen_and_booked_when_final(office: Office, air: Program) -> None:
    made = holding(office, air)
    call = made.call(holder_calls.REDEEM, 25)
    token = air.deployed_token

    made.acts(token, Redeemed(ADDRESS, call.number, 25), (token, ADDRESS, -25))
    assert (made.state(call), made.wallet.points, made.operations("redemption")) == (holder_calls.CONFIRMED, 60, [])
    office.mine(2)

    (operation,) = made.operations("redemption")
    assert (operation.state, operation.points, operation.reason, operation.tag) == ("final", 25, None, None)
    assert made.state(call) == holder_calls.FINAL and made.wallet.points == 35
    (told,) = [one for one in office.ledger.told(air) if one.operation_id == operation.id]
    assert (told.kind, told.state) == ("redemption", "final")
    made.require_exact()


def test_redemption__that_is_reorganised_away__then_never_was(office: Office, air: Program) -> None:
    made = holding(office, air)
    call = made.call(holder_calls.REDEEM, 25)
    made.acts(air.deployed_token, Redeemed(ADDRESS, call.number, 25))
    office.chain.reorganise(1)
    office.mine(4)

    assert (made.state(call), made.wallet.points, made.operations("redemption")) == (holder_calls.OPEN, 60, [])
    made.require_exact()


def test_redemption__under_a_number_that_nobody_gave_out__then_is_booked_and_says_so(
    office: Office, air: Program
) -> None:
    made = holding(office, air)
    token = air.deployed_token
    made.acts(token, Redeemed(ADDRESS, 2**255 - 1, 5), (token, ADDRESS, -5))
    call = made.call(holder_calls.REDEEM, 25)
    made.acts(token, Redeemed(ADDRESS, call.number, 24), (token, ADDRESS, -24))
    office.mine(2)

    found = made.operations("redemption")
    assert [one.points for one in found] == [24, 5] and all(one.reason for one in found)
    assert made.state(call) == holder_calls.CANCELLED, "its number is gone, for another amount"
    made.require_exact()


def test_deposit__then_the_points_come_back_with_the_age_that_they_have(office: Office, air: Program) -> None:
    made = holding(office, air, points=50, released=50)
    office.ledger.now_ms += 10 * 86_400_000
    office.ledger.earn(made.member, 50)
    office.settle()
    made.release(50)
    office.settle()
    token, managed = air.deployed_token, made.managed.address

    made.acts(token, Deposited(made.member.reference, ADDRESS, 70), (token, ADDRESS, -70), (token, managed, 70))
    office.mine(2)

    with office.ledger.database.read() as connection:
        back = connection.execute(
            sa.select(lot.c.remaining, lot.c.expires_ms)
            .where(lot.c.account_id == made.managed.id, lot.c.remaining > 0)
            .order_by(lot.c.expires_ms)
        ).all()
    assert [row.remaining for row in back] == [50, 20], "what expires first comes back first"
    assert back[1].expires_ms - back[0].expires_ms > 9 * 86_400_000
    (deposit,) = made.operations("deposit")
    assert made.managed.balance.available == 70 and deposit.member_id == made.member.id
    assert deposit.occurred_ms in {one.block.timestamp * 1000 for one in office.chain.blocks}
    made.require_exact()


def test_release_and_redemption__final_in_one_step__then_the_batch_is_booked_first(
    office: Office, air: Program
) -> None:
    made = holding(office, air, released=0)
    token = air.deployed_token
    made.release(60)
    office.post()
    made.acts(token, Redeemed(ADDRESS, 0, 60), (token, ADDRESS, -60))
    office.mine()
    assert made.wallet.points == 60, "the release is final, the redemption is not"
    office.mine()
    assert made.wallet.points == 0

    # Together: finality moves over both at once, as where the chain itself names its final block.
    made.release(40)
    _final_by(office, "depth:100")
    office.post()
    made.acts(token, Redeemed(ADDRESS, 1, 40), (token, ADDRESS, -40))
    _final_by(office, "depth:0")
    office.follow()
    assert made.wallet.points == 0 and made.managed.balance.posted == 0
    assert office.breaker is None
    made.require_exact()


def _final_by(office: Office, rule: str) -> None:
    office.finality = FinalityRule.parse(rule)
    office.begin()


def test_swap__then_both_programs_books_and_positions_follow(office: Office, air: Program, box: Program) -> None:
    made = holding(office, air)
    source, destination = air.deployed_token, box.deployed_token
    chain = office.chain
    chain.state.positions[source] -= 210
    chain.state.positions[destination] += 210
    chain.state.balances[source, ADDRESS] -= 60
    chain.state.balances[destination, ADDRESS] += 30
    office.ledger.now_ms += 1_000
    moved = [(EXCHANGE, PositionMoved(source, -210, -210)), (EXCHANGE, PositionMoved(destination, 210, 210))]
    chain.mine(events=[*moved, (EXCHANGE, Swapped(ADDRESS, source, destination, 60, 30))], together=True)
    office.follow()
    office.mine(2)

    (operation,) = made.operations("swap")
    assert operation.swap is not None
    assert (operation.swap.points_out, operation.swap.settlement_micro) == (30, 210)
    assert (operation.swap.to_member_id, operation.swap.quote_id) == (None, None)
    assert made.wallet.points == 0
    books = {one.program.symbol: one for one in office.ledger.ask(audit.snapshot).books}  # type: ignore[union-attr]
    assert (books["AIR"].swapped_out, books["BOX"].swapped_in) == (60, 30)
    assert (books["AIR"].position_micro, books["BOX"].position_micro) == (-210, 210)
    made.require_exact()


def test_holder__who_moves_points_that_the_ledger_does_not_know__then_the_breaker_trips_and_nothing_else_falls(
    office: Office, air: Program
) -> None:
    made = holding(office, air)
    made.acts(air.deployed_token, Redeemed(ADDRESS, 0, 61))
    made.acts(air.deployed_token, Deposited(b"\x66" * 20, ADDRESS, 1))
    office.mine(2)

    assert office.breaker is not None and "61 points" in office.breaker
    assert made.wallet.points == 60 and made.operations("redemption") == []


def test_relay__that_the_chain_refuses__then_the_call_failed_unless_its_block_goes(
    office: Office, air: Program
) -> None:
    made = holding(office, air)
    call = made.call(holder_calls.REDEEM, 5)
    office.ledger.do(relays.relay, call, b"\x01" * 65, office.ledger.now_ms)
    assert made.state(call) == holder_calls.RELAYED
    office.poster.step()
    (sent,) = office.chain.mempool
    office.chain.refused.add(sent)
    office.mine()
    assert made.state(call) == holder_calls.FAILED
    reason = office.ledger.ask(holder_calls.by_id, call.id).reason
    until = datetime.datetime.fromtimestamp(call.deadline, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert reason is not None
    assert reason.endswith(f"; the signature stays valid until {until}; cancel it on chain before signing another")

    office.chain.refused.clear()
    office.chain.reorganise(1, forget=False)
    office.mine()
    assert made.state(call) == holder_calls.RELAYED


def test_accounts__of_members_and_wallets__then_stay_apart(office: Office, air: Program) -> None:
    made = holding(office, air)

    assert [one.address for one in office.ledger.accounts(made.member)] == [
        account_address(air.deployed_token, made.member.reference)
    ]
    assert office.ledger.ask(wallets.member_of, air.id, ADDRESS) == made.member.id
    assert office.ledger.ask(wallets.member_of, air.id, b"\x01" * 20) is None


def test_release__before_the_bindings_time__then_is_refused_with_the_time(office: Office, air: Program) -> None:
    office.chain.binding_delay_s = 3_600
    made = holding(office, air, released=0)
    effective_ms = made.wallet.effective_ms
    assert effective_ms is not None and made.wallet.standing(office.ledger.now_ms) == wallets.ANNOUNCED

    for at_ms in (office.ledger.now_ms, effective_ms):  # the chain's clock may still be behind ours
        office.ledger.now_ms = at_ms
        with pytest.raises(wallets.BindingNotEffective) as refusal:
            made.release(1)
        assert refusal.value.limit == effective_ms // 1000
        assert refusal.value.nearest == (effective_ms + wallets.CLOCK_SLACK_MS) // 1000

    office.ledger.now_ms = effective_ms + wallets.CLOCK_SLACK_MS
    made.release(1)
    office.ledger.now_ms = effective_ms
    assert made.wallet.standing(office.ledger.now_ms) == wallets.ACTIVE
