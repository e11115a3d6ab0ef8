"""Each kind of fault does what it says, and the service's client makes the right error of it."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.chain.errors import ChainUnreachable, RpcRefused
from bridge.chain.messages import MESSAGES, Meaning, NodeMessage
from tests.faults.answers import Kind
from tests.faults.faults import LOGS, RECEIPT, SEND, Faults
from tests.faults.small_chain import TOKEN, SmallChain, word
from tests.faults.wrapped import FaultyRpc

ADDRESS = bytes.fromhex(TOKEN[2:])
HEAD = 20


@pytest.fixture
def chain() -> SmallChain:
    return SmallChain(HEAD)


@pytest.fixture
def faults() -> Faults:
    return Faults(seed=1)


@pytest.fixture
def rpc(chain: SmallChain, faults: Faults) -> FaultyRpc:
    return FaultyRpc(faults, chain.forward)


def said(node: str, meaning: Meaning) -> NodeMessage:
    """One thing that this node says with this meaning."""
    return next(one for one in MESSAGES if one.node == node and one.meaning is meaning)


def block_hash(number: int) -> bytes:
    return bytes.fromhex(word(number + 1)[2:])


# -- requests and answers -------------------------------------------------------------------------


def test_plan__with_nothing_in_it__changes_nothing(rpc: FaultyRpc, faults: Faults) -> None:
    assert rpc.head_number() == HEAD
    assert [log.block_number for log in rpc.logs_in_range(0, HEAD, [ADDRESS])] == list(range(HEAD + 1))
    assert not faults.injected


def test_lost_request__never_reaches_the_node(rpc: FaultyRpc, faults: Faults, chain: SmallChain) -> None:
    faults.plan(Kind.LOSE_REQUEST, SEND)
    with pytest.raises(ChainUnreachable):
        rpc.send_raw(b"one")
    assert chain.taken == []
    rpc.send_raw(b"one")
    assert chain.taken == ["0x" + b"one".hex()]
    assert faults.injected == {Kind.LOSE_REQUEST: 1}


def test_lost_answer__was_taken_all_the_same(rpc: FaultyRpc, faults: Faults, chain: SmallChain) -> None:
    faults.plan(Kind.LOSE_ANSWER, SEND)
    with pytest.raises(ChainUnreachable):
        rpc.send_raw(b"one")
    assert len(chain.taken) == 1
    with pytest.raises(RpcRefused) as refused:
        rpc.send_raw(b"one")
    assert refused.value.meaning is Meaning.ALREADY_KNOWN


def test_late_requests__arrive_when_they_are_delivered__in_another_order(
    rpc: FaultyRpc, faults: Faults, chain: SmallChain
) -> None:
    faults.plan(Kind.LATE_REQUEST, SEND, times=5)
    for number in range(5):
        with pytest.raises(ChainUnreachable):
            rpc.send_raw(bytes([number]))
    assert chain.taken == []
    assert faults.deliver_late(shuffled=True) == 5
    assert sorted(chain.taken) == [f"0x0{number}" for number in range(5)] != chain.taken
    assert faults.deliver_late() == 0


def test_doubled_request__is_heard_twice__and_the_second_answer_is_told(
    rpc: FaultyRpc, faults: Faults, chain: SmallChain
) -> None:
    faults.plan(Kind.DOUBLE_REQUEST, SEND)
    with pytest.raises(RpcRefused) as refused:
        rpc.send_raw(b"one")
    assert refused.value.meaning is Meaning.ALREADY_KNOWN
    assert chain.asked[SEND] == 2


@pytest.mark.parametrize("row", [one for one in MESSAGES if one.code is not None], ids=lambda one: one.text[:40])
def test_refusal__in_the_words_of_a_node__means_what_the_table_says(
    rpc: FaultyRpc, faults: Faults, chain: SmallChain, row: NodeMessage
) -> None:
    faults.plan(Kind.REFUSE, SEND, row=row)
    faults.plan(Kind.REFUSE_TAKEN, row=row)
    for taken in ([], ["0x01"]):
        with pytest.raises(RpcRefused) as refused:
            rpc.send_raw(b"\x01")
        assert (refused.value.meaning, refused.value.code) == (row.meaning, row.code)
        assert chain.taken == taken


# -- what is hidden ---------------------------------------------------------------------------


def test_hidden_receipt__is_as_if_it_were_not_mined(rpc: FaultyRpc, faults: Faults) -> None:
    hidden = faults.plan(Kind.HIDE_RECEIPT, times=None)
    assert rpc.receipts([block_hash(1), block_hash(2)]) == [None, None]
    assert hidden.injected == 2
    hidden.stop()
    assert rpc.receipt(block_hash(1)) is not None


def test_hidden_transaction__is_unknown(rpc: FaultyRpc, faults: Faults) -> None:
    faults.plan(Kind.HIDE_TRANSACTION)
    assert rpc.raw_transaction(block_hash(1)) is None
    assert rpc.raw_transaction(block_hash(1)) == b"\x01"


def test_empty_logs__are_told_as_if_there_were_none(rpc: FaultyRpc, faults: Faults) -> None:
    faults.plan(Kind.EMPTY_LOGS)
    assert rpc.logs(block_hash(3), [ADDRESS]) == []
    assert len(rpc.logs(block_hash(3), [ADDRESS])) == 1


def test_lagging_node__agrees_with_itself__and_knows_nothing_later(
    rpc: FaultyRpc, faults: Faults, chain: SmallChain
) -> None:
    faults.view.lag(3)
    shown = HEAD - 3
    assert rpc.head_number() == shown
    for name in ("latest", "safe", "finalized"):
        newest = rpc.block(name)
        assert newest is not None and newest.number == shown
    assert rpc.block(shown + 1) is None and rpc.block(block_hash(shown + 1)) is None
    assert rpc.block(shown) is not None and rpc.block(block_hash(shown)) is not None
    assert rpc.receipts([block_hash(shown), block_hash(shown + 1)])[1] is None
    assert rpc.raw_transactions([block_hash(shown), block_hash(shown + 1)]) == [b"\x01", None]
    assert rpc.logs(block_hash(shown + 1), [ADDRESS]) == []
    assert rpc.transaction_count(ADDRESS) == shown
    assert rpc.call(ADDRESS, b"\0") == shown.to_bytes(32, "big")
    with pytest.raises(RpcRefused) as refused:
        rpc.call(ADDRESS, b"\0", shown + 1)
    assert refused.value.meaning is Meaning.BLOCK_NOT_FOUND
    assert faults.injected[Kind.OLD_HEAD] >= 10
    chain.head += 1
    assert rpc.head_number() == shown + 1
    faults.view.stick_at(5)
    assert rpc.head_number() == 5
    faults.view.catch_up()
    assert rpc.head_number() == HEAD + 1


# -- ranges of logs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [one for one in MESSAGES if one.meaning in (Meaning.RANGE_TOO_WIDE, Meaning.TIMED_OUT)],
    ids=lambda one: f"{one.node}-{one.text[:30]}",
)
def test_range_limit__in_the_words_of_each_node__is_halved_until_it_fits(
    rpc: FaultyRpc, faults: Faults, chain: SmallChain, row: NodeMessage
) -> None:
    faults.plan(Kind.LOG_RANGE, times=None, limit=3, row=row)
    found = rpc.logs_in_range(0, HEAD, [ADDRESS])
    assert [log.block_number for log in found] == list(range(HEAD + 1))
    assert faults.injected[Kind.LOG_RANGE] > 0
    assert chain.asked[LOGS] <= HEAD + 1


def test_range_limit__once_met__is_remembered(rpc: FaultyRpc, faults: Faults) -> None:
    faults.plan(Kind.LOG_RANGE, times=None, limit=3, row=said("QuickNode", Meaning.RANGE_TOO_WIDE))
    rpc.logs_in_range(0, HEAD, [ADDRESS])
    met = faults.injected[Kind.LOG_RANGE]
    rpc.logs_in_range(0, HEAD, [ADDRESS])
    assert faults.injected[Kind.LOG_RANGE] == met


@pytest.mark.parametrize("row", [one for one in MESSAGES if one.meaning is Meaning.RESULT_TOO_LARGE], ids=str)
def test_result_limit__is_halved_where_it_is_met__and_tried_wide_again(
    rpc: FaultyRpc, faults: Faults, row: NodeMessage
) -> None:
    faults.plan(Kind.LOG_COUNT, times=2, limit=5, row=row)
    assert len(rpc.logs_in_range(0, HEAD, [ADDRESS])) == HEAD + 1
    assert faults.injected[Kind.LOG_COUNT] == 2
    assert len(rpc.logs_in_range(0, HEAD, [ADDRESS])) == HEAD + 1


def test_range_limit__that_refuses_even_one_block__is_told(rpc: FaultyRpc, faults: Faults, chain: SmallChain) -> None:
    faults.plan(Kind.LOG_COUNT, times=None, limit=0, row=said("Infura", Meaning.RESULT_TOO_LARGE))
    with pytest.raises(RpcRefused) as refused:
        rpc.logs_in_range(0, HEAD, [ADDRESS])
    assert refused.value.meaning is Meaning.RESULT_TOO_LARGE
    assert chain.asked[LOGS] <= 6


def test_range__refused_for_another_reason__is_not_asked_again(
    rpc: FaultyRpc, faults: Faults, chain: SmallChain
) -> None:
    faults.plan(Kind.REFUSE, LOGS, times=None, row=said("Alchemy", Meaning.RATE_LIMITED))
    with pytest.raises(RpcRefused) as refused:
        rpc.logs_in_range(0, HEAD, [ADDRESS])
    assert refused.value.meaning is Meaning.RATE_LIMITED
    assert chain.asked[LOGS] == 0 and faults.injected[Kind.REFUSE] == 1


def test_range__that_a_lagging_node_would_cut_short__is_refused(rpc: FaultyRpc, faults: Faults) -> None:
    faults.view.lag(3)
    with pytest.raises(ChainUnreachable, match="lags"):
        rpc.logs_in_range(0, HEAD, [ADDRESS])
    assert len(rpc.logs_in_range(0, HEAD - 3, [ADDRESS])) == HEAD - 2


# -- the plan -----------------------------------------------------------------------------------


def test_odds__from_one_seed__are_the_same_again() -> None:
    def run(seed: int) -> list[bool]:
        faults, chain = Faults(seed), SmallChain(HEAD)
        rpc = FaultyRpc(faults, chain.forward)
        faults.plan(Kind.LOSE_REQUEST, times=None, chance=(1, 3))
        return [_reaches(rpc) for _ in range(40)]

    assert run(7) == run(7) != run(8)
    assert 10 < sum(run(7)) < 40


def _reaches(rpc: FaultyRpc) -> bool:
    try:
        rpc.head_number()
    except ChainUnreachable:
        return False
    return True


def test_plan__for_some_methods_and_later_requests__spares_the_others(rpc: FaultyRpc, faults: Faults) -> None:
    faults.plan(Kind.LOSE_REQUEST, RECEIPT, after=1)
    assert rpc.head_number() == HEAD
    assert rpc.receipt(block_hash(1)) is not None
    with pytest.raises(ChainUnreachable):
        rpc.receipt(block_hash(1))
    assert rpc.receipt(block_hash(1)) is not None


NONSENSE: list[Any] = [None, {}, [], 7, "zz", {"number": "0x1"}, [None], [{}]]


@pytest.mark.parametrize("answer", NONSENSE, ids=repr)
def test_answer__that_makes_no_sense__is_the_nodes_failure_and_no_bug(faults: Faults, answer: Any) -> None:
    rpc = FaultyRpc(faults, lambda _method, _params: answer)
    asks: list[Callable[[], object]] = [
        rpc.chain_id,
        rpc.head_number,
        rpc.priority_fee,
        rpc.base_fee,
        lambda: rpc.call(ADDRESS, b""),
    ]
    if answer is not None:
        asks += [lambda: rpc.block(1), lambda: rpc.receipt(block_hash(1)), lambda: rpc.raw_transaction(block_hash(1))]
    if answer != []:
        asks.append(lambda: rpc.logs(block_hash(1), [ADDRESS]))
    for ask in asks:
        with pytest.raises(ChainUnreachable):
            ask()


def test_block_or_logs__of_another_block_than_asked__are_refused(faults: Faults, chain: SmallChain) -> None:
    shifted: dict[str, list[Any]] = {
        "eth_getBlockByNumber": ["0x2", False],
        LOGS: [{"blockHash": word(3)}],
        RECEIPT: [word(3)],
    }
    rpc = FaultyRpc(faults, lambda method, params: chain.forward(method, shifted.get(method, params)))
    asks: list[Callable[[], object]] = [
        lambda: rpc.block(1),
        lambda: rpc.logs(block_hash(1), [ADDRESS]),
        lambda: rpc.receipt(block_hash(1)),
        lambda: rpc.logs_in_range(0, 1, [ADDRESS]),
    ]
    for ask in asks:
        with pytest.raises(ChainUnreachable, match="cannot be"):
            ask()
