"""Quotes: firm offers for a swap."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, model_validator

from bridge.api.access import Reader, SwappingProgram
from bridge.api.context import Service, TheService
from bridge.api.members import MemberNumber
from bridge.api.shapes import Answer, Body, Whole, problem_answers, time_of
from bridge.store import quotes, terms
from bridge.store.quotes import Firmness, Quote, QuoteRequest

router = APIRouter(prefix="/v1/quotes", tags=["quotes"])


class QuoteBody(Body):
    """What a member wants to swap: so much in, or at least so much out."""

    member_id: Annotated[str, Field(max_length=40)] | None = None
    member_number: MemberNumber | None = None
    to_program_id: Annotated[str, Field(max_length=40)]
    amount_in: Whole | None = None
    amount_out: Whole | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> "QuoteBody":
        if (self.member_id is None) == (self.member_number is None):
            raise ValueError("name the member by exactly one of member_id and member_number")
        if (self.amount_in is None) == (self.amount_out is None):
            raise ValueError("say exactly one of amount_in and amount_out")
        return self


class ExplanationLine(Answer):
    """One line of how the quote came about."""

    label: str
    detail: str
    points: int


class QuoteAnswer(Answer):
    """A firm offer: `amount_in` is burned, `amount_out` is minted, if it is accepted by `expires_at`."""

    id: str
    member_id: str
    to_member_id: str
    from_program_id: str
    to_program_id: str
    amount_in: int
    amount_out: int
    remainder: int
    terms_id: str
    terms_version: int
    settlement_micro: int
    currency: str
    expires_at: str
    state: str
    explanation: list[ExplanationLine]


@router.post("", status_code=201, responses=problem_answers(401, 403, 404, 409, 422))
async def create(body: QuoteBody, service: TheService, program_id: SwappingProgram) -> QuoteAnswer:
    """Price a swap under the terms in force, and stand by it until the deadline."""
    request = QuoteRequest(body.member_id, body.member_number, body.to_program_id, body.amount_in, body.amount_out)
    firmness = Firmness(service.settings.quote_life_s * 1000, service.settings.batch_life_s * 1000)
    made = await service.write(
        lambda connection: quotes.create(connection, program_id, request, firmness, service.clock())
    )
    return _answer(service, made)


@router.get("/{quote_id}", responses=problem_answers(401, 403, 404))
def show(quote_id: str, service: TheService, caller: Reader) -> QuoteAnswer:
    """One quote, for the program that asked for it."""
    return _answer(service, service.read(lambda connection: quotes.by_id(connection, quote_id, caller.program_id)))


def _answer(service: Service, one: Quote) -> QuoteAnswer:
    with service.database.read() as connection:
        agreed = terms.by_id(connection, one.terms_id)
        state = quotes.state(connection, one, service.clock())
    assert agreed.version is not None
    return QuoteAnswer(
        id=one.id,
        member_id=one.member_id,
        to_member_id=one.to_member_id,
        from_program_id=one.program_id,
        to_program_id=one.to_program_id,
        amount_in=one.amount_in,
        amount_out=one.amount_out,
        remainder=one.remainder,
        terms_id=one.terms_id,
        terms_version=agreed.version,
        settlement_micro=one.settlement_micro,
        currency=agreed.currency,
        expires_at=time_of(one.expires_ms),
        state=state,
        explanation=[ExplanationLine.model_validate(line) for line in one.explanation],
    )
