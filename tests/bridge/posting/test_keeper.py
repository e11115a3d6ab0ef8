"""The keeper: what is due by time is done once, in order, bounded, and never what the chain has done already."""

from pathlib import Path

import pytest

from bridge.posting.keeper import DUTIES, behind_ms
from bridge.store import accounts, chainstate, events, holds, operations, pending_earns, programs
from bridge.store.earns import EarnRequest
from bridge.store.events import SubjectEvent
from bridge.store.members import Member
from bridge.store.pages import Ask
from bridge.store.pending_earns import Change
from bridge.store.programs import Program
from bridge.store.sqlite import SqliteDatabase
from exchange.days import DAY_MS
from exchange.operations import OperationKind
from tests.bridge.posting.conftest import Office
from tests.bridge.posting.restoring import back_up, lost, put_back, recover
from tests.bridge.store.ledgers import KEPT_MAX
from tests.bridge.store.plans import plans_of

#: Points of AIR last so long.
LIFE_MS = 30 * DAY_MS


@pytest.fixture
def cat(office: Office, air: Program) -> Member:
    """A member without a link."""
    return office.ledger.member(air, "cat")


def of_kind(office: Office, kind: OperationKind) -> list[tuple[int, str, bool]]:
    """The operations of a kind: how many points, how far they have come, and whether only the chain told of them."""
    found = office.ledger.ask(operations.page, operations.Filter(kind=kind.value), Ask()).items
    return [(one.points, one.state, one.restored) for one in reversed(found)]


def posted(office: Office, who: Member) -> int:
    """What a member has by the books, which must be what the chain says."""
    assert office.reconciler.reconcile().differences == 0
    assert office.breaker is None
    return sum(one.balance.posted for one in office.ledger.accounts(who))


def test_step__of_all_that_is_due__does_it_in_order_and_then_nothing(office: Office, air: Program, cat: Member) -> None:
    ledger = office.ledger
    ledger.do(programs.tell_ahead, air.id, [10])
    ledger.earn_later(cat, 8, ledger.now_ms + 21 * DAY_MS)
    ledger.earn(cat, 4)
    held = ledger.authorise(cat, 1)
    ledger.now_ms += 20 * DAY_MS
    assert office.keep() == 1, "the hold ends, and what expires in ten days is told"
    assert ledger.ask(holds.by_id, held.id, air.id).state == "expired"
    ledger.now_ms += 11 * DAY_MS
    assert office.keep() == 1, "points come, and points expire"
    assert not office.keeper.step()
    office.settle()
    assert posted(office, cat) == 8
    told = [one for one in ledger.ask(events.after, 0, air.id)[0] if isinstance(one, SubjectEvent)]
    assert [one.told["points"] for one in told if one.kind == "expiry"] == [4]


def test_step__after_a_week_of_rest__makes_up_for_it_in_bounded_parts(office: Office, cat: Member) -> None:
    ledger = office.ledger
    for day in range(7):
        ledger.earn_later(cat, 1, ledger.now_ms + day * DAY_MS + 5_000)
    ledger.now_ms += LIFE_MS + 3 * DAY_MS
    assert ledger.ask(behind_ms, ledger.now_ms) == LIFE_MS + 3 * DAY_MS - 5_000
    assert office.keep() == 3
    assert ledger.ask(behind_ms, ledger.now_ms) == 0
    assert [points for points, _, _ in of_kind(office, OperationKind.EXPIRY)] == [3]
    office.settle()
    assert posted(office, cat) == 4


def test_step__while_the_ledger_recovers__does_nothing(office: Office, cat: Member) -> None:
    ledger = office.ledger
    ledger.earn_later(cat, 8, ledger.now_ms + 1)
    ledger.earn(cat, 4)
    ledger.now_ms += LIFE_MS
    ledger.do(chainstate.begin_recovery, "restored", ledger.now_ms)
    before = ledger.everything()
    assert office.keep() == 0
    assert ledger.everything() == before


