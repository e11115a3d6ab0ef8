"""Customers: each asks one thing after another, and repeats it under its key until there is an answer."""

import threading
from collections.abc import Callable
from random import Random
from typing import TypeVar

from bridge.client import Client, ClientError, Posted, ProblemAnswer
from tests.soak.record import CAPTURE, EARN, REDEMPTION, REVERSAL, SWAP, Asked, Record
from tests.soak.town import FIRST_POINTS, Town

#: Between two requests of one customer.
PACE_S_MAX = 0.1
#: Between two attempts at one request.
AGAIN_S = 0.2
#: How long one request may go without an answer before the run has failed.
INSIST_S_MAX = 600.0
#: One request in so many is sent again though it was answered.
REPEATED_ONE_IN = 4
EARNED_MAX, SPENT_MAX = 60, 80
KINDS = (EARN, EARN, EARN, REDEMPTION, SWAP, CAPTURE, REVERSAL)
#: Refusals that say nothing of the request: a stranger listens where the service was, or it asks to come back.
NO_ANSWER = frozenset({401, 403, 404, 429})

Answer = TypeVar("Answer")


class Customer:
    """One member of both programs, in a thread of its own."""

    def __init__(self, number: str, town: Town, record: Record, seed: int) -> None:
        self.number = number
        self.failure: BaseException | None = None
        self._town = town
        self._record = record
        self._dice = Random(f"{seed} {number}")
        self._asked = 0
        #: what was accepted and can be taken back, by the operation
        self._standing: dict[str, Asked] = {}
        self._ended = threading.Event()
        self._clients: dict[str, Client] = {}
        self._thread = threading.Thread(target=self._live, name=number, daemon=True)

    def begin(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def end(self) -> None:
        """Ask nothing more; returns when the last request has its answer."""
        self._ended.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _live(self) -> None:
        try:
            for program in self._town.keys:
                self._earn(program, FIRST_POINTS)
            while not self._ended.wait(self._dice.random() * PACE_S_MAX):
                self._ask(self._dice.choice(KINDS), self._dice.choice(list(self._town.keys)))
        except BaseException as failure:  # noqa: BLE001 - told to whoever ends it
            self.failure = failure
        finally:
            self._hang_up()

    def _ask(self, kind: str, program: str) -> None:
        points = self._dice.randint(1, EARNED_MAX if kind == EARN else SPENT_MAX)
        if kind == EARN:
            self._earn(program, points)
        elif kind == REDEMPTION:
            asked = Asked(kind, program, self.number, self._key(), points)
            self._settle(asked, lambda client: client.redeem(self.number, key=asked.key, points=points))
        elif kind == CAPTURE:
            self._hold_and_capture(program, points)
        elif kind == SWAP:
            self._swap(program, 2 * points)
        elif self._standing:
            self._reverse(self._dice.choice(list(self._standing)))

    def _earn(self, program: str, points: int) -> None:
        asked = Asked(EARN, program, self.number, self._key(), points)
        self._settle(asked, lambda client: client.earn(self.number, key=asked.key, spend_minor=points))

    def _swap(self, program: str, points: int) -> None:
        to = self._town.other(program)
        try:
            quote = self._insist(
                program,
                lambda client: client.quote(to_program_id=to, member_number=self.number, amount_in=points),
            )
        except ProblemAnswer:
            return  # too few points, or too many open quotes: nothing was promised
        asked = Asked(SWAP, program, self.number, self._key(), points, to, quote["amount_out"])
        self._settle(asked, lambda client: client.swap(quote["id"], key=asked.key))

    def _hold_and_capture(self, program: str, points: int) -> None:
        """Hold points as a till does, and redeem all or some of them; the rest is free again."""
        key = self._key()
        try:
            held = self._insist(program, lambda client: client.hold(self.number, key=key, points=points))
        except ProblemAnswer:
            return  # too few points
        asked = Asked(CAPTURE, program, self.number, self._key(), self._dice.randint(1, points), of=held["id"])
        self._settle(asked, lambda client: client.capture(held["id"], key=asked.key, points=asked.points, final=True))

    def _reverse(self, operation_id: str) -> None:
        of = self._standing.pop(operation_id)
        asked = Asked(REVERSAL, of.program, self.number, self._key(), of.points, of=of.kind)
        self._settle(asked, lambda client: client.reverse(operation_id, key=asked.key))

    def _settle(self, asked: Asked, send: Callable[[Client], Posted]) -> None:
        """Send until there is an answer, and write it down; now and then once more."""
        for _ in range(2 if self._dice.randrange(REPEATED_ONE_IN) == 0 else 1):
            try:
                operation_id = self._insist(asked.program, send).operation["id"]
            except ProblemAnswer as refusal:
                self._record.refuse(asked, refusal.type)
                return
            self._record.accept(asked, operation_id)
        self._asked += 1
        if asked.kind in (EARN, REDEMPTION, CAPTURE):
            self._standing[operation_id] = asked

    def _key(self) -> str:
        self._asked += 1
        return f"{self.number} {self._asked}"

    def _insist(self, program: str, send: Callable[[Client], Answer]) -> Answer:
        """The answer, however long it takes. Raises ProblemAnswer for a refusal that is about the request."""
        for _ in range(round(INSIST_S_MAX / AGAIN_S)):
            try:
                return send(self._client(program))
            except ProblemAnswer as refusal:
                if refusal.status >= 500 or refusal.status in NO_ANSWER:
                    self._again(refusal.type)
                else:
                    raise
            except (ClientError, OSError, ValueError):  # nobody answers, or nobody has said yet where it listens
                self._again("no answer")
        raise AssertionError(f"{self.number} was not answered within {INSIST_S_MAX} s")

    def _again(self, why: str) -> None:
        self._record.repeat(why)
        self._hang_up()
        threading.Event().wait(AGAIN_S)

    def _client(self, program: str) -> Client:
        """A client of the service where it listens now. Raises OSError and ValueError while it listens nowhere."""
        if program not in self._clients:
            self._clients[program] = Client(self._town.service.url, self._town.keys[program], sleep=lambda _: None)
        return self._clients[program]

    def _hang_up(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
