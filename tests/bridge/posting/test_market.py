"""The market in memory is what the ledger says, after whatever happened to it."""

import random
import threading
from contextlib import suppress
from itertools import permutations
from typing import Any

import pytest

from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.market import MarketKeeper
from bridge.posting.versions import Versions
from bridge.store import terms
from bridge.store.programs import Program
from exchange.errors import DirectionClosed, NoTerms
from exchange.gate import Gate
from exchange.ratio import Ratio
from tests.bridge.store.ledgers import Ledger

DAY_MS = 86_400_000


@pytest.fixture
def keeper() -> MarketKeeper:
    return MarketKeeper(Gatekeeper())


def ratio_in(ledger: Ledger, keeper: MarketKeeper, source: Program, destination: Program) -> str | None:
    """The ratio of a direction in the market, None where it is not there."""
    with ledger.database.read() as connection, keeper.open(connection, ledger.now_ms) as market:
        found = market.terms(source.id, destination.id)
    return None if found is None else str(found.ratio)


def test_market__when_terms_are_adopted_replaced_and_suspended__then_is_in_step(
    ledger: Ledger, keeper: MarketKeeper, air: Program, box: Program
) -> None:
    assert ratio_in(ledger, keeper, air, box) is None
    ledger.agree(air, box, (3, 1))
    assert ratio_in(ledger, keeper, air, box) == "3:1"
    ledger.agree(air, box, (4, 1), version=2)
    assert ratio_in(ledger, keeper, air, box) == "4:1"
    ledger.do(terms.suspended, air.id, box.id, ledger.now_ms)
    assert ratio_in(ledger, keeper, air, box) is None
    ledger.agree(air, box, (5, 1), version=3)
    assert ratio_in(ledger, keeper, air, box) == "5:1"


def test_market__when_the_moment_of_announced_terms_comes__then_they_are_in_force_without_any_event(
    ledger: Ledger, keeper: MarketKeeper, air: Program, box: Program
) -> None:
    ledger.agree(air, box, (3, 1))
    ledger.agree(air, box, (4, 1), version=2, effective_ms=ledger.now_ms + DAY_MS)
    assert ratio_in(ledger, keeper, air, box) == "3:1"

    ledger.now_ms += DAY_MS - 1
    assert ratio_in(ledger, keeper, air, box) == "3:1"
    ledger.now_ms += 1
    assert ratio_in(ledger, keeper, air, box) == "4:1"
    ledger.now_ms -= 1
    assert ratio_in(ledger, keeper, air, box) == "3:1", "a clock that is set back finds what was in force then"


def test_market__when_caps_are_lowered__then_the_terms_say_so(
    ledger: Ledger, keeper: MarketKeeper, air: Program, box: Program
) -> None:
    ledger.agree(air, box, (3, 1))
    assert ratio_in(ledger, keeper, air, box) == "3:1"

    ledger.do(terms.lower_caps, air.id, box.id, 1, managed_cap=9, wallet_cap=0)

    with ledger.database.read() as connection, keeper.open(connection, ledger.now_ms) as market:
        found = market.terms(air.id, box.id)
    assert found is not None and found.managed_cap == 9


