"""Operations: what became of each request that changes points."""

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from bridge.api.access import Reader
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, PageAsk, hexadecimal, problem_answers, rfc3339, time_of
from bridge.store import members, operations
from bridge.store.operations import Filter, Operation
from exchange.operations import OperationKind, OperationState

router = APIRouter(prefix="/v1", tags=["operations"])

DONE = ("final", "failed", "cancelled")
_STEPS = (("submitted", "submitted_ms"), ("confirmed", "confirmed_ms"), ("final", "final_ms"))


class Step(Answer):
    """When an operation reached a state."""

    state: str
    at: str


class ThrottleDetail(Answer):
    """The limit under which an accepted operation's batch waits for room; micro-units for `credit`, else points."""

    limit: str
    needed: int
    available: int


class SwapHop(Answer):
    """What a swap does in one direction, before bonuses; `settlement_micro` is what its source comes to owe for it."""

    from_program_id: str
    to_program_id: str
    terms_id: str
    amount_in: int
    amount_out: int
    settlement_micro: int


class SwapExtra(Answer):
    """A bonus or a fee of a swap: an operation of its own, in the program whose points they are.

    It is accepted with the swap, goes its own way once that is final, and never fails unless the swap does.
    """

    operation_id: str
    kind: str
    program_id: str
    points: int
    state: str


class SwapDetail(Answer):
    """The other half of a swap. One that a holder made with a wallet has no quote, and names no terms or hops.

    `points_out` is what the swap itself brings; bonuses are among the `extras`.
    """

    to_program_id: str
    to_member_id: str | None
    points_out: int
    quote_id: str | None
    terms_id: str | None
    settlement_micro: int | None
    path: list[str]
    hops: list[SwapHop]
    extras: list[SwapExtra]


class ReversalDetail(Answer):
    """What a reversal took back (`taken`, `expired`, `owed`) or gave back (`returned`) of the operation it reverses.

    `expired` of an earn's points were gone before; of a redemption's, so many of those `returned` came back expired.
    """

    operation_id: str
    taken: int
    returned: int
    expired: int
    owed: int


class AdjustmentDetail(Answer):
    """Why an adjustment was made, and who stands for it; `points` are below zero where they were taken."""

    adjustment_id: str
    points: int
    reason: str
    proposed_by: str
    approved_by: str


class OperationAnswer(Answer):
    """One accepted request that changes points, and how far it has come; `of_swap` is a bonus's or a fee's swap.

    `of_credit` is what a repayment of a debt is made of: an earn, or the reversal of a redemption; of an expiry the
    earn, where it was taken back and a debt may fall by what expires of it. `available_at` is
    when the points of an earn come or came, where that was put off, and `pending` that they are to come.
    """

    id: str
    kind: str
    program_id: str
    member_id: str | None
    points: int
    state: str
    reason: str | None
    idempotency_key: str | None
    tag: str | None
    created_at: str
    occurred_at: str | None
    available_at: str | None
    pending: bool
    steps: list[Step]
    batch_id: str | None
    throttled: ThrottleDetail | None
    transaction: str | None
    block: int | None
    swap: SwapDetail | None
    of_swap: str | None
    adjustment: AdjustmentDetail | None
    reversal: ReversalDetail | None
    of_credit: str | None
    hold_id: str | None


#: What comes after a credit, and not after a swap.
_OF_CREDIT = (OperationKind.REPAYMENT, OperationKind.EXPIRY)
#: A request that changes points answers 200 instead of 202 when the operation is done.
DONE_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"model": OperationAnswer, "description": "Done: it was waited for, or nothing was earned"}
}


class OperationPage(Answer):
    """One page of operations."""

    items: list[OperationAnswer]
    next: str | None
    previous: str | None


@router.get("/operations/{operation_id}", responses=problem_answers(401, 403, 404))
def show(operation_id: str, service: TheService, caller: Reader) -> OperationAnswer:
    """One operation, for the programs that it concerns."""
    return answer(service.read(lambda connection: operations.by_id(connection, operation_id, caller.program_id)))


