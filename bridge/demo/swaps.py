"""After the purchases: linked households swap points between programs, each at a quoted price.

Most swap in a direction for which there are terms. Those who want fuel for drugstore points swap over a route: there
are no such terms, but the drugstore has some with the grocery, and the grocery with the fuel stations.

Who swaps what depends on the household alone, and no program both gives and receives for one household, so
that a second run plans what the first one planned. Which swaps were made then, the service tells: each has a
key made of household, direction and period. What is found under its key needs no new quote, and is not made
again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console

from bridge.answers import Member, Operation, Quote
from bridge.client import ProblemAnswer
from bridge.demo.events import Period
from bridge.demo.households import share
from bridge.demo.scheme import ROUTED, Deal
from bridge.demo.setup import Enrolment, Side
from bridge.demo.work import progress, spread

TO_FUEL_ONE_IN = 4
# Programs on the path of a swap that takes no route.
DIRECT_PROGRAMS = 2

Direction = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one household wants to swap: half of what it can, in one direction."""

    household: str
    source: str
    destination: str

    def key(self, period: Period) -> str:
        """The idempotency key of the swap."""
        return f"swap-{self.household}-{self.source}-{self.destination}-{period.name}"


@dataclass(slots=True)
class Swaps:
    """What became of the wishes. `too_few`: half of the points was less than the terms' minimum.

    `bonuses` came with them, each posted by itself once its swap was final.
    """

    made: int = 0
    replayed: int = 0
    too_few: int = 0
    failed: int = 0
    bonuses: int = 0
    bonuses_failed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    by_direction: Counter[Direction] = field(default_factory=Counter)


def wishes(members: Mapping[str, Mapping[str, Member]], linked: frozenset[str]) -> list[Wish]:
    """Of those that buy fuel, one household in TO_FUEL_ONE_IN turns groceries into it, and one drugstore points.

    The others bring the rest to grocery.
    """
    plan: list[Wish] = []
    for household, mine in members.items():
        if household not in linked:
            continue
        part = share(household, TO_FUEL_ONE_IN) if "fuel" in mine else None
        if "grocery" not in mine or (part == 1 and "drugstore" in mine):
            plan.append(Wish(household, *ROUTED))
        elif part == 0:
            plan.append(Wish(household, "grocery", "fuel"))
        else:
            plan.extend(Wish(household, kind, "grocery") for kind in ("drugstore", "fuel") if kind in mine)
    return plan


def swap_all(
    sides: Mapping[str, Side],
    enrolment: Enrolment,
    deals: Mapping[Direction, Deal],
    period: Period,
    console: Console,
    workers: int,
) -> Swaps:
    """Quote and accept every wish that has no swap yet."""
    plan = wishes(enrolment.members, enrolment.linked)
    known = known_swaps(sides)
    fresh = [wish for wish in plan if wish.key(period) not in known]
    swaps = Swaps(replayed=len(plan) - len(fresh))

    def one(wish: Wish) -> str:
        return _swap(sides, enrolment, deals.get((wish.source, wish.destination)), wish, period)

    with progress(console, "Swapping points", len(fresh)) as advance:
        outcomes = spread(one, fresh, workers=workers, advance=advance)
    for wish, outcome in zip(fresh, outcomes, strict=True):
        if outcome == "made":
            swaps.made += 1
            swaps.by_direction[wish.source, wish.destination] += 1
        elif outcome == "replayed":
            swaps.replayed += 1
        elif outcome == "too-few":
            swaps.too_few += 1
        else:
            swaps.refused[outcome] += 1
    return swaps


def known_swaps(sides: Mapping[str, Side], state: Literal["failed"] | None = None) -> dict[str, Operation]:
    """The swaps that the service has, by idempotency key."""
    known: dict[str, Operation] = {}
    for side in sides.values():
        for operation in side.client.operations(kind="swap", state=state):
            key = operation["idempotency_key"]
            if key is not None:  # else a holder made the swap on the chain, and no household of the demo is one
                known[key] = operation
    return known


def count_bonuses(sides: Mapping[str, Side], swaps: Swaps) -> None:
    """Count the bonuses that the service has posted, and those that it never will."""
    for side in sides.values():
        for operation in side.client.operations(kind="bonus"):
            swaps.bonuses += 1
            swaps.bonuses_failed += operation["state"] == "failed"


def routed_example(sides: Mapping[str, Side]) -> Quote | None:
    """The quote of the largest swap that led over a route; the same one on every run."""
    found: list[tuple[int, str, Side, str]] = []
    for side in sides.values():
        for operation in side.client.operations(kind="swap"):
            swap, key = operation["swap"], operation["idempotency_key"]
            if operation["program_id"] != side.id or swap is None or key is None or operation["state"] == "failed":
                continue
            if len(swap["path"]) > DIRECT_PROGRAMS and swap["quote_id"] is not None:
                found.append((operation["points"], key, side, swap["quote_id"]))
    if not found:
        return None
    _, _, side, quote_id = max(found, key=lambda each: each[:2])
    return side.client.show_quote(quote_id)


def _swap(sides: Mapping[str, Side], enrolment: Enrolment, deal: Deal | None, wish: Wish, period: Period) -> str:
    """ "made", "replayed", "too-few", or the slug of a refusal. Without a deal, by the route that gives the most."""
    client = sides[wish.source].client
    member = enrolment.members[wish.household][wish.source]
    half = client.balance(member["id"])["swappable"] // 2
    if half < (1 if deal is None else deal.minimum):
        return "too-few"
    try:
        quote = client.quote(
            member_id=member["id"],
            to_program_id=sides[wish.destination].id,
            amount_in=half,
            route="points" if deal is None else None,
        )
        posted = client.swap(quote["id"], key=wish.key(period))
    except ProblemAnswer as problem:
        # A route exists, but for larger amounts: it says from which on.
        is_too_few = problem.type == "no-route" and problem.nearest is not None
        return "too-few" if is_too_few else problem.type
    return "replayed" if posted.replayed else "made"
