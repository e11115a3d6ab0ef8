"""Where everything random of a run comes from: one seed, and a stream of its own for each part that draws."""

from collections.abc import Callable
from random import Random


class Dice:
    """Streams by name, so that one part drawing more does not change what another part draws."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def stream(self, name: str) -> Random:
        """The stream of this name, from its beginning."""
        return Random(f"{self._seed}:{name}")


class SeededIds:
    """Ids and secrets for `bridge.store.ids`: UUIDs by the service's clock, the rest from the dice."""

    def __init__(self, dice: Random, clock: Callable[[], int]) -> None:
        self._dice = dice
        self._clock = clock
        self._made = 0

    def uuid7(self) -> str:
        self._made += 1
        counted = f"7{self._made >> 12 & 0xFFF:03x}{0x8000 | self._made & 0xFFF:04x}"
        return f"{self._clock():012x}{counted}{self._dice.getrandbits(48):012x}"

    def token(self, byte_count: int) -> bytes:
        return self._dice.randbytes(byte_count)
