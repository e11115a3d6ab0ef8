"""One run: a seed, the world that it makes, and what came of it."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.posting import calls
from bridge.store import breaker, chainstate, ids
from tests.bridge.store.ledgers import NOW_MS
from tests.postgres import Address
from tests.simulation.clients import Clients
from tests.simulation.crashes import FaultPoints, step_of
from tests.simulation.dice import Dice, SeededIds
from tests.simulation.ground import Ground, ground
from tests.simulation.history import History
from tests.simulation.node import MAKING_MS_MAX, MAKING_REQUESTS_MAX, Node
from tests.simulation.oracle import Oracle
from tests.simulation.plants import PLANTS
from tests.simulation.process import BUSY_MAX, Clocks, Process
from tests.simulation.processes import Processes
from tests.simulation.scenario import MAKING, Scenario
from tests.simulation.theft import THIEF
from tests.simulation.violation import Violation
from tests.simulation.weather import Weather
from tests.simulation.wire import Wire

STEPS = 150
#: Time that passes between two steps at most.
STEP_MS_MAX = 2_000
#: Rounds in which a theft must be noticed: longer than a batch may live, for which a start may have to wait.
THEFT_ROUNDS_MAX = 30
#: How often the ledger is copied or put back, among all that happens.
RESTORE_WEIGHT = 6
#: How often something happens to one of several processes.
PROCESSES_WEIGHT = 6
#: How often ledger and chain are compared by the oracle.
LOOK_EVERY = 10
#: Rounds in which everything must come to rest once all faults have ended, and how long each is: at first seconds,
#: then long enough for buckets to refill, batches to expire and the period of caps to end.
ROUNDS_MS = (*[1_000] * 10, *[30_000] * 60, *[3_600_000] * 60)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run; `violation` is None when all was as it must be."""

    seed: int
    digest: str
    steps: int
    faults: Counter[str]
    visited: Counter[str]
    crashed: Counter[str]
    counts: Counter[str]
    violation: str | None
    last: list[str]