@router.get("/operations", responses=problem_answers(401, 403, 404, 422))
def list_all(
    service: TheService,
    caller: Reader,
    ask: PageAsk,
    member_id: Annotated[str | None, Query(max_length=40)] = None,
    kind: Annotated[OperationKind | None, Query()] = None,
    state: Annotated[OperationState | None, Query()] = None,
) -> OperationPage:
    """Operations that concern the caller's program, newest first."""
    wanted = Filter(
        caller.program_id,
        member_id,
        None if kind is None else kind.value,
        None if state is None else state.value,
    )
    with service.database.read() as connection:
        if member_id is not None:
            members.by_id(connection, member_id, caller.program_id)
        page = operations.page(connection, wanted, ask)
    return OperationPage(items=[answer(one) for one in page.items], next=page.next, previous=page.previous)


def answer(one: Operation) -> OperationAnswer:
    """An operation as callers see it."""
    times = ((state, getattr(one, column)) for state, column in _STEPS)
    steps = [Step(state="accepted", at=time_of(one.created_ms))]
    steps += [Step(state=state, at=time_of(ms)) for state, ms in times if ms is not None]
    return OperationAnswer(
        id=one.id,
        kind=one.kind,
        program_id=one.program_id,
        member_id=one.member_id,
        points=one.points,
        state=one.state,
        reason=one.reason,
        idempotency_key=one.idempotency_key,
        tag=hexadecimal(one.tag),
        created_at=time_of(one.created_ms),
        occurred_at=rfc3339(one.occurred_ms),
        available_at=rfc3339(one.release_ms),
        pending=one.pending,
        steps=steps,
        batch_id=one.batch_id,
        throttled=None if one.throttled is None else ThrottleDetail(**one.throttled),
        transaction=hexadecimal(one.transaction_hash),
        block=one.block_number,
        swap=None if one.swap is None else SwapDetail(**dataclasses.asdict(one.swap), path=one.swap.path),
        of_swap=None if one.kind in _OF_CREDIT else one.after_id,
        reversal=_reversal(one),
        of_credit=one.after_id if one.kind in _OF_CREDIT else None,
        adjustment=None if one.adjustment is None else AdjustmentDetail(**dataclasses.asdict(one.adjustment)),
        hold_id=one.hold_id,
    )


def _reversal(one: Operation) -> ReversalDetail | None:
    if one.reverses_id is None or one.reversed_kind is None:
        return None
    expired = one.expired_points or 0
    back = one.reversed_kind == OperationKind.REDEMPTION
    return ReversalDetail(
        operation_id=one.reverses_id,
        taken=0 if back else one.points - expired - one.debt_change,
        returned=one.points if back else 0,
        expired=expired,
        owed=one.debt_change,
    )


async def accepted(
    service: Service,
    response: Response,
    operation_id: str,
    *,
    replayed: bool,
    wait_s: int,
    since_ms: int | None = None,
) -> OperationAnswer:
    """The answer to a request that changes points.

    A repeat has the first answer again: the operation as it was when it was accepted. A caller that prefers to wait
    has the operation as it is when it is done, or when the time is over; it runs from `since_ms`, or from now.
    """
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    if wait_s:
        since_ms = service.clock() if since_ms is None else since_ms
        found = await done(service, operation_id, since_ms + wait_s * 1000)
        response.headers["Preference-Applied"] = f"wait={wait_s}"
        if found.state in DONE:
            response.status_code = 200
        return answer(found)
    found = service.read(lambda connection: operations.by_id(connection, operation_id))
    if found.reason in operations.AT_ONCE:  # done as soon as it was remembered
        response.status_code = 200
        return answer(found)
    return answer(_as_accepted(found))


def _as_accepted(found: Operation) -> Operation:
    side = found.swap
    if side is not None:
        accepted_with = [dataclasses.replace(one, state=OperationState.ACCEPTED.value) for one in side.extras]
        side = dataclasses.replace(side, extras=tuple(accepted_with))
    return dataclasses.replace(
        found,
        state=OperationState.ACCEPTED.value,
        pending=found.release_ms is not None and found.release_ms > found.created_ms,
        reason=None,
        batch_id=None,
        throttled=None,
        submitted_ms=None,
        confirmed_ms=None,
        final_ms=None,
        transaction_hash=None,
        block_number=None,
        swap=side,
    )


async def done(service: Service, operation_id: str, deadline_ms: int) -> Operation:
    """An operation once it is done, or as it is when the time is over."""
    async with service.hub.listener() as changes:
        while True:
            found = service.read(lambda connection: operations.by_id(connection, operation_id))
            left_ms = deadline_ms - service.clock()
            if found.state in DONE or found.pending or left_ms <= 0:
                return found
            await changes.wait(left_ms / 1000)
