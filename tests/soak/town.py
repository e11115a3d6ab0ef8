"""Two programs that swap with each other, and customers who are members of both."""

from dataclasses import dataclass
from typing import Protocol

from bridge.answers import Limit
from bridge.client import Client
from exchange.points import POINTS_MAX
from tests.end_to_end.running import until, until_active

SYMBOLS = ("BEAN", "MILE")
SCOPES = ["earn", "redeem", "swap", "terms", "members", "read"]
CUSTOMERS = 8
#: What everybody has before it begins.
FIRST_POINTS = 1_000
NO_LIMIT: Limit = {"capacity": POINTS_MAX, "refill_per_second": POINTS_MAX}


class Served(Protocol):
    """A service, or several that stand for one."""

    @property
    def url(self) -> str:
        """Where it answers."""
        ...

    def client(self, key: str | None = None) -> Client:
        """A client of it, the operator's without a key."""
        ...

    def log_end(self) -> str:
        """The last lines of its log."""
        ...


@dataclass(frozen=True)
class Town:
    """Where the customers are: the programs' ids, their keys, and the members' numbers, which are the same in both."""

    service: Served
    keys: dict[str, str]
    members: tuple[str, ...]

    def other(self, program_id: str) -> str:
        """The program that this one swaps with."""
        return next(one for one in self.keys if one != program_id)


def open_town(service: Served) -> Town:
    """Programs, terms of 2 to 1 both ways, and linked members without points."""
    with service.client() as operator:
        programs = [
            operator.create_program(
                name=symbol,
                symbol=symbol,
                currency="points",
                earning_rate={"points": 1, "per_minor_units": 1},
                limits={"issuance": NO_LIMIT, "redemption": NO_LIMIT},
            )["id"]
            for symbol in SYMBOLS
        ]
        for one in programs:
            until_active(operator, one)
        keys = {one: operator.create_key(one, SCOPES)["key"] for one in programs}
    first, second = programs
    with service.client(keys[first]) as bean, service.client(keys[second]) as mile:
        _agree(bean, mile, first, second)
        _agree(mile, bean, second, first)
        members = tuple(f"customer-{number}" for number in range(CUSTOMERS))
        for number in members:
            codes = [client.link_code(client.enrol(number).member["id"])["code"] for client in (bean, mile)]
            bean.link(codes)
    return Town(service, keys, members)


def _agree(source: Client, destination: Client, from_id: str, to_id: str) -> None:
    proposed = source.propose_terms(
        from_program_id=from_id,
        to_program_id=to_id,
        ratio={"from_units": 2, "to_units": 1},
        minimum=2,
        increment=2,
        settlement_price_micro=10,
    )
    until(lambda: source.show_terms(proposed["id"])["state"] == "proposed", "the terms are proposed")
    destination.consent(proposed["id"])
    until(lambda: source.show_terms(proposed["id"])["state"] == "in_force", "the terms are in force")
