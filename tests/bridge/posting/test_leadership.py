"""Two processes on one ledger: one leads, and whoever no longer does writes nothing, however far it had come."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from bridge.chain.errors import ChainUnreachable
from bridge.chain.finality import FinalityRule
from bridge.posting import service
from bridge.posting.hub import Hub
from bridge.posting.leadership import RENEW_EVERY_MS, Leadership
from bridge.posting.parts import Parts
from bridge.posting.poster import Pace
from bridge.posting.recovery import Recovery
from bridge.posting.service import Posting, Seat
from bridge.store import lanes, leases
from bridge.store.leases import CHAIN, KEEPER, LIFE_MS, Fenced
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.writer import LedgerWriter
from tests.bridge.posting.conftest import BATCH_LIFE_S, RULES
from tests.bridge.posting.fake_chain import FakeChain, FakeKeystore
from tests.bridge.store.ledgers import Ledger, hash_of
from tests.end_to_end.running import until

Open = Callable[[], Ledger]


class Interrupting:
    """A node that lets something happen between a question and its answer."""

    def __init__(self, chain: FakeChain) -> None:
        self._chain = chain
        self.meanwhile: dict[str, Callable[[], object]] = {}

    def __getattr__(self, name: str) -> Any:
        meanwhile = self.meanwhile.pop(name, None)
        if meanwhile is not None:
            meanwhile()
        return getattr(self._chain, name)


class Process:
    """One of several processes on a ledger, stepped by hand; `now` is everybody's time."""

    def __init__(self, ledger: Ledger, chain: FakeChain, name: str, *, alone: bool = False) -> None:
        self.ledger = ledger
        self.node = Interrupting(chain)
        self.hub = Hub()
        self.writer = LedgerWriter(ledger.database, on_commit=self.hub.notify)
        self.writer.start()
        #: what its own steady clock says, which cannot be set
        self.steady_ms = 0
        self.leadership = Leadership(
            database=ledger.database,
            writer=self.writer,
            holder=name,
            alone=alone,
            steady=lambda: self.steady_ms,
        )
        self.parts = Parts(
            database=ledger.database,
            writer=self.writer,
            rpc=self.node,  # type: ignore[arg-type]
            finality=FinalityRule.parse("depth:2"),
            keystore=FakeKeystore(),
            clock=lambda: ledger.now_ms,
            chain_id=31337,
            rules=RULES,
            pace=Pace(0, BATCH_LIFE_S),
            journal=False,
            own_chain=False,
            guard=threading.Lock(),
        )
        self.following = Seat(lambda: self.leadership.grant(CHAIN), self.parts.following)
        self.posting = Seat(self.leadership.lanes, self.parts.poster)

    def step(self) -> None:
        """A round of each of its loops."""
        self.leadership.step()
        for seat in (self.following, self.posting):
            while self.try_step(seat):
                pass

    def try_step(self, seat: Seat[Any, Any]) -> bool:
        """A step of one loop, as the service takes it."""
        try:
            return seat.step()
        except Fenced as refusal:
            self.leadership.lost(refusal)
            return False

    def close(self) -> None:
        self.writer.stop()


class Street:
    """A chain, and processes on one ledger."""

    def __init__(self, open_ledger: Open) -> None:
        self._open = open_ledger
        self.ledger = open_ledger()
        self.chain = FakeChain(hash_of(0), lambda: self.ledger.now_ms)
        self.processes: list[Process] = []

    def process(self, name: str, *, alone: bool = False) -> Process:
        """Another process, whose clocks go with all others'."""
        mine = self._open()
        mine.database.now_ms = lambda _: self.ledger.now_ms  # type: ignore[method-assign, assignment]
        made = Process(mine, self.chain, name, alone=alone)
        self.processes.append(made)
        return made

    def pass_time(self, ms: int) -> None:
        """For everybody, asleep or not."""
        self.ledger.now_ms += ms
        for one in self.processes:
            one.ledger.now_ms = self.ledger.now_ms
            one.steady_ms += ms

    def pass_time_without(self, asleep: Process, ms: int) -> None:
        """For everybody but one, who does not look at a clock before it has done what it was about to do."""
        before = asleep.steady_ms
        self.pass_time(ms)
        asleep.steady_ms = before

    def settle(self, by: Process) -> None:
        """All that waits is sent, mined and final, by this process."""
        for _ in range(4):
            by.step()
            self.pass_time(1_000)
            self.chain.mine()
        by.step()

    def close(self) -> None:
        for one in self.processes:
            one.close()


@pytest.fixture
def street(open_ledger: Open) -> Iterator[Street]:
    made = Street(open_ledger)
    yield made
    made.close()


@pytest.fixture
def here(street: Street) -> Process:
    return street.process("here")


