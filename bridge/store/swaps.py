"""Accepting quotes: the source points are held, and the swap waits for its batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import (
    accounts,
    adoption,
    events,
    extras,
    links,
    lots,
    members,
    operations,
    programs,
    quotes,
    spending,
    streams,
    terms,
    usage,
)
from bridge.store.adoption import Asked
from bridge.store.extras import Portion
from bridge.store.ids import new_id, request_hash
from bridge.store.quotes import Quote
from bridge.store.schema import entry, leg_hop, lot, operation, swap
from bridge.store.spending import Purse
from exchange.eligibility import divided
from exchange.errors import NoTerms, NotLinked, PointsNotFinal, QuoteExpired, QuoteUsed, UnknownQuote
from exchange.legs import ACCOUNTS_MAX, path_block, path_least, plan_legs
from exchange.lots import Take
from exchange.operations import OperationKind, OperationState
from exchange.path import Hop, Path
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import Expiry, Received
from exchange.situation import Situation
from exchange.terms import Terms
from exchange.words import EntryKind, entry_tag

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Leg:
    """What one account of the source pays, of which lots, and what lands under the same reference at the destination.

    `amounts_out` is what stands after each hop; only the last of it is ever in an account.
    """

    from_account: int
    to_account: int
    amount_in: Points
    amounts_out: list[Points]
    takes: list[Take[int]]

    @property
    def amount_out(self) -> Points:
        """What lands at the destination."""
        return self.amounts_out[-1]


def accept(connection: sa.Connection, program_id: str, key: str, quote_id: str, now_ms: int) -> tuple[str, bool]:
    """Accept a quote. Answers the operation's id and whether it was accepted before under the same key.

    What the quote says of bonuses and fees is accepted with it. Nothing is priced again, and no cap of the rules is
    looked at again: the quote reserved them. Raises IdempotencyKeyReused, UnknownQuote, QuoteUsed, QuoteExpired,
    NotLinked, NoTerms, DirectionClosed, InsufficientPoints, NotEligible, PointsNotFinal, CannotSplit, LinkConflict,
    OverLimit.
    """
    fingerprint = request_hash("swap", quote_id)
    before = operations.known(connection, program_id, [key]).get(key)
    if before is not None:
        before.require_same(fingerprint)
        return before.id, True
    restored = _restored(connection, program_id, key, quote_id)
    if restored is not None:
        return restored, True
    offer = quotes.by_id(connection, quote_id, program_id)
    agreed = _require_open(connection, offer, now_ms)
    operation_id = new_id("operation")
    legs = _plan(connection, offer, agreed, now_ms)
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
            stream_id=streams.for_path(connection, offer.path).id,
            created_ms=now_ms,
        )
    )
    connection.execute(
        swap.insert().values(
            operation_id=operation_id,
            quote_id=offer.id,
            to_program_id=offer.to_program_id,
            to_member_id=offer.to_member_id,
            points_out=offer.base_out,
            settlement_micro=offer.settlement_micro,
        )
    )
    events.operations_changed(
        connection,
        [(program_id, operation_id), (offer.to_program_id, operation_id)],
        OperationState.ACCEPTED,
        now_ms,
    )
    arriving = Arriving.of(connection, offer.to_program_id, agreed[-1].rules.received, legs, now_ms)
    enter(connection, (offer.program_id, offer.to_program_id), operation_id, legs, arriving)
    spending.hold(connection, operation_id, [(leg.from_account, leg.takes) for leg in legs])
    usage.accepted(connection, offer.id, now_ms)
    bonus = arriving.portions(offer.bonus, [take for leg in legs for take in leg.takes])
    extras.accept(connection, offer, operation_id, bonus, onward=arriving.received.onward, now_ms=now_ms)
    return operation_id, False


def _restored(connection: sa.Connection, program_id: str, key: str, quote_id: str) -> str | None:
    """The swap that a request was accepted as by a ledger that knew more, whose quote may be lost with it, or None."""
    found = adoption.candidates(connection, program_id, [key]).get(key)
    if not found:
        return None
    try:
        offer = quotes.by_id(connection, quote_id, program_id)
        said: tuple[int | None, str | None] = (offer.amount_in, offer.member_id)
    except UnknownQuote:
        said = (None, None)
    asked = Asked(key, OperationKind.SWAP, request_hash("swap", quote_id), *said)
    known = adoption.adopt(connection, program_id, asked, found)
    return None if known is None else known.id


def _require_open(connection: sa.Connection, offer: Quote, now_ms: int) -> list[Terms]:
    """The terms of the quote's hops, under which it can be accepted now."""
    used = quotes.used_by(connection, offer.id)
    if used is not None:
        raise QuoteUsed(f"quote {offer.id} was accepted by swap {used}; ask for a new one", field="quote_id")
    if now_ms > offer.expires_ms:
        raise QuoteExpired(
            f"quote {offer.id} expired {-(-(now_ms - offer.expires_ms) // 1000)} s ago; ask for a new one",
            field="quote_id",
        )
    source = members.by_id(connection, offer.member_id)
    destination = links.counterpart(connection, source, offer.to_program_id)
    if destination.id != offer.to_member_id:
        raise NotLinked("the memberships are no longer linked as they were when this was quoted", field="quote_id")
    rows = []
    for hop in offer.hops:
        row = terms.in_force(connection, hop.from_program_id, hop.to_program_id, now_ms)
        if row.id != hop.terms_id:
            raise NoTerms("the terms of this quote are no longer in force; ask for a new one", field="quote_id")
        rows.append(row)
    quotes.require_carried(connection, offer, rows, "quote_id")  # caps and credit may have been lowered since
    agreed = [row.agreed() for row in rows]
    quotes.require_standing(source, destination, agreed[0], now_ms, "quote_id")  # the link may be a new one
    return agreed


