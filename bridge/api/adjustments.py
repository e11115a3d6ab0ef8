"""Adjustments: points given or taken by hand and accounts thawed, by one person's proposal and another's approval."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field, StrictBool, model_validator

from bridge.api.access import AdjustingKey, ApprovingKey, Reader
from bridge.api.context import Service, TheService
from bridge.api.members import MemberNumber
from bridge.api.shapes import (
    Answer,
    Body,
    IdempotencyKey,
    PageAsk,
    Whole,
    hexadecimal,
    problem_answers,
    rfc3339,
    time_of,
)
from bridge.store import adjustments, approvals
from bridge.store.adjustments import Adjustment, Proposal
from bridge.store.keys import ApiKey
from bridge.store.texts import REASON_LENGTH_MAX
from bridge.store.thaws import AccountDiffers, BlockPassed, Seen

#: How often the chain is asked again about an account that is to be thawed: a block may pass meanwhile, or the node may
#: answer of the next one.
LOOKS_MAX = 10

router = APIRouter(prefix="/v1/adjustments", tags=["adjustments"])

State = Literal["proposed", "approved", "rejected", "lapsed"]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX, description="one line, kept for ever")]


class ProposalBody(Body):
    """Points for a member (below zero: from), or for an account that is nobody's; or an account to be thawed."""

    member_id: Annotated[str, Field(max_length=40)] | None = None
    member_number: MemberNumber | None = None
    account: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$", description="the account's address")] | None = None
    points: Whole | None = None
    thaw: StrictBool = False
    reason: Reason

    @model_validator(mode="after")
    def _one_thing(self) -> "ProposalBody":
        if sum(one is not None for one in (self.member_id, self.member_number, self.account)) != 1:
            raise ValueError("name exactly one of member_id, member_number and account")
        if (self.points is None) != self.thaw:
            raise ValueError("say either points, or thaw")
        if self.thaw and self.account is None:
            raise ValueError("what is thawed is an account: name its address")
        return self

    def proposal(self, key: str) -> Proposal:
        """The proposal as the ledger takes it."""
        account = None if self.account is None else bytes.fromhex(self.account[2:])
        return Proposal(key, self.member_id, self.member_number, account, self.points, self.reason)


class RejectionBody(Body):
    """Why a proposal is rejected."""

    reason: Reason


class AdjustmentAnswer(Answer):
    """A proposal and what became of it: who proposed and who decided it, by which keys, when and why.

    `kind` is points, or thaw, which has 0 of them. `note` says why it was rejected.
    """

    id: str
    program_id: str
    kind: Literal["points", "thaw"]
    member_id: str | None
    account: str | None
    points: int
    reason: str
    state: State
    proposed_by: str
    proposed_key_id: str
    decided_by: str | None
    decided_key_id: str | None
    note: str | None
    operation_id: str | None
    created_at: str
    expires_at: str
    decided_at: str | None


class AdjustmentPage(Answer):
    """One page of adjustments."""

    items: list[AdjustmentAnswer]
    next: str | None
    previous: str | None


@router.post("", status_code=201, responses=problem_answers(400, 401, 403, 404, 409, 422, 503))
async def propose(
    body: ProposalBody, response: Response, service: TheService, caller: AdjustingKey, key: IdempotencyKey
) -> AdjustmentAnswer:
    """Propose to give or take points, or to thaw an account. Nothing changes until another person approves."""
    asked = body.proposal(key)
    return _told(
        response,
        *await service.write(lambda connection: adjustments.propose(connection, caller, asked, service.clock())),
    )


@router.get("", responses=problem_answers(401, 403, 422))
def list_all(
    service: TheService,
    caller: Reader,
    ask: PageAsk,
    state: Annotated[State | None, Query()] = None,
    member_id: Annotated[str | None, Query(max_length=40)] = None,
) -> AdjustmentPage:
    """Adjustments of the caller's program, newest first; none is ever removed."""
    page = service.read(
        lambda connection: adjustments.page(connection, caller.program_id, ask, state=state, member_id=member_id)
    )
    return AdjustmentPage(items=[_answer(one) for one in page.items], next=page.next, previous=page.previous)


@router.get("/{adjustment_id}", responses=problem_answers(401, 403, 404))
def show(adjustment_id: str, service: TheService, caller: Reader) -> AdjustmentAnswer:
    """One adjustment."""
    return _answer(service.read(lambda connection: adjustments.by_id(connection, adjustment_id, caller.program_id)))


@router.post("/{adjustment_id}/approve", responses=problem_answers(400, 401, 403, 404, 409, 422, 503))
async def approve(
    adjustment_id: str, response: Response, service: TheService, caller: ApprovingKey, key: IdempotencyKey
) -> AdjustmentAnswer:
    """Approve what another person proposed: points become an operation, an account is thawed.

    Points are taken first-expiring first. Where there are too few, this is refused and the proposal stays.
    """
    found = service.read(lambda connection: adjustments.by_id(connection, adjustment_id, caller.program_id))
    if found.thaws and found.state == adjustments.PROPOSED:
        return _told(response, *await _approve_thaw(service, caller, found, key))
    return _told(
        response,
        *await service.write(
            lambda connection: approvals.approve(connection, caller, adjustment_id, key, service.clock())
        ),
    )


@router.post("/{adjustment_id}/reject", responses=problem_answers(400, 401, 403, 404, 409, 422, 503))
async def reject(
    adjustment_id: str,
    body: RejectionBody,
    response: Response,
    service: TheService,
    caller: ApprovingKey,
    key: IdempotencyKey,
) -> AdjustmentAnswer:
    """Reject what another person proposed; it is kept with the reason."""
    return _told(
        response,
        *await service.write(
            lambda connection: approvals.reject(connection, caller, adjustment_id, key, body.reason, service.clock())
        ),
    )


async def _approve_thaw(service: Service, caller: ApiKey, found: Adjustment, key: str) -> tuple[Adjustment, bool]:
    """Look at the chain and thaw, unless a block passed in between: then look again."""
    assert found.account_id is not None
    looks_left = LOOKS_MAX
    while True:
        seen: Seen = await run_in_threadpool(service.reconciler.seen, found.account_id)
        looks_left -= 1
        try:
            return await service.write(
                partial(
                    approvals.approve,
                    caller=caller,
                    adjustment_id=found.id,
                    key=key,
                    now_ms=service.clock(),
                    seen=seen,
                )
            )
        except (AccountDiffers, BlockPassed):
            if not looks_left:
                raise


def _told(response: Response, one: Adjustment, replayed: bool) -> AdjustmentAnswer:
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return _answer(one)


def _answer(one: Adjustment) -> AdjustmentAnswer:
    return AdjustmentAnswer(
        id=one.id,
        program_id=one.program_id,
        kind="thaw" if one.thaws else "points",
        member_id=one.member_id,
        account=hexadecimal(one.account),
        points=one.points,
        reason=one.reason,
        state=one.state,  # type: ignore[arg-type]
        proposed_by=one.proposed_by,
        proposed_key_id=one.proposed_key,
        decided_by=one.decided_by,
        decided_key_id=one.decided_key,
        note=one.note,
        operation_id=one.operation_id,
        created_at=time_of(one.created_ms),
        expires_at=time_of(one.expires_ms),
        decided_at=rfc3339(one.decided_ms),
    )