@pytest.fixture
def there(street: Street) -> Process:
    return street.process("there")


@pytest.fixture
def ann(street: Street) -> Member:
    return street.ledger.member(street.ledger.named("AIR"), "ann")


def sent(street: Street) -> int:
    """How many transactions the node was handed, each counted once."""
    return len(set(street.chain.sent))


def test_process__while_another_leads__then_stands_by(here: Process, there: Process) -> None:
    here.step()
    there.step()
    assert {CHAIN, KEEPER} < here.leadership.grants().keys()
    assert there.leadership.grants() == {}
    assert there.following.part is None and there.posting.part is None


def test_leases__that_are_renewed__then_never_lapse(street: Street, here: Process, there: Process) -> None:
    for _ in range(10):
        here.step()
        there.step()
        street.pass_time(RENEW_EVERY_MS)
    assert there.leadership.grants() == {}


def test_leases__between_renewals__then_nothing_is_written(street: Street, here: Process, there: Process) -> None:
    here.step()
    there.step()
    before = street.ledger.everything()
    street.pass_time(RENEW_EVERY_MS - 1)
    assert not here.leadership.step() and not there.leadership.step()
    assert street.ledger.everything() == before


def test_leader__that_is_gone__then_another_takes_up_what_it_left(
    street: Street, here: Process, there: Process, ann: Member
) -> None:
    here.step()
    first = street.ledger.earn(ann, 5)
    here.try_step(here.posting)
    second = street.ledger.earn(ann, 7)
    street.pass_time(LIFE_MS)
    street.settle(there)
    assert [street.ledger.operation(one).state for one in (first, second)] == ["final", "final"]
    assert sent(street) == 2


def test_leader__asleep_while_another_took_over__then_its_poster_writes_nothing(
    street: Street, here: Process, there: Process, ann: Member
) -> None:
    """It had asked the node what there is room for, and wakes just before it signs."""
    here.step()
    operation = street.ledger.earn(ann, 5)

    def sleep() -> None:
        street.pass_time_without(here, LIFE_MS)
        there.step()
        assert there.leadership.lanes() and sent(street) == 1

    here.node.meanwhile["call_many"] = sleep
    with pytest.raises(Fenced):
        here.posting.step()
    assert sent(street) == 1
    street.settle(there)
    assert street.ledger.operation(operation).state == "final" and sent(street) == 1


def test_leader__asleep_while_another_took_over__then_its_follower_writes_nothing(
    street: Street, here: Process, there: Process
) -> None:
    here.step()
    street.chain.mine()

    def sleep() -> None:
        street.pass_time_without(here, LIFE_MS)
        there.step()

    here.node.meanwhile["logs"] = sleep
    assert not here.try_step(here.following)
    assert here.leadership.fenced == 1 and here.leadership.grant(CHAIN) is None
    assert not here.following.step() and here.following.part is None, "it stands by from then on"


def test_leader__that_could_not_renew_for_a_life__then_gives_up_by_itself(here: Process) -> None:
    here.step()
    assert here.leadership.grant(CHAIN) is not None
    here.steady_ms += LIFE_MS
    assert here.leadership.grants() == {}
    assert not here.posting.step() and here.posting.part is None
    here.step()
    assert here.leadership.grant(CHAIN) is not None, "nobody took it: it goes on"


def test_leader__again_after_another__then_nothing_is_remembered(street: Street, here: Process, there: Process) -> None:
    here.step()
    before = here.posting.part
    street.pass_time(LIFE_MS)
    there.step()
    street.pass_time(LIFE_MS)
    here.step()
    assert here.leadership.lanes() and here.posting.part is not None
    assert here.posting.part is not before


def test_leader__that_gives_back__then_another_leads_at_once(here: Process, there: Process) -> None:
    here.step()
    here.leadership.give_back()
    there.step()
    assert {CHAIN, KEEPER} < there.leadership.grants().keys()
    here.step()
    assert here.leadership.grants() == {}, "who gave back wants nothing any more"


def test_process__alone_with_its_ledger__then_it_waits_for_nobody_and_renews_nothing(
    street: Street, here: Process
) -> None:
    """As after kill -9 of the only process: the lock on its data directory says that it is gone."""
    here.step()
    alone = street.process("alone", alone=True)
    alone.step()
    assert {CHAIN, KEEPER} < alone.leadership.grants().keys()
    before = street.ledger.everything()
    street.pass_time(10 * LIFE_MS)
    alone.leadership.step()
    assert street.ledger.everything() == before and alone.leadership.grant(CHAIN) is not None
    with street.ledger.database.read() as connection:
        assert alone.leadership.leaders(connection).unled == []


