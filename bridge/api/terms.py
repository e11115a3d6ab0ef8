"""Terms: proposed by one program, consented to by the other, kept by the exchange contract."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import Field, StrictBool

from bridge.api.access import Reader, TermsKeeper
from bridge.api.context import Service, TheService
from bridge.api.shapes import (
    Answer,
    Body,
    Moment,
    PageAsk,
    RatioShape,
    Whole,
    milliseconds,
    problem_answers,
    rfc3339,
    time_of,
)
from bridge.forms.rules import RulesForm
from bridge.posting import setup
from bridge.posting.vetting import Vetted, Warned
from bridge.store import terms
from bridge.store.keys import ApiKey
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


class TermsBody(Body):
    """What is proposed for one direction; amounts in are `minimum`, `minimum + increment`, and so on."""

    from_program_id: Annotated[str, Field(max_length=40)]
    to_program_id: Annotated[str, Field(max_length=40)]
    ratio: RatioShape
    minimum: Whole = 1
    increment: Whole = 1
    settlement_price_micro: Annotated[
        Whole, Field(description="what the source program owes for each destination point, in micro-units of currency")
    ]
    currency: Annotated[
        str | None, Field(pattern="^[A-Z]{3}$", description="left out, the one of settlements; else it is converted")
    ] = None
    managed_cap: Annotated[
        Whole, Field(description="source points that members' managed accounts may swap in a period of caps")
    ] = terms.MANAGED_CAP
    wallet_cap: Annotated[
        Whole, Field(description="source points that holders of wallets may swap in a period; 0 closes it to them")
    ] = 0
    rules: Annotated[RulesForm, Field(description="what the ratio does not say")] = RulesForm()
    starts_at: Annotated[Moment | None, Field(description="not in force before; left out, as soon as can be")] = None
    confirm_ratio: Annotated[StrictBool, Field(description="stands by a ratio that looks inverted")] = False

    def wanted(self, proposed_by: str) -> Proposal:
        """What is proposed, with its price in the currency in which it was said."""
        return Proposal(
            from_program_id=self.from_program_id,
            to_program_id=self.to_program_id,
            from_units=self.ratio.from_units,
            to_units=self.ratio.to_units,
            minimum=self.minimum,
            increment=self.increment,
            settlement_price_micro=self.settlement_price_micro,
            currency=self.currency or "",
            managed_cap=self.managed_cap,
            wallet_cap=self.wallet_cap,
            proposed_by=proposed_by,
            rules=self.rules.written(),
            starts_ms=milliseconds(self.starts_at),
            confirmed_ratio=self.confirm_ratio,
        )


class ConvertedShape(Answer):
    """How a settlement price was converted: one of `base` was `rate` (an exact fraction) of `quote` on that day."""

    price_micro: int
    base: str
    quote: str
    rate: str
    date: str
    source: str


class WarnedShape(Answer):
    """What is no reason to refuse terms, and yet worth a look."""

    type: str
    detail: str


class TermsAnswer(Answer):
    """Terms with their standing; `warnings` are told when they are proposed and consented to."""

    id: str
    from_program_id: str
    to_program_id: str
    version: int | None
    ratio: RatioShape
    minimum: int
    increment: int
    settlement_price_micro: int
    currency: str
    fx: ConvertedShape | None
    managed_cap: int
    wallet_cap: int
    rules: dict[str, Any]
    confirmed_ratio: bool
    state: str
    reason: str | None
    starts_at: str | None
    effective_at: str | None
    proposed_by: str
    created_at: str
    warnings: list[WarnedShape]


class CheckAnswer(Answer):
    """Nothing speaks against the terms but the warnings; the price as the contract would hold it."""

    settlement_price_micro: int
    currency: str
    fx: ConvertedShape | None
    warnings: list[WarnedShape]


class TermsPage(Answer):
    """One page of terms."""

    items: list[TermsAnswer]
    next: str | None
    previous: str | None


@router.post("", status_code=202, responses=problem_answers(401, 403, 404, 409, 422))
async def propose(body: TermsBody, service: TheService, caller: TermsKeeper) -> TermsAnswer:
    """Propose terms, as either program of the direction; an operator proposes for the source.

    They are refused where they would complete a cycle in which points could gain, or where their ratio looks inverted.
    """
    wanted = _wanted(body, caller)
    with _fields_of_the_body():
        vetted = await asyncio.to_thread(_vet, service, wanted)
        row = await service.write(
            lambda connection: setup.propose(connection, vetted.proposal, service.vetting, service.clock())
        )
    return _answer(service, row, vetted.warnings)


@router.post("/check", responses=problem_answers(401, 403, 404, 409, 422))
def check(body: TermsBody, service: TheService, caller: TermsKeeper) -> CheckAnswer:
    """What proposing the same would be answered. Nothing changes."""
    wanted = _wanted(body, caller)
    with _fields_of_the_body():
        vetted = _vet(service, wanted)
    return CheckAnswer(
        settlement_price_micro=vetted.proposal.settlement_price_micro,
        currency=vetted.proposal.currency,
        fx=_converted(vetted.proposal.fx),
        warnings=_warned(vetted.warnings),
    )


def _vet(service: Service, wanted: Proposal) -> Vetted:
    return service.read(lambda connection: service.vetting.proposed(connection, wanted, service.clock()))


def _wanted(body: TermsBody, caller: ApiKey) -> Proposal:
    if caller.program_id not in (None, body.from_program_id, body.to_program_id):
        raise Forbidden("only a program of this direction can propose its terms", field="from_program_id")
    return body.wanted(caller.program_id or body.from_program_id)


@contextmanager
def _fields_of_the_body() -> Iterator[None]:
    """Refusals name the body's fields."""
    try:
        yield
    except (InvalidRatio, InvalidTerms) as refusal:
        refusal.field = _FIELDS.get(refusal.field or "", refusal.field)
        raise


@router.post("/{terms_id}/consent", status_code=202, responses=problem_answers(401, 403, 404, 409))
async def consent(terms_id: str, service: TheService, caller: TermsKeeper) -> TermsAnswer:
    """Consent to proposed terms, as the program that did not propose them."""

    def look(connection: sa.Connection) -> tuple[Warned, ...]:
        row = setup.consentable(connection, terms_id, caller.program_id)
        return service.vetting.consented(connection, row, service.clock())

    warnings = await asyncio.to_thread(service.read, look)
    row = await service.write(
        lambda connection: setup.consent(connection, terms_id, caller.program_id, service.vetting, service.clock())
    )
    return _answer(service, row, warnings)


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


def _answer(service: Service, row: TermsRow, warnings: Iterable[Warned] = ()) -> TermsAnswer:
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
        fx=_converted(row.fx),
        managed_cap=row.managed_cap,
        wallet_cap=row.wallet_cap,
        rules=dict(row.rules),
        confirmed_ratio=row.confirmed_ratio,
        state=standing,
        reason=row.reason,
        starts_at=rfc3339(row.starts_ms),
        effective_at=rfc3339(row.effective_ms),
        proposed_by=row.proposed_by,
        created_at=time_of(row.created_ms),
        warnings=_warned(warnings),
    )


def _converted(fx: Mapping[str, Any] | None) -> ConvertedShape | None:
    return None if fx is None else ConvertedShape.model_validate(fx)


def _warned(warnings: Iterable[Warned]) -> list[WarnedShape]:
    return [WarnedShape(type=each.type, detail=each.detail) for each in warnings]
