"""Quotes: firm offers along a path under the terms in force, kept until their deadline.

An open quote holds no points. What it takes of the caps of terms is reserved until it is accepted or expires, so the
number of open quotes of one member is limited.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import sqlalchemy as sa

from bridge.store import earns, limits, links, members, paths, programs, spending, terms, usage
from bridge.store.ids import new_id
from bridge.store.members import Member
from bridge.store.paths import InvalidPath
from bridge.store.schema import quote, quote_hop, swap
from bridge.store.spending import Purse
from bridge.store.terms import TermsRow
from bridge.store.usage import Customer
from exchange.eligibility import require_standing as require_old_enough
from exchange.errors import DirectionClosed, OverLimit, SarrafError, TooManyQuotes, UnknownQuote
from exchange.explanation import Worth
from exchange.pricing import Hop, Path, Price, most_payable, price_route, price_route_for
from exchange.terms import Terms

OPEN, USED, EXPIRED = "open", "used", "expired"

#: Open quotes of one member, unless the settings say otherwise.
OPEN_QUOTES_MAX = 5


@dataclass(frozen=True, slots=True)
class QuotedHop:
    """What a quote does in one direction of its path.

    `bonus` comes on top of `amount_out`, on the last hop only; `settlement_micro` is what the source program of the
    direction comes to owe its destination.
    """

    place: int
    from_program_id: str
    to_program_id: str
    terms_id: str
    amount_in: int
    amount_out: int
    bonus: int
    settlement_micro: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A firm offer until `expires_ms`: `amount_in` and `fee_points` leave the source, `amount_out` reaches the
    destination, of which the swap itself brings `base_out` and bonuses the rest.

    `nearest_above` is the least amount in that gives more. `bonuses` name each with its points, `fees` what is owed in
    money, `value` what is given and received in money and by which rates; `signer` is the address
    whose key made the signature.
    """

    id: str
    program_id: str
    member_id: str
    to_program_id: str
    to_member_id: str
    tier: str | None
    amount_in: int
    base_out: int
    amount_out: int
    bonuses: list[dict[str, object]]
    fee_points: int
    fees: list[dict[str, object]]
    remainder: int
    nearest_above: int | None
    settlement_micro: int
    value: dict[str, object] | None
    explanation: list[dict[str, object]]
    signature: bytes | None
    signer: bytes | None
    created_ms: int
    expires_ms: int
    hops: list[QuotedHop]

    @property
    def path(self) -> list[str]:
        """The ids of the programs along the path, source first."""
        return [self.program_id, *(hop.to_program_id for hop in self.hops)]

    @property
    def terms_id(self) -> str:
        """The terms of the first hop."""
        return self.hops[0].terms_id

    @property
    def bonus(self) -> int:
        """What all bonuses add."""
        return self.amount_out - self.base_out


_COLUMNS = [name for name in Quote.__slots__ if name != "hops"]


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """What is to be swapped: so much in, or at least so much out; along a path, or (empty) directly."""

    member_id: str | None
    member_number: str | None
    to_program_id: str
    amount_in: int | None
    amount_out: int | None
    path: Sequence[str] = ()
    tier: str | None = None

    @property
    def field(self) -> str:
        """Which amount was asked for."""
        return "amount_in" if self.amount_in is not None else "amount_out"


@dataclass(frozen=True, slots=True)
class Firmness:
    """For how long a quote is firm, how long after that its batch may take, and how many one member may have open."""

    quote_life_ms: int
    batch_life_ms: int
    open_quotes_max: int = OPEN_QUOTES_MAX


def create(
    connection: sa.Connection,
    program_id: str,
    request: QuoteRequest,
    firmness: Firmness,
    now_ms: int,
    worth: Worth | None = None,
) -> Quote:
    """Price the request under the terms in force and keep the offer; `worth` says what points are worth in money.

    Raises UnknownMember, UnknownProgram, ProgramNotActive, InvalidPath, NotLinked, NoTerms, DirectionClosed,
    TooManyQuotes, OverLimit, InsufficientPoints, NotEligible and what pricing raises.
    """
    source = members.find(connection, program_id, member_id=request.member_id, member_number=request.member_number)
    path = _path(connection, program_id, request)
    destination = links.counterpart(connection, source, request.to_program_id)
    agreed = [terms.in_force(connection, *direction, now_ms) for direction in pairwise(path)]
    expires_ms = _deadline(connection, agreed, firmness, now_ms)
    _require_few_open(connection, source, firmness, now_ms)
    found = [row.agreed() for row in agreed]
    require_standing(source, destination, found[0], now_ms, request.field)
    who = Customer.of(connection, source, request.tier)
    ways = _ways(connection, agreed, found, who, now_ms)
    priced = _price(ways, request, worth)
    made = _quote(priced, source, destination, request.tier, worth, now_ms, expires_ms)
    _require_fits(connection, made, agreed, request, ways)
    _require_points(connection, made, request, ways)
    connection.execute(quote.insert().values({name: getattr(made, name) for name in _COLUMNS}))
    connection.execute(
        quote_hop.insert(),
        [asdict(hop) | _reserved(made, hop, row) for hop, row in zip(made.hops, agreed, strict=True)],
    )
    usage.reserve(connection, made.id, who, expires_ms)
    return made


