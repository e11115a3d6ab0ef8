"""What the service knows of its chain: which one it is, where the exchange stands, whether the breaker is tripped."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.schema import breaker, deployment


@dataclass(frozen=True, slots=True)
class Deployment:
    """The exchange contract on one chain; `exchange` is None until its creation is confirmed."""

    chain_id: int
    genesis_hash: bytes
    exchange: bytes | None
    notice_s: int
    transaction_hash: bytes | None
    block_number: int | None
    created_ms: int


def get(connection: sa.Connection) -> Deployment | None:
    """The chain that this ledger belongs to; a ledger belongs to one chain for ever."""
    row = connection.execute(sa.select(deployment)).one_or_none()
    return None if row is None else Deployment(**row._mapping)


def begin(connection: sa.Connection, *, chain_id: int, genesis_hash: bytes, notice_s: int, now_ms: int) -> None:
    """Bind the ledger to a chain."""
    connection.execute(
        deployment.insert().values(chain_id=chain_id, genesis_hash=genesis_hash, notice_s=notice_s, created_ms=now_ms)
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
