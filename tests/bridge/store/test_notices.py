"""Notices: every member is told once for each day and lead, of what is there then, however late and however often."""

import pytest
import sqlalchemy as sa

from bridge.store import accounts, events, notices, programs
from bridge.store.events import SubjectEvent
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import expiry_notice
from exchange.days import DAY_MS, day_of, name_of
from tests.bridge.store.ledgers import Ledger

HOUR_MS = 3_600_000


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    """Points of AIR last 30 days, and its members are told 14 days ahead, and 3."""
    ledger.now_ms = ledger.now_ms // DAY_MS * DAY_MS + 12 * HOUR_MS
    ledger.do(programs.tell_ahead, air.id, [14, 3])
    return ledger.member(air, "ann")


def tell(ledger: Ledger, most: int = 2) -> int:
    """Tell all that is to be told; how often that was asked for until nothing was left."""
    asked = 0
    while ledger.ask(notices.next_round, ledger.now_ms) is not None:
        assert ledger.do(notices.tell_next, ledger.now_ms, most)
        asked += 1
        assert asked < 100, "it comes to no end"
    return asked


def told(ledger: Ledger) -> list[tuple[str, int, int]]:
    """Who was told, how many days ahead, and of how many points."""
    columns = expiry_notice.c.member_id, expiry_notice.c.lead_days, expiry_notice.c.points
    query = sa.select(*columns).order_by(expiry_notice.c.created_ms, expiry_notice.c.day, expiry_notice.c.member_id)
    return [tuple(row) for row in ledger.ask(lambda connection: connection.execute(query).all())]


def test_tell_next__day_by_day__tells_by_each_lead_once(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    days = []
    for day in range(32):
        before = len(told(ledger))
        tell(ledger)
        tell(ledger)
        days += [day] * (len(told(ledger)) - before)
        ledger.now_ms += DAY_MS
    assert told(ledger) == [(ann.id, 14, 10), (ann.id, 3, 10)]
    assert days == [30 - 14, 30 - 3]


def test_tell_next__of_several_lots_of_a_day__tells_all_of_it_in_one(ledger: Ledger, air: Program, ann: Member) -> None:
    for amount in (1, 2, 4, 8, 16):
        ledger.earn(ann, amount)
        ledger.now_ms += HOUR_MS
    expires_ms = ledger.now_ms + 29 * DAY_MS
    ledger.now_ms += 16 * DAY_MS
    assert tell(ledger) > 1, "more lots than one transaction takes"
    assert told(ledger) == [(ann.id, 14, 31)]
    (event,) = [one for one in ledger.ask(events.after, 0, air.id)[0] if isinstance(one, SubjectEvent)]
    assert (event.kind, event.subject, event.state) == ("expiry", ann.id, "expiring")
    day = name_of(day_of(expires_ms) + 1)
    assert event.told == {"day": day, "points": 31, "lead_days": 14}


@pytest.mark.parametrize(("gone_ms", "lead"), [(16, 14), (20, 14), (26, 14), (27, 3), (30, 3)])
def test_tell_next__late__tells_what_can_still_be_told_once_and_by_the_shortest_lead(
    ledger: Ledger, ann: Member, gone_ms: int, lead: int
) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += gone_ms * DAY_MS - HOUR_MS
    tell(ledger)
    assert told(ledger) == [(ann.id, lead, 10)]


def test_tell_next__of_what_has_expired_or_was_spent__tells_nothing(ledger: Ledger, air: Program, ann: Member) -> None:
    bob = ledger.member(air, "bob")
    ledger.earn(ann, 10)
    ledger.earn(bob, 10)
    ledger.redeem(ann, 10)
    ledger.redeem(bob, 4)
    ledger.now_ms += 16 * DAY_MS
    tell(ledger)
    assert told(ledger) == [(bob.id, 14, 6)]
    ledger.now_ms += 14 * DAY_MS
    tell(ledger)
    assert told(ledger) == [(bob.id, 14, 6)]


def test_tell_next__of_points_that_came_since__tells_each_member_once_all_the_same(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += 16 * DAY_MS
    tell(ledger)
    ledger.earn_later(ann, 5, ledger.now_ms - 16 * DAY_MS)
    ledger.redeem(ann, 2)
    tell(ledger)
    assert told(ledger) == [(ann.id, 14, 10)]
    ledger.now_ms += 11 * DAY_MS
    tell(ledger)
    assert told(ledger)[1:] == [(ann.id, 3, 8)]


def test_tell_next__with_the_clock_set_ahead_and_back__tells_nobody_twice_and_goes_on(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    bob = ledger.member(air, "bob")
    for who in (ann, bob):
        ledger.earn(who, 10)
    held = ledger.authorise(bob, 10, life_s=30 * DAY_MS // 1000)
    ledger.now_ms += 17 * DAY_MS
    tell(ledger)
    assert told(ledger) == [(ann.id, 14, 10)]
    ledger.now_ms -= 2 * DAY_MS
    tell(ledger)
    ledger.void(held)
    for _ in range(15):
        ledger.now_ms += DAY_MS
        tell(ledger)
    assert sorted(told(ledger)) == sorted((who.id, lead, 10) for who in (ann, bob) for lead in (14, 3))


def test_tell_next__of_several_programs__tells_each_as_it_chose(ledger: Ledger, box: Program, ann: Member) -> None:
    ledger.do(programs.tell_ahead, box.id, [5])
    later = ledger.program("LTR", 30)
    ledger.do(programs.tell_ahead, later.id, [16])
    quiet = ledger.program("QUT", 30)
    whos = [ann, *(ledger.member(one, "x") for one in (box, later, quiet))]
    for who in whos:
        ledger.earn(who, 10)
    for _ in range(20):
        tell(ledger)
        ledger.now_ms += DAY_MS
    assert told(ledger) == [(whos[2].id, 16, 10), (ann.id, 14, 10)]


def test_tell_next__of_a_frozen_account__tells_nothing(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.do(accounts.freeze, ledger.accounts(ann)[0].id)
    ledger.now_ms += 16 * DAY_MS
    tell(ledger)
    assert told(ledger) == []


def test_tell_ahead__of_a_lead_more__tells_who_was_not_told_yet(ledger: Ledger, air: Program, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += 10 * DAY_MS
    tell(ledger)
    assert told(ledger) == []
    ledger.do(programs.tell_ahead, air.id, [25, 14, 3])
    tell(ledger)
    assert told(ledger) == [(ann.id, 25, 10)]
