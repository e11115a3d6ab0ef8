"""Thaws: an account that was barred from spending may spend again, once ledger and chain say the same of it.

What a failed redemption still holds there goes back to the account: whoever thaws has looked at what became of its
reward, and takes the points by an adjustment where it was handed over.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, blocks, entries, lots
from bridge.store.schema import account, entry, lot, operation
from exchange.errors import Conflict, Unavailable
from exchange.lots import draw
from exchange.operations import OperationState
from exchange.points import Points


class NotFrozen(Conflict):
    """Raised when an account is to be thawed that is not frozen."""

    type = "not-frozen"


class AccountDiffers(Conflict):
    """Raised when an account is to be thawed of which ledger and chain, or the ledger and its lots, do not agree."""

    type = "account-differs"


class AccountShort(Conflict):
    """Raised when an account is to be thawed in which more is held than there will be."""

    type = "account-short"


class BlockPassed(Unavailable):
    """Raised when a block became final between a look at the chain and what was to follow from it."""

    type = "block-passed"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the chain said at a final block that an account holds, in points."""

    block_number: int
    points: int


def require_frozen(connection: sa.Connection, account_id: int) -> None:
    """Raises NotFrozen."""
    frozen = connection.execute(sa.select(account.c.frozen).where(account.c.id == account_id)).scalar_one()
    if not frozen:
        raise NotFrozen("this account is not frozen", field="account")


def thaw(connection: sa.Connection, account_id: int, seen: Seen) -> None:
    """Let an account spend again. `seen` must be of the newest final block.

    Raises NotFrozen, BlockPassed, AccountDiffers, AccountShort.
    """
    require_frozen(connection, account_id)
    final = blocks.newest_final(connection)
    if final is None or final.number != seen.block_number:
        raise BlockPassed("a block became final meanwhile; try again")
    posted = accounts.posted(connection, account_id)
    if posted != seen.points:
        raise AccountDiffers(
            f"the account holds {seen.points:,} points on the chain at block {seen.block_number}, {posted:,} in the"
            " ledger; it stays frozen",
            field="account",
            limit=posted,
        )
    for operation_id in _failed_here(connection, account_id):
        entries.void(connection, operation_id)
    _require_covered(connection, account_id)
    _level_lots(connection, account_id)
    accounts.thaw(connection, account_id)


def _failed_here(connection: sa.Connection, account_id: int) -> list[str]:
    """Operations that failed and still hold points of this account: redemptions whose debit the chain skipped."""
    rows = connection.execute(
        sa.select(entry.c.operation_id)
        .distinct()
        .join(operation, operation.c.id == entry.c.operation_id)
        .where(
            entry.c.account_id == account_id,
            entry.c.state == "pending",
            entry.c.credit.is_(False),
            operation.c.state == OperationState.FAILED.value,
        )
        .order_by(entry.c.operation_id)
    )
    return list(rows.scalars())


def _require_covered(connection: sa.Connection, account_id: int) -> None:
    row = connection.execute(sa.select(account).where(account.c.id == account_id)).one()
    short = row.debits_posted + row.debits_pending + row.held - row.credits_posted - row.credits_pending
    if short > 0:
        raise AccountShort(
            f"{short:,} points more are held in the account than there are: wait for what is on its way, and end its"
            " holds",
            field="account",
            limit=short,
        )


def _level_lots(connection: sa.Connection, account_id: int) -> None:
    """The lots hold what is available again: what the chain took from others' holds left them with more than there is.

    The first to expire lose it, as they would have to whoever took it. Raises AccountDiffers where they have less.
    """
    row = connection.execute(sa.select(account).where(account.c.id == account_id)).one()
    found = lots.spendable(connection, [account_id])[account_id]
    available = accounts.balance_of(row).available
    over = sum(one.remaining for one in found) - available
    if over < 0:
        raise AccountDiffers(
            f"the points of which the ledger knows where they came from are {-over:,} fewer than the account holds; it"
            " stays frozen",
            field="account",
            limit=over + available,
        )
    if not over:
        return
    connection.execute(
        lot.update().where(lot.c.id == sa.bindparam("taken")).values(remaining=lot.c.remaining - sa.bindparam("by")),
        [{"taken": one.lot_id, "by": one.amount} for one in draw(found, Points(over))],
    )
