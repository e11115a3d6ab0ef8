"""The books: what the ledger must always say of holds, lots, debts, reversals and expiry, counted from its rows."""

from collections import Counter
from typing import Any

import sqlalchemy as sa

from bridge.store.schema import (
    account,
    debt,
    debt_change,
    event,
    hold,
    hold_take,
    lot,
    lot_take,
    operation,
)
from tests.simulation.violation import Violation

#: What spends points at once, and so never such as are expired.
SPENDING = ("redemption", "release", "swap", "adjustment")


def look(connection: sa.Connection, *, restored: bool) -> None:
    """Raises Violation where the books do not say the same of the same."""
    _held_points_are_the_holds(connection)
    _lots_are_what_is_available(connection)
    _reversed_within_the_original(connection)
    _debts_sum(connection, restored=restored)
    _nobody_is_told_twice(connection)
    if not restored:
        _nothing_expired_is_spent(connection)


def at_rest(connection: sa.Connection, now_ms: int) -> None:
    """Raises Violation where something is left that is not to be there when all is done."""
    left = connection.execute(
        sa.select(lot.c.id)
        .join(account, account.c.id == lot.c.account_id)
        .where(account.c.kind == "member", lot.c.remaining > 0, lot.c.expires_ms < now_ms - 1_000)
    ).scalars()
    if ids := list(left):
        raise Violation("X", f"lots {ids} are expired, and their points are there")
    if connection.scalar(sa.select(sa.func.sum(account.c.held))):
        raise Violation("K", "points are held, and there is no open hold")


def _held_points_are_the_holds(connection: sa.Connection) -> None:
    taken = _sums(
        connection,
        sa.select(lot.c.account_id, sa.func.sum(hold_take.c.amount))
        .join(hold_take, hold_take.c.lot_id == lot.c.id)
        .group_by(lot.c.account_id),
    )
    held = _sums(connection, sa.select(account.c.id, account.c.held).where(account.c.held != 0))
    if held != taken:
        raise Violation("K", f"accounts hold {held}, and of their lots holds have {taken}")
    of_hold = _sums(
        connection, sa.select(hold_take.c.hold_id, sa.func.sum(hold_take.c.amount)).group_by(hold_take.c.hold_id)
    )
    captured = _sums(
        connection,
        sa.select(operation.c.hold_id, sa.func.sum(operation.c.points))
        .where(operation.c.hold_id.is_not(None), operation.c.state != "failed")
        .group_by(operation.c.hold_id),
    )
    for row in connection.execute(sa.select(hold)):
        left = row.points - row.captured if row.state == "open" else 0
        if of_hold.get(row.id, 0) != left:
            raise Violation("K", f"{row.state} hold {row.id} has {left} left, and {of_hold.get(row.id, 0)} in lots")
        if captured.get(row.id, 0) != row.captured:
            raise Violation("K", f"of hold {row.id} {row.captured} are captured, by {captured.get(row.id, 0)}")


def _lots_are_what_is_available(connection: sa.Connection) -> None:
    own = account.c
    available = own.credits_posted + own.credits_pending - own.debits_posted - own.debits_pending - own.held
    there = _sums(connection, sa.select(own.id, available).where(own.kind == "member", available != 0))
    lots = _sums(
        connection,
        sa.select(lot.c.account_id, sa.func.sum(lot.c.remaining))
        .join(account, account.c.id == lot.c.account_id)
        .where(lot.c.pending.is_(False), lot.c.remaining > 0, account.c.kind == "member")
        .group_by(lot.c.account_id),
    )
    if there != lots:
        apart = {each for each in there.keys() | lots.keys() if there.get(each) != lots.get(each)}
        told = "; ".join(f"{there.get(each, 0)} of account {each}, {lots.get(each, 0)} in its lots" for each in apart)
        raise Violation("A", f"available are {told}")


def _reversed_within_the_original(connection: sa.Connection) -> None:
    of = operation.alias("original")
    rows = connection.execute(
        sa.select(of.c.id, of.c.points, sa.func.sum(operation.c.points))
        .join(operation, operation.c.reverses_id == of.c.id)
        .group_by(of.c.id, of.c.points)
    )
    for original_id, points, back in rows:
        if back > points:
            raise Violation("O", f"of the {points} points of {original_id} {back} are taken back")


def _debts_sum(connection: sa.Connection, *, restored: bool) -> None:
    owed = _sums(connection, sa.select(debt.c.member_id, debt.c.points).where(debt.c.points != 0))
    changes = _sums(
        connection,
        sa.select(debt_change.c.member_id, sa.func.sum(debt_change.c.points)).group_by(debt_change.c.member_id),
    )
    if owed != {who: points for who, points in changes.items() if points}:
        raise Violation("O", f"members owe {owed}, and by what changed it {changes}")
    if not restored and any(points < 0 for points in owed.values()):
        raise Violation("O", f"members owe {owed}: more is paid off than was owed")


def _nobody_is_told_twice(connection: sa.Connection) -> None:
    rows = connection.execute(sa.select(event.c.subject, event.c.told).where(event.c.state == "expiring")).all()
    told = Counter((row.subject, row.told["day"], row.told["lead_days"]) for row in rows)
    if twice := [each for each, number in told.items() if number > 1]:
        raise Violation("X", f"notices were sent twice: {twice}")


def _nothing_expired_is_spent(connection: sa.Connection) -> None:
    """What came back to a lot since is no longer taken from it."""
    spent = connection.execute(
        sa.select(operation.c.id, lot.c.id)
        .join(lot_take, lot_take.c.operation_id == operation.c.id)
        .join(lot, lot.c.id == lot_take.c.lot_id)
        .where(operation.c.kind.in_(SPENDING), operation.c.hold_id.is_(None))
        .where(operation.c.created_ms >= lot.c.expires_ms)
    ).all()
    if spent:
        raise Violation("X", f"operations spent expired points: {[tuple(each) for each in spent]}")


def _sums(connection: sa.Connection, query: sa.Select[Any]) -> dict[Any, int]:
    return {key: int(number) for key, number in connection.execute(query).all()}