class World:
    """Everything of one run. `directory` is where its ledger is kept."""

    def __init__(self, seed: int, found: Scenario, of: Ground, directory: Path, *, echo: bool = False) -> None:
        self.seed = seed
        self._dice = Dice(seed)
        self._steps = self._dice.stream("steps")
        self.scenario = found
        self.history = History(echo=echo)
        self.network = of.network.copy(of.now_ms, self._dice.stream("network"), self.scenario.final_depth)
        self.oracle = Oracle(of, self.network, self.history)
        self.points = FaultPoints(
            self._dice.stream("crashes"),
            self.history,
            self.scenario.crash_one_in if self.scenario.has("crash") else 0,
            self.scenario.aims,
        )
        self.node = Node(self.network, lambda: self.weather.now_ms)
        self.wire = Wire(self.node, self.scenario, self._dice.stream("wire"), self.points, self.history)
        self.clients = Clients(of, self.scenario, self._dice.stream("clients"), self.history, self.oracle)
        self.weather = Weather(of, self.network, self.scenario, self._dice.stream("weather"), self.history, self.oracle)
        self.weather.now_ms = self.history.now_ms = of.now_ms
        self.weather.under_way = self.clients.under_way
        self.step = 0
        self._turns = self._dice.stream("turns")
        self._making = self._dice.stream("making")
        self._ledgers = of.store.copy(directory, lambda: self.weather.now_ms)
        clocks = Clocks(self.clock, lambda: self.weather.now_ms)
        dice = self._dice.stream("processes")
        self.processes = Processes(self._ledgers, self.wire, clocks, self.points, self.scenario, dice, self.history)
        self.processes.turn = self._turn
        self._look()
        #: what processes do, and how often
        self._own = (
            (self.clients.act, 70),
            (self._follow, 16),
            (self._post, 16),
            (self._keep, 8),
            (self._audit, 2),
        )

    def _look(self) -> None:
        #: the oracle's own look at the ledger
        self.eyes = self._ledgers.open()
        self.oracle.reckoning.database = self.eyes

    def close(self) -> None:
        """Nothing of it is left but its history."""
        self.processes.close()
        self.eyes.close()
        self._ledgers.remove()

    def clock(self) -> int:
        """The service's clock."""
        return self.weather.now_ms + self.weather.skew_ms

    # -- a run --------------------------------------------------------------------------------------

    def live(self) -> None:
        """The steps of the seed with all their faults, and then the way to rest. Raises Violation."""
        while self.step < self.scenario.steps:
            self.step += 1
            self._pass(self._steps.randrange(STEP_MS_MAX))
            self.processes.watch()
            self._act()
            if self.step % LOOK_EVERY == 0:
                self.oracle.look(self.eyes)
        self._rest()

    def _pass(self, by_ms: int) -> None:
        """Time passes."""
        self.weather.now_ms += by_ms
        self.history.now_ms = self.weather.now_ms
        self.oracle.reckoning.noticed(self.clock())

    def _act(self) -> None:
        """One thing happens: a process does something, or something happens to it or around it."""
        deeds: list[tuple[Callable[[], object], int]] = [
            *((partial(self._led, one), weight) for one, weight in self._own),
            (self._mine_under_way, 15),
            (self._change, 16),
            (self._wire, 3),
            (self._keep_or_restore, RESTORE_WEIGHT if self.scenario.has("restored ledger") else 0),
            (self.processes.change, PROCESSES_WEIGHT if self.scenario.processes > 1 else 0),
        ]
        (chosen,) = self._steps.choices([each for each, _ in deeds], [weight for _, weight in deeds])
        chosen()

    def _led(self, act: Callable[[Process], None]) -> None:
        """One of the processes that are awake and have started does this."""
        process = self.processes.any()
        if process is not None and process.ready:
            self.processes.guarded(process, partial(act, process))

    def _turn(self, process: Process, point: str) -> None:
        """What another process does while one stands still at this point."""
        self._pass(self._turns.randrange(STEP_MS_MAX))
        self.processes.watch()
        if self._turns.randrange(3) == 0:
            self._mine()
        asking = step_of(point).startswith(("Clients", "crowd"))
        acts = [each for each, _ in self._own if not (asking and each == self.clients.act)]
        if process.ready and process in self.processes.awake:
            self.processes.guarded(process, partial(self._turns.choice(acts), process))

    def _follow(self, process: Process) -> None:
        self._note(process, "follow", process.follow())

    def _post(self, process: Process) -> None:
        self._note(process, "post", process.post())

    def _keep(self, process: Process) -> None:
        self._note(process, "keep", process.keep())

    def _audit(self, process: Process) -> None:
        self._note(process, "audit", process.audit())

    def _note(self, process: Process, what: str, moved: bool) -> None:
        self.history.note(f"{self.step} {process.name} {what}{' moved' if moved else ''}")

    def _mine(self) -> None:
        """The network makes a block; it may be some requests before the node shows it."""
        head = self.network.head
        self.weather.mine()
        if self.scenario.has(MAKING) and self.network.head > head:
            self.history.fault(MAKING)
            self.node.make_slowly(self._making.randint(1, MAKING_MS_MAX), self._making.randint(1, MAKING_REQUESTS_MAX))

    def _mine_under_way(self) -> None:
        """A block is made; while it is in the making, a process may ask the node."""
        self._mine()
        if self.node.is_making and self._making.random() < 0.5:
            self._led(self._making.choice((self._follow, self._post)))

    def _change(self) -> None:
        self.weather.change(self.eyes)

    def _wire(self) -> None:
        """What was late arrives, in any order; and the node's head may be an old one from now on."""
        self.wire.faults.deliver_late(shuffled=True)
        if self.scenario.has("old head"):
            self.wire.lag()

    # -- a backup, and a ledger put back ------------------------------------------------------------

    def _keep_or_restore(self) -> None:
        """A copy is made while the service runs; later it takes the place of the ledger, which was lost."""
        if not self._ledgers.has_backup:
            self._ledgers.back_up()
            self.history.note("backup")
            return
        self.history.fault("restored ledger")
        self.processes.close()
        self.eyes.close()
        self._ledgers.put_back()
        self._look()
        with self.eyes.write() as connection:
            chainstate.begin_recovery(connection, "the ledger was restored from a backup", self.clock())
        with self.eyes.read() as connection:
            self.oracle.put_back(connection)
        self.clients.all_again()
        self.processes.restart()

    # -- the way to rest ----------------------------------------------------------------------------

    def _rest(self) -> None:
        self.history.note("all faults end")
        self.points.one_in = 0
        self.oracle.resting = True
        self.weather.calm()
        self.wire.be_true()
        self.processes.calm()
        if self.oracle.theft:
            return self._rest_after_theft()
        unrest: str | None = "nothing was done"
        for rounds, round_ms in enumerate(ROUNDS_MS, start=1):
            self._pass(round_ms)
            self._round()
            unrest = self.oracle.unrest(self.eyes, self.clients.requests)
            if unrest is None:
                self.history.note(f"at rest after {rounds} rounds")
                return self._check_at_rest()
        raise Violation("L", f"after {len(ROUNDS_MS)} rounds without faults: {unrest}")

    def _round(self) -> None:
        """The partners ask again, and everything moves on by a few blocks."""
        self.processes.watch(every=True)
        self.weather.mine()
        self._each(Process.follow)
        process = self.processes.all[0]
        self.processes.guarded(process, lambda: self.clients.settle(process))
        self._each(Process.keep)
        for _ in range(self.scenario.final_depth + 2):
            self._each(Process.post, most=3)
            self._pass(1_000)
            self.processes.watch(every=True)
            self.weather.mine()
            self._each(Process.follow)

    def _each(self, step: Callable[[Process], bool], most: int = BUSY_MAX) -> None:
        for one in self.processes.all:
            self.processes.guarded(one, partial(self._until_idle, partial(step, one), most))

    @staticmethod
    def _until_idle(step: Callable[[], bool], most: int = BUSY_MAX) -> None:
        for _ in range(most):
            if not step():
                return

    def _check_at_rest(self) -> None:
        for one in self.processes.all:
            one.audit()
        self.oracle.look(self.eyes)
        report = self.processes.all[0].reconciler.audit()
        if report.differences:
            named = [one.named() for one in report.programs if one.differences]
            raise Violation("A", f"the reconciler names {named} at block {report.block.number}")
        self.oracle.verdict(self.eyes, self.clients.requests)

    def _rest_after_theft(self) -> None:
        """A thief used a key: posting must stop, at the latest when what the start found is looked through."""
        for round_ms in ROUNDS_MS[:THEFT_ROUNDS_MAX]:
            self._pass(round_ms)
            self._round()
            if self._is_stopped():
                break
        self._round()
        hidden = self.oracle.careful_thief or not self.network.has_points(THIEF)
        if not self._is_stopped() and not (self.oracle.restored and hidden):
            raise Violation("T", "a stolen key posted, and the breaker did not trip")
        # A ledger that was put back takes in whatever it could have made itself, the thief's points too.
        self.oracle.look(self.eyes)

    def _is_stopped(self) -> bool:
        with self.eyes.read() as connection:
            return breaker.is_tripped(connection)