@pytest.mark.sqlite_only
def test_due_since__in_a_large_ledger__reads_only_what_is_due(office: Office, air: Program, cat: Member) -> None:
    """By SQLite's own plan, since a time would hang on the machine."""
    ledger = office.ledger
    assert isinstance(ledger.database, SqliteDatabase)
    ledger.do(programs.tell_ahead, air.id, [10])
    ledger.earn(cat, 4)
    with plans_of(ledger.database._engine) as plans:
        for duty in DUTIES[:3]:
            ledger.do(duty.do, ledger.now_ms, KEPT_MAX)
            ledger.ask(duty.due_since, ledger.now_ms)
    for index in ("ix_operation_release", "ix_hold_open", "ix_lot_expiring"):
        assert any(index in step for step in plans), plans
    assert not [step for step in plans if "SCAN" in step or "TEMP B-TREE FOR ORDER BY" in step], plans
    with plans_of(ledger.database._engine) as plans:
        ledger.do(DUTIES[3].do, ledger.now_ms, KEPT_MAX)
    assert any("ix_lot_expiring (expires_ms>? AND expires_ms<?)" in step for step in plans), plans
    assert not [step for step in plans if "SCAN lot" in step or "SCAN account" in step], plans


# -- restored ledgers -------------------------------------------------------------------------


def test_restored__of_a_pending_earn_that_the_lost_ledger_released__is_adopted_by_its_repeat(
    office: Office, tmp_path: Path, air: Program, cat: Member
) -> None:
    ledger = office.ledger
    request = EarnRequest("stay", cat.id, None, None, 80, None, release_ms=ledger.now_ms + DAY_MS)
    with lost(office, tmp_path):
        ledger.earn_many(air.id, [request])
        ledger.now_ms += DAY_MS
        office.keep()
        office.settle()
    recover(office)
    assert of_kind(office, OperationKind.EARN) == [(80, "final", True)]
    (again,) = ledger.earn_many(air.id, [request])
    assert again.replayed
    ledger.now_ms += DAY_MS
    assert office.keep() == 0
    assert posted(office, cat) == 80


@pytest.mark.parametrize("changed", [80, 50, 110], ids=["as it was", "less", "more"])
def test_restored__of_a_copy_in_which_an_earn_is_pending_that_the_chain_has__posts_it_no_more(
    office: Office, tmp_path: Path, air: Program, cat: Member, changed: int
) -> None:
    ledger = office.ledger
    stay = ledger.earn_later(cat, 80, ledger.now_ms + DAY_MS)
    with lost(office, tmp_path):
        ledger.do(pending_earns.change, air.id, Change("change", stay, changed, None), ledger.now_ms)
        ledger.now_ms += DAY_MS
        office.keep()
        office.settle()
    assert ledger.operation(stay).pending
    recovered = recover(office)
    assert (recovered.matched, recovered.restored) == (1, 0)
    assert of_kind(office, OperationKind.EARN) == [(changed, "final", False)]
    ledger.now_ms += 2 * DAY_MS
    assert office.keep() == 0
    office.settle()
    assert posted(office, cat) == changed
    assert ledger.lots(cat) == [changed]
    ledger.redeem(cat, changed)


def test_restored__of_a_copy_in_which_an_earn_is_still_pending__releases_it_then(
    office: Office, tmp_path: Path, cat: Member
) -> None:
    ledger = office.ledger
    ledger.earn_later(cat, 80, ledger.now_ms + DAY_MS)
    with lost(office, tmp_path):
        ledger.earn(cat, 5)
        office.settle()
    recover(office)
    ledger.now_ms += DAY_MS
    office.keep()
    office.settle()
    assert posted(office, cat) == 85


@pytest.mark.parametrize("known", [False, True], ids=["not accepted in the copy", "accepted in the copy"])
def test_restored__of_points_that_the_lost_ledger_expired__expires_them_once(
    office: Office, tmp_path: Path, cat: Member, known: bool
) -> None:
    ledger = office.ledger
    ledger.earn(cat, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(cat, 3)
    office.settle()
    ledger.now_ms += LIFE_MS - DAY_MS
    if known:
        office.keep()
    copy = back_up(office, tmp_path / "copy.sqlite3")
    office.keep()
    office.settle()
    put_back(office, copy)
    recovered = recover(office)
    assert (recovered.matched, recovered.restored) == (int(known), int(not known))
    assert office.keep() == 0
    assert of_kind(office, OperationKind.EXPIRY) == [(10, "final", not known)]
    assert posted(office, cat) == 3
    assert not ledger.ask(accounts.of_member, cat.id)[0].frozen
