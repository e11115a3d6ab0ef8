"""The clocks, as arguments: milliseconds since 1970 in UTC, and such that only measure how much time goes by."""

import time
from collections.abc import Callable

Clock = Callable[[], int]


def system_clock() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


def steady_clock() -> int:
    """Milliseconds that are not set back or forward; they go on while a process is stopped."""
    return time.monotonic_ns() // 1_000_000


def passed(since_ms: int, now_ms: int, least_ms: int) -> bool:
    """Whether so much time went by; also where the clock was set back meanwhile, so that nothing waits for it."""
    return not 0 <= now_ms - since_ms < least_ms
