"""The table of node messages: every line means what it says, and the page shows the same."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import write_node_messages
from bridge.chain.errors import RpcRefused
from bridge.chain.messages import CODES, EXPLAINED, MESSAGE_CHARS_MAX, MESSAGES, Meaning, NodeMessage, meaning_of

NODES = {"geth", "Erigon", "Nethermind", "Besu", "Reth", "anvil", "Hardhat", "Alchemy", "Infura", "QuickNode"}
#: what each node's pool may refuse a transaction with, and every one of them must be known by
TOLD_BY_EVERY_NODE = {
    Meaning.ALREADY_KNOWN,
    Meaning.NONCE_TOO_LOW,
    Meaning.REPLACEMENT_UNDERPRICED,
    Meaning.INSUFFICIENT_FUNDS,
    Meaning.GAS_LIMIT,
    Meaning.BLOCK_NOT_FOUND,
}


@pytest.mark.parametrize("row", MESSAGES, ids=lambda one: f"{one.node}-{one.text[:30]}")
def test_line__as_it_might_arrive__means_what_it_says(row: NodeMessage) -> None:
    for said in (row.example(), row.example().upper(), f"err: {row.example()}, and more"):
        assert meaning_of(row.code or 0, said) is row.meaning
    assert RpcRefused(row.code or 0, row.example()).meaning is row.meaning
    assert row.source.startswith("https://") or (row.source.count(" ") == 1 and row.source.count("/") > 1)


def test_table__holds_every_node_every_meaning_and_no_text_with_two() -> None:
    assert {one.node for one in MESSAGES} >= NODES
    assert {one.meaning for one in MESSAGES} == set(Meaning) - {Meaning.UNKNOWN}
    assert set(EXPLAINED) == set(Meaning)
    by_text: dict[str, set[Meaning]] = {}
    for one in MESSAGES:
        by_text.setdefault(one.text.lower(), set()).add(one.meaning)
    assert [text for text, meanings in by_text.items() if len(meanings) > 1] == []


@pytest.mark.parametrize("node", ["geth", "Erigon", "Nethermind", "Besu", "Reth", "anvil", "Hardhat"])
def test_table__of_each_node__has_what_decides_on_a_send(node: str) -> None:
    assert {one.meaning for one in MESSAGES if one.node == node} >= TOLD_BY_EVERY_NODE


@pytest.mark.parametrize(
    ("code", "message", "meaning"),
    [
        (3, "execution reverted: nonce too low", Meaning.REVERTED),
        (-32000, "execution reverted: replacement transaction underpriced", Meaning.REVERTED),
        (-32601, "already known", Meaning.UNSUPPORTED),
        (429, "already known", Meaning.RATE_LIMITED),
        (-32000, "FEE_TOO_LOW: underpriced", Meaning.UNDERPRICED),
        (-32000, "replacement transaction underpriced", Meaning.REPLACEMENT_UNDERPRICED),
        (-32000, "INTERNAL_ERROR: insufficient funds", Meaning.INSUFFICIENT_FUNDS),
        (
            -32005,
            "query returned more than 10000 results. Try with this block range [0x1, 0x2].",
            Meaning.RESULT_TOO_LARGE,
        ),
        (-32005, "Transaction gas limit exceeds block gas limit", Meaning.GAS_LIMIT),
        (-32005, "limit exceeded", Meaning.UNKNOWN),
        (-32000, "not found: block 7", Meaning.UNKNOWN),
        (-32000, "block 5 exceeds limit of the range 7", Meaning.UNKNOWN),
        (-32000, "", Meaning.UNKNOWN),
        (-32000, "Internal error", Meaning.UNKNOWN),
        (0, "something went wrong", Meaning.UNKNOWN),
    ],
)
def test_meaning__by_code_first_and_the_longest_line__else_unknown(code: int, message: str, meaning: Meaning) -> None:
    assert meaning_of(code, message) is meaning


@settings(max_examples=100, deadline=None)
@given(st.integers(), st.text(max_size=200))
def test_meaning__of_any_message__is_one_of_the_table(code: int, message: str) -> None:
    meaning = meaning_of(code, message)
    assert code not in CODES or meaning is CODES[code]
    if message.strip() == "" and code not in CODES:
        assert meaning is Meaning.UNKNOWN


def test_meaning__of_a_page_instead_of_a_sentence__reads_only_its_beginning() -> None:
    began = time.monotonic()
    assert meaning_of(0, "x" * 10**7 + "already known") is Meaning.UNKNOWN
    assert meaning_of(0, "x" * (MESSAGE_CHARS_MAX - 13) + "already known") is Meaning.ALREADY_KNOWN
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("code", "message", "data", "reverted"),
    [
        (3, "execution reverted", b"\x01", True),
        (-32603, "EVM error InvalidFEOpcode", None, True),
        (-32099, "a node that nobody knows", b"\x01", True),
        (-32099, "a node that nobody knows", None, False),
        (429, "slow down", None, False),
        (-32000, "header not found", b"\x01", False),
    ],
)
def test_reverted__is_what_the_contract_said__not_the_node(
    code: int, message: str, data: bytes | None, reverted: bool
) -> None:
    assert RpcRefused(code, message, data).reverted is reverted


# -- the page ---------------------------------------------------------------------------------


def test_page__as_committed__shows_the_table() -> None:
    assert write_node_messages.main(["--check"]) == 0, "run scripts/write_node_messages.py"


def test_page__that_says_something_else__then_check_is_red(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stale = tmp_path / "page.md"
    stale.write_text(
        write_node_messages.PAGE.read_text(encoding="utf-8").replace("`-32614`", "`-32615`"), encoding="utf-8"
    )
    assert write_node_messages.main(["--check", "--file", str(stale)]) == 1
    assert "write_node_messages.py" in capsys.readouterr().err
