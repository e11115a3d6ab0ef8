"""One embedded chain shared by the tests that only need some chain."""

from collections.abc import Iterator

import pytest

from bridge.chain.rpc import Rpc

from .helpers import MemoryJournal, Sender, chain_in


@pytest.fixture(scope="package")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rpc]:
    chain = chain_in(tmp_path_factory.mktemp("shared") / "chain", MemoryJournal())
    chain.start()
    rpc = Rpc(chain.url)
    yield rpc
    rpc.close()
    chain.stop()


@pytest.fixture
def sender(rpc: Rpc) -> Sender:
    return Sender(rpc)
