"""The service as one process: everything that a crash takes away, made anew on the same database."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from bridge.chain.errors import ChainError
from bridge.chain.finality import FinalityRule
from bridge.posting.leadership import Leadership
from bridge.posting.parts import Parts
from bridge.posting.poster import Pace
from bridge.posting.reconciler import Reconciler
from bridge.posting.recovery import Recovery
from bridge.posting.service import Seat
from bridge.posting.submitter import GWEI, FeeRules
from bridge.store.database import Database
from bridge.store.leases import CHAIN, KEEPER, Fenced, Grant
from exchange.errors import TooBusy
from tests.simulation.crashes import FaultPoints
from tests.simulation.ledger_writer import InlineWriter
from tests.simulation.scenario import Scenario
from tests.simulation.transaction import OpenKeystore
from tests.simulation.wire import Wire

Result = TypeVar("Result")

#: Steps of the follower or the poster until nothing more is to be done.
BUSY_MAX = 200


@dataclass(frozen=True, slots=True)
class Clocks:
    """What a process goes by: its own clock, which is set wrongly at times, and one that only goes on."""

    service: Callable[[], int]
    steady: Callable[[], int]


class Process:
    """The parts that the bootstrap wires together, stepped by hand.

    `ready` says whether the start has succeeded, and `until_ms` until when it stands still.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        wire: Wire,
        clocks: Clocks,
        points: FaultPoints,
        scenario: Scenario,
    ) -> None:
        self.name = name
        self.database = database
        self.writer = InlineWriter(database, points)
        self.clock = clocks.service
        self.ready = False
        self.until_ms = 0
        self.recovery = Recovery(
            database=database,
            writer=self.writer,
            rpc=wire,
            clock=clocks.service,
            own_chain=scenario.own_chain,
            steady=clocks.steady,
        )
        self.leadership = Leadership(
            database=database,
            writer=self.writer,
            holder=name,
            alone=scenario.processes == 1,
            steady=clocks.steady,
        )
        self._parts = Parts(
            database=database,
            writer=self.writer,
            rpc=wire,
            finality=FinalityRule.parse(scenario.finality),
            keystore=OpenKeystore(),
            clock=clocks.service,
            chain_id=31337,
            rules=FeeRules(replace_after_ms=30_000, fee_max_wei=500 * GWEI, low_funds_wei=10**16),
            pace=Pace(scenario.linger_ms, scenario.batch_life_s),
            journal=True,
            own_chain=scenario.own_chain,
            guard=threading.Lock(),
            steady=clocks.steady,
            rest=lambda _: wire.make_blocks_known(),
        )
        self.reconciler = Reconciler(
            database=database,
            writer=self.writer,
            rpc=wire,
            clock=clocks.service,
            found=self._parts.findings,
            rest=self._parts.rest,
        )
        leading = self.leadership
        self._following = Seat(lambda: leading.grant(CHAIN), lambda term: self._parts.following(_held(term)))
        self._reconciling = Seat(lambda: leading.grant(CHAIN), lambda term: self._parts.reconciler(_held(term)))
        self._keeping = Seat(lambda: leading.grant(KEEPER), lambda term: self._parts.keeper(_held(term)))
        self._posting = Seat(leading.lanes, self._parts.poster)

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
        """What the system does with the connections of a process that is gone."""
        self.database.close()

    def watch(self) -> bool:
        """One round of the loops of the leases; whether this process leads something new."""
        self.leadership.renew()
        self.recovery.look()
        return self.leadership.take()

    def hand_over(self) -> None:
        """The process ends in order, and lets others lead."""
        self.leadership.give_back()

    def follow(self) -> bool:
        """One step of the follower's loop; whether there was anything."""
        return self._step(self._following.step)

    def post(self) -> bool:
        """One step of the poster's loop; whether anything was done."""
        return self._step(self._posting.step)

    def keep(self) -> bool:
        """One step of the keeper's loop; whether anything was due."""
        return self._step(self._keeping.step)

    def audit(self) -> bool:
        """One round of the reconciler's loop."""
        return self._step(self._reconciling.step)

    def _step(self, step: Callable[[], bool]) -> bool:
        try:
            return step()
        except Fenced as refusal:
            self.leadership.lost(refusal)
            return True
        except (ChainError, TooBusy):  # as the service's own loops wait it out
            return False


def _held(term: Grant | None) -> Grant:
    assert term is not None, "a part is made for a term"
    return term
