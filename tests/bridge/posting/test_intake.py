"""Intake: what a block says of our batches, of what set the contracts up, and of what was not ours."""

import json
from dataclasses import replace
from itertools import permutations

import pytest
import sqlalchemy as sa

from bridge.chain import contracts
from bridge.chain.contracts import path_id
from bridge.chain.events import (
    Admitted,
    Announced,
    CapsLowered,
    CreditChanged,
    Event,
    LimitChanged,
    Posted,
    Settled,
    Suspended,
    TermsAdopted,
    TermsProposed,
)
from bridge.chain.rpc import Receipt
from bridge.fx.ecb import EcbRates
from bridge.posting import imports, intake, setup
from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.report import BlockReport, Seen
from bridge.posting.vetting import Vetting
from bridge.store import batches, chainstate, limits, programs, streams, terms
from bridge.store.batches import Control
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import deployment
from bridge.store.terms import Proposal
from exchange.points import MICRO_UNITS_MAX
from exchange.words import digest
from tests.bridge.posting.conftest import Office
from tests.bridge.posting.fake_chain import GAS_USED, revert_of
from tests.bridge.store.ledgers import EXCHANGE


def test_block__with_another_digest_at_our_sequence__trips_the_breaker(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mempool.clear()
    office.chain.mine(events=[(air.deployed_token, Posted(1, b"\6" * 32, 1_000, 0))])
    office.follow()
    assert office.breaker is not None
    assert "sequence 1" in office.breaker and air.id in office.breaker
    assert office.states(operation_id) == ["submitted"]
    assert not office.poster.step(), "posting stops"


def test_block__with_our_digest_in_a_transaction_that_is_not_ours__trips_the_breaker(
    office: Office, ann: Member, air: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    (frozen,) = office.ledger.unposted()
    assert frozen.digest is not None
    office.chain.mempool.clear()
    office.chain.mine(events=[(air.deployed_token, Posted(1, frozen.digest, 5, 0))])
    office.follow()
    assert office.breaker is not None
    assert office.states(operation_id) == ["submitted"]


def test_block__in_which_our_transaction_posted_another_digest__trips_the_breaker(
    office: Office, ann: Member, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    monkeypatch.setattr(office.chain, "_call", lambda *_: [Posted(1, b"\6" * 32, 5, 0)])
    office.mine()
    assert office.breaker is not None and air.id in office.breaker
    assert office.states(operation_id) == ["submitted"]


@pytest.mark.parametrize("known", [True, False], ids=["path in use", "path never used"])
def test_block__with_a_settlement_that_nobody_froze__trips_the_breaker(
    office: Office, ann: Member, air: Program, box: Program, known: bool
) -> None:
    if known:
        office.ledger.earn(ann, 10)
        office.settle()
        office.ledger.swap(ann, box, 10)
    name = path_id([air.deployed_token, box.deployed_token])
    office.chain.mine(events=[(EXCHANGE, Settled(name, 1, b"\6" * 32, 5, 5))])
    office.follow()
    assert office.breaker is not None and "sequence 1" in office.breaker


def test_settlement__in_a_ledger_of_many_paths__is_found_by_one_question(
    office: Office, air: Program, box: Program, car: Program
) -> None:
    tokens = {one.id: one.deployed_token for one in (air, box, car)}
    paths = [list(each) for length in (2, 3) for each in permutations(tokens, length)]
    for path in paths:
        office.ledger.do(streams.for_path, path)
    asked: list[str] = []
    with office.ledger.database.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        for path in paths:
            settled = Settled(path_id([tokens[one] for one in path]), 1, bytes(32), 5, 5)
            found = imports.stream_of(connection, Seen(EXCHANGE, bytes(32), settled))
            assert found is not None and found.programs == path
    assert sum(each.startswith("SELECT") for each in asked) == len(paths)


def test_block__in_which_our_transaction_reverted__is_noted_and_posts_nothing(office: Office, ann: Member) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[0])}
    office.mine(3)
    (frozen,) = office.ledger.unposted()
    assert frozen.reason == "refused because of what stood before it in its block"
    assert office.states(operation_id) == ["submitted"]
    assert [one.balance.posted for one in office.ledger.accounts(ann)] == [0]
    assert office.breaker is None


def test_block__that_refused_a_batch_and_is_gone__leaves_the_batch_to_be_taken_yet(office: Office, ann: Member) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[0])}
    office.mine()
    office.chain.reorganise(1)
    office.chain.refused = set()
    office.mine(2)  # another block, without the batch
    (again,) = office.ledger.unposted()
    assert again.reason is None
    office.poster.step()
    office.mine()
    assert office.states(operation_id) == ["confirmed"]
    assert office.ledger.batch(_batch_of(office, operation_id)).gas_used == GAS_USED


