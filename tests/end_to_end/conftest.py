import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.chain.anvil import find_anvil
from bridge.chain.errors import ChainUnreachable
from bridge.chain.rpc import Rpc
from tests.end_to_end.running import ServiceProcess, until
from tests.ports import free_port


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service that is ready; whatever the test did to it, nothing of it is left afterwards."""
    process = ServiceProcess(tmp_path / "data")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def node() -> Iterator[Rpc]:
    """A node that mines a block for each transaction by itself, with the ten accounts of the public test mnemonic."""
    port = free_port()
    process = subprocess.Popen([str(find_anvil()), "--host", "127.0.0.1", "--port", str(port), "--quiet"])
    rpc = Rpc(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        try:
            return rpc.chain_id() == 31337
        except ChainUnreachable:
            return False

    until(answers, "the node answers", 20)
    yield rpc
    rpc.close()
    process.terminate()
    process.wait(20)