def _reserved(made: Quote, hop: QuotedHop, row: TermsRow) -> dict[str, object]:
    """What is kept with a hop for counting it."""
    return {
        "quote_id": made.id,
        "partner_group": usage.group_of(row),
        "used_out": hop.amount_in,
        "used_in": hop.amount_out + hop.bonus,
        "reserved_until_ms": made.expires_ms,
    }


def sign(connection: sa.Connection, found: Quote, signature: bytes, signer: bytes) -> Quote:
    """Keep the exchange's signature under the promise, and the address whose key made it."""
    connection.execute(quote.update().where(quote.c.id == found.id).values(signature=signature, signer=signer))
    return replace(found, signature=signature, signer=signer)


def require_carried(connection: sa.Connection, made: Quote, agreed: Sequence[TermsRow], field: str) -> None:
    """Raises OverLimit where no batch could ever carry the swap, were it alone and everything else settled.

    One swap may take no more than the terms of a hop let through in a whole period, and make no program owe more than
    it may: a program between owes what it passes on for more than it got.
    """
    received = 0
    for hop, row in zip(made.hops, agreed, strict=True):
        if hop.amount_in > row.managed_cap:
            direction = terms.name_direction(connection, row)
            raise OverLimit(
                f"these terms {direction} let {row.managed_cap:,} points through in a period, {hop.amount_in:,} can"
                " never be swapped",
                field=field,
                limit=row.managed_cap,
            )
        owing = programs.by_id(connection, hop.from_program_id)
        owed, received = hop.settlement_micro - received, hop.settlement_micro
        if owed > owing.credit_limit_micro:
            raise OverLimit(
                f"{owing.symbol} would come to owe {owed:,} micro-units by a swap"
                f" {terms.name_direction(connection, row)}, and may owe {owing.credit_limit_micro:,}: that much can"
                " never be swapped at once",
                field=field,
                limit=owing.credit_limit_micro,
            )


