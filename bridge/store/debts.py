"""Debts: what members owe once points were taken back that they had spent, and by what it rises and falls.

A debt is never a negative balance: it is no account's, and the chain knows nothing of it. It rises with a reversal. It
falls with a repayment (`repayments`), and where points expire for which it was made. A restored ledger may see a
repayment on the chain of a debt that it does not know: then the debt is below zero, paid ahead, and the reversal that
made it takes nothing more when it is asked for again.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from bridge.store.database import IN_LIST_MAX
from bridge.store.schema import debt, debt_change, member, operation
from exchange.operations import OperationKind, OperationState


def of_member(connection: sa.Connection, member_id: str) -> int:
    """What a member owes; below zero: what was paid ahead."""
    return connection.scalar(sa.select(debt.c.points).where(debt.c.member_id == member_id)) or 0


def of_members(connection: sa.Connection, member_ids: Collection[str]) -> dict[str, int]:
    """What these members owe, without those who owe nothing."""
    ids, found = sorted(member_ids), dict[str, int]()
    for start in range(0, len(ids), IN_LIST_MAX):
        chosen = debt.c.member_id.in_(ids[start : start + IN_LIST_MAX])
        rows = connection.execute(sa.select(debt.c.member_id, debt.c.points).where(chosen, debt.c.points > 0))
        found.update({row[0]: row[1] for row in rows})
    return found


def of_program(connection: sa.Connection, program_id: str) -> int:
    """What the members of a program owe together. That a debt is not the sum of its changes is a bug."""
    theirs = sa.select(member.c.id).where(member.c.program_id == program_id)
    changes = (
        sa.select(debt_change.c.member_id, sa.func.sum(debt_change.c.points).label("points"))
        .where(debt_change.c.member_id.in_(theirs))
        .group_by(debt_change.c.member_id)
        .subquery()
    )
    rows = connection.execute(
        sa.select(debt.c.points, changes.c.points)
        .outerjoin(changes, changes.c.member_id == debt.c.member_id)
        .where(debt.c.member_id.in_(theirs))
    ).all()
    assert all(owed == (changed or 0) for owed, changed in rows), "a debt is not the sum of its changes"
    return sum(max(0, owed) for owed, _ in rows)


def change(connection: sa.Connection, operation_id: str, member_id: str, points: int) -> None:
    """An operation changed what its member owes: a reversal made it more, a repayment less."""
    change_each(connection, [(operation_id, member_id, points)])


def undo(connection: sa.Connection, operation_id: str) -> None:
    """The operation came to nothing, and so did what it changed of a debt."""
    gone = connection.execute(
        debt_change.delete()
        .where(debt_change.c.operation_id == operation_id)
        .returning(debt_change.c.member_id, debt_change.c.points)
    )
    _move(connection, {row.member_id: -row.points for row in gone.all()})


def adopt(connection: sa.Connection, operation_ids: Sequence[str], member_id: str) -> None:
    """It has come to light that these operations are a member's: what they paid off is a debt of theirs."""
    for start in range(0, len(operation_ids), IN_LIST_MAX):
        paid = connection.execute(
            sa.select(operation.c.id, operation.c.points)
            .where(operation.c.id.in_(operation_ids[start : start + IN_LIST_MAX]))
            .where(operation.c.kind == OperationKind.REPAYMENT.value, operation.c.state != OperationState.FAILED.value)
        ).all()
        if paid:
            change_each(connection, [(row.id, member_id, -row.points) for row in paid])


def change_each(connection: sa.Connection, changes: Sequence[tuple[str, str, int]]) -> None:
    """Like `change` for several operations, each with its member and by how much."""
    connection.execute(
        debt_change.insert(),
        [
            {"operation_id": operation_id, "member_id": member_id, "points": points}
            for operation_id, member_id, points in changes
        ],
    )
    sums: Counter[str] = Counter()
    for _, member_id, points in changes:
        sums[member_id] += points
    _move(connection, sums)


def _move(connection: sa.Connection, sums: Mapping[str, int]) -> None:
    """Add to what members owe."""
    ids, known = sorted(sums), set[str]()
    for start in range(0, len(ids), IN_LIST_MAX):
        chosen = debt.c.member_id.in_(ids[start : start + IN_LIST_MAX])
        known.update(connection.execute(sa.select(debt.c.member_id).where(chosen)).scalars())
    new = [{"member_id": one, "points": 0} for one in ids if one not in known]
    if new:
        connection.execute(debt.insert(), new)
    if sums:
        connection.execute(
            debt.update()
            .where(debt.c.member_id == sa.bindparam("who"))
            .values(points=debt.c.points + sa.bindparam("by")),
            [{"who": member_id, "by": points} for member_id, points in sums.items()],
        )