def test_block__with_two_batches__keeps_their_order(office: Office, ann: Member, box: Program) -> None:
    operations = office.ledger.earn(ann, 5), office.ledger.earn(office.ledger.member(box, "eve"), 7)
    office.post()
    for operation_id, raw in zip(operations, office.chain.blocks[-1].raw, strict=True):
        assert office.ledger.operation(operation_id).transaction_hash == digest(raw)
    assert [office.ledger.batch(_batch_of(office, one)).place for one in operations] == [0, 1]


def test_block__of_everything_at_once__confirms_what_is_ours_whatever_stands_before_it(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    call = Control("pause", box.id, box.admin_lane_id, b"\7" * 20, b"\0" * 4, 9)
    control = office.ledger.do(batches.add_control, call, office.ledger.now_ms)
    office.poster.step()
    foreign = (box.deployed_token, Posted(1, b"\6" * 32, 1, 0))
    office.chain.mine(events=[(air.deployed_token, LimitChanged(1, 700, 3, 9)), foreign])
    office.follow()
    assert office.states(operation_id) == ["confirmed"]
    assert (office.ledger.batch(control).state, office.ledger.batch(control).reason) == ("confirmed", None)
    assert office.breaker is not None and box.id in office.breaker


def _batch_of(office: Office, operation_id: str) -> str:
    batch_id = office.ledger.operation(operation_id).batch_id
    assert batch_id is not None
    return batch_id


def test_block__in_which_a_transaction_succeeded_without_its_event__is_no_confirmation(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receipt's status alone proves nothing about which batch was taken."""
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    monkeypatch.setattr(office.chain, "_call", lambda *_: [])
    office.mine()
    assert office.states(operation_id) == ["submitted"]
    assert office.ledger.unposted()[0].reason == "mined without the event of its batch"


def test_block__with_a_skipped_debit__freezes_the_account_when_it_is_final(
    office: Office, ann: Member, air: Program
) -> None:
    office.ledger.earn(ann, 5)
    office.post()
    earned, redeemed = office.ledger.earn(ann, 7), office.ledger.redeem(ann, 12)
    office.poster.step()
    office.chain.state.balances[air.deployed_token, ann.account] = 1
    office.mine()
    assert office.states(earned, redeemed) == ["confirmed", "confirmed"]
    office.mine(2)
    assert office.states(earned, redeemed) == ["final", "failed"]
    (account,) = office.ledger.accounts(ann)
    assert account.frozen
    assert account.balance.debits_pending == 12


def test_block__with_a_skipped_leg__gives_the_swap_back_when_it_is_final(
    office: Office, ann: Member, air: Program, box: Program
) -> None:
    office.ledger.earn(ann, 10)
    office.settle()
    operation_id = office.ledger.swap(ann, box, 10)
    office.poster.step()
    office.chain.state.balances[air.deployed_token, ann.account] = 1
    office.mine(3)
    assert office.states(operation_id) == ["failed"]
    (account,) = office.ledger.accounts(ann)
    assert (account.balance.available, account.frozen) == (10, True)


def test_blocks__out_of_order__are_a_bug(office: Office) -> None:
    office.mine(2)
    old, following = office.chain.blocks[1].block, office.chain.mine()
    for found in (old, replace(following, number=9), replace(following, parent_hash=b"\6" * 32)):
        with pytest.raises(AssertionError, match="blocks come in order"):
            office.ledger.do(intake.take_in, BlockReport(found, [], {}, [], []), 0, office.ledger.now_ms)


def test_undo_above__below_finality__trips_the_breaker_once(office: Office) -> None:
    office.mine(4)
    assert not office.ledger.do(intake.undo_above, 1, office.ledger.now_ms)
    first = office.breaker
    assert first is not None
    assert not office.ledger.do(intake.undo_above, 0, office.ledger.now_ms)
    assert office.breaker == first, "the first reason stays"


# -- set-up -----------------------------------------------------------------------------------


def _proposal(office: Office, air: Program, box: Program) -> str:
    proposal = Proposal(air.id, box.id, 3, 2, 1, 1, 7, "USD", air.id)
    return office.ledger.do(setup.propose, proposal, _vetting(), office.ledger.now_ms).id


def _vetting() -> Vetting:
    return Vetting(Gatekeeper(), EcbRates())


def _state(office: Office, terms_id: str) -> str:
    return office.ledger.ask(terms.by_id, terms_id).state


def test_control__that_the_chain_takes__is_confirmed_and_then_final(office: Office) -> None:
    control = office.control("fund", "lane 3")
    office.poster.step()
    office.mine()
    assert (office.ledger.batch(control).state, office.ledger.batch(control).gas_used) == ("confirmed", GAS_USED)
    office.mine(2)
    assert office.ledger.batch(control).state == "final"


def test_token__that_was_created__is_admitted_next(office: Office) -> None:
    new = office.ledger.program("NEW", active=False)
    office.control("deploy-token", new.id, None)
    office.poster.step()
    office.mine()
    found = office.ledger.ask(programs.by_id, new.id)
    assert found.token is not None and found.state == programs.DEPLOYING
    assert office.ledger.ask(batches.open_controls, "admit", new.id) == 1
    office.poster.step()
    announce, admit = (json.loads(raw)["data"] for raw in office.chain.sent[-2:])
    call = contracts.encode_admit(found.token, found.credit_limit_micro)
    assert (announce, admit) == (contracts.encode_announce(call).hex(), call.hex()), "without a delay both at once"
    office.chain.mine(events=[(EXCHANGE, Admitted(found.token, 9))])
    office.follow()
    assert office.ledger.ask(programs.by_id, new.id).state == programs.ACTIVE
    assert office.ledger.ask(programs.by_id, new.id).credit_limit_micro == 9


def test_token__that_was_created_where_calls_wait__is_admitted_when_the_chain_says(office: Office) -> None:
    with office.ledger.database.write() as connection:
        connection.execute(deployment.update().values(delay_s=100))
    new = office.ledger.program("NEW", active=False)
    office.control("deploy-token", new.id, None)
    office.post()
    token = office.ledger.ask(programs.by_id, new.id).token
    assert token is not None
    office.post()
    call = contracts.encode_admit(token, new.credit_limit_micro)
    assert _sent(office)[-1] == contracts.encode_announce(call)
    ready_at = office.ledger.now_ms // 1000 + 160  # the chain's clock is ahead of ours by a minute
    office.chain.mine(events=[(EXCHANGE, Announced(contracts.announcement_id(call), call, ready_at, ready_at + 9))])
    office.follow()
    assert office.ledger.ask(batches.count_unmined, office.ledger.now_ms) == 0, "a call before its time is not work"
    office.ledger.now_ms = ready_at * 1000 - 1
    office.poster.step()
    assert _sent(office)[-1] != call
    office.ledger.now_ms += 1
    office.poster.step()
    assert _sent(office)[-1] == call


def test_control__that_came_too_early__is_made_again_later(office: Office, air: Program) -> None:
    call = Control("admit", air.id, air.admin_lane_id, b"\7" * 20, b"\0" * 4, 9, value_wei=3)
    office.ledger.do(batches.add_control, call, office.ledger.now_ms)
    office.chain.reason = revert_of("TooEarly(uint256,uint256)", 7, 5)
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[0])}
    office.mine()
    office.poster.step()
    assert len(office.chain.sent) == 1
    office.ledger.now_ms += intake.TOO_EARLY_PAUSE_MS
    office.poster.step()
    first, second = (json.loads(raw) for raw in office.chain.sent)
    assert second == first | {"nonce": first["nonce"] + 1}
    assert office.ledger.ask(batches.open_controls, "admit", air.id) == 1


