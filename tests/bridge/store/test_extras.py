"""Extras: the bonus and the fee of a swap wait for it, share its fate, and then never fail."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bridge.store import audit, events, limits, lots, operations, outcomes, quotes, swaps
from bridge.store.limits import Bounds
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.quotes import QuoteRequest
from bridge.store.schema import account, entry, lot, operation
from exchange.errors import InsufficientPoints, OverLimit
from exchange.ledger import Balance
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import Bonus, PointsFee, Received, Rules
from exchange.rules import Expiry as Expires
from exchange.words import EntryKind, EntryWord, entry_tag
from tests.bridge.store.ledgers import DAY_MS, FIRMNESS, Ledger

BONUS, FEE = Bonus("welcome", flat=Points(30)), PointsFee(Points(5))
BOTH = Rules(bonuses=(BONUS,), fees=(FEE,))


@pytest.fixture
def ann(ledger: Ledger, air: Program, box: Program) -> Member:
    """A member of AIR with 100 final points, linked to `ben` of BOX."""
    joined = ledger.link(ledger.member(air, "ann"), ledger.member(box, "ben"))
    ledger.earn(joined.members[0], 100)
    ledger.post(air)
    return joined.members[0]


@pytest.fixture
def ben(ledger: Ledger, box: Program) -> Member:
    return ledger.member(box, "ben")


def _words(calldata: bytes) -> list[EntryWord]:
    return [EntryWord.unpack(calldata[at : at + 32]) for at in range(0, len(calldata), 32)]


def _waiting(ledger: Ledger) -> int:
    return ledger.ask(operations.waiting).count


def _require_sums(ledger: Ledger) -> None:
    """Each program's accounts sum to zero, and each member's lots to what is available."""
    with ledger.database.read() as connection:
        pending = account.c.credits_pending + account.c.incoming_pending - account.c.debits_pending
        posted = account.c.credits_posted - account.c.debits_posted
        sums = sa.select(sa.func.sum(pending), sa.func.sum(posted)).group_by(account.c.program_id)
        assert {tuple(row) for row in connection.execute(sums)} == {(0, 0)}
        held = sa.select(sa.func.sum(lot.c.remaining)).where(lot.c.account_id == account.c.id, lot.c.pending.is_(False))
        rows = connection.execute(
            sa.select(posted + account.c.credits_pending - account.c.debits_pending, held.scalar_subquery()).where(
                account.c.kind == "member"
            )
        )
        assert all(available == (lots_sum or 0) for available, lots_sum in rows)


def test_accept__of_a_quote_with_bonus_and_fee__accepts_three_operations(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, (2, 1), rules=BOTH)
    offer = ledger.quote(ann, box, 60)
    assert (offer.amount_in, offer.base_out, offer.amount_out, offer.fee_points) == (60, 30, 60, 5)
    assert offer.bonuses == [{"name": "welcome", "points": 30}]
    swap_id = ledger.accept(offer)
    swapped = ledger.operation(swap_id)
    assert swapped.swap is not None and (swapped.points, swapped.swap.points_out) == (60, 30)
    extras = ledger.extras(swap_id)
    bonus, fee = extras["bonus"], extras["fee"]
    assert (bonus.program_id, bonus.member_id, bonus.points) == (box.id, ben.id, 30)
    assert (fee.program_id, fee.member_id, fee.points) == (air.id, ann.id, 5)
    assert (bonus.idempotency_key, bonus.tag) == (None, entry_tag(box.id, f"{swap_id}:bonus"))
    assert (fee.idempotency_key, fee.after_id, fee.state) == (None, swap_id, "accepted")
    assert ledger.accounts(ann)[0].balance == Balance(credits_posted=Points(100), debits_pending=Points(65))
    assert sum(one.balance.incoming for one in ledger.accounts(ben)) == 60
    assert ledger.lots(ann) == [35]
    assert _waiting(ledger) == 1, "only the swap waits for a batch"
    _require_sums(ledger)


def test_accept__again_under_the_same_key__accepts_no_second_bonus(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    offer = ledger.quote(ann, box, 10)
    swap_id = ledger.accept(offer, "key")
    before = ledger.everything()
    assert ledger.do(swaps.accept, air.id, "key", offer.id, ledger.now_ms) == (swap_id, True)
    assert ledger.everything() == before


@pytest.mark.parametrize("key", ["key#bonus", "key:bonus", "key"])
def test_accept__beside_a_request_under_any_key__leaves_the_key_free(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program, key: str
) -> None:
    ledger.agree(air, box, rules=BOTH)
    ledger.accept(ledger.quote(ann, box, 10), "key")
    assert ledger.earn(ben, 3, key)


def test_finalise__of_a_swap__lets_bonus_and_fee_into_their_streams(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    swap_id = ledger.swap(ann, box, 60)
    extras = ledger.extras(swap_id)
    batch = ledger.confirm(air, box)
    assert _waiting(ledger) == 0, "a block that may yet go lets nothing follow"
    with pytest.raises(InsufficientPoints):
        ledger.redeem(ben, 1)
    ledger.finalise(ledger.batch(batch.id).block_number or 0)
    assert _waiting(ledger) == 2
    _require_sums(ledger)
    ledger.redeem(ben, 90)  # what the swap brought, and the bonus before it is posted
    (fee,) = _words(ledger.post(air).calldata)
    bonus, redeemed = _words(ledger.post(box).calldata)[:2]
    assert (fee.kind, fee.amount, fee.reference, fee.tag) == (EntryKind.FEE, 5, ann.reference, extras["fee"].tag)
    assert (bonus.kind, bonus.amount, bonus.reference) == (EntryKind.BONUS, 30, ben.reference)
    assert redeemed.kind is EntryKind.REDEMPTION
    assert {one.state for one in ledger.extras(swap_id).values()} == {"final"}
    assert ledger.accounts(ann)[0].balance.posted == 35
    assert sum(one.balance.posted for one in ledger.accounts(ben)) == 0
    _require_sums(ledger)
    books = {one.program.id: one for one in ledger.ask(audit.snapshot).books}  # type: ignore[union-attr]
    assert (books[air.id].redeemed, books[air.id].swapped_out, books[air.id].ledger) == (5, 60, 35)
    assert (books[box.id].issued, books[box.id].swapped_in) == (30, 60)
    assert books[box.id].position_micro == 60 * 7, "a bonus is the destination's own gift"


def test_finalise__of_a_bonus_released_late__stands_before_what_was_accepted_since(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    ledger.swap(ann, box, 60)
    ledger.earn(ben, 1)
    ledger.post(air, box)
    kinds = [word.kind for word in _words(ledger.post(box).calldata)]
    assert kinds == [EntryKind.BONUS, EntryKind.EARN]


def test_undo__of_a_confirmed_swap__leaves_its_extras_waiting(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    swap_id = ledger.swap(ann, box, 60)
    batch = ledger.confirm(air, box)
    before = ledger.batch(batch.id).block_number or 0
    ledger.undo_above(before - 1)
    assert _waiting(ledger) == 0
    assert {one.state for one in ledger.extras(swap_id).values()} == {"accepted"}
    ledger.dissolve(ledger.stream(air, box))
    assert _waiting(ledger) == 1
    ledger.post(air, box)
    assert _waiting(ledger) == 2


def test_fail_swaps__of_dead_terms__fails_bonus_and_fee_and_gives_the_hold_back(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    agreed = ledger.agree(air, box, rules=BOTH)
    swap_id = ledger.swap(ann, box, 60)
    ledger.do(outcomes.fail_swaps, ledger.stream(air, box).id, [agreed.id], "replaced", ledger.now_ms)
    assert ledger.operation(swap_id).reason == "replaced"
    assert {(one.state, one.reason) for one in ledger.extras(swap_id).values()} == {("failed", outcomes.SWAP_FAILED)}
    assert ledger.lots(ann) == [100]
    assert ledger.accounts(ann)[0].balance == Balance(credits_posted=Points(100))
    assert sum(one.balance.incoming for one in ledger.accounts(ben)) == 0
    told = ledger.ask(events.after, 0, box.id)[0]
    assert [one.state for one in told if one.kind == "bonus"] == ["accepted", "failed"]
    _require_sums(ledger)


def test_finalise__of_a_swap_that_the_chain_skipped__fails_bonus_and_fee(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    swap_id = ledger.swap(ann, box, 60)
    ledger.finalise(ledger.mine(ledger.freeze(ledger.stream(air, box)), skipped=[0]))
    assert ledger.operation(swap_id).state == "failed"
    assert {one.state for one in ledger.extras(swap_id).values()} == {"failed"}
    assert _waiting(ledger) == 0
    assert ledger.lots(ann) == [100]
    _require_sums(ledger)


def test_finalise__of_a_fee_that_the_chain_skipped__gives_its_hold_back_and_freezes_the_account(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    swap_id = ledger.swap(ann, box, 60)
    ledger.post(air, box)
    assert ledger.finalise(ledger.mine(ledger.freeze(ledger.stream(air)), skipped=[0]))
    assert ledger.extras(swap_id)["fee"].reason == outcomes.SHORT_ON_CHAIN
    assert ledger.lots(ann) == [40]
    assert ledger.accounts(ann)[0].frozen
    _require_sums(ledger)


def test_accept__without_points_for_the_fee__changes_nothing(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    before = ledger.everything()
    with pytest.raises(InsufficientPoints, match="101 points") as refused:
        ledger.quote(ann, box, 96)
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("amount_in", 100, 95)
    assert ledger.everything() == before
    offer = ledger.quote(ann, box, 95)
    ledger.redeem(ann, 1)
    before = ledger.everything()
    with pytest.raises(InsufficientPoints, match="100 points"):
        ledger.accept(offer)
    assert ledger.everything() == before
    ledger.earn(ann, 1)
    ledger.accept(offer)
    assert ledger.lots(ann) == [0, 0]


def test_accept__of_a_fee__may_take_points_that_are_still_in_the_queue(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    ledger.earn(ann, 10)
    swap_id = ledger.swap(ann, box, 100)
    ledger.post(air, box)
    kinds = [word.kind for word in _words(ledger.post(air).calldata)]
    assert kinds == [EntryKind.EARN, EntryKind.FEE]
    assert ledger.extras(swap_id)["fee"].state == "final"


@pytest.mark.parametrize(("name", "what"), [(limits.ISSUANCE, "bonus"), (limits.REDEMPTION, "fee")])
def test_create__of_what_could_never_be_posted__is_refused(
    ledger: Ledger, ann: Member, air: Program, box: Program, name: str, what: str
) -> None:
    ledger.agree(air, box, rules=BOTH)
    program = box if name == limits.ISSUANCE else air
    ledger.do(limits.changed, program.id, name, Bounds(4, 1))
    with pytest.raises(OverLimit, match=f"the {what} would be") as refused:
        ledger.quote(ann, box, 10)
    assert refused.value.field == "amount_in"
    ledger.do(limits.changed, program.id, name, Bounds(30, 1))
    assert ledger.quote(ann, box, 10)


@pytest.mark.parametrize(("name", "nearest"), [(limits.ISSUANCE, 9), (limits.REDEMPTION, 12)])
def test_create__of_what_could_never_be_posted__names_the_most_that_could_and_that_the_member_can_pay(
    ledger: Ledger, ann: Member, air: Program, box: Program, name: str, nearest: int
) -> None:
    half = Bonus("half", share=Ratio(Points(2), Points(1)))
    ledger.agree(air, box, rules=Rules(bonuses=(half,), fees=(PointsFee(rate=Points(1), per=Points(3)),)))
    program = box if name == limits.ISSUANCE else air
    ledger.do(limits.changed, program.id, name, Bounds(4, 1))
    with pytest.raises(OverLimit) as refused:
        ledger.quote(ann, box, 40)
    assert (refused.value.limit, refused.value.nearest) == (4, nearest)
    assert ledger.quote(ann, box, nearest).amount_in == nearest
    with pytest.raises(OverLimit) as refused:
        ledger.do(quotes.create, air.id, QuoteRequest(ann.id, None, box.id, None, 40), FIRMNESS, ledger.now_ms)
    assert refused.value.nearest == nearest + nearest // 2
    ledger.do(limits.changed, program.id, name, Bounds(45, 1))
    with pytest.raises(OverLimit) as refused:
        ledger.quote(ann, box, 200)
    assert refused.value.nearest == 75, "of 100 points that the member has 25 are the fee"


def test_accept__where_expiry_is_inherited__divides_what_arrives_exactly(
    ledger: Ledger, ann: Member, ben: Member, air: Program, box: Program
) -> None:
    first_ms = ledger.now_ms + 30 * DAY_MS
    ledger.now_ms += DAY_MS
    ledger.earn(ann, 100)
    ledger.post(air)
    rules = Rules(bonuses=(Bonus("tenth", share=Ratio(Points(10), Points(1))),), received=Received(Expires.INHERITS))
    ledger.agree(air, box, (3, 1), rules=rules)
    swap_id = ledger.swap(ann, box, 150)
    ledger.post(air, box)
    found = sorted((one.expires_ms or 0, one.amount) for one in ledger.ask(lots.of_member, ben.id))
    # 50 and 5 points, of which 100 of 150 source points expire a day sooner.
    assert found == [(first_ms, 3), (first_ms, 33), (first_ms + DAY_MS, 2), (first_ms + DAY_MS, 17)]
    assert ledger.extras(swap_id)["bonus"].points == 5


def test_release__of_extras__never_touches_those_of_other_swaps(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    ledger.swap(ann, box, 10)
    ledger.post(air, box)
    second = ledger.swap(ann, box, 10)
    assert {one.state for one in ledger.extras(second).values()} == {"accepted"}
    with ledger.database.read() as connection:
        released = connection.execute(
            sa.select(operation.c.after_id).where(operation.c.after_id.is_not(None), operation.c.stream_id.is_not(None))
        )
        assert second not in set(released.scalars())
        states = connection.execute(sa.select(entry.c.state).where(entry.c.kind == EntryKind.BONUS.value))
        assert set(states.scalars()) == {"pending"}


def test_finalise__after_a_start_of_the_service__lets_extras_go_once(
    open_ledger: Callable[[], Ledger], ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=BOTH)
    swap_id = ledger.swap(ann, box, 60)
    number = ledger.batch(ledger.confirm(air, box).id).block_number or 0
    again = open_ledger()
    again.finalise(number)
    before = again.everything()
    again.finalise(number)
    assert again.everything() == before
    assert _waiting(again) == 2
    again.post(box)
    assert again.extras(swap_id)["bonus"].state == "final"
    assert ledger.extras(swap_id)["bonus"].state == "final"
    _require_sums(again)
