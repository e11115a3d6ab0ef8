"""Routes: the best ways from one program to another, over up to `HOPS_MAX` directions.

The best is the best among all simple routes, with every integer rule applied, as `exchange.pricing` prices each of
them; `exchange.search` finds it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from exchange.errors import NoRoute
from exchange.explanation import Worth
from exchange.market import Market
from exchange.path import HOPS_MAX, Hop
from exchange.points import points
from exchange.pricing import Price, price_route, price_route_for
from exchange.search import Ahead, Asked, Back, Best, Search
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms

__all__ = ["Best", "Route", "Routes", "find_routes", "find_routes_for", "plain"]


@dataclass(frozen=True, slots=True)
class Route:
    """Directions one after another, and what a swap along them burns and gives."""

    hops: tuple[Hop, ...]
    price: Price

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs along the route, from the one that burns to the one that mints."""
        return (self.hops[0].terms.source, *(hop.terms.destination for hop in self.hops))


class Routes(list[Route]):
    """Routes, the best first. Unless `complete`, the search met its limit, and a better one may have been missed."""

    complete: bool = True


def plain(terms: Terms) -> Situation:  # noqa: ARG001 - the same for all terms
    """A member of no tier who never swapped before."""
    return PLAIN_SITUATION


def find_routes(
    market: Market,
    source: str,
    destination: str,
    amount_in: int,
    *,
    situation_of: Callable[[Terms], Situation] = plain,
    best: Best = Best.POINTS,
    hops_max: int = HOPS_MAX,
    count: int = 1,
    worth: Worth | None = None,
) -> Routes:
    """The best routes for an amount offered; up to `count` that differ in their programs.

    A route gives what the greatest amount up to the offered that suits it gives; one whose caps do not let that
    through does not count. Raises `InvalidAmount`, and `NoRoute` when none leads there for this amount; `nearest` is
    then the least amount that some route takes, where that is more.
    """
    offered = points(amount_in, "amount_in")
    search = Ahead(Asked(market, source, destination, offered, situation_of, best, hops_max, count))
    search.run()
    if not search.complete and not search.found:
        raise _limit_met()
    if not search.found:
        raise _no_route(market, source, destination, offered, situation_of, hops_max)
    return _answered(search, lambda hops: price_route(hops, offered, worth))


def find_routes_for(
    market: Market,
    source: str,
    destination: str,
    amount_out: int,
    *,
    situation_of: Callable[[Terms], Situation] = plain,
    best: Best = Best.POINTS,
    hops_max: int = HOPS_MAX,
    count: int = 1,
    worth: Worth | None = None,
) -> Routes:
    """The routes that give at least `amount_out` for the least; otherwise as `find_routes`."""
    wanted = points(amount_out, "amount_out")
    search = Back(Asked(market, source, destination, wanted, situation_of, best, hops_max, count))
    search.run()
    if not search.complete and not search.found:
        raise _limit_met()
    if not search.found:
        raise NoRoute("no route gives that much of this program's points", field="to_program_id")
    return _answered(search, lambda hops: price_route_for(hops, wanted, worth))


def _answered(search: Search, price: Callable[[tuple[Hop, ...]], Price]) -> Routes:
    routes = Routes(Route(each.hops, price(each.hops)) for each in search.found)
    routes.complete = search.complete
    return routes


def _limit_met() -> NoRoute:
    return NoRoute("no route was found before the search ended at its limit", field="to_program_id")


def _no_route(
    market: Market,
    source: str,
    destination: str,
    offered: int,
    situation_of: Callable[[Terms], Situation],
    hops_max: int,
) -> NoRoute:
    """The refusal; a second search, for a single point, finds the least amount that goes at all."""
    search = Back(Asked(market, source, destination, 1, situation_of, Best.POINTS, hops_max, 1))
    search.run()
    if not search.found:
        return NoRoute("no route leads from one program to the other", field="to_program_id")
    least = -search.found[0].value
    if least <= offered:
        return NoRoute("no route lets this amount through now", field="to_program_id")
    return NoRoute(f"no route takes less than {least:,}", field="to_program_id", limit=least, nearest=least)
