"""Adjustments: proposed by one person, decided by another, and what becomes of points and lots."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from bridge.store import adjustments, approvals, events, keys, pages
from bridge.store.accounts import UnknownAccount
from bridge.store.adjustments import (
    LIFE_MS,
    OPEN_MAX,
    Adjustment,
    AdjustmentState,
    Proposal,
    TooManyAdjustments,
    UnknownAdjustment,
)
from bridge.store.approvals import ProposerRevoked, SamePerson
from bridge.store.keys import ApiKey
from bridge.store.limits import Bounds
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import entry, lot
from bridge.store.texts import REASON_LENGTH_MAX, UnfitText
from exchange.errors import (
    IdempotencyKeyReused,
    InsufficientPoints,
    InvalidAmount,
    OverLimit,
    SarrafError,
    Unauthenticated,
    UnknownMember,
)
from exchange.points import POINTS_MAX
from exchange.words import EntryKind
from tests.bridge.store.ledgers import DAY_MS, Ledger, earn_of

WHY = "the till counted a purchase twice"
SCOPES = ("adjust", "approve")


@dataclass
class Desk:
    """One program's proposals, made by `ann` and decided by `bob` unless told otherwise."""

    ledger: Ledger
    program: Program
    ann: ApiKey = field(init=False)
    bob: ApiKey = field(init=False)

    def __post_init__(self) -> None:
        self.ann, self.bob = self.key("Ann Lee"), self.key("Bob")

    def key(self, person: str, program: Program | None = None) -> ApiKey:
        """A key of a person that may propose and approve."""
        of = (program or self.program).id
        return self.ledger.do(keys.create, program_id=of, scopes=SCOPES, now_ms=self.ledger.now_ms, person=person)[0]

    def propose(self, who: Member | bytes, points: int | None, by: ApiKey | None = None, **more: str) -> Adjustment:
        """A proposal; of an account where bytes are given."""
        member_id, account = (None, who) if isinstance(who, bytes) else (who.id, None)
        asked = Proposal(
            more.get("key") or self.ledger.key(), member_id, None, account, points, more.get("reason", WHY)
        )
        return self.ledger.do(adjustments.propose, by or self.ann, asked, self.ledger.now_ms)[0]

    def approve(self, one: Adjustment, by: ApiKey | None = None, key: str | None = None) -> Adjustment:
        """The adjustment, approved."""
        own = key or self.ledger.key()
        return self.ledger.do(approvals.approve, by or self.bob, one.id, own, self.ledger.now_ms)[0]

    def reject(self, one: Adjustment, note: str = "no", by: ApiKey | None = None, key: str | None = None) -> Adjustment:
        """The adjustment, rejected."""
        own = key or self.ledger.key()
        return self.ledger.do(approvals.reject, by or self.bob, one.id, own, note, self.ledger.now_ms)[0]

    def shown(self, one: Adjustment) -> Adjustment:
        """The adjustment as it is now."""
        return self.ledger.ask(adjustments.by_id, one.id)


@pytest.fixture
def desk(ledger: Ledger, air: Program) -> Desk:
    return Desk(ledger, air)


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


def _kinds(ledger: Ledger, operation_id: str | None) -> list[tuple[int, int, str]]:
    with ledger.database.read() as connection:
        query = sa.select(entry.c.kind, entry.c.amount, entry.c.state).where(entry.c.operation_id == operation_id)
        return [tuple(row) for row in connection.execute(query.order_by(entry.c.id))]


def test_approve__of_points_up__posts_them_with_a_lot_of_the_programs_expiry(
    ledger: Ledger, desk: Desk, ann: Member, air: Program
) -> None:
    proposed = desk.propose(ann, 40)
    assert (proposed.state, proposed.operation_id, ledger.lots(ann)) == ("proposed", None, [])
    done = desk.approve(proposed, key="yes")
    assert (done.state, done.proposed_by, done.decided_by, done.decided_ms) == (
        "approved",
        "Ann Lee",
        "Bob",
        ledger.now_ms,
    )
    assert (done.proposed_key, done.decided_key) == (desk.ann.id, desk.bob.id)
    assert _kinds(ledger, done.operation_id) == [(EntryKind.ADJUSTMENT_UP, 40, "pending")]
    with ledger.database.read() as connection:
        (expires_ms,) = connection.execute(sa.select(lot.c.expires_ms)).scalars()
    assert expires_ms == ledger.now_ms + 30 * DAY_MS
    ledger.post(air)
    (account,) = ledger.accounts(ann)
    assert (account.balance.posted, account.balance.available) == (40, 40)
    assert done.operation_id is not None
    made = ledger.operation(done.operation_id)
    assert (made.kind, made.state, made.points, made.idempotency_key) == ("adjustment", "final", 40, "yes")
    assert made.adjustment is not None
    told = made.adjustment
    assert (told.adjustment_id, told.points, told.reason, told.proposed_by, told.approved_by) == (
        done.id,
        40,
        WHY,
        "Ann Lee",
        "Bob",
    )


