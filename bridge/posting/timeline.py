"""A timeline: what changes by itself when a moment comes, without anybody telling."""

from bisect import bisect_right, insort
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Timeline(Generic[Key]):
    """Moments at which something about a key changes, and how far the clock has come.

    The clock may also be set back: then what had changed is told once more. Moments are whole numbers in any one unit.
    """

    def __init__(self) -> None:
        self._moments: list[tuple[int, Key]] = []
        #: how many of the moments the clock has reached, and where it stands
        self._reached = 0
        self._now: int | None = None

    def add(self, moment: int, key: Key) -> None:
        """Note that something about `key` changes at `moment`; noted twice is noted once."""
        place = bisect_right(self._moments, (moment, key))
        if place and self._moments[place - 1] == (moment, key):
            return
        insort(self._moments, (moment, key))
        if self._now is not None and moment <= self._now:
            self._reached += 1

    def move(self, now: int) -> set[Key]:
        """Set the clock; answers the keys of which a moment lies between where it stood and now."""
        reached = bisect_right(self._moments, now, key=lambda each: each[0])
        first, last = sorted((reached, self._reached))
        self._reached, self._now = reached, now
        return {key for _, key in self._moments[first:last]}

    def __len__(self) -> int:
        return len(self._moments)
