"""The poster: freezes what waits into batches, has them signed and sent, and dissolves what the chain cannot take.

Each step is a transaction of its own on the ledger, so a crash between any two of them leaves work that the next start
takes up: a frozen batch is signed, stored bytes are sent again. Sending the same bytes twice does no harm.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from bridge.chain.errors import ChainError
from bridge.chain.rpc import Rpc
from bridge.chain.transactions import Fees
from bridge.posting import calls, room
from bridge.posting.clock import Clock, passed
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
    limits,
    outcomes,
    streams,
    terms,
)
from bridge.store.database import Database
from bridge.store.streams import Stream
from bridge.store.writer import LedgerWriter

#: How long a batch that finds no room under a limit waits before the chain is asked again.
LOOK_AGAIN_MS = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How batches are cut: how long an operation waits for company, and how long the chain accepts a batch."""

    linger_ms: int
    batch_life_s: int


class Poster:
    """Moves the ledger's waiting work to the chain; `step` does all there is to do now."""

    def __init__(
        self,
        *,
        database: Database,
        writer: LedgerWriter,
        rpc: Rpc,
        submitter: Submitter,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._database = database
        self._writer = writer
        self._rpc = rpc
        self._submitter = submitter
        self._clock = clock
        self._pace = pace
        #: when a stream found no room under a limit: it is looked at again after a while
        self._short_ms: dict[int, int] = {}
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
            controls = attempts.unsigned_controls(connection, self._clock())
            stopped = under_way is not None or breaker.is_tripped(connection)
            guardians = lanes.guardians(connection)
            if stopped:
                controls = [one for one in controls if batches.by_id(connection, one).lane_id in guardians]
            moving = [] if stopped else self._moving_streams(connection)
            of_lanes = [batches.by_id(connection, one).lane_id for one in controls]
            of_lanes += [streams.by_id(connection, one).lane_id for one in moving]
        done = not stopped and self._dissolve()
        try:
            done = self._sign_due(of_lanes, controls, moving) or done
        except ChainError:
            self._submitter.step(guardians if stopped else None)  # what is signed goes out all the same
            raise
        return self._submitter.step(guardians if stopped else None) or done

    # -- freezing -----------------------------------------------------------------------------

    def _sign_due(self, of_lanes: Sequence[int], controls: Sequence[str], moving: Sequence[int]) -> bool:
        fees = self._submitter.prepare(of_lanes)
        if fees is None:
            return False
        for batch_id in controls:
            self._writer.run(partial(self._sign_once, batch_id=batch_id, fees=fees))
        return self._turns.serve(moving, partial(self._move, fees=fees))

    def _moving_streams(self, connection: sa.Connection) -> list[int]:
        """Streams of which something can be frozen or signed: enough waits or has waited enough, or is frozen."""
        now_ms = self._clock()
        ready = {
            stream.id
            for stream, count, oldest_ms in freezing.waiting_streams(connection)
            if count >= calls.entries_max(stream.kind) or passed(oldest_ms, now_ms, self._pace.linger_ms)
        }
        ready |= {one.stream_id for one in attempts.unsigned_streams(connection)}
        return sorted(one for one in ready if passed(self._short_ms.get(one, 0), now_ms, LOOK_AGAIN_MS))

    def _move(self, stream_id: int, fees: Fees) -> bool:
        """Sign what is frozen and freeze what waits, as far as the chain lets it through now."""
        with self._database.read() as connection:
            of = streams.by_id(connection, stream_id)
            now = room.read(self._rpc, connection, of, self._clock() // 1000)
        moved = False
        while self._writer.run(partial(self._advance, of=of, now=now, fees=fees)):
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
            found, full = self._freeze(connection, of.id, behind=ahead is not None)
        if found is None:
            return False
        if self._is_over(connection, found):
            self._short_ms[of.id] = self._clock()
            return False  # its nonce was somebody else's: it is dissolved together with those signed behind it
        short = now.short_of(connection, of, batches.by_id(connection, found))
        if self._release_is_in_the_way(connection, of, found, short):
            # Whoever earns or redeems must not wait for the release limit, which may take a day to refill.
            self._take_apart(connection, of.id, _sequence(connection, found))
            found, full = self._freeze(connection, of.id, behind=False, releases=False)
            assert found is not None, "something else than releases waits"
            short = now.short_of(connection, of, batches.by_id(connection, found))
        self._throttle(connection, of, found, short)
        if short is not None:
            self._cut_smaller(connection, of, found)
            return False
        self._submitter.sign(connection, batches.by_id(connection, found), fees)
        return full

    def _release_is_in_the_way(
        self, connection: sa.Connection, of: Stream, batch_id: str, short: batches.Throttle | None
    ) -> bool:
        """Whether a batch waits for room to release points, while other things wait with it or behind it."""
        if short is None or short.limit != limits.RELEASE or not self._is_loose(connection, of.id, batch_id):
            return False
        return freezing.waits_beside_releases(connection, of.id, batch_id)

    def _freeze(
        self, connection: sa.Connection, stream_id: int, *, behind: bool, releases: bool = True
    ) -> tuple[str | None, bool]:
        """Freeze the stream's next batch, if there is to be one; its id, and whether a full one was cut."""
        of = streams.by_id(connection, stream_id)
        limit = calls.entries_max(of.kind)
        items = freezing.waiting_items(connection, stream_id, limit, releases=releases)
        full = sum(freezing.WEIGHTS.get(item.kind, 1) for item in items) >= limit
        if not items or (not full and behind):
            # What waits behind a batch that is not mined yet gathers until it is: blocks are filled by few batches.
            return None, False
        frozen = self._call(connection, of, items)
        return freezing.freeze(connection, of, items, frozen, self._clock()).id, full

    def _throttle(self, connection: sa.Connection, of: Stream, batch_id: str, short: batches.Throttle | None) -> None:
        """Mark a batch for which there is no room, to be looked at again after a pause, or (None) one that fits."""
        if short is None:
            self._short_ms.pop(of.id, None)
        else:
            self._short_ms[of.id] = self._clock()
        outcomes.throttle(connection, batches.by_id(connection, batch_id), short, self._clock())

    def _cut_smaller(self, connection: sa.Connection, of: Stream, batch_id: str) -> None:
        """Dissolve a batch that waits for room which can never be there, since the limit was lowered behind it.

        The next step freezes what it held anew; a single swap for which there is no hope fails.
        """
        if not self._is_loose(connection, of.id, batch_id):
            return
        found = batches.by_id(connection, batch_id)
        lost = freezing.hopeless(connection, found, self._clock() // 1000)
        if lost is not None or freezing.is_too_large(connection, found):
            self._take_apart(connection, of.id, _sequence(connection, batch_id))
            self._short_ms.pop(of.id, None)

    def _is_over(self, connection: sa.Connection, batch_id: str) -> bool:
        valid_until = batches.by_id(connection, batch_id).valid_until
        assert valid_until is not None, "a stream's batch has a last second"
        return valid_until < self._clock() // 1000

    def _is_loose(self, connection: sa.Connection, stream_id: int, batch_id: str) -> bool:
        """Whether nothing from this batch on is signed, so that it is nobody's but ours and can be dissolved."""
        return not attempts.signed_since(connection, stream_id, _sequence(connection, batch_id))

    def _call(self, connection: sa.Connection, stream: Stream, items: Sequence[freezing.Item]) -> freezing.Frozen:
        tip = blocks.tip(connection)
        assert tip is not None
        valid_until = max(self._clock() // 1000, tip.timestamp) + self._pace.batch_life_s
        tokens = streams.tokens(connection, stream)
        if stream.kind == streams.PROGRAM:
            return calls.post(tokens[0], items, stream.last_sequence + 1, valid_until)
        deployment = chainstate.get(connection)
        assert deployment is not None and deployment.exchange is not None
        return calls.settle(deployment.exchange, tokens, items, stream.last_sequence + 1, valid_until)

    def _sign_once(self, connection: sa.Connection, batch_id: str, fees: Fees) -> None:
        batch = batches.by_id(connection, batch_id)
        waiting = attempts.unsigned_controls(connection, self._clock())
        if batch_id in waiting and self._submitter.has_room(connection, batch.lane_id):
            self._submitter.sign(connection, batch, fees)

    # -- dissolving ---------------------------------------------------------------------------

    def _dissolve(self) -> bool:
        """Take apart the batches that the chain can no longer take.

        A signed one may be mined until it expired at a final block, so all of its stream's wait for that. One that was
        never signed is nobody's but ours: it is dissolved as soon as its time is over.
        """
        with self._database.read() as connection:
            stale = self._stale_streams(connection)
            expired = self._expired_streams(connection)
            overdue = self._overdue_lanes(connection)
        for one in stale:
            self._writer.run(partial(self._dissolve_unsigned, stale=one))
        for stream_id in expired:
            self._writer.run(partial(self._dissolve_stream, stream_id=stream_id))
        for lane_id in overdue:
            self._writer.run(partial(self._tick, lane_id=lane_id))
        return bool(stale or expired or overdue)

    def _stale_streams(self, connection: sa.Connection) -> list[attempts.Unsigned]:
        """Streams with frozen batches whose time is over before they were signed.

        One behind which another is signed is not among them: somebody else used up its nonce. It waits with that one.
        """
        now_s = self._clock() // 1000
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

    def _dissolve_unsigned(self, connection: sa.Connection, stale: attempts.Unsigned) -> None:
        if stale in self._stale_streams(connection):
            self._take_apart(connection, stale.stream_id, stale.sequence)

    def _dissolve_stream(self, connection: sa.Connection, stream_id: int) -> None:
        if stream_id in self._expired_streams(connection):  # else a reorganisation brought one of them back meanwhile
            self._take_apart(connection, stream_id, 0)

    def _take_apart(self, connection: sa.Connection, stream_id: int, since: int) -> None:
        now_ms = self._clock()
        hopeless = self._hopeless(connection, stream_id, since)
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

    def _hopeless(self, connection: sa.Connection, stream_id: int, since: int) -> list[freezing.Hopeless]:
        """The swaps that would only wait in another batch as they do in these, with all others behind them."""
        now_s = self._clock() // 1000
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
