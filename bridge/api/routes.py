"""Routes: the best ways from one program to another, as an indication."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError

from bridge.api import prices
from bridge.api.access import Reader
from bridge.api.context import TheService
from bridge.api.prices import PriceShape
from bridge.api.shapes import Answer, problem_answers
from bridge.posting.quoting import Search
from bridge.store import chainstate, members
from bridge.store.usage import Customer
from exchange.checks import NAME_MAX
from exchange.pricing import HOPS_MAX
from exchange.search import ROUTES_MAX, Best

router = APIRouter(prefix="/v1/routes", tags=["quotes"])

Id = Annotated[str, Query(max_length=40)]


class RoutesAnswer(Answer):
    """Routes, the best first; unless `complete` the search met its limit, and a better one may have been missed."""

    items: list[PriceShape]
    complete: bool


@router.get("", responses=problem_answers(401, 403, 404, 409, 422))
def find(
    service: TheService,
    caller: Reader,
    from_program_id: Id,
    to_program_id: Id,
    amount_in: Annotated[int | None, Query()] = None,
    amount_out: Annotated[int | None, Query()] = None,
    best: Annotated[Best, Query(description="what makes a route better: more points, or fewer hops")] = Best.POINTS,
    hops_max: Annotated[int, Query(ge=1, le=HOPS_MAX)] = HOPS_MAX,
    count: Annotated[int, Query(ge=1, le=ROUTES_MAX)] = 1,
    tier: Annotated[str | None, Query(min_length=1, max_length=NAME_MAX)] = None,
    member_id: Annotated[str | None, Query(max_length=40, description="whose caps count")] = None,
) -> RoutesAnswer:
    """What an amount becomes along the best routes, each explained; nothing is promised, and nothing reserved.

    With `member_id`, a member of the source and of the caller's own program, what is left of their caps counts.
    """
    if (amount_in is None) == (amount_out is None):
        said = "say exactly one of amount_in and amount_out"
        raise RequestValidationError([{"type": "value_error", "loc": ("query", "amount_in"), "msg": said}])

    def search(connection: sa.Connection) -> RoutesAnswer:
        who = None
        if member_id is not None:
            # First whether the caller may see them, then whether it is they who would swap: what others used of caps
            # is nobody's to learn by way of a linked membership.
            members.by_id(connection, member_id, caller.program_id)
            member = members.by_id(connection, member_id, from_program_id)
            who = Customer.of(connection, member, tier)
        asked = Search(from_program_id, to_program_id, amount_in, amount_out, best, hops_max, count, tier, who)
        found = service.quoting.routes(connection, asked, service.clock())
        worth = service.quoting.worth(connection, from_program_id, to_program_id, service.clock())
        deployment = chainstate.get(connection)
        assert deployment is not None
        items = [prices.of_price(route.price, deployment.settlement_currency, worth) for route in found]
        return RoutesAnswer(items=items, complete=found.complete)

    return service.read(search)
