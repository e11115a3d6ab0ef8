"""Lots in the ledger: made by credits, taken by debits, given back when a hold is."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.database import IN_LIST_MAX
from bridge.store.schema import account, entry, lot, lot_take, operation
from exchange.lots import Lot, Take
from exchange.operations import OperationKind
from exchange.points import POINTS_MAX, Points
from exchange.words import EntryKind

#: Lots that one answer lists.
LOTS_LISTED_MAX = 200
#: The operations by which a holder moves points from account to account of one program.
_MOVES = (OperationKind.DEPOSIT, OperationKind.TRANSFER)


@dataclass(frozen=True, slots=True)
class Marks:
    """What stays with points when their holder moves them: how old they are, and whether they may be swapped."""

    earned_ms: int
    expires_ms: int | None
    received: bool
    onward: bool


_MARKS = Marks.__slots__
#: As its index has it.
_ASIDE = sa.text("lot.aside")


@dataclass(frozen=True, slots=True)
class ListedLot:
    """A lot as a member sees it."""

    operation_id: str
    account: bytes
    amount: int
    remaining: int
    earned_ms: int
    expires_ms: int | None
    received: bool
    onward: bool


def spendable(connection: sa.Connection, account_ids: Iterable[int]) -> dict[int, list[Lot[int]]]:
    """For each account its lots that hold points and are not pending."""
    ids = list(account_ids)
    found: dict[int, list[Lot[int]]] = {account_id: [] for account_id in ids}
    rows = connection.execute(
        sa.select(
            lot.c.id,
            lot.c.account_id,
            lot.c.remaining,
            lot.c.expires_ms,
            lot.c.earned_ms,
            lot.c.received,
            lot.c.onward,
        ).where(lot.c.account_id.in_(ids), lot.c.remaining > 0, lot.c.pending.is_(False))
    )
    for row in rows:
        expires_at = None if row.expires_ms is None else row.expires_ms // 1000
        found[row.account_id].append(
            Lot(row.id, Points(row.remaining), expires_at, row.earned_ms // 1000, row.received, row.onward)
        )
    return found


def take(connection: sa.Connection, operation_id: str, takes: list[Take[int]]) -> None:
    """Hold these points for an operation and remember from where they came."""
    take_each(connection, [(operation_id, one) for one in takes])


def take_each(connection: sa.Connection, takes: Sequence[tuple[str, Take[int]]]) -> None:
    """Hold points for several operations, in as many statements as for one."""
    draw_down(connection, [one for _, one in takes])
    connection.execute(
        lot_take.insert(),
        [{"operation_id": operation_id, "lot_id": one.lot_id, "amount": one.amount} for operation_id, one in takes],
    )


def draw_down(connection: sa.Connection, takes: Iterable[Take[int]]) -> None:
    """These points are in their lots no more; who has them is remembered elsewhere."""
    connection.execute(
        lot.update().where(lot.c.id == sa.bindparam("taken")).values(remaining=lot.c.remaining - sa.bindparam("by")),
        [{"taken": one.lot_id, "by": one.amount} for one in takes],
    )


def give_back(connection: sa.Connection, operation_id: str, account_ids: Iterable[int]) -> None:
    """Return to their lots what an operation held of these accounts."""
    rows = connection.execute(
        sa.select(lot_take.c.lot_id, lot_take.c.amount)
        .join(lot, lot.c.id == lot_take.c.lot_id)
        .where(lot_take.c.operation_id == operation_id, lot.c.account_id.in_(list(account_ids)))
    ).all()
    for row in rows:
        connection.execute(lot.update().where(lot.c.id == row.lot_id).values(remaining=lot.c.remaining + row.amount))
        connection.execute(
            lot_take.delete().where(lot_take.c.operation_id == operation_id, lot_take.c.lot_id == row.lot_id)
        )


def taken_by(connection: sa.Connection, operation_id: str) -> dict[int, list[Lot[int]]]:
    """By account, the lots of which an operation has points, with what it has as what remains."""
    found: dict[int, list[Lot[int]]] = defaultdict(list)
    rows = connection.execute(
        sa.select(lot.c.id, lot.c.account_id, lot_take.c.amount, lot.c.expires_ms, lot.c.earned_ms)
        .join(lot_take, lot_take.c.lot_id == lot.c.id)
        .where(lot_take.c.operation_id == operation_id)
        .order_by(lot.c.id)
    )
    for row in rows:
        expires_at = None if row.expires_ms is None else row.expires_ms // 1000
        found[row.account_id].append(Lot(row.id, Points(row.amount), expires_at, row.earned_ms // 1000))
    return dict(found)


def put_back(connection: sa.Connection, operation_id: str, back: Sequence[Take[int]]) -> None:
    """Return to their lots these points of what an operation took: as old as they were, and expired where they are."""
    connection.execute(
        lot.update().where(lot.c.id == sa.bindparam("into")).values(remaining=lot.c.remaining + sa.bindparam("back")),
        [{"into": one.lot_id, "back": one.amount} for one in back],
    )
    forget_taken(connection, operation_id, back)


def forget_taken(connection: sa.Connection, operation_id: str, back: Sequence[Take[int]]) -> None:
    """An operation has these points no longer: they came back."""
    connection.execute(
        lot_take.update()
        .where(lot_take.c.operation_id == operation_id, lot_take.c.lot_id == sa.bindparam("of"))
        .values(amount=lot_take.c.amount - sa.bindparam("back")),
        [{"of": one.lot_id, "back": one.amount} for one in back],
    )
    connection.execute(lot_take.delete().where(lot_take.c.operation_id == operation_id, lot_take.c.amount == 0))


def release(connection: sa.Connection, brought: Sequence[tuple[str, int]]) -> None:
    """What operations brought, each into an account, can be spent."""
    if brought:
        connection.execute(
            lot.update()
            .where(lot.c.operation_id == sa.bindparam("by"), lot.c.account_id == sa.bindparam("into"))
            .values(pending=False),
            [{"by": operation_id, "into": account_id} for operation_id, account_id in brought],
        )


def follow_releases(connection: sa.Connection, chosen: Iterable[sa.ColumnElement[bool]]) -> None:
    """What these posted releases took from managed accounts stands in the wallets from now on, as old as it was."""
    taken = (
        sa.select(
            entry.c.contra_id,
            lot_take.c.operation_id,
            lot_take.c.amount,
            lot_take.c.amount.label("remaining"),
            sa.false().label("pending"),
            *_marks(lot),
        )
        .join(lot_take, lot_take.c.operation_id == entry.c.operation_id)
        .join(lot, sa.and_(lot.c.id == lot_take.c.lot_id, lot.c.account_id == entry.c.account_id))
        .where(*chosen, entry.c.kind == EntryKind.RELEASE.value, entry.c.state == "posted")
        .order_by(lot.c.id)
    )
    names = ["account_id", "operation_id", "amount", "remaining", "pending", *_MARKS]
    connection.execute(lot.insert().from_select(names, taken))


def move(connection: sa.Connection, operation_id: str, takes: Sequence[Take[int]], into: int) -> None:
    """Points that a holder moved to another account: there they are as old as they were.

    They join what was moved there before and is just as old, so that a holder who moves points one by one does not make
    a lot each time. Such a lot names the operation that moved the first of them.
    """
    take(connection, operation_id, list(takes))
    arrived: dict[Marks, int] = defaultdict(int)
    marks = marks_of(connection, [one.lot_id for one in takes])
    for one in takes:
        arrived[marks[one.lot_id]] += one.amount
    for marked, amount in arrived.items():
        if not _join(connection, into, amount, marked):
            connection.execute(
                lot.insert().values(
                    account_id=into,
                    operation_id=operation_id,
                    amount=amount,
                    remaining=amount,
                    pending=False,
                    **asdict(marked),
                )
            )


def marks_of(connection: sa.Connection, lot_ids: Sequence[int]) -> dict[int, Marks]:
    """For each of these lots, what stays with its points wherever they go."""
    found: dict[int, Marks] = {}
    for start in range(0, len(lot_ids), IN_LIST_MAX):
        chosen = lot.c.id.in_(lot_ids[start : start + IN_LIST_MAX])
        for lot_id, *marks in connection.execute(sa.select(lot.c.id, *_marks(lot)).where(chosen)):
            found[lot_id] = Marks(*marks)
    return found


def _marks(of: sa.Table) -> list[sa.Column[Any]]:
    return [of.c[name] for name in _MARKS]


def _join(connection: sa.Connection, into: int, amount: int, marked: Marks) -> bool:
    """Add to a lot of the same age and kind that a holder moved there; whether there is one.

    No other lot will do: earns, swaps and releases find theirs again by the operation. An emptied lot is left alone,
    and so is one whose amount, which counts all that ever joined it, would go beyond what an amount may be.
    """
    found = connection.scalar(
        sa.select(lot.c.id)
        .join(operation, operation.c.id == lot.c.operation_id)
        .where(
            lot.c.account_id == into,
            lot.c.remaining > 0,
            lot.c.pending.is_(False),
            *(lot.c[name].is_not_distinct_from(value) for name, value in asdict(marked).items()),
            lot.c.amount <= POINTS_MAX - amount,
            operation.c.kind.in_([kind.value for kind in _MOVES]),
        )
        .order_by(lot.c.id)
        .limit(1)
    )
    if found is None:
        return False
    connection.execute(
        lot.update().where(lot.c.id == found).values(amount=lot.c.amount + amount, remaining=lot.c.remaining + amount)
    )
    return True


def drop(connection: sa.Connection, operation_id: str, account_ids: Iterable[int]) -> None:
    """What a failed swap was to bring into these accounts will not come."""
    connection.execute(lot.delete().where(lot.c.operation_id == operation_id, lot.c.account_id.in_(list(account_ids))))


def look_again(connection: sa.Connection, account_id: int) -> None:
    """What was set aside of this account when its time was over can expire: it is a member's who may spend from it."""
    connection.execute(lot.update().where(lot.c.account_id == account_id, _ASIDE).values(aside=False))


def look_again_in(connection: sa.Connection, program_id: str) -> None:
    """What was set aside of a program since it was more than a limit lets through may be less than that now."""
    there = sa.select(account.c.id).where(account.c.program_id == program_id)
    connection.execute(lot.update().where(lot.c.account_id.in_(there), _ASIDE).values(aside=False))


def of_member(connection: sa.Connection, member_id: str) -> list[ListedLot]:
    """A member's lots that hold points, the first to expire first."""
    rows = connection.execute(
        sa.select(lot, account.c.address)
        .join(account, account.c.id == lot.c.account_id)
        .where(account.c.member_id == member_id, lot.c.remaining > 0, lot.c.pending.is_(False))
        .order_by(lot.c.expires_ms.is_(None), lot.c.expires_ms, lot.c.earned_ms, lot.c.id)
        .limit(LOTS_LISTED_MAX)
    )
    return [
        ListedLot(
            row.operation_id,
            row.address,
            row.amount,
            row.remaining,
            row.earned_ms,
            row.expires_ms,
            row.received,
            row.onward,
        )
        for row in rows
    ]