def _plan(connection: sa.Connection, offer: Quote, agreed: Sequence[Terms], now_ms: int) -> list[Leg]:
    """Choose the accounts and lots that pay. The legs' amounts sum to what was quoted, after every hop."""
    purse = spending.purse(connection, offer.member_id, now_ms)
    going = purse.going(agreed[0].rules.eligible)
    _require_enough(purse, going, offer)
    ratios = [each.ratio for each in agreed]
    chosen = plan_legs(
        [(one, going.swappable_in(one)) for one in going.first_expiring()[:ACCOUNTS_MAX]],
        offer.amount_in,
        path_block(ratios),
        leg_min=path_least(ratios),
        burned=lambda amount: _path(offer, agreed, now_ms).burned(amount),
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
        takes = going.take_from(source.id, Points(amount))
        legs.append(Leg(source.id, landing, Points(amount), along(ratios, Points(amount)), takes))
    quoted = [hop.amount_out for hop in offer.hops]
    assert [sum(after) for after in zip(*(leg.amounts_out for leg in legs), strict=True)] == quoted, (
        "a split changed what the quote promised"
    )
    return legs


def _path(offer: Quote, agreed: Sequence[Terms], now_ms: int) -> Path:
    """The quote's path for whoever asks for less: the tier is of the first program."""
    at = now_ms // 1_000
    situations = [Situation(at, offer.tier), *(Situation(at) for _ in agreed[1:])]
    return Path([Hop(each, situation) for each, situation in zip(agreed, situations, strict=True)])


def along(ratios: Sequence[Ratio], amount: Points) -> list[Points]:
    """What stands after each hop, rounded down there as the contract does."""
    after = []
    for ratio in ratios:
        amount = ratio.convert(amount)
        after.append(amount)
    return after


def _require_enough(purse: Purse, going: Purse, offer: Quote) -> None:
    """The swap takes from what may go and is final, the fee from what is left of everything."""
    if purse.spendable < offer.amount_in + offer.fee_points:
        raise purse.short(offer.amount_in + offer.fee_points, field="quote_id")
    if going.spendable < offer.amount_in:
        raise going.too_few(offer.amount_in, "quote_id")
    if going.swappable < offer.amount_in:
        raise PointsNotFinal(
            f"{offer.amount_in:,} points are needed, {going.swappable:,} are final on the chain; try again shortly",
            field="quote_id",
            limit=going.swappable,
        )


@dataclass(frozen=True, slots=True)
class Arriving:
    """When what arrives expires: as points do at the destination, or as its terms have it."""

    received: Received
    now_ms: int
    standard_ms: int | None
    #: when the points of each lot that pays expire
    inherited_ms: dict[int, int | None]

    @classmethod
    def of(
        cls, connection: sa.Connection, to_program_id: str, received: Received, legs: Sequence[Leg], now_ms: int
    ) -> "Arriving":
        """What these legs bring to a program at this moment."""
        days = programs.by_id(connection, to_program_id).expiry_days
        standard_ms = None if days is None else now_ms + days * DAY_MS
        if received.expiry is Expiry.SHORTENS:
            assert received.days is not None
            sooner_ms = now_ms + received.days * DAY_MS
            standard_ms = sooner_ms if standard_ms is None else min(standard_ms, sooner_ms)
        marks = lots.marks_of(connection, [take.lot_id for leg in legs for take in leg.takes])
        return cls(received, now_ms, standard_ms, {lot_id: each.expires_ms for lot_id, each in marks.items()})

    def portions(self, amount: int, takes: Sequence[Take[int]]) -> list[Portion]:
        """`amount`, which arrives for these takes, by its expiry."""
        if self.received.expiry is not Expiry.INHERITS:
            return [Portion(amount, self.standard_ms)] if amount else []
        sums: dict[int | None, int] = {}
        for take, part in zip(takes, divided(amount, [take.amount for take in takes]), strict=True):
            inherited_ms = self.inherited_ms[take.lot_id]
            expires_ms = self.standard_ms if inherited_ms is None else inherited_ms
            sums[expires_ms] = sums.get(expires_ms, 0) + part
        return [Portion(part, expires_ms) for expires_ms, part in sums.items() if part]


def enter(
    connection: sa.Connection, ends: tuple[str, str], operation_id: str, legs: Sequence[Leg], arriving: Arriving
) -> None:
    """Write the pending entries and lots of a swap's legs from one program to another."""
    out_of, into = (accounts.system_account(connection, program_id, accounts.SWAPPED) for program_id in ends)
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
                "program_id": ends[0],
                "credit": False,
                "amount": leg.amount_in,
                "account_id": leg.from_account,
                "contra_id": out_of,
            },
            common
            | {
                "program_id": ends[1],
                "credit": True,
                "amount": leg.amount_out,
                "account_id": leg.to_account,
                "contra_id": into,
            },
        ]
    connection.execute(entry.insert(), entries)
    changes.apply(connection)
    _write_between(connection, operation_id, legs)
    connection.execute(lot.insert(), _lots(operation_id, legs, arriving))


def _write_between(connection: sa.Connection, operation_id: str, legs: Sequence[Leg]) -> None:
    """Keep what the legs become in the programs between, where they have no entry: positions move by it."""
    between = [
        {"operation_id": operation_id, "leg": number, "place": place, "points": points}
        for number, leg in enumerate(legs)
        for place, points in enumerate(leg.amounts_out[:-1])
    ]
    if between:
        connection.execute(leg_hop.insert(), between)


def _lots(operation_id: str, legs: Sequence[Leg], arriving: Arriving) -> list[dict[str, object]]:
    return [
        {
            "account_id": leg.to_account,
            "operation_id": operation_id,
            "amount": portion.amount,
            "remaining": portion.amount,
            "pending": True,
            "received": True,
            "onward": arriving.received.onward,
            "earned_ms": arriving.now_ms,
            "expires_ms": portion.expires_ms,
        }
        for leg in legs
        for portion in arriving.portions(leg.amount_out, leg.takes)
    ]