def test_process__that_leaves_posting_to_others__then_it_takes_nothing(street: Street, here: Process) -> None:
    here.leadership.wants = False
    here.step()
    street.pass_time(LIFE_MS)
    here.step()
    assert here.leadership.grants() == {}


def test_lane__that_is_new__then_it_is_taken_and_the_poster_begins_anew(street: Street, here: Process) -> None:
    here.step()
    before, part = here.leadership.lanes(), here.posting.part
    street.ledger.do(lanes.add, role="new", key_index=99, address=b"\x63" * 20, next_nonce=0)
    here.step()
    (new,) = set(here.leadership.lanes()) - set(before)
    assert leases.lane_of(new.name) is not None and here.posting.part is not part


def test_poster__then_it_serves_only_lanes_that_are_led(
    street: Street, here: Process, there: Process, ann: Member
) -> None:
    box: Program = street.ledger.named("BOX")
    ben = street.ledger.member(box, "ben")
    here.step()
    lane_id = street.ledger.stream(box).lane_id
    here.writer.run(lambda connection: leases.give_back(connection, "here", street.ledger.now_ms))
    there.writer.run(
        lambda connection: leases.take(connection, [leases.of_lane(lane_id)], "other", street.ledger.now_ms)
    )
    here.step()
    mine, others = street.ledger.earn(ann, 5), street.ledger.earn(ben, 5)
    street.settle(here)
    assert street.ledger.operation(mine).state == "final"
    assert street.ledger.operation(others).state == "accepted"


def test_leaders__then_everybody_can_tell_who_leads(street: Street, here: Process, there: Process) -> None:
    here.step()

    def told() -> leases.Held | None:
        with there.ledger.database.read() as connection:
            return there.leadership.leaders(connection).held[CHAIN]

    led = told()
    assert led is not None and (led.holder, led.since_ms) == ("here", street.ledger.now_ms)
    street.pass_time(LIFE_MS)
    assert told() is None


def test_leaders__when_nobody_leads_for_long__then_it_is_overdue(street: Street, here: Process) -> None:
    def overdue() -> bool:
        with here.ledger.database.read() as connection:
            return here.leadership.leaders(connection).is_overdue

    assert overdue(), "nobody has led yet"
    here.step()
    street.pass_time(LIFE_MS)
    assert not overdue(), "a takeover takes its time"
    street.pass_time(3 * LIFE_MS)
    assert overdue()


def test_posting__of_two_processes__then_one_leads_and_the_other_takes_over_when_it_stops(
    street: Street, here: Process, there: Process, ann: Member
) -> None:
    """With all their threads, and clocks of their own."""
    bugs: list[str] = []
    running = [_run(one, bugs) for one in (here, there)]
    try:
        until(lambda: here.leadership.lanes() or there.leadership.lanes(), "one leads")
        first = 0 if here.leadership.lanes() else 1
        leader, other = [(here, there), (there, here)][first]
        operation = street.ledger.earn(ann, 5)
        leader.hub.notify()
        until(lambda: sent(street) == 1, "it posts")
        running[first].stop()
        assert other.leadership.grants() == {} or other.leadership.grant(CHAIN) is not None
        for _ in range(3):
            street.ledger.now_ms += 1_000
            street.chain.mine()
        until(lambda: street.ledger.operation(operation).state == "final", "the other goes on")
        assert leader.leadership.grants() == {} and other.leadership.grant(CHAIN) is not None
    finally:
        for one in running:
            with suppress(AssertionError):
                one.stop()
    assert bugs == [] and sent(street) == 1


def test_posting__whose_node_fails_it_for_long__then_it_gives_way_to_another(
    street: Street, here: Process, there: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CUT_OFF_MS", 50)

    def fail() -> None:
        here.node.meanwhile["head_number"] = fail
        raise ChainUnreachable("no answer")

    here.leadership.step()
    here.node.meanwhile["head_number"] = fail
    bugs: list[str] = []
    running = [_run(one, bugs) for one in (here, there)]
    try:
        until(lambda: there.leadership.grant(CHAIN), "the other leads")
        assert here.leadership.grants() == {}
    finally:
        for one in running:
            one.stop()
    assert bugs == [] and street.chain.sent == []


def _run(process: Process, bugs: list[str]) -> Posting:
    process.steady_ms = 0
    recovery = Recovery(
        database=process.ledger.database,
        writer=process.writer,
        rpc=process.node,  # type: ignore[arg-type]
        clock=lambda: process.ledger.now_ms,
    )
    made = Posting(
        parts=process.parts,
        leadership=process.leadership,
        recovery=recovery,
        hub=process.hub,
        on_bug=lambda: bugs.append(process.leadership.holder),
    )
    made.start()
    return made
