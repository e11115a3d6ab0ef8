from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.chain.rpc import Rpc
from tests.end_to_end.running import ServiceProcess, fresh_node


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service that is ready; whatever the test did to it, nothing of it is left afterwards."""
    process = ServiceProcess(tmp_path / "data")
    try:
        process.start()
        yield process
    finally:
        process.stop()


@pytest.fixture
def node() -> Iterator[Rpc]:
    with fresh_node() as rpc:
        yield rpc
