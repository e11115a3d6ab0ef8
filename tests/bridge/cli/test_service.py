"""Starting the service: in the foreground, as a child, and stopping it again."""

import contextlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import bootstrap
from bridge.cli import child, dev
from bridge.cli.child import service
from bridge.cli.errors import CliError
from bridge.cli.running import Running, is_served, read_running
from bridge.settings import Settings
from tests.bridge.cli.conftest import Sarraf

Behave = Callable[[str], None]


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_serve__with_options_and_environment__then_options_win(sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []
    monkeypatch.setattr(bootstrap, "serve", seen.append, raising=False)
    monkeypatch.setenv("SARRAF_PORT", "9001")
    monkeypatch.setenv("SARRAF_DATA", "elsewhere")

    assert sarraf("--data", "here", "serve", "--port", "0", "--json").json["port"] == 0
    assert sarraf("serve").code == 0

    assert [(str(s.data), s.port) for s in seen] == [("here", 0), ("elsewhere", 9001)]


def test_serve__with_an_invalid_setting__then_names_the_variable(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARRAF_PORT", "many")

    result = sarraf("serve")

    assert result.code == 1
    assert "SARRAF_PORT" in result.err
    assert result.err.count("\n") == 1


def test_deploy__on_the_configured_node__then_prints_the_record(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"exchange": "0x01", "chain_id": 1, "block": 5}
    monkeypatch.setattr(bootstrap, "deploy", lambda _settings: record, raising=False)

    assert sarraf("deploy", "--json").json == record
    assert "0x01" in sarraf("deploy").out


def test_child__when_ready__then_serves_and_is_stopped_in_the_end(tmp_path: Path, child_behaves: Behave) -> None:
    child_behaves("well")

    with service(tmp_path) as running:
        assert running.process is not None
        pid = running.process.pid
        assert read_running(tmp_path) == Running(running.url, pid)
        assert "fake service begins" in running.log.read_text()

    assert _is_gone(pid)


def test_child__when_one_runs_already__then_it_is_used_and_left_alone(tmp_path: Path, child_behaves: Behave) -> None:
    child_behaves("well")

    with service(tmp_path) as first:
        with service(tmp_path) as second:
            assert second.process is None
            assert second.url == first.url
        assert not first.has_ended


def test_child__when_a_dead_one_left_its_record__then_a_new_one_starts(tmp_path: Path, child_behaves: Behave) -> None:
    child_behaves("well")
    (tmp_path / "service.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": 2**22 - 1}))

    assert not is_served(tmp_path)
    with service(tmp_path) as running:
        assert running.process is not None
        assert is_served(tmp_path)


def test_child__when_it_dies__then_says_the_end_of_its_log(tmp_path: Path, child_behaves: Behave) -> None:
    child_behaves("dies")

    with pytest.raises(CliError, match=r"code 3 .* it has no ledger"), service(tmp_path):
        pass


def test_child__when_it_never_gets_ready__then_is_stopped_and_named(tmp_path: Path, child_behaves: Behave) -> None:
    child_behaves("silent")

    with pytest.raises(CliError, match="not ready after 1 s"), service(tmp_path, ready_s_max=1.0):
        pass


def _pid_while(data: Path, act: Callable[[], None]) -> list[int]:
    """Runs a child for as long as `act` takes; gives its pid even when that ends badly."""
    pids: list[int] = []
    with contextlib.suppress(CliError, SystemExit), service(data) as running:
        assert running.process is not None
        pids.append(running.process.pid)
        act()
    return pids


def test_child__when_it_does_not_end__then_is_killed(
    tmp_path: Path, child_behaves: Behave, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_behaves("stubborn")
    monkeypatch.setattr(child, "STOP_S_MAX", 0.5)

    assert [_is_gone(pid) for pid in _pid_while(tmp_path, lambda: None)] == [True]


def test_child__when_the_command_is_terminated__then_is_stopped_too(tmp_path: Path, child_behaves: Behave) -> None:
    child_behaves("well")
    survived: list[bool] = []

    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        survived.append(True)

    assert [_is_gone(pid) for pid in _pid_while(tmp_path, terminate)] == [True]
    assert survived == []


def test_dev__for_some_looks__then_shows_the_state(
    sarraf: Sarraf, child_behaves: Behave, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_behaves("well")
    monkeypatch.setattr(dev, "REFRESH_S", 0.0)

    plain = sarraf("dev", "--looks", "2")
    lines = sarraf("dev", "--looks", "3", "--json")

    assert plain.code == 0, plain.err
    assert plain.out.count("head 7, final 7") == 2
    assert [json.loads(row)["status"]["version"] for row in lines.out.splitlines()] == ["0.1.0"] * 3


def test_dev__at_a_terminal__then_draws_tables(
    sarraf: Sarraf, child_behaves: Behave, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_behaves("well")
    monkeypatch.setattr(dev, "REFRESH_S", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")

    result = sarraf("dev", "--looks", "1")

    assert "Newest operations" in result.out
    assert "0xexchange" in result.out
