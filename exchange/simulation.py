"""Simulation: what other terms would have done with swaps that were made.

The swaps are priced again in their order. Whoever swapped offers the same points at the same moment; how many transfers
went before, and what of each cap is used, is counted from the simulated swaps and not from those that were made. A swap
that the terms refuse is left out, and its reason counted. So the terms under which swaps were made give them again to
the point, as long as nothing but these swaps counted against the caps.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from exchange.caps import binding_caps
from exchange.checks import check_whole
from exchange.conversion import MoneyDue
from exchange.errors import NoTerms, SarrafError
from exchange.explanation import Worth, value_of
from exchange.points import MicroUnits, Points
from exchange.pricing import Hop, Price, price_route
from exchange.rules import COUNTED, Cap, Period, Scope, Side
from exchange.situation import Situation, Usage
from exchange.terms import Terms

SWAPS_MAX = 1_000_000
"""Swaps that one simulation goes through; they are all held in memory."""

MOMENT_MAX = 253_402_300_799
"""The last second of the year 9999, where the calendar of the periods ends."""

Direction = tuple[str, str]
"""A source and a destination."""


@dataclass(frozen=True, slots=True)
class PastSwap:
    """A swap as it was made.

    `path` are the programs from the first to the last; a swap in one direction has two. `customer` is who swapped: one
    word for all memberships of one customer, whom caps count once. `at` is in Unix seconds. `offered` is what was asked
    for, of which `burned` left; `settlements` is what each program of the path owed the next.
    """

    path: tuple[str, ...]
    customer: str
    at: int
    tier: str | None
    offered: Points
    burned: Points
    base: Points
    bonus: Points
    fee_points: Points
    fees: tuple[MoneyDue, ...]
    settlements: tuple[MicroUnits, ...]

    def __post_init__(self) -> None:
        check_whole("at", self.at, 0, MOMENT_MAX)
        assert self.customer != _EVERYONE, "a customer has a name"
        assert len(self.settlements) == len(self.path) - 1 >= 1, "each hop of a path is settled"


@dataclass(slots=True)
class Sum:
    """What some swaps add up to: their number, points, fees in money by currency, and what the points were worth.

    `burned` is without the fees. `given` and `received` are micro-units of `currency`, both 0 where nobody said what
    the points are worth.
    """

    swaps: int = 0
    burned: int = 0
    base: int = 0
    bonus: int = 0
    fee_points: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    given: int = 0
    received: int = 0

    @property
    def out(self) -> int:
        """Everything that arrived."""
        return self.base + self.bonus


@dataclass(slots=True)
class Compared:
    """The swaps along one path, as they were and as they would have been.

    `refused` counts those that the terms refuse, by the type of the error. `altered` counts those that go and burn,
    give or cost anything else than they did. `currency` is that of the values, None where nobody said what points are
    worth.
    """

    path: tuple[str, ...]
    currency: str | None = None
    before: Sum = field(default_factory=Sum)
    after: Sum = field(default_factory=Sum)
    refused: Counter[str] = field(default_factory=Counter)
    altered: int = 0


@dataclass(slots=True)
class Position:
    """What a program is owed by the others, less what it owes them, by these swaps alone: micro-units."""

    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a simulation found: by path in the order of their first swaps, and by program."""

    paths: tuple[Compared, ...]
    positions: Mapping[str, Position]

    @property
    def changes_nothing(self) -> bool:
        """Whether every swap would have gone exactly as it did."""
        return not any(one.refused or one.altered for one in self.paths)


def simulate(
    past: Sequence[PastSwap], terms: Sequence[Terms], worths: Mapping[Direction, Worth] | None = None
) -> Report:
    """What `terms` would have done with swaps that were made, in their order.

    Several versions of one direction follow each other at their `effective_at`; the first of them counts before its
    beginning too, so that what is only proposed can be tried. A swap over a direction without terms is refused as
    `no-terms`. `worths` says what the points of a first and a last program are worth, where anybody knows.
    """
    assert len(past) <= SWAPS_MAX, "a simulation goes through a bounded number of swaps"
    assert all(one.at <= other.at for one, other in pairwise(past)), "swaps are simulated in their order"
    run = _Run(_by_direction(terms), worths or {})
    for swap in past:
        run.take(swap)
    return Report(tuple(run.paths.values()), run.positions)


