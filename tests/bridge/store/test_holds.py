"""Holds: authorised, captured in parts, voided, expired; nothing is held twice, captured twice, or held for ever."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bridge.store import accounts, audit, captures, events, holds, limits, lots, outcomes, pages, spending
from bridge.store.captures import CaptureRequest
from bridge.store.holds import CAPTURED, EXPIRED, OPEN, VOIDED, Hold, HoldRequest
from bridge.store.limits import Bounds
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import account, entry, hold_take, lot_take
from bridge.store.sqlite import SqliteDatabase
from exchange.errors import (
    CannotSplit,
    HoldClosed,
    IdempotencyKeyReused,
    InsufficientPoints,
    InvalidAmount,
    OverLimit,
    ProgramNotActive,
    TooManyHolds,
    UnknownHold,
    UnknownMember,
)
from exchange.ledger import Balance
from exchange.points import Points
from exchange.words import is_captured_from
from tests.bridge.store.ledgers import DAY_MS, Ledger, earn_of

LIFE_MS = holds.LIFE_S_DEFAULT * 1000


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    """A member with three lots, of 10, 20 and 40 points, each of which expires a day after the one before."""
    ann = ledger.member(air, "ann")
    for amount in (10, 20, 40):
        ledger.earn(ann, amount)
        ledger.now_ms += DAY_MS
    return ann


def _balance(ledger: Ledger, who: Member, which: int = 0) -> Balance:
    return ledger.accounts(who)[which].balance


def _takes(ledger: Ledger, table: sa.Table) -> list[int]:
    with ledger.database.read() as connection:
        return list(connection.execute(sa.select(table.c.amount).order_by(table.c.lot_id)).scalars())


def _told(ledger: Ledger, held: Hold) -> list[tuple[str, int, int]]:
    """What the events said of a hold: its state, what was captured, what was left."""
    found, _ = ledger.ask(events.after, 0, held.program_id)
    return [
        (one.state, one.told["captured"], one.told["left"])
        for one in found
        if isinstance(one, events.SubjectEvent) and one.subject == held.id
    ]


def _refused(kind: type[Exception], do: Callable[[], object]) -> str:
    """What a command says that it refuses."""
    with pytest.raises(kind) as refused:
        do()
    return str(refused.value)


# -- authorising ------------------------------------------------------------------------------


def test_authorise__of_queued_points__takes_them_from_everybody_else(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 25)
    assert _balance(ledger, ann) == Balance(credits_pending=Points(70), held=Points(25))
    assert ledger.lots(ann) == [0, 5, 40] and _takes(ledger, hold_take) == [10, 15]
    assert (held.state, held.left, held.captured) == (OPEN, 25, 0)
    assert held.expires_ms == ledger.now_ms + LIFE_MS
    assert ledger.ask(spending.purse, ann.id, ledger.now_ms).spendable == 45
    with pytest.raises(InsufficientPoints) as refused:
        ledger.redeem(ann, 46)
    assert refused.value.limit == 45
    assert _told(ledger, held) == [(OPEN, 0, 25)]


def test_authorise__of_final_points__leaves_them_out_of_what_may_be_swapped(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    ledger.post(air)
    ledger.authorise(ann, 25)
    assert ledger.ask(spending.purse, ann.id, ledger.now_ms).swappable == 45


def test_authorise__of_more_than_there_is__says_how_much_there_is(ledger: Ledger, ann: Member) -> None:
    ledger.authorise(ann, 60)
    with pytest.raises(InsufficientPoints) as refused:
        ledger.authorise(ann, 11)
    assert (refused.value.limit, refused.value.nearest, refused.value.field) == (10, 10, "points")


def test_authorise__of_the_same_request_again__answers_the_hold_as_it_was_at_first(ledger: Ledger, ann: Member) -> None:
    request = HoldRequest("key", None, "ann", 25, 60)
    first, replayed = ledger.do(holds.authorise, ann.program_id, request, ledger.now_ms)
    ledger.capture(first, 5, final=True)
    before = ledger.everything()
    assert not replayed
    assert ledger.do(holds.authorise, ann.program_id, request, ledger.now_ms + 1) == (first, True)
    assert ledger.everything() == before


@pytest.mark.parametrize(("amount", "life_s"), [(26, None), (25, 60)])
def test_authorise__of_another_request_under_the_key__is_refused(
    ledger: Ledger, ann: Member, amount: int, life_s: int | None
) -> None:
    ledger.authorise(ann, 25, "key")
    _refused(IdempotencyKeyReused, lambda: ledger.authorise(ann, amount, "key", life_s=life_s))


@pytest.mark.parametrize("amount", [0, -1, 2**48])
def test_authorise__of_what_is_no_amount__is_refused(ledger: Ledger, ann: Member, amount: int) -> None:
    _refused(InvalidAmount, lambda: ledger.authorise(ann, amount))


def test_authorise__beyond_what_one_member_may_have_open__is_refused(
    ledger: Ledger, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "OPEN_MAX", 2)
    first, _ = ledger.authorise(ann, 1), ledger.authorise(ann, 1)
    _refused(TooManyHolds, lambda: ledger.authorise(ann, 1))
    ledger.void(first)
    ledger.authorise(ann, 1)


def test_authorise__of_more_than_the_redemption_limit__names_it(ledger: Ledger, ann: Member, air: Program) -> None:
    ledger.do(limits.changed, air.id, limits.REDEMPTION, Bounds(30, 1))
    with pytest.raises(OverLimit) as refused:
        ledger.authorise(ann, 31)
    assert refused.value.nearest == 30
    ledger.authorise(ann, 30)


def test_authorise__from_more_accounts_than_one_operation_can__is_refused(
    ledger: Ledger, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spending, "ACCOUNTS_MAX", 0)
    _refused(CannotSplit, lambda: ledger.authorise(ann, 1))


def test_authorise__by_nobody_of_the_program__is_refused(ledger: Ledger, ann: Member, box: Program) -> None:
    request = HoldRequest("key", ann.id, None, 1)
    _refused(UnknownMember, lambda: ledger.do(holds.authorise, box.id, request, ledger.now_ms))
    new = ledger.program("NEW", active=False)
    _refused(ProgramNotActive, lambda: ledger.do(holds.authorise, new.id, request, ledger.now_ms))


# -- capturing --------------------------------------------------------------------------------


def test_capture__of_all__is_a_redemption_that_closes_the_hold(ledger: Ledger, ann: Member, air: Program) -> None:
    held = ledger.authorise(ann, 25)
    made = ledger.operation(ledger.capture(held))
    assert (made.kind, made.points, made.state, made.hold_id) == ("redemption", 25, "accepted", held.id)
    assert made.tag is not None and is_captured_from(made.tag, air.id, held.id)
    assert _balance(ledger, ann) == Balance(credits_pending=Points(70), debits_pending=Points(25))
    assert _takes(ledger, hold_take) == [] and _takes(ledger, lot_take) == [10, 15]
    after = ledger.hold(held)
    assert (after.state, after.captured, after.left, after.closed_ms) == (CAPTURED, 25, 0, ledger.now_ms)
    assert _told(ledger, held) == [(OPEN, 0, 25), (CAPTURED, 25, 0)]
    ledger.post(air)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(70), debits_posted=Points(25))
    assert ledger.operation(made.id).state == "final"


def test_capture__in_parts__takes_what_expires_first_and_leaves_the_rest_held(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    held = ledger.authorise(ann, 65)
    for amount, left in ((5, [5, 20, 35]), (10, [15, 35]), (20, [30])):
        ledger.capture(held, amount)
        assert _takes(ledger, hold_take) == left
    assert (ledger.hold(held).state, ledger.hold(held).captured, ledger.hold(held).left) == (OPEN, 35, 30)
    assert _balance(ledger, ann) == Balance(credits_pending=Points(70), debits_pending=Points(35), held=Points(30))
    ledger.capture(held, 30)
    assert ledger.hold(held).state == CAPTURED
    ledger.post(air)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(70), debits_posted=Points(65))
    assert ledger.lots(ann) == [0, 0, 5]


def test_capture__that_is_final__frees_the_rest_at_once_where_it_came_from(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 65)
    ledger.capture(held, 15, final=True)
    assert ledger.lots(ann) == [0, 15, 40]
    assert _balance(ledger, ann) == Balance(credits_pending=Points(70), debits_pending=Points(15))
    assert (ledger.hold(held).state, ledger.hold(held).captured) == (CAPTURED, 15)
    ledger.redeem(ann, 55)


def test_capture__of_more_than_is_left__names_what_is(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 25)
    ledger.capture(held, 20)
    with pytest.raises(InsufficientPoints) as refused:
        ledger.capture(held, 6)
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("points", 5, 5)
    ledger.capture(held, 5)


@pytest.mark.parametrize("amount", [0, -1, 2**48])
def test_capture__of_what_is_no_amount__is_refused(ledger: Ledger, ann: Member, amount: int) -> None:
    held = ledger.authorise(ann, 25)
    _refused(InvalidAmount, lambda: ledger.capture(held, amount))


def test_capture__of_the_same_request_again__debits_nothing(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 25)
    first = ledger.capture(held, 10, "key")
    before = ledger.everything()
    request = CaptureRequest("key", held.id, 10)
    assert ledger.do(captures.accept, ann.program_id, request, ledger.now_ms) == (first, True)
    assert ledger.everything() == before
    ledger.void(held)
    assert ledger.capture(held, 10, "key") == first, "a repeat is answered whatever became of the hold"


def test_capture__of_another_request_under_the_key__is_refused(ledger: Ledger, ann: Member) -> None:
    held, other = ledger.authorise(ann, 25, "hold"), ledger.authorise(ann, 25)
    ledger.capture(held, 10, "key")
    for again in (
        lambda: ledger.capture(held, 11, "key"),
        lambda: ledger.capture(held, None, "key"),
        lambda: ledger.capture(held, 10, "key", final=True),
        lambda: ledger.capture(other, 10, "key"),
        lambda: ledger.capture(held, 10, "hold"),
        lambda: ledger.void(held, "key"),
        lambda: ledger.redeem(ann, 10, "key"),
        lambda: ledger.authorise(ann, 10, "key"),
    ):
        _refused(IdempotencyKeyReused, again)


def test_keys__of_holds_and_voids__serve_no_operation(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 25, "hold")
    ledger.void(held, "void")
    for key in ("hold", "void"):
        with pytest.raises(IdempotencyKeyReused):
            ledger.redeem(ann, 25, key)
        (earned,) = ledger.earn_many(ann.program_id, [earn_of(ann, 25, key)])
        assert isinstance(earned.refusal, IdempotencyKeyReused)


def test_capture__of_a_limit_that_was_lowered_since__names_it(ledger: Ledger, ann: Member, air: Program) -> None:
    held = ledger.authorise(ann, 25)
    ledger.do(limits.changed, air.id, limits.REDEMPTION, Bounds(10, 1))
    with pytest.raises(OverLimit) as refused:
        ledger.capture(held)
    assert refused.value.nearest == 10
    for _ in range(2):
        ledger.capture(held, 10)
    ledger.capture(held)
    assert ledger.hold(held).state == CAPTURED


def test_capture__of_a_hold_over_several_accounts__has_an_entry_for_each(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    _land(ledger, ann, air, box, 8)
    held = ledger.authorise(ann, 78)
    assert [one.balance.held for one in ledger.accounts(ann)] == [70, 8]
    first, second = ledger.capture(held, 30), ledger.capture(held)
    assert [one.balance.held for one in ledger.accounts(ann)] == [0, 0]
    with ledger.database.read() as connection:
        legs = connection.execute(sa.select(entry.c.operation_id, entry.c.amount).order_by(entry.c.id)).all()
    assert [row.amount for row in legs if row.operation_id == first] == [30]
    assert [row.amount for row in legs if row.operation_id == second] == [40, 8]
    ledger.post(air)
    assert [one.balance.posted for one in ledger.accounts(ann)] == [0, 0]


def _land(ledger: Ledger, ann: Member, air: Program, box: Program, amount: int) -> None:
    """So many points of a swap in an account of their own, which expire last."""
    ben = ledger.member(box, "ben")
    ledger.link(ann, ben)
    ledger.agree(box, air)
    ledger.earn(ben, amount)
    ledger.post(box)
    ledger.swap(ben, air, amount)
    ledger.post(box, air)


def test_capture__of_points_that_expired_while_held__is_possible(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 25, life_s=30 * 86_400)
    ledger.now_ms += 29 * DAY_MS
    assert ledger.ask(spending.purse, ann.id, ledger.now_ms).spendable == 0
    assert ledger.operation(ledger.capture(held, 12)).points == 12


def test_void__of_points_that_expired_while_held__gives_them_back_expired(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 15, life_s=30 * 86_400)
    ledger.now_ms += 27 * DAY_MS + 1
    ledger.void(held)
    assert ledger.lots(ann) == [10, 20, 40]
    assert ledger.ask(spending.purse, ann.id, ledger.now_ms).spendable == 60


# -- ending -----------------------------------------------------------------------------------


def test_void__of_a_partly_captured_hold__frees_the_rest_and_no_more(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 25)
    ledger.capture(held, 12)
    closed = ledger.void(held)
    assert (closed.state, closed.captured, closed.left, closed.closed_ms) == (VOIDED, 12, 0, ledger.now_ms)
    assert ledger.lots(ann) == [0, 18, 40]
    assert _balance(ledger, ann) == Balance(credits_pending=Points(70), debits_pending=Points(12))
    assert _told(ledger, held) == [(OPEN, 0, 25), (OPEN, 12, 13), (VOIDED, 12, 0)]


def test_void__twice__answers_the_same_under_the_same_key_and_refuses_another(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 25)
    closed = ledger.void(held, "key")
    before = ledger.everything()
    assert ledger.do(holds.void, ann.program_id, "key", held.id, ledger.now_ms + 1) == (closed, True)
    assert ledger.everything() == before
    assert "the hold is voided" in _refused(HoldClosed, lambda: ledger.void(held, "other"))


def test_end__whichever_came_first__refuses_the_other_and_names_the_state(ledger: Ledger, ann: Member) -> None:
    voided, captured, expired = (ledger.authorise(ann, 10) for _ in range(3))
    ledger.void(voided)
    ledger.capture(captured)
    ledger.now_ms += LIFE_MS
    ledger.do(holds.expire, ledger.now_ms, 10)
    for held, state in ((voided, VOIDED), (captured, CAPTURED), (expired, EXPIRED)):
        for end in (lambda: ledger.capture(held), lambda: ledger.void(held)):  # noqa: B023
            assert f"the hold is {state}" in _refused(HoldClosed, end)


def test_hold__of_nobody_or_of_another_program__is_unknown(ledger: Ledger, ann: Member, box: Program) -> None:
    held = ledger.authorise(ann, 10)
    _refused(UnknownHold, lambda: ledger.do(holds.void, box.id, "key", held.id, ledger.now_ms))
    request = CaptureRequest("key", held.id)
    _refused(UnknownHold, lambda: ledger.do(captures.accept, box.id, request, ledger.now_ms))
    _refused(UnknownHold, lambda: ledger.ask(holds.by_id, "hld_0", None))


def test_expire__at_the_very_moment__frees_what_was_left(ledger: Ledger, ann: Member) -> None:
    held = ledger.authorise(ann, 25, life_s=60)
    ledger.now_ms += 59_999
    assert ledger.do(holds.expire, ledger.now_ms, 10) == 0
    assert ledger.ask(holds.due_since, ledger.now_ms) is None
    ledger.capture(held, 5)
    ledger.now_ms += 1
    assert ledger.hold(held).at(ledger.now_ms).state == EXPIRED
    assert "the hold is expired" in _refused(HoldClosed, lambda: ledger.capture(held, 5))
    assert "the hold is expired" in _refused(HoldClosed, lambda: ledger.void(held))
    assert ledger.ask(holds.due_since, ledger.now_ms) == held.expires_ms
    assert ledger.do(holds.expire, ledger.now_ms, 10) == 1
    assert ledger.hold(held) == ledger.hold(held).at(ledger.now_ms)
    assert ledger.hold(held).closed_ms == held.expires_ms
    assert _balance(ledger, ann) == Balance(credits_pending=Points(70), debits_pending=Points(5))
    assert _told(ledger, held) == [(OPEN, 0, 25), (OPEN, 5, 20), (EXPIRED, 5, 0)]
    assert ledger.do(holds.expire, ledger.now_ms, 10) == 0


def test_expire__of_more_than_at_once__ends_the_first_to_expire_first(ledger: Ledger, ann: Member) -> None:
    made = [ledger.authorise(ann, 1, life_s=life_s) for life_s in (30, 10, 20, 99)]
    ledger.now_ms += 30_000
    assert ledger.do(holds.expire, ledger.now_ms, 2) == 2
    assert [ledger.hold(one).state for one in made] == [OPEN, EXPIRED, EXPIRED, OPEN]
    assert ledger.hold(made[1]).closed_ms == made[1].expires_ms, "when it was over, however late that was noticed"
    assert ledger.do(holds.expire, ledger.now_ms, 2) == 1
    assert ledger.hold(made[3]).state == OPEN


def test_page__of_a_members_holds__has_the_newest_first(ledger: Ledger, ann: Member) -> None:
    made = [ledger.authorise(ann, 1) for _ in range(3)]
    page = ledger.ask(holds.page, ann.id, pages.Ask(limit=2))
    assert [one.id for one in page.items] == [made[2].id, made[1].id]
    rest = ledger.ask(holds.page, ann.id, pages.Ask(limit=2, cursor=page.next))
    assert [one.id for one in rest.items] == [made[0].id]


def test_audit__of_points_that_tills_hold__sums_them_and_leaves_them_in_the_ledger(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    ledger.post(air)
    held = ledger.authorise(ann, 25)
    ledger.capture(held, 5)
    snapshot = ledger.ask(audit.snapshot)
    assert snapshot is not None
    assert [(one.held, one.ledger) for one in snapshot.books if one.program.id == air.id] == [(20, 70)]
    with ledger.database.write() as connection:
        connection.execute(account.update().where(account.c.held == 20).values(held=19))
    with pytest.raises(AssertionError, match="disagree about what is held"):
        ledger.ask(audit.snapshot)


# -- when ledger and chain disagree -----------------------------------------------------------


def test_capture__of_an_account_that_was_frozen_meanwhile__is_refused_but_for_what_lies_elsewhere(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    _land(ledger, ann, air, box, 8)
    held = ledger.authorise(ann, 78)
    ledger.do(accounts.freeze, ledger.accounts(ann)[0].id)
    with pytest.raises(InsufficientPoints) as refused:
        ledger.capture(held)
    assert (refused.value.limit, refused.value.nearest) == (8, 8)
    assert "frozen" in refused.value.detail
    ledger.capture(held, 8)
    ledger.void(held)
    assert [one.balance.held for one in ledger.accounts(ann)] == [0, 0]
    assert ledger.lots(ann) == [10, 20, 40, 0]


def test_capture__that_the_chain_skips__stays_taken_and_freezes_the_account(
    ledger: Ledger, ann: Member, air: Program
) -> None:
    held = ledger.authorise(ann, 25)
    captured = ledger.capture(held, 10)
    frozen = ledger.freeze(ledger.stream(air))
    number = ledger.mine(frozen, skipped=[3])
    assert ledger.finalise(number) == [ledger.accounts(ann)[0].id]
    failed = ledger.operation(captured)
    assert (failed.state, failed.reason) == ("failed", outcomes.SHORT_ON_CHAIN)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(70), debits_pending=Points(10), held=Points(15))
    assert ledger.hold(held).captured == 10
    with pytest.raises(InsufficientPoints) as refused:
        ledger.capture(held)
    assert refused.value.nearest is None
    ledger.void(held)
    assert _balance(ledger, ann) == Balance(credits_posted=Points(70), debits_pending=Points(10))


def test_available__after_every_step__is_the_sum_of_the_lots(ledger: Ledger, ann: Member) -> None:
    def agrees() -> bool:
        (one,) = ledger.accounts(ann)
        return sum(each.remaining for each in ledger.ask(lots.spendable, [one.id])[one.id]) == one.balance.available

    held = ledger.authorise(ann, 65)
    assert agrees()
    ledger.capture(held, 13)
    assert agrees()
    ledger.capture(held, 7, final=True)
    assert agrees()


def test_expire__of_holds_with_many_lots__ends_as_many_as_have_so_many_and_one_at_least(
    ledger: Ledger, air: Program
) -> None:
    bob = ledger.member(air, "bob")
    ledger.earn_many(air.id, [earn_of(bob, 1, f"bob-{number}") for number in range(9)])
    for amount in (5, 1, 1, 2):
        ledger.authorise(bob, amount, life_s=60)
    ledger.now_ms += 60_000
    statements: list[str] = []
    engine = ledger.database._engine if isinstance(ledger.database, SqliteDatabase) else None
    if engine is not None:
        sa.event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert [ledger.do(holds.expire, ledger.now_ms, 3) for _ in range(4)] == [1, 2, 1, 0]
    assert ledger.lots(bob) == [1] * 9
    # However many lots come back: one statement for all those of a hold.
    assert engine is None or len([one for one in statements if one.startswith("UPDATE lot ")]) == 4
