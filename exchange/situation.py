"""Situations: what pricing has to know of the member, the moment, and what went before."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exchange.rules import Bonus, Cap, Period, When, is_for

_NOTHING: Mapping[Period, int] = {}
_NONE: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Usage:
    """What of a cap is used in its period: points on the cap's side, and transfers. Open quotes count."""

    points: int = 0
    count: int = 0


_UNUSED = Usage()


@dataclass(frozen=True, slots=True)
class Situation:
    """Who swaps, when, and what they swapped before in this direction.

    `at` is in Unix seconds. `before` counts the member's earlier transfers in the running day, week, month and year,
    and ever; `used` says what is used of each cap; `had` what the member had, by its name, of each bonus that has a
    `member_most`, in its running period, with what open quotes promise. What is left out is none.
    """

    at: int = 0
    tier: str | None = None
    before: Mapping[Period, int] = field(default_factory=lambda: _NOTHING)
    used: Mapping[Cap, Usage] = field(default_factory=dict)
    had: Mapping[str, int] = field(default_factory=lambda: _NONE)

    def used_of(self, cap: Cap) -> Usage:
        """What is used of one cap; nothing where it counts single transfers."""
        if not self.used or cap.per is Period.TRANSFER:
            return _UNUSED
        return self.used.get(cap, _UNUSED)

    def left_of(self, bonus: Bonus) -> int | None:
        """The most that this bonus may add to a transfer now, None where nothing bounds it."""
        if bonus.member_most is None:
            return bonus.most
        left = max(0, bonus.member_most - self.had.get(bonus.name, 0))
        return left if bonus.most is None else min(left, bonus.most)

    def meets(self, when: When, amount: int) -> bool:
        """Whether a condition holds for a transfer of `amount` source points."""
        return (
            is_for(self.tier, when.tiers, when.except_tiers)
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
