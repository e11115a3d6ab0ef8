"""Usage: what of the caps of terms is taken, and with it the situation in which a quote is priced.

Taken is what swaps that did not fail moved in the running period, and what open quotes may yet move: these count in
whichever period runs, since they may be accepted in it. A cap is checked when a quote is made and never again, and one
writer makes them all: so what is left of a cap is promised once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from bridge.store import members, terms
from bridge.store.members import Member
from bridge.store.schema import quote, quote_hop, swap, swap_day
from bridge.store.terms import TermsRow
from exchange.rules import Cap, Period, Rules, Scope, Side
from exchange.situation import Situation, Usage

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Customer:
    """Who swaps: all memberships of one customer, of whatever tier, so that a link gives nobody a second allowance."""

    member_ids: tuple[str, ...]
    tier: str | None

    @classmethod
    def of(cls, connection: sa.Connection, member: Member, tier: str | None) -> "Customer":
        """The customer whose membership this is."""
        joined = [] if member.link_id is None else members.in_link(connection, member.link_id)
        return cls(tuple(sorted({member.id, *(one.id for one in joined)})), tier)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Points that left, points that arrived, and how many transfers."""

    out: int
    into: int
    count: int

    def __add__(self, other: "_Counted") -> "_Counted":
        return _Counted(self.out + other.out, self.into + other.into, self.count + other.count)


