"""The demo from beginning to end."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bridge.client import Client
from bridge.demo.events import Period, read_coupons, read_purchases
from bridge.demo.households import memberships, split_coupons
from bridge.demo.replay import replay
from bridge.demo.report import Report, Times, make_report
from bridge.demo.settle import wait_until_final
from bridge.demo.setup import ClientFactory, agree_terms, enrol, open_programs
from bridge.demo.state import State
from bridge.demo.swaps import count_bonuses, known_swaps, routed_example, swap_all

# The service writes what arrives together in one transaction: more callers, fewer transactions.
WORKERS = 16
WORKERS_MAX = 32


@dataclass(frozen=True, slots=True)
class Options:
    """What to replay, where the demo keeps its own files, and the operator's key.

    `data` is another folder with the two files of purchases and coupons.
    """

    directory: Path
    operator_key: str
    period: Period
    workers: int = WORKERS
    data: Path | None = None

    def __post_init__(self) -> None:
        assert 1 <= self.workers <= WORKERS_MAX


def run(
    client_factory: ClientFactory,
    options: Options,
    console: Console,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Set up, replay, swap, audit. `client_factory` makes a client of the service for a key.

    Raises DemoError when it cannot go on, ClientError when the service is out of reach or refuses the setup.
    """
    times = Times()
    purchases = read_purchases(options.period, options.data)
    kinds = memberships(purchases)
    coupons, not_member = split_coupons(read_coupons(options.period, options.data), kinds)
    console.print(
        f"84.51° Complete Journey, {options.period.name}: {len(purchases):,} purchases and"
        f" {len(coupons) + not_member:,} coupons of {len(kinds):,} households",
        highlight=False,
    )
    with ExitStack() as stack:

        def client(key: str | None) -> Client:
            return stack.enter_context(client_factory(key))

        lap = _Laps(clock)
        operator = client(options.operator_key)
        state = State(options.directory)
        sides = open_programs(operator, client, state)
        deals = agree_terms(sides)
        enrolment = enrol(sides, kinds, console, options.workers)
        times.setup_s = lap()
        tally = replay(sides, purchases, coupons, state, console, options.workers)
        times.replay_s = lap()
        wait_until_final(operator, console)
        times.posting_s = lap()
        swaps = swap_all(sides, enrolment, deals, options.period, console, options.workers)
        wait_until_final(operator, console)
        swaps.failed = len(known_swaps(sides, state="failed"))
        count_bonuses(sides, swaps)
        example = routed_example(sides)
        times.swaps_s = lap()
        audit = operator.audit()
        times.audit_s = lap()
    ids = {kind: side.id for kind, side in sides.items()}
    return make_report(options.period, audit, tally, swaps, enrolment, ids, not_member, times, example)


class _Laps:
    """Seconds since the last call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = clock()

    def __call__(self) -> float:
        now = self._clock()
        seconds, self._last = now - self._last, now
        return seconds
