"""The wire to the node: the fault core of `tests.faults`, planned as the scenario has it; sends have fault points."""

from collections.abc import Sequence
from random import Random
from typing import Any

from bridge.chain.messages import MESSAGES, Meaning
from tests.faults.answers import Kind
from tests.faults.faults import SEND, Fault, Faults
from tests.faults.wrapped import FaultyRpc, by_request
from tests.simulation.crashes import FaultPoints
from tests.simulation.history import History
from tests.simulation.node import Node
from tests.simulation.scenario import WIRE, Scenario

#: Blocks by which an old head lags at most.
BEHIND_MAX = 4
#: Rows of the table of nodes' messages that one scenario uses at most.
ROWS_MAX = 4
#: Kinds that fit few requests happen to more of these.
NARROW = (Kind.EMPTY_LOGS, Kind.HIDE_RECEIPT, Kind.HIDE_TRANSACTION, Kind.LATE_REQUEST, Kind.REFUSE_TAKEN)
NARROW_ONE_IN = 4
#: What a node may say to any request; what concerns a transaction it says to a send only.
_TO_ANYTHING = (
    Meaning.TIMED_OUT,
    Meaning.RATE_LIMITED,
    Meaning.BLOCK_NOT_FOUND,
    Meaning.STATE_UNAVAILABLE,
    Meaning.SYNCING,
    Meaning.UNKNOWN,
)


class NotedFaults(Faults):
    """Faults that are written into the history as they happen."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history

    def _count(self, fault: Fault) -> None:
        super()._count(fault)
        self._history.fault(named(fault.kind))

    def _altered(self) -> None:
        super()._altered()
        self._history.fault(named(Kind.OLD_HEAD))


class Wire(FaultyRpc):
    """`bridge.chain.rpc.Rpc` with a simulated node at its other end."""

    def __init__(self, node: Node, scenario: Scenario, dice: Random, points: FaultPoints, history: History) -> None:
        self.faults = NotedFaults(history)
        super().__init__(self.faults, by_request(node))
        self.faults.random = dice
        self._points = points
        #: no block is in the making any more: so it is after a while
        self.make_blocks_known = node.make_known
        self._dice = dice
        for kind in WIRE:
            if scenario.has(named(kind)):
                self._plan(kind, scenario.wire_one_in)

    def request(self, method: str, *params: Any) -> Any:
        if method == SEND:
            self._points.reach(f"before {SEND}")
        answer = super().request(method, *params)
        if method == SEND:
            self._points.reach(f"after {SEND}")
        return answer

    def lag(self) -> None:
        """The node shows an old head, or all there is again."""
        self.faults.view.lag(self._dice.choice((0, self._dice.randint(1, BEHIND_MAX))))

    def be_true(self) -> None:
        """No fault happens any more, and what was late arrives."""
        self.faults.clear()
        self.faults.deliver_late()

    def _plan(self, kind: Kind, one_in: int) -> None:
        if kind in NARROW:
            one_in = max(NARROW_ONE_IN, one_in // 5)
        plan = {"times": None, "chance": (1, one_in)}
        if kind is Kind.LATE_REQUEST:
            self.faults.plan(kind, SEND, **plan)  # type: ignore[arg-type]
        elif kind in (Kind.REFUSE, Kind.REFUSE_TAKEN):
            for row in self._dice.sample(MESSAGES, ROWS_MAX):
                methods: Sequence[str] = () if row.meaning in _TO_ANYTHING else (SEND,)
                self.faults.plan(kind, *methods, row=row, **plan)  # type: ignore[arg-type]
        elif kind is not Kind.OLD_HEAD:
            self.faults.plan(kind, **plan)  # type: ignore[arg-type]


def named(kind: Kind) -> str:
    """What the history calls a kind of fault."""
    return kind.value.replace("-", " ")
