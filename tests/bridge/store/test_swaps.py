"""Swaps: what accepting a quote holds, and everything for which it is refused."""

import pytest
import sqlalchemy as sa

from bridge.store import accounts, links, lots, swaps, terms
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import entry
from exchange.errors import (
    CannotSplit,
    DirectionClosed,
    IdempotencyKeyReused,
    InsufficientPoints,
    LinkConflict,
    NoTerms,
    NotLinked,
    PointsNotFinal,
    QuoteExpired,
    QuoteUsed,
    UnknownQuote,
)
from exchange.ledger import Balance
from exchange.points import Points
from tests.bridge.store.ledgers import Ledger


@pytest.fixture
def sides(ledger: Ledger, air: Program, box: Program, car: Program) -> tuple[Member, Member, Member]:
    """One customer in all three programs."""
    joined = ledger.link(*(ledger.member(program, "same") for program in (air, box, car)))
    first, second, third = joined.members
    return first, second, third


@pytest.fixture
def ann(sides: tuple[Member, Member, Member]) -> Member:
    return sides[0]


@pytest.fixture
def ben(sides: tuple[Member, Member, Member]) -> Member:
    return sides[1]


def _fund(ledger: Ledger, who: Member, amount: int) -> None:
    """Points that are confirmed."""
    ledger.earn(who, amount)
    ledger.post(ledger.named("AIR") if who.program_id == ledger.named("AIR").id else ledger.named("BOX"))


def test_accept__of_an_open_offer__holds_the_source_and_expects_the_destination(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    agreed = ledger.agree(air, box, (3, 2), price=7)
    _fund(ledger, ann, 100)
    operation_id = ledger.swap(ann, box, 99)
    assert ledger.accounts(ann)[0].balance == Balance(credits_posted=Points(100), debits_pending=Points(99))
    landed = ledger.accounts(ben)[-1]
    assert landed.balance == Balance(incoming_pending=Points(66))
    assert landed.reference == ann.reference
    assert landed.address != ann.account
    assert ledger.lots(ann) == [1]
    assert ledger.lots(ben) == []
    found = ledger.operation(operation_id)
    assert (found.kind, found.state, found.points) == ("swap", "accepted", 99)
    assert found.swap is not None
    assert (found.swap.points_out, found.swap.to_member_id) == (66, ben.id)
    assert (found.swap.terms_id, found.swap.settlement_micro) == (agreed.id, 66 * 7)


def test_accept__of_what_it_brings__cannot_be_spent_before_it_is_confirmed(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    ledger.swap(ann, box, 10)
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ben, 1)
    ledger.post(air, box)
    ledger.redeem(ben, 10)
    assert ledger.lots(ben) == [0]


def test_accept__of_points_in_the_queue__is_refused_until_they_are_confirmed(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 4)
    ledger.earn(ann, 6)
    offer = ledger.quote(ann, box, 10)
    before = ledger.everything()
    with pytest.raises(PointsNotFinal) as refused:
        ledger.accept(offer)
    assert refused.value.limit == 4
    assert ledger.everything() == before
    ledger.post(air)
    ledger.accept(offer)


def test_accept__beside_a_redemption_that_counts_on_the_queue__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    """The redemption is posted behind the earn; the swap might overtake both."""
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    ledger.earn(ann, 10)
    ledger.redeem(ann, 15)
    with pytest.raises(PointsNotFinal):
        ledger.swap(ann, box, 5)


def test_accept__of_more_than_there_is__is_refused(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 5)
    offer = ledger.quote(ann, box, 5)
    ledger.redeem(ann, 1)
    with pytest.raises(InsufficientPoints) as refused:
        ledger.accept(offer)
    assert (refused.value.limit, refused.value.field) == (4, "quote_id")


def test_accept__of_a_used_offer__is_refused(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 20)
    offer = ledger.quote(ann, box, 10)
    ledger.accept(offer)
    with pytest.raises(QuoteUsed):
        ledger.accept(offer)
    assert ledger.lots(ann) == [10]


def test_accept__of_the_same_key_and_offer__answers_the_first_again(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 20)
    offer = ledger.quote(ann, box, 10)
    first = ledger.accept(offer, "key")
    ledger.now_ms = offer.expires_ms + 1
    assert ledger.do(swaps.accept, air.id, "key", offer.id, ledger.now_ms) == (first, True)
    assert ledger.lots(ann) == [10]


def test_accept__of_the_same_key_and_another_offer__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 20)
    ledger.accept(ledger.quote(ann, box, 10), "key")
    with pytest.raises(IdempotencyKeyReused):
        ledger.accept(ledger.quote(ann, box, 10), "key")


def test_accept__after_the_deadline__is_refused(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 20)
    late, last = ledger.quote(ann, box, 10), ledger.quote(ann, box, 5)
    ledger.now_ms = late.expires_ms
    ledger.accept(last)
    ledger.now_ms += 1
    with pytest.raises(QuoteExpired):
        ledger.accept(late)