def situations(
    connection: sa.Connection, agreed: TermsRow, rules: Rules, who: Customer, now_ms: int
) -> list[Situation]:
    """The situations in which the customer may be when a quote under these terms is accepted, at least one.

    They differ only in how many transfers went before: the open quotes may all expire, or all be accepted first.
    """
    used = {cap: _used(connection, agreed, cap, who, now_ms) for cap in rules.caps if cap.per is not Period.TRANSFER}
    befores = _befores(connection, agreed, rules, who, now_ms)
    return [Situation(now_ms // 1000, who.tier, before, used) for before in befores]


def accepted(connection: sa.Connection, quote_id: str, now_ms: int) -> None:
    """A quote was accepted: what it reserved is used from now on."""
    connection.execute(quote.update().where(quote.c.id == quote_id).values(accepted_ms=now_ms))
    connection.execute(quote_hop.update().where(quote_hop.c.quote_id == quote_id).values(reserved_until_ms=None))
    _count(connection, quote_id, now_ms, 1)


def give_back(connection: sa.Connection, operation_id: str) -> None:
    """A swap failed: what it used of caps can be used again."""
    found = connection.execute(
        sa.select(quote.c.id, quote.c.accepted_ms)
        .join(swap, swap.c.quote_id == quote.c.id)
        .where(swap.c.operation_id == operation_id, quote.c.failed.is_(False))
    ).one()
    connection.execute(quote.update().where(quote.c.id == found.id).values(failed=True))
    _count(connection, found.id, found.accepted_ms, -1)


def begin_ms(period: Period, now_ms: int) -> int:
    """When the day, month or year in UTC began that runs at `now_ms`."""
    assert period is not Period.TRANSFER, "a transfer is no time"
    midnight = datetime.fromtimestamp(now_ms // DAY_MS * (DAY_MS // 1000), UTC)
    if period is Period.MONTH:
        midnight = midnight.replace(day=1)
    elif period is Period.YEAR:
        midnight = midnight.replace(month=1, day=1)
    return (midnight - datetime.fromtimestamp(0, UTC)).days * DAY_MS


# -- reading ----------------------------------------------------------------------------------


def _used(connection: sa.Connection, agreed: TermsRow, cap: Cap, who: Customer, now_ms: int) -> Usage:
    along = _Along.of(connection, agreed, cap, now_ms)
    since_ms = begin_ms(cap.per, now_ms)
    if cap.scope is Scope.EVERYONE:
        found = _counted(connection, _BY_DAY, along, day=since_ms // DAY_MS)
        found += _counted(connection, _RESERVED, along, now_ms=now_ms)
    else:
        found = _settled(connection, cap.side, along, who, since_ms) + _open(connection, cap.side, along, who, now_ms)
    return Usage(found.out if cap.side is Side.OUT else found.into, found.count)


def _befores(
    connection: sa.Connection, agreed: TermsRow, rules: Rules, who: Customer, now_ms: int
) -> list[Mapping[Period, int]]:
    periods = {one.when.nth_per for one in (*rules.bonuses, *rules.fees) if one.when.nth_per is not None}
    if not periods:
        return [{}]
    along = _Along([agreed.from_program_id], [agreed.to_program_id])
    settled = {period: _settled(connection, Side.OUT, along, who, begin_ms(period, now_ms)).count for period in periods}
    waiting = _open(connection, Side.OUT, along, who, now_ms).count
    return [{period: count + more for period, count in settled.items()} for more in range(waiting + 1)]


@dataclass(frozen=True, slots=True)
class _Along:
    """The directions that are counted together, which have one end in common."""

    sources: Sequence[str]
    destinations: Sequence[str]

    @classmethod
    def of(cls, connection: sa.Connection, agreed: TermsRow, cap: Cap, now_ms: int) -> "_Along":
        """Those of a cap: its own, or all of one source or to one destination whose terms name its group."""
        source, destination = agreed.from_program_id, agreed.to_program_id
        if not cap.shared:
            return cls([source], [destination])
        group = agreed.rules.get("group")
        if cap.side is Side.OUT:
            beside = terms.all_in_force(connection, now_ms, from_program_id=source)
            named = {one.to_program_id for one in beside if one.rules.get("group") == group}
            return cls([source], sorted(named | {destination}))
        beside = terms.all_in_force(connection, now_ms, to_program_id=destination)
        named = {one.from_program_id for one in beside if one.rules.get("group") == group}
        return cls(sorted(named | {source}), [destination])


def _settled(connection: sa.Connection, side: Side, along: _Along, who: Customer, since_ms: int) -> _Counted:
    """What a customer's accepted quotes moved since then, but for those whose swap failed."""
    return _counted(connection, _SETTLED[side], along, members=who.member_ids, since_ms=since_ms)


def _open(connection: sa.Connection, side: Side, along: _Along, who: Customer, now_ms: int) -> _Counted:
    """What a customer's open quotes may yet move."""
    return _counted(connection, _OPEN[side], along, members=who.member_ids, now_ms=now_ms)


def _counted(connection: sa.Connection, query: sa.Select[Any], along: _Along, **given: object) -> _Counted:
    given |= {"sources": along.sources, "destinations": along.destinations}
    return _Counted(*connection.execute(query, given).one())


# Written once: building a statement anew costs more than running it.


def _sums_along(table: sa.Table, *columns: sa.ColumnElement[int]) -> sa.Select[Any]:
    """The sums of these columns over the rows of some directions."""
    sums: list[Any] = [sa.func.coalesce(sa.func.sum(column), 0) for column in columns]
    return sa.select(*sums).where(
        table.c.from_program_id.in_(sa.bindparam("sources", expanding=True)),
        table.c.to_program_id.in_(sa.bindparam("destinations", expanding=True)),
    )


_HOPS = _sums_along(
    quote_hop, quote_hop.c.amount_in, quote_hop.c.amount_out + quote_hop.c.bonus, sa.literal_column("1")
)
_RESERVED = _HOPS.where(quote_hop.c.reserved_until_ms >= sa.bindparam("now_ms"))
_BY_DAY = _sums_along(swap_day, swap_day.c.points_out, swap_day.c.points_in, swap_day.c.swaps).where(
    swap_day.c.day >= sa.bindparam("day")
)
_OWN = quote.c.member_id.in_(sa.bindparam("members", expanding=True))
#: The quotes of a customer; and of points that arrive, those that arrived with them while another was linked.
_MADE = {
    Side.OUT: _HOPS.join(quote, quote.c.id == quote_hop.c.quote_id).where(_OWN),
    Side.IN: _HOPS.join(quote, quote.c.id == quote_hop.c.quote_id).where(
        sa.or_(_OWN, quote.c.to_member_id.in_(sa.bindparam("members", expanding=True)))
    ),
}
_SETTLED = {
    side: made.where(quote.c.accepted_ms >= sa.bindparam("since_ms"), quote.c.failed.is_(False))
    for side, made in _MADE.items()
}
_OPEN = {
    side: made.where(quote.c.accepted_ms.is_(None), quote.c.expires_ms >= sa.bindparam("now_ms"))
    for side, made in _MADE.items()
}


# -- counting by day --------------------------------------------------------------------------


def _count(connection: sa.Connection, quote_id: str, at_ms: int, sign: int) -> None:
    """Add a quote's hops to the sums of their day, or take them away again."""
    hops = connection.execute(sa.select(quote_hop).where(quote_hop.c.quote_id == quote_id)).all()
    for hop in hops:
        key = {
            "from_program_id": hop.from_program_id,
            "to_program_id": hop.to_program_id,
            "day": at_ms // DAY_MS,
        }
        added = {
            "points_out": sign * hop.amount_in,
            "points_in": sign * (hop.amount_out + hop.bonus),
            "swaps": sign,
        }
        done = connection.execute(
            swap_day.update()
            .where(*(swap_day.c[name] == value for name, value in key.items()))
            .values({name: swap_day.c[name] + value for name, value in added.items()})
        )
        if done.rowcount == 0:
            assert sign > 0, "what is given back was counted before"
            connection.execute(swap_day.insert().values(key | added))
