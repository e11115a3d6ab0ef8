"""One real node, behind which faults are injected."""

from collections.abc import Iterator

import pytest

from bridge.chain.rpc import Rpc
from tests.bridge.chain.helpers import Sender, served


@pytest.fixture(scope="package")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rpc]:
    """A client that nothing stands between."""
    with served(tmp_path_factory.mktemp("node") / "chain") as rpc:
        yield rpc


@pytest.fixture
def sender(node: Rpc) -> Sender:
    return Sender(node)
