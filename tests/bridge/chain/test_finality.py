import pytest

from bridge.chain.errors import FinalityUnknown
from bridge.chain.finality import FinalityRule
from bridge.chain.rpc import Rpc

from .helpers import ANYBODY, Sender


@pytest.mark.parametrize("text", ["depth:0", "depth:12", "safe", "finalized"])
def test_rule__parsed_and_shown__is_the_same_text(text: str) -> None:
    assert str(FinalityRule.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "depth", "depth:", "depth:-1", "depth:1.5", "depth:²", "depth:1000001", "latest", "Safe", "12"],
)
def test_rule__that_nobody_defined__is_refused(text: str) -> None:
    with pytest.raises(FinalityUnknown):
        FinalityRule.parse(text)


@pytest.mark.parametrize(("depth", "head", "final"), [(0, 5, 5), (2, 5, 3), (5, 5, 0), (12, 5, 0)])
def test_final_number__by_depth__is_so_many_blocks_below(rpc: Rpc, depth: int, head: int, final: int) -> None:
    assert FinalityRule.parse(f"depth:{depth}").final_number(rpc, head) == final


@pytest.mark.parametrize("text", ["safe", "finalized"])
def test_final_number__by_the_chains_word__is_never_above_the_head(rpc: Rpc, sender: Sender, text: str) -> None:
    sender.send(ANYBODY)
    head = rpc.head_number()
    named = rpc.request("eth_getBlockByNumber", text, False)
    assert FinalityRule.parse(text).final_number(rpc, head) == min(head, int(named["number"], 16))
    assert FinalityRule.parse(text).final_number(rpc, 0) == 0
