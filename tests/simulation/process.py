"""The service as one process: everything that a crash takes away, made anew on the same database file."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from bridge.chain.errors import ChainError
from bridge.chain.finality import FinalityRule
from bridge.posting.follower import Follower
from bridge.posting.hub import Hub
from bridge.posting.poster import Pace, Poster
from bridge.posting.reconciler import Reconciler
from bridge.posting.recovery import Recovery
from bridge.posting.service import Posting
from bridge.posting.submitter import GWEI, FeeRules, Submitter
from bridge.store.database import Database
from exchange.errors import TooBusy
from tests.simulation.crashes import FaultPoints
from tests.simulation.ledger_writer import InlineWriter
from tests.simulation.scenario import Scenario
from tests.simulation.transaction import OpenKeystore
from tests.simulation.wire import Wire

Result = TypeVar("Result")

#: Steps of the follower or the poster until nothing more is to be done.
BUSY_MAX = 200


class Process:
    """The parts that the bootstrap wires together, stepped by hand. `ready` says whether the start has succeeded."""

    def __init__(
        self, path: Path, wire: Wire, clock: Callable[[], int], points: FaultPoints, scenario: Scenario
    ) -> None:
        self.database = Database(f"sqlite:///{path}")
        # A crash of the process, not of the machine: what the system was told is there afterwards.
        sa.event.listen(self.database._engine, "connect", _hurry)
        self.writer = InlineWriter(self.database, points)
        self.clock = clock
        self.ready = False
        parts: dict[str, Any] = {"database": self.database, "writer": self.writer, "rpc": wire, "clock": clock}
        self.follower = Follower(
            **parts,
            finality=FinalityRule.parse(scenario.finality),
            journal=True,
            guard=threading.Lock(),
        )
        self.submitter = Submitter(
            **parts,
            keystore=OpenKeystore(),
            chain_id=31337,
            rules=FeeRules(replace_after_ms=30_000, fee_max_wei=500 * GWEI, low_funds_wei=10**16),
        )
        self.poster = Poster(
            **parts,
            submitter=self.submitter,
            pace=Pace(scenario.linger_ms, scenario.batch_life_s),
        )
        self.reconciler = Reconciler(**parts)
        self.recovery = Recovery(**parts, own_chain=scenario.own_chain)
        self._posting = Posting(
            follower=self.follower,
            poster=self.poster,
            reconciler=self.reconciler,
            recovery=self.recovery,
            writer=self.writer,
            hub=Hub(),
            clock=clock,
            on_bug=lambda: None,
        )

    def begin(self) -> bool:
        """What the start asks of the chain before anything is accepted; whether it could be asked."""
        if not self.ready:
            try:
                self.recovery.examine()
            except ChainError:
                return False
            self.ready = True
        return True

    def write(self, command: Callable[[sa.Connection], Result]) -> Result:
        """As the API does it. Raises what the command raises, TooBusy and Recovering."""
        self.recovery.require_over()
        return self.writer.run(command)

    def close(self) -> None:
        """What the system does with the files of a process that is gone."""
        self.database.close()

    def follow(self) -> bool:
        """One step of the follower's loop; whether there was anything."""
        return self._step(self._posting._follow)

    def post(self) -> bool:
        """One step of the poster's loop; whether anything was done."""
        return self._step(self.poster.step)

    def audit(self) -> bool:
        """One round of the reconciler's loop."""
        return self._step(self.reconciler.step)

    def _step(self, step: Callable[[], bool]) -> bool:
        try:
            return step()
        except (ChainError, TooBusy):  # as the service's own loops wait it out
            return False


def _hurry(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")
