"""Reversals and debts: what was earned or spent is taken back once, in whole or in parts, and nobody keeps points."""

import pytest
import sqlalchemy as sa

from bridge.store import (
    accounts,
    blocks,
    debts,
    earns,
    holds,
    limits,
    lots,
    outcomes,
    pending_earns,
    programs,
    releases,
    repayments,
    reversals,
    spending,
    thaws,
)
from bridge.store.earns import ISSUED_MAX, EarnRequest
from bridge.store.events import after
from bridge.store.limits import Bounds
from bridge.store.members import Member
from bridge.store.operations import NOTHING_POSTED, Filter, Operation, page
from bridge.store.pages import Ask
from bridge.store.pending_earns import Cancellation
from bridge.store.programs import Program
from bridge.store.releases import ReleaseRequest
from bridge.store.reversals import ReversalRequest
from bridge.store.schema import account, debt, debt_change, entry, lot
from bridge.store.sqlite import SqliteDatabase
from bridge.store.thaws import AccountDiffers, Seen
from exchange.errors import (
    CannotSplit,
    IdempotencyKeyReused,
    InsufficientPoints,
    InvalidAmount,
    MoreThanOriginal,
    NotReversible,
    OverLimit,
    PointsSpent,
    UnknownOperation,
)
from exchange.words import EntryKind, entry_tag
from tests.bridge.store.ledgers import DAY_MS, Ledger, earn_of
from tests.bridge.store.plans import plans_of
from tests.bridge.store.test_restored_reversals import told, word


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


@pytest.fixture
def lenient(ledger: Ledger, air: Program) -> Program:
    """AIR, whose members may owe 50 points."""
    return ledger.do(programs.may_be_owed, air.id, 50)


def available(ledger: Ledger, who: Member) -> int:
    """What a member can spend now."""
    return ledger.ask(spending.purse, who.id, ledger.now_ms).spendable


def posted(ledger: Ledger, who: Member) -> int:
    return sum(one.balance.posted for one in ledger.accounts(who))


def of_kind(ledger: Ledger, who: Member, kind: str) -> list[Operation]:
    """A member's operations of a kind, the oldest first."""
    found = ledger.ask(page, Filter(member_id=who.id, kind=kind), Ask(50)).items
    return list(reversed(found))


# -- earns ------------------------------------------------------------------------------------


def test_reverse__an_earn__then_its_points_are_gone_at_once_and_burned(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 100)
    ledger.post(air)
    made = ledger.reverse(earned)
    assert (made.kind, made.points, made.state, made.reverses_id) == ("reversal", 100, "accepted", earned)
    assert (available(ledger, ann), posted(ledger, ann)) == (0, 100)
    ledger.post(air)
    assert (posted(ledger, ann), ledger.operation(made.id).state) == (0, "final")
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ann, 1)


