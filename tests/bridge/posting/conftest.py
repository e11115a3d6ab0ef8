"""A ledger, a chain in memory, and the parts that keep the two in step."""

import threading
from collections.abc import Iterator

import pytest

from bridge.chain.finality import FinalityRule
from bridge.posting.follower import Follower
from bridge.posting.keeper import Keeper
from bridge.posting.poster import Pace, Poster
from bridge.posting.reconciler import Reconciler
from bridge.posting.recovery import Recovery
from bridge.posting.submitter import GWEI, FeeRules, Submitter
from bridge.store import batches, breaker, programs
from bridge.store.batches import Control
from bridge.store.lanes import LaneId
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.terms import TermsRow
from bridge.store.writer import LedgerWriter
from exchange.points import Points
from exchange.ratio import Ratio
from tests.bridge.posting.fake_chain import FakeChain, FakeKeystore
from tests.bridge.store.conftest import air, box, car, copies, ledger, open_ledger, template
from tests.bridge.store.ledgers import EXCHANGE, KEPT_MAX, Ledger, hash_of
from tests.lanes import EveryLane

__all__ = ["air", "box", "car", "copies", "ledger", "open_ledger", "template"]

BATCH_LIFE_S = 120
LINGER_MS = 0
RULES = FeeRules(replace_after_ms=30_000, fee_max_wei=500 * GWEI, low_funds_wei=10**16)


class Office:
    """All parts of posting around one ledger and one chain, stepped by hand."""

    def __init__(self, of: Ledger, finality: str = "depth:2") -> None:
        self.ledger = of
        self.chain = FakeChain(hash_of(0), lambda: of.now_ms)
        self.writer = LedgerWriter(of.database)
        self.finality = FinalityRule.parse(finality)
        self.rules = RULES
        self.own_chain = False
        self.begin()

    def begin(self) -> None:
        """As after a start of the service: nothing is remembered but what is in the ledger."""
        self.follower = Follower(
            database=self.ledger.database,
            writer=self.writer,
            rpc=self.chain,
            finality=self.finality,
            clock=lambda: self.ledger.now_ms,
            journal=True,
            guard=threading.Lock(),
        )
        self.submitter = Submitter(
            database=self.ledger.database,
            led=EveryLane(self.writer),
            rpc=self.chain,
            keystore=FakeKeystore(),
            clock=lambda: self.ledger.now_ms,
            chain_id=31337,
            rules=self.rules,
            steady=lambda: self.ledger.now_ms,
        )
        self.poster = Poster(
            database=self.ledger.database,
            led=EveryLane(self.writer),
            rpc=self.chain,
            submitter=self.submitter,
            clock=lambda: self.ledger.now_ms,
            pace=Pace(LINGER_MS, BATCH_LIFE_S),
        )
        self.reconciler = Reconciler(
            database=self.ledger.database,
            writer=self.writer,
            rpc=self.chain,
            clock=lambda: self.ledger.now_ms,
            rest=self._rest,
        )
        self.recovery = Recovery(
            database=self.ledger.database,
            writer=self.writer,
            rpc=self.chain,
            clock=lambda: self.ledger.now_ms,
            own_chain=self.own_chain,
            steady=lambda: self.ledger.now_ms,
        )
        self.keeper = Keeper(
            database=self.ledger.database, writer=self.writer, clock=lambda: self.ledger.now_ms, most=KEPT_MAX
        )

    @property
    def breaker(self) -> str | None:
        return self.ledger.ask(breaker.reason)

    def _rest(self, seconds: float) -> None:
        self.ledger.now_ms += int(seconds * 1000)

    def mine(self, blocks: int = 1) -> None:
        """Blocks with all that was sent, taken in."""
        for _ in range(blocks):
            self.ledger.now_ms += 1_000
            self.chain.mine()
        self.follow()

    def pass_over(self, blocks: int = 1) -> None:
        """Blocks that hold nothing of ours."""
        waiting = dict(self.chain.mempool)
        self.chain.mempool.clear()
        self.mine(blocks)
        self.chain.mempool |= waiting

    def follow(self) -> None:
        while self.follower.step():
            pass

    def post(self) -> None:
        """Everything that waits, sent and mined."""
        self.poster.step()
        self.mine()

    def settle(self) -> None:
        """Everything that waits, sent, mined and final."""
        self.post()
        self.mine(2)

    def keep(self) -> int:
        """All that is due by time; in how many steps."""
        steps = 0
        while self.keeper.step():
            steps += 1
        return steps

    def agree(
        self, source: Program, destination: Program, ratio: tuple[int, int] = (1, 1), version: int = 1
    ) -> TermsRow:
        """Terms on both sides, at a price of 7."""
        made = Ratio(Points(ratio[0]), Points(ratio[1]))
        self.chain.terms[source.deployed_token, destination.deployed_token] = (made, 7, version)
        return self.ledger.agree(source, destination, ratio, version=version, price=7)

    def control(self, purpose: str, subject: str | None, target: bytes | None = EXCHANGE) -> str:
        """A call of the operator's that waits to be signed."""
        call = Control(purpose, subject, LaneId(1), target, b"\0" * 4, 100_000)
        return self.ledger.do(batches.add_control, call, self.ledger.now_ms)

    def states(self, *operations: str) -> list[str]:
        return [self.ledger.operation(each).state for each in operations]

    def program(self, symbol: str) -> Program:
        found = self.ledger.named(symbol)
        return self.ledger.ask(programs.by_id, found.id)


@pytest.fixture
def office(ledger: Ledger) -> Iterator[Office]:
    first = ledger.database
    made = Office(ledger)
    made.writer.start()
    yield made
    made.writer.stop()
    if ledger.database is not first:  # a copy was put back, which nobody else knows
        ledger.close()


@pytest.fixture
def ann(office: Office, air: Program, box: Program) -> Member:
    """A member of AIR, linked to `ben` of BOX, between which terms of 2 to 1 stand both ways."""
    office.agree(air, box, (2, 1))
    office.agree(box, air, (2, 1))
    return office.ledger.link(office.ledger.member(air, "ann"), office.ledger.member(box, "ben")).members[0]
