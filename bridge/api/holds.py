"""Redemptions in two steps: a till authorises points, and captures or voids them later."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import Field, StrictBool, model_validator

from bridge.api.access import Reader, RedeemingProgram
from bridge.api.context import TheService
from bridge.api.members import MemberNumber
from bridge.api.operations import DONE_ANSWER, OperationAnswer, accepted
from bridge.api.shapes import (
    Answer,
    Body,
    IdempotencyKey,
    PageAsk,
    WaitSeconds,
    Whole,
    problem_answers,
    rfc3339,
    time_of,
)
from bridge.store import captures, holds, members, pages
from bridge.store.captures import CaptureRequest
from bridge.store.holds import Hold, HoldRequest

router = APIRouter(prefix="/v1", tags=["holds"])


class HoldBody(Body):
    """Points to be held of a member, named by id or number, for so long or for an hour."""

    member_id: Annotated[str, Field(max_length=40)] | None = None
    member_number: MemberNumber | None = None
    points: Whole
    expires_in_s: Annotated[Whole, Field(ge=1, le=holds.LIFE_S_MAX)] | None = None

    @model_validator(mode="after")
    def _one_member(self) -> "HoldBody":
        if (self.member_id is None) == (self.member_number is None):
            raise ValueError("name the member by exactly one of member_id and member_number")
        return self


class Capture(Body):
    """Held points to be burned; without `points` all that are left. After a `final` capture the rest is free."""

    points: Whole | None = None
    final: StrictBool = False


class HoldAnswer(Answer):
    """Authorised points: how many are `captured`, how many are `left` to be, and how the hold ended, if it did."""

    id: str
    program_id: str
    member_id: str
    points: int
    captured: int
    left: int
    state: str
    expires_at: str
    created_at: str
    closed_at: str | None


class HoldPage(Answer):
    """One page of holds."""

    items: list[HoldAnswer]
    next: str | None
    previous: str | None


@router.post("/holds", status_code=201, responses=problem_answers(400, 401, 403, 404, 409, 422, 503))
async def authorise(
    body: HoldBody, response: Response, service: TheService, program_id: RedeemingProgram, key: IdempotencyKey
) -> HoldAnswer:
    """Hold points, those that expire first before others. They are nobody else's until the hold ends."""
    request = HoldRequest(key, body.member_id, body.member_number, body.points, body.expires_in_s)
    made, replayed = await service.write(
        lambda connection: holds.authorise(connection, program_id, request, service.clock())
    )
    _tell_replay(response, replayed)
    return _answer(made)


@router.post(
    "/holds/{hold_id}/captures",
    status_code=202,
    responses=DONE_ANSWER | problem_answers(400, 401, 403, 404, 409, 422, 503),
)
async def capture(
    hold_id: str,
    body: Capture,
    response: Response,
    service: TheService,
    program_id: RedeemingProgram,
    key: IdempotencyKey,
    wait_s: WaitSeconds,
) -> OperationAnswer:
    """Redeem held points, in parts or whole. The hold ends with the last of them, or with a `final` capture."""
    request = CaptureRequest(key, hold_id, body.points, body.final)
    operation_id, replayed = await service.write(
        lambda connection: captures.accept(connection, program_id, request, service.clock())
    )
    return await accepted(service, response, operation_id, replayed=replayed, wait_s=wait_s)


@router.post("/holds/{hold_id}/void", responses=problem_answers(400, 401, 403, 404, 409, 422, 503))
async def void(
    hold_id: str, response: Response, service: TheService, program_id: RedeemingProgram, key: IdempotencyKey
) -> HoldAnswer:
    """End a hold: what was not captured is free at once."""
    closed, replayed = await service.write(
        lambda connection: holds.void(connection, program_id, key, hold_id, service.clock())
    )
    _tell_replay(response, replayed)
    return _answer(closed)


@router.get("/holds/{hold_id}", responses=problem_answers(401, 403, 404))
def show(hold_id: str, service: TheService, caller: Reader) -> HoldAnswer:
    """One hold."""
    found = service.read(lambda connection: holds.by_id(connection, hold_id, caller.program_id))
    return _answer(found.at(service.clock()))


@router.get("/members/{member_id}/holds", responses=problem_answers(401, 403, 404, 422))
def list_all(member_id: str, service: TheService, caller: Reader, ask: PageAsk) -> HoldPage:
    """A member's holds, newest first."""

    def read(connection: sa.Connection) -> pages.Page[Hold]:
        members.by_id(connection, member_id, caller.program_id)
        return holds.page(connection, member_id, ask)

    page, now_ms = service.read(read), service.clock()
    return HoldPage(items=[_answer(one.at(now_ms)) for one in page.items], next=page.next, previous=page.previous)


def _tell_replay(response: Response, replayed: bool) -> None:
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"


def _answer(one: Hold) -> HoldAnswer:
    return HoldAnswer(
        id=one.id,
        program_id=one.program_id,
        member_id=one.member_id,
        points=one.points,
        captured=one.captured,
        left=one.left,
        state=one.state,
        expires_at=time_of(one.expires_ms),
        created_at=time_of(one.created_ms),
        closed_at=rfc3339(one.closed_ms),
    )