def require_standing(source: Member, destination: Member, agreed: Terms, now_ms: int, field: str) -> None:
    """Raises NotEligible where the terms of the first hop are for older members, or for older links."""
    linked_ms = links.since_ms(source, destination)
    require_old_enough(agreed.rules.eligible, source.created_ms // 1000, linked_ms // 1000, now_ms // 1000, field)


def by_id(connection: sa.Connection, quote_id: str, program_id: str | None = None) -> Quote:
    """The quote with this id, of this source program where one is named. Raises UnknownQuote."""
    row = connection.execute(
        sa.select(*(quote.c[name] for name in _COLUMNS)).where(quote.c.id == quote_id)
    ).one_or_none()
    if row is None or (program_id is not None and row.program_id != program_id):
        raise UnknownQuote(f"there is no quote {quote_id}", field="quote_id")
    hops = connection.execute(
        sa.select(*(quote_hop.c[name] for name in QuotedHop.__slots__))
        .where(quote_hop.c.quote_id == quote_id)
        .order_by(quote_hop.c.place)
    )
    return Quote(**row._mapping, hops=[QuotedHop(**hop._mapping) for hop in hops])


def used_by(connection: sa.Connection, quote_id: str) -> str | None:
    """The swap that accepted the quote, or None."""
    return connection.scalar(sa.select(swap.c.operation_id).where(swap.c.quote_id == quote_id))


def state(connection: sa.Connection, found: Quote, at_ms: int) -> str:
    """Whether the offer can still be accepted."""
    if used_by(connection, found.id) is not None:
        return USED
    return OPEN if at_ms <= found.expires_ms else EXPIRED


# -- making one -------------------------------------------------------------------------------


def _path(connection: sa.Connection, program_id: str, request: QuoteRequest) -> list[str]:
    path = list(request.path) or [program_id, request.to_program_id]
    if request.path:
        paths.require(path)
        if (path[0], path[-1]) != (program_id, request.to_program_id):
            raise InvalidPath("a path leads from the member's program to the destination", field="path")
    for one in path:
        assert programs.by_id(connection, one).deployed_token
    return path


def _deadline(connection: sa.Connection, agreed: Sequence[TermsRow], firmness: Firmness, now_ms: int) -> int:
    """When the offer ends: early enough that its batch is on the chain before other terms replace any of these."""
    deadline = now_ms + firmness.quote_life_ms
    for row in agreed:
        change_ms = terms.next_change_ms(connection, row.from_program_id, row.to_program_id, now_ms)
        if change_ms is None:
            continue
        latest = change_ms - firmness.batch_life_ms
        if latest <= now_ms:
            raise DirectionClosed(
                f"the terms {terms.name_direction(connection, row)} are about to be replaced and a swap might not reach"
                " the chain in time; ask again when the announced terms are in force",
                field="to_program_id",
            )
        deadline = min(deadline, latest)
    return deadline


def _require_few_open(connection: sa.Connection, source: Member, firmness: Firmness, now_ms: int) -> None:
    is_open = quote.c.member_id == source.id, quote.c.accepted_ms.is_(None), quote.c.expires_ms >= now_ms
    count, next_ms = connection.execute(
        sa.select(sa.func.count(), sa.func.min(quote.c.expires_ms)).where(*is_open)
    ).one()
    if count >= firmness.open_quotes_max:
        raise TooManyQuotes(
            f"the member has {count} open quotes, and may have {firmness.open_quotes_max}; the next one expires in"
            f" {-(-(next_ms - now_ms) // 1000)} s",
            field="member_id",
            limit=firmness.open_quotes_max,
        )


def _ways(
    connection: sa.Connection, agreed: Sequence[TermsRow], found: Sequence[Terms], who: Customer, now_ms: int
) -> list[list[Hop]]:
    """The hops in all situations in which the quote may be accepted."""
    perhaps = [
        usage.situations(connection, row, each.rules, who if place == 0 else who.abroad, now_ms)
        for place, (row, each) in enumerate(zip(agreed, found, strict=True))
    ]
    return [
        [Hop(each, some[min(number, len(some) - 1)]) for each, some in zip(found, perhaps, strict=True)]
        for number in range(max(map(len, perhaps)))
    ]


def _price(ways: Sequence[Sequence[Hop]], request: QuoteRequest, worth: Worth | None = None) -> Price:
    """A price that holds in all these situations.

    Where the n-th transfer of a period gets something else, quotes that only wait to expire must gain nothing.
    """
    if request.amount_in is not None:
        return price_route(ways[0], request.amount_in, worth, ways[1:])
    assert request.amount_out is not None
    return price_route_for(ways[0], request.amount_out, worth, ways[1:])


def _quote(
    priced: Price,
    source: Member,
    destination: Member,
    tier: str | None,
    worth: Worth | None,
    now_ms: int,
    expires_ms: int,
) -> Quote:
    last = len(priced.hops) - 1
    bonus = priced.amount_out - priced.base_out
    return Quote(
        id=new_id("quote"),
        program_id=source.program_id,
        member_id=source.id,
        to_program_id=destination.program_id,
        to_member_id=destination.id,
        tier=tier,
        amount_in=priced.amount_in,
        base_out=priced.base_out,
        amount_out=priced.amount_out,
        bonuses=[asdict(one) for one in priced.bonuses],
        fee_points=priced.fee_points,
        fees=[asdict(one) for one in priced.fees],
        remainder=priced.remainder,
        nearest_above=priced.nearest_above,
        settlement_micro=priced.settlement,
        value=None if priced.value is None or worth is None else asdict(priced.value) | {"note": worth.note},
        explanation=[asdict(line) for line in priced.lines],
        signature=None,
        signer=None,
        created_ms=now_ms,
        expires_ms=expires_ms,
        hops=[
            QuotedHop(
                place,
                hop.terms.source,
                hop.terms.destination,
                hop.terms.id,
                hop.amount_in,
                hop.amount_out,
                bonus if place == last else 0,
                hop.settlement,
            )
            for place, hop in enumerate(priced.hops)
        ],
    )


def _require_points(
    connection: sa.Connection, made: Quote, request: QuoteRequest, ways: Sequence[Sequence[Hop]]
) -> None:
    """Raises InsufficientPoints or NotEligible where the member could not pay this quote alone: it would reserve caps
    for nothing.

    Points that still wait for the chain count, since they may be final when the quote is accepted.
    """
    purse = spending.purse(connection, made.member_id, made.created_ms)
    going = purse.going(ways[0][0].terms.rules.eligible)
    refusal: SarrafError
    if made.amount_in + made.fee_points > purse.spendable:
        refusal = purse.short(made.amount_in + made.fee_points, request.field)
    elif made.amount_in > going.spendable:
        refusal = going.too_few(made.amount_in, request.field)
    else:
        return
    refusal.nearest = None
    payable = _payable(purse, ways)
    if payable > 0:
        with suppress(SarrafError):
            best = _price(ways, replace(request, amount_in=payable, amount_out=None))
            refusal.nearest = best.amount_in if request.amount_in is not None else best.amount_out
    if request.amount_out is not None:
        refusal.limit = refusal.nearest or 0
    raise refusal


def _payable(purse: Purse, ways: Sequence[Sequence[Hop]]) -> int:
    """The greatest amount, valid or not, that the member's points pay with the fee on it."""
    going = purse.going(ways[0][0].terms.rules.eligible)
    return min(going.spendable, most_payable(ways[0], purse.spendable, ways[1:]))


def _require_fits(
    connection: sa.Connection,
    made: Quote,
    agreed: Sequence[TermsRow],
    request: QuoteRequest,
    ways: Sequence[Sequence[Hop]],
) -> None:
    """Raises OverLimit where no batch could ever carry the swap, or bonus and fee could never be posted.

    The nearest is an amount that goes: where a program between owes only what it passes on for more, rounding may let
    another one go that is a little nearer.
    """
    try:
        require_carried(connection, made, agreed, request.field)
        _require_extras_fit(connection, made, request.field)
    except OverLimit as refusal:
        refusal.nearest = _nearest_that_fits(connection, made, agreed, request, ways)
        raise


def _nearest_that_fits(
    connection: sa.Connection,
    made: Quote,
    agreed: Sequence[TermsRow],
    request: QuoteRequest,
    ways: Sequence[Sequence[Hop]],
) -> int | None:
    fits = _fitting(connection, made, agreed, [Path(each) for each in ways])
    most = bisect_left(range(1, made.amount_in), True, key=lambda amount: not fits(amount))
    most = min(most, _payable(spending.purse(connection, made.member_id, made.created_ms), ways))
    if most == 0:
        return None
    with suppress(SarrafError):
        best = _price(ways, replace(request, amount_in=most, amount_out=None))
        if fits(best.amount_in):
            return best.amount_in if request.amount_in is not None else best.amount_out
    return None


def _fitting(
    connection: sa.Connection, made: Quote, agreed: Sequence[TermsRow], paths_: Sequence[Path]
) -> Callable[[int], bool]:
    """Whether an amount along these hops fits all that `_require_fits` asks for."""
    credits_ = [programs.by_id(connection, row.from_program_id).credit_limit_micro for row in agreed]
    bonus_most, fee_most = _most_bonus(connection, made), _most_fee(connection, made)
    prices = [hop.terms.settlement_price for hop in paths_[0].hops]

    def fits(amount: int) -> bool:
        amounts = paths_[0].amounts_of(amount)
        owed = [out * price for out, price in zip(amounts[1:], prices, strict=True)]
        bonus = min(path.yield_of(amount).total for path in paths_) - amounts[-1]
        fee = max(path.leaving(amount) for path in paths_) - amount
        return (
            all(into <= row.managed_cap for into, row in zip(amounts, agreed, strict=False))
            and all(mine - got <= credit for mine, got, credit in zip(owed, [0, *owed], credits_, strict=False))
            and bonus <= bonus_most
            and fee <= fee_most
        )

    return fits


def _require_extras_fit(connection: sa.Connection, made: Quote, field: str) -> None:
    """Raises OverLimit where bonus or fee could never be posted: once the swap is accepted neither may fail."""
    if made.bonus:
        _require_posted(made.bonus, _most_bonus(connection, made), "bonus", "destination", field)
    if made.fee_points:
        _require_posted(made.fee_points, _most_fee(connection, made), "fee", "source", field)


def _most_bonus(connection: sa.Connection, made: Quote) -> int:
    """The most that the destination can post at once."""
    return min(
        limits.capacity(connection, made.to_program_id, limits.ISSUANCE),
        earns.left_to_issue(connection, made.to_program_id),
    )


def _most_fee(connection: sa.Connection, made: Quote) -> int:
    """The most that the source can post at once."""
    return limits.capacity(connection, made.program_id, limits.REDEMPTION)


def _require_posted(amount: int, most: int, what: str, side: str, field: str) -> None:
    if amount > most:
        raise OverLimit(
            f"the {what} would be {amount:,} points, and the {side} program can post {most:,} at once",
            field=field,
            limit=most,
        )
