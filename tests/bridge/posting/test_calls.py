"""Calls: the batches' call data, and the limits within which a batch stays."""

import pytest

from bridge.chain import contracts
from bridge.chain.transactions import TRANSACTION_GAS_MAX
from bridge.posting import calls
from bridge.store import limits
from bridge.store.chainstate import Times
from bridge.store.freezing import Item
from bridge.store.lanes import LaneId
from bridge.store.limits import Bounds
from bridge.store.programs import NewProgram
from exchange.earning import EarningRate
from exchange.points import Points
from exchange.words import EntryKind, EntryWord, digest

REFERENCE, TOKEN, OTHER = b"\1" * 20, b"\2" * 20, b"\3" * 20


def _items(count: int, kind: EntryKind = EntryKind.EARN, *versions: int) -> list[Item]:
    return [
        Item(place, f"op_{place}", REFERENCE, kind, place + 1, b"tag__", versions or None) for place in range(count)
    ]


@pytest.mark.parametrize("kind", ["program", "path"])
def test_entries_max__of_a_full_batch__fits_one_transaction(kind: str) -> None:
    count = calls.entries_max(kind)
    if kind == "program":
        frozen = calls.post(TOKEN, _items(count), 1, 99)
        assert frozen.gas_limit == calls.GAS_BASE + count * calls.GAS_PER_ENTRY
    else:
        frozen = calls.settle(TOKEN, [TOKEN, OTHER], _items(count, EntryKind.SWAP, 3), 1, 99)
        assert frozen.gas_limit == calls.GAS_BASE + count * calls.GAS_PER_LEG
    assert frozen.gas_limit <= TRANSACTION_GAS_MAX
    # Calldata must also pay its floor: 40 gas for each byte that is not zero (EIP-7623).
    assert 21_000 + 40 * len(frozen.calldata) <= frozen.gas_limit


def test_words__of_items__say_each_in_its_order() -> None:
    packed = calls.words(_items(3))
    assert [EntryWord.unpack(packed[at : at + 32]).amount for at in (0, 32, 64)] == [1, 2, 3]


def test_post__of_items__is_the_tokens_call_with_the_digest_of_its_words() -> None:
    items = _items(2)
    frozen = calls.post(TOKEN, items, 7, 99)
    assert (frozen.purpose, frozen.sequence, frozen.valid_until, frozen.target) == ("post", 7, 99, TOKEN)
    assert frozen.digest == digest(calls.words(items))
    assert frozen.calldata == contracts.encode_post(7, 99, calls.words(items))


def test_settle__of_items__names_the_version_that_they_share() -> None:
    items = _items(2, EntryKind.SWAP, 4)
    frozen = calls.settle(OTHER, [TOKEN, OTHER], items, 7, 99)
    assert (frozen.purpose, frozen.target) == ("settle", OTHER)
    assert frozen.calldata == contracts.encode_settle([TOKEN, OTHER], [4], 7, 99, calls.words(items))


def test_settle__along_a_path__names_a_version_for_each_hop_and_has_gas_for_it() -> None:
    items, path = _items(2, EntryKind.SWAP, 4, 5, 6), [TOKEN, OTHER, REFERENCE, b"\4" * 20]
    frozen = calls.settle(OTHER, path, items, 7, 99)
    assert frozen.calldata == contracts.encode_settle(path, [4, 5, 6], 7, 99, calls.words(items))
    assert frozen.gas_limit == calls.GAS_BASE + 2 * calls.GAS_PER_FURTHER_HOP + 2 * calls.GAS_PER_LEG


def test_settle__of_items_under_two_versions__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        calls.settle(OTHER, [TOKEN, OTHER], _items(1, EntryKind.SWAP, 4) + _items(1, EntryKind.SWAP, 5), 7, 99)


def test_controls__of_set_up__go_where_they_belong() -> None:
    lane = LaneId(3)
    assert calls.fund(4, lane, OTHER, 5).value_wei == 5
    times = Times(delay_s=0, notice_s=660, longest_quote_s=60, longest_batch_s=600, cap_period_s=86_400)
    exchange = calls.deploy_exchange(lane, admin=TOKEN, operator=OTHER, standby=REFERENCE, times=times)
    assert (exchange.target, exchange.purpose, exchange.gas_limit) == (None, "deploy-exchange", calls.GAS_DEPLOY)
    fixed = contracts.Times(0, 660, 60, 600, 86_400)
    assert exchange.calldata == contracts.exchange_init_code(TOKEN, OTHER, REFERENCE, fixed)
    admitted = calls.admit("prg_x", lane, OTHER, TOKEN, 5)
    assert (admitted.target, admitted.subject, admitted.calldata) == (OTHER, "prg_x", contracts.encode_admit(TOKEN, 5))
    announced = calls.announcement(admitted)
    assert (announced.purpose, announced.target, announced.lane_id) == ("announce", OTHER, lane)
    assert announced.calldata == contracts.encode_announce(admitted.calldata)


def test_deploy_token__of_a_program__begins_with_its_people_and_limits() -> None:
    bounds = {name: Bounds(100 + place, place) for place, name in enumerate(limits.NAMES)}
    new = NewProgram("prg_x", "X", "X", "points", EarningRate(Points(1), 100), None, bounds, transferable=True)
    people = calls.Signers(issuer=TOKEN, standby=OTHER, guardian=REFERENCE, admin=b"\4" * 20)
    made = calls.deploy_token(new, LaneId(3), people, exchange=b"\5" * 20, delay_s=7)
    assert (made.target, made.purpose, made.gas_limit) == (None, "deploy-token", calls.GAS_DEPLOY)
    setup = contracts.TokenSetup(
        "X",
        "X",
        issuer=TOKEN,
        standby=OTHER,
        guardian=REFERENCE,
        admin=b"\4" * 20,
        exchange=b"\5" * 20,
        transferable=True,
        delay=7,
        issuance=contracts.Bounds(100, 0),
        redemption=contracts.Bounds(101, 1),
        release=contracts.Bounds(102, 2),
    )
    assert made.calldata == contracts.token_init_code(setup)
