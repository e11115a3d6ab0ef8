"""Recovery: a ledger from an older copy learns what the chain did, and answers repeated requests as it would have."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.chain import contracts
from bridge.chain.errors import RpcRefused
from bridge.chain.events import Deposited
from bridge.chain.finality import FinalityRule
from bridge.chain.rpc import MinedCall, SentCall
from bridge.posting import calls, powers
from bridge.posting.nonces import MAKING_MS
from bridge.posting.recovery import RECEIPTS_ASKED_MAX, Recovering
from bridge.posting.submitter import UNMINED_PER_LANE_MAX
from bridge.store import accounts, attempts, batches, breaker, captures, chainstate, lanes, redemptions, swaps, wallets
from bridge.store.batches import Control
from bridge.store.captures import CaptureRequest
from bridge.store.holds import Hold
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.redemptions import RedemptionRequest
from bridge.store.schema import batch, operation, swap
from exchange.errors import IdempotencyKeyReused, SarrafError, UnknownQuote
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.words import EntryKind, EntryWord, account_address, digest, entry_tag
from tests.bridge.posting.conftest import BATCH_LIFE_S, Office
from tests.bridge.posting.restoring import BLOCKS_MAX, back_up, examine, lost, of_key, put_back, recover, require_sound
from tests.bridge.store.ledgers import EXCHANGE, TIMES, earn_of

TAG = b"thief"


def _balance(office: Office, who: Member) -> int:
    return sum(one.balance.available for one in office.ledger.accounts(who))


def _restored(office: Office) -> list[sa.Row[tuple[object, ...]]]:
    with office.ledger.database.read() as connection:
        return list(connection.execute(sa.select(operation).where(operation.c.restored).order_by(operation.c.seq)))


def test_recover__of_earns_and_redemptions__equals_the_chain_and_answers_repeats(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 10, "before")
    office.settle()
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "lost")
        office.ledger.redeem(ann, 12, "burned")
        office.settle()
    ended = recover(office)
    assert (ended.batches, ended.matched, ended.restored, ended.orphans) == (1, 0, 2, 0)
    assert _balance(office, ann) == 3
    require_sound(office)
    (again,) = office.ledger.earn_many(air.id, [earn_of(ann, 5, "lost")])
    assert again.replayed and again.operation_id == of_key(office, air.id, "lost").id
    asked = RedemptionRequest("burned", ann.id, None, 12)
    told, replayed = office.ledger.do(redemptions.accept, air.id, asked, office.ledger.now_ms)
    assert replayed and again.operation_id is not None
    assert office.states(told, again.operation_id) == ["final", "final"]
    assert office.ledger.earn(ann, 5, "lost") == again.operation_id, "and again"
    assert _balance(office, ann) == 3
    office.settle()
    require_sound(office)


def test_recover__of_captures__knows_of_which_holds_they_were(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 100)
    held = office.ledger.authorise(ann, 90)
    waiting = office.ledger.capture(held, 20, "frozen before")
    office.poster.step()
    with lost(office, tmp_path):
        burned = CaptureRequest("burned", held.id, 30)
        office.ledger.do(captures.accept, air.id, burned, office.ledger.now_ms)
        later = CaptureRequest("of a hold that is lost", office.ledger.authorise(ann, 10).id)
        office.ledger.do(captures.accept, air.id, later, office.ledger.now_ms)
        for _ in range(2):
            office.settle()
        office.ledger.void(held)
    recover(office)
    require_sound(office)
    assert office.breaker is None and not office.ledger.accounts(ann)[0].frozen
    assert (office.ledger.hold(held).state, office.ledger.hold(held).captured) == ("open", 50)
    assert office.ledger.capture(held, 20, "frozen before") == waiting
    for request in (burned, later):
        told, replayed = office.ledger.do(captures.accept, air.id, request, office.ledger.now_ms)
        assert replayed and told == of_key(office, air.id, request.key).id
    office.ledger.capture(held, 10, final=True)
    office.settle()
    assert _balance(office, ann) == office.chain.state.balances[air.deployed_token, ann.account] == 30
    require_sound(office)


def test_recover__where_the_batch_waits_unsent__matches_what_it_knows(
    office: Office, ann: Member, tmp_path: Path
) -> None:
    first = office.ledger.earn(ann, 10)
    with lost(office, tmp_path):
        second = office.ledger.earn(ann, 5)
        office.settle()
    ended = recover(office)
    assert (ended.matched, ended.restored) == (1, 1)
    assert office.states(first) == ["final"]
    with pytest.raises(Exception, match="no operation"):
        office.ledger.operation(second)
    require_sound(office)
    office.ledger.earn(ann, 1)
    office.settle()
    assert _balance(office, ann) == 16
    require_sound(office)


def test_recover__of_a_frozen_batch_that_was_cut_otherwise__dissolves_it_and_posts_nothing_twice(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    one = office.ledger.earn(ann, 10)
    office.poster.step()  # frozen, signed and sent
    held = list(office.chain.mempool.values())
    office.chain.mempool.clear()
    with lost(office, tmp_path):
        office.ledger.now_ms += 200_000  # its time is over
        office.mine(3)
        office.poster.step()
        office.ledger.earn(ann, 7)
        office.poster.step()
        office.mine(4)
        office.poster.step()
        office.settle()
    assert office.chain.state.balances[air.deployed_token, ann.account] == 17
    ended = recover(office)
    assert ended.matched == 1
    assert office.states(one) == ["final"]
    for raw in held:
        office.chain.mempool[b"late"] = raw  # the old bytes turn up after all, and change nothing
    for _ in range(3):
        office.settle()
    assert _balance(office, ann) == 17
    assert office.breaker is None
    require_sound(office)


def test_recover__of_a_swap__finds_it_by_its_key_though_the_quote_is_lost(
    office: Office, ann: Member, air: Program, box: Program, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 100)
    office.settle()
    ben = office.ledger.member(box, "ben")
    with lost(office, tmp_path):
        offer = office.ledger.quote(ann, box, 40)
        office.ledger.accept(offer, "swap")
        office.settle()
    ended = recover(office)
    assert (ended.restored, ended.orphans) == (1, 0)
    assert (_balance(office, ann), _balance(office, ben)) == (60, 20)
    require_sound(office)
    found, replayed = office.ledger.do(swaps.accept, air.id, "swap", offer.id, office.ledger.now_ms)
    told = office.ledger.operation(found)
    assert replayed and told.state == "final" and told.points == 40
    assert told.swap is not None and (told.swap.points_out, told.swap.to_member_id) == (20, ben.id)
    with pytest.raises(IdempotencyKeyReused):
        office.ledger.do(swaps.accept, air.id, "swap", "quo_other", office.ledger.now_ms)
    with pytest.raises(UnknownQuote):
        office.ledger.do(swaps.accept, air.id, "new", offer.id, office.ledger.now_ms)
    office.ledger.swap(ann, box, 20)
    office.settle()
    assert _balance(office, ben) == 30
    require_sound(office)


def test_recover__of_a_swap_that_waits_here__is_that_swap(
    office: Office, ann: Member, box: Program, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 100)
    office.settle()
    operation_id = office.ledger.swap(ann, box, 40)
    with lost(office, tmp_path):
        office.settle()
    ended = recover(office)
    assert (ended.matched, ended.restored) == (1, 0)
    assert office.states(operation_id) == ["final"]
    require_sound(office)


def test_recover__of_a_member_who_is_lost__leaves_an_orphan_until_the_request_is_repeated(
    office: Office, air: Program, tmp_path: Path
) -> None:
    with lost(office, tmp_path):
        office.ledger.earn(office.ledger.member(air, "new"), 9, "lost")
        office.settle()
    ended = recover(office)
    assert (ended.restored, ended.orphans) == (1, 1)
    require_sound(office)
    again = office.ledger.member(air, "new")
    assert _balance(office, again) == 0
    (answer,) = office.ledger.earn_many(air.id, [earn_of(again, 9, "lost")])
    assert answer.replayed and answer.operation_id is not None
    assert office.ledger.operation(answer.operation_id).member_id == again.id
    assert _balance(office, again) == 9
    assert office.ledger.ask(accounts.count_orphans) == 0
    office.ledger.redeem(again, 9)
    office.settle()
    require_sound(office)


def test_repeat__of_a_lost_members_key_for_one_who_was_known__is_new_and_takes_no_account(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    with lost(office, tmp_path):
        office.ledger.earn(office.ledger.member(air, "new"), 9, "lost")
        office.ledger.earn(office.ledger.member(air, "new"), 1, "more")
        office.settle()
    recover(office)
    (misused,) = office.ledger.earn_many(air.id, [earn_of(ann, 9, "lost")])
    assert not misused.replayed and misused.refusal is None
    assert office.ledger.ask(accounts.count_orphans) == 1
    again = office.ledger.member(air, "new")
    (answer,) = office.ledger.earn_many(air.id, [earn_of(again, 1, "more")])
    assert answer.replayed
    office.settle()
    assert (_balance(office, ann), _balance(office, again)) == (9, 10)
    require_sound(office)


def test_repeat__with_other_points__is_refused_and_of_another_member__is_new(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "lost")
        office.settle()
    recover(office)
    (refused,) = office.ledger.earn_many(air.id, [earn_of(ann, 6, "lost")])
    assert isinstance(refused.refusal, IdempotencyKeyReused)
    bob = office.ledger.member(air, "bob")
    (other,) = office.ledger.earn_many(air.id, [earn_of(bob, 5, "lost")])
    assert not other.replayed and other.operation_id is not None


def test_request__that_never_reached_the_chain__is_simply_new(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    with lost(office, tmp_path, marked=False):
        office.ledger.earn(ann, 5, "never")
    office.recovery.examine()
    assert not office.recovery.active, "the chain is not ahead"
    (answer,) = office.ledger.earn_many(air.id, [earn_of(ann, 5, "never")])
    assert not answer.replayed
    office.settle()
    assert _balance(office, ann) == 5
    require_sound(office)


def test_recover__of_a_bound_wallet_and_a_release__brings_both_back(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    wallet = b"\x77" * 20
    with lost(office, tmp_path):
        words = contracts.encode_post(2, 2**40, _bind(ann, wallet) + _word(ann, EntryKind.RELEASE, 4).pack())
        office.chain.mine(_signed(office, air, words))
        office.mine(2)
    ended = recover(office)
    assert ended.restored == 2
    assert [one.kind for one in _restored(office)] == ["bind", "release"]
    (bound,) = office.ledger.ask(wallets.of_member, ann.id)
    assert (bound.address, bound.state, bound.points) == (wallet, wallets.BOUND, 4)
    assert _balance(office, ann) == 6
    require_sound(office)
    assert office.chain.state.balances[air.deployed_token, wallet] == 4


def test_recover__of_debits_that_are_held_for_something_else__freezes_the_account(
    office: Office, ann: Member, box: Program, tmp_path: Path
) -> None:
    """A swap that the lost ledger failed gave its points back, and they were redeemed."""
    office.ledger.earn(ann, 10)
    office.settle()
    with lost(office, tmp_path):
        office.ledger.redeem(ann, 10)
        office.settle()
    office.ledger.swap(ann, box, 6)
    recover(office)
    require_sound(office)
    (found,) = office.ledger.accounts(ann)
    assert found.frozen and found.balance.available == 0 and found.balance.posted == 0


def test_reorganisation__during_recovery__forgets_what_only_the_block_told(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "lost")
        office.post()
    office.recovery.examine()
    office.follow()
    assert office.ledger.stream(air).last_sequence == 1
    office.chain.reorganise(1)
    office.mine(2)
    with office.ledger.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(batch)) == 0
    assert office.ledger.stream(air).last_sequence == 0
    ended = recover(office)
    assert (ended.batches, ended.restored) == (0, 0)
    require_sound(office)
    assert office.ledger.earn(ann, 5, "lost")
    office.settle()
    assert _balance(office, ann) == 5
    require_sound(office)


def test_theft__while_the_service_runs__trips_the_breaker_and_is_followed(
    office: Office, ann: Member, air: Program
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    waiting = office.ledger.earn(ann, 1)
    office.poster.step()
    ours = next(iter(office.chain.mempool.values()))
    stranger = b"\x99" * 20
    words = [EntryWord(stranger, EntryKind.ADJUSTMENT_UP, Points(500), TAG), _word(ann, EntryKind.REVERSAL, 10)]
    call = contracts.encode_post(2, 2**40, b"".join(word.pack() for word in words))
    office.chain.mine(_signed(office, air, call))
    office.mine(3)
    assert office.breaker is not None and "is a key stolen?" in office.breaker
    kinds = [(one.kind, one.points, one.state) for one in _restored(office)]
    assert kinds == [("adjustment", 500, "final"), ("reversal", 10, "final")]
    require_sound(office)
    assert office.chain.state.balances[air.deployed_token, account_address(air.deployed_token, stranger)] == 500
    office.ledger.do(breaker.reset, "mended", 1)
    office.chain.mempool[b"late"] = ours
    for _ in range(4):
        office.settle()
    assert office.states(waiting) == ["final"]
    assert _balance(office, ann) == 1, "our own batch was dissolved, and what it held posted once"
    require_sound(office)


@pytest.mark.parametrize(
    ("when", "valid_s", "trips"),
    [
        ("before", TIMES.longest_batch_s, False),
        ("before", TIMES.longest_batch_s + 1, True),
        ("after", TIMES.longest_batch_s - 60, False),
        ("after", TIMES.longest_batch_s - 60 + 1, True),
    ],
)
def test_theft__from_a_ledger_that_was_restored__is_known_by_a_batch_that_is_valid_for_too_long(
    office: Office, air: Program, when: str, valid_s: int, trips: bool
) -> None:
    """`after`: it is mined a minute behind the restore, so that what was lost is valid for a minute less from then on.

    It is taken in all the same: the chain is the truth.
    """
    if when == "after":
        office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
        office.recovery.examine()
        office.ledger.now_ms += 60_000
    stolen = EntryWord(b"\x99" * 20, EntryKind.EARN, Points(500), TAG).pack()
    valid_until = office.ledger.now_ms // 1000 + valid_s
    office.chain.mine(_signed(office, air, contracts.encode_post(1, valid_until, stolen)))
    if when == "before":
        office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    assert (office.breaker is not None) == trips
    assert [one.points for one in _restored(office)] == [500]
    require_sound(office)


def test_theft__of_a_swap_under_other_terms__is_not_the_swap_that_waits_here(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.ledger.earn(ann, 100)
    office.settle()
    operation_id = office.ledger.swap(ann, box, 40)
    direction = (air.deployed_token, box.deployed_token)
    tag = office.ledger.operation(operation_id).tag
    assert tag is not None
    agreed = office.chain.terms[direction]
    office.chain.terms[direction] = (Ratio(Points(4), Points(1)), 7, 2)
    word = EntryWord(ann.reference, EntryKind.SWAP, Points(40), tag).pack()
    call = contracts.encode_settle(direction, [2], 1, office.ledger.now_ms // 1000 + BATCH_LIFE_S, word)
    operator = office.ledger.ask(lanes.by_role, lanes.EXCHANGE_OPERATOR)
    assert operator is not None
    office.chain.mine(office.chain.foreign(operator.address, EXCHANGE, call))
    office.follow()
    office.chain.terms[direction] = agreed
    office.mine(3)
    assert office.breaker is not None
    assert office.states(operation_id) == ["accepted"]
    (found,) = _restored(office)
    told = office.ledger.operation(str(found.id)).swap
    assert told is not None and told.points_out == 10
    require_sound(office)


def test_finalise__of_two_foreign_batches_in_one_block__takes_them_in_their_order(
    office: Office, ann: Member, air: Program
) -> None:
    """What the second takes the first brought, and their ids say nothing of their order."""
    first, second = (
        contracts.encode_post(sequence, office.ledger.now_ms // 1000 + BATCH_LIFE_S, _word(ann, kind, 10).pack())
        for sequence, kind in ((1, EntryKind.EARN), (2, EntryKind.REDEMPTION))
    )
    signed = [json.loads(_signed(office, air, call)) for call in (first, second)]
    office.chain.mine(*(json.dumps(told | {"nonce": nonce}).encode() for nonce, told in enumerate(signed)))
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    assert [(one.kind, one.state) for one in _restored(office)] == [("earn", "final"), ("redemption", "final")]
    assert office.breaker is None
    require_sound(office)


def test_finalise__of_many_blocks_at_once__takes_batches_and_holders_doings_in_their_order(
    office: Office, ann: Member, air: Program
) -> None:
    """What a foreign batch took was brought by a holder in the block before."""
    office.ledger.earn(ann, 10)
    office.settle()
    bound = office.ledger.wallet(ann)
    office.chain.state.bindings[air.deployed_token, ann.reference] = bound.address
    office.chain.mine(_signed(office, air, contracts.encode_post(2, 2**40, _word(ann, EntryKind.RELEASE, 10).pack())))
    office.mine(3)
    office.finality = FinalityRule.parse("finalized")
    office.begin()
    office.chain.mine(events=[(air.deployed_token, Deposited(ann.reference, bound.address, 10))])
    for address, change in ((bound.address, -10), (ann.account, 10)):
        office.chain.state.balances[air.deployed_token, address] += change
    office.chain.mine(_signed(office, air, contracts.encode_post(3, 2**40, _word(ann, EntryKind.EXPIRY, 10).pack())))
    office.follow()
    office.chain.finalized = len(office.chain.blocks) - 1
    office.follow()
    assert [(one.kind, one.state) for one in _restored(office)] == [("release", "final"), ("expiry", "final")]
    require_sound(office)


def test_batch__that_cannot_be_read__trips_the_breaker_even_while_recovering(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5)
        office.settle()
    monkeypatch.setattr(office.chain, "sent_calls", lambda hashes: [None for _ in hashes])
    examine(office)
    with pytest.raises(RpcRefused, match="is missing"):
        office.follow()
    by_a_contract = SentCall(EXCHANGE, b"")
    monkeypatch.setattr(office.chain, "sent_calls", lambda hashes: [by_a_contract for _ in hashes])
    recover(office)
    assert office.breaker is not None and "cannot read" in office.breaker
    assert office.ledger.stream(air).last_sequence == 1, "its number is used up all the same"


def test_recover__while_something_lost_waits_in_our_own_chain__goes_on_until_it_is_mined(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    office.own_chain = True
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "lost")
        office.poster.step()
    waiting = dict(office.chain.mempool)
    office.chain.base_fee_wei *= 10**6  # nothing is mined
    office.recovery.examine()
    assert office.recovery.active
    for _ in range(5):
        office.mine()
        assert not office.recovery.step()
    office.chain.base_fee_wei //= 10**6
    assert recover(office).restored == 1
    (again,) = office.ledger.earn_many(air.id, [earn_of(ann, 5, "lost")])
    assert again.replayed and not waiting.keys() & office.chain.mempool.keys()
    require_sound(office)


def test_recover__in_our_own_chain_where_nothing_waits__ends_at_once(
    office: Office, ann: Member, tmp_path: Path
) -> None:
    office.own_chain = True
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "lost")
        office.settle()
    office.recovery.examine()
    office.mine(2)
    assert office.recovery.step()


def test_recover__of_calls_that_the_lost_ledger_made__does_not_make_them_again(
    office: Office, air: Program, tmp_path: Path
) -> None:
    _call(office, air, b"", 6, due_ms=2**50)  # not even the lost ledger made it
    calls = [_call(office, air, b"", wei) for wei in (7, 7, 8)] + [_call(office, air, b"\1")]
    with lost(office, tmp_path):
        office.settle()
    calls.append(_call(office, air, b"", 7))
    other = _call(office, air, b"", 9)
    recover(office)
    assert _call_states(office, *calls, other) == ["final"] * 4 + ["frozen"] * 2
    for _ in range(2):
        office.ledger.now_ms += 10_000
        office.settle()
    assert _call_states(office, *calls, other) == ["final"] * 6
    assert [one.value_wei for one in _calls_of(office, air)] == [7, 7, 8, 0, 7, 9], "each as often as it was asked for"
    assert office.breaker is None


def test_recover__of_a_signed_call_that_the_lost_ledger_replaced__takes_the_replacement(
    office: Office, air: Program, tmp_path: Path
) -> None:
    call = _call(office, air, b"\1")
    office.poster.step()
    with lost(office, tmp_path):
        office.chain.base_fee_wei *= 4
        office.ledger.now_ms += 10_000
        office.poster.step()
        office.mine(3)
        office.chain.base_fee_wei //= 4
    assert office.ledger.ask(attempts.unmined_numbers, air.admin_lane_id) == [0]
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    assert _call_states(office, call) == ["final"]
    assert office.ledger.ask(attempts.newest_mined, air.admin_lane_id) is not None, "its nonce is its own"
    assert len(_calls_of(office, air)) == 1


def test_recover__of_a_token_that_the_lost_ledger_made__goes_on_from_there(office: Office, tmp_path: Path) -> None:
    new = office.ledger.program("NEW", active=False)
    call = Control("deploy-token", new.id, new.admin_lane_id, None, b"code", 100_000)
    call_id = office.ledger.do(batches.add_control, call, office.ledger.now_ms)
    with lost(office, tmp_path):
        office.post()
        token = office.program("NEW").token
        office.post()  # it is announced and admitted too
    assert token is not None and office.program("NEW").token is None
    examine(office)
    office.follow()
    (created,) = office.chain.blocks[1].raw
    office.chain.reorganise(2, forget=False)
    office.chain.mine(created)
    office.mine()
    assert _call_states(office, call_id) == ["confirmed"], "the same in another block"
    recover(office)
    assert _call_states(office, call_id) == ["final"]
    assert office.program("NEW").token == token
    sent = len(office.chain.sent)
    office.settle()
    assert len(office.chain.sent) == sent, "it is announced and admitted already"
    assert office.ledger.ask(batches.open_controls, "admit", new.id) == 1


def test_recover__of_a_call_that_the_chain_refused_to_the_lost_ledger__knows_that_it_failed(
    office: Office, air: Program, tmp_path: Path
) -> None:
    call = _call(office, air, b"\1")
    with lost(office, tmp_path):
        office.poster.step()
        office.chain.refused = set(office.chain.mempool)
        office.mine(3)
    recover(office)
    assert _call_states(office, call) == ["failed"]


def test_call__of_a_lost_ledger_that_is_mined_late__takes_the_place_of_ours_and_is_no_theft(
    office: Office, air: Program
) -> None:
    late = office.chain.foreign(_admin(office, air), EXCHANGE, b"\1")
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    call = _call(office, air, b"\1")
    office.poster.step()
    office.chain.mempool = {digest(late): late}
    for _ in range(3):
        office.ledger.now_ms += 10_000
        office.settle()
    assert _call_states(office, call) == ["final"]
    assert len(_calls_of(office, air)) == 1
    assert office.breaker is None


def test_call__of_a_lost_ledger_under_a_later_nonce__is_not_made_twice(office: Office, air: Program) -> None:
    """What the lost ledger sent under the nonce before is dropped; ours would take its place, and both be mined."""
    late = _lost_call(office, air, b"\1", nonce=1)
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    call = _call(office, air, b"\1")
    office.poster.step()
    office.chain.mempool = {digest(raw): raw for raw in office.chain.sent if json.loads(raw)["nonce"] == 0}
    office.chain.mempool[digest(late)] = late
    _settle_often(office)
    assert _call_states(office, call) == ["final"]
    assert len(_calls_of(office, air, b"\1")) == 1
    assert office.breaker is None


def test_call__of_a_lost_ledger_that_a_reorganisation_brings__is_not_made_twice(office: Office, air: Program) -> None:
    late = _lost_call(office, air, b"\1", nonce=1)
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    call = _call(office, air, b"\1")
    office.post()
    office.post()
    assert office.chain.state.nonces[_admin(office, air)] >= UNMINED_PER_LANE_MAX
    first = next(raw for raw in office.chain.sent if json.loads(raw)["nonce"] == 0)
    office.chain.reorganise(2, forget=False)
    office.chain.mine(first, late)
    _settle_often(office)
    assert _call_states(office, call) == ["final"]
    assert len(_calls_of(office, air, b"\1")) == 1
    assert office.breaker is None


def test_call__after_a_recovery__is_made_once_as_many_nonces_are_used_up_as_can_have_been_lost(
    office: Office, air: Program
) -> None:
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    nothing = calls.tick(office.ledger.ask(lanes.by_id, air.admin_lane_id))
    office.ledger.do(batches.add_control, nothing, office.ledger.now_ms)
    office.settle()  # uses up the first of them
    call, pause = _call(office, air, b"\1"), office.ledger.do(powers.pause, air.id, office.ledger.now_ms)
    office.poster.step()
    assert _call_states(office, call, pause.id) == ["frozen", "submitted"], "a guardian does not wait"
    _settle_often(office)
    assert [(one.data, one.nonce) for one in _calls_of(office, air)] == [(b"\1", UNMINED_PER_LANE_MAX)]
    _call(office, air, b"\2")
    office.settle()
    assert len(_calls_of(office, air, b"\2")) == 1, "and never again"


def test_recover__where_no_node_shows_what_was_sent__is_not_over_before_that_can_no_longer_have_an_effect(
    office: Office, ann: Member, air: Program
) -> None:
    """Of two lost batches all nodes dropped the first; the second waits for anything that takes its place."""
    lost_one = _lost_earn(office, ann, air, nonce=1, sequence=2, key="kept", amount=5)
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    again = office.ledger.earn(ann, 5, "kept")
    office.settle()
    assert office.states(again) == ["final"]
    office.chain.mempool[b"late"] = lost_one
    office.mine(3)
    for _ in range(3):
        office.ledger.now_ms += 10_000
        office.settle()
    assert office.chain.state.nonces[_issuer(office, air)] == 2, "it was mined all the same, and refused"
    assert _balance(office, ann) == 5
    office.ledger.earn(ann, 7)
    for _ in range(4):
        office.ledger.now_ms += 10_000
        office.settle()
    assert _balance(office, ann) == 12
    assert office.breaker is None, "what was lost is no theft"
    require_sound(office)


def test_nonce__that_nothing_lost_can_have_used__trips_the_breaker_after_a_recovery_too(
    office: Office, ann: Member, air: Program
) -> None:
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    recover(office)
    for number in range(UNMINED_PER_LANE_MAX + 1):
        assert office.breaker is None, number
        office.chain.mine(_signed(office, air, b""))
        if number >= UNMINED_PER_LANE_MAX - 1:
            office.ledger.earn(ann, 1)
            for _ in range(3):
                office.ledger.now_ms += 10_000
                office.poster.step()
                office.mine(3)
    assert office.breaker is not None and "is a key stolen" in office.breaker


def test_recover__while_something_lost_is_never_mined__ends_when_it_no_longer_can_be(
    office: Office, ann: Member, tmp_path: Path
) -> None:
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "lost")
        office.poster.step()
    office.chain.base_fee_wei *= 10**6
    office.recovery.examine()
    for _ in range(5):
        office.mine()
        assert not office.recovery.step()
    office.ledger.now_ms += TIMES.longest_batch_s * 1000
    assert recover(office).restored == 0
    office.chain.base_fee_wei //= 10**6
    assert office.ledger.earn(ann, 5, "lost")
    for _ in range(4):
        office.ledger.now_ms += 60_000
        office.settle()
    assert _balance(office, ann) == 5
    require_sound(office)


def test_recover__of_a_chain_that_stands_still__ends_by_the_clock(office: Office, ann: Member, tmp_path: Path) -> None:
    office.finality = FinalityRule.parse("depth:0")
    office.begin()
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "lost")
        office.post()
    office.recovery.examine()
    office.follow()
    office.ledger.now_ms += TIMES.longest_batch_s * 1000
    assert not office.recovery.step(), "a batch is valid until the end of its last second"
    office.ledger.now_ms += 1_000
    assert not office.recovery.step(), "the newest block's nonces are asked twice"
    office.ledger.now_ms += MAKING_MS
    assert office.recovery.step()


def test_recover__on_a_chain_whose_newest_block_changes_every_second__still_ends(
    office: Office, ann: Member, tmp_path: Path
) -> None:
    """Its newest block is final at once, so never the same for as long as it takes to be sure."""
    office.finality = FinalityRule.parse("depth:0")
    office.begin()
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "lost")
        office.post()
    office.recovery.examine()
    office.ledger.now_ms += (TIMES.longest_batch_s + 1) * 1000
    for _ in range(4):
        office.mine()
        if office.recovery.step():
            break
    assert not office.recovery.active


def test_recover__of_a_node_that_tells_of_its_next_block__concludes_nothing_from_that(
    office: Office, ann: Member
) -> None:
    """What ours are to use in the next block is no nonce of anybody else's."""
    office.finality = FinalityRule.parse("depth:0")
    office.own_chain = True
    office.begin()
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.ledger.do(chainstate.begin_recovery, "found to be behind", office.ledger.now_ms, marked=False)
    office.recovery.examine()
    office.chain.counts_ahead = len(office.ledger.ask(lanes.all_lanes))
    assert not office.recovery.step()
    office.chain.counts_ahead = 0
    assert office.recovery.step(), "now it tells otherwise"
    assert office.breaker is None
    office.post()
    assert office.states(operation_id) == ["final"]


