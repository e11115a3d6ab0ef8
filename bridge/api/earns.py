"""Earns: one, or up to a thousand in a call where each item succeeds or fails on its own."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import Field, model_validator

from bridge.api.access import EarningProgram
from bridge.api.context import Service, TheService
from bridge.api.members import MemberNumber
from bridge.api.operations import DONE_ANSWER, OperationAnswer, accepted, answer
from bridge.api.problems import Problem, problem_of
from bridge.api.shapes import (
    IDEMPOTENCY_KEY_LENGTH_MAX,
    Answer,
    Body,
    IdempotencyKey,
    Moment,
    WaitSeconds,
    Whole,
    milliseconds,
    problem_answers,
)
from bridge.store import earns, operations, pending_earns
from bridge.store.earns import EarnAnswer, EarnRequest
from bridge.store.pending_earns import Cancellation, Change

BULK_ITEMS_MAX = 1000

router = APIRouter(prefix="/v1/earns", tags=["earns"])


class Earn(Body):
    """A purchase (`spend_minor`, priced at the program's rate) or points outright, of a member by id or number."""

    member_id: Annotated[str, Field(max_length=40)] | None = None
    member_number: MemberNumber | None = None
    spend_minor: Whole | None = None
    points: Whole | None = None
    occurred_at: Moment | None = None
    available_at: (
        Annotated[Moment, Field(description="when the points come; until then the earn can be changed and cancelled")]
        | None
    ) = None

    @model_validator(mode="after")
    def _one_of_each(self) -> "Earn":
        if (self.member_id is None) == (self.member_number is None):
            raise ValueError("name the member by exactly one of member_id and member_number")
        if (self.spend_minor is None) == (self.points is None):
            raise ValueError("say exactly one of spend_minor and points")
        return self

    def request(self, key: str, key_field: str = "event_id") -> EarnRequest:
        """The earn as the ledger takes it."""
        return EarnRequest(
            key=key,
            member_id=self.member_id,
            member_number=self.member_number,
            spend_minor=self.spend_minor,
            points=self.points,
            occurred_ms=milliseconds(self.occurred_at),
            key_field=key_field,
            release_ms=milliseconds(self.available_at),
        )


class EarnChange(Body):
    """What a pending earn is to become; what is left out stays."""

    points: Whole | None = None
    available_at: Moment | None = None

    @model_validator(mode="after")
    def _something(self) -> "EarnChange":
        if self.points is None and self.available_at is None:
            raise ValueError("say points, available_at or both")
        return self


class EarnItem(Earn):
    """One earn of a bulk call; `event_id` is its idempotency key."""

    event_id: Annotated[str, Field(min_length=1, max_length=IDEMPOTENCY_KEY_LENGTH_MAX)]


class BulkBody(Body):
    """Earns of one program, in the order in which they are to be accepted."""

    items: Annotated[list[EarnItem], Field(min_length=1, max_length=BULK_ITEMS_MAX)]


BulkStatus = Literal["accepted", "replayed", "nothing_earned", "refused"]


class BulkResult(Answer):
    """What became of one item."""

    event_id: str
    status: BulkStatus
    operation_id: str | None
    points: int
    problem: Problem | None


class BulkCounts(Answer):
    """How many items ended which way."""

    accepted: int = 0
    replayed: int = 0
    nothing_earned: int = 0
    refused: int = 0


class BulkAnswer(Answer):
    """The results in the order of the items."""

    results: list[BulkResult]
    counts: BulkCounts


@router.post("", status_code=202, responses=DONE_ANSWER | problem_answers(400, 401, 403, 404, 409, 422, 503))
async def earn(
    body: Earn,
    response: Response,
    service: TheService,
    program_id: EarningProgram,
    key: IdempotencyKey,
    wait_s: WaitSeconds,
) -> OperationAnswer:
    """Credit one purchase, now or at a time to come. Too small a spend earns nothing, and the answer (200) says so."""
    request = body.request(key, "Idempotency-Key")
    (done,) = await _accept(service, program_id, [request])
    if done.refusal is not None:
        raise done.refusal
    assert done.operation_id is not None
    if done.accepted is not None and not wait_s:
        if done.points == 0:
            response.status_code = 200
        return answer(done.accepted)
    return await accepted(service, response, done.operation_id, replayed=done.replayed, wait_s=wait_s)


@router.post("/bulk", responses=problem_answers(401, 403, 409, 413, 422, 503))
async def earn_bulk(body: BulkBody, service: TheService, program_id: EarningProgram) -> BulkAnswer:
    """Credit many purchases in one call."""
    done = await _accept(service, program_id, [item.request(item.event_id) for item in body.items])
    results = [_result(one) for one in done]
    counts = BulkCounts()
    for result in results:
        setattr(counts, result.status, getattr(counts, result.status) + 1)
    return BulkAnswer(results=results, counts=counts)


@router.patch("/{earn_id}", responses=problem_answers(400, 401, 403, 404, 409, 422, 503))
async def change(
    earn_id: str,
    body: EarnChange,
    response: Response,
    service: TheService,
    program_id: EarningProgram,
    key: IdempotencyKey,
) -> OperationAnswer:
    """Change how many points come, or when, before they do."""
    wanted = Change(key, earn_id, body.points, milliseconds(body.available_at))
    return await _settle(
        service,
        response,
        earn_id,
        lambda connection: pending_earns.change(connection, program_id, wanted, service.clock()),
    )


@router.post("/{earn_id}/cancel", responses=problem_answers(400, 401, 403, 404, 409, 422, 503))
async def cancel(
    earn_id: str, response: Response, service: TheService, program_id: EarningProgram, key: IdempotencyKey
) -> OperationAnswer:
    """Cancel an earn before its points come."""
    wanted = Cancellation(key, earn_id)
    return await _settle(
        service,
        response,
        earn_id,
        lambda connection: pending_earns.cancel(connection, program_id, wanted, service.clock()),
    )


async def _settle(
    service: Service, response: Response, operation_id: str, command: Callable[[sa.Connection], bool]
) -> OperationAnswer:
    """The earn as it is now; a repeat says so."""
    if await service.write(command):
        response.headers["Idempotency-Replayed"] = "true"
    return answer(service.read(lambda connection: operations.by_id(connection, operation_id)))


async def _accept(service: Service, program_id: str, requests: Sequence[EarnRequest]) -> Sequence[EarnAnswer]:
    """Hand earns to the ledger, together with whatever the program's other callers ask for at this moment."""

    def command(connection: sa.Connection, together: Sequence[EarnRequest]) -> Sequence[EarnAnswer]:
        return earns.accept(connection, program_id, together, service.clock())

    return await service.write_shared(command, requests, share=("earn", program_id))


def _result(one: EarnAnswer) -> BulkResult:
    return BulkResult(
        event_id=one.key,
        status=_status(one),
        operation_id=one.operation_id,
        points=one.points,
        problem=None if one.refusal is None else problem_of(one.refusal),
    )


def _status(one: EarnAnswer) -> BulkStatus:
    if one.refusal is not None:
        return "refused"
    if one.replayed:
        return "replayed"
    return "nothing_earned" if one.points == 0 else "accepted"
