"""The submitter: signs under a lane's next nonce, stores the bytes, sends them, and replaces what is stuck.

A node's answer is only a hint, and sending again is free. So nothing is decided by an answer but how long to wait:
what counts is what the follower finds in a block, and how far the chain says a lane's nonces are used. Everything that
must survive is in the ledger; what is remembered here only saves questions, and a start without it asks them anew.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import groupby

import sqlalchemy as sa

from bridge.chain.errors import ChainError, RpcRefused
from bridge.chain.keystore import Keystore
from bridge.chain.messages import Meaning, meaning_of
from bridge.chain.rpc import Rpc
from bridge.chain.transactions import FeeMarket, Fees, TransactionFields, fee_market
from bridge.posting import nonces
from bridge.posting.clock import Clock, passed, steady_clock
from bridge.posting.fenced import Lanes
from bridge.posting.turns import Turns
from bridge.store import attempts, batches, blocks, chainstate, lanes, outcomes
from bridge.store.attempts import REPLACEMENTS_MAX, Attempt
from bridge.store.batches import Batch
from bridge.store.blocks import KnownBlock
from bridge.store.database import Database
from bridge.store.lanes import Lane, Trouble, TroubleType

#: Transactions of one signer that may be under way; nodes hold no more for one sender.
UNMINED_PER_LANE_MAX = 16
#: How long sent bytes may stay unmined before they are sent again.
RESEND_AFTER_MS = 3_000
#: How long a lane rests at most that a node takes nothing from: from RESEND_AFTER_MS on, doubled each time.
PAUSE_MAX_MS = 60_000
#: How often a lane's gas money is looked at, while it sends.
FUNDS_EVERY_MS = 60_000
GWEI = 10**9

_TAKEN = (None, Meaning.ALREADY_KNOWN)
#: Answers after which the lane's next nonce may still be taken.
_HARMLESS = (*_TAKEN, Meaning.NONCE_TOO_LOW)
_TOO_CHEAP = (Meaning.UNDERPRICED, Meaning.REPLACEMENT_UNDERPRICED, Meaning.FEE_BELOW_BASE)
#: Answers that call for something else than waiting longer each time.
_SAME_PAUSE = (*_TOO_CHEAP, Meaning.NONCE_GAP)

_TROUBLES = {
    Meaning.INSUFFICIENT_FUNDS: TroubleType.EMPTY_SIGNER,
    Meaning.FEE_CAP: TroubleType.FEE_CEILING,
    Meaning.NONCE_GAP: TroubleType.NONCE_GAP,
    Meaning.POOL_FULL: TroubleType.POOL_FULL,
    Meaning.RATE_LIMITED: TroubleType.POOL_FULL,
    Meaning.GAS_LIMIT: TroubleType.GAS_CAP,
} | dict.fromkeys(_TOO_CHEAP, TroubleType.UNDERPRICED)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeeRules:
    """When a transaction is replaced, what a unit of gas may cost at most, and when gas money counts as low."""

    replace_after_ms: int
    fee_max_wei: int
    low_funds_wei: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node made of an attempt; `meaning` None: it was taken."""

    attempt: Attempt
    meaning: Meaning | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """As of this block the chain had used `count` nonces of a lane, more than the ledger could account for.

    `certain`: it said so twice; `since_ms`, by the steady clock, is when it first did.
    """

    block_number: int
    block_hash: bytes
    count: int
    since_ms: int
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a lane rests, from when on."""

    since_ms: int
    length_ms: int


#: What to tell of a lane.
Told = tuple[TroubleType, str]


class Submitter:
    """Signs batches, and brings the signed to the chain; `step` sends, sends again and replaces all that is due."""

    def __init__(
        self,
        *,
        database: Database,
        led: Lanes,
        rpc: Rpc,
        keystore: Keystore,
        clock: Clock,
        chain_id: int,
        rules: FeeRules,
        steady: Clock = steady_clock,
    ) -> None:
        self._database = database
        self._led = led
        self._rpc = rpc
        self._keystore = keystore
        self._clock = clock
        self._chain_id = chain_id
        self._rules = rules
        self._steady = steady
        #: lanes of which the chain has been found to know no more than the ledger
        self._agreed: set[int] = set()
        self._sightings: dict[int, Sighting] = {}
        self._pauses: dict[int, Pause] = {}
        #: attempts that were too cheap for a node
        self._too_cheap: set[bytes] = set()
        #: lanes that wait for the base fee to fall before anything is signed
        self._barred: set[int] = set()
        self._funds: dict[int, tuple[int, int]] = {}
        #: when the chain last failed to tell of a lane
        self._untold_ms: dict[int, int] = {}
        self._looks, self._turns = Turns(), Turns()

    # -- signing ------------------------------------------------------------------------------

    def look(self, lane_ids: Iterable[int]) -> None:
        """Find out of these lanes whether the chain agrees on their nonces: before, there is no room on a lane.

        Raises ChainError at the first where the chain fails: that lane rests, and the next round begins behind it.
        """
        now_ms = self._clock()
        untold = {one for one, since_ms in self._untold_ms.items() if not passed(since_ms, now_ms, RESEND_AFTER_MS)}
        self._looks.serve(set(lane_ids) - self._agreed - untold, self._ask_of)

    def _ask_of(self, lane_id: int) -> bool:
        try:
            self._look(lane_id)
        except ChainError:
            self._untold_ms[lane_id] = self._clock()
            raise
        self._untold_ms.pop(lane_id, None)
        return True

    def prepare(self, lane_ids: Iterable[int]) -> Fees | None:
        """The fees to offer where something is signed on these lanes, or None while the base fee is above the ceiling.

        None also where there are no lanes to sign on. Raises ChainError.
        """
        wanted = sorted(set(lane_ids))
        self._barred.clear()
        if not wanted:
            return None
        market = fee_market(self._rpc)
        fees = market.offer(self._rules.fee_max_wei)
        if fees is None:
            self._barred.update(wanted)
            for lane_id in wanted:
                self._tell(lane_id, self._at_the_ceiling(market))
        return fees

    def has_room(self, connection: sa.Connection, lane_id: int) -> bool:
        """Whether another nonce of the lane may be reserved: not while the chain may have used more than we know."""
        if lane_id not in self._agreed or lane_id in self._sightings:
            return False
        return lanes.unmined(connection).get(lane_id, 0) < UNMINED_PER_LANE_MAX

    def sign(self, connection: sa.Connection, batch: Batch, fees: Fees) -> None:
        """Reserve the lane's next nonce, sign, and store the bytes: one transaction, before anything is sent."""
        number = lanes.reserve_nonce(connection, batch.lane_id, batch.id)
        self._store(connection, batch, number, fees, place=0)

    def _store(self, connection: sa.Connection, batch: Batch, number: int, fees: Fees, place: int) -> Attempt:
        lane = lanes.by_id(connection, batch.lane_id)
        fields = TransactionFields(
            chain_id=self._chain_id,
            nonce=number,
            to=batch.target,
            data=batch.calldata,
            gas=batch.gas_limit,
            fees=fees,
            value=int(batch.value_wei),
        )
        signed = self._keystore.sign_transaction(lane.key_index, fields)
        made = Attempt(
            hash=signed.hash,
            lane_id=lane.id,
            nonce=number,
            batch_id=batch.id,
            raw=signed.raw,
            max_fee_wei=fees.max_fee,
            tip_wei=fees.priority_fee,
            created_ms=self._clock(),
            place=place,
        )
        attempts.add(connection, made)
        return made

    # -- sending ------------------------------------------------------------------------------

    def step(self, of_lanes: Collection[int] | None = None) -> bool:
        """Send what was signed and is in no block, of all lanes that are led or only of these of them.

        Answers whether anything was done. Raises ChainError at the first lane where the chain fails; the next step
        begins behind that one.
        """
        try:
            settled = self._settle()
        except ChainError:
            self._serve_all(of_lanes)  # nobody waits for what the chain does not tell of another lane
            raise
        return self._serve_all(of_lanes) or settled

    def _serve_all(self, of_lanes: Collection[int] | None) -> bool:
        with self._database.read() as connection:
            waiting = attempts.unmined(connection)
            tip = blocks.tip(connection)
            of_id: dict[int, Lane] = {one.id: one for one in lanes.all_lanes(connection)}
            ours = self._led.led(of_id.keys())
            troubles = {lane_id: one for lane_id, one in lanes.troubles(connection).items() if lane_id in ours}
        by_lane = {lane_id: list(found) for lane_id, found in groupby(waiting, key=lambda one: one.lane_id)}
        market = cache(lambda: fee_market(self._rpc))
        served = {one for one in by_lane if one in ours and (of_lanes is None or one in of_lanes)}

        def serve(lane_id: int) -> bool:
            if lane_id not in served:
                self._review(of_id[lane_id], troubles[lane_id])
                return False
            assert tip is not None, "lanes are made only once the ledger is bound to a chain"
            return self._serve(of_id[lane_id], by_lane[lane_id], tip, market)

        return self._turns.serve(served | (troubles.keys() - by_lane.keys()), serve)

    def _serve(self, lane: Lane, waiting: Sequence[Attempt], tip: KnownBlock, market: Callable[[], FeeMarket]) -> bool:
        """Send what is due of one lane, in the order of its nonces; first replace what is stuck.

        After a reorganisation more may be in no block than nodes hold for one sender: the lane's first nonces go first.
        """
        waiting = waiting[:UNMINED_PER_LANE_MAX]
        now_ms = self._clock()
        pause = self._pauses.get(lane.id)
        if pause is not None and not passed(pause.since_ms, now_ms, pause.length_ms):
            return False
        due = [one for one in waiting if one.sent_ms is None or passed(one.sent_ms, now_ms, RESEND_AFTER_MS)]
        if not due:
            return False
        told, from_first = self._low_funds(lane), due[0] == waiting[0]
        if from_first and due[0].sent_ms is not None:
            self._look(lane.id)
        if lane.id not in self._sightings:
            for place, one in enumerate(due):
                if one.hash in self._too_cheap or (one == waiting[0] and self._is_stuck(one, tip, market)):
                    due[place], why = self._replace(one, market())
                    told = why or told
        note = partial(self._note, lane=lane, tip=tip, told=told, from_first=from_first)
        self._send(lane, due, note)
        return True

    def _send(self, lane: Lane, due: Sequence[Attempt], note: Callable[..., None]) -> None:
        answers: list[Answer] = []
        try:
            for one in due:
                answers.append(self._hand_over(one))
                if answers[-1].meaning not in _HARMLESS:
                    break  # what comes behind could not be mined before it
        except ChainError:  # the answer is lost: it is sent again; those before it are noted
            if answers:
                self._led.writer(lane.id).run(partial(note, answers=answers))
            raise
        self._rest(lane.id, answers[-1].meaning)
        self._led.writer(lane.id).run(partial(note, answers=answers))

    def _hand_over(self, one: Attempt) -> Answer:
        try:
            self._rpc.send_raw(one.raw)
        except RpcRefused as refusal:
            meaning = meaning_of(refusal.code, refusal.message)
            if meaning in _TOO_CHEAP:
                self._too_cheap.add(one.hash)
            return Answer(one, meaning, refusal.message)
        return Answer(one, None)

    def _rest(self, lane_id: int, last: Meaning | None) -> None:
        """How long the lane waits after this answer, the last of a round.

        Never less than until all that was sent before is due again: a node that lacks an earlier nonce gets it first.
        """
        if last in _HARMLESS:
            self._pauses.pop(lane_id, None)
            return
        before = self._pauses.get(lane_id)
        longer = RESEND_AFTER_MS if before is None or last in _SAME_PAUSE else 2 * before.length_ms
        self._pauses[lane_id] = Pause(self._clock(), min(longer, PAUSE_MAX_MS))

    def _note(
        self,
        connection: sa.Connection,
        lane: Lane,
        tip: KnownBlock,
        told: Told | None,
        from_first: bool,
        answers: Sequence[Answer],
    ) -> None:
        """Write down what was sent, what a node took, and what keeps the lane from going on.

        That nothing does any more is said only by a round that began with the lane's first nonce.
        """
        now_ms = self._clock()
        for one in answers:
            attempts.sent(connection, one.attempt.hash, now_ms)
            if one.meaning in _TAKEN:
                attempts.taken(connection, one.attempt.hash, now_ms, tip.number)
                outcomes.submitted(connection, one.attempt.batch_id, now_ms)
            elif one.meaning not in _HARMLESS and (told is None or told[0] is TroubleType.LOW_FUNDS):
                told = self._trouble_of(connection, lane, one)
        if told is not None or from_first:
            self._write_trouble(connection, lane.id, told)

    # -- replacing ----------------------------------------------------------------------------

    def _is_stuck(self, head: Attempt, tip: KnownBlock, market: Callable[[], FeeMarket]) -> bool:
        """Whether the lane's first unmined transaction is passed over: it costs too much now, or blocks go by."""
        if head.sent_ms is None:
            return False
        if head.max_fee_wei < market().base_fee:
            return True
        if head.taken_ms is None or head.taken_block is None:
            return False  # no node took it: what it offers is not what keeps it
        with self._database.read() as connection:
            first_since = max(head.taken_block, attempts.newest_mined(connection, head.lane_id) or 0)
        return tip.number > first_since and passed(head.taken_ms, self._clock(), self._rules.replace_after_ms)

    def _replace(self, one: Attempt, market: FeeMarket) -> tuple[Attempt, Told | None]:
        """An attempt with higher fees in place of this one, stored; or the same one, and what stands against it."""
        if one.place + 1 >= REPLACEMENTS_MAX:
            return one, (TroubleType.UNDERPRICED, f"nonce {one.nonce}: {REPLACEMENTS_MAX} attempts, and none is mined")
        fees = market.replace(Fees(one.max_fee_wei, one.tip_wei), self._rules.fee_max_wei)
        if fees is None:
            return one, self._at_the_ceiling(market)
        made = self._led.writer(one.lane_id).run(partial(self._outbid, one=one, fees=fees))
        self._too_cheap.discard(one.hash)
        return made or one, None

    def _outbid(self, connection: sa.Connection, one: Attempt, fees: Fees) -> Attempt | None:
        """Sign the same nonce and call with these fees, unless it was mined meanwhile."""
        if all(each.hash != one.hash for each in attempts.unmined(connection)):
            return None
        _log.info("nonce %s of lane %s is replaced: %s gwei a gas", one.nonce, one.lane_id, _gwei(fees.max_fee))
        return self._store(connection, batches.by_id(connection, one.batch_id), one.nonce, fees, one.place + 1)

    def _at_the_ceiling(self, market: FeeMarket) -> Told:
        ceiling = self._rules.fee_max_wei
        text = f"fee ceiling reached: base fee {_gwei(market.base_fee)} gwei, ceiling {_gwei(ceiling)} gwei"
        return TroubleType.FEE_CEILING, text

    # -- nonces that others used --------------------------------------------------------------

    def _look(self, lane_id: int) -> None:
        """Hold the lane's nonces against the chain, both as of the newest block that the ledger has taken in.

        "Nonce too low" may mean that ours was mined a moment ago, or that somebody else used it; only this tells.
        """
        with self._database.read() as connection:
            lane, tip = lanes.by_id(connection, lane_id), blocks.tip(connection)
            ours = nonces.accounted_for(connection, lane)
        assert tip is not None
        count = self._rpc.transaction_count(lane.address, tip.hash)
        if count <= ours:
            self._agreed.add(lane_id)
        elif lane_id not in self._sightings:
            self._sightings[lane_id] = Sighting(tip.number, tip.hash, count, self._steady())

    def _settle(self) -> bool:
        """Draw the conclusion from what was seen, once it is certain and its block is final.

        Forget it where the block is gone, or where the ledger can account for it by now: then it was of a later block.
        Raises ChainError.
        """
        settled = False
        for lane_id, seen in sorted(self._sightings.items()):
            with self._database.read() as connection:
                lane, block = lanes.by_id(connection, lane_id), blocks.at(connection, seen.block_number)
                known = nonces.accounted_for(connection, lane)
            if block is None or block.hash != seen.block_hash or seen.count <= known:
                self._forget(lane_id)
            elif (sure := self._made_certain(lane, seen, known)) is not None and block.final:
                self._led.writer(lane_id).run(partial(self._conclude, lane_id=lane_id, count=sure.count))
                self._forget(lane_id)
                settled = True
        return settled

    def _forget(self, lane_id: int) -> None:
        """The chain is asked of the lane anew, as of a newer block."""
        del self._sightings[lane_id]
        self._agreed.discard(lane_id)

    def _made_certain(self, lane: Lane, seen: Sighting, known: int) -> Sighting | None:
        """Put the same question again once the answer is sure to be of this block, or that before must have been.

        That is soon, while nodes still have the block's state; when it is final they may not. Answers the sighting once
        it is certain. Raises ChainError.
        """
        if seen.certain:
            return seen
        above = self._rpc.head_number() > seen.block_number
        if not above and self._steady() - seen.since_ms < nonces.MAKING_MS:
            return None
        try:
            count = min(seen.count, self._rpc.transaction_count(lane.address, seen.block_hash))
        except ChainError:
            self._forget(lane.id)
            raise
        if count <= known:
            self._forget(lane.id)
            return None
        _log.warning("the chain has used nonce %s of lane %s (%s); we have not", count - 1, lane.id, lane.role)
        sure = self._sightings[lane.id] = replace(seen, count=count, certain=True)
        return sure

    def _conclude(self, connection: sa.Connection, lane_id: int, count: int) -> None:
        recovering = chainstate.is_marked_recovery(connection)
        nonces.examine(connection, lane_id, count, recovering=recovering, now_ms=self._clock())

    # -- trouble ------------------------------------------------------------------------------

    def _trouble_of(self, connection: sa.Connection, lane: Lane, answer: Answer) -> Told:
        assert answer.meaning is not None
        kind = _TROUBLES.get(answer.meaning, TroubleType.REFUSED)
        text = f"nonce {answer.attempt.nonce}: {answer.text}"
        if kind is TroubleType.EMPTY_SIGNER:
            batch = batches.by_id(connection, answer.attempt.batch_id)
            need = batch.gas_limit * answer.attempt.max_fee_wei + int(batch.value_wei)
            text = f"0x{lane.address.hex()} cannot pay for gas: a transaction may cost {need} wei"
        return kind, text

    def _low_funds(self, lane: Lane) -> Told | None:
        """Whether the lane's gas money runs out, looked at now and then."""
        now_ms = self._clock()
        known = self._funds.get(lane.id)
        if known is None or passed(known[0], now_ms, FUNDS_EVERY_MS):
            known = self._funds[lane.id] = (now_ms, self._rpc.balance(lane.address))
        least = self._rules.low_funds_wei
        if known[1] >= least:
            return None
        return TroubleType.LOW_FUNDS, f"0x{lane.address.hex()} has {known[1]} wei left for gas, less than {least}"

    def _review(self, lane: Lane, trouble: Trouble) -> None:
        """Trouble of a lane that has nothing under way: most is over with what it was about."""
        if trouble.type is TroubleType.FOREIGN_NONCE or lane.id in self._barred:
            return
        self._tell(lane.id, self._low_funds(lane) if trouble.type is TroubleType.LOW_FUNDS else None)

    def _tell(self, lane_id: int, told: Told | None) -> None:
        with self._database.read() as connection:
            known = lanes.troubles(connection).get(lane_id)
        if (None if known is None else (known.type, known.text)) != told:
            self._led.writer(lane_id).run(partial(self._write_trouble, lane_id=lane_id, told=told))

    def _write_trouble(self, connection: sa.Connection, lane_id: int, told: Told | None) -> None:
        known = lanes.troubles(connection).get(lane_id)
        if told is None:
            if known is not None:
                lanes.clear(connection, lane_id)
            return
        if known is None or (known.type, known.text) != told:
            lanes.tell(connection, lane_id, *told, self._clock())
        if known is None or known.type is not told[0]:
            _log.warning("lane %s: %s", lane_id, told[1])


def _gwei(wei: int) -> str:
    """So many wei in gwei, exactly."""
    whole, rest = divmod(wei, GWEI)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")
