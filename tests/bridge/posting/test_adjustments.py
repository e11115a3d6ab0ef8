"""Adjustments on a chain: posted once whatever the ledger forgot, a theft taken back, a frozen account thawed."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.chain import contracts
from bridge.store import accounts, adjustments, approvals, breaker, keys, lanes, streams
from bridge.store.accounts import OddAccount
from bridge.store.adjustments import Adjustment, AdjustmentState, Proposal
from bridge.store.keys import ApiKey
from bridge.store.members import Member
from bridge.store.pages import Ask
from bridge.store.programs import Program
from bridge.store.schema import operation
from bridge.store.thaws import AccountDiffers, AccountShort, BlockPassed, NotFrozen, Seen
from exchange.days import DAY_MS
from exchange.errors import InsufficientPoints
from exchange.points import Points
from exchange.words import EntryKind, EntryWord, account_address
from tests.bridge.posting.conftest import Office
from tests.bridge.posting.restoring import lost, recover, require_sound

TAG = b"thief"
STRANGER = b"\x99" * 20
WHY = "a purchase counted twice"


def _person(office: Office, program: Program, name: str) -> ApiKey:
    scopes = ("adjust", "approve")
    now_ms = office.ledger.now_ms
    return office.ledger.do(keys.create, program_id=program.id, scopes=scopes, now_ms=now_ms, person=name)[0]


class Desk:
    """Two persons of one program."""

    def __init__(self, office: Office, program: Program) -> None:
        self.office = office
        self.proposer, self.approver = (_person(office, program, name) for name in ("Ann", "Bob"))

    def propose(self, points: int | None, key: str, who: Member | bytes) -> Adjustment:
        member_id, account = (None, who) if isinstance(who, bytes) else (who.id, None)
        asked = Proposal(key, member_id, None, account, points, WHY)
        now_ms = self.office.ledger.now_ms
        return self.office.ledger.do(adjustments.propose, self.proposer, asked, now_ms)[0]

    def approve(self, one: Adjustment, key: str = "yes", seen: Seen | None = None) -> Adjustment:
        now_ms = self.office.ledger.now_ms
        return self.office.ledger.do(approvals.approve, self.approver, one.id, key, now_ms, seen)[0]

    def adjust(self, points: int, who: Member | bytes, key: str = "once") -> Adjustment:
        return self.approve(self.propose(points, key, who), f"yes-{key}")


@pytest.fixture
def desk(office: Office, air: Program) -> Desk:
    return Desk(office, air)


def _available(office: Office, who: Member) -> int:
    return sum(one.balance.available for one in office.ledger.accounts(who))


def _posted_words(office: Office) -> int:
    """How many adjustments the ledger holds."""
    with office.ledger.database.read() as connection:
        counted = sa.select(sa.func.count()).where(operation.c.kind == "adjustment")
        return connection.scalar(counted) or 0


@pytest.mark.parametrize(("points", "key"), [(7, "yes"), (-4, "another")])
def test_approve__of_what_the_chain_has_already__finds_it_under_whatever_key(
    office: Office, desk: Desk, ann: Member, tmp_path: Path, points: int, key: str
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    proposed = desk.propose(points, "once", ann)
    with lost(office, tmp_path):
        desk.approve(proposed, "yes")
        office.settle()
    recover(office)
    assert _available(office, ann) == 10 + points
    with pytest.raises(AdjustmentState, match="approve it again"):
        office.ledger.do(approvals.reject, desk.approver, proposed.id, "no", "why", office.ledger.now_ms)
    office.ledger.now_ms += adjustments.LIFE_MS  # its time is over, but it was not when this was done
    office.ledger.do(adjustments.lapse, office.ledger.now_ms, 1)

    done = desk.approve(proposed, key)

    assert (done.state, done.decided_by) == ("approved", "Bob")
    assert done.operation_id is not None
    made = office.ledger.operation(done.operation_id)
    assert (made.restored, made.state, made.idempotency_key) == (True, "final", key)
    assert made.adjustment is not None and made.adjustment.points == points
    for _ in range(3):
        office.settle()
    assert _available(office, ann) == 10 + points and _posted_words(office) == 1
    require_sound(office)


def test_approve__where_the_proposal_was_forgotten_too__finds_it_by_the_proposals_key(
    office: Office, desk: Desk, ann: Member, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    with lost(office, tmp_path):
        desk.adjust(-4, ann)
        office.settle()
    recover(office)
    (again, other) = (desk.propose(-4, key, ann) for key in ("once", "other"))
    assert desk.approve(again, "later").state == "approved"
    assert (_available(office, ann), _posted_words(office)) == (6, 1)
    desk.approve(other, "more")
    assert (_available(office, ann), _posted_words(office)) == (2, 2)
    office.settle()
    require_sound(office)


@pytest.mark.parametrize("points", [4, -5])
def test_approve__of_something_else_under_the_key_of_what_the_chain_has__is_an_adjustment_of_its_own(
    office: Office, desk: Desk, ann: Member, tmp_path: Path, points: int
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    with lost(office, tmp_path):
        desk.adjust(-4, ann)
        office.settle()
    recover(office)
    done = desk.adjust(points, ann)
    assert done.operation_id is not None and not office.ledger.operation(done.operation_id).restored
    assert (_available(office, ann), _posted_words(office)) == (6 + points, 2)
    office.settle()
    require_sound(office)


def _steal(office: Office, air: Program, *words: EntryWord, sequence: int) -> None:
    """A batch with the stolen key of the program's issuer, taken into the books; posting goes on."""
    call = contracts.encode_post(sequence, 2**40, b"".join(word.pack() for word in words))
    sender = office.ledger.ask(_lane, air)
    office.chain.mine(office.chain.foreign(sender, air.deployed_token, call))
    office.mine(3)
    assert office.breaker is not None


