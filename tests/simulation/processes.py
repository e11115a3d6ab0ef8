"""The processes of a run: one to three on one ledger, of which one acts at a time, and what happens to them.

A process that stalls stands still between two of its transactions, or before or after it sends something, while the
others go on: it believes that it leads, and the ledger must stop it.
"""

from collections.abc import Callable
from random import Random

from tests.simulation.crashes import Crash, FaultPoints
from tests.simulation.history import History
from tests.simulation.ledgers import Ledgers
from tests.simulation.process import Clocks, Process
from tests.simulation.scenario import Scenario
from tests.simulation.wire import Wire

#: One point in so many that a process passes lets it stall, and for how many turns of the others at most.
STALL_ONE_IN, TURNS_MAX = 25, 14
#: How long a process sleeps between two steps, or is away after it ended, at most. A lease lives for five seconds.
AWAY_MS_MAX = 15_000
#: The share of rounds in which a process that is awake comes to the loops of its leases.
WATCHED = 0.8


class Processes:
    """All of a run. `turn` is what others do while one stalls: one turn of the process that it is given."""

    def __init__(
        self,
        ledgers: Ledgers,
        wire: Wire,
        clocks: Clocks,
        points: FaultPoints,
        scenario: Scenario,
        dice: Random,
        history: History,
    ) -> None:
        self._ledgers = ledgers
        self._wire = wire
        self._clocks = clocks
        self._points = points
        self._scenario = scenario
        self._dice = dice
        self._history = history
        self._started = 0
        self._stalled: list[Process] = []
        self._acting: Process | None = None
        self.turn: Callable[[Process, str], None] = lambda *_: None
        points.stall = self._stall
        self.all = [self._start() for _ in range(scenario.processes)]

    @property
    def awake(self) -> list[Process]:
        """Those that can act now."""
        now_ms = self._clocks.steady()
        return [one for one in self.all if one.until_ms <= now_ms and one not in self._stalled]

    def any(self) -> Process | None:
        """One that can act now, or None."""
        awake = self.awake
        return self._dice.choice(awake) if len(awake) > 1 else next(iter(awake), None)

    def guarded(self, process: Process, act: Callable[[], None]) -> None:
        """Let a process do something; a crash takes it away, and another starts in its place."""
        before, self._acting = self._acting, process
        fenced = process.leadership.fenced
        try:
            act()
        except Crash:
            self._end(process)
        finally:
            self._acting = before
            self._history.met["writes that were fenced"] += process.leadership.fenced - fenced

    def watch(self, *, every: bool = False) -> None:
        """The loops of the leases go round, in most of those that are awake."""
        for one in self.awake:
            if one not in self.all:
                continue  # it ended while another stood still
            if every or len(self.all) == 1 or self._dice.random() < WATCHED:
                self.guarded(one, lambda process=one: self._watch(process))  # type: ignore[misc]

    def restart(self) -> None:
        """Others start in their place, after all were closed."""
        self.all = [self._start() for _ in self.all]

    def close(self) -> None:
        """All of them end."""
        for one in self.all:
            one.close()

    def calm(self) -> None:
        """Nobody sleeps or stalls any more."""
        self._points.stall = lambda _: None
        for one in self.all:
            one.until_ms = 0

    def change(self) -> None:
        """Something happens to a process, as far as the scenario has it."""
        ways = {"sleep": self._sleep, "kill": self._kill, "hand over": self._hand_over}
        kinds = sorted(self._scenario.kinds & ways.keys())
        process = self.any()
        if kinds and process is not None:
            ways[self._dice.choice(kinds)](process)

    # -- what happens to one ------------------------------------------------------------------------

    def _sleep(self, process: Process) -> None:
        self._history.fault("sleep", process.name)
        process.until_ms = self._clocks.steady() + self._dice.randint(1, AWAY_MS_MAX)

    def _kill(self, process: Process) -> None:
        self._history.fault("kill", process.name)
        self._end(process)

    def _hand_over(self, process: Process) -> None:
        self._history.fault("hand over", process.name)
        self.guarded(process, process.hand_over)
        if process in self.all:
            self._end(process)

    def _stall(self, point: str) -> None:
        """The acting process stands still at this point, for some turns of the others."""
        if not self._scenario.has("stall") or self._acting is None or self._stalled:
            return
        if self._dice.randrange(STALL_ONE_IN) or not (set(self.awake) - {self._acting}):
            return
        process = self._acting
        self._history.fault("stall", f"{process.name} {point}")
        self._stalled.append(process)
        for _ in range(self._dice.randint(1, TURNS_MAX)):
            other = self.any()
            if other is not None:
                self.turn(other, point)
        self._stalled.remove(process)
        self._acting = process

    # -- beginning and ending -----------------------------------------------------------------------

    def _start(self) -> Process:
        self._started += 1
        name = f"p{self._started}"
        return Process(name, self._ledgers.open(), self._wire, self._clocks, self._points, self._scenario)

    def _end(self, process: Process) -> None:
        """A process is gone; another starts, some time later where there are several."""
        process.close()
        new = self._start()
        if len(self.all) > 1:
            new.until_ms = self._clocks.steady() + self._dice.randrange(AWAY_MS_MAX)
        self.all[self.all.index(process)] = new

    def _watch(self, process: Process) -> None:
        if not process.ready and process.begin():
            self._history.note(f"{process.name} started")
        if process.ready and process.watch():
            self._history.met["times that leases were taken"] += 1
            self._history.note(f"{process.name} leads")
