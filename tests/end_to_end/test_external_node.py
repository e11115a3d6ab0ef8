"""Any other node by URL: the service deploys there, follows it and reaches finality by depth."""

import json
import subprocess
import sys
from pathlib import Path

from bridge.chain.rpc import Rpc
from tests.end_to_end.running import ServiceProcess
from tests.end_to_end.shop import open_shop, replay, require_exact

ETHER = 10**18


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
    service = ServiceProcess(tmp_path / "data", SARRAF_RPC_URL=node.url, SARRAF_FINALITY="depth:0", SARRAF_DELAY_S="0")
    try:
        service.start()
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
        SARRAF_DELAY_S="0",
        SARRAF_KEYSTORE=str(keystore),
        SARRAF_KEYSTORE_PASSWORD_FILE=str(password),
    )
    try:
        service.start()
        require_work(service)
    finally:
        assert service.stop() == 0
