"""The event stream: each step of each operation, as server-sent events that resume where they stopped."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from bridge.api.access import Reader
from bridge.api.context import TheService
from bridge.api.shapes import Answer, InvalidHeader, problem_answers, time_of, whole_number
from bridge.store import events
from bridge.store.pages import SERIAL_MAX

#: How long a quiet stream waits before it says that it lives.
QUIET_S = 15.0

router = APIRouter(prefix="/v1/events", tags=["events"])


class OperationStep(Answer):
    """One step of one operation."""

    operation_id: str
    program_id: str
    kind: str
    state: str
    at: str


class SubjectStep(Answer):
    """What happened to something that is no operation; `about` is what there is to know of it."""

    id: str
    program_id: str
    state: str
    about: dict[str, Any]
    at: str


def _step(one: events.OperationEvent | events.SubjectEvent) -> tuple[str, OperationStep | SubjectStep]:
    """What is sent of an event, and under which name."""
    at = time_of(one.at_ms)
    if isinstance(one, events.SubjectEvent):
        return one.kind, SubjectStep(id=one.subject, program_id=one.program_id, state=one.state, about=one.told, at=at)
    return "operation", OperationStep(
        operation_id=one.operation_id, program_id=one.program_id, kind=one.kind, state=one.state, at=at
    )


def _cursor(
    after: Annotated[
        int | None, Query(ge=0, le=SERIAL_MAX, description="go on behind this event; 0 begins with the first")
    ] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> int | None:
    # A dependency, since a refusal must come before the stream begins.
    if last_event_id is None:
        return after
    cursor = whole_number(last_event_id, SERIAL_MAX)
    if cursor is None:
        raise InvalidHeader("Last-Event-ID is the id of an event of this stream: a whole number", field="Last-Event-ID")
    return cursor


@router.get("", response_class=EventSourceResponse, responses=problem_answers(400, 401, 403))
async def stream(
    service: TheService, caller: Reader, cursor: Annotated[int | None, Depends(_cursor)]
) -> AsyncIterator[ServerSentEvent]:
    """Events of the caller's program. Without a cursor, those from now on. Each is sent at least once.

    It ends when the service stops; whoever listens goes on behind the last id, here or at another process.
    """
    if cursor is None:
        cursor = service.read(events.last_cursor)
    async with service.hub.listener() as changes:
        while not service.stopping.is_set():
            since = cursor
            found, cursor = service.read(partial(events.after, cursor=since, program_id=caller.program_id))
            for index, one in enumerate(found):
                # Only the last event of a row carries the cursor: a reader that stops in between has the row again.
                last = index + 1 == len(found) or found[index + 1].cursor != one.cursor
                name, step = _step(one)
                yield ServerSentEvent(data=step, event=name, id=str(one.cursor) if last else None)
            if cursor == since and not await changes.wait(QUIET_S):
                yield ServerSentEvent(comment="quiet")
