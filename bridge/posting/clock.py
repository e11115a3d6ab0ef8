"""The clock, as an argument: milliseconds since 1970 in UTC."""

import time
from collections.abc import Callable

Clock = Callable[[], int]


def system_clock() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000