def in_force(versions: Sequence[Terms], at: int) -> Terms:
    """The version in force at a moment, of at least one in the order of their beginnings."""
    begun = [one for one in versions if one.effective_at is None or one.effective_at <= at]
    return begun[-1] if begun else versions[0]


def _by_direction(terms: Iterable[Terms]) -> dict[Direction, list[Terms]]:
    ordered: dict[Direction, list[Terms]] = {}
    for one in sorted(terms, key=lambda each: (each.effective_at is not None, each.effective_at or 0, each.version)):
        ordered.setdefault((one.source, one.destination), []).append(one)
    return ordered


class _Run:
    """One walk through the swaps."""

    def __init__(self, terms: Mapping[Direction, Sequence[Terms]], worths: Mapping[Direction, Worth]) -> None:
        self.paths: dict[tuple[str, ...], Compared] = {}
        self.positions: dict[str, Position] = {}
        self._terms = terms
        self._worths = worths
        self._used = _Used()

    def take(self, swap: PastSwap) -> None:
        """Count one swap as it was, and as it would have been."""
        worth = self._worths.get((swap.path[0], swap.path[-1]))
        currency = None if worth is None else worth.currency
        found = self.paths.setdefault(swap.path, Compared(swap.path, currency))
        self._count_made(swap, found.before, worth)
        try:
            hops = [
                # The tier is one of the first program's: no other program's terms are for it.
                self._hop(swap, direction, swap.tier if place == 0 else None)
                for place, direction in enumerate(pairwise(swap.path))
            ]
            priced = price_route(hops, swap.offered)
        except SarrafError as refusal:
            found.refused[refusal.type] += 1
            return
        self._used.count(swap, hops, priced)
        self._count_simulated(swap, priced, found.after, worth)
        found.altered += not _is_as_made(swap, priced)

    def _hop(self, swap: PastSwap, direction: Direction, tier: str | None) -> Hop:
        versions = self._terms.get(direction)
        if not versions:
            raise NoTerms("there are no terms in this direction", field="path")
        terms = in_force(versions, swap.at)
        return Hop(terms, self._used.situation(swap, terms, tier))

    def _count_made(self, swap: PastSwap, into: Sum, worth: Worth | None) -> None:
        _add(into, swap.burned, swap.base, swap.bonus, swap.fee_points, swap.fees, worth)
        for (source, destination), owed in zip(pairwise(swap.path), swap.settlements, strict=True):
            self._position(source).before -= owed
            self._position(destination).before += owed

    def _count_simulated(self, swap: PastSwap, priced: Price, into: Sum, worth: Worth | None) -> None:
        _add(into, priced.amount_in, priced.base_out, _bonus(priced), priced.fee_points, priced.fees, worth)
        for (source, destination), hop in zip(pairwise(swap.path), priced.hops, strict=True):
            self._position(source).after -= hop.settlement
            self._position(destination).after += hop.settlement

    def _position(self, program: str) -> Position:
        return self.positions.setdefault(program, Position())


def _add(
    into: Sum, burned: int, base: int, bonus: int, fee_points: int, fees: Iterable[MoneyDue], worth: Worth | None
) -> None:
    into.swaps += 1
    into.burned += burned
    into.base += base
    into.bonus += bonus
    into.fee_points += fee_points
    for fee in fees:
        into.fees[fee.currency] = into.fees.get(fee.currency, 0) + fee.micro
    if worth is not None:
        value = value_of(worth, burned + fee_points, base + bonus)
        into.given += value.given
        into.received += value.received


def _bonus(priced: Price) -> int:
    return priced.amount_out - priced.base_out


def _is_as_made(swap: PastSwap, priced: Price) -> bool:
    made = (swap.burned, swap.base, swap.bonus, swap.fee_points, _by_currency(swap.fees), swap.settlements)
    return made == (
        priced.amount_in,
        priced.base_out,
        _bonus(priced),
        priced.fee_points,
        _by_currency(priced.fees),
        tuple(hop.settlement for hop in priced.hops),
    )


def _by_currency(fees: Iterable[MoneyDue]) -> dict[str, int]:
    return {fee.currency: fee.micro for fee in fees}


_Key = tuple[str, ...]
"""What is counted together: whose transfers, through which directions, in which period."""

