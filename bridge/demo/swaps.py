"""After the purchases: linked households swap points between programs, each at a quoted price.

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

from bridge.answers import Member, Operation
from bridge.client import ProblemAnswer
from bridge.demo.events import Period
from bridge.demo.households import share
from bridge.demo.scheme import Deal
from bridge.demo.setup import Enrolment, Side
from bridge.demo.work import progress, spread

TO_FUEL_ONE_IN = 4

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
    """What became of the wishes. `too_few`: half of the points was less than the terms' minimum."""

    made: int = 0
    replayed: int = 0
    too_few: int = 0
    failed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    by_direction: Counter[Direction] = field(default_factory=Counter)


def wishes(members: Mapping[str, Mapping[str, Member]], linked: frozenset[str]) -> list[Wish]:
    """One household in TO_FUEL_ONE_IN turns groceries into fuel; the others bring the rest to grocery."""
    plan: list[Wish] = []
    for household, mine in members.items():
        if household not in linked:
            continue
        if "grocery" not in mine:
            plan.append(Wish(household, "drugstore", "fuel"))
        elif "fuel" in mine and share(household, TO_FUEL_ONE_IN) == 0:
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
        return _swap(sides, enrolment, deals[wish.source, wish.destination], wish, period)

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
            if operation["idempotency_key"] is not None:  # a holder's own swap has none
                key = operation["idempotency_key"]
            if key is not None:  # else a holder made the swap on the chain, and no household of the demo is one
                known[key] = operation
    return known


def _swap(sides: Mapping[str, Side], enrolment: Enrolment, deal: Deal, wish: Wish, period: Period) -> str:
    """ "made", "replayed", "too-few", or the slug of a refusal."""
    client = sides[wish.source].client
    member = enrolment.members[wish.household][wish.source]
    half = client.balance(member["id"])["swappable"] // 2
    if half < deal.minimum:
        return "too-few"
    try:
        quote = client.quote(member_id=member["id"], to_program_id=sides[wish.destination].id, amount_in=half)
        posted = client.swap(quote["id"], key=wish.key(period))
    except ProblemAnswer as problem:
        return problem.type
    return "replayed" if posted.replayed else "made"
