"""One real node, behind which faults are injected."""

from collections.abc import Iterator

import pytest

from bridge.chain.rpc import Rpc
from tests.bridge.chain.helpers import MemoryJournal, Sender, chain_in


@pytest.fixture(scope="package")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rpc]:
    """A client that nothing stands between."""
    chain = chain_in(tmp_path_factory.mktemp("node") / "chain", MemoryJournal())
    chain.start()
    rpc = Rpc(chain.url)
    yield rpc
    rpc.close()
    chain.stop()


@pytest.fixture
def sender(node: Rpc) -> Sender:
    return Sender(node)
