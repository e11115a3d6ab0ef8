"""Lost calls: what a lost ledger did to set the contracts up, and this one, from an older copy, still has to do.

No event names such a call, and carried out a second time it makes a second token, or gives gas money twice. So while
the ledger recovers, and where a lost transaction may still take a nonce, blocks are read for transactions from our
signers that do exactly what waits here: those are taken as ours.

What nobody has seen yet may come after ours all the same, under a later nonce than the one that ours took. So behind a
restore no such call is signed before the nonces that the lost ledger can have used are used up for good, with
transactions that do nothing where there is nothing else. A guardian does not wait: what it takes away it may well take
away twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.chain.rpc import MinedCall
from bridge.posting import calls
from bridge.posting.report import LostCall
from bridge.store import attempts, batches, blocks, chainstate, lanes
from bridge.store.batches import Batch
from bridge.store.lanes import Lane


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that is in no block, who sends it, and the nonces that it was signed under.

    A transaction that is not known here may carry it with a nonce `below` this one; None: with any.
    """

    batch: Batch
    sender: bytes
    numbers: frozenset[int]
    below: int | None

    def is_carried_by(self, call: MinedCall) -> bool:
        """Whether this transaction does what the call would do, under its nonce if it has one."""
        if (call.sender, call.to, call.data) != (self.sender, self.batch.target, self.batch.calldata):
            return False
        if call.value_wei != int(self.batch.value_wei) or (self.numbers and call.nonce not in self.numbers):
            return False
        return self.below is None or call.nonce < self.below


def waiting(connection: sa.Connection) -> list[Waiting]:
    """The calls that a transaction may carry which this ledger does not know: none, unless it was restored."""
    recovering = chainstate.recovery(connection) is not None
    of_lanes: dict[int, Lane] = {
        lane.id: lane
        for lane in lanes.all_lanes(connection)
        if recovering or lanes.first_open(connection, lane) < lane.doubtful_below
    }
    if not of_lanes:
        return []
    return [
        Waiting(
            one,
            of_lanes[one.lane_id].address,
            frozenset(attempts.numbers_of(connection, one.id).values()),
            None if recovering else of_lanes[one.lane_id].doubtful_below,
        )
        for one in batches.unmined_controls(connection)
        if one.lane_id in of_lanes
    ]


def match(asked: Sequence[Waiting], made: Sequence[MinedCall]) -> dict[bytes, tuple[Batch, LostCall]]:
    """The transactions of a block that carry calls, by hash; of calls alike the one with the nonce goes first."""
    left, found = sorted(asked, key=lambda one: not one.numbers), {}
    for call in made:
        one = next((each for each in left if each.is_carried_by(call)), None)
        if one is not None:
            found[call.transaction_hash] = one.batch, LostCall(one.batch.id, call.nonce)
            left.remove(one)
    return found


def may_come_twice(connection: sa.Connection, call: Batch) -> bool:
    """Whether a lost ledger may have sent this call too, under a nonce that is not used up for good yet."""
    lane = lanes.by_id(connection, call.lane_id)
    if call.purpose == calls.TICK or lane.doubtful_below == 0 or lane.id in lanes.guardians(connection):
        return False
    final = blocks.newest_final(connection)
    return final is None or lanes.has_doubts(connection, lane, final.number)


def has_to_wait(connection: sa.Connection, call: Batch) -> bool:
    """Whether nothing can be done for this call but to wait until what may make it come twice is over."""
    lane = lanes.by_id(connection, call.lane_id)
    return lane.next_nonce >= lane.doubtful_below and may_come_twice(connection, call)
