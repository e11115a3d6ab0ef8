"""The demo's whole job on a small part of its data, against a real service; and what `sarraf audit` says of it."""

import gzip
import itertools
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bridge.client import Client
from bridge.demo import run as demo
from bridge.demo.events import COUPONS_FILE, PURCHASES_FILE, Period
from bridge.demo.report import Report
from tests.end_to_end.running import ServiceProcess, until
from tests.end_to_end.shop import open_shop, replay

SOURCE = Path(demo.__file__).parent / "data"


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A folder with the purchases of a few households in May, and all coupons."""
    folder = tmp_path / "few"
    folder.mkdir()
    with gzip.open(SOURCE / PURCHASES_FILE, "rt") as file:
        head, *rows = file.read().splitlines()
    may = [row for row in rows if row.split(",")[5].startswith("2017-05")]
    households = sorted({row.split(",")[2] for row in may}, key=int)[:60]
    chosen = [row for row in may if row.split(",")[2] in households]
    with gzip.open(folder / PURCHASES_FILE, "wt") as file:
        file.write("\n".join(itertools.chain([head], chosen)) + "\n")
    (folder / COUPONS_FILE).write_bytes((SOURCE / COUPONS_FILE).read_bytes())
    return folder


def play(service: ServiceProcess, few: Path) -> Report:
    key = (service.data / "operator.key").read_text().strip()
    options = demo.Options(service.data, key, Period.parse("may"), workers=4, data=few)
    return demo.run(lambda text: Client(service.url, text), options, Console(quiet=True))


def audit(service: ServiceProcess) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", "--data", str(service.data), "audit", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_demo__when_played_twice__then_the_second_time_replays_and_all_stays_equal(
    service: ServiceProcess, few: Path
) -> None:
    first = play(service, few).to_dict()
    second = play(service, few).to_dict()
    assert first["clean"] and second["clean"], (first["faults"], second["faults"])
    assert first["swaps"]["made"] > 0 and second["swaps"]["made"] == 0
    assert first["programs"] == second["programs"]
    assert first["differences"] == second["differences"] == 0
    assert first["swaps"]["bonuses"] == second["swaps"]["bonuses"] > 0
    assert first["route"] == second["route"]
    assert first["route"]["path"] == ["RMDY", "BSKT", "OCTN"]
    labels = [line.split()[0] for line in first["route"]["explanation"]]
    assert labels[:4] == ["burned", "through", "base", "bonus"]
    assert labels[-1] == "loss"
    for program in first["programs"]:
        assert (
            program["supply"]
            == program["ledger"]
            == (program["points_earned"] - program["points_redeemed"] + program["swapped_in"] - program["swapped_out"])
        )


def test_audit__when_ledger_and_chain_agree__then_it_exits_0_and_when_one_account_differs_then_1_and_names_it(
    service: ServiceProcess,
) -> None:
    shop = open_shop(service, 200)
    with service.client(shop.key) as client:
        replay(client, shop)
    service.wait_until_quiet()
    agreed = audit(service)
    assert agreed.returncode == 0, agreed.stderr
    assert json.loads(agreed.stdout)["differences"] == 0

    service.stop()
    with sqlite3.connect(service.data / "ledger.sqlite3") as ledger:
        (account_id, address) = ledger.execute(
            "SELECT id, address FROM account WHERE kind = 'member' AND credits_posted > 0 LIMIT 1"
        ).fetchone()
        ledger.execute("UPDATE account SET credits_posted = credits_posted + 1 WHERE id = ?", (account_id,))
    ledger.close()
    service.start(until_it="livez")
    differs = audit(service)
    assert differs.returncode == 1
    report = json.loads(differs.stdout)
    named = [one["account"] for program in report["programs"] for one in program["differing"]]
    assert named == [f"0x{address.hex()}"]
    # The service found it by itself as well, and stopped posting.
    with service.client() as operator:
        breaker = until(lambda: operator.status()["posting"]["breaker"], "the breaker trips")
    assert address.hex() in breaker["reason"]
