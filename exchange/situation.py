"""Situations: what pricing has to know of the member, the moment, and what went before."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exchange.rules import Cap, Period, When

_NOTHING: Mapping[Period, int] = {}


@dataclass(frozen=True, slots=True)
class Usage:
    """What of a cap is used in its period: points on the cap's side, and transfers. Open quotes count."""

    points: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """Who swaps, when, and what they swapped before in this direction.

    `at` is in Unix seconds. `before` counts the member's earlier transfers in the running day, month and year; `used`
    says what is used of each cap; what is left out is none.
    """

    at: int = 0
    tier: str | None = None
    before: Mapping[Period, int] = field(default_factory=lambda: _NOTHING)
    used: Mapping[Cap, Usage] = field(default_factory=dict)

    def used_of(self, cap: Cap) -> Usage:
        """What is used of one cap; nothing where it counts single transfers."""
        return Usage() if cap.per is Period.TRANSFER else self.used.get(cap, Usage())

    def meets(self, when: When, amount: int) -> bool:
        """Whether a condition holds for a transfer of `amount` source points."""
        return (
            (not when.tiers or self.tier in when.tiers)
            and (when.starts is None or self.at >= when.starts)
            and (when.ends is None or self.at < when.ends)
            and (when.at_least is None or amount >= when.at_least)
            and self._is_nth(when)
        )

    def _is_nth(self, when: When) -> bool:
        if when.nth_per is None:
            return True
        number = self.before.get(when.nth_per, 0) + 1
        return when.nth_from <= number and (when.nth_to is None or number <= when.nth_to)


PLAIN_SITUATION = Situation()
"""A member of no tier who never swapped before, at the beginning of time."""
