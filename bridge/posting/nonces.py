"""Nonces: whether a signer used those that the chain says are used.

A count as of a block is not certain while that is the newest: a node that makes the next block meanwhile may answer of
that one (anvil does, for some milliseconds). So nothing is concluded from such an answer before it was given twice.
"""

import logging

import sqlalchemy as sa

from bridge.posting.suspicion import suspicion
from bridge.store import attempts, breaker, lanes
from bridge.store.breaker import Alarm
from bridge.store.lanes import Lane, TroubleType

#: Longer than a node takes to make a block: two answers that far apart, as of one block, are not both of the next.
MAKING_MS = 1_000

_log = logging.getLogger(__name__)


def accounted_for(connection: sa.Connection, lane: Lane) -> int:
    """How many of the lane's first nonces the ledger knows to be used, as of the newest block that was taken in."""
    return min(attempts.unmined_numbers(connection, lane.id), default=lane.next_nonce)


def examine(connection: sa.Connection, lane_id: int, count: int, *, recovering: bool, now_ms: int) -> list[int]:
    """As of a final block that was taken in, the chain has used the lane's nonces below `count`.

    Those of them that none of our attempts used were used by a transaction that is not ours: a key is stolen or shared,
    and the breaker trips. A ledger that is `recovering` and was marked as restored meets its own lost transactions like
    that, and only learns which nonces are gone; later they may still take the doubtful ones. Their batches may be
    signed again. Answers the nonces.
    """
    lane = lanes.by_id(connection, lane_id)
    used = [*attempts.use_up(connection, lane_id, count), *range(lane.next_nonce, count)]
    lanes.skip_to(connection, lane_id, count)
    if not used:
        return used
    named = f"nonce {used[0]}" if len(used) == 1 else f"{len(used)} nonces from {used[0]} on"
    text = f"{named} of lane {lane.role} (0x{lane.address.hex()}) used on the chain by transactions that are not ours"
    if recovering or used[-1] < lane.doubtful_below:
        _log.warning("%s: they were lost with what the backup lacks", text)
        return used
    _log.critical("%s; posting stops", text)
    lanes.tell(connection, lane_id, TroubleType.FOREIGN_NONCE, text, now_ms)
    breaker.trip(connection, Alarm.FOREIGN_NONCE, f"{text}: {suspicion(connection)}", now_ms)
    return used
