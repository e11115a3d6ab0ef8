"""The poster: freezes what waits into batches, has them signed and sent, and dissolves what the chain cannot take.

Each step is a transaction of its own on the ledger, so a crash between any two of them leaves work that the next start
takes up: a frozen batch is signed, stored bytes are sent again. Sending the same bytes twice does no harm.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from bridge.chain.errors import ChainError
from bridge.chain.rpc import Rpc
from bridge.chain.transactions import Fees
from bridge.posting import calls, lost_calls, room
from bridge.posting.chain_time import ChainTime
from bridge.posting.clock import Clock, passed
from bridge.posting.fenced import Lanes
from bridge.posting.submitter import Submitter
from bridge.posting.turns import Turns
from bridge.store import (
    attempts,
    batches,
    blocks,
    breaker,
    chainstate,
    freezing,
    lanes,
    outcomes,
    streams,
    terms,
)
from bridge.store.database import Database
from bridge.store.streams import Stream
from exchange.operations import OperationKind
from exchange.words import EntryKind

#: How long a batch that finds no room under a limit waits before the chain is asked again.
LOOK_AGAIN_MS = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How batches are cut: how long an operation waits for company, and how long the chain accepts a batch."""

    linger_ms: int
    batch_life_s: int


class Poster:
    """Moves the ledger's waiting work to the chain, on the lanes that are led; `step` does all there is to do now."""

    def __init__(
        self,
        *,
        database: Database,
        led: Lanes,
        rpc: Rpc,
        submitter: Submitter,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._database = database
        self._led = led
        self._rpc = rpc
        self._submitter = submitter
        self._clock = clock
        self._pace = pace
        #: when a stream found no room under a limit: it is looked at again after a while
        self._short_ms: dict[int, int] = {}
        #: when a stream found no room for what expires: so is that, but whatever else comes does not wait for it
        self._kept_ms: dict[int, int] = {}
        self._time = ChainTime(rpc, clock)
        self._turns = Turns()

    def step(self) -> bool:
        """Freeze, sign and send what is due. Answers whether anything was done. Raises ChainError.

        While the breaker is tripped only the guardians' calls go out, which can only take power away: a stolen key is
        what trips it, and then these are what is needed. So it is while the ledger recovers: what else waits may be on
        the chain already. And it must have taken in what stood there at the start, or it knows no nonce that is free.
        """
        with self._database.read() as connection:
            under_way = chainstate.recovery(connection)
            if under_way is not None and not _has_read(connection, under_way):
                return False
            stopped = under_way is not None or breaker.is_tripped(connection)
            guardians = lanes.guardians(connection)
            controls = self._due_controls(connection, guardians if stopped else None)
            moving = {} if stopped else self._of_ours(connection, self._moving_streams(connection))
        try:
            done = not stopped and self._dissolve()
            done = self._sign_due(controls, moving) or done
        except ChainError:
            self._submitter.step(guardians if stopped else None)  # what is signed goes out all the same
            raise
        return self._submitter.step(guardians if stopped else None) or done

    # -- freezing -----------------------------------------------------------------------------

    def _due_controls(self, connection: sa.Connection, of_lanes: frozenset[int] | None) -> dict[str, int]:
        """The calls that can be signed, of all lanes that are led or only of these, with their lane."""
        due = [batches.by_id(connection, one) for one in attempts.unsigned_controls(connection, self._clock())]
        ours = self._led.led({one.lane_id for one in due})
        served = ours if of_lanes is None else ours & of_lanes
        return {
            one.id: one.lane_id for one in due if one.lane_id in served and not lost_calls.has_to_wait(connection, one)
        }

    def _of_ours(self, connection: sa.Connection, stream_ids: Iterable[int]) -> dict[int, int]:
        """Those of these streams whose lane is led, with their lane."""
        found = {one: streams.by_id(connection, one).lane_id for one in stream_ids}
        ours = self._led.led(set(found.values()))
        return {one: lane_id for one, lane_id in found.items() if lane_id in ours}

    def _sign_due(self, controls: Mapping[str, int], moving: Mapping[int, int]) -> bool:
        of_lanes = [*controls.values(), *moving.values()]
        try:
            self._submitter.look(of_lanes)
        except ChainError:
            self._sign(of_lanes, controls, moving)  # only the lane of which the chain does not tell waits
            raise
        return self._sign(of_lanes, controls, moving)

    def _sign(self, of_lanes: Sequence[int], controls: Mapping[str, int], moving: Mapping[int, int]) -> bool:
        fees = self._submitter.prepare(of_lanes)
        if fees is None:
            return False
        for batch_id, lane_id in controls.items():
            self._led.writer(lane_id).run(partial(self._sign_once, batch_id=batch_id, fees=fees))
        return self._turns.serve(moving, partial(self._move, fees=fees))

    def _moving_streams(self, connection: sa.Connection) -> list[int]:
        """Streams of which something can be frozen or signed: enough waits or has waited enough, or is frozen."""
        now_ms = self._clock()
        ready = {
            one.stream.id
            for one in freezing.waiting_streams(connection)
            if one.count >= calls.entries_max(one.stream.kind) or passed(one.oldest_ms, now_ms, self._pace.linger_ms)
            if not one.expiries or passed(self._kept_ms.get(one.stream.id, 0), now_ms, LOOK_AGAIN_MS)
        }
        ready |= {one.stream_id for one in attempts.unsigned_streams(connection)}
        return sorted(one for one in ready if passed(self._short_ms.get(one, 0), now_ms, LOOK_AGAIN_MS))

    def _move(self, stream_id: int, fees: Fees) -> bool:
        """Sign what is frozen and freeze what waits, as far as the chain lets it through now."""
        with self._database.read() as connection:
            of = streams.by_id(connection, stream_id)
            tip = blocks.tip(connection)
            assert tip is not None, "streams are made only once the ledger is bound to a chain"
            now = room.read(self._rpc, connection, of, self._time.now_s(tip))
        moved = False
        while self._led.writer(of.lane_id).run(partial(self._advance, of=of, now=now, fees=fees)):
            moved = True
        return moved

    def _advance(self, connection: sa.Connection, of: Stream, now: room.Room, fees: Fees) -> bool:
        """Sign the stream's first frozen batch, or freeze the next one and sign it; whether another may follow."""
        tip = blocks.tip(connection)
        if tip is None or tip.hash != now.block.hash or not self._submitter.has_room(connection, of.lane_id):
            return False  # what the chain let through was asked of another block: it is asked again
        ahead = batches.in_flight(connection).get(of.id)
        if ahead is not None and ahead.refused:
            return False  # what the chain refused is dissolved first
        found = attempts.next_unsigned(connection, of.id)
        full = True
        if found is None:
            found, full = self._freeze(connection, of, now, behind=ahead is not None)
        if found is None:
            return False
        if self._is_over(connection, found, now.now_s):
            self._short_ms[of.id] = self._clock()
            return False  # its nonce was somebody else's: it is dissolved together with those signed behind it
        short = now.short_of(connection, of, batches.by_id(connection, found))
        in_the_way = self._in_the_way(connection, of, found, short)
        if in_the_way is not None:
            self._take_apart(connection, of.id, _sequence(connection, found), now.now_s)
            found, full = self._freeze(connection, of, now, behind=False, without=in_the_way)
            assert found is not None, "something else waits"
            short = now.short_of(connection, of, batches.by_id(connection, found))
        self._throttle(connection, of, found, short)
        if short is not None:
            self._cut_smaller(connection, of, found, now.now_s)
            return False
        self._submitter.sign(connection, batches.by_id(connection, found), fees)
        return full

    def _in_the_way(
        self, connection: sa.Connection, of: Stream, batch_id: str, short: batches.Throttle | None
    ) -> OperationKind | None:
        """What gives way in a batch that waits for room, where other things wait with it or behind it.

        Whoever earns or redeems must not wait for a limit that may take a day to refill.
        """
        kind = None if short is None else freezing.GIVES_WAY.get(short.limit)
        if kind is None or not self._is_loose(connection, of.id, batch_id):
            return None
        return kind if freezing.is_in_the_way(connection, of.id, batch_id, kind) else None

    def _next_items(
        self, connection: sa.Connection, of: Stream, now: room.Room, without: OperationKind | None
    ) -> list[freezing.Item]:
        """What the stream's next batch is to hold: expiries only where it leaves enough to those who redeem.

        Nobody asked for an expiry and nobody spends what is expired, so nothing hangs on how soon it is posted, while a
        till hangs on its redemption. So they are not frozen before there is room for them, and never take the last of
        it: a whole night's expiries go out as the limit refills, and a till finds half of it at any time.
        """
        items = freezing.waiting_items(connection, of.id, calls.entries_max(of.kind), without=without)
        others = [item for item in items if item.kind is not EntryKind.EXPIRY]
        if len(others) < len(items) and now.keeps_enough(connection, of, freezing.demand_of(items)):
            return items
        self._kept_ms[of.id] = self._clock()
        return others

    def _freeze(
        self,
        connection: sa.Connection,
        of: Stream,
        now: room.Room,
        *,
        behind: bool,
        without: OperationKind | None = None,
    ) -> tuple[str | None, bool]:
        """Freeze the stream's next batch, if there is to be one; its id, and whether a full one was cut."""
        of = streams.by_id(connection, of.id)  # it goes on with each batch
        limit = calls.entries_max(of.kind)
        items = self._next_items(connection, of, now, without)
        full = sum(freezing.WEIGHTS.get(item.kind, 1) for item in items) >= limit
        if not items or (not full and behind):
            # What waits behind a batch that is not mined yet gathers until it is: blocks are filled by few batches.
            return None, False
        frozen = self._call(connection, of, items, now.now_s + self._pace.batch_life_s)
        return freezing.freeze(connection, of, items, frozen, self._clock()).id, full

    def _throttle(self, connection: sa.Connection, of: Stream, batch_id: str, short: batches.Throttle | None) -> None:
        """Mark a batch for which there is no room, to be looked at again after a pause, or (None) one that fits."""
        if short is None:
            self._short_ms.pop(of.id, None)
        else:
            self._short_ms[of.id] = self._clock()
        outcomes.throttle(connection, batches.by_id(connection, batch_id), short, self._clock())

    def _cut_smaller(self, connection: sa.Connection, of: Stream, batch_id: str, now_s: int) -> None:
        """Dissolve a batch that waits for room which can never be there, since the limit was lowered behind it.

        The next step freezes what it held anew; a single swap for which there is no hope fails.
        """
        if not self._is_loose(connection, of.id, batch_id):
            return
        found = batches.by_id(connection, batch_id)
        lost = freezing.hopeless(connection, found, now_s)
        if lost is not None or freezing.is_too_large(connection, found):
            self._take_apart(connection, of.id, _sequence(connection, batch_id), now_s)
            self._short_ms.pop(of.id, None)

    def _is_over(self, connection: sa.Connection, batch_id: str, now_s: int) -> bool:
        valid_until = batches.by_id(connection, batch_id).valid_until
        assert valid_until is not None, "a stream's batch has a last second"
        return valid_until < now_s

    def _is_loose(self, connection: sa.Connection, stream_id: int, batch_id: str) -> bool:
        """Whether nothing from this batch on is signed, so that it is nobody's but ours and can be dissolved."""
        return not attempts.signed_since(connection, stream_id, _sequence(connection, batch_id))

    def _call(
        self, connection: sa.Connection, stream: Stream, items: Sequence[freezing.Item], valid_until: int
    ) -> freezing.Frozen:
        tokens = streams.tokens(connection, stream)
        if stream.kind == streams.PROGRAM:
            return calls.post(tokens[0], items, stream.last_sequence + 1, valid_until)
        deployment = chainstate.get(connection)
        assert deployment is not None and deployment.exchange is not None
        return calls.settle(deployment.exchange, tokens, items, stream.last_sequence + 1, valid_until)

    def _sign_once(self, connection: sa.Connection, batch_id: str, fees: Fees) -> None:
        batch = batches.by_id(connection, batch_id)
        waiting = attempts.unsigned_controls(connection, self._clock())
        if batch_id not in waiting:
            return
        if lost_calls.may_come_twice(connection, batch):
            self._use_up(connection, batch.lane_id, fees)
        elif self._submitter.has_room(connection, batch.lane_id):
            self._submitter.sign(connection, batch, fees)

    def _use_up(self, connection: sa.Connection, lane_id: int, fees: Fees) -> None:
        """Sign nothing under each nonce that a lost ledger may have used: whatever it sent, only one can be mined."""
        lane = lanes.by_id(connection, lane_id)
        for _ in range(lane.next_nonce, lane.doubtful_below):
            if not self._submitter.has_room(connection, lane_id):
                return
            nothing = batches.add_control(connection, calls.tick(lane), self._clock())
            self._submitter.sign(connection, batches.by_id(connection, nothing), fees)

    # -- dissolving ---------------------------------------------------------------------------

    def _dissolve(self) -> bool:
        """Take apart the batches that the chain can no longer take.

        A signed one may be mined until it expired at a final block, so all of its stream's wait for that. One that was
        never signed is nobody's but ours: it is dissolved as soon as its time is over.
        """
        with self._database.read() as connection:
            now_s = self._chain_s(connection)
            unsigned = {one.stream_id: one for one in self._stale_streams(connection, now_s)}
            stale = self._of_ours(connection, unsigned)
            expired = self._of_ours(connection, self._expired_streams(connection))
            overdue = self._led.led(self._overdue_lanes(connection))
        for stream_id, lane_id in stale.items():
            self._led.writer(lane_id).run(partial(self._dissolve_unsigned, stale=unsigned[stream_id], now_s=now_s))
        for stream_id, lane_id in expired.items():
            self._led.writer(lane_id).run(partial(self._dissolve_stream, stream_id=stream_id))
        for lane_id in sorted(overdue):
            self._led.writer(lane_id).run(partial(self._tick, lane_id=lane_id))
        return bool(stale or expired or overdue)

    def _chain_s(self, connection: sa.Connection) -> int:
        """The chain's time. The node is asked only where something is over by our clock. Raises ChainUnreachable."""
        tip = blocks.tip(connection)
        if tip is None:
            return self._clock() // 1000
        latest_s = self._time.latest_s(tip)
        return self._time.now_s(tip) if self._stale_streams(connection, latest_s) else latest_s

    def _stale_streams(self, connection: sa.Connection, now_s: int) -> list[attempts.Unsigned]:
        """Streams with frozen batches whose time is over, at this time of the chain, before they were signed.

        One behind which another is signed is not among them: somebody else used up its nonce. It waits with that one.
        """
        return [
            one
            for one in attempts.unsigned_streams(connection)
            if one.valid_until < now_s and not attempts.signed_since(connection, one.stream_id, one.sequence)
        ]

    def _expired_streams(self, connection: sa.Connection) -> list[int]:
        final = blocks.newest_final(connection)
        if final is None:
            return []
        return [one.stream_id for one in batches.in_flight(connection).values() if one.valid_until < final.timestamp]

    def _overdue_lanes(self, connection: sa.Connection) -> list[int]:
        """Lanes of refused batches whose time is over while no block says so, and none will: nothing is under way."""
        tip = blocks.tip(connection)
        if tip is None or attempts.unmined(connection) or attempts.anything_to_sign(connection, self._clock()):
            return []
        return sorted(
            {
                streams.by_id(connection, one.stream_id).lane_id
                for one in batches.in_flight(connection).values()
                if one.refused and tip.timestamp <= one.valid_until < self._clock() // 1000
            }
        )

    def _tick(self, connection: sa.Connection, lane_id: int) -> None:
        """Send nothing to ourselves: a chain that mines no empty blocks makes one, and with it time goes on there."""
        if lane_id in self._overdue_lanes(connection):
            call = calls.tick(lanes.by_id(connection, lane_id))
            batches.add_control(connection, call, self._clock())

    def _dissolve_unsigned(self, connection: sa.Connection, stale: attempts.Unsigned, now_s: int) -> None:
        if stale in self._stale_streams(connection, now_s):
            self._take_apart(connection, stale.stream_id, stale.sequence, now_s)

    def _dissolve_stream(self, connection: sa.Connection, stream_id: int) -> None:
        tip = blocks.tip(connection)
        if tip is not None and stream_id in self._expired_streams(connection):
            # else a reorganisation brought one of them back meanwhile
            self._take_apart(connection, stream_id, 0, tip.timestamp)

    def _take_apart(self, connection: sa.Connection, stream_id: int, since: int, now_s: int) -> None:
        now_ms = self._clock()
        hopeless = self._hopeless(connection, stream_id, since, now_s)
        count = outcomes.dissolve(connection, stream_id, now_ms, since)
        _log.warning("stream %s: %s batches were dissolved, and what they held is frozen anew", stream_id, count)
        for one in hopeless:
            outcomes.fail_swap(connection, one.operation_id, one.reason, now_ms)
        stream = streams.by_id(connection, stream_id)
        if stream.kind == streams.PATH:
            dead = [
                one
                for one in freezing.waiting_terms(connection, stream_id)
                if not terms.is_in_force(connection, terms.by_id(connection, one), now_ms)
            ]
            outcomes.fail_swaps(connection, stream_id, dead, "the terms of this swap are no longer in force", now_ms)

    def _hopeless(self, connection: sa.Connection, stream_id: int, since: int, now_s: int) -> list[freezing.Hopeless]:
        """The swaps that would only wait in another batch as they do in these, with all others behind them."""
        gone = [one for one in batches.unposted(connection, stream_id) if (one.sequence or 0) >= since]
        found = (freezing.hopeless(connection, one, now_s) for one in gone)
        return [one for one in found if one is not None]


def _has_read(connection: sa.Connection, under_way: chainstate.Recovery) -> bool:
    """Whether the ledger has taken in the block that was the head when it began to recover."""
    tip = blocks.tip(connection)
    return tip is not None and under_way.until_block is not None and tip.number >= under_way.until_block


def _sequence(connection: sa.Connection, batch_id: str) -> int:
    found = batches.by_id(connection, batch_id).sequence
    assert found is not None, "a stream's batch has a number"
    return found
