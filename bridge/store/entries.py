"""Entries: the double-entry effects of operations, moved from pending to posted when the chain has made them final."""

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, batches, lots
from bridge.store.batches import Batch
from bridge.store.schema import entry, operation
from exchange.words import EntryKind


@dataclass(frozen=True, slots=True)
class Leg:
    """What an operation does to one managed account."""

    operation_id: str
    account_id: int
    amount: int


def enter(
    connection: sa.Connection, program_id: str, kind: EntryKind, legs: Sequence[Leg], *, coming: bool = False
) -> None:
    """The pending entries of operations of one kind, against what their program issued or redeemed.

    A debit's points are held. A credit counts from now on like any other in the queue, but for one that is `coming`: it
    does not stand in the stream yet.
    """
    contra = accounts.system_account(connection, program_id, accounts.ISSUED if kind.is_credit else accounts.REDEEMED)
    own, against = ("credits_pending", "debits_pending") if kind.is_credit else ("debits_pending", "credits_pending")
    own = "incoming_pending" if coming else own
    numbers, changes, rows = Counter[str](), accounts.Changes(), []
    for one in legs:
        changes.add(one.account_id, own, one.amount)
        changes.add(contra, against, one.amount)
        rows.append(
            {
                "operation_id": one.operation_id,
                "program_id": program_id,
                "leg": numbers[one.operation_id],
                "kind": kind.value,
                "credit": kind.is_credit,
                "amount": one.amount,
                "account_id": one.account_id,
                "contra_id": contra,
                "state": "pending",
            }
        )
        numbers[one.operation_id] += 1
    connection.execute(entry.insert(), rows)
    changes.apply(connection)


def post(connection: sa.Connection, found: Batch) -> None:
    """Post a final batch's entries, but for those that the chain skipped: these stay pending."""
    ids = struct.unpack(f">{found.item_count}Q", found.entry_ids)
    skipped = batches.unpacked_places(found.skipped)
    short = connection.execute(
        sa.select(entry.c.operation_id, entry.c.leg).where(entry.c.id.in_([ids[index] for index in skipped]))
    ).all()
    connection.execute(entry.update().where(*_in_batch(found.id), entry.c.state == "pending").values(state="posted"))
    for row in short:  # both sides of a leg that moved nothing
        connection.execute(
            entry.update()
            .where(entry.c.operation_id == row.operation_id, entry.c.leg == row.leg)
            .values(state="pending")
        )
    _move(connection, found.id)
    lots.release(connection, _brought_by_swaps(connection, found.id))
    lots.follow_releases(connection, _in_batch(found.id))


def _move(connection: sa.Connection, batch_id: str) -> None:
    """Move the sums of a batch's posted entries from pending to posted."""
    rows = connection.execute(
        sa.select(
            entry.c.credit,
            entry.c.kind,
            entry.c.account_id,
            entry.c.contra_id,
            sa.func.sum(entry.c.amount).label("amount"),
        )
        .where(*_in_batch(batch_id), entry.c.state == "posted")
        .group_by(entry.c.credit, entry.c.kind, entry.c.account_id, entry.c.contra_id)
    )
    changes = accounts.Changes()
    for row in rows:
        waiting, posted, contra = _counters(row.credit, row.kind)
        changes.add(row.account_id, waiting, -row.amount)
        changes.add(row.account_id, posted, row.amount)
        changes.add(row.contra_id, f"{contra}_pending", -row.amount)
        changes.add(row.contra_id, f"{contra}_posted", row.amount)
    changes.apply(connection)


def _brought_by_swaps(connection: sa.Connection, batch_id: str) -> list[tuple[str, int]]:
    rows = connection.execute(
        sa.select(entry.c.operation_id, entry.c.account_id).where(
            *_in_batch(batch_id),
            entry.c.kind == EntryKind.SWAP.value,
            entry.c.credit.is_(True),
            entry.c.state == "posted",
        )
    )
    return [(row.operation_id, row.account_id) for row in rows]


def void(connection: sa.Connection, operation_id: str) -> None:
    """The pending entries of an operation will never be posted: its holds go back to their lots.

    Of a swap, a release, a fee, or a bonus that was not released yet: what these bring does not count before.
    """
    rows = connection.execute(
        sa.select(entry).where(entry.c.operation_id == operation_id, entry.c.state == "pending")
    ).all()
    changes = accounts.Changes()
    for row in rows:
        _, _, contra = _counters(row.credit, row.kind)
        changes.add(row.account_id, "incoming_pending" if row.credit else "debits_pending", -row.amount)
        changes.add(row.contra_id, f"{contra}_pending", -row.amount)
    lots.give_back(connection, operation_id, [row.account_id for row in rows if not row.credit])
    lots.drop(connection, operation_id, [row.account_id for row in rows if row.credit])
    changes.apply(connection)
    connection.execute(
        entry.update().where(entry.c.operation_id == operation_id, entry.c.state == "pending").values(state="void")
    )


def _in_batch(batch_id: str) -> tuple[sa.ColumnElement[bool]]:
    return (entry.c.operation_id.in_(sa.select(operation.c.id).where(operation.c.batch_id == batch_id)),)


def _counters(credit: bool, kind: int) -> tuple[str, str, str]:
    """Which counters of the member's account an entry stands in (pending, posted), and the system account's side."""
    if not credit:
        return "debits_pending", "debits_posted", "credits"
    return (
        ("incoming_pending" if kind == EntryKind.SWAP.value else "credits_pending"),
        "credits_posted",
        "debits",
    )
