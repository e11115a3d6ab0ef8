"""On a real node: a swap over two hops with a bonus and a fee, and a transaction that is replaced by higher fees."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from bridge.chain.anvil import find_anvil
from bridge.chain.errors import ChainUnreachable
from bridge.chain.finality import FinalityRule
from bridge.chain.keystore import WellKnownKeys
from bridge.chain.rpc import Rpc
from bridge.forms.rules import RulesForm
from bridge.posting import calls, setup
from bridge.posting.follower import Follower
from bridge.posting.poster import Pace, Poster
from bridge.posting.reconciler import Reconciler
from bridge.posting.setup import SetUp
from bridge.posting.submitter import GWEI, RESEND_AFTER_MS, FeeRules, Submitter
from bridge.posting.vetting import Vetting
from bridge.store import attempts, audit, batches, breaker, chainstate, lanes, operations, programs, terms
from bridge.store.batches import Control
from bridge.store.ids import new_id
from bridge.store.programs import NewProgram, Program
from bridge.store.sqlite import SqliteDatabase
from bridge.store.terms import Proposal
from bridge.store.writer import LedgerWriter
from exchange.earning import EarningRate
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import PLAIN, Bonus, Cap, Period, PointsFee, Rules, Scope
from tests.bridge.store.ledgers import TIMES, Ledger
from tests.lanes import EveryLane
from tests.ports import free_port

WAIT_S = 60.0
FUNDS_WEI = 10**18


class Street:
    """A ledger and a node that mines each transaction at once, stepped by hand."""

    def __init__(self, path: Path, rpc: Rpc) -> None:
        self.ledger = Ledger(SqliteDatabase.in_file(path))
        self.rpc = rpc
        #: how far our clock is ahead of the machine's
        self.ahead_ms = 0
        keystore, finality = WellKnownKeys(31337), FinalityRule.parse("depth:0")
        self.set_up = SetUp(rpc, keystore, finality, funds_wei=FUNDS_WEI)
        self.writer = LedgerWriter(self.ledger.database)
        self.writer.start()
        self.follower = Follower(
            database=self.ledger.database,
            writer=self.writer,
            rpc=rpc,
            finality=finality,
            clock=self.clock,
            journal=False,
            guard=threading.Lock(),
        )
        self.submitter = Submitter(
            database=self.ledger.database,
            led=EveryLane(self.writer),
            rpc=rpc,
            keystore=keystore,
            clock=self.clock,
            chain_id=31337,
            rules=FeeRules(replace_after_ms=30_000, fee_max_wei=500 * GWEI, low_funds_wei=10**16),
        )
        self.poster = Poster(
            database=self.ledger.database,
            led=EveryLane(self.writer),
            rpc=rpc,
            submitter=self.submitter,
            clock=self.clock,
            pace=Pace(0, TIMES.longest_batch_s - 60),
        )
        self.reconciler = Reconciler(database=self.ledger.database, writer=self.writer, rpc=rpc, clock=self.clock)

    def clock(self) -> int:
        self.ledger.now_ms = time.time_ns() // 1_000_000 + self.ahead_ms
        return self.ledger.now_ms

    def until(self, done: Callable[[], object]) -> None:
        """Step until it is done."""
        deadline = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < deadline, "it takes too long"
            self.poster.step()
            self.follower.step()

    def open(self) -> None:
        """An exchange on the chain."""
        self.ledger.do(
            lambda connection: self.set_up.bind(connection, times=TIMES, settlement_currency="USD", now_ms=self.clock())
        )

        def stands() -> bool:
            found = self.ledger.ask(chainstate.get)
            return found is not None and found.exchange is not None

        self.until(stands)

    def program(self, symbol: str) -> Program:
        """A program that is admitted."""
        keys = self.set_up.program_keys(self.ledger.ask(lanes.next_key_index))
        new = NewProgram(new_id("program"), symbol, symbol, "points", EarningRate(Points(1), 100), None)
        made = self.ledger.do(self.set_up.create_program, new, keys, self.clock())
        self.until(lambda: self.ledger.ask(programs.by_id, made.id).state == programs.ACTIVE)
        return self.ledger.ask(programs.by_id, made.id)

    def agree(self, source: Program, destination: Program, ratio: tuple[int, int], price: int, rules: Rules) -> None:
        """Terms that both programs agreed on, in force."""
        form = RulesForm.of(rules).written()
        wanted = Proposal(source.id, destination.id, *ratio, 1, 1, price, "USD", source.id, rules=form)
        nothing_speaks_against = create_autospec(Vetting, instance=True)
        row = self.ledger.do(setup.propose, wanted, nothing_speaks_against, self.clock())
        self.until(lambda: self.ledger.ask(terms.by_id, row.id).state == terms.PROPOSED)
        self.ledger.do(setup.consent, row.id, destination.id, nothing_speaks_against, self.clock())
        self.until(lambda: self.ledger.ask(terms.is_in_force, self.ledger.ask(terms.by_id, row.id), self.clock()))

    def final(self, *operations: str) -> None:
        """These operations are final."""
        self.until(lambda: {self.ledger.operation(one).state for one in operations} == {"final"})


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    port = free_port()
    node = subprocess.Popen([str(find_anvil()), "--host", "127.0.0.1", "--port", str(port), "--quiet"])
    rpc = Rpc(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + WAIT_S
    while not _answers(rpc):
        assert time.monotonic() < deadline, "the node does not answer"
    made = Street(tmp_path / "ledger.sqlite3", rpc)
    yield made
    made.writer.stop()
    made.ledger.close()
    rpc.close()
    node.terminate()
    node.wait(20)


def _answers(rpc: Rpc) -> bool:
    try:
        return rpc.chain_id() == 31337
    except ChainUnreachable:
        return False


def test_swap__over_two_hops_with_bonus_and_fee__is_on_the_chain_exactly_as_quoted(street: Street) -> None:
    street.open()
    air, box, car = (street.program(symbol) for symbol in ("AIR", "BOX", "CAR"))
    street.agree(air, box, (3, 2), 10_000, Rules(fees=(PointsFee(Points(25)),)))
    half = Bonus("half", share=Ratio(Points(2), Points(1)))
    capped = Cap(Period.YEAR, Points(10_000), scope=Scope.EVERYONE)
    street.agree(box, car, (5, 3), 20_000, Rules(bonuses=(half,), caps=(capped,)))
    street.agree(car, box, (1, 1), 20_000, PLAIN)
    ledger = street.ledger
    ann, cid = ledger.link(ledger.member(air, "ann"), ledger.member(car, "cid")).members
    street.final(ledger.earn(ann, 1_000))
    street.clock()
    offer = ledger.quote(ann, car, 950, through=[box])
    # 950 gives 633 in BOX, then 379; 949 gives 632 and 379 too, and 948 the same.
    assert (offer.amount_in, [hop.amount_out for hop in offer.hops]) == (948, [632, 379])
    assert (offer.amount_out, offer.fee_points, offer.remainder) == (379 + 189, 25, 2)
    swap_id = ledger.accept(offer)
    extras = {kind: one.id for kind, one in ledger.extras(swap_id).items()}
    assert ledger.operation(extras["bonus"]).state == "accepted"
    street.final(swap_id, *extras.values())
    assert ledger.ask(operations.waiting).count == 0
    assert [sum(one.balance.posted for one in ledger.accounts(who)) for who in (ann, cid)] == [27, 568]
    report = street.reconciler.audit()
    assert report.differences == 0
    assert {one.books.program.symbol: one.position_micro for one in report.programs} == {
        "AIR": -632 * 10_000,
        "BOX": 632 * 10_000 - 379 * 20_000,
        "CAR": 379 * 20_000,
    }
    (path,) = [one for one in report.settlements if len(one.path) == 3]
    assert isinstance(path, audit.Settlement)
    assert (path.path, path.flow.batches, path.flow.items) == ([air.id, box.id, car.id], 1, 1)
    assert path.flow.gas_used < ledger.batch(ledger.operation(swap_id).batch_id or "").gas_limit


def test_step__after_the_base_fee_jumped__is_mined_as_a_replacement_under_the_same_nonce(street: Street) -> None:
    street.open()
    street.until(lambda: not street.ledger.ask(attempts.unmined) and not street.follower.step())
    admin = street.ledger.ask(lanes.by_role, lanes.EXCHANGE_ADMIN)
    assert admin is not None
    street.rpc.request("evm_setAutomine", False)
    call = Control("fund", "nobody", admin.id, bytes(19) + b"\x77", b"", calls.GAS_TRANSFER, 5)
    street.ledger.do(batches.add_control, call, street.clock())
    street.poster.step()
    spike = 100 * street.rpc.base_fee()
    street.rpc.request("anvil_setNextBlockBaseFeePerGas", hex(spike))
    street.rpc.request("evm_mine")
    street.follower.step()
    (first,) = street.ledger.ask(attempts.unmined)
    assert first.taken_ms is not None and first.max_fee_wei < spike
    street.ahead_ms += RESEND_AFTER_MS
    street.poster.step()
    (second,) = street.ledger.ask(attempts.unmined)
    assert (second.nonce, second.place, second.taken_ms is None) == (first.nonce, 1, False)
    assert second.max_fee_wei > spike
    street.rpc.request("evm_mine")
    street.follower.step()
    assert street.ledger.ask(attempts.unmined) == []
    assert street.ledger.batch(first.batch_id).transaction_hash == second.hash
    assert street.rpc.receipts([first.hash]) == [None]
    assert street.rpc.balance(bytes(19) + b"\x77") == 5
    assert street.ledger.ask(breaker.reason) is None
    assert street.ledger.ask(lanes.troubles) == {}
