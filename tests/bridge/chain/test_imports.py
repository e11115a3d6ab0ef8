import subprocess
import sys
from pathlib import Path

import pytest

MODULES = sorted(
    path.stem for path in (Path(__file__).parents[3] / "bridge" / "chain").glob("*.py") if path.stem != "__init__"
)


@pytest.mark.parametrize("heavy", ["web3", "eth_account", "requests"])
def test_chain__imported_whole__leaves_the_slow_packages_for_later(heavy: str) -> None:
    """The command line imports these modules, and web3 alone takes a second."""
    imports = "; ".join(f"import bridge.chain.{module}" for module in MODULES)
    checked = subprocess.run(
        [sys.executable, "-c", f"{imports}; import sys; sys.exit({heavy!r} in sys.modules)"], check=False
    )
    assert checked.returncode == 0
