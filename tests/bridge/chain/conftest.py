"""One embedded chain shared by the tests that only need some chain."""

from collections.abc import Iterator

import pytest

from bridge.chain.rpc import Rpc

from .helpers import Sender, served


@pytest.fixture(scope="package")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rpc]:
    with served(tmp_path_factory.mktemp("shared") / "chain") as rpc:
        yield rpc


@pytest.fixture
def sender(rpc: Rpc) -> Sender:
    return Sender(rpc)
