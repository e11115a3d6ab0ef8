"""Powers in the ledger: what is queued, by whom, from when, and what a later call gives up."""

import pytest

from bridge.chain import contracts
from bridge.chain.contracts import Bounds as OnChain
from bridge.chain.contracts import Limit
from bridge.posting import powers
from bridge.posting.powers import UNDER_WAY_MAX, PowersUnderWay
from bridge.store import batches, lanes, limits, programs
from bridge.store import powers as store
from bridge.store.batches import Batch
from bridge.store.limits import Bounds
from bridge.store.programs import Program
from bridge.store.schema import batch, deployment
from exchange.errors import TooBusy
from tests.bridge.store.ledgers import Ledger

DELAY_S = 3_600
NAME = limits.REDEMPTION
RAISED, RAISED_MORE = Bounds(20_000_000, 100), Bounds(10_000_000, 101)
LOWERED = Bounds(9_000_000, 100)


@pytest.fixture(autouse=True)
def _begin(ledger: Ledger, air: Program) -> None:
    ledger.do(lambda connection: connection.execute(deployment.update().values(delay_s=DELAY_S)))
    for name, bounds in limits.DEFAULTS.items():
        ledger.do(limits.changed, air.id, name, bounds)


def _set(ledger: Ledger, program: Program, bounds: Bounds) -> Batch:
    (made,) = ledger.do(powers.set_limits, program.id, {NAME: bounds}, ledger.now_ms)
    return made


def _call(bounds: Bounds) -> bytes:
    return contracts.encode_set_limit(Limit.REDEMPTION, OnChain(bounds.capacity, bounds.refill_per_second))


def _queue(ledger: Ledger, program: Program) -> list[tuple[str, bytes]]:
    """What is to be signed for the program's powers, in its order."""
    query = batch.select().where(batch.c.subject == program.id, batch.c.state == batches.FROZEN).order_by(batch.c.id)
    rows = ledger.ask(lambda connection: connection.execute(query).all())
    return [(row.purpose, row.calldata) for row in rows]


def _signed(ledger: Ledger, found: Batch) -> None:
    ledger.do(lanes.reserve_nonce, found.lane_id, found.id)


def _mined(ledger: Ledger, *purposes: str) -> None:
    change = batch.update().where(batch.c.purpose.in_(purposes), batch.c.state == batches.FROZEN)
    ledger.do(lambda connection: connection.execute(change.values(state=batches.FINAL)))


def test_pause__then_is_the_guardians_at_once_and_asking_again_adds_nothing(ledger: Ledger, air: Program) -> None:
    made = ledger.do(powers.pause, air.id, ledger.now_ms)

    assert (made.lane_id, made.due_ms, made.target) == (air.guardian_lane_id, None, air.token)
    assert ledger.do(powers.pause, air.id, ledger.now_ms).id == made.id
    assert _queue(ledger, air) == [("pause", contracts.encode_pause())]


def test_unpause__while_the_pause_is_in_no_block__then_is_refused_and_later_announced(
    ledger: Ledger, air: Program
) -> None:
    ledger.do(powers.pause, air.id, ledger.now_ms)
    with pytest.raises(PowersUnderWay):
        ledger.do(powers.unpause, air.id, ledger.now_ms)
    _mined(ledger, "pause")

    made = ledger.do(powers.unpause, air.id, ledger.now_ms)

    assert (made.lane_id, made.due_ms) == (air.admin_lane_id, ledger.now_ms + DELAY_S * 1000)
    assert ledger.do(powers.unpause, air.id, ledger.now_ms + 5_000) == made
    call = contracts.encode_unpause()
    assert _queue(ledger, air) == [("announce", contracts.encode_announce(call)), ("unpause", call)]


@pytest.mark.parametrize("announced", [True, False])
def test_pause__over_an_announced_unpause__then_gives_it_up(ledger: Ledger, air: Program, announced: bool) -> None:
    made = ledger.do(powers.unpause, air.id, ledger.now_ms)
    if announced:
        _mined(ledger, "announce")

    ledger.do(powers.pause, air.id, ledger.now_ms)

    assert ledger.batch(made.id).state == batches.DISSOLVED
    # The chain voids an announcement that is there; one that is to come would outlive the pause.
    assert ("withdraw" in dict(_queue(ledger, air))) is not announced


def test_limit__of_which_no_number_grows__then_is_the_guardians_at_once(ledger: Ledger, air: Program) -> None:
    made = _set(ledger, air, LOWERED)

    assert (made.lane_id, made.due_ms, made.calldata) == (air.guardian_lane_id, None, _call(LOWERED))
    assert powers.limit_of(made) == (NAME, LOWERED)
    assert _set(ledger, air, LOWERED).id == made.id
    with pytest.raises(PowersUnderWay) as refused:
        _set(ledger, air, RAISED)
    assert refused.value.field == NAME


@pytest.mark.parametrize("bounds", [RAISED, RAISED_MORE, Bounds(1, 101), Bounds(10_000_001, 0)])
def test_limit__of_which_one_number_grows__then_is_announced_by_the_admin(
    ledger: Ledger, air: Program, bounds: Bounds
) -> None:
    made = _set(ledger, air, bounds)

    assert (made.lane_id, made.due_ms) == (air.admin_lane_id, ledger.now_ms + DELAY_S * 1000)
    assert _set(ledger, air, bounds) == made
    call = _call(bounds)
    assert _queue(ledger, air) == [("announce", contracts.encode_announce(call)), ("set-limit", call)]


@pytest.mark.parametrize("later", [LOWERED, RAISED_MORE])
def test_limit__over_an_announced_raise_of_it__then_gives_that_up_so_that_it_can_be_announced_anew(
    ledger: Ledger, air: Program, later: Bounds
) -> None:
    first = _set(ledger, air, RAISED)
    (other,) = ledger.do(powers.set_limits, air.id, {limits.RELEASE: Bounds(2_000_000, 10)}, ledger.now_ms)

    made = _set(ledger, air, later)

    assert ledger.batch(first.id).state == batches.DISSOLVED
    assert ledger.batch(other.id).state == batches.FROZEN, "another limit's"
    withdrawn = ("withdraw", contracts.encode_withdraw(_call(RAISED)))
    queued = _queue(ledger, air)
    assert queued.index(withdrawn) < queued.index(("set-limit", made.calldata))


def test_limit__over_a_raise_that_is_signed__then_leaves_it_to_the_chain(ledger: Ledger, air: Program) -> None:
    first = _set(ledger, air, RAISED)
    _signed(ledger, first)

    _set(ledger, air, LOWERED)

    assert ledger.batch(first.id).state == batches.FROZEN
    assert "withdraw" not in dict(_queue(ledger, air))


def test_limits__more_than_may_be_under_way__then_too_busy_but_a_pause_is_taken(ledger: Ledger, air: Program) -> None:
    for capacity in range(UNDER_WAY_MAX):
        _set(ledger, air, Bounds(capacity, 0))

    with pytest.raises(TooBusy):
        _set(ledger, air, Bounds(UNDER_WAY_MAX, 0))
    assert ledger.do(powers.pause, air.id, ledger.now_ms).purpose == store.PAUSE
    assert len(ledger.ask(store.newest, air.id, 3)) == 3
    assert ledger.ask(programs.by_id, air.id) == air
