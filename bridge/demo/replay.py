"""The purchases and coupons of a period, sent by several workers at once.

Households are shared out among the workers, so each member's purchases and coupons reach the service in the
order in which they happened, while the households of different workers run side by side.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from threading import Event

from rich.console import Console

from bridge.answers import BulkResult, EarnItem
from bridge.client import ProblemAnswer
from bridge.demo.events import Coupon, Purchase
from bridge.demo.households import member_number, share
from bridge.demo.scheme import COUPON_POINTS
from bridge.demo.setup import Side
from bridge.demo.state import State
from bridge.demo.work import Advance, progress, spread

BUFFER_ITEMS_MAX = 500


@dataclass(slots=True)
class Earned:
    """What became of one program's purchases. `zero_cents` are among `nothing_earned`."""

    sent: int = 0
    accepted: int = 0
    replayed: int = 0
    nothing_earned: int = 0
    zero_cents: int = 0
    points: int = 0
    miscounted: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Redeemed:
    """What became of the coupons. `short` were refused because the points were not there."""

    sent: int = 0
    accepted: int = 0
    replayed: int = 0
    short: int = 0
    not_member: int = 0
    points: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Tally:
    """The counts of one worker, or of all."""

    earned: dict[str, Earned] = field(default_factory=dict)
    redeemed: Redeemed = field(default_factory=Redeemed)

    def of(self, kind: str) -> Earned:
        """The counts of one kind of shop."""
        return self.earned.setdefault(kind, Earned())


def replay(
    sides: Mapping[str, Side],
    purchases: Sequence[Purchase],
    coupons: Sequence[Coupon],
    state: State,
    console: Console,
    workers: int,
) -> Tally:
    """Send everything; the coupons must be those of grocery members."""
    shares = _shares(purchases, coupons, workers)
    stop = Event()
    with progress(console, "Replaying purchases", len(purchases) + len(coupons)) as advance:

        def one(part: Sequence[Purchase | Coupon]) -> Tally:
            worker = _Worker(sides, state, advance)
            try:
                worker.run(part, stop)
            except BaseException:
                # The others would go on for minutes before the error is seen.
                stop.set()
                raise
            return worker.tally

        try:
            tallies = spread(one, shares, workers=workers)
        finally:
            stop.set()
    return _sum(tallies)


def in_order(purchases: Sequence[Purchase], coupons: Sequence[Coupon]) -> Iterator[Purchase | Coupon]:
    """Day by day: the purchases in the file's order, then the coupons in theirs."""
    by_day: dict[str, list[Coupon]] = {}
    for coupon in coupons:
        by_day.setdefault(coupon.date, []).append(coupon)
    for date, day in groupby(purchases, key=lambda purchase: purchase.date):
        for earlier in sorted(d for d in by_day if d < date):
            yield from by_day.pop(earlier)
        yield from day
        yield from by_day.pop(date, [])
    for later in sorted(by_day):
        yield from by_day[later]


def _shares(purchases: Iterable[Purchase], coupons: Iterable[Coupon], workers: int) -> list[list[Purchase | Coupon]]:
    bought: list[list[Purchase]] = [[] for _ in range(workers)]
    handed_in: list[list[Coupon]] = [[] for _ in range(workers)]
    for purchase in purchases:
        bought[share(purchase.household, workers)].append(purchase)
    for coupon in coupons:
        handed_in[share(coupon.household, workers)].append(coupon)
    return [list(in_order(*part)) for part in zip(bought, handed_in, strict=True)]


class _Worker:
    """Sends one share, with one buffer for each program."""

    def __init__(self, sides: Mapping[str, Side], state: State, advance: Advance) -> None:
        self.tally = Tally()
        self._sides = sides
        self._state = state
        self._advance = advance
        self._buffers: dict[str, list[Purchase]] = {kind: [] for kind in sides}

    def run(self, part: Iterable[Purchase | Coupon], stop: Event) -> None:
        for step in part:
            if stop.is_set():
                return
            if isinstance(step, Purchase):
                self._buffers[step.kind].append(step)
                if len(self._buffers[step.kind]) == BUFFER_ITEMS_MAX:
                    self._flush(step.kind)
            else:
                # What the household bought before must be in the ledger before it spends.
                if any(purchase.household == step.household for purchase in self._buffers["grocery"]):
                    self._flush("grocery")
                self._redeem(step)
        for kind in self._buffers:
            self._flush(kind)

    def _flush(self, kind: str) -> None:
        purchases = self._buffers[kind]
        if not purchases:
            return
        self._buffers[kind] = []
        side = self._sides[kind]
        answer = side.client.earn_bulk([_item(purchase) for purchase in purchases])
        earned = self.tally.of(kind)
        for purchase, result in zip(purchases, answer["results"], strict=True):
            assert purchase.event_id == result["event_id"], "the results are not in the order sent"
            _count(earned, purchase, result, side.scheme.earned(purchase.cents))
        self._advance(len(purchases))

    def _redeem(self, coupon: Coupon) -> None:
        redeemed = self.tally.redeemed
        grocery = self._sides["grocery"]
        redeemed.sent += 1
        self._advance()
        if self._state.was_refused(grocery.id, coupon.key):
            redeemed.short += 1
            return
        try:
            posted = grocery.client.redeem(
                member_number(coupon.household),
                key=coupon.key,
                points=COUPON_POINTS,
            )
        except ProblemAnswer as problem:
            if problem.type == "insufficient-points":
                redeemed.short += 1
                self._state.remember_refused(grocery.id, coupon.key)
            else:
                redeemed.refused[problem.type] += 1
            return
        redeemed.points += posted.operation["points"]
        if posted.replayed:
            redeemed.replayed += 1
        else:
            redeemed.accepted += 1


def _item(purchase: Purchase) -> EarnItem:
    return {
        "event_id": purchase.event_id,
        "member_number": member_number(purchase.household),
        "spend_minor": purchase.cents,
        "occurred_at": purchase.at,
    }


def _count(earned: Earned, purchase: Purchase, result: BulkResult, expected: int) -> None:
    earned.sent += 1
    earned.zero_cents += purchase.cents == 0
    if result["status"] == "refused":
        problem = result["problem"] or {}
        earned.refused[problem.get("type", "unknown").rpartition(":")[2]] += 1
        return
    earned.points += result["points"]
    earned.miscounted += result["points"] != expected
    earned.nothing_earned += result["points"] == 0
    if result["status"] == "replayed":
        earned.replayed += 1
    elif result["status"] == "accepted":
        earned.accepted += 1


def _sum(tallies: Iterable[Tally]) -> Tally:
    whole = Tally()
    for tally in tallies:
        for kind, earned in tally.earned.items():
            _add(whole.of(kind), earned)
        _add(whole.redeemed, tally.redeemed)
    return whole


def _add(into: Earned | Redeemed, more: Earned | Redeemed) -> None:
    for name in into.__dataclass_fields__:
        setattr(into, name, getattr(into, name) + getattr(more, name))
