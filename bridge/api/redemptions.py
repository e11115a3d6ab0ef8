"""Redemptions at once: the points are held in the answer's transaction and burned on the chain."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field, model_validator

from bridge.api.access import RedeemingProgram
from bridge.api.context import TheService
from bridge.api.members import MemberNumber
from bridge.api.operations import DONE_ANSWER, OperationAnswer, accepted
from bridge.api.shapes import Body, IdempotencyKey, WaitSeconds, Whole, problem_answers
from bridge.store import redemptions
from bridge.store.redemptions import RedemptionRequest

router = APIRouter(prefix="/v1/redemptions", tags=["redemptions"])


class Redemption(Body):
    """Points to be spent by a member, named by id or number."""

    member_id: Annotated[str, Field(max_length=40)] | None = None
    member_number: MemberNumber | None = None
    points: Whole

    @model_validator(mode="after")
    def _one_member(self) -> "Redemption":
        if (self.member_id is None) == (self.member_number is None):
            raise ValueError("name the member by exactly one of member_id and member_number")
        return self


@router.post("", status_code=202, responses=DONE_ANSWER | problem_answers(400, 401, 403, 404, 409, 422, 503))
async def redeem(
    body: Redemption,
    response: Response,
    service: TheService,
    program_id: RedeemingProgram,
    key: IdempotencyKey,
    wait_s: WaitSeconds,
) -> OperationAnswer:
    """Redeem points. What expires first is spent first."""
    request = RedemptionRequest(key, body.member_id, body.member_number, body.points)
    operation_id, replayed = await service.write(
        lambda connection: redemptions.accept(connection, program_id, request, service.clock())
    )
    return await accepted(service, response, operation_id, replayed=replayed, wait_s=wait_s)