def test_limits_and_caps__changed_on_the_chain__are_so_in_the_ledger(
    office: Office, air: Program, box: Program
) -> None:
    terms_id = _proposal(office, air, box)
    office.ledger.do(terms.proposed, terms_id, 5)
    pair = (air.deployed_token, box.deployed_token)
    office.chain.mine(
        events=[
            (air.deployed_token, LimitChanged(1, 700, 3, 9)),
            (EXCHANGE, CapsLowered(*pair, 5, 60, 0, b"\1" * 20)),
            (EXCHANGE, CreditChanged(air.deployed_token, 2**100)),
        ]
    )
    office.follow()
    told = office.ledger.ask(limits.of_program, air.id)
    assert told[limits.REDEMPTION] == limits.Bounds(700, 3)
    assert told[limits.ISSUANCE] == office.ledger.ask(limits.of_program, box.id)[limits.ISSUANCE]
    row = office.ledger.ask(terms.by_id, terms_id)
    assert (row.managed_cap, row.wallet_cap) == (60, 0)
    assert office.ledger.ask(programs.by_id, air.id).credit_limit_micro == MICRO_UNITS_MAX, "as much as can be counted"


def test_token__created_again_after_a_reorganisation__is_admitted_once(office: Office) -> None:
    new = office.ledger.program("NEW", active=False)
    office.control("deploy-token", new.id, None)
    office.poster.step()
    office.mine()
    office.chain.reorganise(1, forget=False)
    office.mine(2)
    assert office.ledger.ask(batches.open_controls, "admit", new.id) == 1


