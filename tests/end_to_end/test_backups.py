"""Backups under load, ledgers put back behind the chain, the chain and the ledger made anew from each other."""

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main
from tests.end_to_end.running import ServiceProcess, until, until_active
from tests.end_to_end.shop import CENTS_PER_POINT, Shop, open_shop, replay

PURCHASES = 150
#: How long each call behind the first third is held back, so that the backup is made in the middle of them.
PACE_S = 2.0
SCOPES = ["earn", "redeem", "swap", "terms", "members", "read"]
REDEEMED, SWAPPED = 3, 4

Sarraf = Callable[..., Any]


@pytest.fixture
def sarraf(service: ServiceProcess, capsys: pytest.CaptureFixture[str]) -> Sarraf:
    """Run a command on the service's data; answers its JSON."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        code: object = 0
        try:
            main(["--data", str(service.data), *arguments, "--json"])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        assert code in (0, None), err + out
        return json.loads(out)

    return run


class Town:
    """A grocery with real purchases, an airline that takes its points, and one customer of both."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service
        self.shop: Shop = open_shop(service, PURCHASES)
        self.member = f"household-{self.shop.purchases[0].household}"
        with service.client() as operator:
            airline = operator.create_program(
                name="Airline", symbol="AIR", currency="miles", earning_rate={"points": 1, "per_minor_units": 100}
            )
            until_active(operator, airline["id"])
            self.grocery_key = operator.create_key(self.shop.program_id, SCOPES)["key"]
            airline_key = operator.create_key(airline["id"], SCOPES)["key"]
        with service.client(self.grocery_key) as grocery, service.client(airline_key) as partner:
            proposed = grocery.propose_terms(
                from_program_id=self.shop.program_id,
                to_program_id=airline["id"],
                ratio={"from_units": 2, "to_units": 1},
                settlement_price_micro=7_000,
            )
            until(lambda: partner.show_terms(proposed["id"])["state"] == "proposed", "the terms are proposed", 20)
            partner.consent(proposed["id"])
            until(lambda: partner.show_terms(proposed["id"])["state"] == "in_force", "the terms are in force", 20)
            member = grocery.enrol(self.member).member
            other = partner.enrol("flyer").member
            codes = [grocery.link_code(member["id"])["code"], partner.link_code(other["id"])["code"]]
            grocery.link(codes)
            grocery.earn(self.member, key="first", spend_minor=10_000, wait_s=20)
        self.airline_id = airline["id"]
        self.pointless = sum(1 for one in self.shop.purchases if one.cents < CENTS_PER_POINT)
        self.expected = self.shop.expected_points + 150

    def everything(self, pace: Callable[[int], object] = lambda _sent: None) -> dict[str, int]:
        """What partners send, with the same keys whenever it is sent."""
        with self.service.client(self.grocery_key) as grocery:
            counts = replay(grocery, self.shop, pace)
            grocery.redeem(self.member, key="reward", points=REDEEMED)
        return counts

    def swap(self, quote_id: str) -> None:
        with self.service.client(self.grocery_key) as grocery:
            grocery.swap(quote_id, key="flight", wait_s=20)

    def last(self) -> None:
        with self.service.client(self.grocery_key) as grocery:
            grocery.earn(self.member, key="last", spend_minor=5_000, wait_s=20)

    def quote(self) -> str:
        with self.service.client(self.grocery_key) as grocery:
            found = grocery.quote(to_program_id=self.airline_id, member_number=self.member, amount_in=SWAPPED)
            return str(found["id"])

    def require_exact(self, *, swapped: bool = True) -> dict[str, Any]:
        """The ledger equals the chain, and everything that was asked for happened once."""
        self.service.wait_until_quiet()
        with self.service.client() as operator:
            audit = operator.audit()
        assert audit["differences"] == 0, audit
        grocery, airline = audit["programs"]
        assert grocery["points_earned"] == self.expected
        assert grocery["points_redeemed"] == REDEEMED
        assert (grocery["swapped_out"], airline["swapped_in"]) == ((SWAPPED, SWAPPED // 2) if swapped else (0, 0))
        assert grocery["supply"] == self.expected - REDEEMED - (SWAPPED if swapped else 0)
        return dict(audit["block"])


def test_backup__under_load_then_lost_restored_and_rebuilt__keeps_every_operation_once(
    service: ServiceProcess, sarraf: Sarraf, tmp_path: Path
) -> None:
    town, copy = Town(service), tmp_path / "copy.sqlite3"
    quote = town.quote()
    with ThreadPoolExecutor(1) as pool:
        copied, third = threading.Event(), threading.Event()

        def pace(sent: int) -> None:
            if sent >= PURCHASES // 3:
                third.set()
                copied.wait(PACE_S)

        sending = pool.submit(town.everything, pace)
        assert third.wait(60)
        made = sarraf("backup", str(copy))
        copied.set()
        town.swap(quote)
        assert sending.result()["refused"] == 0
    town.last()  # in a block behind the swap's, of which a chain that was started again knows no state
    block = town.require_exact()
    with service.client() as operator:
        total = operator.status()["totals"]["operations"]
    assert 0 < made["operations"] < total, "the copy was made in the middle"
    service.kill()

    restored = sarraf("restore", str(copy))
    assert restored["chain_number"] == block["number"], "nothing that the chain had was lost with the ledger"
    assert restored["kept_operations"] == total
    service.start()
    assert town.everything()["refused"] == 0
    town.swap(quote)
    town.last()
    block = town.require_exact()
    with service.client() as operator:
        assert operator.status()["totals"]["operations"] == total
    service.kill()

    shutil.rmtree(service.data / "chain")
    rebuilt = sarraf("rebuild", "chain")
    assert rebuilt["head"] == {"number": block["number"], "hash": block["hash"]}
    assert rebuilt["blocks"] == block["number"] + 1

    anew = sarraf("rebuild", "ledger", "--into", str(tmp_path / "anew.sqlite3"))
    assert (anew["verdict"], anew["differences"], anew["breaker"]) == ("ok", 0, None)
    assert anew["recovered"], "a chain of our own has nothing on its way"
    assert anew["present"]["differences"] == 0, anew["present"]
    assert anew["present"]["operations"]["both"] == total - town.pointless

    # Everything is gone but the copy: what came after it is gone on both sides, and is simply sent again.
    shutil.rmtree(service.data / "chain")
    for file in service.data.glob("ledger*"):
        file.unlink()
    assert sarraf("restore", str(copy))["kept"] is None
    service.start()
    assert town.everything()["refused"] == 0
    town.last()
    town.require_exact(swapped=False)
