"""The hand that kills: which process, when, and whether it may finish starting before the next blow."""

import threading
from collections import Counter
from collections.abc import Callable
from random import Random

from tests.end_to_end.running import READY_S_MAX, ServiceProcess, until

SERVICE, CHAIN, BOTH, STARTING = "service", "chain", "both", "service while it starts"
#: How long the service may work between two kills.
WORK_S_MAX = 5.0
#: How far it may get with starting before it is killed again.
STARTING_S_MAX = 3.0
#: Starts that may fail by themselves one after another, since the node gives no sense.
STARTS_MAX = 30


class Killer:
    """Kills with -9 at moments drawn from one seed, and sees that the service comes back each time.

    `embedded`: the chain is the service's own, and is killed as well.
    """

    def __init__(self, service: ServiceProcess, seed: int, *, embedded: bool) -> None:
        self.kills: Counter[str] = Counter()
        self.failed_starts = 0
        self._service = service
        self._dice = Random(f"{seed} kills")
        kinds: dict[str, Callable[[], None]] = {SERVICE: self._kill_service, STARTING: self._kill_starting}
        if embedded:
            kinds |= {CHAIN: self._kill_chain, BOTH: self._kill_both}
        self._kinds = kinds

    def strike(self) -> str:
        """Let it work for a while, kill, bring it back; answers what was killed."""
        self._let_work(WORK_S_MAX)
        kind = self._dice.choice(list(self._kinds))
        self._kinds[kind]()
        self.kills[kind] += 1
        return kind

    def bring_up(self) -> None:
        """Start the service until it is ready, as whoever supervises it does."""
        for _ in range(STARTS_MAX):
            self._service.launch()
            told = f"the service is ready; its log ends:\n{self._service.log_end()}"
            if until(lambda: self._came_up(), told, READY_S_MAX) == "ready":
                return
            self.failed_starts += 1
        raise AssertionError(f"{STARTS_MAX} starts failed; the log ends:\n{self._service.log_end()}")

    def _came_up(self) -> str | None:
        found = self._service.is_ready()
        return "ended" if found is None else "ready" if found else None

    def _kill_service(self) -> None:
        self._service.kill()
        self.bring_up()

    def _kill_starting(self) -> None:
        self._service.kill()
        self._service.launch()
        self._let_work(STARTING_S_MAX)
        self._service.kill()
        self.bring_up()

    def _kill_chain(self) -> None:
        before = self._service.kill_chain()
        until(lambda: self._service.chain_pid() != before, "another anvil runs")

    def _kill_both(self) -> None:
        if self._dice.random() < 0.5:  # either may see the other go
            self._service.kill_chain()
        self._service.kill()
        self.bring_up()

    def _let_work(self, most_s: float) -> None:
        # Not a wait for anything: the moment of the kill is what is drawn.
        threading.Event().wait(self._dice.random() * most_s)