def test_control__that_the_chain_refuses__fails_with_its_reason(office: Office, air: Program, box: Program) -> None:
    terms_id = _proposal(office, air, box)
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[0])}
    office.mine()
    found = office.ledger.ask(terms.by_id, terms_id)
    assert (found.state, found.reason) == (terms.FAILED, "refused because of what stood before it in its block")
    office.mine(2)
    assert office.breaker is None


def test_control__refused_in_a_block_that_is_gone__is_under_way_again(
    office: Office, air: Program, box: Program
) -> None:
    terms_id = _proposal(office, air, box)
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[0])}
    office.mine()
    assert _state(office, terms_id) == terms.FAILED
    office.chain.reorganise(1)
    office.chain.refused = set()
    office.mine(2)
    assert _state(office, terms_id) == terms.PROPOSING
    office.poster.step()
    transaction = digest(office.chain.sent[-1])
    office.chain.mine()
    _add_event(office, transaction, TermsProposed(air.deployed_token, box.deployed_token, 1, 3, 2, 7, 9, 0, b"\1" * 20))
    office.follow()
    found = office.ledger.ask(terms.by_id, terms_id)
    assert (found.state, found.version) == (terms.PROPOSED, 1)


def test_consent__that_the_chain_refuses__can_be_given_again(office: Office, air: Program, box: Program) -> None:
    terms_id = _proposal(office, air, box)
    office.ledger.do(terms.proposed, terms_id, 1)
    office.post()
    office.ledger.do(setup.consent, terms_id, box.id, _vetting(), office.ledger.now_ms)
    assert _state(office, terms_id) == terms.CONSENTING
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[-1])}
    office.mine()
    found = office.ledger.ask(terms.by_id, terms_id)
    assert (found.state, found.reason) == (terms.PROPOSED, "refused because of what stood before it in its block")
    office.chain.reorganise(1)
    office.mine(2)
    assert _state(office, terms_id) == terms.CONSENTING


