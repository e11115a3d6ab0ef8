"""Which points may be swapped, and what those become that a swap brought."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bridge.store import holder_books, holder_events, links, lots, members
from bridge.store.holder_events import Happening
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.releases import ReleaseRequest
from bridge.store.releases import accept as release
from exchange.errors import InsufficientPoints, NotEligible, PointsNotFinal
from exchange.rules import Eligible, Expiry, Received, Rules
from tests.bridge.store.ledgers import DAY_MS, Ledger, new_hash

AGED = Rules(eligible=Eligible(age_min_days=10, age_max_days=20))


@pytest.fixture
def ann(ledger: Ledger, air: Program, box: Program, car: Program) -> Member:
    """A member of AIR, whose points last 30 days, linked to BOX and CAR, whose points never expire."""
    return ledger.link(*(ledger.member(program, "ann") for program in (air, box, car))).members[0]


@pytest.fixture
def fund(ledger: Ledger) -> Callable[[Member, Program, int], None]:
    def make(who: Member, program: Program, amount: int) -> None:
        ledger.earn(who, amount)
        ledger.post(program)

    return make


Fund = Callable[[Member, Program, int], None]


def test_accept__of_points_that_must_have_aged__takes_only_those(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=AGED)
    fund(ann, air, 10)
    ledger.now_ms += 6 * DAY_MS
    fund(ann, air, 20)
    ledger.now_ms += 5 * DAY_MS
    fund(ann, air, 40)
    with pytest.raises(NotEligible) as refused:
        ledger.swap(ann, box, 11)
    assert (refused.value.limit, refused.value.nearest, refused.value.field) == (10, 10, "amount_in")
    ledger.swap(ann, box, 10)
    assert ledger.lots(ann) == [0, 20, 40]
    ledger.now_ms += 15 * DAY_MS  # the second is 20 days old, the third 15
    ledger.swap(ann, box, 60)
    assert ledger.lots(ann) == [0, 0, 0]


def test_accept__of_points_that_grew_too_old_since_the_quote__is_refused(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=AGED)
    fund(ann, air, 10)
    ledger.now_ms += 20 * DAY_MS
    offer = ledger.quote(ann, box, 10)
    ledger.now_ms += 1_000
    with pytest.raises(NotEligible) as refused:
        ledger.accept(offer)
    assert (refused.value.limit, refused.value.nearest, refused.value.field) == (0, None, "quote_id")


@pytest.mark.parametrize(
    ("eligible", "days"), [(Eligible(member_min_days=30), 30), (Eligible(member_min_days=5, linked_min_days=9), 9)]
)
def test_create__for_a_new_member_or_link__names_the_moment_from_which_it_is_possible(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program, eligible: Eligible, days: int
) -> None:
    ledger.agree(air, box, rules=Rules(eligible=eligible))
    ledger.now_ms = ann.created_ms + days * DAY_MS - 1
    fund(ann, air, 10)
    with pytest.raises(NotEligible) as refused:
        ledger.quote(ann, box, 10)
    possible = datetime.fromtimestamp(ann.created_ms // 1000 + days * 86_400, UTC)
    assert (refused.value.limit, refused.value.nearest) == (days, f"{possible:%Y-%m-%dT%H:%M:%SZ}")
    assert refused.value.field == "amount_in"
    ledger.now_ms += 1_000
    assert ledger.quote(ann, box, 10).amount_in == 10


def test_accept__after_leaving_and_joining_anew__asks_how_old_the_new_link_is(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=Rules(eligible=Eligible(linked_min_days=1)))
    fund(ann, air, 10)
    ledger.now_ms += DAY_MS
    offer, ben = ledger.quote(ann, box, 10), ledger.ask(links.counterpart, ann, box.id)
    assert ann.link_id is not None
    ledger.do(links.leave, ann.link_id, ben.id)
    ledger.link(ledger.ask(members.by_id, ann.id), ledger.ask(members.by_id, ben.id))
    with pytest.raises(NotEligible, match="linked to the membership at the destination for 1 days"):
        ledger.accept(offer)


def test_accept__of_points_too_old__is_refused_while_redeeming_is_not(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=AGED)
    fund(ann, air, 10)
    ledger.now_ms += 20 * DAY_MS + 1_000
    with pytest.raises(NotEligible) as refused:
        ledger.swap(ann, box, 1)
    assert (refused.value.limit, refused.value.nearest) == (0, None)
    ledger.redeem(ann, 10)


def test_accept__of_points_about_to_expire__is_refused_where_some_days_must_be_left(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=Rules(eligible=Eligible(left_min_days=7)))
    fund(ann, air, 10)
    ledger.now_ms += 23 * DAY_MS
    ledger.swap(ann, box, 5)
    ledger.now_ms += 1_000
    with pytest.raises(NotEligible):
        ledger.swap(ann, box, 5)


def test_accept__of_too_few_points__says_so_before_which_may_go(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=AGED)
    fund(ann, air, 10)
    with pytest.raises(InsufficientPoints):
        ledger.swap(ann, box, 11)


def test_accept__of_eligible_points_that_are_not_final__is_refused_for_now(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=AGED)
    ledger.earn(ann, 10)
    ledger.now_ms += 10 * DAY_MS
    with pytest.raises(PointsNotFinal):
        ledger.swap(ann, box, 10)


@pytest.mark.parametrize(
    ("given", "first"),
    [(Rules(received=Received(onward=False)), Rules()), (Rules(), Rules(eligible=Eligible(earned_only=True)))],
    ids=["received points stay", "only earned points go"],
)
def test_accept__of_points_that_a_swap_brought__may_be_barred(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program, car: Program, given: Rules, first: Rules
) -> None:
    ledger.agree(air, box, rules=given)
    ledger.agree(box, car, rules=first)
    fund(ann, air, 10)
    ledger.swap(ann, box, 10)
    ledger.post(air, box)
    ben = ledger.ask(links.counterpart, ann, box.id)
    fund(ben, box, 5)
    with pytest.raises(NotEligible) as refused:
        ledger.swap(ben, car, 6)
    assert refused.value.nearest == 5
    ledger.swap(ben, car, 5)
    ledger.redeem(ben, 10)


def test_accept__of_barred_points_that_went_to_a_wallet_and_back__is_still_refused(
    ledger: Ledger, ann: Member, fund: Fund, air: Program, box: Program, car: Program
) -> None:
    ledger.agree(air, box, rules=Rules(received=Received(onward=False)))
    ledger.agree(box, car)
    ben = ledger.ask(links.counterpart, ann, box.id)
    fund(ann, air, 10)
    ledger.swap(ann, box, 10)
    ledger.post(air, box)
    fund(ben, box, 10)
    landed = ledger.accounts(ben)[-1]
    wallet = ledger.wallet(ben, landed.reference)
    ledger.do(release, box.id, ReleaseRequest("r", ben.id, wallet.id, 10), ledger.now_ms)
    ledger.post(box)
    assert sorted((one.amount, one.onward) for one in ledger.ask(lots.of_member, ben.id)) == [(10, True)]
    number = ledger.happen(
        Happening(
            holder_events.DEPOSITED,
            box.deployed_token,
            new_hash(),
            wallet.address,
            amount=10,
            reference=landed.reference,
        )
    )
    ledger.finalise(number)
    ledger.do(holder_books.book, number, ledger.now_ms)
    found = sorted((one.amount, one.received, one.onward) for one in ledger.ask(lots.of_member, ben.id))
    assert found == [(10, False, True), (10, True, False)]
    with pytest.raises(NotEligible):
        ledger.swap(ben, car, 11)


@pytest.mark.parametrize(
    ("source", "received", "days"),
    [
        ("BOX", Received(), 30),
        ("BOX", Received(Expiry.SHORTENS, 9), 9),
        ("BOX", Received(Expiry.SHORTENS, 90), 30),
        ("BOX", Received(Expiry.INHERITS), 30),
        ("AIR", Received(), None),
        ("AIR", Received(Expiry.SHORTENS, 9), 9),
        ("AIR", Received(Expiry.INHERITS), 28),
    ],
)
def test_accept__of_a_swap__lets_what_arrives_expire_as_its_terms_have_it(
    ledger: Ledger, ann: Member, fund: Fund, source: str, received: Received, days: int | None
) -> None:
    """AIR's points last 30 days and BOX's for ever; those that are given were earned two days ago."""
    other = "AIR" if source == "BOX" else "BOX"
    here, there = ledger.named(source), ledger.named(other)
    giver = ann if source == "AIR" else ledger.ask(links.counterpart, ann, here.id)
    ledger.agree(here, there, rules=Rules(received=received))
    fund(giver, here, 10)
    ledger.now_ms += 2 * DAY_MS
    ledger.swap(giver, there, 10)
    ledger.post(here, there)
    (found,) = ledger.ask(lots.of_member, ledger.ask(links.counterpart, giver, there.id).id)
    assert found.expires_ms == (None if days is None else ledger.now_ms + days * DAY_MS)
    assert (found.earned_ms, found.received, found.onward) == (ledger.now_ms, True, True)
