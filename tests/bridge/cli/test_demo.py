"""`sarraf demo`: with a child service, once and again, and its reset."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli.child import service
from bridge.cli.demo import remove_data
from bridge.cli.errors import CliError
from bridge.cli.running import is_served
from tests.bridge.cli.conftest import Sarraf
from tests.bridge.demo.conftest import coupon, purchase, write_rows

Behave = Callable[[str], None]


@pytest.fixture(autouse=True)
def _small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tmp_path / "files"
    (files / "data").mkdir(parents=True)
    write_rows(
        files / "data" / "earn_events.csv.gz",
        [
            purchase(1, "1", "2017-05-01 10:00:00", 30_000),
            purchase(2, "1", "2017-05-01 10:00:00", 10_000, "drugstore"),
        ],
    )
    write_rows(files / "data" / "coupon_redemptions.csv.gz", [coupon("1", "2017-05-02")])
    monkeypatch.setattr("bridge.demo.events.files", lambda _package: files)
    monkeypatch.setattr("bridge.demo.settle.POLL_S", 0.0)
    monkeypatch.setattr("bridge.demo.setup.POLL_S", 0.0)


def test_demo__once__then_reports_and_leaves_nothing_running(
    sarraf: Sarraf, child_behaves: Behave, tmp_path: Path
) -> None:
    child_behaves("well")

    result = sarraf("demo", "--once")

    assert result.code == 0, result.err
    assert "0 differences between ledger and chain" in result.out
    assert not is_served(tmp_path / ".sarraf" / "demo")


def test_demo__once_as_json__then_prints_only_json(sarraf: Sarraf, child_behaves: Behave) -> None:
    child_behaves("well")

    result = sarraf("demo", "--once", "--json")

    assert result.json["clean"] is True
    assert "84.51° Complete Journey" in result.err


def test_demo__when_ledger_and_chain_differ__then_exits_1(sarraf: Sarraf, child_behaves: Behave) -> None:
    child_behaves("wrong")

    result = sarraf("demo", "--once")

    assert result.code == 1
    assert "NOT OK" in result.out


def test_demo__without_once__then_goes_on_until_interrupted(
    sarraf: Sarraf, child_behaves: Behave, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_behaves("well")

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bridge.cli.demo._pause", interrupt)

    result = sarraf("demo")

    assert result.code == 0
    assert "/docs" in result.out
    assert "Stopping the service" in result.out


def test_demo__with_events_that_are_none__then_starts_nothing(sarraf: Sarraf, tmp_path: Path) -> None:
    result = sarraf("demo", "--events", "june")

    assert result.code == 1
    assert "'june'" in result.err
    assert not (tmp_path / ".sarraf").exists()


def test_demo__with_reset__then_begins_anew(sarraf: Sarraf, child_behaves: Behave, tmp_path: Path) -> None:
    child_behaves("well")
    sarraf("demo", "--once")
    (tmp_path / ".sarraf/demo/old").touch()

    assert sarraf("demo", "--once", "--reset").code == 0
    assert not (tmp_path / ".sarraf/demo/old").exists()


def test_reset__while_a_service_runs__then_is_refused(tmp_path: Path, child_behaves: Behave) -> None:
    child_behaves("well")
    (tmp_path / "demo.mark").touch()

    with service(tmp_path), pytest.raises(CliError, match="stop it before"):
        remove_data(tmp_path)


def test_reset__of_a_directory_that_is_not_the_demos__then_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()

    with pytest.raises(CliError, match="not made by the demo"):
        remove_data(tmp_path)
    assert (tmp_path / "precious").exists()


def test_reset__of_nothing__then_is_done(tmp_path: Path) -> None:
    remove_data(tmp_path / "none")