def test_consent__that_comes_after_another_and_is_refused__changes_nothing(
    office: Office, air: Program, box: Program
) -> None:
    terms_id = _proposal(office, air, box)
    office.ledger.do(terms.proposed, terms_id, 1)
    office.post()
    office.ledger.do(setup.consent, terms_id, box.id, _vetting(), office.ledger.now_ms)
    office.poster.step()
    (late,) = office.chain.mempool.values()
    adopted = TermsAdopted(air.deployed_token, box.deployed_token, 1, 3, 2, 7, 9, 0, office.ledger.now_ms // 1000)
    office.chain.mempool.clear()
    office.chain.mine(events=[(EXCHANGE, adopted)])
    office.follow()
    assert _state(office, terms_id) == terms.ADOPTED
    office.chain.refused = {digest(late)}
    office.chain.mine(late)
    office.follow()
    assert _state(office, terms_id) == terms.ADOPTED


def test_terms__adopted_and_suspended_on_the_chain__are_so_in_the_ledger(
    office: Office, air: Program, box: Program
) -> None:
    terms_id = _proposal(office, air, box)
    office.ledger.do(terms.proposed, terms_id, 5)
    since = office.ledger.now_ms // 1000
    office.chain.mine(
        events=[(EXCHANGE, TermsAdopted(air.deployed_token, box.deployed_token, 5, 3, 2, 7, 9, 0, since))]
    )
    office.follow()
    found = office.ledger.ask(terms.in_force, air.id, box.id, since * 1000)
    assert found.id == terms_id
    office.chain.mine(events=[(EXCHANGE, Suspended(air.deployed_token, box.deployed_token, b"\1" * 20))])
    office.follow()
    row = office.ledger.ask(terms.by_id, terms_id)
    assert office.ledger.ask(terms.standing, row, office.ledger.now_ms) == terms.SUSPENDED
    assert row.suspended_ms == office.chain.blocks[-1].block.timestamp * 1000


def test_events__about_programs_that_are_not_ours__are_passed_over(office: Office, air: Program) -> None:
    foreign = b"\5" * 20
    office.chain.mine(
        events=[
            (EXCHANGE, Admitted(foreign, 1)),
            (EXCHANGE, CreditChanged(foreign, 1)),
            (foreign, LimitChanged(0, 1, 1, 1)),
            (EXCHANGE, CapsLowered(foreign, air.deployed_token, 1, 0, 0, foreign)),
            (EXCHANGE, TermsAdopted(air.deployed_token, foreign, 1, 1, 1, 1, 1, 1, 1)),
            (EXCHANGE, Suspended(foreign, air.deployed_token, foreign)),
            (foreign, Posted(1, b"\6" * 32, 1, 0)),
        ]
    )
    office.follow()
    assert office.breaker is None


def test_take_in__of_an_exchange_that_was_created__notes_where_it_stands(office: Office) -> None:
    office.control("deploy-exchange", None, None)
    office.poster.step()
    office.mine()
    deployment = office.ledger.ask(chainstate.get)
    assert deployment is not None
    assert (deployment.exchange, deployment.block_number) == (office.chain.blocks[1].receipts[0].contract_address, 1)


def _sent(office: Office) -> list[bytes]:
    """The call data of every transaction that was sent."""
    return [bytes.fromhex(json.loads(raw)["data"]) for raw in office.chain.sent]


def _add_event(office: Office, transaction: bytes, event: Event) -> None:
    """As if the transaction in the newest block had emitted it."""
    from tests.bridge.posting.fake_chain import _log

    newest = office.chain.blocks[-1]
    newest.logs.append(_log(EXCHANGE, event, transaction, newest.block.number, newest.block.hash))


def test_seen__and_receipts__are_what_a_report_is_made_of(office: Office, ann: Member) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mine()
    report = office.follower._report(office.chain.blocks[1].block)
    (seen,), (receipt,) = report.seen, report.receipts
    assert isinstance(seen, Seen) and isinstance(receipt, Receipt)
    assert seen.transaction_hash == receipt.transaction_hash
    assert report.raw_transactions == office.chain.sent