def test_market__of_a_row_that_changed__then_nothing_else_is_read(
    ledger: Ledger, keeper: MarketKeeper, air: Program, box: Program, car: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source, destination in permutations((air, box, car), 2):
        ledger.agree(source, destination, (3, 1))
    assert ratio_in(ledger, keeper, air, box) == "3:1"
    read: list[int] = []
    real = terms.changed_since
    monkeypatch.setattr(
        terms, "changed_since", lambda *given: [read.append(row.revision) or row for row in real(*given)]
    )

    assert ratio_in(ledger, keeper, air, box) == "3:1" and read == []
    changed = ledger.agree(box, car, (4, 1), version=2)
    assert ratio_in(ledger, keeper, box, car) == "4:1"
    assert set(read) == {changed.revision}


def test_market__after_anything_that_can_happen_to_terms__then_is_what_the_ledger_says(
    ledger: Ledger, keeper: MarketKeeper, air: Program, box: Program, car: Program
) -> None:
    """Random adoptions, announcements, suspensions, lowered caps and clocks; the ledger's own query is the oracle."""
    chance = random.Random(4)
    directions = list(permutations((air, box, car), 2))
    versions = dict.fromkeys(((one.id, other.id) for one, other in directions), 0)
    for _ in range(150):
        source, destination = chance.choice(directions)
        match chance.randrange(5):
            case 0 | 1:
                versions[source.id, destination.id] += 1
                ledger.agree(
                    source,
                    destination,
                    (chance.randint(10, 20), chance.randint(1, 9)),
                    version=versions[source.id, destination.id],
                    effective_ms=ledger.now_ms + chance.choice((0, 0, 5_000)),
                )
            case 2:
                ledger.do(terms.suspended, source.id, destination.id, ledger.now_ms)
            case 3:
                ledger.now_ms += chance.choice((0, 1_000, 5_000, -1_000))
            case 4 if versions[source.id, destination.id]:
                ledger.do(terms.lower_caps, source.id, destination.id, 1, managed_cap=chance.randrange(9), wallet_cap=0)
        for one, other in directions:
            try:
                row = ledger.ask(terms.in_force, one.id, other.id, ledger.now_ms)
                expected = str(Ratio(row.agreed().ratio.from_units, row.agreed().ratio.to_units))
            except (NoTerms, DirectionClosed):
                expected = None
            assert ratio_in(ledger, keeper, one, other) == expected


def test_market__opened_by_many_threads__then_each_sees_all_of_it(
    ledger: Ledger, keeper: MarketKeeper, air: Program, box: Program, car: Program
) -> None:
    for source, destination in permutations((air, box, car), 2):
        ledger.agree(source, destination, (3, 1))
    seen: list[int] = []

    def look() -> None:
        with ledger.database.read() as connection, keeper.open(connection, ledger.now_ms) as market:
            seen.append(len(market))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [6] * 8


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (terms, "changed_since"),
        (Gatekeeper, "_set"),
        (Versions, "_note"),
        (MarketKeeper, "_settle"),
    ],
)
@pytest.mark.parametrize("by_itself", [True, False])
def test_market__when_a_reader_fails_while_it_follows__then_the_next_one_is_in_step(
    ledger: Ledger,
    air: Program,
    box: Program,
    car: Program,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    what: str,
    by_itself: bool,
) -> None:
    """What a reader took off a timeline, or read of the ledger, is not lost with it."""
    keeper = MarketKeeper(Gatekeeper())
    ledger.agree(air, box, (2, 1))
    ledger.agree(air, box, (3, 1), version=2, effective_ms=ledger.now_ms + DAY_MS)
    assert ratio_in(ledger, keeper, air, box) == "2:1"
    if by_itself:
        ledger.now_ms += DAY_MS
        ledger.agree(air, car, (7, 1))
    else:
        ledger.agree(air, box, (3, 1), version=3)

    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as failing:
        failing.setattr(where, what, fails)
        with pytest.raises(OSError, match="the disk is full"):
            ratio_in(ledger, keeper, air, box)

    assert ratio_in(ledger, keeper, air, box) == "3:1"


def test_market__when_a_reader_fails_while_a_cycle_goes__then_its_direction_comes_back(
    ledger: Ledger, air: Program, box: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = MarketKeeper(Gatekeeper())
    ledger.agree(air, box, (1, 2))
    ledger.agree(box, air, (1, 1))
    assert ratio_in(ledger, keeper, box, air) is None, "barred"
    ledger.agree(air, box, (1, 1), version=2)

    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    for where, what in ((Gate, "withdraw"), (Gate, "put"), (MarketKeeper, "_settle")):
        with monkeypatch.context() as failing:
            failing.setattr(where, what, fails)
            with pytest.raises(OSError, match="the disk is full"):
                ratio_in(ledger, keeper, air, box)

    assert (ratio_in(ledger, keeper, air, box), ratio_in(ledger, keeper, box, air)) == ("1:1", "1:1")


class Undone(Exception):
    """The transaction is not committed."""


def test_market__that_read_what_was_undone__then_forgets_it(
    ledger: Ledger, keeper: MarketKeeper, air: Program, box: Program
) -> None:
    """As when the disk is full, and another command of the group had read what the first one wrote."""
    ledger.agree(air, box, (3, 1))
    assert ratio_in(ledger, keeper, air, box) == "3:1"
    with suppress(Undone), ledger.database.write() as connection:
        terms.suspended(connection, air.id, box.id, ledger.now_ms)
        with keeper.open(connection, ledger.now_ms) as market:
            assert market.terms(air.id, box.id) is None
        raise Undone
    ledger.ask(keeper.forget_undone)
    assert ratio_in(ledger, keeper, air, box) == "3:1"
    ledger.agree(air, box, (5, 1), version=2)
    assert ratio_in(ledger, keeper, air, box) == "5:1"


def test_market__that_read_what_was_undone_and_another_process_numbered_alike__then_forgets_it(
    ledger: Ledger, keeper: MarketKeeper, air: Program, box: Program
) -> None:
    """Between the undoing and the forgetting another process may change other terms under the same number."""
    ledger.agree(air, box, (3, 1))
    ledger.agree(box, air, (3, 1))
    assert ratio_in(ledger, keeper, air, box) == "3:1"
    with suppress(Undone), ledger.database.write() as connection:
        terms.suspended(connection, air.id, box.id, ledger.now_ms)
        with keeper.open(connection, ledger.now_ms) as market:
            assert market.terms(air.id, box.id) is None
        raise Undone
    ledger.do(terms.suspended, box.id, air.id, ledger.now_ms)
    ledger.ask(keeper.forget_undone)
    assert ratio_in(ledger, keeper, air, box) == "3:1"
