"""Crashes of the process at named fault points: places before, within or after a step that writes or sends."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from bridge.posting import fenced
from tests.simulation.history import History

#: The transactions of the ledger's writer by their step, and what is sent.
STEPS = (
    "Clients._bulk",
    "Clients._clash",
    "Clients._quote",
    "Clients.approval",
    "Clients.cancellation",
    "Clients.capture",
    "Clients.change",
    "Clients.earn",
    "Clients.hold",
    "Clients.pending",
    "Clients.proposal",
    "Clients.redemption",
    "Clients.rejection",
    "Clients.release",
    "Clients.reversal",
    "Clients.swap",
    "Clients.void",
    "Follower._finalise",
    "Follower._next_guarded",
    "Follower._undo",
    "Keeper._do",
    "Leadership._give_back",
    "Leadership._take",
    "Leadership.renew",
    "Poster._advance",
    "Poster._dissolve_stream",
    "Poster._dissolve_unsigned",
    "Poster._sign_once",
    "Poster._tick",
    "Recovery.examine",
    "Recovery.step",
    "Submitter._note",
    "Submitter._outbid",
    "Submitter._write_trouble",
    "crowd",
)
#: Steps that a run takes so often that its crashes are aimed at a later one too.
COMMON = frozenset(
    {"Clients.earn", "Clients.redemption", "Follower._next_guarded", "Leadership.renew", "Poster._advance"}
    | {"Submitter._note", "eth_sendRawTransaction"}
)
SEND = "eth_sendRawTransaction"
#: Where a process may end.
POINTS = (
    *(f"{place} {step}" for step in STEPS for place in ("before", "within", "after")),
    f"before {SEND}",
    f"after {SEND}",
)


class Crash(BaseException):
    """The process ends here, as by kill -9: no handler may stop it, and all that was in memory is gone."""


class FaultPoints:
    """Crashes at a point now and then, as the dice have it."""

    def __init__(self, dice: Random, history: History, one_in: int, aims: Sequence[tuple[str, int]] = ()) -> None:
        self._dice = dice
        self._history = history
        #: crash at one visit in so many; 0 for never
        self.one_in = one_in
        self._aims = set(aims)
        #: lets a process stand still between two of its transactions, now and then
        self.stall: Callable[[str], None] = lambda _: None

    def reach(self, name: str) -> None:
        """The process is at this point. Raises Crash."""
        self._history.visited[name] += 1
        if not name.startswith("within"):
            self.stall(name)
        if not self.one_in:
            return
        if (name, self._history.visited[name]) in self._aims or self._dice.randrange(self.one_in) == 0:
            self._history.crashed[name] += 1
            self._history.fault("crash", name)
            raise Crash(name)


def step_of(point: str) -> str:
    """The step that a point is before, within or after."""
    return point.split(" ", 1)[1]


def name_of(command: Callable[..., Any]) -> str:
    """The step that a command of the ledger's writer is, such as `Poster._advance` or `intake.take_in`."""
    while isinstance(command, partial):
        # Under a lease it is the command that the fence lets through.
        command = command.args[1] if command.func is fenced._under else command.func
    told = getattr(command, "__func__", command)
    return str(told.__qualname__).replace(".<locals>.<lambda>", "")
