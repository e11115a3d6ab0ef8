"""`sarraf doctor` and `sarraf config`."""

import socket
from pathlib import Path

import pytest

from tests.bridge.cli.conftest import Sarraf
from tests.bridge.fake_service import FakeService


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def _any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARRAF_PORT", str(_free_port()))


def _finding(sarraf: Sarraf, name: str, code: int) -> str:
    result = sarraf("doctor", "--json")
    assert result.code == code, result.out
    found = next(row for row in result.json if row["name"] == name)
    assert found["ok"] is (code == 0)
    return str(found["detail"])


def test_doctor__when_all_is_there__then_exits_0(sarraf: Sarraf) -> None:
    result = sarraf("doctor")

    assert result.code == 0, result.out
    assert "not ok" not in result.out


@pytest.mark.usefixtures("service")
def test_doctor__when_a_service_is_named__then_asks_it(sarraf: Sarraf) -> None:
    assert "is ready" in _finding(sarraf, "service", 0)


def test_doctor__when_the_named_service_is_away__then_says_so(sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARRAF_URL", f"http://127.0.0.1:{_free_port()}")

    detail = _finding(sarraf, "service", 1)

    assert "environment SARRAF_URL" in detail
    assert "sarraf serve" in detail


def test_doctor__when_the_port_is_taken__then_says_what_to_do(sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("SARRAF_PORT", str(taken.getsockname()[1]))

        assert "SARRAF_PORT" in _finding(sarraf, "port", 1)


def test_doctor__when_the_data_directory_is_a_file__then_says_what_to_do(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SARRAF_DATA", str(tmp_path / "file"))

    assert "SARRAF_DATA" in _finding(sarraf, "data directory", 1)


def test_doctor__when_anvil_is_missing__then_says_what_to_do(sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARRAF_ANVIL", "/nowhere/anvil")

    assert "SARRAF_ANVIL" in _finding(sarraf, "anvil", 1)


def test_doctor__when_anvil_does_not_run__then_says_what_to_do(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("SARRAF_ANVIL", str(broken))

    assert "make demo" in _finding(sarraf, "anvil", 1)


def test_config_show__then_tells_where_each_value_comes_from(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch, service: FakeService
) -> None:
    del service
    monkeypatch.setenv("SARRAF_FINALITY", "depth:2")

    found = {row["name"]: row for row in sarraf("--data", "here", "config", "show", "--json").json}

    assert found["SARRAF_FINALITY"]["value"] == "depth:2"
    assert found["SARRAF_FINALITY"]["source"] == "environment SARRAF_FINALITY"
    assert (found["SARRAF_HOST"]["value"], found["SARRAF_HOST"]["source"]) == ("127.0.0.1", "default")
    assert (found["SARRAF_DATA"]["value"], found["SARRAF_DATA"]["source"]) == ("here", "--data")
    assert found["SARRAF_API_KEY"]["value"] == "(set)"
    assert "SARRAF_FINALITY" in sarraf("config", "show").out


@pytest.mark.parametrize("command", [("doctor",), ("config", "show", "--json")])
def test_node__whose_url_holds_a_secret__is_shown_without_it(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SARRAF_RPC_URL", "https://user:pw@node.example:8545/v3/SECRETKEY")

    result = sarraf(*command)

    shown = result.out + result.err
    assert "https://node.example:8545" in shown.replace("\n", "")
    assert "SECRETKEY" not in shown and "pw@" not in shown
