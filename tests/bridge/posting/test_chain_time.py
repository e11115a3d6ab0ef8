"""The chain's time: by its newest block, by the node, or by our clock, whichever can be relied on."""

import pytest

from bridge.chain.errors import ChainUnreachable, RpcRefused
from bridge.chain.rpc import Rpc
from bridge.posting.chain_time import ASK_AGAIN_MS, FRESH_S, ChainTime
from bridge.store.blocks import KnownBlock

TIP_S = 1_800_000_000
TIP = KnownBlock(7, b"\7" * 32, bytes(32), TIP_S, final=False)
NEXT = KnownBlock(8, b"\x08" * 32, TIP.hash, TIP_S + 12, final=False)
HOUR_S = 3_600


class Node(Rpc):
    """Says `pending`, or raises it."""

    def __init__(self, pending: int | Exception | None) -> None:
        super().__init__("http://127.0.0.1:1")
        self.pending = pending
        self.asked = 0

    def pending_time(self) -> int | None:
        self.asked += 1
        if isinstance(self.pending, Exception):
            raise self.pending
        return self.pending


def _now_s(pending: int | Exception | None, clock_s: int) -> int:
    return ChainTime(Node(pending), lambda: clock_s * 1000).now_s(TIP)


@pytest.mark.parametrize("clock_s", [TIP_S - HOUR_S, TIP_S, TIP_S + FRESH_S])
def test_now__behind_a_block_that_is_fresh__asks_nobody(clock_s: int) -> None:
    node = Node(TIP_S + HOUR_S)
    assert ChainTime(node, lambda: clock_s * 1000).now_s(TIP) == max(clock_s, TIP_S)
    assert node.asked == 0


@pytest.mark.parametrize(
    ("pending", "now_s"),
    [
        (TIP_S + 12, TIP_S + 12),  # our clock is ahead
        (TIP_S + HOUR_S, TIP_S + HOUR_S),  # the chain stands still
        (TIP_S + 2 * HOUR_S, TIP_S + HOUR_S),  # the node's clock is ahead
        (TIP_S, TIP_S),  # it knows no later block than the newest
        (TIP_S - 12, TIP_S),  # it lags
        (None, TIP_S),
        (RpcRefused(-32601, "not supported"), TIP_S),
    ],
)
def test_now__an_hour_behind_the_newest_block__is_the_earlier_of_the_nodes_time_and_ours(
    pending: int | Exception | None, now_s: int
) -> None:
    assert _now_s(pending, TIP_S + HOUR_S) == now_s


def test_now__from_a_node_that_is_away__is_not_known() -> None:
    with pytest.raises(ChainUnreachable):
        _now_s(ChainUnreachable("away"), TIP_S + HOUR_S)


def test_now__asked_often__asks_the_node_once_a_second_and_for_each_block() -> None:
    node, clock_ms = Node(TIP_S + 20), [(TIP_S + HOUR_S) * 1000]
    time = ChainTime(node, lambda: clock_ms[0])
    assert [time.now_s(TIP) for _ in range(3)] == [TIP_S + 20] * 3
    assert node.asked == 1
    time.now_s(NEXT)
    assert node.asked == 2
    for jump_ms in (ASK_AGAIN_MS, -2 * ASK_AGAIN_MS):
        clock_ms[0] += jump_ms
        time.now_s(NEXT)
    assert node.asked == 4
