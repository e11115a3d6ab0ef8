"""Reversals: an earn or a redemption taken back, whole or in part."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from bridge.api.access import ReversingKey, require_scope
from bridge.api.context import TheService
from bridge.api.operations import DONE_ANSWER, OperationAnswer, accepted, done
from bridge.api.shapes import Body, IdempotencyKey, WaitSeconds, Whole, problem_answers
from bridge.store import operations, reversals
from bridge.store.reversals import ReversalRequest
from exchange.operations import OperationKind

#: Which scope takes back what: the one that did it.
SCOPES = {OperationKind.EARN.value: "earn", OperationKind.REDEMPTION.value: "redeem"}

router = APIRouter(prefix="/v1/reversals", tags=["reversals"])


class Reversal(Body):
    """What is to be taken back, and how much of it: all that is left, unless `points` says less."""

    operation_id: Annotated[str, Field(max_length=40)]
    points: Whole | None = None


@router.post("", status_code=202, responses=DONE_ANSWER | problem_answers(400, 401, 403, 404, 409, 422, 503))
async def reverse(
    body: Reversal,
    response: Response,
    service: TheService,
    caller: ReversingKey,
    key: IdempotencyKey,
    wait_s: WaitSeconds,
) -> OperationAnswer:
    """Take back an earn, or a redemption that is final. All reversals of one together are never more than it was.

    A caller that prefers to wait waits first until the redemption is final.
    """
    since_ms = service.clock()
    program_id = caller.program_id
    assert program_id is not None
    original = service.read(lambda connection: operations.by_id(connection, body.operation_id, program_id))
    if original.kind in SCOPES:
        require_scope(caller, SCOPES[original.kind])
    if wait_s and original.kind == OperationKind.REDEMPTION:
        await done(service, original.id, since_ms + wait_s * 1000)
    request = ReversalRequest(key, body.operation_id, body.points)
    operation_id, replayed = await service.write(
        lambda connection: reversals.accept(connection, program_id, request, service.clock())
    )
    return await accepted(service, response, operation_id, replayed=replayed, wait_s=wait_s, since_ms=since_ms)
