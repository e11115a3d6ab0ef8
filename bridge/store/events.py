"""Events: what happened to operations, in order, for streams that resume where they stopped.

An accepted operation has a row of its own; a step of a batch is one row for all its operations, opened when it is read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.schema import event, operation, swap
from exchange.operations import OperationState

#: Rows read at a time; a batch's row opens into as many events as it has operations.
ROWS_MAX = 100


@dataclass(frozen=True, slots=True)
class OperationEvent:
    """One step of one operation. `cursor` names the place in the stream after which to go on."""

    cursor: int
    operation_id: str
    program_id: str
    kind: str
    state: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class SubjectEvent:
    """What happened to something that is no operation: a hold, an adjustment, points that are about to expire.

    `subject` is its id, and `kind` what it is; `told` is what is to be known of it beyond that.
    """

    cursor: int
    kind: str
    subject: str
    program_id: str
    state: str
    told: dict[str, Any]
    at_ms: int


#: What an event is about, by the prefix of its subject's id.
SUBJECTS = {"hld": "hold", "adj": "adjustment", "mbr": "expiry"}


def subject_changed(
    connection: sa.Connection, program_id: str, subject: str, state: str, told: dict[str, Any], at_ms: int
) -> None:
    """What has the id `subject`, one of SUBJECTS, reached `state`."""
    subjects_changed(connection, program_id, {subject: told}, state, at_ms)


def subjects_changed(
    connection: sa.Connection, program_id: str, changes: Mapping[str, dict[str, Any]], state: str, at_ms: int
) -> None:
    """Each of these subjects, of which so much is to be told, reached `state`."""
    assert all(subject.partition("_")[0] in SUBJECTS for subject in changes)
    connection.execute(
        event.insert(),
        [
            {"program_id": program_id, "subject": subject, "state": state, "told": told, "at_ms": at_ms}
            for subject, told in changes.items()
        ],
    )


def operations_changed(connection: sa.Connection, changes: Iterable[tuple[str, str]], state: str, at_ms: int) -> None:
    """Each (program, operation) reached `state` on its own."""
    rows = [
        {"program_id": program_id, "operation_id": operation_id, "state": state, "at_ms": at_ms}
        for program_id, operation_id in changes
    ]
    if rows:
        connection.execute(event.insert(), rows)


def batch_changed(connection: sa.Connection, batch_id: str, program_ids: Iterable[str], state: str, at_ms: int) -> None:
    """All operations of a batch reached `state`; one row for each program that is to hear of it."""
    connection.execute(
        event.insert(),
        [
            {"program_id": program_id, "batch_id": batch_id, "state": state, "at_ms": at_ms}
            for program_id in program_ids
        ],
    )


def last_cursor(connection: sa.Connection) -> int:
    """The cursor of the newest event, 0 where there is none."""
    return connection.scalar(sa.select(sa.func.coalesce(sa.func.max(event.c.id), 0))) or 0


def after(
    connection: sa.Connection, cursor: int, program_id: str | None
) -> tuple[list[OperationEvent | SubjectEvent], int]:
    """The events behind `cursor` that concern a program (None: all), and the cursor to go on from.

    A swap concerns both its programs; read for all, it is told once.
    """
    rows = sa.select(event).where(event.c.id > cursor).order_by(event.c.id).limit(ROWS_MAX)
    if program_id is not None:
        rows = rows.where(event.c.program_id == program_id)
    found = connection.execute(rows).all()
    events: list[OperationEvent | SubjectEvent] = []
    for row in found:
        if row.subject is None:
            events.extend(_opened(connection, row, program_id))
            continue
        kind = SUBJECTS[row.subject.partition("_")[0]]
        events.append(SubjectEvent(row.id, kind, row.subject, row.program_id, row.state, row.told or {}, row.at_ms))
    return events, (found[-1].id if found else cursor)


def _opened(connection: sa.Connection, row: sa.Row[tuple[object, ...]], program_id: str | None) -> list[OperationEvent]:
    about = sa.select(operation.c.id, operation.c.program_id, operation.c.kind).order_by(operation.c.seq)
    if row.operation_id is not None:
        about = about.where(operation.c.id == row.operation_id)
    else:
        about = about.where(operation.c.batch_id == row.batch_id)
        if row.state == OperationState.FINAL:  # what the chain skipped failed when its batch became final
            about = about.where(operation.c.state != OperationState.FAILED.value)
    if program_id is None:
        about = about.where(operation.c.program_id == row.program_id)
    else:
        destination = sa.select(swap.c.operation_id).where(swap.c.to_program_id == program_id)
        about = about.where(sa.or_(operation.c.program_id == program_id, operation.c.id.in_(destination)))
    return [
        OperationEvent(row.id, found.id, found.program_id, found.kind, row.state, row.at_ms)
        for found in connection.execute(about)
    ]
