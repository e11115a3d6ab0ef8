import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.chain import anvil
from bridge.chain.anvil import Anvil, end_stale_anvil, find_anvil, free_port, port_is_free
from bridge.chain.errors import AnvilMissing, ChainCannotStart


def test_find__in_this_project__is_the_native_binary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SARRAF_ANVIL", raising=False)
    monkeypatch.chdir(tmp_path)
    found = find_anvil()
    assert "@foundry-rs/anvil-" in str(found)
    assert found.read_bytes()[:4] in (b"\x7fELF", b"\xcf\xfa\xed\xfe")


def test_find__with_one_named__is_that_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "anvil"
    monkeypatch.setenv("SARRAF_ANVIL", str(named))
    with pytest.raises(AnvilMissing, match="SARRAF_ANVIL"):
        find_anvil()
    named.write_text("#!/bin/sh\n")
    with pytest.raises(AnvilMissing):
        find_anvil()
    named.chmod(0o755)
    assert find_anvil() == named


def test_find__with_none_installed__takes_the_path_or_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SARRAF_ANVIL", raising=False)
    monkeypatch.setattr(anvil, "__file__", str(tmp_path / "anvil.py"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnvilMissing, match="make demo"):
        find_anvil()
    (tmp_path / "anvil").touch(0o755)
    assert find_anvil() == tmp_path / "anvil"


def test_anvil__with_an_argument_it_does_not_know__says_its_last_words(tmp_path: Path) -> None:
    failing = Anvil(find_anvil(), tmp_path, free_port(), ["--no-such-flag"])
    with pytest.raises(ChainCannotStart, match="no-such-flag"):
        failing.wait_until_answering()
    failing.end()
    failing.end()
    assert not (tmp_path / "anvil.pid").exists()


def test_anvil__that_listens__is_on_the_loopback_only(tmp_path: Path) -> None:
    port = free_port()
    assert port_is_free(port)
    listening = Anvil(find_anvil(), tmp_path, port, ["--accounts", "1"])
    try:
        listening.wait_until_answering()
        assert not port_is_free(port)
        assert "--host 127.0.0.1" in anvil._command_line(listening.pid)
    finally:
        listening.end()
    assert port_is_free(port)


def test_stale_pid_file__of_somebody_elses_process__ends_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as stranger:
        (tmp_path / "anvil.pid").write_text(str(stranger.pid))
        assert end_stale_anvil(tmp_path)
        assert stranger.poll() is None
    assert not (tmp_path / "anvil.pid").exists()


@pytest.mark.parametrize("content", ["", "not a number"])
def test_stale_pid_file__without_a_pid__ends_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "anvil.pid").write_text(content)
    assert not end_stale_anvil(tmp_path)


def test_command_line__asked_of_ps__names_the_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert Path(sys.executable).name in anvil._command_line(os.getpid())
