"""Leases: one at a time, by what the ledger says and nobody's clock."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridge.store import leases
from bridge.store.leases import CHAIN, KEEPER, LIFE_MS, Fenced, Grant
from bridge.store.schema import lane, lease, turn

HERE, THERE = "here", "there"
NOW_MS = 1_800_000_000_000


class Shelf:
    """A ledger with leases and nothing else; the row of `turn` counts what was written under them."""

    def __init__(self) -> None:
        self._engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        for one in (lease, lane):
            one.create(self._engine)
        with self._engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE turn (id INTEGER)")

    @contextmanager
    def open(self) -> Iterator[sa.Connection]:
        """A transaction."""
        with self._engine.begin() as connection:
            yield connection

    def take(self, holder: str, now_ms: int = NOW_MS, *names: str, alone: bool = False) -> list[Grant]:
        with self.open() as connection:
            return leases.take(connection, names or (CHAIN,), holder, now_ms, alone=alone)

    def renew(self, grants: list[Grant], now_ms: int) -> list[Grant]:
        with self.open() as connection:
            return leases.renew(connection, grants, grants[0].holder, now_ms)

    def give_back(self, holder: str, now_ms: int) -> None:
        with self.open() as connection:
            leases.give_back(connection, holder, now_ms)

    def write(self, grant: Grant) -> bool:
        """Whether a write under this lease is taken; a refused one leaves nothing."""
        before = self.written()
        with suppress(Fenced), self.open() as connection:
            leases.require(connection, grant)
            connection.execute(turn.insert().values(id=1))
        return self.written() > before

    def written(self) -> int:
        with self.open() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(turn)) or 0

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    yield made
    made.close()


def test_lease__while_it_counts__then_nobody_else_takes_it(shelf: Shelf) -> None:
    (first,) = shelf.take(HERE)
    assert shelf.take(THERE, NOW_MS + LIFE_MS - 1) == []
    assert shelf.write(first)


def test_lease__when_its_life_is_over__then_another_takes_it_and_the_first_is_fenced(shelf: Shelf) -> None:
    (first,) = shelf.take(HERE)
    (second,) = shelf.take(THERE, NOW_MS + LIFE_MS)
    assert second.token == first.token + 1
    assert not shelf.write(first) and shelf.write(second)
    assert shelf.renew([first], NOW_MS + LIFE_MS) == []
    assert shelf.take(HERE, NOW_MS + LIFE_MS) == []


def test_lease__renewed_in_time__then_it_counts_from_then(shelf: Shelf) -> None:
    granted = shelf.take(HERE)
    assert shelf.renew(granted, NOW_MS + 4_000) == granted
    assert shelf.take(THERE, NOW_MS + LIFE_MS) == []
    assert shelf.take(THERE, NOW_MS + 4_000 + LIFE_MS) != []


def test_lease__renewed_too_late_while_nobody_wanted_it__then_it_is_the_same_term(shelf: Shelf) -> None:
    granted = shelf.take(HERE)
    assert shelf.renew(granted, NOW_MS + 60_000) == granted
    assert shelf.write(granted[0])


def test_lease__given_back__then_another_takes_it_at_once(shelf: Shelf) -> None:
    (first,) = shelf.take(HERE)
    shelf.give_back(HERE, NOW_MS + 1)
    (second,) = shelf.take(THERE, NOW_MS + 1)
    assert not shelf.write(first) and shelf.write(second)
    shelf.give_back(HERE, NOW_MS + 2)
    assert shelf.write(second), "nobody gives back what is another's"


def test_lease__of_a_holder_who_never_heard_of_it__then_taken_again_by_a_higher_token(shelf: Shelf) -> None:
    (lost,) = shelf.take(HERE)
    (again,) = shelf.take(HERE, NOW_MS + 1)
    assert again.token == lost.token + 1
    assert not shelf.write(lost) and shelf.write(again)


def test_lease__of_a_clock_that_was_set_back__then_nobody_waits_for_it(shelf: Shelf) -> None:
    shelf.take(HERE)
    assert shelf.take(THERE, NOW_MS - 3_600_000) != []


def test_leases__taken_alone__then_nothing_is_waited_for(shelf: Shelf) -> None:
    (gone,) = shelf.take(HERE)
    (mine,) = shelf.take(THERE, alone=True)
    assert not shelf.write(gone) and shelf.write(mine)


def test_leases__of_one_name__then_say_nothing_of_another(shelf: Shelf) -> None:
    chain, keeper = shelf.take(HERE, NOW_MS, CHAIN, KEEPER)
    shelf.renew([chain], NOW_MS + 1)
    shelf.take(THERE, NOW_MS + 1 + LIFE_MS, KEEPER)
    assert shelf.write(chain) and not shelf.write(keeper)


def test_names__then_there_is_one_for_each_lane(shelf: Shelf) -> None:
    with shelf.open() as connection:
        for number in (1, 2):
            connection.execute(
                lane.insert().values(
                    role=f"{number}", key_index=number, address=bytes([number]) * 20, next_nonce=0, doubtful_below=0
                )
            )
        names = leases.all_names(connection)
    assert names == [CHAIN, KEEPER, "lane:1", "lane:2"]
    assert [leases.lane_of(one) for one in names] == [None, None, 1, 2]


class Holders(RuleBasedStateMachine):
    """Two processes, each with a clock of its own that jumps, and every grant that was ever given."""

    @initialize()
    def begin(self) -> None:
        self.shelf = Shelf()
        self.clocks = {HERE: NOW_MS, THERE: NOW_MS}
        self.believed: dict[str, Grant] = {}
        self.ever: list[Grant] = []

    @rule(who=st.sampled_from([HERE, THERE]), by_ms=st.integers(-3 * LIFE_MS, 3 * LIFE_MS))
    def clock_jumps(self, who: str, by_ms: int) -> None:
        self.clocks[who] += by_ms

    @rule(who=st.sampled_from([HERE, THERE]))
    def try_for_it(self, who: str) -> None:
        """As a process does each second: renew what it believes to have, else take it where it is free."""
        believed = self.believed.get(who)
        if believed is not None and self.shelf.renew([believed], self.clocks[who]):
            return
        self.believed.pop(who, None)
        for grant in self.shelf.take(who, self.clocks[who]):
            assert all(grant.token > one.token for one in self.ever), "tokens only rise"
            self.ever.append(grant)
            self.believed[who] = grant

    @rule(who=st.sampled_from([HERE, THERE]))
    def stop(self, who: str) -> None:
        """It gives back what it has, and what it believed to have is of no use any more."""
        self.shelf.give_back(who, self.clocks[who])
        self.believed.pop(who, None)

    @invariant()
    def only_the_newest_writes(self) -> None:
        for old in self.ever[:-1]:
            assert not self.shelf.write(old), "an old token writes"

    def teardown(self) -> None:
        self.shelf.close()


TestHolders = Holders.TestCase
TestHolders.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
