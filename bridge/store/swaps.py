"""Accepting quotes: the source points are held, and the swap waits for its batch."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import (
    accounts,
    events,
    links,
    members,
    operations,
    programs,
    quotes,
    spending,
    streams,
    terms,
)
from bridge.store.ids import new_id, request_hash
from bridge.store.quotes import Quote
from bridge.store.schema import entry, lot, operation, swap
from bridge.store.spending import Purse
from exchange.errors import NoTerms, NotLinked, PointsNotFinal, QuoteExpired, QuoteUsed
from exchange.legs import ACCOUNTS_MAX, plan_legs
from exchange.operations import OperationKind, OperationState
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.words import EntryKind, entry_tag

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Leg:
    """What one account of the source pays, and what lands under the same reference at the destination."""

    from_account: int
    to_account: int
    amount_in: Points
    amount_out: Points


def accept(connection: sa.Connection, program_id: str, key: str, quote_id: str, now_ms: int) -> tuple[str, bool]:
    """Accept a quote. Answers the operation's id and whether it was accepted before under the same key.

    Raises IdempotencyKeyReused, UnknownQuote, QuoteUsed, QuoteExpired, NotLinked, NoTerms, InsufficientPoints,
    PointsNotFinal, CannotSplit, LinkConflict, OverLimit.
    """
    fingerprint = request_hash("swap", quote_id)
    before = operations.known(connection, program_id, [key]).get(key)
    if before is not None:
        before.require_same(fingerprint)
        return before.id, True
    offer = quotes.by_id(connection, quote_id, program_id)
    _require_open(connection, offer, now_ms)
    operation_id = new_id("operation")
    purse = spending.purse(connection, offer.member_id, now_ms)
    legs = _plan(connection, offer, purse)
    connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=OperationKind.SWAP.value,
            program_id=program_id,
            member_id=offer.member_id,
            points=offer.amount_in,
            state=OperationState.ACCEPTED.value,
            idempotency_key=key,
            request_hash=fingerprint,
            tag=entry_tag(program_id, key),
            stream_id=streams.for_path(connection, [program_id, offer.to_program_id]).id,
            created_ms=now_ms,
        )
    )
    connection.execute(
        swap.insert().values(
            operation_id=operation_id,
            quote_id=offer.id,
            to_program_id=offer.to_program_id,
            to_member_id=offer.to_member_id,
            points_out=offer.amount_out,
            terms_id=offer.terms_id,
            settlement_micro=offer.settlement_micro,
        )
    )
    _write(connection, offer, operation_id, legs, now_ms)
    taken = [(leg.from_account, purse.take_from(leg.from_account, leg.amount_in)) for leg in legs]
    spending.hold(connection, operation_id, taken)
    events.operations_changed(
        connection,
        [(program_id, operation_id), (offer.to_program_id, operation_id)],
        OperationState.ACCEPTED,
        now_ms,
    )
    return operation_id, False


def _require_open(connection: sa.Connection, offer: Quote, now_ms: int) -> None:
    used = quotes.used_by(connection, offer.id)
    if used is not None:
        raise QuoteUsed(f"quote {offer.id} was accepted by swap {used}; ask for a new one", field="quote_id")
    if now_ms > offer.expires_ms:
        raise QuoteExpired(
            f"quote {offer.id} expired {(now_ms - offer.expires_ms) / 1000:.0f} s ago; ask for a new one",
            field="quote_id",
        )
    source = members.by_id(connection, offer.member_id)
    if links.counterpart(connection, source, offer.to_program_id).id != offer.to_member_id:
        raise NotLinked("the memberships are no longer linked as they were when this was quoted", field="quote_id")
    agreed = terms.in_force(connection, offer.program_id, offer.to_program_id, now_ms)
    if agreed.id != offer.terms_id:
        raise NoTerms("the terms of this quote are no longer in force; ask for a new one", field="quote_id")
    quotes.require_under_cap(agreed, offer.amount_in, "quote_id")  # its caps may have been lowered since


def _plan(connection: sa.Connection, offer: Quote, purse: Purse) -> list[Leg]:
    """Choose the accounts that pay. The legs' amounts out sum to what was quoted."""
    _require_enough(purse, offer)
    agreed = terms.by_id(connection, offer.terms_id)
    ratio = Ratio(Points(agreed.from_units), Points(agreed.to_units))
    paying = purse.first_expiring()[:ACCOUNTS_MAX]
    chosen = plan_legs(
        [(one, purse.swappable_in(one)) for one in paying],
        offer.amount_in,
        ratio.reduced().from_units,
        leg_min=ratio.needed_for(Points(1)),
    )
    token = programs.by_id(connection, offer.to_program_id).deployed_token
    legs = []
    for source, amount in chosen:
        landing = accounts.landing_account(
            connection,
            program_id=offer.to_program_id,
            token=token,
            member_id=offer.to_member_id,
            reference=source.reference,
        )
        legs.append(Leg(source.id, landing, Points(amount), ratio.convert(Points(amount))))
    assert sum(leg.amount_out for leg in legs) == offer.amount_out, "a split changed what the quote promised"
    return legs


def _require_enough(purse: Purse, offer: Quote) -> None:
    if purse.spendable < offer.amount_in:
        raise purse.short(offer.amount_in, field="quote_id")
    if purse.swappable < offer.amount_in:
        raise PointsNotFinal(
            f"{offer.amount_in:,} points are needed, {purse.swappable:,} are final on the chain; try again shortly",
            field="quote_id",
            limit=purse.swappable,
        )


def _write(connection: sa.Connection, offer: Quote, operation_id: str, legs: list[Leg], now_ms: int) -> None:
    out_of = accounts.system_account(connection, offer.program_id, accounts.SWAPPED)
    into = accounts.system_account(connection, offer.to_program_id, accounts.SWAPPED)
    destination = programs.by_id(connection, offer.to_program_id)
    expires_ms = None if destination.expiry_days is None else now_ms + destination.expiry_days * DAY_MS
    changes = accounts.Changes()
    entries: list[dict[str, object]] = []
    for number, leg in enumerate(legs):
        changes.add(leg.from_account, "debits_pending", leg.amount_in)
        changes.add(out_of, "credits_pending", leg.amount_in)
        changes.add(leg.to_account, "incoming_pending", leg.amount_out)
        changes.add(into, "debits_pending", leg.amount_out)
        common = {
            "operation_id": operation_id,
            "leg": number,
            "kind": EntryKind.SWAP.value,
            "state": "pending",
        }
        entries += [
            common
            | {
                "program_id": offer.program_id,
                "credit": False,
                "amount": leg.amount_in,
                "account_id": leg.from_account,
                "contra_id": out_of,
            },
            common
            | {
                "program_id": offer.to_program_id,
                "credit": True,
                "amount": leg.amount_out,
                "account_id": leg.to_account,
                "contra_id": into,
            },
        ]
    connection.execute(entry.insert(), entries)
    connection.execute(
        lot.insert(),
        [
            {
                "account_id": leg.to_account,
                "operation_id": operation_id,
                "amount": leg.amount_out,
                "remaining": leg.amount_out,
                "pending": True,
                "earned_ms": now_ms,
                "expires_ms": expires_ms,
            }
            for leg in legs
        ],
    )
    changes.apply(connection)
