"""Exactly once, whatever breaks: each test ends with a count of what the chain carried."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.chain.contracts import Bounds, Limit
from bridge.chain.errors import ChainError
from bridge.chain.finality import FinalityRule
from bridge.posting import calls
from bridge.posting.submitter import FUNDS_EVERY_MS, RESEND_AFTER_MS, Submitter
from bridge.store import attempts, batches, lanes
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import batch
from bridge.store.writer import LedgerWriter
from exchange.errors import QuoteExpired
from tests.bridge.posting.conftest import RULES, Office
from tests.bridge.posting.counting import carried, require_once
from tests.bridge.posting.fake_chain import BASE_FEE_WEI, FakeChain
from tests.faults.answers import Kind
from tests.faults.faults import SEND, Faults
from tests.faults.wrapped import FaultyRpc, by_methods

ROUNDS_MAX = 60
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


class Killed(BaseException):
    """The process ends here."""


def come_to_rest(office: Office, *operation_ids: str) -> None:
    """Blocks and steps until these are final; what fails on the way is tried again, as the service does."""
    for _ in range(ROUNDS_MAX):
        if set(office.states(*operation_ids)) == {"final"}:
            return
        office.ledger.now_ms += RESEND_AFTER_MS
        for step in (office.poster.step, office.chain.mine, office.follow):
            try:
                step()
            except ChainError:
                continue
    raise AssertionError(f"not at rest: {office.states(*operation_ids)}")


# -- a crash at every boundary ------------------------------------------------------------------


class Boundaries:
    """Counts each commit and each sending, before and after, and dies at the chosen one."""

    def __init__(self, fatal: int | None) -> None:
        self.passed = 0
        self._fatal = fatal

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self._fatal:
            raise Killed

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def bounded(*arguments: Any) -> Any:
            self()
            answer = method(*arguments)
            self()
            return answer

        return bounded


@contextmanager
def dying_at(fatal: int | None) -> Iterator[Boundaries]:
    boundaries = Boundaries(fatal)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LedgerWriter, "run", boundaries.around(LedgerWriter.run))
        patched.setattr(FakeChain, "send_raw", boundaries.around(FakeChain.send_raw))
        yield boundaries


def _a_day(office: Office, ann: Member, box: Program) -> list[str]:
    """An earn that is final; an earn, a redemption and a swap that wait in two streams."""
    first = office.ledger.earn(ann, 100)
    office.settle()
    return [first, office.ledger.earn(ann, 7), office.ledger.redeem(ann, 50), office.ledger.swap(ann, box, 40)]


DAYS_TOTAL = 100 + 7 - 50 - 40 + 20
#: Commits and sendings until a day is final, each with a moment before and one behind it.
BOUNDARIES = 18


def test_crash__nowhere__passes_every_boundary_that_is_tried(office: Office, ann: Member, box: Program) -> None:
    waiting = _a_day(office, ann, box)
    with dying_at(None) as boundaries:
        come_to_rest(office, *waiting)
    assert boundaries.passed == BOUNDARIES
    require_once(office, *waiting, total=DAYS_TOTAL)


@pytest.mark.parametrize("fatal", range(1, BOUNDARIES + 1))
def test_crash__at_any_boundary_of_storing_sending_and_noting__leaves_one_effect(
    office: Office, ann: Member, box: Program, fatal: int
) -> None:
    waiting = _a_day(office, ann, box)
    with dying_at(fatal), pytest.raises(Killed):
        come_to_rest(office, *waiting)
    office.begin()
    come_to_rest(office, *waiting)
    require_once(office, *waiting, total=DAYS_TOTAL)


def test_nonce__that_was_reserved_and_never_sent__is_used_by_the_stored_bytes(
    office: Office, ann: Member, air: Program
) -> None:
    earned = office.ledger.earn(ann, 5)
    office.chain.on_send = _die
    with pytest.raises(Killed):
        office.poster.step()
    office.chain.on_send = lambda _: None
    (stored,) = office.ledger.ask(attempts.unmined)
    assert office.ledger.ask(lanes.by_id, air.issuer_lane_id).next_nonce == 1
    assert office.chain.mempool == {}
    office.begin()
    later = office.ledger.earn(ann, 7)
    come_to_rest(office, earned, later)
    mined = [raw for block in office.chain.blocks for raw in block.raw]
    assert [json.loads(raw)["nonce"] for raw in mined] == [0, 1]
    assert mined[0] == stored.raw
    require_once(office, earned, later, total=12)


def _die(*_: object) -> None:
    raise Killed


# -- two at the same time -----------------------------------------------------------------------


@pytest.mark.parametrize(("room", "stage"), [(LedgerWriter, "run"), (Submitter, "step"), (Submitter, "_send")])
def test_batch__prepared_by_two_posters_at_once__is_posted_once(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch, room: type, stage: str
) -> None:
    """The first is held where it stands, while another on the same ledger does a whole step."""
    monkeypatch.setattr(calls, "POST_ENTRIES_MAX", 2)  # a full one, which waits for no company
    operations = [office.ledger.earn(ann, 5), office.ledger.earn(ann, 7)]
    first = office.poster
    office.begin()
    held, ahead = getattr(room, stage), [office.poster]

    def overtaken(self: object, *arguments: Any) -> Any:
        if ahead:
            ahead.pop().step()
        return held(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(room, stage, overtaken)
        first.step()
    assert not ahead
    come_to_rest(office, *operations)
    require_once(office, *operations, total=12)
    assert [nonce_of(raw) for block in office.chain.blocks for raw in block.raw] == [0], "one batch, one nonce"


def nonce_of(raw: bytes) -> int:
    """The nonce of a transaction."""
    nonce: int = json.loads(raw)["nonce"]
    return nonce


# -- what the network and the node do -----------------------------------------------------------


def _behind(office: Office, faults: Faults) -> None:
    """From now on the service asks its node through these faults."""
    chain = office.chain
    office.chain = FaultyRpc(faults, by_methods(chain))  # type: ignore[assignment]
    office.begin()
    office.chain = chain


@pytest.mark.parametrize("kind", [Kind.LOSE_ANSWER, Kind.DOUBLE_REQUEST, Kind.LOSE_REQUEST, Kind.LATE_REQUEST])
def test_send__whose_answer_is_lost_or_comes_of_another_try__has_one_effect(
    office: Office, ann: Member, box: Program, kind: Kind
) -> None:
    waiting = _a_day(office, ann, box)
    faults = Faults()
    _behind(office, faults)
    faults.plan(kind, SEND, times=3)
    come_to_rest(office, *waiting)
    assert faults.injected[kind] >= 2, "of both streams"
    if kind is Kind.LATE_REQUEST:
        assert faults.deliver_late() >= 2
        office.mine(3)
    require_once(office, *waiting, total=DAYS_TOTAL)


@pytest.mark.parametrize("times", [1, 5])
def test_transaction__dropped_from_the_mempool_again_and_again__is_sent_until_it_is_mined(
    office: Office, ann: Member, box: Program, times: int
) -> None:
    waiting = _a_day(office, ann, box)
    for _ in range(times):
        office.poster.step()
        assert office.chain.mempool
        office.chain.mempool.clear()
        office.mine()
        office.ledger.now_ms += RESEND_AFTER_MS
    come_to_rest(office, *waiting)
    require_once(office, *waiting, total=DAYS_TOTAL)


@pytest.mark.parametrize("forget", [True, False], ids=["forgotten", "kept"])
def test_transaction__in_another_block_after_each_reorganisation__has_one_effect(
    office: Office, ann: Member, box: Program, forget: bool
) -> None:
    waiting = _a_day(office, ann, box)
    before = len(office.chain.blocks)
    office.finality = FinalityRule.parse("depth:9")
    office.begin()
    office.post()
    assert set(office.states(*waiting[1:])) == {"confirmed"}
    for more in range(1, 4):
        office.chain.reorganise(len(office.chain.blocks) - before, forget=forget)
        kept = dict(office.chain.mempool)
        office.chain.mempool.clear()
        for _ in range(more):
            office.chain.mine()
        office.chain.mempool |= kept
        office.ledger.now_ms += RESEND_AFTER_MS
        office.follow()
        office.post()
    assert office.ledger.operation(waiting[1]).block_number == before + 3
    come_to_rest(office, *waiting)
    require_once(office, *waiting, total=DAYS_TOTAL)


@pytest.mark.parametrize("kind", [Kind.EMPTY_LOGS, Kind.HIDE_RECEIPT, Kind.HIDE_TRANSACTION])
def test_block__of_which_the_node_shows_a_part__is_taken_in_once_it_shows_all(
    office: Office, ann: Member, box: Program, kind: Kind
) -> None:
    waiting = _a_day(office, ann, box)
    faults = Faults()
    _behind(office, faults)
    planned = faults.plan(kind, times=None)
    for _ in range(4):
        office.ledger.now_ms += RESEND_AFTER_MS
        office.poster.step()
        office.chain.mine()
        with suppress(ChainError):
            office.follow()
    assert planned.injected > 0
    assert set(office.states(*waiting[1:])) == {"submitted"}, "nothing is believed by halves"
    planned.stop()
    come_to_rest(office, *waiting)
    require_once(office, *waiting, total=DAYS_TOTAL)


def _dear(office: Office) -> None:
    office.chain.base_fee_wei = RULES.fee_max_wei + 1


def _small(office: Office) -> None:
    office.chain.refuses_to_take = "exceeds block gas limit"


def _poor(office: Office) -> None:
    for number in range(1, 200):
        office.chain.funds[bytes([number]) * 20] = 0


def _mend(office: Office) -> None:
    office.chain.base_fee_wei, office.chain.refuses_to_take, office.chain.funds = BASE_FEE_WEI, None, {}


@pytest.mark.parametrize(
    ("break_it", "trouble"), [(_dear, "fee-ceiling"), (_small, "gas-cap"), (_poor, "empty-signer")]
)
@pytest.mark.parametrize("signed", [False, True], ids=["before signing", "after signing"])
def test_lane__that_cannot_pay_what_is_asked__says_so_and_goes_on_once_it_can(
    office: Office, ann: Member, box: Program, break_it: Callable[[Office], None], trouble: str, signed: bool
) -> None:
    waiting = _a_day(office, ann, box)
    if signed:
        office.poster.step()
        office.chain.mempool.clear()
        office.ledger.now_ms += RESEND_AFTER_MS
    break_it(office)
    for _ in range(3):
        office.poster.step()
        office.mine()
        office.ledger.now_ms += RESEND_AFTER_MS
    assert {one.type.value for one in office.ledger.ask(lanes.troubles).values()} == {trouble}
    assert len(carried(office)) == 1, "nothing of what waits"
    _mend(office)
    come_to_rest(office, *waiting)
    office.ledger.now_ms += FUNDS_EVERY_MS
    office.poster.step()
    assert office.ledger.ask(lanes.troubles) == {}
    require_once(office, *waiting, total=DAYS_TOTAL)


# -- one poison item ----------------------------------------------------------------------------


def test_item__that_the_chain_does_not_carry_out__fails_alone_in_its_batch(
    office: Office, ann: Member, air: Program
) -> None:
    """A redemption that the chain finds short, though the ledger did not, stands in the middle of a batch."""
    others = [office.ledger.member(air, f"member {number}") for number in range(4)]
    before = [office.ledger.earn(one, 10) for one in (ann, *others)]
    office.settle()
    sound = [office.ledger.redeem(one, 6) for one in others[:2]]
    poison = office.ledger.redeem(ann, 6)
    sound += [office.ledger.redeem(one, 6) for one in others[2:]]
    office.chain.state.balances[air.deployed_token, ann.account] = 5
    come_to_rest(office, *sound)
    assert len({office.ledger.operation(one).batch_id for one in (*sound, poison)}) == 1
    assert office.states(poison) == ["failed"]
    held = office.chain.state.balances
    assert [held[air.deployed_token, one.account] for one in (ann, *others)] == [5, 4, 4, 4, 4]
    assert [one.frozen for one in office.ledger.accounts(ann)] == [True]
    assert not any(one.frozen for each in others for one in office.ledger.accounts(each))
    tags = [office.ledger.operation(one).tag for one in (*before, *sound, poison)]
    assert carried(office) == Counter(tags), "the word stands there once; the contract skipped it"
    later = office.ledger.earn(others[0], 3)
    come_to_rest(office, later)


# -- the clock ----------------------------------------------------------------------------------


AHEAD, BACK, A_LITTLE = DAY_MS, -DAY_MS, 30_000


@pytest.mark.parametrize(
    ("jump_ms", "stage", "lasting"),
    [
        (AHEAD, "accepted", False),
        (AHEAD, "sent", True),
        (AHEAD, "mined", False),
        (BACK, "accepted", True),
        (BACK, "sent", False),
        (BACK, "sent", True),
        (BACK, "mined", True),
        (A_LITTLE, "accepted", True),
    ],
)
def test_clock__that_jumps__delays_what_waits_and_does_nothing_twice(
    office: Office, ann: Member, box: Program, jump_ms: int, stage: str, lasting: bool
) -> None:
    """Our clock alone jumps; the chain's goes on second by second."""
    waiting = _a_day(office, ann, box)
    ahead = [0]
    office.chain.clock = lambda: office.ledger.now_ms - ahead[0]
    if stage != "accepted":
        office.poster.step()
    if stage == "mined":
        office.mine()
    office.ledger.now_ms += jump_ms
    ahead[0] += jump_ms
    if not lasting:
        for _ in range(3):
            office.poster.step()
            office.mine()
        office.ledger.now_ms -= jump_ms
        ahead[0] -= jump_ms
    come_to_rest(office, *waiting)
    require_once(office, *waiting, total=DAYS_TOTAL)