def test_approve__of_points_down__takes_what_expires_first(
    ledger: Ledger, desk: Desk, ann: Member, air: Program
) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 20)
    done = desk.approve(desk.propose(ann, -15))
    assert ledger.lots(ann) == [0, 15]
    assert _kinds(ledger, done.operation_id) == [(EntryKind.ADJUSTMENT_DOWN, 15, "pending")]
    ledger.post(air)
    (account,) = ledger.accounts(ann)
    assert (account.balance.posted, account.balance.available) == (15, 15)
    assert done.operation_id is not None
    shown = ledger.operation(done.operation_id)
    assert shown.points == 15 and shown.adjustment is not None and shown.adjustment.points == -15


def test_approve__of_more_than_there_is__is_refused_and_the_proposal_stays(
    ledger: Ledger, desk: Desk, ann: Member
) -> None:
    ledger.earn(ann, 10)
    proposed = desk.propose(ann, -15)
    with pytest.raises(InsufficientPoints) as refused:
        desk.approve(proposed, key="yes")
    assert (refused.value.limit, refused.value.nearest) == (10, 10)
    assert desk.shown(proposed) == proposed
    ledger.earn(ann, 5)
    assert desk.approve(proposed, key="yes").state == "approved"
    assert ledger.lots(ann) == [0, 0]


@pytest.mark.parametrize("name", ["Ann Lee", "  ann  LEE ", "ＡＮＮ Lee"])
@pytest.mark.parametrize("way", [Desk.approve, Desk.reject])
def test_decide__by_the_same_person_under_another_key__is_refused(
    desk: Desk, ann: Member, name: str, way: Callable[..., Adjustment]
) -> None:
    proposed = desk.propose(ann, 40)
    again = desk.key(name)
    assert again.id != desk.ann.id
    with pytest.raises(SamePerson):
        way(desk, proposed, by=again)
    assert desk.shown(proposed).state == "proposed"
    assert way(desk, proposed).state in ("approved", "rejected")


def test_same_person__of_folded_names__is_one_and_of_others_two() -> None:
    for other in ("STRASSE", " strasse", "Straße"):
        assert keys.same_person("Straße", other)
    assert keys.same_person("José", "José"), "composed and decomposed"
    assert not keys.same_person("Ann", "Anna") and not keys.same_person("AnnLee", "Ann Lee")


def test_approve__again_under_the_same_key__is_a_repeat_and_under_another_refused(
    ledger: Ledger, desk: Desk, ann: Member
) -> None:
    proposed = desk.propose(ann, 40)
    done = desk.approve(proposed, key="yes")
    before = ledger.everything()
    again, replayed = ledger.do(approvals.approve, desk.bob, proposed.id, "yes", ledger.now_ms)
    assert replayed and again == done
    for by in (desk.bob, desk.key("Cid")):
        with pytest.raises(AdjustmentState, match="approved already"):
            desk.approve(proposed, by=by)
    with pytest.raises(AdjustmentState):
        desk.reject(proposed)
    assert {**ledger.everything(), "api_key": 0} == {**before, "api_key": 0}


def test_reject__of_a_proposal__ends_it_with_the_reason(ledger: Ledger, desk: Desk, ann: Member) -> None:
    proposed = desk.propose(ann, 40)
    done = desk.reject(proposed, " it was counted once ", key="no")
    assert (done.state, done.note, done.decided_by, done.operation_id) == (
        "rejected",
        "it was counted once",
        "Bob",
        None,
    )
    assert desk.reject(proposed, " it was counted once ", key="no") == done
    with pytest.raises(IdempotencyKeyReused):
        desk.reject(proposed, "else", key="no")
    with pytest.raises(AdjustmentState, match="rejected already"):
        desk.approve(proposed)
    assert ledger.lots(ann) == []


