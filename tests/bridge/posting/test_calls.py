"""Calls: the batches' call data, and the limits within which a batch stays."""

import pytest

from bridge.chain import contracts
from bridge.chain.transactions import TRANSACTION_GAS_MAX
from bridge.posting import calls
from bridge.store.freezing import Item
from bridge.store.lanes import LaneId
from exchange.words import EntryKind, EntryWord, digest

REFERENCE, TOKEN, OTHER = b"\1" * 20, b"\2" * 20, b"\3" * 20


def _items(count: int, kind: EntryKind = EntryKind.EARN, version: int | None = None) -> list[Item]:
    return [Item(place, f"op_{place}", REFERENCE, kind, place + 1, b"tag__", version) for place in range(count)]


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


def test_settle__of_items_under_two_versions__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        calls.settle(OTHER, [TOKEN, OTHER], _items(1, EntryKind.SWAP, 4) + _items(1, EntryKind.SWAP, 5), 7, 99)


def test_controls__of_set_up__go_where_they_belong() -> None:
    lane = LaneId(3)
    assert calls.fund(4, lane, OTHER, 5).value_wei == 5
    assert calls.deploy_exchange(lane, TOKEN, OTHER, 60).target is None
    admitted = calls.admit("prg_x", lane, OTHER, TOKEN)
    assert (admitted.target, admitted.subject, admitted.calldata) == (OTHER, "prg_x", contracts.encode_admit(TOKEN))
    made = calls.deploy_token("prg_x", lane, name="X", symbol="X", issuer=TOKEN, admin=TOKEN, exchange=OTHER)
    assert (made.target, made.purpose, made.gas_limit) == (None, "deploy-token", calls.GAS_DEPLOY)
