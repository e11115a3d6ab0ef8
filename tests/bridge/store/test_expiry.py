"""Expiry: what is over leaves the books and the chain, once, and nothing that somebody else took or may keep."""

import pytest
import sqlalchemy as sa

from bridge.store import accounts, audit, expiry, holds, limits, releases
from bridge.store.expiry import ExpiringDay
from bridge.store.limits import Bounds
from bridge.store.members import Member
from bridge.store.pages import Ask
from bridge.store.programs import Program
from bridge.store.releases import ReleaseRequest
from bridge.store.schema import account, entry, lot, operation
from exchange.days import DAY_MS, day_of
from exchange.errors import InsufficientPoints
from exchange.ledger import Balance
from exchange.points import Points
from exchange.words import EntryKind
from tests.bridge.store.ledgers import WIDE, Ledger

LIFE_MS = 30 * DAY_MS


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


def balance(ledger: Ledger, who: Member) -> Balance:
    return ledger.accounts(who)[0].balance


def expiries(ledger: Ledger) -> list[tuple[str | None, int, str]]:
    """Whose points expired, how many, and how far that has come."""
    columns = operation.c.member_id, operation.c.points, operation.c.state
    query = sa.select(*columns).where(operation.c.kind == "expiry").order_by(operation.c.seq)
    return [tuple(row) for row in ledger.ask(lambda connection: connection.execute(query).all())]


def expire(ledger: Ledger, most: int = 100) -> int:
    return ledger.do(expiry.expire_due, ledger.now_ms, most)


@pytest.mark.parametrize(("late_ms", "gone"), [(-1000, False), (-1, False), (0, True), (1, True)])
def test_expire_due__around_the_moment__takes_from_then_on_what_nobody_can_spend(
    ledger: Ledger, ann: Member, late_ms: int, gone: bool
) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += LIFE_MS + late_ms
    assert (ledger.ask(expiry.due_since, ledger.now_ms) is not None) == gone
    assert expire(ledger) == int(gone)
    assert balance(ledger, ann).available == (0 if gone else 10)
    if gone:
        assert expiries(ledger) == [(ann.id, 10, "accepted")]
        assert expire(ledger) == 0
    else:
        ledger.redeem(ann, 10)


