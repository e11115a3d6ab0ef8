"""What expired of earns that are taken back: it is gone, and nobody owes it.

A reversal counts what expired before it as taken back. What was spent then is owed; where it comes back and expires
after all, with a hold that ends or a redemption that is reversed, the debt falls by it. Either way it counts once, so
that it does not matter what came first. An expiry by which a debt may fall is of one earn alone, and names it.
"""

from collections.abc import Collection

import sqlalchemy as sa

from bridge.store import debts
from bridge.store.database import IN_LIST_MAX
from bridge.store.schema import debt_change, lot, lot_take, operation
from exchange.operations import OperationKind
from exchange.points import Points
from exchange.reversals import owed_no_longer

_OF_EXPIRY = operation.c.kind == OperationKind.EXPIRY.value


def uncounted(connection: sa.Connection, earn_id: str) -> Points:
    """How much of an earn expired and was taken away for it, that nothing has counted yet."""
    gone = (
        sa.select(sa.func.coalesce(sa.func.sum(lot_take.c.amount), 0))
        .join(lot, lot.c.id == lot_take.c.lot_id)
        .join(operation, operation.c.id == lot_take.c.operation_id)
        .where(lot.c.operation_id == earn_id, _OF_EXPIRY)
    )
    counted = sa.select(sa.func.coalesce(sa.func.sum(operation.c.expired_points), 0)).where(
        operation.c.reverses_id == earn_id
    )
    by_reversals, by_expiries = int(connection.scalar(counted) or 0), -_fallen(connection, earn_id)
    return Points(max(0, int(connection.scalar(gone) or 0) - by_reversals - by_expiries))


def reversed_among(connection: sa.Connection, lot_ids: Collection[int]) -> dict[int, str]:
    """Of these lots those of earns that were taken back, each with its earn."""
    ids, found = sorted(lot_ids), dict[int, str]()
    for start in range(0, len(ids), IN_LIST_MAX):
        rows = connection.execute(
            sa.select(lot.c.id, lot.c.operation_id)
            .join(operation, operation.c.reverses_id == lot.c.operation_id)
            .where(lot.c.id.in_(ids[start : start + IN_LIST_MAX]))
            .distinct()
        )
        found.update({row[0]: row[1] for row in rows})
    return found


def settle(connection: sa.Connection, expiry_id: str, earn_id: str, member_id: str, taken: int) -> None:
    """An expiry took so much of an earn: so much of what its reversals made a debt is owed no longer."""
    made = sa.select(sa.func.coalesce(sa.func.sum(debt_change.c.points), 0)).join(
        operation, operation.c.id == debt_change.c.operation_id
    )
    made_of_it = int(connection.scalar(made.where(operation.c.reverses_id == earn_id)) or 0)
    less = owed_no_longer(taken, made_of_it + _fallen(connection, earn_id), debts.of_member(connection, member_id))
    if less:
        debts.change(connection, expiry_id, member_id, -less)


def restore(connection: sa.Connection, expiry_id: str, member_id: str | None) -> None:
    """An expiry that only the chain tells of lets a debt fall that is known here, if it is of one earn alone."""
    if member_id is None or debts.of_member(connection, member_id) <= 0:
        return
    rows = connection.execute(
        sa.select(lot_take.c.lot_id, lot_take.c.amount).where(lot_take.c.operation_id == expiry_id)
    ).all()
    of = reversed_among(connection, [row.lot_id for row in rows])
    earns = {of.get(row.lot_id) for row in rows}
    if len(earns) != 1 or None in earns:
        return
    (earn_id,) = earns
    assert earn_id is not None
    connection.execute(operation.update().where(operation.c.id == expiry_id).values(after_id=earn_id))
    settle(connection, expiry_id, earn_id, member_id, sum(row.amount for row in rows))


def _fallen(connection: sa.Connection, earn_id: str) -> int:
    """By how much expiries of an earn let the debt change that its reversals made: nothing, or below zero."""
    return int(
        connection.scalar(
            sa.select(sa.func.coalesce(sa.func.sum(debt_change.c.points), 0))
            .join(operation, operation.c.id == debt_change.c.operation_id)
            .where(operation.c.after_id == earn_id, _OF_EXPIRY)
        )
        or 0
    )