def test_reverse__an_earn_that_is_not_posted_yet__then_both_are_posted_in_one_batch(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    made = ledger.reverse(ledger.earn(ann, 100), 40)
    words = ledger.post(air).calldata
    assert [words[at + 20] for at in (0, 32)] == [EntryKind.EARN, EntryKind.REVERSAL], "credits come before debits"
    assert (posted(ledger, ann), ledger.operation(made.id).state) == (60, "final")


def test_reverse__an_earn_whose_points_are_spent__then_is_refused_and_leaves_no_trace(
    ledger: Ledger, ann: Member
) -> None:
    """Earn, spend, refund the purchase: the points are not kept."""
    earned = ledger.earn(ann, 100)
    ledger.redeem(ann, 70)
    before = ledger.everything()
    with pytest.raises(PointsSpent) as refused:
        ledger.reverse(earned)
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("points", 30, 30)
    assert ledger.everything() == before
    assert ledger.reverse(earned, 30).points == 30


def test_reverse__an_earn__takes_its_own_points_first_then_those_that_expire_first(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 20)
    ledger.now_ms += DAY_MS
    earned = ledger.earn(ann, 40)
    ledger.redeem(ann, 15)
    assert ledger.lots(ann) == [0, 15, 40]
    ledger.reverse(earned, 25)
    assert ledger.lots(ann) == [0, 15, 15]
    ledger.reverse(earned)
    assert ledger.lots(ann) == [0, 15, 0]


def test_reverse__an_earn_in_parts__then_never_more_than_it_was(ledger: Ledger, ann: Member) -> None:
    earned = ledger.earn(ann, 100)
    ledger.earn(ann, 1_000)
    ledger.reverse(earned, 60)
    with pytest.raises(MoreThanOriginal) as refused:
        ledger.reverse(earned, 41)
    assert (refused.value.limit, refused.value.nearest) == (40, 40)
    assert ledger.reverse(earned).points == 40
    with pytest.raises(MoreThanOriginal) as refused:
        ledger.reverse(earned)
    assert (refused.value.limit, refused.value.nearest) == (0, None)
    assert available(ledger, ann) == 1_000


@pytest.mark.parametrize("again", [None, 60])
def test_reverse__again_under_the_same_key__then_has_the_first_answer_and_one_effect(
    ledger: Ledger, ann: Member, again: int | None
) -> None:
    """A refund that deducts twice: the till asks again because it got no answer."""
    earned = ledger.earn(ann, 100)
    first = ledger.reverse(earned, again, "refund")
    before = ledger.everything()
    assert ledger.reverse(earned, again, "refund").id == first.id
    assert ledger.everything() == before
    for other in (61, None if again else 100):
        with pytest.raises(IdempotencyKeyReused):
            ledger.reverse(earned, other, "refund")


def test_reverse__under_a_key_that_an_earn_used__then_is_refused(ledger: Ledger, ann: Member) -> None:
    earned = ledger.earn(ann, 100, "key")
    with pytest.raises(IdempotencyKeyReused):
        ledger.reverse(earned, None, "key")


@pytest.mark.parametrize("amount", [0, -1, 2**48])
def test_reverse__what_is_no_amount__then_is_refused(ledger: Ledger, ann: Member, amount: int) -> None:
    earned = ledger.earn(ann, 100)
    with pytest.raises(InvalidAmount):
        ledger.reverse(earned, amount)


def test_reverse__an_operation_of_another_program__then_is_unknown(ledger: Ledger, air: Program, box: Program) -> None:
    theirs = ledger.earn(ledger.member(box, "ben"), 5)
    assert ledger.operation(theirs).program_id == box.id
    with pytest.raises(UnknownOperation):
        ledger.do(_accept, air, theirs, ledger.now_ms)


def _accept(connection: sa.Connection, program: Program, operation_id: str, now_ms: int) -> object:
    return reversals.accept(connection, program.id, ReversalRequest("key", operation_id, None), now_ms)


def test_reverse__what_a_swap_took__then_the_members_other_points_pay(
    ledger: Ledger, air: Program, box: Program, ann: Member
) -> None:
    """What was swapped away is spent; the swap itself stands."""
    ledger.agree(air, box)
    ben = ledger.member(box, "ben")
    ledger.link(ann, ben)
    earned = ledger.earn(ann, 100)
    ledger.post(air)
    ledger.swap(ledger.member(air, "ann"), box, 80)
    with pytest.raises(PointsSpent) as refused:
        ledger.reverse(earned)
    assert refused.value.nearest == 20
    ledger.post(air, box)
    assert available(ledger, ben) == 80
    ledger.earn(ann, 80)
    assert ledger.reverse(earned).points == 100
    assert available(ledger, ann) == 0


def test_reverse__what_lies_in_a_wallet__then_is_spent(ledger: Ledger, lenient: Program, ann: Member) -> None:
    """Nobody here moves what is a holder's."""
    earned = ledger.earn(ann, 40)
    ledger.post(lenient)
    to = ledger.wallet(ann)
    ledger.do(_release, lenient, ReleaseRequest("out", ann.id, to.id, 30), ledger.now_ms)
    made = ledger.reverse(earned)
    assert (made.debt_change, ledger.owed(ann), available(ledger, ann)) == (30, 30, 0)
    ledger.post(lenient)
    assert ledger.ask(accounts.posted, to.holding_id) == 30


def _release(connection: sa.Connection, program: Program, request: ReleaseRequest, now_ms: int) -> object:
    return releases.accept(connection, program.id, request, now_ms)


def test_reverse__what_a_till_holds__then_is_not_the_tills_loss(ledger: Ledger, lenient: Program, ann: Member) -> None:
    earned = ledger.earn(ann, 40)
    held = ledger.authorise(ann, 30)
    made = ledger.reverse(earned)
    assert (made.debt_change, ledger.owed(ann)) == (30, 30)
    ledger.capture(held)
    ledger.post(lenient)
    assert (posted(ledger, ann), ledger.owed(ann)) == (0, 30)


def test_reverse__what_expired_and_was_taken__then_does_not_take_it_twice(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    """Expired credit with a later debit: gone once is gone."""
    earned = ledger.earn(ann, 100)
    ledger.redeem(ann, 70)
    ledger.now_ms += 31 * DAY_MS
    ledger.keep()
    ledger.earn(ann, 200)
    first = ledger.reverse(earned, 50)
    assert (first.points, first.expired_points, available(ledger, ann)) == (50, 30, 180)
    second = ledger.reverse(earned)
    assert (second.points, second.expired_points, available(ledger, ann)) == (50, 0, 130)
    ledger.post(air)
    assert posted(ledger, ann) == 130


def test_reverse__what_expired_and_was_not_taken_yet__then_takes_it_and_expiry_does_not(
    ledger: Ledger, ann: Member
) -> None:
    earned = ledger.earn(ann, 100)
    ledger.now_ms += 31 * DAY_MS
    made = ledger.reverse(earned)
    assert (made.expired_points, ledger.keep(), ledger.lots(ann)) == (0, 0, [0])


def test_reverse__all_of_which_expired__then_is_final_at_once_and_posts_nothing(ledger: Ledger, ann: Member) -> None:
    earned = ledger.earn(ann, 100)
    ledger.now_ms += 31 * DAY_MS
    ledger.keep()
    made = ledger.reverse(earned)
    assert (made.state, made.reason, made.expired_points) == ("final", NOTHING_POSTED, 100)
    told = [one.state for one in ledger.ask(after, 0, None)[0] if getattr(one, "operation_id", "") == made.id]
    assert told == ["accepted", "final"]
    with pytest.raises(MoreThanOriginal):
        ledger.reverse(earned)


def test_reverse__a_pending_earn__then_is_refused_and_points_to_cancelling_it(ledger: Ledger, ann: Member) -> None:
    earned = ledger.earn_later(ann, 100, ledger.now_ms + DAY_MS)
    with pytest.raises(NotReversible, match="cancel it"):
        ledger.reverse(earned)
    ledger.now_ms += DAY_MS
    ledger.keep()
    assert ledger.reverse(earned).points == 100


def test_reverse__what_was_never_done__then_is_refused(ledger: Ledger, air: Program, ann: Member) -> None:
    cancelled = ledger.earn_later(ann, 5, ledger.now_ms + DAY_MS)
    ledger.do(pending_earns.cancel, air.id, Cancellation("cancel", cancelled), ledger.now_ms)
    nothing = ledger.earn_many(air.id, [_spend(ann, 1)])[0].operation_id
    assert nothing is not None
    spent = ledger.earn(ann, 5)
    failed = ledger.redeem(ann, 5)
    frozen = ledger.freeze(ledger.stream(air))
    ledger.finalise(ledger.mine(frozen, skipped=(1,)))
    assert ledger.operation(failed).state == "failed"
    for which, why in ((cancelled, "cancelled"), (nothing, "earned nothing"), (failed, "failed")):
        with pytest.raises(NotReversible, match=why) as refused:
            ledger.reverse(which)
        assert refused.value.field == "operation_id"
    assert ledger.operation(spent).state == "final"


def _spend(who: Member, spend_minor: int) -> EarnRequest:
    return EarnRequest("nothing", who.id, None, spend_minor, None, None)


@pytest.mark.usefixtures("lenient")
def test_reverse__a_reversal_or_what_is_none_of_a_partners__then_is_refused(ledger: Ledger, ann: Member) -> None:
    earned = ledger.earn(ann, 10)
    redeemed = ledger.redeemed(ann, 10)
    of_earn = ledger.reverse(earned)
    ledger.earn(ann, 4)
    (repayment,) = of_kind(ledger, ann, "repayment")
    of_redemption = ledger.reverse(redeemed)
    for which in (of_earn, of_redemption):
        with pytest.raises(NotReversible, match="is a reversal itself"):
            ledger.reverse(which.id)
    with pytest.raises(NotReversible, match="of kind repayment"):
        ledger.reverse(repayment.id)


def test_reverse__what_lies_in_a_frozen_account__then_leaves_it_alone(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 5)
    ledger.do(accounts.freeze, ledger.accounts(ann)[0].id)
    with pytest.raises(PointsSpent) as refused:
        ledger.reverse(earned)
    assert (refused.value.nearest, ledger.operation(earned).program_id) == (None, air.id)


def test_reverse__more_than_a_batch_can_carry__then_is_refused(ledger: Ledger, air: Program, ann: Member) -> None:
    earned, other = ledger.earn(ann, 100), ledger.earn(ann, 100)
    redeemed = ledger.redeemed(ann, 100)
    ledger.do(limits.changed, air.id, limits.REDEMPTION, Bounds(60, 1))
    ledger.do(limits.changed, air.id, limits.ISSUANCE, Bounds(50, 1))
    with pytest.raises(OverLimit) as refused:
        ledger.reverse(other)
    assert refused.value.nearest == 60
    with pytest.raises(OverLimit) as refused:
        ledger.reverse(redeemed)
    assert refused.value.nearest == 50
    assert ledger.reverse(redeemed, 50).points == 50
    assert ledger.reverse(earned, 60).points == 60


def test_reverse__from_too_many_accounts__then_names_what_one_operation_can_take(
    ledger: Ledger, air: Program, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reversals, "ACCOUNTS_MAX", 2)
    earned = ledger.earn(ann, 3)
    ledger.redeem(ann, 3)
    ledger.earn_many(air.id, [earn_of(ann, 1, f"one-{place}") for place in range(3)])
    ledger.do(_scatter, air, ann)
    with pytest.raises(CannotSplit) as refused:
        ledger.reverse(earned)
    assert refused.value.nearest == 2
    assert ledger.reverse(earned, 2).points == 2


def _scatter(connection: sa.Connection, program: Program, who: Member) -> None:
    """As if each lot of one point had landed in an account of its own, as what swaps bring does."""
    changes = accounts.Changes()
    rows = connection.execute(sa.select(entry).where(entry.c.amount == 1).order_by(entry.c.id)).all()
    for place, row in enumerate(rows):
        account_id = accounts.add_member_account(
            connection,
            program_id=program.id,
            token=program.deployed_token,
            member_id=who.id,
            reference=bytes([place + 1]) * 20,
        )
        changes.add(row.account_id, "credits_pending", -1)
        changes.add(account_id, "credits_pending", 1)
        connection.execute(entry.update().where(entry.c.id == row.id).values(account_id=account_id))
        connection.execute(lot.update().where(lot.c.operation_id == row.operation_id).values(account_id=account_id))
    changes.apply(connection)


# -- redemptions ------------------------------------------------------------------------------


def test_reverse__a_redemption__then_lots_have_back_what_it_took_with_their_expiry(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 20)
    ledger.post(air)
    expiries = ledger.ask(_expiries, ann)
    redeemed = ledger.redeemed(ann, 25)
    made = ledger.reverse(redeemed)
    assert (made.kind, made.points, made.expired_points) == ("reversal", 25, 0)
    assert (ledger.lots(ann), available(ledger, ann)) == ([10, 20], 30)
    assert ledger.ask(_expiries, ann) == expiries, "no lot was made, and none is younger than it was"
    words = ledger.post(air).calldata
    assert (len(words), words[20]) == (32, EntryKind.REINSTATEMENT)
    assert posted(ledger, ann) == 30


def _expiries(connection: sa.Connection, who: Member) -> list[tuple[int, int | None]]:
    return [(one.earned_ms, one.expires_ms) for one in lots.of_member(connection, who.id)]


def test_reverse__a_redemption_of_more_than_the_books_can_count__then_is_refused(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 100)
    redeemed = ledger.redeem(ann, 100)
    ledger.post(air)
    issued = sa.update(account).where(account.c.program_id == air.id, account.c.kind == "issued")
    ledger.do(lambda connection: connection.execute(issued.values(debits_posted=ISSUED_MAX - 30)))
    with pytest.raises(InvalidAmount) as refused:
        ledger.reverse(redeemed, 31)
    assert (refused.value.limit, refused.value.nearest) == (30, 30)
    ledger.reverse(redeemed, 30)


def test_reverse__in_a_large_ledger__then_reads_only_what_it_is_about(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    """By SQLite's own plan: all of it is done while nobody else can write."""
    if not isinstance(ledger.database, SqliteDatabase):
        pytest.skip("other databases plan by what their tables hold")
    earned = ledger.earn(ann, 100)
    redeemed = ledger.redeem(ann, 50)
    ledger.post(air)
    with plans_of(ledger.database._engine) as plans:
        ledger.reverse(redeemed)
        ledger.reverse(earned)
        ledger.do(accounts.adopt, ledger.accounts(ann)[0].id, ann.id)
        ledger.do(lots.look_again, ledger.accounts(ann)[0].id)
        ledger.do(holds.give_way, ledger.accounts(ann)[0].id, 1, ledger.now_ms)
    assert any("ix_lot_take_lot_id" in step for step in plans), plans
    assert any("ix_lot_aside" in step for step in plans), plans
    tables = ("lot_take", "hold_take", "lot", "entry", "operation")
    assert not [step for step in plans if step.startswith("SCAN") and step.split()[1] in tables], plans


def test_reverse__a_redemption_in_parts__then_is_as_if_less_had_been_spent(ledger: Ledger, ann: Member) -> None:
    for _ in range(3):
        ledger.earn(ann, 10)
        ledger.now_ms += DAY_MS
    redeemed = ledger.redeemed(ann, 25)
    steps = [ledger.reverse(redeemed, part) and ledger.lots(ann) for part in (3, 6, 9)]
    assert steps == [[0, 0, 8], [0, 4, 10], [3, 10, 10]]
    with pytest.raises(MoreThanOriginal) as refused:
        ledger.reverse(redeemed, 8)
    assert refused.value.nearest == 7
    assert ledger.reverse(redeemed).points == 7
    assert ledger.lots(ann) == [10, 10, 10]


def test_reverse__a_redemption_whose_points_expired_since__then_they_come_back_expired_and_expire(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    ledger.now_ms += 20 * DAY_MS
    ledger.earn(ann, 20)
    redeemed = ledger.redeemed(ann, 25)
    ledger.now_ms += 15 * DAY_MS
    made = ledger.reverse(redeemed)
    assert (made.points, made.expired_points) == (25, 10)
    assert available(ledger, ann) == 20, "what is expired is never spendable"
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ann, 21)
    assert ledger.keep() == 1
    ledger.post(air)
    assert (posted(ledger, ann), [one.points for one in of_kind(ledger, ann, "expiry")]) == (20, [10])


def test_reverse__a_redemption_that_a_till_captured__then_gives_it_back(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn(ann, 10)
    captured = ledger.capture(ledger.authorise(ann, 8), 6, final=True)
    ledger.post(air)
    ledger.reverse(captured, 5)
    assert (ledger.lots(ann), available(ledger, ann)) == ([9], 9)


def test_reverse__an_earn_after_a_redemption_of_it_was_reversed__then_takes_what_came_back(
    ledger: Ledger, ann: Member
) -> None:
    earned = ledger.earn(ann, 10)
    ledger.reverse(ledger.redeemed(ann, 10))
    assert ledger.reverse(earned).debt_change == 0
    assert available(ledger, ann) == 0


@pytest.mark.parametrize("how", ["redemption", "capture"])
def test_reverse__a_redemption__before_it_is_final__then_is_refused_and_says_when_to_try_again(
    ledger: Ledger, air: Program, ann: Member, how: str
) -> None:
    """Until then the chain may skip it, and would mint what comes back all the same."""
    ledger.earn(ann, 100)
    ledger.post(air)
    spent = ledger.redeem(ann, 60) if how == "redemption" else ledger.capture(ledger.authorise(ann, 60))

    def refused(state: str) -> None:
        before = ledger.everything()
        with pytest.raises(NotReversible, match=f"is {state}, and not final yet; try again when it is") as why:
            ledger.reverse(spent, None, "cancelled")
        assert (why.value.field, ledger.everything()) == ("operation_id", before)

    refused("accepted")
    frozen = ledger.freeze(ledger.stream(air))
    refused("accepted")
    number = ledger.mine(frozen)
    refused("confirmed")
    ledger.finalise(number)
    assert ledger.reverse(spent, None, "cancelled").points == 60


def test_reverse__a_redemption_that_the_chain_skips__then_makes_no_points_of_nothing(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    """A stolen key burns points while a redemption of them waits, and the till calls it off."""
    ledger.earn(ann, 100)
    ledger.post(air)
    redeemed = ledger.redeem(ann, 100)
    told(ledger, air, word(ann, EntryKind.REDEMPTION, 40, "thief"))
    frozen = ledger.freeze(ledger.stream(air))
    with pytest.raises(NotReversible, match="not final yet"):
        ledger.reverse(redeemed)
    ledger.finalise(ledger.mine(frozen, skipped=(0,)))
    with pytest.raises(NotReversible, match="failed"):
        ledger.reverse(redeemed)
    ledger.do(thaws.thaw, ledger.accounts(ann)[0].id, _seen(ledger, 60))
    assert (posted(ledger, ann), available(ledger, ann)) == (60, 60)


def test_thaw__of_an_account_whose_lots_hold_too_little__is_refused(ledger: Ledger, air: Program, ann: Member) -> None:
    """A bug made them so, and the service goes on."""
    ledger.earn(ann, 100)
    ledger.post(air)
    account_id = ledger.accounts(ann)[0].id
    ledger.do(accounts.freeze, account_id)
    ledger.do(lambda connection: connection.execute(lot.update().values(remaining=70)))
    with pytest.raises(AccountDiffers, match="30 fewer") as refused:
        ledger.do(thaws.thaw, account_id, _seen(ledger, 100))
    assert (refused.value.field, refused.value.limit) == ("account", 70)
    assert ledger.accounts(ann)[0].frozen


def _seen(ledger: Ledger, amount: int) -> Seen:
    final = ledger.ask(blocks.newest_final)
    assert final is not None
    return Seen(final.number, amount)


# -- debts ------------------------------------------------------------------------------------


def test_example__of_the_page_about_reversals__comes_out_as_it_says(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    """docs/reversals.md."""
    stands: list[tuple[int, int]] = []

    def stand() -> None:
        ledger.post(lenient)
        assert posted(ledger, ann) == available(ledger, ann)
        stands.append((available(ledger, ann), ledger.owed(ann)))

    earned = ledger.earn(ann, 100)
    stand()
    redeemed = ledger.redeem(ann, 80)
    stand()
    half = ledger.reverse(earned, 50)
    assert (half.points - half.debt_change, half.debt_change) == (20, 30)
    stand()
    with pytest.raises(PointsSpent) as refused:
        ledger.reverse(earned)
    assert refused.value.nearest == 20
    assert ledger.reverse(earned, 20).debt_change == 20
    ledger.earn(ann, 30)
    stand()
    ledger.reverse(redeemed)
    stand()
    assert stands == [(100, 0), (20, 0), (0, 30), (0, 20), (60, 0)]


def test_debt__of_what_is_spent__is_owed_and_in_no_account(ledger: Ledger, lenient: Program, ann: Member) -> None:
    earned = ledger.earn(ann, 100)
    ledger.redeem(ann, 70)
    ledger.do(programs.may_be_owed, lenient.id, 70)
    made = ledger.reverse(earned)
    assert (made.points, made.debt_change, ledger.owed(ann), available(ledger, ann)) == (100, 70, 70, 0)
    ledger.post(lenient)
    assert (posted(ledger, ann), ledger.ask(debts.of_program, lenient.id)) == (0, 70)


@pytest.mark.parametrize(("limit", "fits"), [(70, True), (69, False), (0, False)])
def test_debt__around_the_limit__ends_there(ledger: Ledger, air: Program, ann: Member, limit: int, fits: bool) -> None:
    earned = ledger.earn(ann, 100)
    ledger.redeem(ann, 70)
    ledger.do(programs.may_be_owed, air.id, limit)
    if fits:
        assert ledger.reverse(earned).debt_change == 70
        return
    with pytest.raises(PointsSpent) as refused:
        ledger.reverse(earned)
    assert refused.value.nearest == 30 + limit
    assert ledger.reverse(earned, 30 + limit).debt_change == limit
    assert ledger.owed(ann) == limit


def test_debt__over_a_limit_that_was_lowered__stays_owed_and_takes_no_more(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 100)
    ledger.redeem(ann, 100)
    ledger.reverse(earned, 40)
    ledger.do(programs.may_be_owed, lenient.id, 10)
    with pytest.raises(PointsSpent) as refused:
        ledger.reverse(earned, 1)
    assert (refused.value.nearest, ledger.owed(ann)) == (None, 40)
    ledger.do(programs.may_be_owed, lenient.id, 41)
    assert (ledger.reverse(earned, 1).debt_change, ledger.owed(ann)) == (1, 41)


@pytest.mark.usefixtures("lenient")
def test_debt__that_nothing_is_burned_for__is_final_at_once(ledger: Ledger, ann: Member) -> None:
    earned = ledger.earn(ann, 50)
    ledger.redeem(ann, 50)
    made = ledger.reverse(earned, None, "refund")
    assert (made.state, made.reason, made.debt_change) == ("final", NOTHING_POSTED, 50)
    assert ledger.reverse(earned, None, "refund") == made


@pytest.mark.parametrize(("amount", "paid", "left"), [(30, 30, 20), (50, 50, 0), (80, 50, 0)])
def test_debt__when_something_is_earned__is_paid_off_behind_it(
    ledger: Ledger, lenient: Program, ann: Member, amount: int, paid: int, left: int
) -> None:
    _owe(ledger, ann, 50)
    earned = ledger.earn(ann, amount)
    assert ledger.operation(earned).points == amount, "the earn stands whole"
    (repayment,) = of_kind(ledger, ann, "repayment")
    assert (repayment.points, repayment.after_id, repayment.debt_change) == (paid, earned, -paid)
    assert (ledger.owed(ann), available(ledger, ann), ledger.lots(ann)[-1]) == (left, amount - paid, amount - paid)
    ledger.post(lenient)
    assert (posted(ledger, ann), ledger.operation(repayment.id).state) == (amount - paid, "final")


def test_debt__when_many_earn_in_one_call__is_paid_off_in_their_order(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    ben = ledger.member(lenient, "ben")
    _owe(ledger, ann, 50)
    _owe(ledger, ben, 7)
    requests = [earn_of((ann, ben)[place % 2], 1 + place % 3, f"bulk-{place}") for place in range(1_000)]
    ledger.earn_many(lenient.id, requests)
    assert (ledger.owed(ann), ledger.owed(ben)) == (0, 0)
    for who, owed in ((ann, 50), (ben, 7)):
        paid = [one.points for one in of_kind(ledger, who, "repayment")]
        theirs = [one.points or 0 for one in requests if one.member_id == who.id]
        assert sum(paid) == owed
        assert paid[:-1] == theirs[: len(paid) - 1], "each pays what it brought, until all is paid"
        assert available(ledger, who) == sum(theirs) - owed
    assert ledger.ask(debts.of_program, lenient.id) == 0


def test_debt__where_nobody_owes__costs_an_earn_no_statement(ledger: Ledger, lenient: Program, ann: Member) -> None:
    """What a thousand earns cost must not hang on what somebody else owes."""
    _owe(ledger, ledger.member(lenient, "ben"), 9)
    counted: list[str] = []

    def count(*told: object) -> None:
        counted.append(str(told[2]))

    with ledger.database.write() as connection:
        sa.event.listen(connection.engine, "before_cursor_execute", count)
        try:
            _accept_earns(connection, lenient, ann, ledger.now_ms)
        finally:
            sa.event.remove(connection.engine, "before_cursor_execute", count)
    assert not [one for one in counted if one.startswith(("SELECT debt", "UPDATE debt", "INSERT INTO debt"))]


def _accept_earns(connection: sa.Connection, program: Program, who: Member, now_ms: int) -> None:
    earns.accept(connection, program.id, [earn_of(who, 5, f"many-{place}") for place in range(10)], now_ms)


def test_debt__when_a_pending_earn_is_released__is_paid_off_then(ledger: Ledger, lenient: Program, ann: Member) -> None:
    _owe(ledger, ann, 50)
    ledger.earn_later(ann, 80, ledger.now_ms + DAY_MS)
    assert ledger.owed(ann) == 50
    ledger.now_ms += DAY_MS
    ledger.keep()
    assert (ledger.owed(ann), available(ledger, ann)) == (0, 30)
    ledger.post(lenient)
    assert posted(ledger, ann) == 30


def test_debt__when_an_earn_is_more_than_can_be_burned_at_once__is_paid_off_as_far_as_that(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    _owe(ledger, ann, 50)
    ledger.do(limits.changed, lenient.id, limits.REDEMPTION, Bounds(20, 1))
    ledger.earn(ann, 80)
    assert (ledger.owed(ann), available(ledger, ann)) == (30, 60)
    ledger.earn(ann, 80)
    assert (ledger.owed(ann), available(ledger, ann)) == (10, 120)


def test_debt__when_the_earn_that_paid_it_off_is_reversed__is_owed_again(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    _owe(ledger, ann, 40)
    earned = ledger.earn(ann, 100)
    assert (ledger.owed(ann), available(ledger, ann)) == (0, 60)
    made = ledger.reverse(earned)
    assert (made.debt_change, ledger.owed(ann), available(ledger, ann)) == (40, 40, 0)
    ledger.post(lenient)
    assert posted(ledger, ann) == 0


def test_debt__when_the_redemption_is_reversed_that_spent_the_points__is_paid_off_with_what_comes_back(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    """Earn, redeem, refund the purchase, cancel the reward: the points are not kept."""
    earned = ledger.earn(ann, 50)
    redeemed = ledger.redeemed(ann, 50)
    ledger.reverse(earned)
    assert (ledger.owed(ann), available(ledger, ann)) == (50, 0)
    made = ledger.reverse(redeemed)
    assert (made.points, ledger.owed(ann), available(ledger, ann)) == (50, 0, 0)
    (repayment,) = of_kind(ledger, ann, "repayment")
    assert (repayment.after_id, repayment.points) == (made.id, 50)
    ledger.post(lenient)
    assert posted(ledger, ann) == 0


@pytest.mark.usefixtures("lenient")
def test_debt__is_not_paid_off_with_what_comes_back_expired(ledger: Ledger, ann: Member) -> None:
    ledger.earn(ann, 30)
    redeemed = ledger.redeemed(ann, 30)
    ledger.now_ms += 31 * DAY_MS
    _owe(ledger, ann, 20)
    assert ledger.reverse(redeemed).expired_points == 30
    assert (ledger.owed(ann), available(ledger, ann)) == (20, 0)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("how", ["hold", "redemption", "swap"])
@pytest.mark.parametrize("first", ["reversed", "expired"])
def test_debt__for_points_that_come_back_and_expire__is_owed_no_longer(
    ledger: Ledger, air: Program, box: Program, ann: Member, how: str, first: str
) -> None:
    """Whichever comes first, the member owes what was spent for good, and nothing else."""
    row = ledger.agree(air, box)
    ledger.link(ann, ledger.member(box, "ben"))
    earned = ledger.earn(ann, 50)
    ledger.redeemed(ann, 5)
    ledger.now_ms += 29 * DAY_MS
    if how == "hold":
        held = ledger.authorise(ann, 40, life_s=10 * DAY_MS // 1000)
    else:
        away = ledger.redeemed(ann, 40) if how == "redemption" else ledger.swap(ledger.member(air, "ann"), box, 40)
    if first == "reversed":
        assert ledger.reverse(earned, 45).debt_change == 40
    ledger.now_ms += 2 * DAY_MS
    ledger.keep()
    if how == "hold":
        ledger.void(held)
    elif how == "redemption":
        ledger.reverse(away)
    else:
        stream_id = ledger.stream(air, box).id
        assert ledger.do(outcomes.fail_swaps, stream_id, {row.id}, "gone", ledger.now_ms) == 1
    ledger.keep()
    if first == "reversed":
        (expiry,) = of_kind(ledger, ann, "expiry")
        assert (expiry.points, expiry.debt_change, expiry.after_id) == (40, -40, earned)
    assert (ledger.owed(ann), sum(ledger.lots(ann))) == (0, 0)
    rest = ledger.reverse(earned)
    assert (rest.points, rest.expired_points, rest.debt_change) == ((5, 0, 5) if first == "reversed" else (50, 45, 5))
    ledger.post(air)
    assert (posted(ledger, ann), ledger.owed(ann)) == (0, 5)


def test_debt__for_one_of_several_credits_that_expire__falls_by_that_one_alone_and_never_below_zero(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 50)
    ledger.now_ms += 10 * DAY_MS
    held = ledger.authorise(ann, 50, life_s=30 * DAY_MS // 1000)
    other = ledger.earn(ann, 7)
    ledger.reverse(earned, 50)
    assert (ledger.owed(ann), ledger.lots(ann)) == (43, [0, 0])
    ledger.earn(ann, 13)
    ledger.now_ms += 21 * DAY_MS
    ledger.void(held)
    ledger.keep()
    made = of_kind(ledger, ann, "expiry")
    assert [(one.points, one.after_id, one.debt_change) for one in made] == [(50, earned, -30)]
    assert ledger.owed(ann) == 0 and ledger.operation(other).state == "accepted"
    ledger.post(lenient)
    assert posted(ledger, ann) == 0


def test_debt__that_fell_by_an_expiry_that_the_chain_skips__is_owed_until_it_expires_again(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 40)
    ledger.now_ms += 10 * DAY_MS
    held = ledger.authorise(ann, 40, life_s=30 * DAY_MS // 1000)
    ledger.reverse(earned)
    ledger.now_ms += 21 * DAY_MS
    ledger.void(held)
    ledger.post(lenient)
    ledger.keep()
    assert ledger.owed(ann) == 0
    ledger.finalise(ledger.mine(ledger.freeze(ledger.stream(lenient)), skipped=(0,)))
    assert ledger.owed(ann) == 40
    ledger.do(thaws.thaw, ledger.accounts(ann)[0].id, _seen(ledger, 40))
    ledger.keep()
    ledger.post(lenient)
    assert (ledger.owed(ann), posted(ledger, ann)) == (0, 0)


def test_debt__whose_repayment_the_chain_skips__is_owed_again(ledger: Ledger, lenient: Program, ann: Member) -> None:
    _owe(ledger, ann, 20)
    ledger.post(lenient)
    ledger.earn(ann, 30)
    assert ledger.owed(ann) == 0
    frozen = ledger.freeze(ledger.stream(lenient))
    assert ledger.finalise(ledger.mine(frozen, skipped=(1,)))
    (repayment,) = of_kind(ledger, ann, "repayment")
    assert (repayment.state, ledger.owed(ann), ledger.lots(ann)[-1]) == ("failed", 20, 30)
    assert ledger.accounts(ann)[0].frozen
    assert ledger.ask(debts.of_program, lenient.id) == 20


def test_reverse__that_the_chain_skips__then_only_the_debt_stands_and_the_rest_can_be_asked_for_again(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    earned = ledger.earn(ann, 100)
    ledger.redeem(ann, 40)
    ledger.post(lenient)
    made = ledger.reverse(earned)
    assert made.debt_change == 40
    frozen = ledger.freeze(ledger.stream(lenient))
    assert ledger.finalise(ledger.mine(frozen, skipped=(0,)))
    assert (ledger.operation(made.id).state, ledger.owed(ann), ledger.lots(ann)) == ("failed", 40, [60])
    ledger.do(_thaw, ann)
    with pytest.raises(MoreThanOriginal) as refused:
        ledger.reverse(earned, 61)
    assert refused.value.nearest == 60
    assert ledger.reverse(earned).debt_change == 0
    ledger.post(lenient)
    assert (posted(ledger, ann), ledger.owed(ann)) == (0, 40)


def _thaw(connection: sa.Connection, who: Member) -> None:
    connection.execute(account.update().where(account.c.member_id == who.id).values(frozen=False))


def test_debt__is_the_sum_of_its_changes__and_anything_else_is_a_bug(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    _owe(ledger, ann, 20)
    ledger.earn(ann, 5)
    with ledger.database.read() as connection:
        changes = connection.execute(sa.select(debt_change.c.points).order_by(debt_change.c.operation_id)).scalars()
        assert sorted(changes) == [-5, 20]
    ledger.do(_spoil, ann)
    with pytest.raises(AssertionError, match="sum of its changes"):
        ledger.ask(debts.of_program, lenient.id)


def _spoil(connection: sa.Connection, who: Member) -> None:
    connection.execute(debt.update().where(debt.c.member_id == who.id).values(points=debt.c.points + 1))


def _owe(ledger: Ledger, who: Member, points: int) -> None:
    """The member earns so much, spends it, and the earn is reversed."""
    earned = ledger.earn(who, points)
    ledger.redeem(who, points)
    ledger.reverse(earned)
    assert ledger.owed(who) == points


def test_repayment__has_a_tag_made_of_the_earns__which_the_chain_keeps(
    ledger: Ledger, lenient: Program, ann: Member
) -> None:
    _owe(ledger, ann, 5)
    ledger.earn(ann, 9, "the key")
    (repayment,) = of_kind(ledger, ann, "repayment")
    assert repayment.tag == repayments.repayment_tag(lenient.id, entry_tag(lenient.id, "the key"))
