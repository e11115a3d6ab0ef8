"""Held lots: what a hold takes of each lot, until it is captured or given back to where it came from."""

import sqlalchemy as sa

from bridge.store import lots
from bridge.store.schema import hold_take, lot, lot_take
from exchange.lots import Lot, Take
from exchange.points import Points


def set_aside(connection: sa.Connection, hold_id: str, takes: list[Take[int]]) -> None:
    """These points are the hold's."""
    lots.draw_down(connection, takes)
    connection.execute(
        hold_take.insert(), [{"hold_id": hold_id, "lot_id": one.lot_id, "amount": one.amount} for one in takes]
    )


def of_hold(connection: sa.Connection, hold_id: str) -> dict[int, list[Lot[int]]]:
    """For each account the lots from which a hold still has points; `remaining` is what it has of them."""
    rows = connection.execute(
        sa.select(lot.c.account_id, lot.c.id, hold_take.c.amount, lot.c.expires_ms, lot.c.earned_ms)
        .join(lot, lot.c.id == hold_take.c.lot_id)
        .where(hold_take.c.hold_id == hold_id)
        .order_by(lot.c.id)
    )
    found: dict[int, list[Lot[int]]] = {}
    for row in rows:
        expires_at = None if row.expires_ms is None else row.expires_ms // 1000
        one = Lot(row.id, Points(row.amount), expires_at, row.earned_ms // 1000)
        found.setdefault(row.account_id, []).append(one)
    return found


def capture(connection: sa.Connection, hold_id: str, operation_id: str, takes: list[Take[int]]) -> None:
    """These points of a hold are an operation's from now on, from the same lots."""
    for one in takes:
        _reduce(connection, hold_id, one)
    connection.execute(
        lot_take.insert(),
        [{"operation_id": operation_id, "lot_id": one.lot_id, "amount": one.amount} for one in takes],
    )


def give_back(connection: sa.Connection, hold_id: str) -> dict[int, int]:
    """Return to their lots all that a hold still has; how much came into each account."""
    rows = connection.execute(
        sa.select(hold_take.c.lot_id, hold_take.c.amount, lot.c.account_id)
        .join(lot, lot.c.id == hold_take.c.lot_id)
        .where(hold_take.c.hold_id == hold_id)
    ).all()
    freed: dict[int, int] = {}
    if rows:
        given = lot.update().where(lot.c.id == sa.bindparam("of"))
        connection.execute(
            given.values(remaining=lot.c.remaining + sa.bindparam("back")),
            [{"of": row.lot_id, "back": row.amount} for row in rows],
        )
    for row in rows:
        freed[row.account_id] = freed.get(row.account_id, 0) + row.amount
    connection.execute(hold_take.delete().where(hold_take.c.hold_id == hold_id))
    return freed


def _reduce(connection: sa.Connection, hold_id: str, one: Take[int]) -> None:
    """Less of a lot is held; what is held of it no more has no row."""
    chosen = hold_take.c.hold_id == hold_id, hold_take.c.lot_id == one.lot_id
    if connection.execute(hold_take.delete().where(*chosen, hold_take.c.amount == one.amount)).rowcount == 0:
        connection.execute(hold_take.update().where(*chosen).values(amount=hold_take.c.amount - one.amount))