def test_expire_due__posted__burns_the_points(ledger: Ledger, air: Program, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.post(air)
    ledger.now_ms += LIFE_MS
    expire(ledger)
    assert balance(ledger, ann) == Balance(credits_posted=Points(10), debits_pending=Points(10))
    ledger.earn_later(ann, 7, ledger.now_ms + DAY_MS)
    ledger.post(air)
    assert balance(ledger, ann).posted == 0
    assert expiries(ledger) == [(ann.id, 10, "final")]
    snapshot = ledger.ask(audit.snapshot)
    assert snapshot is not None
    (books,) = (one for one in snapshot.books if one.program.id == air.id)
    assert (books.issued, books.redeemed, books.expired, books.to_come) == (10, 10, 10, 7)
    kinds = sa.select(entry.c.kind).where(entry.c.state == "posted").order_by(entry.c.id)
    assert list(ledger.ask(lambda connection: connection.execute(kinds).scalars().all())) == [
        EntryKind.EARN,
        EntryKind.EXPIRY,
    ]


def test_expire_due__of_several_lots_of_several_members__is_one_operation_for_each(
    ledger: Ledger, air: Program, box: Program, ann: Member
) -> None:
    bob, never = ledger.member(air, "bob"), ledger.member(box, "never")
    for who, amount in ((ann, 1), (bob, 2), (ann, 4), (never, 8)):
        ledger.earn(who, amount)
    ledger.now_ms += LIFE_MS
    assert expire(ledger) == 3
    assert sorted(points for _, points, _ in expiries(ledger)) == [2, 5]
    assert balance(ledger, never).available == 8, "what never expires does not"


def test_expire_due__after_a_stop__takes_all_in_bounded_parts_the_first_due_first(ledger: Ledger, ann: Member) -> None:
    for amount in (1, 2, 4, 8, 16):
        ledger.earn(ann, amount)
        ledger.now_ms += DAY_MS
    ledger.now_ms += 2 * LIFE_MS
    assert [expire(ledger, most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [points for _, points, _ in expiries(ledger)] == [3, 12, 16]


def test_expire_due__of_what_was_partly_spent__takes_the_rest(ledger: Ledger, air: Program, ann: Member) -> None:
    """Expired credit with a later debit: the debit took from the first to expire, and only its rest expires."""
    ledger.earn(ann, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 10)
    ledger.redeem(ann, 4)
    ledger.now_ms += LIFE_MS - DAY_MS
    expire(ledger)
    assert ledger.lots(ann) == [0, 10]
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ann, 11)
    ledger.redeem(ann, 10)
    ledger.post(air)
    assert balance(ledger, ann).posted == 0


def test_expire_due__beside_a_redemption__whoever_comes_first_has_the_points(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += LIFE_MS - 1
    ledger.redeem(ann, 10)
    ledger.now_ms += 1
    assert expire(ledger) == 0
    ledger.earn(ann, 5)
    ledger.now_ms += LIFE_MS
    expire(ledger)
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ann, 5)


def test_expire_due__of_points_that_a_till_holds__waits_until_they_come_back(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += LIFE_MS - 1000
    held = ledger.authorise(ann, 8)
    ledger.now_ms += 2000
    expire(ledger)
    assert [points for _, points, _ in expiries(ledger)] == [2]
    ledger.capture(held, 3)
    ledger.now_ms = held.expires_ms
    assert ledger.do(holds.expire, ledger.now_ms, 10) == 1
    assert ledger.ask(expiry.due_since, ledger.now_ms) is not None
    expire(ledger)
    assert [points for _, points, _ in expiries(ledger)] == [2, 5]
    assert balance(ledger, ann).available == 0


def test_expire_due__of_points_in_a_swap_that_fails__takes_them_when_they_are_back(
    ledger: Ledger, air: Program, box: Program, ann: Member
) -> None:
    ledger.agree(air, box)
    ledger.link(ann, ledger.member(box, "ann"))
    ledger.earn(ann, 10)
    ledger.post(air)
    ledger.now_ms += LIFE_MS - 1000
    ledger.swap(ann, box, 10)
    ledger.now_ms += 2000
    assert expire(ledger) == 0
    frozen = ledger.freeze(ledger.stream(air, box))
    tip = ledger.mine(frozen, skipped=[0])
    ledger.finalise(tip)
    assert balance(ledger, ann).available == 10
    assert expire(ledger) == 1, "the account is frozen, since the chain was short of it: the lot is set aside"
    assert expiries(ledger) == []
    ledger.do(accounts.thaw, ledger.accounts(ann)[0].id)
    assert expire(ledger) == 1
    assert [points for _, points, _ in expiries(ledger)] == [10]


def test_expire_due__of_points_in_a_wallet__leaves_them_and_finds_them_no_more(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    ledger.post(air)
    wallet = ledger.wallet(ann)
    request = ReleaseRequest("release", ann.id, wallet.id, 6)
    ledger.do(releases.accept, air.id, request, ledger.now_ms)
    ledger.post(air)
    ledger.now_ms += LIFE_MS
    assert expire(ledger) == 2
    assert [points for _, points, _ in expiries(ledger)] == [4]
    assert ledger.ask(expiry.due_since, ledger.now_ms) is None, "what is left alone is not found again"
    in_wallet = sa.select(sa.func.sum(lot.c.remaining)).where(lot.c.account_id == wallet.holding_id)
    assert ledger.ask(lambda connection: connection.scalar(in_wallet)) == 6


def test_expire_due__of_an_account_that_is_frozen_or_nobodys__waits_until_somebody_may_spend_it(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    bob = ledger.member(air, "bob")
    for who in (ann, bob):
        ledger.earn(who, 10)
    frozen, orphan = ledger.accounts(ann)[0].id, ledger.accounts(bob)[0].id
    ledger.do(accounts.freeze, frozen)
    nobodys = account.update().where(account.c.id == orphan).values(kind=accounts.ORPHAN, member_id=None)
    ledger.do(lambda connection: connection.execute(nobodys))
    ledger.now_ms += LIFE_MS
    assert [expire(ledger), expire(ledger)] == [2, 0]
    assert expiries(ledger) == []
    ledger.do(accounts.thaw, frozen)
    ledger.do(accounts.adopt, orphan, bob.id)
    assert [expire(ledger), expire(ledger)] == [2, 0]
    assert sorted(expiries(ledger)) == sorted([(ann.id, 10, "accepted"), (bob.id, 10, "accepted")])


def test_expire_due__skipped_by_the_chain__fails_and_freezes_the_account(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    ledger.post(air)
    ledger.now_ms += LIFE_MS
    expire(ledger)
    tip = ledger.mine(ledger.freeze(ledger.stream(air)), skipped=[0])
    assert ledger.finalise(tip) == [ledger.accounts(ann)[0].id]
    assert expiries(ledger) == [(ann.id, 10, "failed")]
    assert ledger.accounts(ann)[0].frozen and ledger.lots(ann) == [10]
    assert [expire(ledger), expire(ledger)] == [1, 0]
    assert expiries(ledger) == [(ann.id, 10, "failed")]


def test_expire_due__of_more_than_one_batch_lets_expire__is_divided_and_what_is_over_the_limit_waits(
    ledger: Ledger,
) -> None:
    """A quarter of the limit, rounded up, expires in one batch."""
    tight = ledger.program("DEF", 30, bounds={**WIDE, limits.REDEMPTION: Bounds(10, 1)})
    bob = ledger.member(tight, "bob")
    for amount in (1, 2, 1, 8, 11):
        ledger.earn(bob, amount)
    ledger.now_ms += LIFE_MS
    assert [expire(ledger) for _ in range(4)] == [5, 1, 1, 0], "what is over the limit is set aside"
    assert [points for _, points, _ in expiries(ledger)] == [3, 1, 3, 3, 2]
    assert ledger.lots(bob) == [0, 0, 0, 0, 11]
    ledger.do(limits.changed, tight.id, limits.REDEMPTION, Bounds(11, 1))
    assert [expire(ledger) for _ in range(5)] == [1, 1, 1, 1, 0]
    assert ledger.lots(bob) == [0] * 5


def test_expire_due__after_the_clock_was_set_back__gives_nothing_back(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += LIFE_MS
    expire(ledger)
    before = ledger.everything()
    ledger.now_ms -= LIFE_MS
    assert expire(ledger) == 0
    assert ledger.everything() == before
    ledger.now_ms += LIFE_MS
    assert expire(ledger) == 0


def test_of_member__of_several_days__lists_each_with_all_that_expires_on_it(ledger: Ledger, ann: Member) -> None:
    """Not only the first lot, and not only the first of a day."""
    began_ms = ledger.now_ms // DAY_MS * DAY_MS
    ledger.now_ms = began_ms
    for amount in (1, 2, 4):
        ledger.earn(ann, amount)
        ledger.now_ms += 10 * 3_600_000  # at 0:00, 10:00, 20:00
    ledger.earn(ann, 8)  # at 6:00 on the next day
    ledger.redeem(ann, 2)
    expected = [
        ExpiringDay(day_of(began_ms) + 30, 5, began_ms + LIFE_MS + 10 * 3_600_000),
        ExpiringDay(day_of(began_ms) + 31, 8, ledger.now_ms + LIFE_MS),
    ]
    assert ledger.ask(expiry.of_member, ann.id, ledger.now_ms, Ask()).items == expected
    first = ledger.ask(expiry.of_member, ann.id, ledger.now_ms, Ask(1))
    assert first.items == expected[:1] and first.previous is None
    second = ledger.ask(expiry.of_member, ann.id, ledger.now_ms, Ask(1, first.next))
    assert second.items == expected[1:] and second.next is None
    assert ledger.ask(expiry.of_member, ann.id, ledger.now_ms, Ask(1, second.previous)).items == expected[:1]
    ledger.now_ms = expected[0].first_ms
    later = ExpiringDay(expected[0].day, 4, began_ms + LIFE_MS + 20 * 3_600_000)
    assert ledger.ask(expiry.of_member, ann.id, ledger.now_ms, Ask()).items == [later, expected[1]]


def test_expire_due__of_what_no_batch_could_burn__is_not_read_again_until_the_limit_changes(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    ledger.do(limits.changed, air.id, limits.REDEMPTION, Bounds(9, 1))
    ledger.now_ms += LIFE_MS
    assert [expire(ledger), expire(ledger)] == [1, 0]
    assert ledger.ask(expiry.due_since, ledger.now_ms) is None
    assert ledger.lots(ann) == [10] and expiries(ledger) == []
    ledger.do(limits.changed, air.id, limits.ISSUANCE, Bounds(9, 1))
    assert expire(ledger) == 0
    ledger.do(limits.changed, air.id, limits.REDEMPTION, Bounds(40, 1))
    assert [expire(ledger), expire(ledger)] == [1, 0]
    assert ledger.lots(ann) == [0]
