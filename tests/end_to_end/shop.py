"""One grocery with real purchases: what the crash tests send, and what must come of it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from bridge.answers import EarnItem
from bridge.client import Client
from bridge.demo.events import Period, Purchase, read_purchases
from tests.end_to_end.running import ServiceProcess, until_active

PURCHASES = 300
WORKERS = 4
CENTS_PER_POINT = 100
BULK_ITEMS = 25


@dataclass(frozen=True)
class Shop:
    """A program with its key, whose members are the households of `purchases`."""

    program_id: str
    key: str
    purchases: Sequence[Purchase]

    @property
    def expected_points(self) -> int:
        """What the purchases earn, computed from the file alone."""
        return sum(purchase.cents // CENTS_PER_POINT for purchase in self.purchases)


def open_shop(service: ServiceProcess, purchases: int = PURCHASES) -> Shop:
    """Create the program and enrol the households of the first purchases of May."""
    chosen = read_purchases(Period.parse("may"), None)[:purchases]
    with service.client() as operator:
        program = operator.create_program(
            name="Grocery",
            symbol="GRC",
            currency="points",
            earning_rate={"points": 1, "per_minor_units": CENTS_PER_POINT},
        )
        until_active(operator, program["id"])
        key = operator.create_key(program["id"], ["earn", "redeem", "members", "read"])["key"]
    with service.client(key) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(client.enrol, sorted({f"household-{one.household}" for one in chosen})))
    return Shop(program["id"], key, chosen)


def replay(client: Client, shop: Shop, pace: Callable[[int], object] = lambda _sent: None) -> dict[str, int]:
    """Send every purchase, several callers at a time; answers how many ended which way.

    `pace` is called before each part with the number of purchases in front of it, and may hold it back.
    """
    parts = [list(shop.purchases[start : start + BULK_ITEMS]) for start in range(0, len(shop.purchases), BULK_ITEMS)]

    def send(start: int, part: list[Purchase]) -> dict[str, int]:
        pace(start)
        return cast(dict[str, int], client.earn_bulk([_item(one) for one in part])["counts"])

    totals: dict[str, int] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for counts in pool.map(send, range(0, len(shop.purchases), BULK_ITEMS), parts):
            for status, count in counts.items():
                totals[status] = totals.get(status, 0) + count
    return totals


def require_exact(service: ServiceProcess, shop: Shop) -> None:
    """The ledger equals the chain, and both hold exactly what the file says, each event once."""
    with service.client() as operator:
        audit = operator.audit()
    assert audit["differences"] == 0, audit
    (program,) = audit["programs"]
    assert program["events"] == len(shop.purchases)
    assert program["points_earned"] == program["supply"] == program["ledger"] == shop.expected_points


def _item(purchase: Purchase) -> EarnItem:
    return {
        "event_id": purchase.event_id,
        "member_number": f"household-{purchase.household}",
        "spend_minor": purchase.cents,
    }