def test_accept__of_another_programs_offer__is_unknown(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    ledger.earn(ann, 10)
    offer = ledger.quote(ann, box, 10)
    with pytest.raises(UnknownQuote):
        ledger.do(swaps.accept, box.id, "key", offer.id, ledger.now_ms)


def test_accept__after_the_link_was_removed__is_refused(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    offer = ledger.quote(ann, box, 10)
    assert ben.link_id is not None
    ledger.do(links.leave, ben.link_id, ben.id)
    with pytest.raises(NotLinked):
        ledger.accept(offer)


def test_accept__after_the_link_went_to_another_member__is_refused(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    offer = ledger.quote(ann, box, 10)
    assert ben.link_id is not None
    ledger.do(links.leave, ben.link_id, ben.id)
    ledger.link(ann, ledger.member(box, "another"))
    with pytest.raises(NotLinked, match="no longer linked"):
        ledger.accept(offer)


def test_accept__into_an_account_that_a_former_link_used__is_refused(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    ledger.swap(ann, box, 5)
    assert ben.link_id is not None
    ledger.do(links.leave, ben.link_id, ben.id)
    ledger.link(ann, ledger.member(box, "another"))
    offer = ledger.quote(ann, box, 5)
    before = ledger.everything()
    with pytest.raises(LinkConflict):
        ledger.accept(offer)
    assert ledger.everything() == before


def test_accept__after_the_terms_changed__is_refused(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    offer = ledger.quote(ann, box, 10)
    ledger.agree(air, box, (2, 1), version=2)
    with pytest.raises(NoTerms):
        ledger.accept(offer)


def test_accept__after_the_terms_were_suspended__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    offer = ledger.quote(ann, box, 10)
    ledger.do(terms.suspended, air.id, box.id, ledger.now_ms)
    with pytest.raises(DirectionClosed):
        ledger.accept(offer)


@pytest.fixture
def two_accounts(ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program) -> Member:
    """A member of BOX with 10 points of their own and 9 that a swap brought."""
    ledger.agree(air, box)
    _fund(ledger, ann, 9)
    ledger.swap(ann, box, 9)
    ledger.post(air, box)
    _fund(ledger, ben, 10)
    assert [one.balance.swappable for one in ledger.accounts(ben)] == [10, 9]
    return ben


def test_accept__from_several_accounts__has_legs_that_sum_to_the_offer(
    ledger: Ledger, two_accounts: Member, box: Program, car: Program
) -> None:
    """At 7 for 3 each leg rounds down by itself: 12 and 6 would give 5 and 2, the offer promises 7 of 17 or 18."""
    ledger.agree(box, car, (7, 3))
    offer = ledger.quote(two_accounts, car, 17)
    assert offer.amount_out == 7
    operation_id = ledger.accept(offer)
    with ledger.database.read() as connection:
        legs = connection.execute(sa.select(entry).where(entry.c.operation_id == operation_id)).all()
    paid = {leg.leg: leg.amount for leg in legs if not leg.credit}
    brought = {leg.leg: leg.amount for leg in legs if leg.credit}
    assert sum(paid.values()) == offer.amount_in
    assert sum(brought.values()) == offer.amount_out
    assert len(paid) == 2
    assert all(brought[leg] == amount * 3 // 7 for leg, amount in paid.items())
    assert len({leg.account_id for leg in legs}) == 4, "each leg lands under its own reference"
    assert sum(ledger.lots(two_accounts)) == 19 - offer.amount_in


def test_accept__that_no_split_can_pay__is_refused_with_the_nearest_amount(
    ledger: Ledger, two_accounts: Member, box: Program, car: Program
) -> None:
    ledger.agree(box, car, (19, 19 * 19 - 1))  # no two legs of whole blocks, and none may lose a part
    offer = ledger.quote(two_accounts, car, 18)
    before = ledger.everything()
    with pytest.raises(CannotSplit) as refused:
        ledger.accept(offer)
    assert refused.value.nearest == 10
    assert ledger.everything() == before


def test_accept__of_a_swap_there_and_back__lands_where_it_came_from(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    ledger.agree(box, air)
    _fund(ledger, ann, 10)
    ledger.swap(ann, box, 10)
    ledger.post(air, box)
    ledger.swap(ben, air, 10)
    ledger.post(box, air)
    (account,) = ledger.accounts(ann)
    assert account.balance.posted == 10


def test_accept__from_a_frozen_account__is_refused(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    ledger.do(accounts.freeze, ledger.accounts(ann)[0].id)
    with pytest.raises(InsufficientPoints):
        ledger.swap(ann, box, 1)


def test_accept__of_expired_points__is_refused(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    _fund(ledger, ann, 10)
    ledger.now_ms += 30 * swaps.DAY_MS
    with pytest.raises(InsufficientPoints):
        ledger.swap(ann, box, 1)


def test_accept__into_a_program_whose_points_expire__brings_points_that_do(
    ledger: Ledger, ben: Member, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(box, air)
    _fund(ledger, ben, 10)
    ledger.swap(ben, air, 10)
    ledger.post(box, air)
    (found,) = ledger.ask(lots.of_member, ann.id)
    assert found.expires_ms == ledger.now_ms + 30 * swaps.DAY_MS
