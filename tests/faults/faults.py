"""The fault core: between one request and the node, it decides what goes wrong and does it.

A fault is planned for some methods, for so many requests, and with odds if need be; the first planned one that applies
to a request happens to it. What was done is counted by kind. All chance comes from one seed, so in one thread the same
requests meet the same faults again.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.chain.messages import NodeMessage
from tests.faults.answers import Forward, Kind, Lost, Odd, Refused
from tests.faults.view import View

HELD_S_MAX: Final = 20.0
"""How long an answer is held at most until the test releases it; a longer wait is the test's mistake."""
LATE_MAX: Final = 10_000

SEND: Final = "eth_sendRawTransaction"
LOGS: Final = "eth_getLogs"
RECEIPT: Final = "eth_getTransactionReceipt"
TRANSACTION: Final = frozenset({"eth_getTransactionByHash", "eth_getRawTransactionByHash"})


_ONLY: Final[dict[Kind, Collection[str]]] = {
    Kind.EMPTY_LOGS: {LOGS},
    Kind.LOG_RANGE: {LOGS},
    Kind.LOG_COUNT: {LOGS},
    Kind.HIDE_RECEIPT: {RECEIPT},
    Kind.HIDE_TRANSACTION: TRANSACTION,
    Kind.REFUSE_TAKEN: {SEND},
}
"""The methods of kinds that make sense for nothing else."""


@dataclass
class Fault:
    """One planned fault. `left` is how often it may still happen (None: always), `chance` so many out of so many."""

    kind: Kind
    methods: frozenset[str] | None
    left: int | None = 1
    after: int = 0
    chance: tuple[int, int] = (1, 1)
    row: NodeMessage | None = None
    status: int = 503
    limit: int = 0
    injected: int = 0
    #: set by the test to let held answers go
    release: threading.Event = field(default_factory=threading.Event)
    #: set as soon as an answer is held
    held: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """From now on it happens no more; what it holds goes."""
        self.left = 0
        self.release.set()

    def refusal(self) -> Refused:
        """The refusal that it was planned with."""
        assert self.row is not None, f"{self.kind} needs the node's words"
        return Refused.saying(self.row)


@dataclass(frozen=True)
class Case:
    """One request that a fault happens to; `ask` goes to the node."""

    fault: Fault
    method: str
    params: list[Any]
    ask: Forward

    def node(self) -> Any:
        """What the node says. Raises Refused."""
        return self.ask(self.method, self.params)

    def quietly(self) -> None:
        """Ask the node, and let nobody hear what it says."""
        try:
            self.node()
        except Refused:
            return


