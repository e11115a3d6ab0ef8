"""The ledger's side of an audit: every program's books as of the newest final block."""

from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, blocks, programs
from bridge.store.blocks import KnownBlock
from bridge.store.programs import Program
from bridge.store.schema import account, batch, entry, operation, stream, swap, terms


@dataclass(frozen=True, slots=True)
class HeldAccount:
    """What the ledger says one managed account holds on the chain."""

    reference: bytes
    address: bytes
    posted: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Batches of one kind of work: how many, with how many entries, and the gas they used."""

    batches: int
    items: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class Books:
    """One program's books as of a final block, in points; the position is micro-units, owed to it when positive."""

    program: Program
    issued: int
    redeemed: int
    swapped_in: int
    swapped_out: int
    accounts: list[HeldAccount]
    position_micro: int
    operations: dict[str, int]
    refused_by_chain: int
    flow: Flow

    @property
    def ledger(self) -> int:
        """The sum of all posted balances, which the token's total supply must equal."""
        return sum(one.posted for one in self.accounts)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was settled along one swap path, by program ids."""

    path: list[str]
    flow: Flow


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All books as of one final block, read in one transaction."""

    block: KnownBlock
    books: list[Books]
    settlements: list[Settlement]


def snapshot(connection: sa.Connection) -> Snapshot | None:
    """The books as of the newest final block, or None before there is one."""
    final = blocks.newest_final(connection)
    if final is None:
        return None
    later = _posted_after(connection, final.number)
    flows = _flows(connection, final.number)
    books = [_books(connection, one, final.number, later, flows) for one in programs.all_programs(connection)]
    settlements = [Settlement(key.split(">"), flow) for key, flow in flows.items() if ">" in key]
    return Snapshot(final, books, settlements)


def _posted_after(connection: sa.Connection, number: int) -> dict[int, int]:
    """What batches above the final block have already moved, by account, members' and the system's: to be left out."""
    rows = connection.execute(
        sa.select(entry.c.account_id, entry.c.contra_id, entry.c.credit, sa.func.sum(entry.c.amount).label("amount"))
        .join(operation, operation.c.id == entry.c.operation_id)
        .join(batch, batch.c.id == operation.c.batch_id)
        .where(batch.c.block_number > number, entry.c.state == "posted")
        .group_by(entry.c.account_id, entry.c.contra_id, entry.c.credit)
    )
    moved: dict[int, int] = defaultdict(int)
    for row in rows:
        amount = row.amount if row.credit else -row.amount
        moved[row.account_id] += amount
        moved[row.contra_id] += row.amount
    return moved


def _flows(connection: sa.Connection, number: int) -> dict[str, Flow]:
    rows = connection.execute(
        sa.select(stream.c.key, sa.func.count(), sa.func.sum(batch.c.item_count), sa.func.sum(batch.c.gas_used))
        .join(batch, batch.c.stream_id == stream.c.id)
        .where(batch.c.block_number <= number)
        .group_by(stream.c.key)
        .order_by(stream.c.key)
    )
    return {key: Flow(count, items, gas) for key, count, items, gas in rows}


def _books(
    connection: sa.Connection, program: Program, number: int, later: dict[int, int], flows: dict[str, Flow]
) -> Books:
    rows = connection.execute(sa.select(account).where(account.c.program_id == program.id).order_by(account.c.id)).all()
    system = {row.kind: row for row in rows if row.kind != accounts.MEMBER}
    held = [
        HeldAccount(row.reference, row.address, row.credits_posted - row.debits_posted - later.get(row.id, 0))
        for row in rows
        if row.kind == accounts.MEMBER
    ]
    swapped_in, swapped_out = _swapped(connection, program.id, number)
    return Books(
        program=program,
        issued=system[accounts.ISSUED].debits_posted - later.get(system[accounts.ISSUED].id, 0),
        redeemed=system[accounts.REDEEMED].credits_posted - later.get(system[accounts.REDEEMED].id, 0),
        swapped_in=swapped_in,
        swapped_out=swapped_out,
        accounts=held,
        position_micro=_position(connection, program.id, number),
        operations=_counts(connection, program.id),
        refused_by_chain=sum(1 for row in rows if row.frozen),
        flow=flows.get(program.id, Flow(0, 0, 0)),
    )


def _swapped(connection: sa.Connection, program_id: str, number: int) -> tuple[int, int]:
    system = accounts.system_account(connection, program_id, accounts.SWAPPED)
    rows = connection.execute(
        sa.select(entry.c.credit, sa.func.sum(entry.c.amount))
        .join(operation, operation.c.id == entry.c.operation_id)
        .join(batch, batch.c.id == operation.c.batch_id)
        .where(
            entry.c.program_id == program_id,
            entry.c.contra_id == system,
            entry.c.state == "posted",
            batch.c.block_number <= number,
        )
        .group_by(entry.c.credit)
    )
    sums = {credit: int(amount) for credit, amount in rows}
    return sums.get(True, 0), sums.get(False, 0)


def _position(connection: sa.Connection, program_id: str, number: int) -> int:
    """What posted swaps made the program owe (below zero) or be owed, leg by leg: of one swap, one may be skipped."""

    def total(column: sa.ColumnElement[str]) -> int:
        return (
            connection.scalar(
                sa.select(sa.func.coalesce(sa.func.sum(entry.c.amount * terms.c.settlement_price_micro), 0))
                .join(swap, swap.c.operation_id == entry.c.operation_id)
                .join(terms, terms.c.id == swap.c.terms_id)
                .join(operation, operation.c.id == swap.c.operation_id)
                .join(batch, batch.c.id == operation.c.batch_id)
                .where(
                    column == program_id,
                    batch.c.block_number <= number,
                    entry.c.credit.is_(True),
                    entry.c.state == "posted",
                )
            )
            or 0
        )

    return total(swap.c.to_program_id) - total(operation.c.program_id)


def _counts(connection: sa.Connection, program_id: str) -> dict[str, int]:
    rows = connection.execute(
        sa.select(operation.c.kind, sa.func.count())
        .where(operation.c.program_id == program_id)
        .group_by(operation.c.kind)
    )
    return dict(rows.all())
