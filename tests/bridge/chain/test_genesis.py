from dataclasses import replace
from pathlib import Path

import pytest

from bridge.chain.errors import ChainChanged
from bridge.chain.genesis import FLAGS, Genesis

BEGAN = Genesis(1_800_000_000, FLAGS, "anvil/v1", "0x01")


def test_genesis__written_and_read__is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    assert Genesis.read(path) is None
    BEGAN.write(path)
    assert Genesis.read(path) == BEGAN


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"timestamp": "x", "flags": [], "node": "", "hash": ""}'])
def test_genesis__that_cannot_be_read__is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(content)
    with pytest.raises(ChainChanged):
        Genesis.read(path)


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (replace(BEGAN, flags=(*FLAGS, "--more")), "--more"),
        (replace(BEGAN, node="anvil/v2"), "anvil/v2"),
        (replace(BEGAN, timestamp=5), "timestamp"),
        (replace(BEGAN, hash="0x02"), "0x02"),
    ],
)
def test_genesis__compared_with_what_runs__names_the_difference(found: Genesis, named: str) -> None:
    BEGAN.require(BEGAN)
    with pytest.raises(ChainChanged, match=named):
        BEGAN.require(found)
