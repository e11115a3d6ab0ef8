"""The follower: block by block, by hash, back to the common ancestor, and patient with a node that lags."""

import json
from dataclasses import replace

import pytest

from bridge.chain.errors import ChainError, ChainUnreachable, RpcRefused
from bridge.chain.events import TRANSFER, Transfer, topic_of
from bridge.chain.finality import FinalityRule
from bridge.chain.rpc import Block, BlockId, Log
from bridge.posting import follower
from bridge.posting.report import BlockReport
from bridge.store import attempts, blocks, breaker, schema
from bridge.store.breaker import Alarm
from bridge.store.members import Member
from bridge.store.programs import Program
from exchange.words import digest
from tests.bridge.posting.conftest import Office
from tests.bridge.store.ledgers import EXCHANGE, new_hash


def _tip(office: Office) -> tuple[int, bytes]:
    tip = office.ledger.ask(blocks.tip)
    assert tip is not None
    return tip.number, tip.hash


def _is_the_chain(office: Office) -> bool:
    with office.ledger.database.read() as connection:
        ours = [(one.number, one.hash, raw) for one, raw in blocks.journal_after(connection, 0)]
    return ours == [(mined.block.number, mined.block.hash, tuple(mined.raw)) for mined in office.chain.blocks[1:]]


def test_step__of_new_blocks__takes_them_in_with_their_journal(office: Office, ann: Member) -> None:
    office.ledger.earn(ann, 5)
    office.poster.step()
    office.mine(3)
    assert _is_the_chain(office)
    assert office.follower.head == 3
    final = office.ledger.ask(blocks.newest_final)
    assert final is not None and final.number == 1
    assert not office.follower.step()


def test_step__with_a_node_that_lags__waits_for_it(office: Office, ann: Member) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.post()
    office.mine(2)
    before = office.ledger.everything()
    for shown in (2, 1, 0):
        office.chain.shown = shown
        assert not office.follower.step()
        assert office.ledger.everything() == before
    office.chain.shown = None
    office.mine()
    assert _is_the_chain(office)
    assert office.states(operation_id) == ["final"]


def test_step__after_a_reorganisation__goes_back_to_the_common_ancestor_and_sends_again(
    office: Office, ann: Member
) -> None:
    kept = office.ledger.earn(ann, 5)
    office.post()
    undone = office.ledger.earn(ann, 7)
    office.post()
    assert office.states(kept, undone) == ["confirmed"] * 2
    office.chain.reorganise(1)
    office.mine(2)
    assert _is_the_chain(office)
    assert office.states(undone) == ["submitted"]
    assert [one.sent_ms for one in office.ledger.ask(attempts.unmined)] == [None]
    assert office.breaker is None
    office.post()
    assert office.states(undone) == ["confirmed"]
    assert len(set(office.chain.sent)) == 2, "the same bytes were sent again"
    assert office.chain.state.balances.total() == 12
    office.mine(2)
    assert office.reconciler.audit().differences == 0