class Faults:
    """The plan of one node's faults, usable from several threads at once.

    `injected` counts what was done by kind. `view` is what the node shows of its chain.
    """

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.injected: Counter[Kind] = Counter()
        self.view = View(self._altered)
        self._lock = threading.Lock()
        self._planned: list[Fault] = []
        self._late: list[Case] = []

    # -- what a test says ---------------------------------------------------------------------

    def plan(
        self,
        kind: Kind,
        *methods: str,
        times: int | None = 1,
        after: int = 0,
        chance: tuple[int, int] = (1, 1),
        row: NodeMessage | None = None,
        status: int = 503,
        limit: int = 0,
    ) -> Fault:
        """Plan a fault for these methods (all that make sense, if none are named).

        The first `after` requests are spared, then it happens `times` times (None: always), each time with `chance`.
        Two answers in flight change places when the first is held (HOLD_ANSWER) and the second is let through.
        `row` is what the node says with REFUSE, REFUSE_TAKEN and the limits; `limit` is in blocks or in logs.
        """
        assert kind is not Kind.OLD_HEAD, "an old head is shown by `view`"
        chosen = methods or _ONLY.get(kind)
        fault = Fault(kind, None if chosen is None else frozenset(chosen), times, after, chance, row, status, limit)
        with self._lock:
            self._planned.append(fault)
        return fault

    def clear(self) -> None:
        """Nothing goes wrong any more; what is held goes, what is late stays."""
        with self._lock:
            planned, self._planned = self._planned, []
        for fault in planned:
            fault.stop()
        self.view.catch_up()

    def deliver_late(self, *, shuffled: bool = False) -> int:
        """Hand the node the requests that were late; how many. Their answers go to nobody."""
        with self._lock:
            late, self._late = self._late, []
            if shuffled:
                self.random.shuffle(late)
        for case in late:
            case.quietly()
        return len(late)

    # -- what happens to a request ------------------------------------------------------------

    def apply(self, method: str, params: list[Any], forward: Forward) -> Any:
        """The JSON result that the asker gets. Raises Refused, Lost and Odd."""

        def ask(method: str, params: list[Any]) -> Any:
            return self.view.ask(method, params, forward)

        fault = self._draw(method, params)
        return ask(method, params) if fault is None else _INJECT[fault.kind](self, Case(fault, method, params, ask))

    def shuffle(self, answers: list[Any]) -> list[Any]:
        """The answers of requests that travelled together, in another order if that is planned."""
        fault = self._draw(BATCH, []) if len(answers) > 1 else None
        if fault is None:
            return answers
        self._count(fault)
        first = self.random.randrange(1, len(answers))
        return answers[first:] + answers[:first]

    # -- inside -------------------------------------------------------------------------------

    def _draw(self, method: str, params: list[Any]) -> Fault | None:
        """The fault that happens to this request, taken off its plan."""
        with self._lock:
            for fault in self._planned:
                if not self._fits(fault, method, params):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                elif fault.chance == (1, 1) or self.random.randrange(fault.chance[1]) < fault.chance[0]:
                    fault.left = None if fault.left is None else fault.left - 1
                    return fault
        return None

    @staticmethod
    def _fits(fault: Fault, method: str, params: list[Any]) -> bool:
        if fault.left == 0 or (method == BATCH) != (fault.kind is Kind.REORDER_ANSWERS):
            return False
        if fault.kind is Kind.LOG_RANGE and method == LOGS and _blocks(params) <= fault.limit:
            return False
        return method == BATCH or fault.methods is None or method in fault.methods

    def _count(self, fault: Fault) -> None:
        with self._lock:
            fault.injected += 1
            self.injected[fault.kind] += 1

    def _altered(self) -> None:
        with self._lock:
            self.injected[Kind.OLD_HEAD] += 1

    def _lose_request(self, case: Case) -> Any:
        self._count(case.fault)
        raise Lost(case.method)

    def _late_request(self, case: Case) -> Any:
        with self._lock:
            assert len(self._late) < LATE_MAX, "nobody delivers what is late"
            self._late.append(case)
        self._count(case.fault)
        raise Lost(case.method)

    def _lose_answer(self, case: Case) -> Any:
        case.quietly()
        self._count(case.fault)
        raise Lost(case.method)

    def _hold_answer(self, case: Case) -> Any:
        result = case.node()
        self._count(case.fault)
        case.fault.held.set()
        if not case.fault.release.wait(HELD_S_MAX):
            raise Lost(f"{case.method} was never released")
        return result

    def _double_request(self, case: Case) -> Any:
        """As a gateway does that asks again: the asker gets the second answer."""
        case.quietly()
        self._count(case.fault)
        return case.node()

    def _empty(self, case: Case) -> Any:
        full = case.node()
        if full:
            self._count(case.fault)
        return []

    def _hide(self, case: Case) -> Any:
        there = case.node()
        if there is not None:
            self._count(case.fault)

    def _limit_count(self, case: Case) -> Any:
        found = case.node()
        if len(found) <= case.fault.limit:
            return found
        self._count(case.fault)
        raise case.fault.refusal()

    def _refuse(self, case: Case) -> Any:
        self._count(case.fault)
        raise case.fault.refusal()

    def _refuse_taken(self, case: Case) -> Any:
        case.quietly()
        self._count(case.fault)
        raise case.fault.refusal()

    def _spoil(self, case: Case) -> Any:
        """The node did what was asked, but its answer comes spoilt."""
        result = case.node()
        self._count(case.fault)
        raise Odd(case.fault.kind, result=result)

    def _turn_away(self, case: Case) -> Any:
        """Something before the node answers in its place."""
        self._count(case.fault)
        raise Odd(case.fault.kind, status=case.fault.status)


BATCH: Final = "batch"
"""Stands for requests that travel together, where a method is asked for."""

_INJECT: Final[dict[Kind, Callable[[Faults, Case], Any]]] = {
    Kind.LOSE_REQUEST: Faults._lose_request,
    Kind.LATE_REQUEST: Faults._late_request,
    Kind.LOSE_ANSWER: Faults._lose_answer,
    Kind.HOLD_ANSWER: Faults._hold_answer,
    Kind.DOUBLE_REQUEST: Faults._double_request,
    Kind.EMPTY_LOGS: Faults._empty,
    Kind.LOG_RANGE: Faults._refuse,
    Kind.LOG_COUNT: Faults._limit_count,
    Kind.HIDE_RECEIPT: Faults._hide,
    Kind.HIDE_TRANSACTION: Faults._hide,
    Kind.REFUSE: Faults._refuse,
    Kind.REFUSE_TAKEN: Faults._refuse_taken,
    Kind.HTTP_STATUS: Faults._turn_away,
    Kind.HTML_PAGE: Faults._turn_away,
    Kind.TRUNCATED: Faults._spoil,
    Kind.WRONG_ID: Faults._spoil,
}


def _blocks(params: list[Any]) -> int:
    """How many blocks a request for logs spans; 1 for one by hash."""
    span = params[0]
    if "blockHash" in span:
        return 1
    return int(span["toBlock"], 16) - int(span["fromBlock"], 16) + 1
