"""The Brownie project is complete, and a step that fails fails the whole."""

from pathlib import Path

import pytest

import brownie_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the project is laid out, and a Brownie in the place of the real one that writes down what it is asked."""
    made = tmp_path / "brownie"
    monkeypatch.setattr(brownie_project, "PROJECT", made)
    monkeypatch.setattr(brownie_project, "BROWNIE", tmp_path / "tool")
    return made


def _tool(project: Path, fails_at: str = "") -> None:
    tool = project.parent / "tool"
    tool.write_text(f'#!/bin/sh\necho "$1" >> "{project.parent}/asked"\n[ "$1" != "{fails_at}" ]\n')
    tool.chmod(0o755)


def test_assemble__of_the_sources__brings_all_that_they_import(project: Path) -> None:
    brownie_project.assemble()
    names = {one.relative_to(project / "contracts").as_posix() for one in (project / "contracts").rglob("*.sol")}
    assert {"PointsToken.sol", "PointsExchange.sol", "solady/src/tokens/ERC20.sol"} <= names
    assert (project / "scripts" / "deploy.py").exists()


def test_main__where_all_steps_succeed__takes_them_in_their_order(project: Path) -> None:
    _tool(project)
    assert brownie_project.main([]) == 0
    assert (project.parent / "asked").read_text().split() == ["networks", "compile", "run", "test"]


@pytest.mark.parametrize("step", ["networks", "compile", "run", "test"])
def test_main__where_a_step_fails__fails_and_says_which(
    project: Path, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _tool(project, fails_at=step)
    assert brownie_project.main([]) == 1
    assert f"brownie {step} failed" in capsys.readouterr().err


def test_main__of_an_unknown_step__names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert brownie_project.main(["fly"]) == 2
    assert "compile, run, test" in capsys.readouterr().err
