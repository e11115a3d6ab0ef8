"""The partners: what they ask, ask again, and ask wrongly. They know only what they were answered."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import TypeVar

import sqlalchemy as sa

from bridge.posting.recovery import Recovering
from bridge.store import earns, quotes
from bridge.store.earns import EarnAnswer
from bridge.store.members import Member
from bridge.store.quotes import Quote, QuoteRequest
from exchange.errors import IdempotencyKeyReused, SarrafError
from tests.bridge.store.ledgers import FIRMNESS
from tests.simulation import request
from tests.simulation.ground import Ground
from tests.simulation.history import History
from tests.simulation.oracle import Oracle
from tests.simulation.process import Process
from tests.simulation.request import Request
from tests.simulation.scenario import Scenario

#: Requests of one bulk call, and requests that meet in one transaction.
BULK_MAX, CROWD_MAX = 12, 5
#: Points that one request is about at most.
POINTS_MAX = 60
#: Among how many requests the last swaps are looked for.
SWAPS_LATELY = 8
#: Offers that the partners keep in mind.
OFFERS_MAX = 20

Choice = TypeVar("Choice")


class Clients:
    """All partners of all programs."""

    def __init__(self, ground: Ground, scenario: Scenario, dice: Random, history: History, oracle: Oracle) -> None:
        self.requests = oracle.requests
        self._ground = ground
        self._scenario = scenario
        self._dice = dice
        self._history = history
        self._oracle = oracle
        self._offers: list[Quote] = []
        self._programs = {one.id: one for one in ground.programs}

    def act(self, process: Process) -> None:
        """One of the partners does something."""
        deeds = (self._earn, self._redeem, self._release, self._quote, self._swap, self._bulk, self._crowd)
        weights = (4, 5, 3, 8, 8, 1, 2)
        again = (self._retry, self._clash)
        chosen = self._dice.choices((*deeds, *again), (*weights, 3, 1))[0]
        with suppress(Recovering):  # who asks meanwhile comes again
            chosen(process)

    def settle(self, process: Process) -> None:
        """Every partner that does not know what became of a request asks again."""
        for one in self.requests:
            if one.open:
                with suppress(Recovering):
                    self._send(process, one)

    def all_again(self) -> None:
        """After a ledger was restored the partners ask everything again."""
        for one in self.requests:
            one.operation_id = one.refused = None

    def under_way(self) -> list[tuple[str, str]]:
        """The directions of offers that may be accepted next, and of swaps that were asked last."""
        swaps = [one.offer for one in self.requests[-SWAPS_LATELY:] if one.offer is not None]
        return [(hop.from_program_id, hop.to_program_id) for each in (*swaps, *self._offers[-2:]) for hop in each.hops]

    # -- asking -----------------------------------------------------------------------------------

    def _earn(self, process: Process) -> None:
        self._send(process, self._new_earn())

    def _redeem(self, process: Process) -> None:
        self._send(process, self._new_redemption())

    def _release(self, process: Process) -> None:
        to = self._dice.choice(self._ground.wallets)
        self._send(process, self._new(request.release(self._programs[to.program_id], to, self._key(), self._points())))

    def _quote(self, process: Process) -> None:
        """An offer, straight or through other programs."""
        linked = [one for one in self._ground.members if one.link_id is not None]
        source = self._dice.choice(linked)
        sides = [one.program_id for one in linked if one.link_id == source.link_id and one.id != source.id]
        to = self._dice.choice(sides)
        between = [one for one in self._programs if one not in (source.program_id, to)]
        path = [source.program_id, *self._dice.sample(between, self._dice.choice((0, 0, 1, 2))), to]
        wanted = QuoteRequest(source.id, None, to, self._points(), None, path if len(path) > 2 else ())
        now_ms = process.clock()
        reckoning = self._oracle.reckoning
        reckoning.quote_asked(source.id, now_ms)
        try:
            offer = process.write(
                lambda connection: quotes.create(connection, source.program_id, wanted, FIRMNESS, now_ms)
            )
        except Recovering:
            raise
        except SarrafError as refusal:
            self._history.note(f"quote refused: {refusal.type}")
            assert wanted.amount_in is not None
            self._oracle.no_offer(source.id, path, wanted.amount_in, refusal.type, now_ms)
            return
        reckoning.offered(offer)
        if self._answer_arrives():
            self._history.note(f"quote {offer.id}: {offer.amount_in} for {offer.amount_out} over {len(offer.hops)}")
            self._offers = [*self._offers[-OFFERS_MAX:], offer]

    def _swap(self, process: Process) -> None:
        """Mostly an offer that nobody accepted yet."""
        if not self._offers:
            return self._quote(process)
        offer = self._dice.choice(self._offers)
        if self._dice.random() < 0.8:
            self._offers.remove(offer)
        return self._send(process, self._new(request.swap(self._programs[offer.program_id], offer, self._key())))

    def _bulk(self, process: Process) -> None:
        """Many earns of one program in one call, now and then one of them twice, or one that was asked before."""
        program = self._dice.choice(self._ground.programs)
        chosen = [self._new_earn(program.id) for _ in range(self._dice.randint(2, BULK_MAX))]
        before = [one for one in self.requests if one.kind == "earn" and one.program.id == program.id]
        chosen += self._dice.sample(before, min(2, len(before)))
        wanted = [one.body for one in chosen if one.body is not None]
        now_ms = process.clock()
        process.recovery.require_over()
        for one in chosen:
            one.ask_anew()
        answers: Sequence[EarnAnswer] = process.writer.submit_shared(
            lambda connection, items: earns.accept(connection, program.id, items, now_ms), wanted, share=program.id
        ).result()
        for one, answer in zip(chosen, answers, strict=True):
            self._deliver(one, answer.operation_id, answer.refusal, now_ms)

    def _crowd(self, process: Process) -> None:
        """Requests of several partners in one transaction, the same one twice among them."""
        chosen = [self._dice.choice((self._new_earn, self._new_redemption))() for _ in range(2, CROWD_MAX)]
        chosen.append(self._dice.choice(chosen))
        now_ms = process.clock()
        process.recovery.require_over()
        for one in chosen:
            one.ask_anew()
        commands = [partial(_run, one, now_ms) for one in chosen]
        for one, future in zip(chosen, process.writer.together(commands, "crowd"), strict=True):
            refusal = future.exception()
            assert refusal is None or isinstance(refusal, SarrafError)
            self._deliver(one, None if refusal else future.result(), refusal, now_ms)

    def _retry(self, process: Process) -> None:
        if self.requests:
            unknown = [one for one in self.requests if one.open]
            self._send(process, self._dice.choice(unknown if unknown and self._dice.random() < 0.7 else self.requests))

    def _clash(self, process: Process) -> None:
        """Something else under a key that was used."""
        used = [one for one in self.requests if one.operation_id is not None]
        if not used:
            return
        one, now_ms = self._dice.choice(used), process.clock()
        try:
            answer = process.write(lambda connection: one.ask_otherwise(connection, now_ms))
        except Recovering:
            raise
        except IdempotencyKeyReused:
            self._history.note(f"clash {one.key}: refused")
            return
        except SarrafError as refusal:
            answer = refusal.type
        self._oracle.clash_answered(one, answer)

    # -- inside -----------------------------------------------------------------------------------

    def _send(self, process: Process, one: Request) -> None:
        one.ask_anew()
        now_ms = process.clock()
        try:
            answer = process.write(partial(_run, one, now_ms))
        except Recovering:
            raise
        except SarrafError as refusal:
            self._deliver(one, None, refusal, now_ms)
        else:
            self._deliver(one, answer, None, now_ms)

    def _deliver(self, one: Request, operation_id: str | None, refusal: SarrafError | None, now_ms: int) -> None:
        """The answer reaches the partner, unless it is lost on the way."""
        if not self._answer_arrives():
            one.lose_answer()
            return
        told = operation_id if refusal is None else refusal.type
        self._history.note(f"{one.kind} {one.key} of {one.points} {one.program.symbol}: {told}")
        if refusal is None:
            assert operation_id is not None
            self._oracle.accepted(one, operation_id)
            one.operation_id, one.refused = operation_id, None
        else:
            self._oracle.refused(one, refusal.type, now_ms)
            one.refused = refusal.type

    def _answer_arrives(self) -> bool:
        if self._scenario.has("lost client answer") and not self._oracle.resting and self._dice.randrange(8) == 0:
            self._history.fault("lost client answer")
            return False
        return True

    def _new_earn(self, program_id: str | None = None) -> Request:
        who = self._member(program_id)
        return self._new(request.earn(self._programs[who.program_id], who, self._key(), self._points()))

    def _new_redemption(self) -> Request:
        who = self._member()
        return self._new(request.redemption(self._programs[who.program_id], who, self._key(), self._points()))

    def _new(self, one: Request) -> Request:
        self.requests.append(one)
        return one

    def _member(self, program_id: str | None = None) -> Member:
        return self._dice.choice([one for one in self._ground.members if program_id in (None, one.program_id)])

    def _points(self) -> int:
        return self._dice.randint(1, POINTS_MAX)

    def _key(self) -> str:
        return f"key-{len(self.requests) + 1}"


def _run(one: Request, now_ms: int, connection: sa.Connection) -> str:
    return one.ask(connection, now_ms)
