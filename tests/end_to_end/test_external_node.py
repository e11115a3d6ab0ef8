"""Any other node by URL: the service deploys there, follows it and reaches finality by depth."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.chain.anvil import find_anvil
from bridge.chain.errors import ChainUnreachable
from bridge.chain.rpc import Rpc
from tests.end_to_end.running import ServiceProcess, until
from tests.end_to_end.shop import open_shop, replay, require_exact
from tests.ports import free_port

ETHER = 10**18


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


def require_work(service: ServiceProcess) -> None:
    """Purchases come in, reach the node, and ledger and chain agree."""
    shop = open_shop(service, 200)
    with service.client(shop.key) as client:
        replay(client, shop)
    service.wait_until_quiet()
    require_exact(service, shop)
    with service.client() as operator:
        assert operator.status()["chain"]["url_kind"] == "external"


def test_service__when_given_a_node_by_url__then_it_deploys_there_and_posts(node: Rpc, tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", SARRAF_RPC_URL=node.url, SARRAF_FINALITY="depth:0")
    service.start()
    try:
        require_work(service)
    finally:
        assert service.stop() == 0


def test_service__when_given_a_keystore__then_it_funds_its_lanes_from_the_first_account(
    node: Rpc, tmp_path: Path
) -> None:
    password, keystore = tmp_path / "password", tmp_path / "keys.json"
    password.write_text("a test's own password\n")
    create = ["keystore", "create", str(keystore), "--password-file", str(password), "--json"]
    made = subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", *create],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    admin = json.loads(made.stdout)["exchange-admin"]
    node.request("anvil_setBalance", admin, hex(100 * ETHER))
    service = ServiceProcess(
        tmp_path / "data",
        SARRAF_RPC_URL=node.url,
        SARRAF_FINALITY="depth:0",
        SARRAF_KEYSTORE=str(keystore),
        SARRAF_KEYSTORE_PASSWORD_FILE=str(password),
    )
    service.start()
    try:
        require_work(service)
    finally:
        assert service.stop() == 0
