"""Quotes: firm offers, and how long they stand."""

import pytest

from bridge.store import links, programs, quotes
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.quotes import EXPIRED, OPEN, USED, QuoteRequest
from exchange.errors import (
    BelowMinimum,
    DirectionClosed,
    InsufficientPoints,
    NoTerms,
    NothingOut,
    NotLinked,
    OverLimit,
    ProgramNotActive,
    UnknownQuote,
)
from tests.bridge.store.ledgers import FIRMNESS, Ledger


@pytest.fixture
def ann(ledger: Ledger, air: Program, box: Program) -> Member:
    """A member of AIR with 1,000 points, who is linked to one of BOX."""
    ann, ben = ledger.member(air, "ann"), ledger.member(box, "ben")
    ledger.earn(ann, 1_000)
    return next(one for one in ledger.link(ann, ben).members if one.id == ann.id)


def test_create__of_an_amount_in__is_priced_under_the_terms(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    agreed = ledger.agree(air, box, (3, 2), price=7)
    offer = ledger.quote(ann, box, 100)
    assert (offer.amount_in, offer.amount_out, offer.remainder) == (99, 66, 1)
    assert offer.settlement_micro == 66 * 7
    assert offer.terms_id == agreed.id
    assert offer.expires_ms == ledger.now_ms + FIRMNESS.quote_life_ms
    assert ledger.ask(quotes.by_id, offer.id, air.id) == offer


@pytest.mark.usefixtures("ann")
def test_create__of_an_amount_out__gives_at_least_that(ledger: Ledger, air: Program, box: Program) -> None:
    ledger.agree(air, box, (3, 2))
    request = QuoteRequest(None, "ann", box.id, None, 7)
    offer = ledger.do(quotes.create, air.id, request, FIRMNESS, ledger.now_ms)
    assert (offer.amount_in, offer.amount_out) == (11, 7)


def test_create__without_terms__is_refused(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    with pytest.raises(NoTerms):
        ledger.quote(ann, box, 100)
    ledger.agree(box, air)  # the other direction says nothing about this one
    with pytest.raises(NoTerms):
        ledger.quote(ann, box, 100)


def test_create__without_a_link__is_refused(ledger: Ledger, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    with pytest.raises(NotLinked):
        ledger.quote(ledger.member(air, "alone"), box, 100)


@pytest.mark.parametrize(("amount", "error"), [(4, BelowMinimum), (5, NothingOut)])
def test_create__of_too_little__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program, amount: int, error: type[Exception]
) -> None:
    ledger.agree(air, box, (10, 1), minimum=5)
    with pytest.raises(error):
        ledger.quote(ann, box, amount)


def test_create__into_a_program_without_a_token__is_refused(ledger: Ledger, ann: Member) -> None:
    with pytest.raises(ProgramNotActive):
        ledger.quote(ann, ledger.program("NEW", active=False), 100)


def test_create__before_other_terms__ends_early_enough_for_its_batch(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    change_ms = ledger.now_ms + FIRMNESS.batch_life_ms + 10_000
    ledger.agree(air, box, (2, 1), version=2, effective_ms=change_ms)
    assert ledger.quote(ann, box, 10).expires_ms == change_ms - FIRMNESS.batch_life_ms
    ledger.now_ms += 10_000
    with pytest.raises(DirectionClosed, match="about to be replaced"):
        ledger.quote(ann, box, 10)
    ledger.now_ms = change_ms
    assert ledger.quote(ann, box, 10).amount_out == 5


def test_state__over_time__is_open_then_expired(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    offer = ledger.quote(ann, box, 10)
    assert ledger.ask(quotes.state, offer, offer.expires_ms) == OPEN
    assert ledger.ask(quotes.state, offer, offer.expires_ms + 1) == EXPIRED


def test_state__of_an_accepted_offer__is_used(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    ledger.post(air)
    offer = ledger.quote(ann, box, 10)
    operation_id = ledger.accept(offer)
    assert ledger.ask(quotes.state, offer, offer.expires_ms + 1) == USED
    assert ledger.ask(quotes.used_by, offer.id) == operation_id


def test_by_id__of_another_program__is_unknown(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    offer = ledger.quote(ann, box, 10)
    with pytest.raises(UnknownQuote):
        ledger.ask(quotes.by_id, offer.id, box.id)
    with pytest.raises(UnknownQuote):
        ledger.ask(quotes.by_id, "quo_none")


def test_create__holds__nothing(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    ledger.agree(air, box)
    before = ledger.everything("quote", "quote_hop", "quote_customer")
    ledger.quote(ann, box, 10)
    assert ledger.everything("quote", "quote_hop", "quote_customer") == before
    assert ledger.ask(links.counterpart, ann, box.id).member_number == "ben"


# -- what is refused because it could never be ------------------------------------------------


def test_create__of_more_than_the_member_has__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    """Points that wait for the chain count; those that are held do not."""
    ledger.agree(air, box, (3, 2))
    assert ledger.quote(ann, box, 1_000).amount_in == 999
    ledger.redeem(ann, 400)
    with pytest.raises(InsufficientPoints) as refused:
        ledger.quote(ann, box, 700)
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("amount_in", 600, 600)
    with pytest.raises(InsufficientPoints) as refused:
        ledger.do(quotes.create, air.id, QuoteRequest(ann.id, None, box.id, None, 401), FIRMNESS, ledger.now_ms)
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("amount_out", 400, 400)
    assert ledger.quote(ann, box, 600).amount_in == ledger.quote(ann, box, 600).amount_in


def test_create__of_more_than_the_member_has__names_no_nearest_where_none_passes(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, minimum=1_001)
    with pytest.raises(InsufficientPoints) as refused:
        ledger.quote(ann, box, 1_001)
    assert (refused.value.limit, refused.value.nearest) == (1_000, None)


def test_create__of_more_than_a_program_may_ever_owe__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, price=7)
    ledger.do(programs.may_owe, air.id, 700)
    assert ledger.quote(ann, box, 100).settlement_micro == 700
    with pytest.raises(OverLimit, match="AIR would come to owe 707 micro-units") as refused:
        ledger.quote(ann, box, 101)
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("amount_in", 700, 100)


def test_create__along_a_path__asks_of_programs_between_only_what_they_pass_on_for_more(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ben = ledger.ask(links.counterpart, ann, box.id)
    ledger.link(ben, ledger.member(car, "cat"))
    ann = ledger.ask(links.counterpart, ben, air.id)
    ledger.agree(air, box, price=7)
    ledger.agree(box, car, price=9)
    ledger.do(programs.may_owe, box.id, 200)
    assert ledger.quote(ann, car, 100, through=[box]).amount_in == 100
    with pytest.raises(OverLimit, match="BOX would come to owe 202 ") as refused:
        ledger.quote(ann, car, 101, through=[box])
    assert (refused.value.limit, refused.value.nearest) == (200, 100)


def test_accept__of_more_than_a_program_may_owe_by_then__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, price=7)
    ledger.post(air)
    offer = ledger.quote(ann, box, 100)
    ledger.do(programs.may_owe, air.id, 699)
    before = ledger.everything()
    with pytest.raises(OverLimit) as refused:
        ledger.accept(offer)
    assert (refused.value.field, refused.value.limit) == ("quote_id", 699)
    assert ledger.everything() == before
