"""Crashes of the process at named fault points: places before, within or after a step that writes or sends."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from tests.simulation.history import History


class Crash(BaseException):
    """The process ends here, as by kill -9: no handler may stop it, and all that was in memory is gone."""


class FaultPoints:
    """Crashes at a point now and then, as the dice have it."""

    def __init__(self, dice: Random, history: History, one_in: int) -> None:
        self._dice = dice
        self._history = history
        #: crash at one visit in so many; 0 for never
        self.one_in = one_in
        self.crashes = 0

    def reach(self, name: str) -> None:
        """The process is at this point. Raises Crash."""
        self._history.visited[name] += 1
        if self.one_in and self._dice.randrange(self.one_in) == 0:
            self.crashes += 1
            self._history.fault("crash", name)
            raise Crash(name)


def name_of(command: Callable[..., Any]) -> str:
    """The step that a command of the ledger's writer is, such as `Poster._advance` or `intake.take_in`."""
    while isinstance(command, partial):
        command = command.func
    told = getattr(command, "__func__", command)
    return str(told.__qualname__).replace(".<locals>.<lambda>", "")
