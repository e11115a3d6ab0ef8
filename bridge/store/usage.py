"""Usage: what of the caps of terms is taken, and with it the situation in which a quote is priced.

Taken is what swaps that did not fail moved in the running period, and what open quotes may yet move: these count in
whichever period runs, since they may be accepted in it. A cap is checked when a quote is made and never again, and one
writer makes them all: so what is left of a cap is promised once.

What was made stays counted where it was made: under the group that the terms named then, whatever becomes of them, and
for the customer who it was then, whomever their memberships are linked with later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from bridge.store import members
from bridge.store.members import Member
from bridge.store.schema import entry, leg_hop, operation, quote, quote_customer, quote_hop, swap, swap_day
from bridge.store.terms import TermsRow
from exchange.operations import OperationState
from exchange.rules import Bonus, Cap, Period, Rules, Scope, Side
from exchange.situation import Situation, Usage

DAY_MS = 86_400_000
_EPOCH_WEEKDAY = 3
"""The first of January 1970 was a Thursday, three days after a Monday."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who swaps: all memberships of one customer, of whatever tier, so that a link gives nobody a second allowance.

    `tier` is what the program says that asks, of its own member: no other program's terms are for it.
    """

    member_ids: tuple[str, ...]
    tier: str | None

    @classmethod
    def of(cls, connection: sa.Connection, member: Member, tier: str | None) -> "Customer":
        """The customer whose membership this is."""
        joined = [] if member.link_id is None else members.in_link(connection, member.link_id)
        return cls(tuple(sorted({member.id, *(one.id for one in joined)})), tier)

    @property
    def abroad(self) -> "Customer":
        """The same customer before other programs, none of which gave them the tier."""
        return replace(self, tier=None)


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
    Numbers between which no condition changes its answer are one situation.
    """
    known: dict[tuple[object, ...], _Counted] = {}
    used = {}
    for cap in rules.caps:
        if cap.per is Period.TRANSFER:
            continue
        kind = cap.per, cap.side, cap.scope, cap.shared
        if kind not in known:
            known[kind] = _used(connection, agreed, cap, who, now_ms)
        counted = known[kind]
        used[cap] = Usage(counted.out if cap.side is Side.OUT else counted.into, counted.count)
    befores = _befores(connection, agreed, rules, who, now_ms)
    had = _had(connection, agreed, [bonus for bonus in rules.bonuses if bonus.member_most is not None], who, now_ms)
    return [Situation(now_ms // 1000, who.tier, before, used, had) for before in befores]


def reserve(connection: sa.Connection, quote_id: str, who: Customer, expires_ms: int) -> None:
    """A quote of this customer was made: it counts for each of their memberships."""
    connection.execute(
        quote_customer.insert(),
        [{"quote_id": quote_id, "member_id": one, "expires_ms": expires_ms} for one in who.member_ids],
    )


def accepted(connection: sa.Connection, quote_id: str, now_ms: int) -> None:
    """A quote was accepted: what it reserved is used from now on."""
    connection.execute(quote.update().where(quote.c.id == quote_id).values(accepted_ms=now_ms))
    connection.execute(quote_hop.update().where(quote_hop.c.quote_id == quote_id).values(reserved_until_ms=None))
    for hop in _hops(connection, quote_id):
        _count(connection, hop, now_ms, _Counted(hop.used_out, hop.used_in, 1))


def give_back(connection: sa.Connection, operation_id: str) -> int:
    """A swap failed: what it used of caps can be used again, but for what some of its legs moved all the same.

    Answers the source points that moved. A swap that only the chain told of has no quote, and used nothing here.
    """
    found = connection.execute(
        sa.select(quote.c.id, quote.c.accepted_ms)
        .join(swap, swap.c.quote_id == quote.c.id)
        .where(swap.c.operation_id == operation_id, quote.c.failed.is_(False))
    ).one_or_none()
    if found is None:
        return _moved(connection, operation_id, 1)[0]
    hops = _hops(connection, found.id)
    moved = _moved(connection, operation_id, len(hops))
    for hop, out, into in zip(hops, moved, moved[1:], strict=False):
        _count(connection, hop, found.accepted_ms, _Counted(out - hop.used_out, into - hop.used_in, 0 if out else -1))
        here = quote_hop.c.quote_id == found.id, quote_hop.c.place == hop.place
        connection.execute(quote_hop.update().where(*here).values(used_out=out, used_in=into))
    if not moved[0]:
        connection.execute(quote.update().where(quote.c.id == found.id).values(failed=True))
    return moved[0]


def begin_ms(period: Period, now_ms: int) -> int:
    """When the day, week (on Monday), month or year in UTC began that runs at `now_ms`; 0 for all time."""
    assert period is not Period.TRANSFER, "a transfer is no time"
    if period is Period.EVER:
        return 0
    if period is Period.WEEK:
        days = now_ms // DAY_MS
        return max(0, days - (days + _EPOCH_WEEKDAY) % 7) * DAY_MS
    midnight = datetime.fromtimestamp(now_ms // DAY_MS * (DAY_MS // 1000), UTC)
    if period is Period.MONTH:
        midnight = midnight.replace(day=1)
    elif period is Period.YEAR:
        midnight = midnight.replace(month=1, day=1)
    return (midnight - datetime.fromtimestamp(0, UTC)).days * DAY_MS


# -- reading ----------------------------------------------------------------------------------


def _used(connection: sa.Connection, agreed: TermsRow, cap: Cap, who: Customer, now_ms: int) -> _Counted:
    along = _Along.of(agreed, cap)
    since_ms = begin_ms(cap.per, now_ms)
    if cap.scope is Scope.EVERYONE:
        days = _counted(connection, _BY_DAY, along, day=since_ms // DAY_MS)
        return days + _counted(connection, _RESERVED, along, now_ms=now_ms)
    return _settled(connection, along, who, since_ms) + _open(connection, along, who, now_ms)


def _had(
    connection: sa.Connection, agreed: TermsRow, bonuses: Sequence[Bonus], who: Customer, now_ms: int
) -> dict[str, int]:
    """What a customer had of each bonus in its running period, and what their open quotes promise of it.

    A failed swap brings no bonus, whatever of it the chain carried.
    """
    if not bonuses:
        return {}
    begins = {bonus.name: begin_ms(bonus.member_per, now_ms) for bonus in bonuses}
    direction = {"source": agreed.from_program_id, "destination": agreed.to_program_id, "members": who.member_ids}
    settled = connection.execute(_BROUGHT, direction | {"since_ms": min(begins.values())})
    promised = connection.execute(_PROMISED, direction | {"since_ms": now_ms})
    had = dict.fromkeys(begins, 0)
    for accepted_ms, granted in [*settled, *((now_ms, one) for one in promised.scalars())]:
        for each in granted:
            if accepted_ms >= begins.get(each["name"], now_ms + 1):
                had[each["name"]] += each["points"]
    return had


def _befores(
    connection: sa.Connection, agreed: TermsRow, rules: Rules, who: Customer, now_ms: int
) -> list[Mapping[Period, int]]:
    counting = [one.when for one in (*rules.bonuses, *rules.fees) if one.when.nth_per is not None]
    if not counting:
        return [{}]
    along = _Along(_OWN, agreed.from_program_id, agreed.to_program_id, "")
    settled = {
        when.nth_per: _settled(connection, along, who, begin_ms(when.nth_per, now_ms)).count
        for when in {when.nth_per: when for when in counting}.values()
        if when.nth_per is not None
    }
    waiting = _open(connection, along, who, now_ms).count
    more = {0}
    for when in counting:
        assert when.nth_per is not None
        changes = [when.nth_from] if when.nth_to is None else [when.nth_from, when.nth_to + 1]
        more |= {change - 1 - settled[when.nth_per] for change in changes}
    return [
        {period: count + each for period, count in settled.items()} for each in sorted(more) if 0 <= each <= waiting
    ]


#: What is counted together: the direction alone; or with it what was made under terms of the same group, out of the
#: same source or into the same destination.
_OWN, _OUT_OF, _INTO = "own", "out of", "into"


@dataclass(frozen=True, slots=True)
class _Along:
    """The directions that are counted together, which have one end in common."""

    reach: str
    source: str
    destination: str
    group: str

    @classmethod
    def of(cls, agreed: TermsRow, cap: Cap) -> "_Along":
        """Those of a cap: its own, or with it those of its group."""
        reach = _OWN if not cap.shared else _OUT_OF if cap.side is Side.OUT else _INTO
        return cls(reach, agreed.from_program_id, agreed.to_program_id, group_of(agreed))


def group_of(agreed: TermsRow) -> str:
    """The group that terms name, empty where they name none."""
    return agreed.rules.get("group") or ""


def _settled(connection: sa.Connection, along: _Along, who: Customer, since_ms: int) -> _Counted:
    """What a customer's accepted quotes moved since then, but for those whose swap failed."""
    return _counted(connection, _SETTLED, along, members=who.member_ids, since_ms=since_ms)


def _open(connection: sa.Connection, along: _Along, who: Customer, now_ms: int) -> _Counted:
    """What a customer's open quotes may yet move."""
    return _counted(connection, _OPEN, along, members=who.member_ids, since_ms=now_ms)


def _counted(
    connection: sa.Connection, queries: Mapping[str, sa.Select[Any]], along: _Along, **given: object
) -> _Counted:
    given |= {"source": along.source, "destination": along.destination}
    if along.reach != _OWN:
        given["group"] = along.group
    return _Counted(*connection.execute(queries[along.reach], given).one())


# Written once: building a statement anew costs more than running it.


def _sums_along(
    table: sa.Table, columns: Sequence[sa.ColumnElement[int]], *chosen: sa.ColumnElement[bool]
) -> dict[str, sa.Select[Any]]:
    """The sums of these columns over the chosen rows of some directions, by how far they reach."""
    sums: list[Any] = [sa.func.coalesce(sa.func.sum(column), 0) for column in columns]
    from_here = table.c.from_program_id == sa.bindparam("source")
    to_there = table.c.to_program_id == sa.bindparam("destination")
    in_group = table.c.partner_group == sa.bindparam("group")
    reaches = {
        _OWN: sa.and_(from_here, to_there),
        _OUT_OF: sa.and_(from_here, sa.or_(to_there, in_group)),
        _INTO: sa.and_(to_there, sa.or_(from_here, in_group)),
    }
    return {name: sa.select(*sums).where(reach, *chosen) for name, reach in reaches.items()}


_USED: Sequence[sa.ColumnElement[int]] = quote_hop.c.used_out, quote_hop.c.used_in, sa.literal_column("1")
_RESERVED = _sums_along(quote_hop, _USED, quote_hop.c.reserved_until_ms >= sa.bindparam("now_ms"))
_BY_DAY = _sums_along(
    swap_day, (swap_day.c.points_out, swap_day.c.points_in, swap_day.c.swaps), swap_day.c.day >= sa.bindparam("day")
)
#: The quotes that were a customer's when they were made.
_MADE = quote_hop.c.quote_id.in_(
    sa.select(quote_customer.c.quote_id).where(
        quote_customer.c.member_id.in_(sa.bindparam("members", expanding=True)),
        quote_customer.c.expires_ms >= sa.bindparam("since_ms"),
    )
)
_OF_QUOTE = quote.c.id == quote_hop.c.quote_id
_SETTLED = _sums_along(
    quote_hop, _USED, _MADE, _OF_QUOTE, quote.c.accepted_ms >= sa.bindparam("since_ms"), quote.c.failed.is_(False)
)
_OPEN = _sums_along(quote_hop, _USED, _MADE, _OF_QUOTE, quote.c.accepted_ms.is_(None))

_WITH_BONUS = (
    _MADE,
    quote_hop.c.from_program_id == sa.bindparam("source"),
    quote_hop.c.to_program_id == sa.bindparam("destination"),
    quote_hop.c.bonus > 0,
)
_BROUGHT = (
    sa.select(quote.c.accepted_ms, quote.c.bonuses)
    .join(quote_hop, _OF_QUOTE)
    .join(swap, swap.c.quote_id == quote.c.id)
    .join(operation, operation.c.id == swap.c.operation_id)
    .where(
        *_WITH_BONUS,
        quote.c.accepted_ms >= sa.bindparam("since_ms"),
        operation.c.state.not_in([OperationState.FAILED.value, OperationState.CANCELLED.value]),
    )
)
_PROMISED = sa.select(quote.c.bonuses).join(quote_hop, _OF_QUOTE).where(*_WITH_BONUS, quote.c.accepted_ms.is_(None))


# -- counting by day --------------------------------------------------------------------------


def _hops(connection: sa.Connection, quote_id: str) -> Sequence[Any]:
    return connection.execute(
        sa.select(quote_hop).where(quote_hop.c.quote_id == quote_id).order_by(quote_hop.c.place)
    ).all()


def _moved(connection: sa.Connection, operation_id: str, hops: int) -> list[int]:
    """What those legs of a swap that were posted moved: what left, and what stood after each hop."""
    posted = sa.select(entry.c.leg).where(entry.c.operation_id == operation_id, entry.c.state == "posted")
    moved = [0] * (hops + 1)
    ends = sa.select(entry.c.credit, sa.func.sum(entry.c.amount)).where(
        entry.c.operation_id == operation_id, entry.c.state == "posted"
    )
    for credit, points in connection.execute(ends.group_by(entry.c.credit)):
        moved[hops if credit else 0] = int(points)
    between = sa.select(leg_hop.c.place, sa.func.sum(leg_hop.c.points)).where(
        leg_hop.c.operation_id == operation_id, leg_hop.c.leg.in_(posted)
    )
    for place, points in connection.execute(between.group_by(leg_hop.c.place)):
        moved[place + 1] = int(points)
    return moved


def _count(connection: sa.Connection, hop: Any, at_ms: int, change: _Counted) -> None:
    """Add to the sums of a hop's direction and day, or take away from them."""
    key = {
        "from_program_id": hop.from_program_id,
        "to_program_id": hop.to_program_id,
        "partner_group": hop.partner_group,
        "day": at_ms // DAY_MS,
    }
    added = {"points_out": change.out, "points_in": change.into, "swaps": change.count}
    done = connection.execute(
        swap_day.update()
        .where(*(swap_day.c[name] == value for name, value in key.items()))
        .values({name: swap_day.c[name] + value for name, value in added.items()})
    )
    if done.rowcount == 0:
        assert change.count > 0, "what is given back was counted before"
        connection.execute(swap_day.insert().values(key | added))