def test_propose__again_under_its_key__answers_what_was_proposed(ledger: Ledger, desk: Desk, ann: Member) -> None:
    proposed = desk.propose(ann, 40, key="p")
    desk.approve(proposed)
    asked = Proposal("p", ann.id, None, None, 40, WHY)
    assert ledger.do(adjustments.propose, desk.ann, asked, ledger.now_ms + 1) == (proposed, True)
    for other in (Proposal("p", ann.id, None, None, -40, WHY), Proposal("p", ann.id, None, None, 40, "else")):
        with pytest.raises(IdempotencyKeyReused):
            ledger.do(adjustments.propose, desk.ann, other, ledger.now_ms)
    (earned,) = ledger.earn_many(ann.program_id, [earn_of(ann, 40, "p")])
    assert isinstance(earned.refusal, IdempotencyKeyReused)


def test_approve__of_another_programs_proposal__is_unknown(desk: Desk, ann: Member, box: Program) -> None:
    proposed = desk.propose(ann, 40)
    theirs = desk.key("Bob", box)
    for way in (desk.approve, desk.reject):
        with pytest.raises(UnknownAdjustment):
            way(proposed, by=theirs)
    with pytest.raises(UnknownMember):
        desk.propose(ann, 1, by=theirs)


def test_approve__where_the_proposers_key_was_revoked__is_refused_and_may_be_rejected(
    ledger: Ledger, desk: Desk, ann: Member
) -> None:
    proposed = desk.propose(ann, 40)
    ledger.do(keys.revoke, desk.ann.id, ledger.now_ms)
    with pytest.raises(ProposerRevoked, match="Ann Lee"):
        desk.approve(proposed)
    with pytest.raises(Unauthenticated):
        desk.propose(ann, 40)
    ledger.do(keys.revoke, desk.bob.id, ledger.now_ms)
    with pytest.raises(Unauthenticated):
        desk.reject(proposed)
    assert desk.reject(proposed, by=desk.key("Bob")).state == "rejected"


@pytest.mark.parametrize(("points", "limit"), [(0, None), (POINTS_MAX + 1, POINTS_MAX), (-POINTS_MAX - 1, -POINTS_MAX)])
def test_propose__of_no_or_too_many_points__is_refused(desk: Desk, ann: Member, points: int, limit: int | None) -> None:
    with pytest.raises(InvalidAmount) as refused:
        desk.propose(ann, points)
    assert (refused.value.field, refused.value.limit) == ("points", limit)


@pytest.mark.parametrize(("points", "fits"), [(50, True), (51, False), (-60, True), (-61, False)])
def test_propose__of_what_no_batch_carries__is_refused(ledger: Ledger, points: int, fits: bool) -> None:
    small = {"issuance": Bounds(50, 1), "redemption": Bounds(60, 1), "release": Bounds(1, 1)}
    program = ledger.program("SML", bounds=small)
    member, desk = ledger.member(program, "m"), Desk(ledger, program)
    if fits:
        assert desk.propose(member, points).points == points
        return
    with pytest.raises(OverLimit):
        desk.propose(member, points)


@pytest.mark.parametrize(
    "reason", ["", "   ", "a\nb", "a\x00b", "a\u202eb", "a\u200bb", "a\x7f", "x" * (REASON_LENGTH_MAX + 1)]
)
def test_reason__that_is_empty_too_long_or_hides_something__is_refused(desk: Desk, ann: Member, reason: str) -> None:
    with pytest.raises(UnfitText) as refused:
        desk.propose(ann, 1, reason=reason)
    assert refused.value.field == "reason"
    proposed = desk.propose(ann, 1, reason="é" * REASON_LENGTH_MAX)
    with pytest.raises(UnfitText):
        desk.reject(proposed, reason)


