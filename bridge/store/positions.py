"""Positions: what swaps without a quote here made programs owe each other.

Those of holders, and those that only the chain tells of. What quoted swaps moved is counted from the swaps themselves.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from bridge.store.schema import wallet_position


def move(connection: sa.Connection, moved: Mapping[str, int]) -> None:
    """Final swaps changed these programs' positions by so many micro-units."""
    for program_id, micro in moved.items():
        total = str(unquoted_micro(connection, program_id) + micro)
        done = connection.execute(
            wallet_position.update().where(wallet_position.c.program_id == program_id).values(micro=total)
        )
        if done.rowcount == 0:
            connection.execute(wallet_position.insert().values(program_id=program_id, micro=total))


def unquoted_micro(connection: sa.Connection, program_id: str) -> int:
    """What final swaps without a quote made a program owe (below zero) or be owed, in micro-units."""
    found = connection.scalar(sa.select(wallet_position.c.micro).where(wallet_position.c.program_id == program_id))
    return 0 if found is None else int(found)
