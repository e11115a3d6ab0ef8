"""Waiting until everything that was accepted is final."""

import time
from collections.abc import Callable

from rich.console import Console

from bridge.answers import Status
from bridge.client import Client
from bridge.demo.errors import Stuck
from bridge.demo.work import progress

POLL_S = 0.5
STALL_S_MAX = 180.0
# One quiet look could fall between an acceptance and its batch; two in a row cannot.
QUIET_LOOKS = 2


def wait_until_final(
    client: Client,
    console: Console,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Status:
    """Return when nothing waits and no batch is under way.

    Raises Stuck when posting stopped, or when nothing moved for STALL_S_MAX seconds.
    """
    status = client.status()
    waiting = status["posting"]["accepted_waiting"]
    with progress(console, "Posting on chain", waiting) as advance:
        told = waiting
        moved_at = clock()
        seen = _position(status)
        quiet = 0
        while True:
            _raise_if_stopped(status)
            quiet = quiet + 1 if _is_quiet(status, client) else 0
            if quiet == QUIET_LOOKS:
                advance(told)
                return status
            if seen != _position(status):
                seen, moved_at = _position(status), clock()
            elif clock() - moved_at > STALL_S_MAX:
                raise Stuck(
                    f"nothing has moved for {STALL_S_MAX:.0f} s: {seen[0]} operations wait, {seen[1]} batches"
                    f" are in flight, and what is in blocks may not be final yet (head {seen[2]})"
                )
            sleep(POLL_S)
            status = client.status()
            left = status["posting"]["accepted_waiting"]
            if left < told:
                advance(told - left)
                told = left


def _is_quiet(status: Status, client: Client) -> bool:
    posting = status["posting"]
    if posting["accepted_waiting"] > 0 or posting["batches_in_flight"] > 0:
        return False
    # A batch that is in a block is not in flight any more, and may still lie short of finality.
    return next(client.operations(state="confirmed", page_items=1), None) is None


def _position(status: Status) -> tuple[int, int, int]:
    posting = status["posting"]
    return posting["accepted_waiting"], posting["batches_in_flight"], status["chain"]["head"]


def _raise_if_stopped(status: Status) -> None:
    breaker = status["posting"]["breaker"]
    if breaker is not None:
        raise Stuck(f"posting has stopped: {breaker['reason']}")
