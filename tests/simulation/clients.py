"""The partners: what they ask, ask again, and ask wrongly. They know only what they were answered."""

from collections.abc import Callable, Sequence
from contextlib import suppress
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
from tests.simulation import asking
from tests.simulation.crashes import step_of
from tests.simulation.ground import POOR, Ground
from tests.simulation.history import History
from tests.simulation.oracle import Oracle
from tests.simulation.process import Process
from tests.simulation.request import EARNS, REDEMPTIONS, TAKING, Request
from tests.simulation.scenario import Scenario

#: Requests of one bulk call, and requests that meet in one transaction.
BULK_MAX, CROWD_MAX = 12, 5
#: Points that one request is about at most.
POINTS_MAX = 60
#: Among how many requests the last swaps are looked for.
SWAPS_LATELY = 8
#: Offers that the partners keep in mind.
OFFERS_MAX = 20

#: How long holds live, and how much later points come.
LIVES_S = (10, 40, 120)
LATER_MS = (5_000, 20_000, 60_000, 120_000)
#: Among how many requests of its kind the one is that another request is about.
LATELY = 6
#: The share of requests that are one member's.
REGULAR = 0.4
#: How often what was taken back in part is taken back again.
AGAIN = 0.4
#: How much more often something is asked at whose steps the run's crashes are aimed.
AIMED_WEIGHT = 8
#: What a request comes to whose subject was refused itself when it was asked for again.
NOTHING_TO_ASK_ABOUT = "nothing-to-ask-about"

