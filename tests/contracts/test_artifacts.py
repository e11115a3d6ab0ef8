"""The committed artifacts are what the sources give, whoever compiles them."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from .tools import ARTIFACTS, CONTRACTS, ROOT, alone, forge

SECONDS_MAX = 600
NAMES = ("PointsToken", "PointsExchange")
CODE_BYTES_MAX = 24_576  # EIP-170
CODE_BYTES_ROOM = 4_096  # what a mended contract may grow by without being taken apart


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """What scripts/build_contracts.py defines."""
    return runpy.run_path(str(ROOT / "scripts" / "build_contracts.py"))


@pytest.fixture(scope="module")
def fresh(script: dict[str, Any]) -> dict[str, str]:
    """Artifacts built now, by file name."""
    artifacts: dict[str, str] = script["build"]()
    return artifacts


@pytest.fixture(scope="module")
def forge_output() -> dict[str, Any]:
    """What forge tests, by contract."""
    with alone(CONTRACTS):
        run = forge("build", root=CONTRACTS, seconds_max=SECONDS_MAX)
        assert run.returncode == 0, run.stdout
        return {name: json.loads((CONTRACTS / "out" / f"{name}.sol" / f"{name}.json").read_text()) for name in NAMES}


def test_check__committed_artifacts__are_what_the_sources_give(
    script: dict[str, Any], fresh: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(fresh) == sorted(path.name for path in ARTIFACTS.glob("*.json"))
    assert script["check"](fresh, ARTIFACTS) == 0, capsys.readouterr().err


def test_check__one_artifact_changed_and_one_missing__names_both_and_fails(
    script: dict[str, Any], fresh: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ARTIFACTS / "PointsToken.json").read_text()
    (tmp_path / "PointsToken.json").write_text(text.replace('"optimizer"', '"optimiser"'))

    assert script["check"](fresh, tmp_path) == 1

    said = capsys.readouterr().err
    assert "PointsToken.json is not" in said
    assert "PointsExchange.json is not" in said


@pytest.mark.parametrize("name", NAMES)
def test_bytecode__tested_by_forge__is_the_committed_one(name: str, forge_output: dict[str, Any]) -> None:
    committed = json.loads((ARTIFACTS / f"{name}.json").read_text())
    assert forge_output[name]["bytecode"]["object"] == committed["bytecode"]


@pytest.mark.parametrize("name", NAMES)
def test_bytecode__deployed__fits_the_chains_limit_with_room(name: str) -> None:
    committed = json.loads((ARTIFACTS / f"{name}.json").read_text())
    assert len(bytes.fromhex(committed["deployedBytecode"][2:])) <= CODE_BYTES_MAX - CODE_BYTES_ROOM


def test_interfaces__each_function_event_and_error__says_what_it_means(script: dict[str, Any]) -> None:
    sources = script["collect_sources"]([CONTRACTS / "src" / "interfaces" / f"I{name}.sol" for name in NAMES])
    compiled = script["compile_sources"](sources)["contracts"]
    silent = [
        f"{contract}.{entry['name']}"
        for described in compiled.values()
        for contract, told in described.items()
        for entry in told["abi"]
        if not any(text.startswith(f"{entry['name']}(") for text in _notices(told["userdoc"], entry["type"]))
    ]
    assert silent == []


def _notices(userdoc: dict[str, Any], kind: str) -> list[str]:
    """The signatures that have a notice."""
    return list(userdoc.get({"function": "methods", "event": "events", "error": "errors"}[kind], {}))
