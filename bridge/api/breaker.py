"""The breaker: why posting is stopped, stopping it by hand, letting it go on."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from bridge.api.access import Operator
from bridge.api.audit import audited
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, Body, problem_answers, time_of
from bridge.store import breaker
from bridge.store.breaker import Alarm
from exchange.errors import Conflict

#: Characters that a reason may have.
REASON_MAX = 500

router = APIRouter(prefix="/v1/breaker", tags=["health"])


class BooksStillDiffer(Conflict):
    """Raised when posting is to go on while ledger and chain differ."""

    type = "books-still-differ"


class Trip(Body):
    """Why posting is to stop."""

    reason: str = Field(min_length=1, max_length=REASON_MAX)


class PastAnswer(Answer):
    """One time that it was tripped, with its alarm, or reset, without."""

    id: int
    at: str
    alarm: Alarm | None
    reason: str


class BreakerAnswer(Answer):
    """Whether posting is stopped and why, and what happened before, newest first."""

    tripped: bool
    alarm: Alarm | None
    reason: str | None
    since: str | None
    history: list[PastAnswer]


@router.get("", responses=problem_answers(401, 403))
def show(service: TheService, _: Operator) -> BreakerAnswer:
    """Whether posting is stopped, and why."""
    with service.database.read() as connection:
        stopped, past = breaker.state(connection), breaker.history(connection)
    return BreakerAnswer(
        tripped=stopped is not None,
        alarm=None if stopped is None else stopped.alarm,
        reason=None if stopped is None else stopped.reason,
        since=None if stopped is None else time_of(stopped.since_ms),
        history=[PastAnswer(id=one.id, at=time_of(one.at_ms), alarm=one.alarm, reason=one.reason) for one in past],
    )


@router.put("", status_code=204, responses=problem_answers(401, 403, 422))
async def trip(service: TheService, _: Operator, body: Trip) -> None:
    """Stop posting by hand. What is accepted waits; guardians' calls go out."""
    await service.write(lambda connection: breaker.trip(connection, Alarm.BY_HAND, body.reason, service.clock()))


@router.delete("", status_code=204, responses=problem_answers(401, 403, 409, 422, 503))
async def reset(
    service: TheService,
    _: Operator,
    reason: Annotated[str, Query(min_length=1, max_length=REASON_MAX, description="what was found and mended")],
    seen: Annotated[int, Query(ge=0, description="the id of the newest entry of the history that you have seen")],
) -> None:
    """Let posting go on. Ledger and chain are compared first: while they differ it stays stopped.

    So it does when something was found that you have not `seen`.
    """
    if service.read(breaker.is_tripped):
        await run_in_threadpool(_require_equal, service)
        await service.write(lambda connection: breaker.reset(connection, reason, service.clock(), seen))


def _require_equal(service: Service) -> None:
    report = audited(service)
    if report.differences:
        raise BooksStillDiffer(f"{report.named()}; mend that first, see docs/runbook/books-differ.md")