def test_step__after_a_reorganisation_to_a_chain_as_long__finds_that_the_tip_is_another(
    office: Office, ann: Member
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.post()
    office.chain.reorganise(1)
    office.chain.mine()
    assert _tip(office)[1] != office.chain.blocks[-1].block.hash
    office.follow()
    assert _is_the_chain(office)
    assert office.states(operation_id) == ["submitted"]


def test_step__after_a_reorganisation_to_a_shorter_chain__waits_until_it_has_grown(office: Office, ann: Member) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.post()
    office.mine()
    office.chain.reorganise(2)
    office.chain.mine()
    assert not office.follower.step()
    assert office.states(operation_id) == ["confirmed"]
    office.mine()
    assert _is_the_chain(office)
    assert office.states(operation_id) == ["submitted"]


def test_step__after_a_reorganisation_that_put_it_into_another_block__confirms_it_there(
    office: Office, ann: Member
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.post()
    assert office.ledger.operation(operation_id).block_number == 1
    office.chain.reorganise(1, forget=False)
    waiting = dict(office.chain.mempool)
    office.chain.mempool.clear()
    office.chain.mine()
    office.chain.mempool |= waiting
    office.mine()
    assert office.ledger.operation(operation_id).block_number == 2
    assert office.states(operation_id) == ["confirmed"]


def test_step__after_a_reorganisation_below_finality__trips_the_breaker_and_undoes_nothing(
    office: Office, ann: Member
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.post()
    office.mine(3)
    assert office.states(operation_id) == ["final"]
    before = office.ledger.everything("breaker", "breaker_event")
    office.chain.reorganise(4)
    for _ in range(5):
        office.chain.mine()
    for _ in range(3):
        assert not office.follower.step()
    assert office.breaker is not None and "which was final" in office.breaker
    assert office.ledger.everything("breaker", "breaker_event") == before


def test_step__once_it_has_tripped_the_breaker_for_a_reorganisation__walks_back_no_further(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.mine(4)
    office.chain.reorganise(4)
    for _ in range(5):
        office.chain.mine()
    office.follower.step()
    assert office.breaker is not None
    asked: list[BlockId] = []
    block = office.chain.block
    monkeypatch.setattr(office.chain, "block", lambda number: [asked.append(number), block(number)][1])
    assert not office.follower.step()
    assert asked == [5], "the block behind its own, and none on the way back"
    office.ledger.do(breaker.reset, "looked at", office.ledger.now_ms)
    assert not office.follower.step()
    assert office.breaker is not None, "but once the operator has looked at it"


def test_step__while_the_breaker_is_tripped_for_something_else__follows_a_reorganisation(office: Office) -> None:
    office.mine(2)
    office.ledger.do(breaker.trip, Alarm.BY_HAND, "for a test", office.ledger.now_ms)
    office.chain.reorganise(1)
    for _ in range(2):
        office.chain.mine()
    office.follow()
    assert _is_the_chain(office)


def test_step__where_a_block_is_lost_on_the_way_back__asks_again_and_trips_nothing(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one address stand two nodes, of which the other lags."""
    office.ledger.earn(ann, 5)
    office.post()
    office.mine(2)
    office.chain.reorganise(1)
    office.chain.mine()
    office.chain.mine()
    block = office.chain.block
    with monkeypatch.context() as patched:
        patched.setattr(office.chain, "block", lambda number: None if number == 2 else block(number))
        with pytest.raises(ChainError):
            office.follower.step()
    assert office.breaker is None
    office.follow()
    assert _is_the_chain(office)


def test_step__without_a_journal__asks_for_no_raw_transactions(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node keeps its own chain."""
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.follower._journal = False
    monkeypatch.setattr(office.chain, "raw_transactions", lambda _: pytest.fail("it was asked"))
    office.mine()
    assert office.states(operation_id) == ["confirmed"]


def test_step__where_a_receipt_is_missing__takes_nothing_in(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.chain.mine()
    for missing in ("receipts", "raw_transactions"):
        with monkeypatch.context() as patched:
            patched.setattr(office.chain, missing, lambda hashes: [None for _ in hashes])
            with pytest.raises(ChainError):
                office.follower.step()
        assert _tip(office)[0] == 0
    office.follow()
    assert office.states(operation_id) == ["confirmed"]


def test_step__while_the_node_is_down__raises_what_the_service_waits_out(office: Office) -> None:
    office.chain.down = True
    with pytest.raises(ChainUnreachable):
        office.follower.step()


def test_step__where_the_chain_names_its_final_block__finalises_without_a_new_one(office: Office, ann: Member) -> None:
    office.finality = FinalityRule.parse("finalized")
    office.begin()
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.mine()
    assert office.states(operation_id) == ["confirmed"]
    office.chain.finalized = 1
    assert office.follower.step()
    assert office.states(operation_id) == ["final"]
    assert not office.follower.step()


def test_step__of_a_swap__confirms_both_sides(office: Office, ann: Member, box: Program) -> None:
    office.ledger.earn(ann, 100)
    office.settle()
    operation_id = office.ledger.swap(ann, box, 40)
    office.post()
    assert office.states(operation_id) == ["confirmed"]
    office.mine(2)
    ben = office.ledger.member(box, "ben")
    assert [one.balance.posted for one in office.ledger.accounts(ben)] == [0, 20]
    assert office.reconciler.audit().differences == 0


def test_step__where_another_branch_is_called_final__waits_until_it_is_ours(
    office: Office, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one address there may be several nodes: the one that says what is final is on another branch."""
    office.finality = FinalityRule.parse("finalized")
    office.begin()
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    office.mine(2)
    honest = office.chain.block
    other = replace(office.chain.blocks[1].block, hash=new_hash())
    monkeypatch.setattr(office.chain, "block", lambda asked: other if asked == "finalized" else honest(asked))
    assert not office.follower.step()
    assert office.states(operation_id) == ["confirmed"]
    office.chain.block = honest  # type: ignore[method-assign]
    office.chain.finalized = 1
    assert office.follower.step()
    assert office.states(operation_id) == ["final"]


@pytest.mark.parametrize("of_ours", [True, False], ids=["our batch", "a batch of somebody else"])
def test_step__of_a_block_whose_logs_the_node_does_not_show_yet__waits(
    office: Office, ann: Member, air: Program, of_ours: bool
) -> None:
    """An index of logs may lag behind its node's blocks. No logs then means nothing."""
    operation_id = office.ledger.earn(ann, 5)
    office.poster.step()
    if not of_ours:
        signed = json.loads(office.chain.mempool.popitem()[1])
        signed["max_fee"] += 1
        office.chain.mempool[b"other"] = json.dumps(signed).encode()
    office.chain.mine()
    office.chain.logs_lag = True
    with pytest.raises(RpcRefused, match="no logs yet"):
        office.follower.step()
    if of_ours:  # even where the header says nothing
        mined = office.chain.blocks[1]
        mined.block = replace(mined.block, logs_bloom=bytes(256))
        with pytest.raises(RpcRefused, match="not all logs yet"):
            office.follower.step()
    assert office.states(operation_id) == ["submitted"]
    assert office.ledger.stream(air).last_sequence == 1
    office.chain.logs_lag = False
    office.follow()
    assert office.states(operation_id) == ["confirmed" if of_ours else "submitted"]
    assert (office.breaker is None) == of_ours


def test_step__of_two_batches_of_which_the_node_shows_the_logs_of_one__waits(
    office: Office, ann: Member, air: Program, box: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [office.ledger.earn(ann, 5), office.ledger.earn(office.ledger.member(box, "ben"), 7)]
    office.poster.step()
    office.chain.mine()
    known = office.chain.logs
    for shown in (air, box):
        with monkeypatch.context() as patched:
            patched.setattr(
                office.chain,
                "logs",
                lambda *asked, token=shown.token: [one for one in known(*asked) if one.address == token],
            )
            with pytest.raises(RpcRefused, match="not all logs yet"):
                office.follower.step()
        assert office.states(*both) == ["submitted"] * 2
    office.follow()
    assert office.states(*both) == ["confirmed"] * 2


@pytest.mark.usefixtures("air")
def test_step__of_a_block_whose_header_hints_at_logs_of_ours_where_there_are_none__takes_it_in(office: Office) -> None:
    """A bloom filter may say so of any address."""
    office.chain.mine(office.chain.foreign(b"\x77" * 20))
    mined = office.chain.blocks[-1]
    mined.block = replace(mined.block, logs_bloom=b"\xff" * 256)
    office.follow()
    assert _is_the_chain(office)


# -- what holders do among themselves ----------------------------------------------------------

ALICE, BOB, NOBODY = b"\xa1" * 20, b"\xb2" * 20, bytes(20)


@pytest.mark.parametrize(
    ("source", "destination", "transferable", "told"),
    [
        (ALICE, BOB, True, [Transfer(ALICE, BOB, 7)]),
        (ALICE, BOB, False, []),  # only what moves points to and from wallets, which has events of its own
        (NOBODY, BOB, True, []),
        (ALICE, NOBODY, True, []),
    ],
)
def test_step__of_points_that_pass_from_wallet_to_wallet__tells_of_them_where_the_program_lets_them(
    office: Office,
    air: Program,
    monkeypatch: pytest.MonkeyPatch,
    source: bytes,
    destination: bytes,
    transferable: bool,
    told: list[Transfer],
) -> None:
    office.mine()
    with office.ledger.database.write() as connection:
        connection.execute(schema.program.update().values(transferable=transferable))
    assert air.token is not None
    block = office.chain.mine()
    office.chain.blocks[-1].logs.append(_transfer(air.token, source, destination, 7, block))
    reports: list[BlockReport] = []
    monkeypatch.setattr(follower, "take_in", lambda _, report, *_rest: reports.append(report))
    office.follower._next()
    (report,) = reports
    assert [one.event for one in report.seen] == told


def _transfer(token: bytes, source: bytes, destination: bytes, points: int, block: Block) -> Log:
    addresses = (source.rjust(32, b"\0"), destination.rjust(32, b"\0"))
    return Log(token, (topic_of(TRANSFER), *addresses), points.to_bytes(32), new_hash(), 0, block.hash, block.number)


# -- why a call was refused --------------------------------------------------------------------


def _refused(office: Office, target: bytes | None) -> str | None:
    """Why the chain refused a call, as the ledger has it."""
    call = office.control("fund", "lane 9", target)
    office.poster.step()
    office.chain.refused = {digest(office.chain.sent[-1])}
    office.mine()
    return office.ledger.batch(call).reason


def test_step__of_a_refused_call__asks_why_as_of_the_block_before(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.mine(2)
    asked: list[object] = []
    monkeypatch.setattr(office.chain, "call", lambda *given, **_: asked.append(given[2]))
    assert _refused(office, EXCHANGE) == "refused because of what stood before it in its block"
    assert asked == [2]


def test_step__of_a_refused_call__whose_state_the_node_no_longer_has__goes_on_without_the_reason(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> bytes:
        raise RpcRefused(-32000, "missing trie node", method="eth_call")

    monkeypatch.setattr(office.chain, "call", lost)
    assert _refused(office, EXCHANGE) == "the node could not tell why"


def test_step__of_a_contract_that_was_not_created__says_so(office: Office) -> None:
    assert _refused(office, None) == "the contract could not be created"
