"""What the service knows of its chain: which one it is, where the exchange stands, whether the breaker is tripped."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from bridge.store.schema import breaker, deployment


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


def trip_breaker(connection: sa.Connection, reason: str, now_ms: int) -> None:
    """Stop posting. The first reason stays."""
    if breaker_reason(connection) is None:
        connection.execute(breaker.insert().values(id=1, reason=reason, tripped_ms=now_ms))


def breaker_reason(connection: sa.Connection) -> str | None:
    """Why posting is stopped, or None."""
    return connection.scalar(sa.select(breaker.c.reason))


def reset_breaker(connection: sa.Connection) -> None:
    """Let posting go on."""
    connection.execute(breaker.delete())