def test_require_over__while_recovering__refuses(office: Office, ann: Member, tmp_path: Path) -> None:
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5)
        office.settle()
    office.recovery.require_over()
    office.recovery.examine()
    with pytest.raises(Recovering):
        office.recovery.require_over()
    office.begin()
    office.recovery.examine()
    assert office.recovery.active, "a start in the middle goes on"
    recover(office)
    office.recovery.require_over()


def test_examine__after_a_mere_crash__finds_nothing_to_recover(office: Office, ann: Member) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mine()
    for _ in range(2):
        office.ledger.now_ms += 1_000
        office.chain.mine()
    office.begin()
    office.recovery.examine()
    assert not office.recovery.active, "what was mined while we were down is ours"
    office.follow()
    assert office.states(operation_id) == ["final"]
    assert office.breaker is None


def test_examine__of_ours_whose_receipts_nobody_shows__takes_it_in_without_an_alarm(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mine()
    office.begin()
    with monkeypatch.context() as hiding:
        hiding.setattr(office.chain, "receipts", lambda hashes: [None for _ in hashes])
        examine(office)
    assert not recover(office).marked
    assert office.states(operation_id) == ["final"]
    assert office.breaker is None, "the follower knows our own batch when it sees it"


def test_theft__while_the_service_was_down__trips_the_breaker(office: Office, ann: Member, air: Program) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    stolen = EntryWord(b"\x99" * 20, EntryKind.EARN, Points(500), TAG).pack()
    office.chain.mine(_signed(office, air, contracts.encode_post(2, 2**40, stolen)))
    office.begin()
    ended = recover(office)
    assert not ended.marked and ended.batches == 1
    assert [one.points for one in _restored(office)] == [500], "the chain is the truth, and is followed"
    stopped = office.ledger.ask(breaker.state)
    assert stopped is not None and stopped.alarm is breaker.Alarm.FOREIGN_BATCH
    assert "a copy was put back by hand, or a key is stolen" in stopped.reason
    require_sound(office)


def test_theft__of_nonces_alone_while_the_service_was_down__trips_the_breaker(office: Office, air: Program) -> None:
    office.chain.mine(office.chain.foreign(_admin(office, air), EXCHANGE, b"\1"))
    office.begin()
    assert "the ledger knows of 0" in recover(office).reason
    stopped = office.ledger.ask(breaker.state)
    assert stopped is not None and stopped.alarm is breaker.Alarm.FOREIGN_NONCE
    office.ledger.do(breaker.reset, "it was the bank's", office.ledger.now_ms)
    for _ in range(2):
        call = _call(office, air, b"\2")
        office.chain.mine(office.chain.foreign(_admin(office, air), EXCHANGE, b"\1"))
        office.follow()
        for _ in range(4):
            office.ledger.now_ms += 10_000
            office.settle()
        assert office.breaker is not None, "what was not said to be lost is not expected late either"
        office.ledger.do(breaker.reset, "again", office.ledger.now_ms)
        for _ in range(2):
            office.settle()
        assert _call_states(office, call) == ["final"]


def test_copy__put_back_by_hand__recovers_as_one_restored_once_an_operator_confirms(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    with lost(office, tmp_path, marked=False):
        office.ledger.earn(ann, 5, "lost")
        office.settle()
    assert recover(office).restored == 1
    waiting = office.ledger.earn(ann, 2, "new")
    office.settle()
    assert office.states(waiting) == ["accepted"], "nothing is posted before"
    office.ledger.do(breaker.reset, "I restored it", office.ledger.now_ms)
    (again,) = office.ledger.earn_many(air.id, [earn_of(ann, 5, "lost")])
    office.settle()
    assert again.replayed and office.states(waiting) == ["final"]
    assert _balance(office, ann) == 7
    assert office.breaker is None
    require_sound(office)


def test_pause__while_the_ledger_recovers__goes_out_once_its_nonce_is_known(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    guardian = office.ledger.ask(lanes.by_id, air.guardian_lane_id).address
    with lost(office, tmp_path):
        office.chain.mine(office.chain.foreign(guardian, air.deployed_token, b"\1"))
        office.ledger.earn(ann, 5, "lost")
        office.post()
    waiting = office.ledger.earn(ann, 3)
    made = office.ledger.do(powers.pause, air.id, office.ledger.now_ms)
    examine(office)
    sent = len(office.chain.sent)
    assert not office.poster.step(), "the lost ledger used a nonce of this lane, and no block told of it yet"
    for _ in range(BLOCKS_MAX):
        office.mine()
        office.poster.step()
    assert office.recovery.active
    assert _call_states(office, made.id) == ["confirmed"]
    assert [json.loads(raw)["nonce"] for raw in office.chain.sent[sent:]] == [1], "and nothing else"
    office.ledger.now_ms += TIMES.longest_batch_s * 1000
    recover(office)
    assert office.states(waiting) == ["accepted"] and office.breaker is None


def test_begin_recovery__by_a_restore_of_a_ledger_that_found_itself_behind__is_marked_from_then_on(
    office: Office,
) -> None:
    begin, now_ms = chainstate.begin_recovery, office.ledger.now_ms
    office.ledger.do(lambda connection: begin(connection, "the chain is ahead", now_ms, marked=False))
    assert not office.ledger.ask(chainstate.is_marked_recovery)
    office.ledger.do(begin, "restored from a copy", now_ms)
    assert office.ledger.ask(chainstate.is_marked_recovery)
    recover(office)
    assert not office.ledger.ask(chainstate.is_marked_recovery)


def test_examine__where_the_receipt_of_ours_is_missing__asks_again_before_it_recovers(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mine()
    office.begin()
    with monkeypatch.context() as hiding:
        hiding.setattr(office.chain, "receipts", lambda hashes: [None for _ in hashes])
        for _ in range(RECEIPTS_ASKED_MAX - 1):
            with pytest.raises(RpcRefused, match="no receipt yet for nonce 0"):
                office.recovery.examine()
    office.recovery.examine()
    assert not office.recovery.active, "it was ours"
    office.begin()
    monkeypatch.setattr(office.chain, "receipts", lambda hashes: [None for _ in hashes])
    examine(office)
    assert office.recovery.active, "a node that never says it is not waited for"


def test_examine__where_the_chain_refused_ours_or_never_had_it__recovers(
    office: Office, ann: Member, air: Program
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    (ours,) = office.chain.mempool
    office.chain.refused = {ours}
    office.chain.mine()
    office.chain.mine(_signed(office, air, contracts.encode_post(1, 2**40, _word(ann, EntryKind.EARN, 7).pack())))
    office.ledger.do(lanes.skip_to, air.issuer_lane_id, 2)  # so that only the batch tells
    office.begin()
    examine(office)
    assert office.recovery.active


def test_examine__where_another_block_is_above_by_now__asks_as_of_the_one_that_was_doubted(
    office: Office, ann: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lost(office, tmp_path, marked=False):
        office.ledger.earn(ann, 5, "lost")
        office.post()
    known, asked_of = office.chain.call_many, []

    def call_many(asked: Any, number: Any) -> list[bytes]:
        asked_of.append(number)
        return known(asked, number)

    monkeypatch.setattr(office.chain, "call_many", call_many)
    with pytest.raises(RpcRefused, match="it is asked once more"):
        office.recovery.examine()
    office.chain.mine()
    office.recovery.examine()
    assert office.recovery.active
    assert asked_of == [office.chain.head_number() - 1] * 2


def test_examine__of_a_node_that_tells_of_its_next_block__asks_again_before_it_recovers(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.begin()
    with monkeypatch.context() as making:
        making.setattr(office.chain, "call_many", lambda asked, _: [(1).to_bytes(32) for _ in asked])
        for _ in range(2):
            with pytest.raises(RpcRefused, match="batch 1 is not known here; it is asked once more"):
                office.recovery.examine()
    office.ledger.now_ms += MAKING_MS
    office.recovery.examine()
    assert not office.recovery.active
    office.settle()
    assert office.breaker is None


def test_examine__where_our_number_and_nonce_were_used_for_something_else__recovers(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    waiting = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mempool.clear()
    with lost(office, tmp_path, marked=False):
        office.chain.mine(_signed(office, air, contracts.encode_post(1, 2**40, _word(ann, EntryKind.EARN, 7).pack())))
    assert "batch 1 is not known here" in recover(office).reason
    assert [one.points for one in _restored(office)] == [7]
    office.ledger.do(breaker.reset, "looked at", office.ledger.now_ms)
    for _ in range(3):
        office.settle()
    assert office.states(waiting) == ["final"]
    assert _balance(office, ann) == 12
    require_sound(office)


def test_examine__of_a_ledger_that_is_said_to_be_restored__recovers(office: Office) -> None:
    office.ledger.do(chainstate.begin_recovery, "restored from a copy", office.ledger.now_ms)
    ended = recover(office)
    assert (ended.reason, ended.batches) == ("restored from a copy", 0)
    assert office.ledger.ask(batches.count_unmined, office.ledger.now_ms) == 0


def test_put_back__twice__recovers_twice(office: Office, ann: Member, tmp_path: Path) -> None:
    with lost(office, tmp_path):
        office.ledger.earn(ann, 5, "one")
        office.settle()
    recover(office)
    put_back(office, tmp_path / "backup.sqlite3")
    recover(office)
    assert _balance(office, ann) == 5
    require_sound(office)


def _word(who: Member, kind: EntryKind, amount: int) -> EntryWord:
    return EntryWord(who.reference, kind, Points(amount), TAG)


def _bind(who: Member, wallet: bytes) -> bytes:
    return who.reference + EntryKind.BIND.to_bytes(1) + bytes(6) + TAG + wallet.rjust(32, b"\0")


def _signed(office: Office, of: Program, call: bytes) -> bytes:
    """A transaction that somebody signs with the issuer's key."""
    return office.chain.foreign(_issuer(office, of), of.deployed_token, call)


def _lost_earn(office: Office, who: Member, of: Program, *, nonce: int, sequence: int, key: str, amount: int) -> bytes:
    """A transaction that a lost ledger had sent."""
    word = EntryWord(who.reference, EntryKind.EARN, Points(amount), entry_tag(of.id, key)).pack()
    call = contracts.encode_post(sequence, office.ledger.now_ms // 1000 + BATCH_LIFE_S, word)
    told = json.loads(_signed(office, of, call)) | {"nonce": nonce}
    return json.dumps(told).encode()


def _call(office: Office, of: Program, data: bytes, wei: int = 0, due_ms: int | None = None) -> str:
    """A call that waits for the admin's signature."""
    call = Control("fund", "lane 9", of.admin_lane_id, EXCHANGE, data, 100_000, wei)
    return office.ledger.do(batches.add_control, call, office.ledger.now_ms, due_ms)


def _call_states(office: Office, *call_ids: str) -> list[str]:
    return [office.ledger.batch(each).state for each in call_ids]


def _calls_of(office: Office, of: Program, data: bytes | None = None) -> list[MinedCall]:
    """What the program's admin did on the chain, with `data` or anything; not what only used a nonce up."""
    made = [one for each in office.chain.blocks for one in office.chain.calls_in(each.block.hash) or []]
    ours = [one for one in made if one.sender == _admin(office, of) != one.to]
    return [one for one in ours if data in (None, one.data)]


def _lost_call(office: Office, of: Program, data: bytes, nonce: int) -> bytes:
    """A call that a lost ledger had sent."""
    told = json.loads(office.chain.foreign(_admin(office, of), EXCHANGE, data)) | {"nonce": nonce}
    return json.dumps(told).encode()


def _settle_often(office: Office) -> None:
    """As many rounds as it takes until what lost transactions can use is used up, and what waits is mined behind it."""
    for _ in range(4):
        office.ledger.now_ms += 10_000
        office.settle()


def _admin(office: Office, of: Program) -> bytes:
    return office.ledger.ask(lanes.by_id, of.admin_lane_id).address


def _issuer(office: Office, of: Program) -> bytes:
    return office.ledger.ask(lanes.by_id, of.issuer_lane_id).address


SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_recover__at_any_point_of_any_history__leaves_each_request_one_effect(
    office: Office, ann: Member, air: Program, box: Program, tmp_path: Path, seed: int
) -> None:
    """Whatever was accepted is asked for again: what the chain has is answered with, and only the rest is done anew."""
    life = _Life(office, random.Random(seed), ann, air, box)
    for _ in range(life.chance.randrange(4, 12)):
        life.step()
    copy = back_up(office, tmp_path / "backup.sqlite3")
    for _ in range(life.chance.randrange(4, 16)):
        life.step()
    office.mine()  # what was sent is mined, but not final yet
    office.chain.mempool.clear()
    put_back(office, copy)
    examine(office)
    if office.recovery.active:
        recover(office)
    require_sound(office)
    for again in list(life.asked):
        again()
    for _ in range(6):
        office.ledger.now_ms += 60_000
        office.settle()
    require_sound(office)
    assert all(one.idempotency_key for one in _restored(office))
    assert office.breaker is None
    assert sum(office.chain.state.balances.values()) == life.points_by_key(), "each key has had its effect once"


class _Life:
    """Requests of partners, each of which can be repeated as it was, and steps of the service."""

    def __init__(self, office: Office, chance: random.Random, ann: Member, air: Program, box: Program) -> None:
        self.office, self.chance, self.ann, self.air, self.box = office, chance, ann, air, box
        self.asked: list[Callable[[], object]] = []
        self.holds: list[Hold] = []

    def step(self) -> None:
        asking = (self._earn, self._earn, self._redeem, self._swap, self._authorise, self._capture, self._void)
        step = self.chance.choice((*asking, self._post, self._post))
        step()

    def points_by_key(self) -> int:
        """What all members have by what the ledger says of each operation that did not fail."""
        with self.office.ledger.database.read() as connection:
            rows = connection.execute(sa.select(operation, swap.c.points_out).outerjoin(swap)).all()
        of_kind = {"earn": lambda row: row.points, "redemption": lambda row: -row.points}
        swapped = {"swap": lambda row: row.points_out - row.points}
        return sum((of_kind | swapped)[row.kind](row) for row in rows if row.state == "final")

    def _ask(self, request: Callable[[], object]) -> None:
        def ask() -> None:
            with suppress(SarrafError):  # a repeat of what was lost may find less than there was
                request()

        self.asked.append(ask)
        ask()

    def _earn(self) -> None:
        number, amount, key = self.chance.choice(("ann", "new")), self.chance.randrange(1, 60), self.office.ledger.key()
        self._ask(lambda: self.office.ledger.earn(self.office.ledger.member(self.air, number), amount, key))

    def _redeem(self) -> None:
        amount, key = self.chance.randrange(1, 40), self.office.ledger.key()
        self._ask(lambda: self.office.ledger.redeem(self.ann, amount, key))

    def _authorise(self) -> None:
        amount, key = self.chance.randrange(1, 40), self.office.ledger.key()
        self._ask(lambda: self.holds.append(self.office.ledger.authorise(self.ann, amount, key)))

    def _capture(self) -> None:
        if self.holds:
            held, amount, key = self.chance.choice(self.holds), self.chance.randrange(1, 20), self.office.ledger.key()
            final = self.chance.randrange(3) == 0
            self._ask(lambda: self.office.ledger.capture(held, amount, key, final=final))

    def _void(self) -> None:
        if self.holds:
            held, key = self.chance.choice(self.holds), self.office.ledger.key()
            self._ask(lambda: self.office.ledger.void(held, key))

    def _swap(self) -> None:
        key, ledger = self.office.ledger.key(), self.office.ledger
        with suppress(SarrafError):
            offer = ledger.quote(self.ann, self.box, 2 * self.chance.randrange(1, 20))
            self._ask(lambda: ledger.accept(offer, key))

    def _post(self) -> None:
        self.office.poster.step()
        self.office.mine(self.chance.randrange(1, 4))
