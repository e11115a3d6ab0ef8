"""Room: how much the chain would let through now, so that no batch is signed that it would refuse.

What the contracts said as of the newest block that was taken in is reckoned on to this moment: buckets refill and
periods of caps begin anew while no block is mined. What was signed and is in no block yet counts as used.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import sqlalchemy as sa

from bridge.chain import contracts
from bridge.chain.contracts import Limit, LimitNow
from bridge.chain.rpc import Rpc
from bridge.posting import calls
from bridge.store import attempts, blocks, chainstate, limits, streams, terms
from bridge.store.batches import Batch, Throttle
from bridge.store.blocks import KnownBlock
from bridge.store.chainstate import Deployment
from bridge.store.streams import Stream

#: How far the chain's clock may be behind ours: so much of what comes back over time is not counted on yet.
CLOCK_LAG_S = 2


@dataclass(frozen=True, slots=True)
class Room:
    """What a stream's limits let through as of `block`, the newest that was taken in.

    In points, but for `credit`, in micro-units. The caps along a path are those of the batch's own terms, so here
    stands what of each is used, and of a program's limit of redemption what is `kept` from expiry. A paused stream lets
    nothing through. `now_s` is what time it was on the chain.
    """

    block: KnownBlock
    now_s: int
    available: Mapping[str, int]
    caps_used: Mapping[str, int] = field(default_factory=dict)
    kept: int = 0
    paused: bool = False

    def short_of(self, connection: sa.Connection, stream: Stream, found: Batch) -> Throttle | None:
        """The limit under which the batch finds no room behind what is under way, or None when it fits."""
        if self.paused:
            return Throttle(limits.PAUSE, 1, 0)
        available = dict(self.available)
        if stream.kind == streams.PATH:
            caps = terms.caps_of_batch(connection, found.id)
            available |= {direction: cap - self.caps_used[direction] for direction, cap in caps.items()}
        used = _under_way(connection, stream)
        for name, needed in found.demand.items():
            left = max(0, available[name] - used[name])
            if needed > left:
                return Throttle(limits.name_of(name), needed, left)
        return None

    def keeps_enough(self, connection: sa.Connection, stream: Stream, demand: Mapping[str, int]) -> bool:
        """Whether a program's batch with this demand leaves what is kept from expiry of the limit of redemption."""
        left = self.available[limits.REDEMPTION] - _under_way(connection, stream)[limits.REDEMPTION]
        return left - demand[limits.REDEMPTION] >= self.kept


def read(rpc: Rpc, connection: sa.Connection, stream: Stream, now_s: int) -> Room:
    """The room of a stream at this time of the chain. Raises ChainError."""
    tip, tokens = blocks.tip(connection), streams.tokens(connection, stream)
    assert tip is not None
    if stream.kind == streams.PROGRAM:
        return _of_program(rpc, tip, tokens[0], now_s)
    deployment = chainstate.get(connection)
    assert deployment is not None
    return _of_path(rpc, tip, _Path(stream.programs, tokens), deployment, now_s)


def _under_way(connection: sa.Connection, stream: Stream) -> Counter[str]:
    """What signed batches that are in no block take of the same limits."""
    used = Counter[str]()
    for one in attempts.demands_under_way(connection, stream):
        used.update(one)
    return used


def _of_program(rpc: Rpc, tip: KnownBlock, token: bytes, now_s: int) -> Room:
    asked = [(token, contracts.encode_paused()), *((token, contracts.encode_limit_of(limit)) for limit in Limit)]
    paused, *told = rpc.call_many(asked, tip.number)
    known = {limit: contracts.decode_limit(answer) for limit, answer in zip(Limit, told, strict=True)}
    return Room(
        tip,
        now_s,
        {calls.limit_name(limit): refilled(one, tip.timestamp, now_s) for limit, one in known.items()},
        kept=limits.kept_from_expiry(known[Limit.REDEMPTION].capacity),
        paused=bool(contracts.decode_uint(paused)),
    )


def refilled(limit: LimitNow, told_s: int, now_s: int) -> int:
    """What a limit lets through now, that let `limit.available` through at the time `told_s`."""
    passed = max(0, now_s - CLOCK_LAG_S - told_s)
    return min(limit.capacity, limit.available + passed * limit.refill)


@dataclass(frozen=True, slots=True)
class _Path:
    """The programs along a path and their tokens, source first."""

    programs: Sequence[str]
    tokens: Sequence[bytes]


def _of_path(rpc: Rpc, tip: KnownBlock, path: _Path, deployment: Deployment, now_s: int) -> Room:
    """What every program but the last may yet owe, what is used of each direction's cap, and whether an end is paused.

    The contract moves positions and caps at each hop, but calls only the tokens of the two ends.
    """
    exchange = deployment.exchange
    assert exchange is not None, "paths are made only after the exchange"
    owing, directions = path.tokens[:-1], list(pairwise(path.tokens))
    told = iter(
        rpc.call_many(
            [
                *((exchange, contracts.encode_credit_limit(one)) for one in owing),
                *((exchange, contracts.encode_position(one)) for one in owing),
                *((exchange, contracts.encode_used_of(*one)) for one in directions),
                *((one, contracts.encode_paused()) for one in (path.tokens[0], path.tokens[-1])),
            ],
            tip.number,
        )
    )
    credit = [contracts.decode_uint(next(told)) for _ in owing]
    positions = [contracts.decode_int(next(told)) for _ in owing]
    used = [contracts.decode_used(next(told)).managed for _ in directions]
    new_period = (now_s - CLOCK_LAG_S) // deployment.cap_period_s > tip.timestamp // deployment.cap_period_s
    return Room(
        tip,
        now_s,
        {
            limits.credit_of(program_id): limit + position
            for program_id, limit, position in zip(path.programs, credit, positions, strict=False)
        },
        caps_used={
            limits.cap_of(*direction): 0 if new_period else managed
            for direction, managed in zip(pairwise(path.programs), used, strict=True)
        },
        paused=any(map(contracts.decode_uint, told)),
    )
