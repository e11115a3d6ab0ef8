"""A small world for the demo: a fake service and a few made-up purchases."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from bridge.client import Client
from tests.bridge.fake_service import FakeService


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def clients(service: FakeService) -> Callable[[str | None], Client]:
    return lambda key: Client("http://sarraf.test", key, transport=service.transport)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=False)


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """A packed CSV file."""
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def purchase(number: int, household: str, ts: str, cents: int | str, program: str = "grocery") -> dict[str, str]:
    """One row of the purchases file."""
    return {
        "event_id": f"{program}-{number}",
        "program": program,
        "household_id": household,
        "store_id": "1",
        "basket_id": str(number),
        "ts": ts,
        "lines": "1",
        "amount_cents": str(cents),
    }


def coupon(household: str, date: str, upc: str = "77") -> dict[str, str]:
    """One row of the coupons file."""
    return {"household_id": household, "coupon_upc": upc, "campaign_id": "26", "redemption_date": date}
