"""Quoting: which way a swap takes, and what points are worth on it.

A quote is priced by the ledger (`bridge.store.quotes`), along a path. Here the path is found where none was named, and
no way leads through a direction in which points could gain.
"""

from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import sqlalchemy as sa

from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.market import MarketKeeper
from bridge.posting.vetting import Vetting
from bridge.store import members, programs, quotes, terms, usage
from bridge.store.members import Member
from bridge.store.quotes import Firmness, Quote, QuoteRequest
from bridge.store.usage import Customer
from exchange.errors import NoRoute, SarrafError
from exchange.explanation import Worth
from exchange.market import Market
from exchange.pricing import HOPS_MAX, Hop, Path, price_route
from exchange.routes import Route, Routes, find_routes, find_routes_for
from exchange.search import ROUTES_MAX, Best
from exchange.situation import Situation
from exchange.terms import Terms

#: Routes of a quote: the direction itself, the one that gives the most, the one of the fewest hops.
DIRECT, POINTS, HOPS = "direct", "points", "hops"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a member wants: so much in, or at least so much out; along a path, or (empty) by a route."""

    member_id: str | None
    member_number: str | None
    to_program_id: str
    amount_in: int | None
    amount_out: int | None
    path: tuple[str, ...] = ()
    route: str = DIRECT
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Who swaps along which path (empty: directly), and what points are worth on it."""

    member_id: str
    path: tuple[str, ...]
    worth: Worth | None


@dataclass(frozen=True, slots=True)
class Search:
    """Which routes are asked for. `who` None: nobody in particular, who swapped nothing before."""

    from_program_id: str
    to_program_id: str
    amount_in: int | None
    amount_out: int | None
    best: Best = Best.POINTS
    hops_max: int = HOPS_MAX
    count: int = 1
    tier: str | None = None
    who: Customer | None = None


class Quoting:
    """Finds ways through the market, and quotes along them."""

    def __init__(self, market: MarketKeeper, gatekeeper: Gatekeeper, vetting: Vetting) -> None:
        self._market = market
        self._gatekeeper = gatekeeper
        self._vetting = vetting

    def plan(self, connection: sa.Connection, program_id: str, wish: Wish, now_ms: int) -> Plan:
        """The way of a quote, and what points are worth on it: what the ledger's writer need not wait for.

        Raises UnknownMember, UnknownProgram, InvalidAmount, NoRoute.
        """
        source = members.find(connection, program_id, member_id=wish.member_id, member_number=wish.member_number)
        path = wish.path
        if not path and wish.route != DIRECT:
            path = self._best_path(connection, source, wish, now_ms)
        return Plan(source.id, path, self.worth(connection, program_id, wish.to_program_id, now_ms))

    def quote(
        self, connection: sa.Connection, program_id: str, wish: Wish, plan: Plan, firmness: Firmness, now_ms: int
    ) -> Quote:
        """A firm quote as it was planned, without its signature. Raises what `quotes.create` raises."""
        to_program_id = wish.to_program_id
        self._gatekeeper.require_open(connection, pairwise(plan.path or (program_id, to_program_id)), now_ms)
        request = QuoteRequest(
            plan.member_id, None, to_program_id, wish.amount_in, wish.amount_out, plan.path, wish.tier
        )
        return quotes.create(connection, program_id, request, firmness, now_ms, plan.worth)

    def routes(self, connection: sa.Connection, search: Search, now_ms: int) -> Routes:
        """The best routes. Raises UnknownProgram, InvalidAmount, NoRoute."""
        worth = self.worth(connection, search.from_program_id, search.to_program_id, now_ms)
        situation_of = _situations(connection, search, now_ms)

        def find(market: Market, count: int) -> Routes:
            seek = find_routes if search.amount_in is not None else find_routes_for
            amount = search.amount_in if search.amount_in is not None else search.amount_out
            assert amount is not None, "a search is for so much in or so much out"
            return seek(
                market,
                search.from_program_id,
                search.to_program_id,
                amount,
                situation_of=situation_of,
                best=search.best,
                hops_max=search.hops_max,
                count=count,
                worth=worth,
            )

        with self._market.open(connection, now_ms) as market:
            return _within_caps(lambda count: find(market, count), search, situation_of)

    def worth(self, connection: sa.Connection, from_program_id: str, to_program_id: str, now_ms: int) -> Worth | None:
        """What points given and received are worth; None where nobody knows. Raises UnknownProgram."""
        source, destination = (programs.by_id(connection, each) for each in (from_program_id, to_program_id))
        return self._vetting.worth(source, destination, now_ms)

    def _best_path(self, connection: sa.Connection, source: Member, wish: Wish, now_ms: int) -> tuple[str, ...]:
        search = Search(
            source.program_id,
            wish.to_program_id,
            wish.amount_in,
            wish.amount_out,
            best=Best(wish.route),
            tier=wish.tier,
            who=Customer.of(connection, source, wish.tier),
        )
        return self.routes(connection, search, now_ms)[0].programs


def _situations(connection: sa.Connection, search: Search, now_ms: int) -> Callable[[Terms], Situation]:
    """What pricing has to know of whoever asks, by the terms of a direction: the tier is of the first program."""
    who = search.who
    if who is None:
        ours, abroad = Situation(now_ms // 1000, search.tier), Situation(now_ms // 1000)
        return lambda agreed: ours if agreed.source == search.from_program_id else abroad
    known: dict[str, Situation] = {}

    def situation_of(agreed: Terms) -> Situation:
        if agreed.id not in known:
            row = terms.by_id(connection, agreed.id)
            # As if the open quotes expired: an indication, which the quote itself looks at more closely.
            asking = who if agreed.source == search.from_program_id else who.abroad
            known[agreed.id] = usage.situations(connection, row, agreed.rules, asking, now_ms)[0]
        return known[agreed.id]

    return situation_of


def _within_caps(find: Callable[[int], Routes], search: Search, situation_of: Callable[[Terms], Situation]) -> Routes:
    """The best routes of which no hop is over what the contract lets through in a whole period."""
    count = search.count
    fitting, complete = list[Route](), True
    for asked in (count, ROUTES_MAX):
        found = find(asked)
        fitting = [route for route in found if all(hop.amount_in <= hop.terms.managed_cap for hop in route.price.hops)]
        complete = found.complete
        if len(fitting) == len(found) or len(fitting) >= count:
            break
    if not fitting:
        most = max(filter(None, (_most_within_caps(one, search, situation_of) for one in found)), default=None)
        raise NoRoute(
            "every route is over the cap of a direction on its way", field="to_program_id", limit=most, nearest=most
        )
    routes = Routes(fitting[:count])
    routes.complete = complete
    return routes


def _most_within_caps(route: Route, search: Search, situation_of: Callable[[Terms], Situation]) -> int | None:
    """The most that goes along a route within the caps of all its hops, in or out as is searched; None: nothing."""
    path = Path([Hop(hop.terms, situation_of(hop.terms)) for hop in route.price.hops])

    def is_over(amount: int) -> bool:
        before = zip(path.hops, path.amounts_of(amount), strict=False)  # what arrives is under no cap
        return any(into > hop.terms.managed_cap for hop, into in before)

    most = bisect_left(range(1, route.price.amount_in), True, key=is_over)
    with suppress(SarrafError):
        priced = price_route(path.hops, most)
        return priced.amount_in if search.amount_in is not None else priced.amount_out
    return None
