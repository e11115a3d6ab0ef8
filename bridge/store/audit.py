"""The ledger's side of an audit: every program's books as of the newest final block."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, batches, blocks, debts, holds, positions, programs
from bridge.store.blocks import KnownBlock
from bridge.store.programs import Program
from bridge.store.schema import (
    UNRELEASED,
    account,
    batch,
    entry,
    holder_event,
    leg_hop,
    operation,
    quote_hop,
    stream,
    swap,
    terms,
)
from exchange.operations import OperationKind, OperationState


@dataclass(frozen=True, slots=True)
class HeldAccount:
    """What the ledger says one account holds on the chain: a managed one, or a wallet, which has no reference."""

    reference: bytes | None
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
    """One program's books as of a final block, in points; the position is micro-units, owed to it when positive.

    `accounts` are those that are to be compared, `ledger` is the sum of what all of them hold: the token's supply.
    """

    program: Program
    issued: int
    redeemed: int
    swapped_in: int
    swapped_out: int
    ledger: int
    #: what final expiries took, which is within `redeemed`; and what pending earns are still to bring
    expired: int
    to_come: int
    #: what tills have authorised and not captured yet, which is within `ledger`
    held: int
    #: what members owe: no account's, and not on the chain
    owed: int
    accounts: list[HeldAccount]
    position_micro: int
    operations: dict[str, int]
    refused_by_chain: int
    flow: Flow


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was settled along one swap path, by program ids."""

    path: list[str]
    flow: Flow


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All books as of the newest final block, read in one transaction: the books hold nothing that is not final."""

    block: KnownBlock
    books: list[Books]
    settlements: list[Settlement]


def snapshot(connection: sa.Connection, since: int | None = None) -> Snapshot | None:
    """The books as of the newest final block, or None before there is one.

    With `since` only those accounts are to be compared that were moved in blocks above it.
    """
    final = blocks.newest_final(connection)
    if final is None:
        return None
    flows, positions = _flows(connection), _positions(connection)
    moved = None if since is None else _moved(connection, since)
    books = [_books(connection, one, flows, positions[one.id], moved) for one in programs.all_programs(connection)]
    settlements = [Settlement(key.split(">"), flow) for key, flow in flows.items() if ">" in key]
    return Snapshot(final, books, settlements)


def _flows(connection: sa.Connection) -> dict[str, Flow]:
    rows = connection.execute(
        sa.select(stream.c.key, sa.func.count(), sa.func.sum(batch.c.item_count), sa.func.sum(batch.c.gas_used))
        .join(batch, batch.c.stream_id == stream.c.id)
        .where(batch.c.state == batches.FINAL)
        .group_by(stream.c.key)
        .order_by(stream.c.key)
    )
    return {key: Flow(count, items, gas) for key, count, items, gas in rows}


def _moved(connection: sa.Connection, since: int) -> set[int]:
    """The accounts in which something was posted in blocks above this one."""
    by_batch = (
        sa.select(entry.c.account_id, entry.c.contra_id)
        .join(operation, operation.c.id == entry.c.operation_id)
        .join(batch, batch.c.id == operation.c.batch_id)
        .where(batch.c.block_number > since)
    )
    by_holder = (
        sa.select(entry.c.account_id, entry.c.contra_id)
        .join(holder_event, holder_event.c.operation_id == entry.c.operation_id)
        .where(holder_event.c.block_number > since)
    )
    return {each for query in (by_batch, by_holder) for row in connection.execute(query) for each in row}


def _books(
    connection: sa.Connection,
    program: Program,
    flows: dict[str, Flow],
    position_micro: int,
    moved: Collection[int] | None,
) -> Books:
    rows = connection.execute(sa.select(account).where(account.c.program_id == program.id).order_by(account.c.id)).all()
    system = {row.kind: row for row in rows if row.kind in accounts.SYSTEM}
    held = {
        row.id: HeldAccount(row.reference, row.address, row.credits_posted - row.debits_posted)
        for row in rows
        if row.kind not in accounts.SYSTEM
    }
    counts, final_points = _sums(connection, program.id)
    for_tills = sum(row.held for row in rows)
    assert for_tills == holds.left_in(connection, program.id), "accounts and holds disagree about what is held"
    return Books(
        program=program,
        issued=system[accounts.ISSUED].debits_posted,
        redeemed=system[accounts.REDEEMED].credits_posted,
        swapped_in=system[accounts.SWAPPED].debits_posted,
        swapped_out=system[accounts.SWAPPED].credits_posted,
        ledger=sum(one.posted for one in held.values()),
        held=for_tills,
        owed=debts.of_program(connection, program.id),
        accounts=[one for account_id, one in held.items() if moved is None or account_id in moved],
        position_micro=position_micro + positions.unquoted_micro(connection, program.id),
        operations=counts,
        expired=final_points.get(OperationKind.EXPIRY.value, 0),
        to_come=_to_come(connection, program.id),
        refused_by_chain=sum(1 for row in rows if row.frozen),
        flow=flows.get(program.id, Flow(0, 0, 0)),
    )


def _positions(connection: sa.Connection) -> Counter[str]:
    """What settled swaps made each program owe (below zero) or be owed, leg by leg: of one swap, one may be skipped.

    At each hop of a path the source owes the destination what arrived there: at the last hop what was credited, before
    it what the leg became on the way.
    """
    posted = sa.and_(entry.c.operation_id == swap.c.operation_id, entry.c.credit.is_(True), entry.c.state == "posted")
    hop = sa.select(quote_hop.c.from_program_id, quote_hop.c.to_program_id, terms.c.settlement_price_micro).select_from(
        swap
    )
    hops = hop.join(quote_hop, quote_hop.c.quote_id == swap.c.quote_id).join(terms, terms.c.id == quote_hop.c.terms_id)
    last = (
        hops.add_columns(sa.func.sum(entry.c.amount))
        .join(entry, posted)
        .where(quote_hop.c.to_program_id == swap.c.to_program_id)
    )
    between = (
        hops.add_columns(sa.func.sum(leg_hop.c.points))
        .join(entry, posted)
        .join(
            leg_hop,
            sa.and_(
                leg_hop.c.operation_id == swap.c.operation_id,
                leg_hop.c.leg == entry.c.leg,
                leg_hop.c.place == quote_hop.c.place,
            ),
        )
    )
    moved = Counter[str]()
    for query in (last, between):
        rows = connection.execute(
            query.group_by(quote_hop.c.from_program_id, quote_hop.c.to_program_id, terms.c.settlement_price_micro)
        )
        for source, destination, price, points in rows:
            # Multiplied here, since the product of many points and a high price may be more than a database counts to.
            moved[source] -= price * int(points)
            moved[destination] += price * int(points)
    return moved


def _sums(connection: sa.Connection, program_id: str) -> tuple[dict[str, int], dict[str, int]]:
    """For each kind, how many operations there are, and how many points the final ones are."""
    final = sa.case((operation.c.state == OperationState.FINAL.value, operation.c.points), else_=0)
    rows = connection.execute(
        sa.select(operation.c.kind, sa.func.count(), sa.func.sum(final))
        .where(operation.c.program_id == program_id)
        .group_by(operation.c.kind)
    ).all()
    return {kind: count for kind, count, _ in rows}, {kind: int(points) for kind, _, points in rows}


def _to_come(connection: sa.Connection, program_id: str) -> int:
    found = sa.select(sa.func.coalesce(sa.func.sum(operation.c.points), 0))
    return int(connection.scalar(found.where(sa.text(UNRELEASED), operation.c.program_id == program_id)) or 0)