def run(
    seed: int, *, steps: int = STEPS, plant: str | None = None, echo: bool = False, server: Address | None = None
) -> Result:
    """Run one seed, with a planted bug if one is named; on a PostgreSQL server if one is given."""
    of = ground(server)  # before anything is planted
    planted = nullcontext() if plant is None else PLANTS[plant].make()
    with _quiet(), planted, TemporaryDirectory(prefix="sarraf-simulation-") as directory:
        return _run(seed, scenario(seed, steps, plant), of, Path(directory), echo)


def scenario(seed: int, steps: int = STEPS, plant: str | None = None) -> Scenario:
    """What a seed's run is like, without running it."""
    found = Scenario.of(Dice(seed).stream("scenario"), steps)
    return found if plant is None else PLANTS[plant].among(found)


def _run(seed: int, found: Scenario, of: Ground, directory: Path, echo: bool) -> Result:
    now = [lambda: NOW_MS]
    entries = calls.POST_ENTRIES_MAX, calls.SETTLE_LEGS_MAX
    violation: str | None = None
    counts: Counter[str] = Counter()
    with ids.taken_from(SeededIds(Dice(seed).stream("ids"), lambda: now[0]())):
        world = World(seed, found, of, directory, echo=echo)
        now[0] = world.clock
        calls.POST_ENTRIES_MAX = calls.SETTLE_LEGS_MAX = world.scenario.entries_max
        try:
            world.live()
            counts = world.oracle.counts(world.eyes) + world.history.met
        except Violation as found:
            violation = str(found)
        except Exception as bug:  # noqa: BLE001 - what fails in the service is what a run looks for
            violation = _bug(bug)
        finally:
            calls.POST_ENTRIES_MAX, calls.SETTLE_LEGS_MAX = entries
            world.close()
    if violation is not None:
        world.history.note(violation)
    history = world.history
    return Result(
        seed,
        history.digest,
        world.step,
        history.faults,
        history.visited,
        history.crashed,
        counts,
        violation,
        list(history.last),
    )


def _bug(bug: Exception) -> str:
    """Where the service failed unexpectedly."""
    at = bug.__traceback__
    places = []
    while at is not None:
        places.append(f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno} {at.tb_frame.f_code.co_name}")
        at = at.tb_next
    return f"bug: {type(bug).__name__}: {bug} at {' < '.join(reversed(places[-6:]))}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the service's log: what it warns of here was meant to happen."""
    log = logging.getLogger("bridge")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
