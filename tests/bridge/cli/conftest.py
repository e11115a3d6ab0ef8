"""Commands run in this process against a fake service, and child services that are fake too."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.answers import EarningRate
from bridge.cli import child, operation, program
from bridge.cli.main import main
from bridge.client import Client
from tests.bridge.fake_service import OPERATOR_KEY, FakeService, listening

FAKE_SERVE = Path(__file__).with_name("fake_serve.py")


@dataclass
class Result:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


Sarraf = Callable[..., Result]


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SARRAF_URL", "SARRAF_API_KEY", "SARRAF_DATA", "SARRAF_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    for module in (operation, program):
        monkeypatch.setattr(module, "POLL_S", 0.0)


@pytest.fixture
def sarraf(capsys: pytest.CaptureFixture[str]) -> Sarraf:
    """Runs one command; `main` must always leave by an exit code."""

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as exit_info:
            main(arguments)
        out, err = capsys.readouterr()
        code = exit_info.value.code
        return Result(code if isinstance(code, int) else 0 if code is None else 1, out, err)

    return run


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    """A fake service that commands find by the environment, under the operator's key."""
    fake = FakeService()
    with listening(fake) as url:
        monkeypatch.setenv("SARRAF_URL", url)
        monkeypatch.setenv("SARRAF_API_KEY", OPERATOR_KEY)
        yield fake


@pytest.fixture
def child_behaves(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the child service a fake one that behaves as told."""

    def set_behaviour(behaviour: str) -> None:
        def command(data: Path, _port: int | None) -> list[str]:
            return [sys.executable, str(FAKE_SERVE), str(data), behaviour]

        monkeypatch.setattr(child, "serve_command", command)

    return set_behaviour


class Write:
    """Writes a file of terms and gives its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, text: str, name: str = "terms.yaml") -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


@pytest.fixture
def file(tmp_path: Path) -> Write:
    return Write(tmp_path)


NAMES = {"ALFA": "Alfa", "BETA": "Beta", "GAMA": "Gamma"}


@dataclass
class Market:
    """Three programs, a member of the first and the last, and terms by way of the one between."""

    service: FakeService
    ids: dict[str, str]
    keys: dict[str, str]
    member: str


@pytest.fixture
def market(sarraf: Sarraf, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Market:
    ids, keys = {}, {}
    with Client(os.environ["SARRAF_URL"], OPERATOR_KEY) as operator:
        for symbol, name in NAMES.items():
            rate: EarningRate = {"points": 1, "per_minor_units": 100}
            made = operator.create_program(
                name=name, symbol=symbol, currency="points", earning_rate=rate, point_value_micro=10_000
            )
            ids[symbol] = made["id"]
            keys[symbol] = operator.create_key(made["id"], ("swap",))["key"]
    with Client(os.environ["SARRAF_URL"], keys["ALFA"]) as alfa, Client(os.environ["SARRAF_URL"], keys["GAMA"]) as gama:
        members = [client.enrol("900").member["id"] for client in (alfa, gama)]
        alfa.link([client.link_code(member)["code"] for client, member in zip((alfa, gama), members, strict=True)])
    monkeypatch.setenv("SARRAF_API_KEY", keys["ALFA"])
    agree(sarraf, "ALFA", "BETA", "2:1")
    agree(sarraf, "BETA", "GAMA", "5:4")
    service.points[members[0]] = 1_000
    return Market(service, ids, keys, members[0])


def agree(sarraf: Sarraf, source: str, destination: str, ratio: str) -> str:
    made = sarraf("terms", "propose", source, destination, "--ratio", ratio, "--price-micro", "10000", "--json")
    assert made.code == 0, made.err
    return str(made.json["id"])
