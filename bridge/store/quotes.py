"""Quotes: firm offers under the terms in force, kept until their deadline."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import links, members, programs, terms
from bridge.store.ids import new_id
from bridge.store.schema import quote, swap
from exchange.errors import NoTerms, OverLimit, UnknownQuote
from exchange.pricing import price, price_for

OPEN, USED, EXPIRED = "open", "used", "expired"


@dataclass(frozen=True, slots=True)
class Quote:
    """A firm offer: `amount_in` leaves the source, `amount_out` reaches the destination, until `expires_ms`."""

    id: str
    program_id: str
    member_id: str
    to_program_id: str
    to_member_id: str
    amount_in: int
    amount_out: int
    remainder: int
    settlement_micro: int
    terms_id: str
    explanation: list[dict[str, object]]
    created_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """What is to be swapped: so much in, or at least so much out."""

    member_id: str | None
    member_number: str | None
    to_program_id: str
    amount_in: int | None
    amount_out: int | None


@dataclass(frozen=True, slots=True)
class Firmness:
    """For how long a quote is firm, and how long after that its batch may take."""

    quote_life_ms: int
    batch_life_ms: int


def create(connection: sa.Connection, program_id: str, request: QuoteRequest, firmness: Firmness, now_ms: int) -> Quote:
    """Price the request under the terms in force and keep the offer.

    Raises UnknownMember, UnknownProgram, ProgramNotActive, NotLinked, NoTerms, OverLimit and what pricing raises.
    """
    source = members.find(connection, program_id, member_id=request.member_id, member_number=request.member_number)
    assert programs.by_id(connection, program_id).deployed_token
    assert programs.by_id(connection, request.to_program_id).deployed_token
    destination = links.counterpart(connection, source, request.to_program_id)
    agreed = terms.in_force(connection, program_id, request.to_program_id, now_ms)
    expires_ms = _deadline(connection, agreed, firmness, now_ms)
    if request.amount_in is not None:
        priced = price(agreed.agreed(), request.amount_in)
    else:
        assert request.amount_out is not None
        priced = price_for(agreed.agreed(), request.amount_out)
    require_under_cap(agreed, priced.amount_in, "amount_in" if request.amount_in is not None else "amount_out")
    made = Quote(
        id=new_id("quote"),
        program_id=program_id,
        member_id=source.id,
        to_program_id=request.to_program_id,
        to_member_id=destination.id,
        amount_in=priced.amount_in,
        amount_out=priced.amount_out,
        remainder=priced.remainder,
        settlement_micro=priced.settlement,
        terms_id=agreed.id,
        explanation=[{"label": line.label, "detail": line.detail, "points": line.points} for line in priced.lines],
        created_ms=now_ms,
        expires_ms=expires_ms,
    )
    connection.execute(quote.insert().values({name: getattr(made, name) for name in Quote.__slots__}))
    return made


def require_under_cap(agreed: terms.TermsRow, amount_in: int, field: str) -> None:
    """Raises OverLimit when one swap takes more than the terms let through in a whole period."""
    if amount_in > agreed.managed_cap:
        raise OverLimit(
            f"these terms let {agreed.managed_cap:,} points through in a period, {amount_in:,} can never be swapped",
            field=field,
            limit=agreed.managed_cap,
        )


def by_id(connection: sa.Connection, quote_id: str, program_id: str | None = None) -> Quote:
    """The quote with this id, of this source program where one is named. Raises UnknownQuote."""
    row = connection.execute(sa.select(quote).where(quote.c.id == quote_id)).one_or_none()
    if row is None or (program_id is not None and row.program_id != program_id):
        raise UnknownQuote(f"there is no quote {quote_id}", field="quote_id")
    return Quote(**row._mapping)


def used_by(connection: sa.Connection, quote_id: str) -> str | None:
    """The swap that accepted the quote, or None."""
    return connection.scalar(sa.select(swap.c.operation_id).where(swap.c.quote_id == quote_id))


def state(connection: sa.Connection, found: Quote, at_ms: int) -> str:
    """Whether the offer can still be accepted."""
    if used_by(connection, found.id) is not None:
        return USED
    return OPEN if at_ms <= found.expires_ms else EXPIRED


def _deadline(connection: sa.Connection, agreed: terms.TermsRow, firmness: Firmness, now_ms: int) -> int:
    """When the offer ends: early enough that its batch is on the chain before other terms replace these."""
    wanted = now_ms + firmness.quote_life_ms
    change_ms = terms.next_change_ms(connection, agreed.from_program_id, agreed.to_program_id, now_ms)
    if change_ms is None:
        return wanted
    latest = change_ms - firmness.batch_life_ms
    if latest <= now_ms:
        raise NoTerms(
            "these terms are about to be replaced and a swap might not reach the chain in time; ask again when the"
            " announced terms are in force",
            field="to_program_id",
        )
    return min(wanted, latest)
