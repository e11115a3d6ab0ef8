"""The direction of imports, checked by the same tool as `make lint`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINTER = Path(sys.executable).parent / "lint-imports"


def lint(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINTER), "--config", str(config), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_imports__when_checked__then_they_go_one_way() -> None:
    done = lint(ROOT / "pyproject.toml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_check__when_a_rule_is_broken__then_it_fails(tmp_path: Path) -> None:
    config = tmp_path / "upside-down.toml"
    config.write_text(
        '[tool.importlinter]\nroot_packages = ["exchange", "bridge"]\n'
        '[[tool.importlinter.contracts]]\nname = "upside down"\ntype = "forbidden"\n'
        'source_modules = ["bridge.posting"]\nforbidden_modules = ["bridge.store"]\n'
    )
    assert lint(config).returncode == 1
