"""Past swaps, read from the service page by page, as the simulation takes them."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import partial
from itertools import islice, pairwise

from bridge.answers import Operation, Program, Quote
from bridge.client import PAGE_ITEMS, Client, ProblemAnswer
from exchange.conversion import MoneyDue
from exchange.explanation import Worth
from exchange.points import MicroUnits, Points
from exchange.simulation import Direction, PastSwap

SWAPS_READ_MAX = 20_000
"""Swaps that one simulation reads: each takes a call for its quote."""

READERS = 8
"""Quotes that are asked for at once."""

NOT_MADE = frozenset({"failed", "cancelled"})
"""States of swaps that moved nothing."""


@dataclass(frozen=True, slots=True)
class Past:
    """Swaps in their order; unless `complete`, older ones were left out. `hidden` are those of others' members."""

    swaps: tuple[PastSwap, ...]
    complete: bool
    hidden: int


def read_past(client: Client, program_id: str | None, directions: frozenset[Direction], limit: int) -> Past:
    """The newest swaps that went through one of these directions, out of one program or all, up to a number.

    A holder's own swaps are left out: nobody quoted them.
    """
    assert 1 <= limit <= SWAPS_READ_MAX, "a simulation reads a bounded number of swaps"
    concerned = _concerned(client, program_id, directions)
    chosen = list(islice(concerned, limit))
    complete = len(chosen) < limit or next(concerned, None) is None
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        quotes = list(pool.map(partial(_quote, client), chosen))
    quoted = [(one, quote) for one, quote in zip(chosen, quotes, strict=True) if quote is not None]
    customers = _customers([quote for _, quote in quoted])
    # From the oldest on; those of one second stay in the order in which they were accepted.
    swaps = [_swap(one, quote, customers) for one, quote in reversed(quoted)]
    ordered = sorted(swaps, key=lambda swap: swap.at)
    return Past(tuple(ordered), complete, len(chosen) - len(quoted))


def worths(programs: Sequence[Program], directions: frozenset[Direction]) -> dict[Direction, Worth]:
    """What a point of a first and a last program is worth at home, where both say it in one currency."""
    by_id = {program["id"]: program for program in programs}
    found: dict[Direction, Worth] = {}
    for source, destination in directions:
        given, received = by_id[source], by_id[destination]
        one, other = given["point_value_micro"], received["point_value_micro"]
        if one is not None and other is not None and given["money"] == received["money"]:
            found[source, destination] = Worth(Fraction(one), Fraction(other), given["money"], "as the programs say")
    return found


def _concerned(client: Client, program_id: str | None, directions: frozenset[Direction]) -> Iterator[Operation]:
    for one in client.operations(kind="swap", page_items=PAGE_ITEMS):
        swap = one["swap"]
        if swap is None or swap["quote_id"] is None or one["state"] in NOT_MADE:
            continue
        if program_id in (None, one["program_id"]) and directions.intersection(pairwise(swap["path"])):
            yield one


def _quote(client: Client, one: Operation) -> Quote | None:
    """The quote of a swap; None where it was given to another program than the key's."""
    swap = one["swap"]
    assert swap is not None and swap["quote_id"] is not None, "only quoted swaps were chosen"
    try:
        return client.show_quote(swap["quote_id"])
    except ProblemAnswer as problem:
        if problem.type == "unknown-quote":
            return None
        raise


def _customers(quotes: Sequence[Quote]) -> Mapping[str, str]:
    """One word for each customer: whoever swapped between two memberships has both."""
    leaders: dict[str, str] = {}

    def leader(member: str) -> str:
        while (above := leaders.setdefault(member, member)) != member:
            leaders[member] = member = leaders[above]
        return member

    for quote in quotes:
        leaders[leader(quote["member_id"])] = leader(quote["to_member_id"])
    return {member: leader(member) for member in list(leaders)}


def _swap(one: Operation, quote: Quote, customers: Mapping[str, str]) -> PastSwap:
    return PastSwap(
        path=tuple(quote["path"]),
        customer=customers[quote["member_id"]],
        at=int(datetime.fromisoformat(one["created_at"]).timestamp()),
        tier=quote["tier"],
        offered=Points(quote["amount_in"] + quote["remainder"]),
        burned=Points(quote["amount_in"]),
        base=Points(quote["base_out"]),
        bonus=Points(quote["amount_out"] - quote["base_out"]),
        fee_points=Points(quote["fee_points"]),
        fees=tuple(MoneyDue(fee["currency"], MicroUnits(fee["micro"])) for fee in quote["fees_money"]),
        settlements=tuple(MicroUnits(hop["settlement_micro"]) for hop in quote["hops"]),
    )
