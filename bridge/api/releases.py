"""Releases: points leave a member's managed account for the wallet that is bound to it."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from bridge.api.access import RedeemingProgram
from bridge.api.context import TheService
from bridge.api.operations import DONE_ANSWER, OperationAnswer, accepted
from bridge.api.shapes import Body, IdempotencyKey, WaitSeconds, Whole, problem_answers
from bridge.store import releases
from bridge.store.releases import ReleaseRequest

router = APIRouter(prefix="/v1/members/{member_id}/releases", tags=["wallets"])


class Release(Body):
    """Points for a wallet of the member."""

    wallet_id: Annotated[str, Field(max_length=40)]
    points: Whole


@router.post("", status_code=202, responses=DONE_ANSWER | problem_answers(400, 401, 403, 404, 409, 422, 503))
async def release(
    member_id: str,
    body: Release,
    response: Response,
    service: TheService,
    program_id: RedeemingProgram,
    key: IdempotencyKey,
    wait_s: WaitSeconds,
) -> OperationAnswer:
    """Release points, those that expire first before others. They keep their expiry."""
    request = ReleaseRequest(key, member_id, body.wallet_id, body.points)
    operation_id, replayed = await service.write(
        lambda connection: releases.accept(connection, program_id, request, service.clock())
    )
    return await accepted(service, response, operation_id, replayed=replayed, wait_s=wait_s)