_EVERYONE = ""


class _Used:
    """What the simulated swaps used so far, of each period that a cap or a count could mean."""

    def __init__(self) -> None:
        self._out: Counter[_Key] = Counter()
        self._in: Counter[_Key] = Counter()
        self._times: Counter[_Key] = Counter()
        self._had: Counter[_Key] = Counter()

    def situation(self, swap: PastSwap, terms: Terms, tier: str | None) -> Situation:
        """How things stand for a swap before it goes through a direction, whose program says this tier."""
        direction = _direction(terms)
        before = {each: self._times[(swap.customer, *direction, *_period(swap.at, each))] for each in COUNTED}
        used = {
            cap: self._used_of(cap, swap, terms) for cap in binding_caps(terms, tier) if cap.per is not Period.TRANSFER
        }
        had = {
            bonus.name: self._had[_bonus_key(swap, terms, bonus.name, bonus.member_per)]
            for bonus in terms.rules.bonuses
            if bonus.member_most is not None
        }
        return Situation(swap.at, tier, before, used, had)

    def _used_of(self, cap: Cap, swap: PastSwap, terms: Terms) -> Usage:
        party = _EVERYONE if cap.scope is Scope.EVERYONE else swap.customer
        points = self._out if cap.side is Side.OUT else self._in
        total, times = 0, 0
        for through, sign in _counted_by(terms, cap):
            key = (party, *through, *_period(swap.at, cap.per))
            total += sign * points[key]
            times += sign * self._times[key]
        return Usage(total, times)

    def count(self, swap: PastSwap, hops: Sequence[Hop], priced: Price) -> None:
        """Count one simulated swap: at the last hop what arrives is counted with its bonuses."""
        for place, (hop, taken) in enumerate(zip(hops, priced.hops, strict=True)):
            arrived = priced.amount_out if place == len(hops) - 1 else taken.amount_out
            for key in _keys(swap, hop.terms):
                self._out[key] += taken.amount_in
                self._in[key] += arrived
                self._times[key] += 1
        for granted in priced.bonuses:
            for period in COUNTED:
                self._had[_bonus_key(swap, hops[-1].terms, granted.name, period)] += granted.points


def _keys(swap: PastSwap, terms: Terms) -> set[_Key]:
    """Everything under which a swap through a direction is counted."""
    throughs = [_direction(terms)]
    if terms.rules.group is not None:
        throughs += [_in_group(terms), *(_group(terms, side) for side in Side)]
    return {
        (party, *through, *_period(swap.at, period))
        for party in (_EVERYONE, swap.customer)
        for through in throughs
        for period in COUNTED
    }


def _counted_by(terms: Terms, cap: Cap) -> list[tuple[_Key, int]]:
    """The keys whose sums, added and taken away, are what counts against a cap.

    A shared cap counts what went through the direction itself, whatever group its terms named then, and what went
    through others in the group: the direction and the group, less what is in both.
    """
    if not cap.shared:
        return [(_direction(terms), 1)]
    return [(_direction(terms), 1), (_group(terms, cap.side), 1), (_in_group(terms), -1)]


def _direction(terms: Terms) -> _Key:
    return ("direction", terms.source, terms.destination)


def _in_group(terms: Terms) -> _Key:
    """What went through the direction while its terms named this group."""
    assert terms.rules.group is not None, "a shared cap has a group"
    return ("direction in group", terms.source, terms.destination, terms.rules.group)


def _bonus_key(swap: PastSwap, terms: Terms, bonus: str, period: Period) -> _Key:
    return (swap.customer, bonus, *_direction(terms), *_period(swap.at, period))


def _group(terms: Terms, side: Side) -> _Key:
    assert terms.rules.group is not None, "a shared cap has a group"
    return (side, terms.source if side is Side.OUT else terms.destination, terms.rules.group)


def _period(at: int, period: Period) -> _Key:
    """The day, week, month or year of a moment, in UTC; of all time the name alone."""
    moment = datetime.fromtimestamp(at, UTC)
    numbers = {
        Period.DAY: (moment.year, moment.month, moment.day),
        Period.WEEK: moment.isocalendar()[:2],
        Period.MONTH: (moment.year, moment.month),
        Period.YEAR: (moment.year,),
        Period.EVER: (),
    }[period]
    return (period, *map(str, numbers))