Asked = TypeVar("Asked", Request, Request | None)
Maker = Callable[[], Request | None]


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
        #: who asks more than others in this run
        self._poor = [one for one in ground.members if one.member_number == POOR]
        self._regular = dice.choice([*ground.members, *self._poor * 3])
        self._programs = {one.id: one for one in ground.programs}
        self._makers: Sequence[tuple[Maker, int]] = (
            (self._earn, 4),
            (self._redemption, 5),
            (self._release, 3),
            (self._hold, 4),
            (self._capture, 6),
            (self._void, 1),
            (self._pending, 2),
            (self._change, 2),
            (self._cancellation, 2),
            (self._reversal, 6),
            (self._regret, 5),
            (self._proposal, 2),
            (self._decision, 3),
        )
        self._weights = [weight + AIMED_WEIGHT * self._is_aimed_at(one) for one, weight in self._makers]

    def act(self, process: Process) -> None:
        """One of the partners does something."""
        deeds = (self._ask_new, self._quote, self._swap, self._bulk, self._crowd, self._retry, self._clash)
        weights = (36, 8, 8, 1 + 3 * self._is_aimed_at(self._bulk), 3, 4, 2 + 3 * self._is_aimed_at(self._clash))
        chosen = self._dice.choices(deeds, weights)[0]
        with suppress(Recovering):  # who asks meanwhile comes again
            chosen(process)

    def settle(self, process: Process) -> None:
        """Every partner that does not know what became of a request asks again."""
        for one in list(self.requests):
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

    def _ask_new(self, process: Process) -> None:
        """Something that needs no offer; it may be that there is nothing to ask about."""
        one = self._new(self._chosen()())
        if one is not None:
            self._send(process, one)

    def _chosen(self) -> Maker:
        return self._dice.choices([each for each, _ in self._makers], self._weights)[0]

    def _is_aimed_at(self, deed: Callable[..., object]) -> bool:
        """Whether the run's crashes are aimed at what this asks; who decides approves or rejects."""
        steps = {step_of(point) for point, _ in self._scenario.aims}
        named = ("_approval", "_rejection") if deed == self._decision else (deed.__name__,)
        return any(f"Clients.{name}" in steps or f"Clients.{name.removeprefix('_')}" in steps for name in named)

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
        one = self._new(asking.swap(self._programs[offer.program_id], offer, self._key()))
        return self._send(process, one)

    def _bulk(self, process: Process) -> None:
        """Many earns of one program in one call, now and then one of them twice, or one that was asked before."""
        program = self._dice.choice(self._ground.programs)
        makers = (self._earn, self._earn, self._pending)
        chosen = [self._new(self._dice.choice(makers)(program.id)) for _ in range(self._dice.randint(2, BULK_MAX))]
        before = [one for one in self.requests if one.kind in EARNS and one.program.id == program.id]
        chosen += self._dice.sample(before, min(2, len(before)))
        wanted = [one.body for one in chosen if one.body is not None]
        now_ms = process.clock()
        process.recovery.require_over()
        for one in chosen:
            self._begin(one, now_ms)
        answers: Sequence[EarnAnswer] = process.writer.submit_shared(
            lambda connection, items: earns.accept(connection, program.id, items, now_ms), wanted, share=program.id
        ).result()
        for one, answer in zip(chosen, answers, strict=True):
            self._deliver(one, answer.operation_id, answer.refusal, now_ms)

    def _crowd(self, process: Process) -> None:
        """Requests of several partners in one transaction, the same one twice among them."""
        makers = [self._earn, self._redemption, self._hold, *(self._chosen() for _ in range(2, CROWD_MAX))]
        made = [self._new(each()) for each in self._dice.sample(makers, CROWD_MAX - 2)]
        chosen = [one for one in made if one is not None]
        if not chosen:
            return
        chosen.append(self._dice.choice(chosen))
        now_ms = process.clock()
        process.recovery.require_over()
        for one in chosen:
            self._begin(one, now_ms)
        commands = [_asking(one, now_ms) for one in chosen]
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
        used = [one for one in self.requests if one.operation_id is not None and not one.lacks_its_subject]
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
        if one.lacks_its_subject:
            assert one.of is not None
            if one.of.open:
                return self._send(process, one.of)
            one.refused = NOTHING_TO_ASK_ABOUT
            return None
        now_ms = process.clock()
        self._begin(one, now_ms)
        try:
            answer = process.write(_asking(one, now_ms))
        except Recovering:
            raise
        except SarrafError as refusal:
            self._deliver(one, None, refusal, now_ms)
        else:
            self._deliver(one, answer, None, now_ms)
        return None

    def _begin(self, one: Request, now_ms: int) -> None:
        one.ask_anew(now_ms)
        self._oracle.reckoning.asked(one)

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

    def _new(self, one: Asked) -> Asked:
        if one is not None:
            self.requests.append(one)
        return one

    # -- what is asked ------------------------------------------------------------------------------

    def _earn(self, program_id: str | None = None) -> Request:
        who = self._member(program_id)
        return asking.earn(self._programs[who.program_id], who, self._key(), self._points())

    def _pending(self, program_id: str | None = None) -> Request:
        who = self._member(program_id)
        later_ms = self._history.now_ms + self._dice.choice(LATER_MS)
        return asking.earn(self._programs[who.program_id], who, self._key(), self._points(), later_ms)

    def _redemption(self) -> Request:
        who = self._member()
        return asking.redemption(self._programs[who.program_id], who, self._key(), self._points())

    def _release(self) -> Request:
        to = self._dice.choice(self._ground.wallets)
        return asking.release(self._programs[to.program_id], to, self._key(), self._points())

    def _hold(self) -> Request:
        who = self._member()
        life_s = self._dice.choice(LIVES_S)
        return asking.hold(self._programs[who.program_id], who, self._key(), self._points(), life_s)

    def _capture(self) -> Request | None:
        """A part of a hold, or more than it has, or all that is left."""
        of = self._lately("hold")
        if of is None:
            return None
        part = self._dice.randint(1, of.points)
        points = self._dice.choice((None, part, part, part, of.points + part))
        return asking.capture(of, self._key(), points, final=self._dice.random() < 0.25)

    def _void(self) -> Request | None:
        of = self._lately("hold")
        return None if of is None else asking.void(of, self._key())

    def _change(self) -> Request | None:
        of = self._lately("pending")
        if of is None:
            return None
        later = self._dice.choice((None, *LATER_MS))
        return asking.change(of, self._key(), self._points(), None if later is None else self._history.now_ms + later)

    def _cancellation(self) -> Request | None:
        of = self._lately("pending")
        return None if of is None else asking.cancellation(of, self._key())

    def _reversal(self) -> Request | None:
        """All that is left of something, or a part of it, and now and then more than it was."""
        before = self._lately("reversal") if self._dice.random() < AGAIN else None
        of = self._lately(*EARNS, *REDEMPTIONS) if before is None else before.of
        if of is None:
            return None
        part = self._dice.randint(1, of.points)
        points = self._dice.choice((None, part, part, part, of.points, of.points + part))
        return asking.reversal(of, self._key(), points)

    def _regret(self) -> Request:
        """One who has nothing earns, spends all of it, and then the earn is taken back: what is gone is owed."""
        who = self._dice.choice(self._poor)
        program = self._programs[who.program_id]
        theirs = [one for one in self.requests if one.member_id == who.id and one.operation_id is not None]
        gone = {one.of for one in theirs if one.kind == "reversal"}
        last = next((at for at, one in enumerate(theirs) if one.kind == "earn" and one not in gone), None)
        if last is None:
            return asking.earn(program, who, self._key(), self._points())
        if all(one.kind not in TAKING for one in theirs[last:]):
            return asking.redemption(program, who, self._key(), theirs[last].points)
        return asking.reversal(theirs[last], self._key(), None)

    def _proposal(self) -> Request:
        who = self._member()
        points = self._points() * self._dice.choice((1, -1))
        persons = self._ground.persons[who.program_id]
        by = self._dice.randrange(len(persons))
        return asking.proposal(self._programs[who.program_id], who, self._key(), points, persons, by)

    def _decision(self) -> Request | None:
        """Mostly by another person than who proposed."""
        of = self._lately("proposal")
        if of is None:
            return None
        persons = self._ground.persons[of.program.id]
        by = of.person if self._dice.randrange(6) == 0 else (of.person + 1) % len(persons)
        decide = asking.rejection if self._dice.random() < 0.3 else asking.approval
        return decide(of, self._key(), persons, by)

    def _lately(self, *kinds: str) -> Request | None:
        """Something of these kinds that was accepted not long ago, or None."""
        known = [one for one in self.requests if one.kind in kinds and one.operation_id is not None]
        return self._dice.choice(known[-LATELY:]) if known else None

    def _member(self, program_id: str | None = None) -> Member:
        if program_id in (None, self._regular.program_id) and self._dice.random() < REGULAR:
            return self._regular
        return self._dice.choice([one for one in self._ground.members if program_id in (None, one.program_id)])

    def _points(self) -> int:
        return self._dice.randint(1, POINTS_MAX)

    def _key(self) -> str:
        return f"key-{len(self.requests) + 1}"


def _asking(one: Request, now_ms: int) -> Callable[[sa.Connection], str]:
    """The command of a request; its step is named by what is asked."""

    def ask(connection: sa.Connection) -> str:
        return one.ask(connection, now_ms)

    ask.__qualname__ = f"Clients.{one.kind}"
    return ask
