"""Expirations: on which days points of a member expire."""

from fastapi import APIRouter

from bridge.api.access import Reader
from bridge.api.context import TheService
from bridge.api.shapes import Answer, PageAsk, problem_answers, time_of
from bridge.store import expiry, members
from exchange.days import name_of

router = APIRouter(prefix="/v1/members", tags=["members"])


class ExpirationAnswer(Answer):
    """All that expires on a day in UTC, and when the first of it does."""

    day: str
    points: int
    first_at: str


class ExpirationPage(Answer):
    """One page of days."""

    items: list[ExpirationAnswer]
    next: str | None
    previous: str | None


@router.get("/{member_id}/expirations", responses=problem_answers(401, 403, 404, 422))
def list_days(member_id: str, service: TheService, caller: Reader, ask: PageAsk) -> ExpirationPage:
    """Every day on which points of the member expire, the first first. What is held or frozen is not among them."""
    with service.database.read() as connection:
        member = members.by_id(connection, member_id, caller.program_id)
        page = expiry.of_member(connection, member.id, service.clock(), ask)
    return ExpirationPage(
        items=[
            ExpirationAnswer(day=name_of(one.day), points=one.points, first_at=time_of(one.first_ms))
            for one in page.items
        ],
        next=page.next,
        previous=page.previous,
    )
