"""The chain that the ledger belongs to: which one, where the exchange stands, whether the ledger is behind it."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from bridge.store.schema import account, batch, deployment, operation
from bridge.store.schema import recovery as recovery_table


@dataclass(frozen=True, slots=True)
class Times:
    """The times with which an exchange is deployed, in seconds; see `Deployment`."""

    delay_s: int
    notice_s: int
    longest_quote_s: int
    longest_batch_s: int
    cap_period_s: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """The exchange contract on one chain; `exchange` is None until its creation is confirmed.

    The times, in seconds, are those that it was deployed with: `delay_s` between announcing and doing, `notice_s`
    between consent to changed terms and their start, how long quotes and batches may last, and the period of caps.
    So is the currency in whose micro-units the contract keeps prices and positions.
    """

    chain_id: int
    genesis_hash: bytes
    exchange: bytes | None
    delay_s: int
    notice_s: int
    longest_quote_s: int
    longest_batch_s: int
    cap_period_s: int
    settlement_currency: str
    transaction_hash: bytes | None
    block_number: int | None
    created_ms: int

    @property
    def times(self) -> Times:
        """The times that were fixed when it was deployed."""
        return Times(self.delay_s, self.notice_s, self.longest_quote_s, self.longest_batch_s, self.cap_period_s)


def get(connection: sa.Connection) -> Deployment | None:
    """The chain that this ledger belongs to; a ledger belongs to one chain for ever."""
    row = connection.execute(sa.select(deployment)).one_or_none()
    return None if row is None else Deployment(**row._mapping)


def begin(
    connection: sa.Connection,
    *,
    chain_id: int,
    genesis_hash: bytes,
    times: Times,
    settlement_currency: str,
    now_ms: int,
) -> None:
    """Bind the ledger to a chain, on which an exchange with these times and this currency is to stand."""
    connection.execute(
        deployment.insert().values(
            chain_id=chain_id,
            genesis_hash=genesis_hash,
            settlement_currency=settlement_currency,
            created_ms=now_ms,
            **asdict(times),
        )
    )


def deployed(connection: sa.Connection, *, exchange: bytes, transaction_hash: bytes, block_number: int) -> None:
    """The exchange contract was created."""
    connection.execute(
        deployment.update().values(exchange=exchange, transaction_hash=transaction_hash, block_number=block_number)
    )


# -- recovery ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recovery:
    """The chain is ahead of the ledger, which takes in what it lacks; nothing is accepted or posted meanwhile.

    `marked`: somebody said that the ledger was restored, so what the chain has beyond it is its own. Else the chain was
    only found to be ahead: what it has is taken in the same way, but may as well be a thief's, and rings the alarm.

    It ends when block `until_block`, the head when it began, is final and taken in; None until the service starts.
    Then the counts say what was learnt: foreign batches, operations of ours that these had posted, operations that were
    restored, accounts that are nobody's.
    """

    id: int
    reason: str
    marked: bool
    until_block: int | None
    since_ms: int
    ended_ms: int | None
    batches: int | None
    matched: int | None
    restored: int | None
    orphans: int | None


def recovery(connection: sa.Connection) -> Recovery | None:
    """The recovery under way, or None."""
    row = connection.execute(sa.select(recovery_table).where(recovery_table.c.ended_ms.is_(None))).one_or_none()
    return None if row is None else Recovery(**row._mapping)


def last_recovery(connection: sa.Connection) -> Recovery | None:
    """The newest recovery, ended or not, or None."""
    row = connection.execute(sa.select(recovery_table).order_by(recovery_table.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Recovery(**row._mapping)


def is_marked_recovery(connection: sa.Connection) -> bool:
    """Whether a recovery is under way in a ledger of which somebody said that it was restored."""
    under_way = recovery(connection)
    return under_way is not None and under_way.marked


def begin_recovery(connection: sa.Connection, reason: str, now_ms: int, *, marked: bool = True) -> None:
    """The ledger may be older than the chain: it was restored, or (not `marked`) the chain was found to be ahead.

    A recovery that is under way, as in a copy that was made during one, keeps its reason and begins anew: up to which
    block it has to go, the next start finds out.
    """
    if recovery(connection) is None:
        connection.execute(recovery_table.insert().values(reason=reason, since_ms=now_ms, marked=marked))
        return
    connection.execute(
        recovery_table.update()
        .where(recovery_table.c.ended_ms.is_(None))
        .values(until_block=None, since_ms=now_ms, marked=marked)
    )


def recover_until(connection: sa.Connection, block_number: int) -> None:
    """The recovery under way goes on until this block is final and taken in."""
    connection.execute(
        recovery_table.update().where(recovery_table.c.ended_ms.is_(None)).values(until_block=block_number)
    )


def end_recovery(connection: sa.Connection, now_ms: int) -> Recovery:
    """The ledger knows all that the chain did; what was learnt is counted and kept."""
    under_way = recovery(connection)
    assert under_way is not None
    since = batch.c.origin == "foreign", batch.c.created_ms >= under_way.since_ms
    carried = sa.select(sa.func.count()).join(batch, batch.c.id == operation.c.batch_id).where(*since)
    learnt = {
        "batches": sa.select(sa.func.count()).select_from(batch).where(*since),
        "matched": carried.where(operation.c.restored.is_(False)),
        "restored": carried.where(operation.c.restored.is_(True)),
        "orphans": sa.select(sa.func.count()).where(account.c.kind == "orphan"),
    }
    counts = {name: connection.scalar(query) or 0 for name, query in learnt.items()}
    connection.execute(
        recovery_table.update().where(recovery_table.c.id == under_way.id).values(ended_ms=now_ms, **counts)
    )
    ended = last_recovery(connection)
    assert ended is not None
    return ended
