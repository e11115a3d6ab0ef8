"""Quotes: firm offers for a swap."""

import asyncio
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import Field, model_validator

from bridge.api import prices
from bridge.api.access import Reader, SwappingProgram
from bridge.api.context import Service, TheService
from bridge.api.members import MemberNumber
from bridge.api.prices import PriceShape
from bridge.api.shapes import Answer, Body, Whole, hex_of, problem_answers, time_of
from bridge.chain.signin import checksummed
from bridge.posting import offers
from bridge.posting.offers import Offer
from bridge.posting.quoting import DIRECT, Plan, Wish
from bridge.store import quotes, terms
from bridge.store.paths import PATH_PROGRAMS_MAX, PATH_PROGRAMS_MIN
from bridge.store.quotes import Firmness, Quote
from exchange.checks import NAME_MAX

router = APIRouter(prefix="/v1/quotes", tags=["quotes"])

Id = Annotated[str, Field(max_length=40)]
Tier = Annotated[str, Field(min_length=1, max_length=NAME_MAX, description="the member's tier at their program")]


class QuoteBody(Body):
    """What a member wants to swap: so much in, or at least so much out; along a path, the best route, or directly."""

    member_id: Id | None = None
    member_number: MemberNumber | None = None
    to_program_id: Id
    amount_in: Whole | None = None
    amount_out: Whole | None = None
    path: Annotated[
        list[Id] | None,
        Field(
            min_length=PATH_PROGRAMS_MIN,
            max_length=PATH_PROGRAMS_MAX,
            description="the programs along the way, from the member's own to the destination",
        ),
    ] = None
    route: Annotated[
        Literal["direct", "points", "hops"] | None,
        Field(description="points: the best route; hops: the shortest; direct, if neither this nor a path is said"),
    ] = None
    tier: Tier | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> "QuoteBody":
        if (self.member_id is None) == (self.member_number is None):
            raise ValueError("name the member by exactly one of member_id and member_number")
        if (self.amount_in is None) == (self.amount_out is None):
            raise ValueError("say exactly one of amount_in and amount_out")
        if self.path is not None and self.route is not None:
            raise ValueError("say a path, or which route is the best")
        return self


class SignedShape(Answer):
    """The promise as typed data (EIP-712) and the exchange operator's signature under it, which anybody can check."""

    typed_data: dict[str, Any]
    signature: str
    signer: str


class QuoteAnswer(PriceShape):
    """A firm offer, if it is accepted by `expires_at`; never priced again."""

    id: str
    member_id: str
    to_member_id: str
    tier: str | None
    terms_id: Annotated[str, Field(description="of the first hop")]
    terms_version: int
    expires_at: str
    state: str
    signed: SignedShape


@router.post("", status_code=201, responses=problem_answers(401, 403, 404, 409, 422))
async def create(body: QuoteBody, service: TheService, program_id: SwappingProgram) -> QuoteAnswer:
    """Price a swap under the terms in force, and stand by it until the deadline.

    What it takes of caps is reserved until then, so a member may have only some open quotes.
    """
    wish = Wish(
        body.member_id,
        body.member_number,
        body.to_program_id,
        body.amount_in,
        body.amount_out,
        tuple(body.path or ()),
        body.route or DIRECT,
        body.tier,
    )
    chosen = service.settings
    firmness = Firmness(chosen.quote_life_s * 1000, chosen.batch_life_s * 1000, chosen.open_quotes_max)
    # What takes long is not for the writer: the search for a route goes before, the signature comes after. Nobody is
    # told of an offer before it is signed.
    plan = await asyncio.to_thread(_plan, service, program_id, wish)
    made = await service.write(
        lambda connection: service.quoting.quote(connection, program_id, wish, plan, firmness, service.clock())
    )
    offer = service.read(lambda connection: _offer(service, connection, made))
    signature = await asyncio.to_thread(service.offers.sign, offer)
    signed = await service.write(lambda connection: quotes.sign(connection, made, signature, offer.signer))
    return service.read(lambda connection: _answer(service, connection, signed))


@router.get("/{quote_id}", responses=problem_answers(401, 403, 404))
def show(quote_id: str, service: TheService, caller: Reader) -> QuoteAnswer:
    """One quote, for the program that asked for it."""

    def find(connection: sa.Connection) -> QuoteAnswer:
        return _answer(service, connection, quotes.by_id(connection, quote_id, caller.program_id))

    return service.read(find)


def _plan(service: Service, program_id: str, wish: Wish) -> Plan:
    return service.read(lambda connection: service.quoting.plan(connection, program_id, wish, service.clock()))


def _offer(service: Service, connection: sa.Connection, one: Quote) -> Offer:
    return service.offers.offer(
        connection,
        offers.Terms(
            id=one.id,
            programs=one.path,
            versions=[terms.by_id(connection, hop.terms_id).version or 0 for hop in one.hops],
            member_id=one.member_id,
            to_member_id=one.to_member_id,
            amount_in=one.amount_in,
            amount_out=one.amount_out,
            bonus=one.bonus,
            fee_points=one.fee_points,
            fees=[(str(fee["currency"]), int(str(fee["micro"]))) for fee in one.fees],
            deadline_ms=one.expires_ms,
        ),
    )


def _answer(service: Service, connection: sa.Connection, one: Quote) -> QuoteAnswer:
    priced = prices.of_quote(connection, one)
    offer = _offer(service, connection, one)
    # One that was never answered may lack its signature; the same key gives the same one again. Whoever signed stays
    # the signer, also when the operator is another one by now.
    signature, signer = one.signature, one.signer
    if signature is None or signer is None:
        signature, signer = service.offers.sign(offer), offer.signer
    return QuoteAnswer(
        **priced,
        id=one.id,
        member_id=one.member_id,
        to_member_id=one.to_member_id,
        tier=one.tier,
        terms_id=one.terms_id,
        terms_version=priced["hops"][0].terms_version,
        expires_at=time_of(one.expires_ms),
        state=quotes.state(connection, one, service.clock()),
        signed=SignedShape(typed_data=offer.message, signature=hex_of(signature), signer=checksummed(signer)),
    )
