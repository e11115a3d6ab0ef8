"""Swaps: a quote, accepted."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from bridge.api.access import Reader, SwappingProgram
from bridge.api.context import TheService
from bridge.api.operations import DONE_ANSWER, OperationAnswer, accepted, answer
from bridge.api.shapes import Body, IdempotencyKey, WaitSeconds, problem_answers
from bridge.store import operations, swaps
from exchange.errors import UnknownOperation

router = APIRouter(prefix="/v1/swaps", tags=["swaps"])


class SwapBody(Body):
    """The quote to accept."""

    quote_id: Annotated[str, Field(max_length=40)]


@router.post("", status_code=202, responses=DONE_ANSWER | problem_answers(400, 401, 403, 404, 409, 422, 503))
async def swap(
    body: SwapBody,
    response: Response,
    service: TheService,
    program_id: SwappingProgram,
    key: IdempotencyKey,
    wait_s: WaitSeconds,
) -> OperationAnswer:
    """Accept a quote: the source points are held, and burned and minted on the chain in one transaction."""
    operation_id, replayed = await service.write(
        lambda connection: swaps.accept(connection, program_id, key, body.quote_id, service.clock())
    )
    return await accepted(service, response, operation_id, replayed=replayed, wait_s=wait_s)


@router.get("/{operation_id}", responses=problem_answers(401, 403, 404))
def show(operation_id: str, service: TheService, caller: Reader) -> OperationAnswer:
    """One swap, for either of its programs."""
    found = service.read(lambda connection: operations.by_id(connection, operation_id, caller.program_id))
    if found.swap is None:
        raise UnknownOperation(f"operation {operation_id} is no swap", field="operation_id")
    return answer(found)