def _go_on(office: Office) -> None:
    """Posting goes on after a theft: the foreign batch, and the nonce that it used, were looked at."""
    for _ in range(4):
        office.ledger.do(breaker.reset, "mended", office.ledger.now_ms)
        office.settle()


def _lane(connection: sa.Connection, program: Program) -> bytes:
    return lanes.by_id(connection, streams.for_program(connection, program.id).lane_id).address


def _odd(office: Office, program: Program) -> list[OddAccount]:
    return office.ledger.ask(accounts.odd_page, program.id, None, Ask()).items


def test_adjust__of_an_account_that_is_nobodys__takes_back_what_a_thief_issued(
    office: Office, desk: Desk, ann: Member, air: Program
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    _steal(office, air, EntryWord(STRANGER, EntryKind.EARN, Points(500), TAG), sequence=2)
    address = account_address(air.deployed_token, STRANGER)
    (found,) = _odd(office, air)
    assert (found.address, found.member_id, found.balance.posted) == (address, None, 500)
    office.ledger.now_ms += 31 * DAY_MS  # expired points are taken all the same
    with pytest.raises(InsufficientPoints):
        desk.adjust(-501, address, "more")
    done = desk.adjust(-500, address)
    _go_on(office)
    assert done.operation_id is not None and office.states(done.operation_id) == ["final"]
    assert office.chain.state.balances[air.deployed_token, address] == 0
    desk.adjust(5, address, "taken one too often")
    office.settle()
    assert office.chain.state.balances[air.deployed_token, address] == 5
    require_sound(office)


def test_adjust__of_an_account_that_has_become_a_members__is_refused(
    office: Office, desk: Desk, ann: Member, air: Program
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    _steal(office, air, EntryWord(STRANGER, EntryKind.EARN, Points(5), TAG), sequence=2)
    address = account_address(air.deployed_token, STRANGER)
    proposed = desk.propose(-5, "once", address)
    (found,) = _odd(office, air)
    office.ledger.do(accounts.adopt, found.id, ann.id)
    with pytest.raises(AdjustmentState, match=ann.id):
        desk.approve(proposed)


@pytest.fixture
def robbed(office: Office, ann: Member, air: Program) -> OddAccount:
    """Ann's account: a thief burned 7 of its 10 points while a redemption of 6 waited, which the chain then skipped."""
    office.ledger.earn(ann, 10)
    office.settle()
    waiting = office.ledger.redeem(ann, 6)
    _steal(office, air, EntryWord(ann.reference, EntryKind.REDEMPTION, Points(7), TAG), sequence=2)
    _go_on(office)
    assert office.states(waiting) == ["failed"]
    (found,) = _odd(office, air)
    assert (found.frozen, found.balance.posted, found.balance.debits_pending) == (True, 3, 6)
    return found


def test_thaw__of_an_account_that_a_thief_emptied__gives_the_failed_hold_back_and_levels_the_lots(
    office: Office, desk: Desk, ann: Member, air: Program, robbed: OddAccount
) -> None:
    assert _available(office, ann) == 0
    proposed, twice = (desk.propose(None, key, robbed.address) for key in ("thaw", "twice"))
    done = desk.approve(proposed, seen=office.reconciler.seen(robbed.id))
    with pytest.raises(NotFrozen):
        desk.approve(twice, "no", office.reconciler.seen(robbed.id))
    assert (done.state, done.operation_id) == ("approved", None)
    (account,) = office.ledger.accounts(ann)
    assert (account.frozen, account.balance.debits_pending, account.balance.available) == (False, 0, 3)
    assert sum(office.ledger.lots(ann)) == 3
    require_sound(office)
    again, replayed = office.ledger.do(
        approvals.approve, desk.approver, proposed.id, "yes", office.ledger.now_ms, Seen(0, 0)
    )
    assert replayed and again == done
    office.ledger.redeem(ann, 3)
    office.settle()
    assert office.chain.state.balances[air.deployed_token, ann.account] == 0
    require_sound(office)
    with pytest.raises(NotFrozen):
        desk.propose(None, "thaw again", robbed.address)


def test_thaw__of_an_account_in_which_points_expired_meanwhile__lets_them_expire(
    office: Office, desk: Desk, ann: Member
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    (account,) = office.ledger.accounts(ann)
    office.ledger.do(accounts.freeze, account.id)
    office.ledger.now_ms += 31 * DAY_MS
    assert office.keep(), "what is over in a frozen account is set aside"
    desk.approve(desk.propose(None, "thaw", account.address), seen=office.reconciler.seen(account.id))
    assert _available(office, ann) == 10, "they are there, though nobody can spend them"
    assert office.keep()
    office.settle()
    assert _available(office, ann) == 0
    require_sound(office)


def test_keep__of_a_proposal_whose_time_is_over__lets_it_lapse(office: Office, desk: Desk, ann: Member) -> None:
    proposed = desk.propose(5, "once", ann)
    assert not office.keep()
    office.ledger.now_ms += adjustments.LIFE_MS
    assert office.keep() == 1
    assert office.ledger.ask(adjustments.by_id, proposed.id).state == "lapsed"
    assert not office.keep()


def test_thaw__before_ledger_and_chain_are_known_to_agree__is_refused(
    office: Office, desk: Desk, ann: Member, robbed: OddAccount
) -> None:
    proposed = desk.propose(None, "thaw", robbed.address)
    seen = office.reconciler.seen(robbed.id)
    with pytest.raises(AccountDiffers, match="2 points on the chain"):
        desk.approve(proposed, seen=Seen(seen.block_number, 2))
    office.mine()
    with pytest.raises(BlockPassed):
        desk.approve(proposed, seen=seen)
    office.ledger.do(_hold_more, robbed.id)
    with pytest.raises(AccountShort) as refused:
        desk.approve(proposed, seen=office.reconciler.seen(robbed.id))
    assert refused.value.limit == 1
    (account,) = office.ledger.accounts(ann)
    assert account.frozen and account.balance.debits_pending == 6, "a refusal undoes what was begun"


def _hold_more(connection: sa.Connection, account_id: int) -> None:
    changes = accounts.Changes()
    changes.add(account_id, "held", 4)
    changes.apply(connection)


def test_thaw__of_an_account_that_is_not_frozen__is_refused(desk: Desk, ann: Member) -> None:
    with pytest.raises(NotFrozen):
        desk.propose(None, "thaw", ann.account)
