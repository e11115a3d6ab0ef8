"""The parts of posting, made anew for each term of leading.

What they remember begins empty then, exactly as after a start: another process may have done anything meanwhile.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bridge.chain.finality import FinalityRule
from bridge.chain.keystore import Keystore
from bridge.chain.rpc import Rpc
from bridge.posting.clock import Clock, steady_clock
from bridge.posting.fenced import FencedWriter, LedLanes
from bridge.posting.follower import Follower
from bridge.posting.keeper import Keeper
from bridge.posting.poster import Pace, Poster
from bridge.posting.reconciler import Findings, Reconciler
from bridge.posting.recovery import Recovery
from bridge.posting.submitter import FeeRules, Submitter
from bridge.store import leases
from bridge.store.database import Database
from bridge.store.leases import Grant
from bridge.store.writer import LedgerWriter


class Following:
    """A term of following the chain: first it is asked whether it is ahead of the ledger, then it is followed."""

    def __init__(self, follower: Follower, recovery: Recovery) -> None:
        self._follower = follower
        self._recovery = recovery
        self._examined = False

    @property
    def head(self) -> int | None:
        """The newest block that the node told of."""
        return self._follower.head

    def step(self) -> bool:
        """Take in what is new. Answers whether there was anything. Raises ChainError."""
        if not self._examined:
            self._recovery.examine()
            self._examined = True
        return follow(self._follower, self._recovery)


def follow(follower: Follower, recovery: Recovery) -> bool:
    """Take in what is new, and end the recovery once that is all; whether there was anything. Raises ChainError."""
    moved = follower.step()
    return recovery.step() or moved


@dataclass(frozen=True)
class Parts:
    """What the parts are made of. `journal`: raw transactions are kept; `own_chain`: as in `Recovery`."""

    database: Database
    writer: LedgerWriter
    rpc: Rpc
    finality: FinalityRule
    keystore: Keystore
    clock: Clock
    chain_id: int
    rules: FeeRules
    pace: Pace
    journal: bool
    own_chain: bool
    guard: threading.Lock
    steady: Clock = steady_clock
    #: how a part waits for so many seconds
    rest: Callable[[float], object] = time.sleep
    #: shared by all terms: what was found stays found
    findings: Findings = field(default_factory=Findings)

    def following(self, grant: Grant) -> Following:
        """Follows the chain, and takes in what a restored ledger lacks."""
        writer = FencedWriter(self.writer, grant)
        follower = Follower(
            database=self.database,
            writer=writer,
            rpc=self.rpc,
            finality=self.finality,
            clock=self.clock,
            journal=self.journal,
            guard=self.guard,
        )
        recovery = Recovery(
            database=self.database,
            writer=writer,
            rpc=self.rpc,
            clock=self.clock,
            own_chain=self.own_chain,
            steady=self.steady,
        )
        return Following(follower, recovery)

    def reconciler(self, grant: Grant) -> Reconciler:
        """Holds the ledger against the chain."""
        return Reconciler(
            database=self.database,
            writer=FencedWriter(self.writer, grant),
            rpc=self.rpc,
            clock=self.clock,
            found=self.findings,
            rest=self.rest,
        )

    def keeper(self, grant: Grant) -> Keeper:
        """Does what falls due with time."""
        return Keeper(database=self.database, writer=FencedWriter(self.writer, grant), clock=self.clock)

    def poster(self, grants: Sequence[Grant]) -> Poster:
        """Posts on these lanes."""
        writers = {leases.lane_of(one.name): FencedWriter(self.writer, one) for one in grants}
        led = LedLanes({lane_id: writer for lane_id, writer in writers.items() if lane_id is not None})
        submitter = Submitter(
            database=self.database,
            led=led,
            rpc=self.rpc,
            keystore=self.keystore,
            clock=self.clock,
            chain_id=self.chain_id,
            rules=self.rules,
            steady=self.steady,
        )
        return Poster(
            database=self.database, led=led, rpc=self.rpc, submitter=submitter, clock=self.clock, pace=self.pace
        )
