"""Comparison: what of two ledgers stands in only one of them, as far as the chain tells of it.

Ids are each ledger's own. What is compared goes by what the chain knows: tokens, addresses, tags, transactions.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import sqlalchemy as sa

from bridge.store.schema import account, holder_event, operation, program, terms

Thing = TypeVar("Thing", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Posted:
    """A final operation: its program's token, what its entries are tagged with, or which transaction was a holder's."""

    token: bytes
    mark: bytes
    points: int


@dataclass(frozen=True, slots=True)
class Held:
    """What an account holds in final points."""

    token: bytes
    address: bytes
    points: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """A version of terms that both programs adopted; `open` until its direction was suspended."""

    source: bytes
    destination: bytes
    version: int
    numbers: tuple[int, ...]
    open: bool


@dataclass(frozen=True, slots=True)
class Sides(Generic[Thing]):
    """How many are in both ledgers, and those that are only in one."""

    both: int
    only_first: list[Thing]
    only_second: list[Thing]

    @property
    def differences(self) -> int:
        """How many are only in one."""
        return len(self.only_first) + len(self.only_second)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ledgers side by side."""

    operations: Sides[Posted]
    accounts: Sides[Held]
    terms: Sides[Agreed]

    @property
    def differences(self) -> int:
        """How many things are only in one of the two."""
        return self.operations.differences + self.accounts.differences + self.terms.differences


def compare(first: sa.Connection, second: sa.Connection) -> Comparison:
    """Hold one ledger against another."""
    return Comparison(
        _sides(_operations(first), _operations(second)),
        _sides(_accounts(first), _accounts(second)),
        _sides(_terms(first), _terms(second)),
    )


def _sides(first: Iterable[Thing], second: Iterable[Thing]) -> Sides[Thing]:
    ones, others = Counter(first), Counter(second)
    return Sides((ones & others).total(), list((ones - others).elements()), list((others - ones).elements()))


def _operations(connection: sa.Connection) -> list[Posted]:
    """Those that are on the chain: an earn of no points is final at once, and never was."""
    own = (
        sa.select(holder_event.c.transaction_hash).where(holder_event.c.operation_id == operation.c.id).limit(1)
    ).scalar_subquery()
    rows = connection.execute(
        sa.select(program.c.token, sa.func.coalesce(operation.c.tag, own), operation.c.points)
        .join(program, program.c.id == operation.c.program_id)
        .where(operation.c.state == "final", sa.or_(operation.c.batch_id.is_not(None), own.is_not(None)))
        .order_by(operation.c.seq)
    )
    return [Posted(*row) for row in rows]


def _accounts(connection: sa.Connection) -> list[Held]:
    held = account.c.credits_posted - account.c.debits_posted
    rows = connection.execute(
        sa.select(program.c.token, account.c.address, held)
        .join(program, program.c.id == account.c.program_id)
        .where(account.c.address.is_not(None), held != 0)
        .order_by(account.c.id)
    )
    return [Held(*row) for row in rows]


def _terms(connection: sa.Connection) -> list[Agreed]:
    source, destination = program.alias(), program.alias()
    rows = connection.execute(
        sa.select(
            source.c.token,
            destination.c.token,
            terms.c.version,
            terms.c.from_units,
            terms.c.to_units,
            terms.c.settlement_price_micro,
            terms.c.managed_cap,
            terms.c.wallet_cap,
            terms.c.suspended_ms,
        )
        .join(source, source.c.id == terms.c.from_program_id)
        .join(destination, destination.c.id == terms.c.to_program_id)
        .where(terms.c.state == "adopted")
        .order_by(source.c.token, destination.c.token, terms.c.version)
    )
    return [Agreed(*row[:3], tuple(row[3:8]), row[8] is None) for row in rows]
