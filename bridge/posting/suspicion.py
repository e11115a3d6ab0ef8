"""Suspicion: what an operator has to find out when the chain has something of ours that this ledger did not do."""

import sqlalchemy as sa

from bridge.store import chainstate


def suspicion(connection: sa.Connection) -> str:
    """The question behind the alarm, and what answers it."""
    under_way = chainstate.recovery(connection)
    if under_way is None or under_way.marked:
        return "is a key stolen? Or does a second service use it?"
    return (
        "the chain was ahead when the service started: a copy was put back by hand, or a key is stolen."
        " If you restored it, reset the breaker once the ledger has recovered"
    )
