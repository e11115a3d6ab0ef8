"""Halving: where along the whole numbers something begins to hold, found from a guess that is seldom far off."""

from bisect import bisect_left
from collections.abc import Callable


def first_near(near: int, end: int, holds: Callable[[int], bool]) -> int:
    """The least number from 0 to `end` at which `holds`, as it then does at all later ones; at `end` it surely does.

    It is looked for around `near`, twice as far away each time, and what is left between is halved. So a good guess
    costs a few looks, and a bad one twice as many as halving everything.
    """
    low, high, step = -1, end, 1  # it does not hold at `low`, and it does at `high`
    at = min(max(near, 0), end)
    if at == end or holds(at):
        high = at
        while high - step > low:
            if not holds(high - step):
                low = high - step
                break
            high, step = high - step, 2 * step
    else:
        low = at
        while low + step < high:
            if holds(low + step):
                high = low + step
                break
            low, step = low + step, 2 * step
    return bisect_left(range(high), True, lo=low + 1, key=holds)
