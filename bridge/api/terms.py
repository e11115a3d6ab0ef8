"""Terms: proposed by one program, consented to by the other, kept by the exchange contract."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from bridge.api.access import Reader, TermsKeeper
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, Body, PageAsk, Whole, problem_answers, rfc3339, time_of
from bridge.posting import setup
from bridge.store import terms
from bridge.store.terms import Proposal, TermsRow
from exchange.errors import Forbidden, InvalidRatio, InvalidTerms

router = APIRouter(prefix="/v1/terms", tags=["terms"])

#: Where a body says what the rules call by another name.
_FIELDS = {
    "from_units": "ratio.from_units",
    "to_units": "ratio.to_units",
    "settlement_price": "settlement_price_micro",
    "destination": "to_program_id",
}


class RatioShape(Body):
    """`from_units` source points become `to_units` destination points."""

    from_units: Whole
    to_units: Whole


class TermsBody(Body):
    """What is proposed for one direction; amounts in are `minimum`, `minimum + increment`, and so on."""

    from_program_id: Annotated[str, Field(max_length=40)]
    to_program_id: Annotated[str, Field(max_length=40)]
    ratio: RatioShape
    minimum: Whole = 1
    increment: Whole = 1
    settlement_price_micro: Annotated[
        Whole, Field(description="what the source program owes for each destination point, in micro-units")
    ]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    managed_cap: Annotated[
        Whole, Field(description="source points that members' managed accounts may swap in a period of caps")
    ] = terms.MANAGED_CAP
    wallet_cap: Annotated[
        Whole, Field(description="source points that holders of wallets may swap in a period; 0 closes it to them")
    ] = 0


class TermsAnswer(Answer):
    """Terms with their standing."""

    id: str
    from_program_id: str
    to_program_id: str
    version: int | None
    ratio: RatioShape
    minimum: int
    increment: int
    settlement_price_micro: int
    currency: str
    managed_cap: int
    wallet_cap: int
    state: str
    reason: str | None
    effective_at: str | None
    proposed_by: str
    created_at: str


class TermsPage(Answer):
    """One page of terms."""

    items: list[TermsAnswer]
    next: str | None
    previous: str | None


@router.post("", status_code=202, responses=problem_answers(401, 403, 404, 409, 422))
async def propose(body: TermsBody, service: TheService, caller: TermsKeeper) -> TermsAnswer:
    """Propose terms, as either program of the direction; an operator proposes for the source."""
    if caller.program_id not in (None, body.from_program_id, body.to_program_id):
        raise Forbidden("only a program of this direction can propose its terms", field="from_program_id")
    proposal = Proposal(
        from_program_id=body.from_program_id,
        to_program_id=body.to_program_id,
        from_units=body.ratio.from_units,
        to_units=body.ratio.to_units,
        minimum=body.minimum,
        increment=body.increment,
        settlement_price_micro=body.settlement_price_micro,
        currency=body.currency,
        managed_cap=body.managed_cap,
        wallet_cap=body.wallet_cap,
        proposed_by=caller.program_id or body.from_program_id,
    )
    try:
        row = await service.write(lambda connection: setup.propose(connection, proposal, service.clock()))
    except (InvalidRatio, InvalidTerms) as refusal:
        refusal.field = _FIELDS.get(refusal.field or "", refusal.field)
        raise
    return _answer(service, row)


@router.post("/{terms_id}/consent", status_code=202, responses=problem_answers(401, 403, 404, 409))
async def consent(terms_id: str, service: TheService, caller: TermsKeeper) -> TermsAnswer:
    """Consent to proposed terms, as the program that did not propose them."""
    row = await service.write(
        lambda connection: setup.consent(connection, terms_id, caller.program_id, service.clock())
    )
    return _answer(service, row)


@router.post("/{terms_id}/suspend", status_code=202, responses=problem_answers(401, 403, 404, 409))
async def suspend(terms_id: str, service: TheService, caller: TermsKeeper) -> TermsAnswer:
    """Close the direction of these terms at once, as either program."""
    row = await service.write(
        lambda connection: setup.suspend(connection, terms_id, caller.program_id, service.clock())
    )
    return _answer(service, row)


@router.get("", responses=problem_answers(401, 403, 422))
def list_all(
    service: TheService,
    _: Reader,
    ask: PageAsk,
    from_program_id: Annotated[str | None, Query(max_length=40)] = None,
    to_program_id: Annotated[str | None, Query(max_length=40)] = None,
    state: Annotated[str | None, Query(max_length=16)] = None,
) -> TermsPage:
    """Terms of any direction with their history, newest first: they are public, like the chain that keeps them."""
    page = service.read(lambda connection: terms.page(connection, from_program_id, to_program_id, ask))
    items = [_answer(service, row) for row in page.items]
    return TermsPage(items=[one for one in items if state in (None, one.state)], next=page.next, previous=page.previous)


@router.get("/{terms_id}", responses=problem_answers(401, 403, 404))
def show(terms_id: str, service: TheService, _: Reader) -> TermsAnswer:
    """One version of terms."""
    return _answer(service, service.read(lambda connection: terms.by_id(connection, terms_id)))


def _answer(service: Service, row: TermsRow) -> TermsAnswer:
    standing = service.read(lambda connection: terms.standing(connection, row, service.clock()))
    return TermsAnswer(
        id=row.id,
        from_program_id=row.from_program_id,
        to_program_id=row.to_program_id,
        version=row.version,
        ratio=RatioShape(from_units=row.from_units, to_units=row.to_units),
        minimum=row.minimum,
        increment=row.increment,
        settlement_price_micro=row.settlement_price_micro,
        currency=row.currency,
        managed_cap=row.managed_cap,
        wallet_cap=row.wallet_cap,
        state=standing,
        reason=row.reason,
        effective_at=rfc3339(row.effective_ms),
        proposed_by=row.proposed_by,
        created_at=time_of(row.created_ms),
    )
