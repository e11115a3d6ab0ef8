"""Pending earns: their points come on their day, as old as it, and not a moment before; until then all can change."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bridge.store import chainstate, events, limits, operations, pending_earns
from bridge.store.earns import ISSUED_MAX, RELEASE_AHEAD_DAYS_MAX, EarnRequest
from bridge.store.limits import Bounds
from bridge.store.members import Member
from bridge.store.pending_earns import Cancellation, Change, Coming
from bridge.store.programs import Program
from bridge.store.schema import account, lot
from exchange.days import DAY_MS
from exchange.errors import (
    EarnNotPending,
    IdempotencyKeyReused,
    InsufficientPoints,
    InvalidAmount,
    NotReversible,
    OverLimit,
    ReleaseTooFar,
    SarrafError,
    UnknownOperation,
)
from exchange.ledger import Balance
from exchange.points import Points
from tests.bridge.store.ledgers import WIDE, Ledger


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


@pytest.fixture
def stay(ledger: Ledger, ann: Member) -> str:
    """80 points that come in ten days."""
    return ledger.earn_later(ann, 80, ledger.now_ms + 10 * DAY_MS)


def change(
    ledger: Ledger,
    operation_id: str,
    key: str = "change",
    *,
    points: int | None = None,
    release_ms: int | None = None,
) -> bool:
    program_id = ledger.operation(operation_id).program_id
    wanted = Change(key, operation_id, points, release_ms)
    return ledger.do(pending_earns.change, program_id, wanted, ledger.now_ms)


def cancel(ledger: Ledger, operation_id: str, key: str = "cancel") -> bool:
    program_id = ledger.operation(operation_id).program_id
    return ledger.do(pending_earns.cancel, program_id, Cancellation(key, operation_id), ledger.now_ms)


def balance(ledger: Ledger, who: Member) -> Balance:
    return ledger.accounts(who)[0].balance


def expiries(ledger: Ledger) -> list[int | None]:
    return list(ledger.ask(lambda connection: connection.execute(sa.select(lot.c.expires_ms)).scalars().all()))


def test_accept__of_points_that_come_later__neither_spends_nor_posts_them(
    ledger: Ledger, air: Program, ann: Member, stay: str
) -> None:
    assert balance(ledger, ann) == Balance(incoming_pending=Points(80))
    found = ledger.operation(stay)
    assert (found.state, found.pending, found.release_ms) == ("accepted", True, ledger.now_ms + 10 * DAY_MS)
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ann, 1)
    with pytest.raises(AssertionError):
        ledger.freeze(ledger.stream(air))
    assert ledger.ask(operations.waiting).count == 0
    assert ledger.ask(pending_earns.of_member, ann.id) == [Coming(stay, 80, ledger.now_ms + 10 * DAY_MS)]


def test_accept__of_a_time_that_is_over__is_like_any_other_earn(ledger: Ledger, air: Program, ann: Member) -> None:
    operation_id = ledger.earn_later(ann, 80, ledger.now_ms)
    assert balance(ledger, ann) == Balance(credits_pending=Points(80))
    assert not ledger.operation(operation_id).pending
    assert expiries(ledger) == [ledger.now_ms + 30 * DAY_MS]
    ledger.post(air)
    assert ledger.operation(operation_id).state == "final"


def test_accept__of_too_little_spend_to_come_later__is_done_at_once(ledger: Ledger, air: Program, ann: Member) -> None:
    request = EarnRequest("cheap", ann.id, None, 99, None, None, release_ms=ledger.now_ms + DAY_MS)
    (answer,) = ledger.earn_many(air.id, [request])
    assert answer.operation_id is not None
    found = ledger.operation(answer.operation_id)
    assert (found.state, found.pending) == ("final", False)
    with pytest.raises(EarnNotPending):
        change(ledger, answer.operation_id, points=5)


def test_accept__of_the_same_earn_for_another_day__is_another_request(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    ledger.earn_later(ann, 80, ledger.now_ms + DAY_MS, "stay")
    (again, other, none) = ledger.earn_many(
        air.id,
        [
            EarnRequest("stay", ann.id, None, None, 80, None, release_ms=ledger.now_ms + DAY_MS),
            EarnRequest("stay", ann.id, None, None, 80, None, release_ms=ledger.now_ms + DAY_MS + 1),
            EarnRequest("stay", ann.id, None, None, 80, None),
        ],
    )
    assert again.replayed
    assert isinstance(other.refusal, IdempotencyKeyReused) and isinstance(none.refusal, IdempotencyKeyReused)


def test_accept__of_a_day_too_far_ahead__is_refused(ledger: Ledger, air: Program, ann: Member) -> None:
    latest_ms = ledger.now_ms + RELEASE_AHEAD_DAYS_MAX * DAY_MS
    (answer,) = ledger.earn_many(air.id, [EarnRequest("a", ann.id, None, None, 5, None, release_ms=latest_ms + 1)])
    assert isinstance(answer.refusal, ReleaseTooFar)
    operation_id = ledger.earn_later(ann, 5, latest_ms)
    with pytest.raises(ReleaseTooFar):
        change(ledger, operation_id, release_ms=latest_ms + 1)


@pytest.mark.parametrize(("late_ms", "comes"), [(-1, False), (0, True), (1, True)])
def test_release_due__around_its_time__releases_from_then_on(
    ledger: Ledger, air: Program, ann: Member, stay: str, late_ms: int, comes: bool
) -> None:
    ledger.now_ms += 10 * DAY_MS + late_ms
    assert ledger.keep() == int(comes)
    assert balance(ledger, ann).available == (80 if comes else 0)
    if comes:
        ledger.redeem(ann, 30)
        ledger.post(air)
        assert balance(ledger, ann).posted == 50
        assert ledger.operation(stay).state == "final"
        told = [one.state for one in ledger.ask(events.after, 0, air.id)[0] if one.state == "released"]
        assert told == ["released"]


def test_release_due__of_more_than_one_transaction_takes__takes_the_first_due_first(
    ledger: Ledger, ann: Member
) -> None:
    ids = [ledger.earn_later(ann, 1, ledger.now_ms + (5 - place) * DAY_MS) for place in range(5)]
    ledger.now_ms += 9 * DAY_MS
    assert ledger.do(pending_earns.release_due, ledger.now_ms, 2) == 2
    assert [ledger.operation(one).pending for one in ids] == [True, True, True, False, False]
    assert ledger.ask(pending_earns.due_since, ledger.now_ms) == ledger.now_ms - 6 * DAY_MS
    assert ledger.keep() == 3
    assert ledger.ask(pending_earns.due_since, ledger.now_ms) is None


@pytest.mark.usefixtures("stay")
def test_release_due__late__makes_points_as_old_as_was_promised(ledger: Ledger, air: Program, ann: Member) -> None:
    ledger.earn_later(ann, 5, ledger.now_ms + DAY_MS)
    ledger.now_ms += 32 * DAY_MS  # the first were promised for 29 days from now, the others for one less than none
    ledger.keep()
    assert expiries(ledger) == [ledger.now_ms + 8 * DAY_MS, ledger.now_ms - DAY_MS]
    assert ledger.lots(ann) == [80, 0], "what came late had expired on its day, and went"
    ledger.post(air)
    assert balance(ledger, ann).posted == 80


def test_release_due__after_the_clock_was_set_back__takes_nothing_away(ledger: Ledger, stay: str) -> None:
    began_ms = ledger.now_ms
    ledger.now_ms += 10 * DAY_MS
    ledger.keep()
    before = ledger.everything()
    ledger.now_ms = began_ms
    assert ledger.keep() == 0
    assert ledger.everything() == before
    with pytest.raises(EarnNotPending):
        cancel(ledger, stay)


@pytest.mark.usefixtures("stay")
def test_waiting__of_an_earn_that_was_put_off__counts_from_its_time(ledger: Ledger) -> None:
    ledger.now_ms += 11 * DAY_MS
    ledger.keep()
    assert ledger.ask(operations.waiting).oldest_ms == ledger.now_ms - DAY_MS


def test_change__of_points_and_day__brings_these_on_that_day(ledger: Ledger, ann: Member, stay: str) -> None:
    began_ms = ledger.now_ms
    assert not change(ledger, stay, points=50, release_ms=began_ms + 2 * DAY_MS)
    assert balance(ledger, ann) == Balance(incoming_pending=Points(50))
    assert expiries(ledger) == [began_ms + 32 * DAY_MS]
    ledger.now_ms += 2 * DAY_MS
    assert ledger.keep() == 1
    assert ledger.lots(ann) == [50]


def test_change__again__is_a_repeat_even_once_the_points_have_come(ledger: Ledger, stay: str) -> None:
    change(ledger, stay, points=50)
    assert change(ledger, stay, points=50)
    ledger.now_ms += 10 * DAY_MS
    ledger.keep()
    before = ledger.everything()
    assert change(ledger, stay, points=50)
    assert ledger.everything() == before
    with pytest.raises(IdempotencyKeyReused):
        change(ledger, stay, points=51)


def test_change__to_a_time_that_is_over__lets_the_points_come_now(ledger: Ledger, ann: Member, stay: str) -> None:
    change(ledger, stay, release_ms=ledger.now_ms - DAY_MS)
    assert balance(ledger, ann) == Balance(credits_pending=Points(80))
    assert expiries(ledger) == [ledger.now_ms + 30 * DAY_MS]


def test_change__to_more_than_can_be_issued__is_refused_and_leaves_no_trace(ledger: Ledger) -> None:
    tight = ledger.program("DEF", bounds={**WIDE, "issuance": Bounds(100, 1)})
    bob = ledger.member(tight, "bob")
    operation_id = ledger.earn_later(bob, 100, ledger.now_ms + DAY_MS)
    before = ledger.everything()
    for amount, refusal in ((101, OverLimit), (0, InvalidAmount), (2**48, InvalidAmount)):
        with pytest.raises(refusal):
            change(ledger, operation_id, points=amount)
    assert ledger.everything() == before


def test_accept__of_points_that_come_later__counts_in_what_may_be_issued(
    ledger: Ledger, air: Program, ann: Member, stay: str
) -> None:
    issued = sa.update(account).where(account.c.program_id == air.id, account.c.kind == "issued")
    room = account.c.debits_posted + ISSUED_MAX - 100
    ledger.do(lambda connection: connection.execute(issued.values(debits_posted=room)))
    (answer,) = ledger.earn_many(air.id, [EarnRequest("a", ann.id, None, None, 21, None)])
    assert isinstance(answer.refusal, InvalidAmount) and answer.refusal.limit == 20
    with pytest.raises(InvalidAmount):
        change(ledger, stay, points=101)
    change(ledger, stay, points=100)


def test_cancel__before_its_time__leaves_nothing_of_it(ledger: Ledger, air: Program, ann: Member, stay: str) -> None:
    assert not cancel(ledger, stay)
    assert balance(ledger, ann) == Balance()
    assert ledger.operation(stay).state == "cancelled"
    assert ledger.ask(pending_earns.of_member, ann.id) == []
    ledger.now_ms += 10 * DAY_MS
    assert ledger.keep() == 0
    assert ledger.ask(events.after, 0, air.id)[0][-1].state == "cancelled"


def test_cancel__again__is_a_repeat_under_its_key_and_a_conflict_under_another(ledger: Ledger, stay: str) -> None:
    cancel(ledger, stay)
    before = ledger.everything()
    assert cancel(ledger, stay)
    with pytest.raises(EarnNotPending) as refused:
        cancel(ledger, stay, "other")
    assert "cancelled" in refused.value.detail
    with pytest.raises(EarnNotPending):
        change(ledger, stay, points=1)
    assert ledger.everything() == before


@pytest.mark.parametrize("kept", [False, True], ids=["not released yet", "released"])
@pytest.mark.parametrize("ask", [cancel, change], ids=["cancel", "change"])
def test_request__at_the_time_of_release__is_a_conflict_whoever_comes_first(
    ledger: Ledger, ann: Member, stay: str, ask: Callable[..., bool], kept: bool
) -> None:
    ledger.now_ms += 10 * DAY_MS
    if kept:
        ledger.keep()
    with pytest.raises(EarnNotPending):
        ask(ledger, stay)
    ledger.keep()
    assert ledger.lots(ann) == [80]


def test_request__with_a_key_that_served_another__is_refused(ledger: Ledger, ann: Member, stay: str) -> None:
    ledger.earn(ann, 5, "earn")
    change(ledger, stay, "change", points=70)
    for ask, key in ((cancel, "earn"), (cancel, "change"), (change, "earn")):
        with pytest.raises(IdempotencyKeyReused):
            ask(ledger, stay, key)
    (answer,) = ledger.earn_many(ann.program_id, [EarnRequest("change", ann.id, None, None, 5, None)])
    assert isinstance(answer.refusal, IdempotencyKeyReused)


def test_request__about_what_is_no_pending_earn_of_the_program__is_refused(
    ledger: Ledger, air: Program, box: Program, ann: Member, stay: str
) -> None:
    ordinary, redemption = ledger.earn(ann, 5), ledger.redeem(ann, 1)
    cases: list[tuple[Program, str, type[SarrafError]]] = [
        (box, stay, UnknownOperation),
        (air, "op_none", UnknownOperation),
        (air, redemption, UnknownOperation),
        (air, ordinary, EarnNotPending),
    ]
    for program, operation_id, refusal in cases:
        with pytest.raises(refusal):
            ledger.do(pending_earns.cancel, program.id, Cancellation("c", operation_id), ledger.now_ms)


# -- between its time and its release ---------------------------------------------------------


def test_release_due__of_more_than_can_be_posted_at_once__waits_and_holds_up_nobody(
    ledger: Ledger, air: Program, ann: Member
) -> None:
    """In the stream no batch could ever carry it, nor anything behind it."""
    ledger.earn_later(ann, 80, ledger.now_ms + 10 * DAY_MS)
    small = ledger.earn_later(ann, 20, ledger.now_ms + 11 * DAY_MS)
    ledger.do(limits.changed, air.id, limits.ISSUANCE, Bounds(79, 1))
    ledger.now_ms += 12 * DAY_MS
    assert ledger.ask(pending_earns.due_since, ledger.now_ms) == ledger.operation(small).release_ms
    assert ledger.keep() == 1
    assert ledger.ask(pending_earns.due_since, ledger.now_ms) is None
    ledger.post(air)
    assert balance(ledger, ann) == Balance(credits_posted=Points(20), incoming_pending=Points(80))
    ledger.do(limits.changed, air.id, limits.ISSUANCE, Bounds(80, 1))
    assert ledger.keep() == 1
    ledger.post(air)
    assert balance(ledger, ann).posted == 100


def test_pending__that_became_too_much_for_its_program__can_be_made_smaller_or_cancelled_after_its_time(
    ledger: Ledger, air: Program, ann: Member, stay: str
) -> None:
    other = ledger.earn_later(ann, 90, ledger.now_ms + DAY_MS)
    ledger.do(limits.changed, air.id, limits.ISSUANCE, Bounds(79, 1))
    ledger.now_ms += 10 * DAY_MS
    with pytest.raises(OverLimit):
        change(ledger, stay, points=80)
    change(ledger, stay, points=79)
    assert balance(ledger, ann) == Balance(credits_pending=Points(79), incoming_pending=Points(90))
    cancel(ledger, other)
    assert balance(ledger, ann) == Balance(credits_pending=Points(79))


def test_pending__whose_time_has_come_before_its_release__is_reversed_like_one_that_was_released(
    ledger: Ledger, air: Program, ann: Member, stay: str
) -> None:
    """Cancelling it is refused from then on, and points to that."""
    ledger.now_ms += 10 * DAY_MS
    with pytest.raises(EarnNotPending, match="take them back by a reversal"):
        cancel(ledger, stay)
    assert ledger.reverse(stay, 30).points == 30
    assert (ledger.keep(), balance(ledger, ann).available) == (0, 50)
    ledger.post(air)
    assert balance(ledger, ann) == Balance(credits_posted=Points(80), debits_posted=Points(30))


def test_pending__whose_time_has_come_in_a_ledger_that_recovers__is_not_released_by_a_reversal(
    ledger: Ledger, stay: str
) -> None:
    """The chain may carry it already."""
    ledger.now_ms += 10 * DAY_MS
    ledger.do(chainstate.begin_recovery, "restored", ledger.now_ms)
    with pytest.raises(NotReversible):
        ledger.reverse(stay)
    assert ledger.operation(stay).pending
