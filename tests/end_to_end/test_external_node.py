"""Any other node by URL: the service deploys there, follows it and reaches finality by depth."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.chain.anvil import find_anvil
from bridge.chain.errors import ChainUnreachable
from bridge.chain.rpc import Rpc
from tests.end_to_end.running import ServiceProcess, until
from tests.end_to_end.shop import open_shop, replay, require_exact
from tests.ports import free_port


@pytest.fixture
def node() -> Iterator[str]:
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
    yield rpc.url
    rpc.close()
    process.terminate()
    process.wait(20)


def test_service__when_given_a_node_by_url__then_it_deploys_there_and_posts(node: str, tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", SARRAF_RPC_URL=node, SARRAF_FINALITY="depth:0")
    service.start()
    try:
        shop = open_shop(service, 200)
        with service.client(shop.key) as client:
            replay(client, shop)
        service.wait_until_quiet()
        require_exact(service, shop)
        with service.client() as operator:
            assert operator.status()["chain"]["url_kind"] == "external"
    finally:
        assert service.stop() == 0