def test_propose__while_as_many_wait_as_may__is_refused(
    desk: Desk, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert OPEN_MAX >= 100
    monkeypatch.setattr(adjustments, "OPEN_MAX", 2)
    first = desk.propose(ann, 1)
    desk.propose(ann, 2)
    with pytest.raises(TooManyAdjustments):
        desk.propose(ann, 3)
    desk.reject(first)
    desk.propose(ann, 3)


def test_approve__after_its_time__is_refused_and_it_lapses(ledger: Ledger, desk: Desk, ann: Member) -> None:
    first, second = desk.propose(ann, 1), desk.propose(ann, 2)
    ledger.now_ms += LIFE_MS - 1
    assert ledger.do(adjustments.lapse, ledger.now_ms, 10) == 0
    ledger.now_ms += 1
    with pytest.raises(AdjustmentState, match="time"):
        desk.approve(first)
    assert ledger.do(adjustments.lapse, ledger.now_ms, 1) == 1
    assert [desk.shown(one).state for one in (first, second)] == ["lapsed", "proposed"]
    assert ledger.do(adjustments.lapse, ledger.now_ms, 10) == 1
    for way in (desk.approve, desk.reject):
        with pytest.raises(AdjustmentState, match="time"):
            way(second)
    assert (desk.shown(first).decided_by, desk.shown(first).decided_ms) == (None, ledger.now_ms)


def test_approve__after_a_restart__finds_the_proposal(
    open_ledger: Callable[[], Ledger], desk: Desk, ledger: Ledger, ann: Member
) -> None:
    proposed = desk.propose(ann, 40)
    ledger.close()
    again = open_ledger()
    done, _ = again.do(approvals.approve, desk.bob, proposed.id, "yes", again.now_ms)
    assert done.state == "approved" and again.lots(ann) == [40]


def test_approve__where_the_chain_skips_the_debit__fails_it_gives_it_back_and_freezes(
    ledger: Ledger, desk: Desk, ann: Member, air: Program
) -> None:
    ledger.earn(ann, 50)
    ledger.post(air)
    done = desk.approve(desk.propose(ann, -15))
    frozen = ledger.freeze(ledger.stream(air))
    ledger.finalise(ledger.mine(frozen, skipped=(0,)))
    assert done.operation_id is not None and ledger.operation(done.operation_id).state == "failed"
    (account,) = ledger.accounts(ann)
    assert (account.frozen, account.balance.debits_pending, ledger.lots(ann)) == (True, 0, [50])


def test_events__of_an_adjustment__tell_each_state_with_who_and_what(ledger: Ledger, desk: Desk, ann: Member) -> None:
    since = ledger.ask(events.last_cursor)
    first, second, third = (desk.propose(ann, points) for points in (1, -2, 3))
    done = desk.approve(first)
    desk.reject(second)
    ledger.do(adjustments.lapse, ledger.now_ms + LIFE_MS, 10)
    found, _ = ledger.ask(events.after, since, desk.program.id)
    told = [(one.subject, one.state, one.told["by"]) for one in found if isinstance(one, events.SubjectEvent)]
    assert told == [
        (first.id, "proposed", "Ann Lee"),
        (second.id, "proposed", "Ann Lee"),
        (third.id, "proposed", "Ann Lee"),
        (first.id, "approved", "Bob"),
        (second.id, "rejected", "Bob"),
        (third.id, "lapsed", None),
    ]
    approved = next(one for one in found if isinstance(one, events.SubjectEvent) and one.state == "approved")
    assert (approved.kind, approved.told["operation_id"], approved.told["points"]) == (
        "adjustment",
        done.operation_id,
        1,
    )


def test_page__by_state_and_member__lists_the_newest_first(
    ledger: Ledger, desk: Desk, ann: Member, air: Program
) -> None:
    other = ledger.member(air, "other")
    made = [desk.propose(who, points) for points, who in enumerate((ann, other, ann), 1)]
    desk.reject(made[0])

    def page(limit: int = 10, cursor: str | None = None, **wanted: str) -> pages.Page[Adjustment]:
        return ledger.ask(adjustments.page, desk.program.id, pages.Ask(limit, cursor), **wanted)

    assert [one.points for one in page().items] == [3, 2, 1]
    assert [one.points for one in page(state="proposed").items] == [3, 2]
    assert [one.points for one in page(member_id=ann.id).items] == [3, 1]
    first = page(2)
    assert [one.points for one in page(2, first.next).items] == [1]
    assert ledger.ask(adjustments.page, "prg_other", pages.Ask()).items == []


def test_propose__for_an_account__must_be_nobodys(desk: Desk, ann: Member) -> None:
    for address in (ann.account, b"\x01" * 20):
        with pytest.raises(UnknownAccount):
            desk.propose(address, -5)


def test_refusals__of_adjustments__belong_to_a_family() -> None:
    for one in (UnknownAdjustment, AdjustmentState, TooManyAdjustments, SamePerson, ProposerRevoked, UnfitText):
        assert issubclass(one, SarrafError) and (one.__doc__ or "").startswith("Raised when ")
