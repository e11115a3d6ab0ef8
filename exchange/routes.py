"""Routes: the best ways from one program to another, over up to `HOPS_MAX` directions.

The best is the best among all simple routes, with every integer rule applied, as `exchange.pricing` prices each of
them; `exchange.search` finds it. Of routes that are as good and as long, the one that burns the least comes first, its
fee in points counted; then the one that gives the most; and then the one whose programs' ids come first, compared from
the source on. So the same question to the same market always has the same answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from exchange.errors import NoRoute
from exchange.explanation import Worth
from exchange.market import Market
from exchange.path import HOPS_MAX, Hop, Path
from exchange.points import points
from exchange.pricing import Price, price_route, price_route_for
from exchange.search import WORK_MAX, Ahead, Asked, Back, Best, Search
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms

__all__ = ["Best", "Route", "Routes", "find_routes", "find_routes_for", "plain"]

NEAREST_WORK_MAX = 250
"""The same as `WORK_MAX` for the second search, after a refusal, which finds the nearest amount that goes."""

NEAREST_ROUTES = 3
"""How many routes that search looks for: those that take the least points."""


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
    through does not count. Raises `InvalidAmount`, and `NoRoute` when none leads there for this amount. `nearest` is
    then the least amount that some route takes; or, where the offered is more, the greatest that one of the three
    taking the least lets through now. It may be missing, or not be the nearest, where finding it takes too long.
    """
    offered = points(amount_in, "amount_in")
    asked = Asked(market, source, destination, offered, situation_of, best, hops_max, count, WORK_MAX)
    search = Ahead(asked)
    search.run()
    if not search.found:
        raise _no_route(asked) if search.complete else _limit_met()
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
    """The routes that give at least `amount_out` for the least; otherwise as `find_routes`.

    `nearest` of a refusal is the most that one of the three routes taking the least can give.
    """
    wanted = points(amount_out, "amount_out")
    asked = Asked(market, source, destination, wanted, situation_of, best, hops_max, count, WORK_MAX)
    search = Back(asked)
    search.run()
    if not search.found:
        raise _not_so_much(asked) if search.complete else _limit_met()
    return _answered(search, lambda hops: price_route_for(hops, wanted, worth))


def _answered(search: Search, price: Callable[[tuple[Hop, ...]], Price]) -> Routes:
    routes = Routes(Route(each.hops, price(each.hops)) for each in search.found)
    routes.complete = search.complete
    return routes


def _limit_met() -> NoRoute:
    return NoRoute("no route was found before the search ended at its limit", field="to_program_id")


def _no_route(asked: Asked) -> NoRoute:
    """The refusal of an amount offered."""
    paths, complete = _taking_least(asked)
    if not paths:
        return _none_leads_there() if complete else _limit_met()
    least = min(each for path in paths if (each := path.least))
    if least > asked.amount:
        said = f"no route takes less than {least:,}" if complete else f"no route takes this amount, and one {least:,}"
        return NoRoute(said, field="to_program_id", limit=least if complete else None, nearest=least)
    nearest = max((each for path in paths if (each := path.greatest) and each < asked.amount), default=None)
    return NoRoute("no route lets this amount through now", field="to_program_id", limit=nearest, nearest=nearest)


def _not_so_much(asked: Asked) -> NoRoute:
    """The refusal of an amount wanted."""
    paths, complete = _taking_least(asked)
    if not paths and complete:
        return _none_leads_there()
    most = max((path.yield_of(each).total for path in paths if (each := path.greatest)), default=None)
    return NoRoute("no route gives that much of this program's points", field="to_program_id", limit=most, nearest=most)


def _none_leads_there() -> NoRoute:
    return NoRoute("no route leads from one program to the other", field="to_program_id")


def _taking_least(asked: Asked) -> tuple[list[Path], bool]:
    """The routes that take the least points, and whether they surely are; a short search, for a refusal only."""
    short = replace(asked, amount=1, best=Best.POINTS, count=NEAREST_ROUTES, work_max=NEAREST_WORK_MAX)
    search = Back(short)
    search.run()
    return [Path(each.hops) for each in search.found], search.complete