@pytest.mark.parametrize(("off_ms", "tells_pending"), [(HOUR_MS, True), (HOUR_MS, False), (-HOUR_MS, True)])
def test_clock__that_is_an_hour_off_for_good__costs_no_batch(
    office: Office, ann: Member, air: Program, box: Program, off_ms: int, tells_pending: bool
) -> None:
    """Whether or not the node tells its time: no batch is refused, and none is frozen twice, even where it waits."""
    office.chain.tells_pending = tells_pending
    waiting = _a_day(office, ann, box)
    office.chain.limits[air.deployed_token, Limit.ISSUANCE] = Bounds(100, 1)
    office.chain.clock = lambda: office.ledger.now_ms - off_ms
    office.ledger.now_ms += off_ms
    come_to_rest(office, *waiting)
    for points in (90, 60):  # the second waits for the limit
        waiting.append(office.ledger.earn(ann, points))
        come_to_rest(office, *waiting)
    require_once(office, *waiting, total=DAYS_TOTAL + 150)
    assert {one.status for mined in office.chain.blocks for one in mined.receipts} == {1}
    with office.ledger.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(batch.c.state == batches.DISSOLVED)) == 0


def test_chain__that_stood_still_for_an_hour__takes_the_next_batch(office: Office, ann: Member, box: Program) -> None:
    waiting = _a_day(office, ann, box)
    office.ledger.now_ms += HOUR_MS
    come_to_rest(office, *waiting)
    require_once(office, *waiting, total=DAYS_TOTAL)
    assert {one.status for mined in office.chain.blocks for one in mined.receipts} == {1}


def test_clock__that_jumps_past_the_end_of_a_quote__refuses_it_then_and_keeps_it_when_it_is_set_right(
    office: Office, ann: Member, box: Program
) -> None:
    first = office.ledger.earn(ann, 100)
    office.settle()
    offer = office.ledger.quote(ann, box, 40)
    office.ledger.now_ms += DAY_MS
    with pytest.raises(QuoteExpired):
        office.ledger.accept(offer)
    office.ledger.now_ms -= DAY_MS
    swap = office.ledger.accept(offer)
    come_to_rest(office, first, swap)
    require_once(office, first, swap, total=100 - 40 + 20)
