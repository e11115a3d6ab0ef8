"""Legs: one swap that a member pays from several accounts.

The contract rounds down leg by leg, while a quote rounds down once. Both give the same when every leg but
one is a whole number of blocks, where a block is the least amount that converts without rounding
(`path_block`). The contract also refuses a batch in which a leg gives nothing, so no leg may be smaller than what gives
one point (`path_least`).
"""

from collections.abc import Callable, Sequence
from math import gcd
from typing import TypeVar

from exchange.errors import CannotSplit
from exchange.points import Points
from exchange.ratio import Ratio

AccountKey = TypeVar("AccountKey")

ACCOUNTS_MAX = 256
"""Accounts that one swap may be spread over; the search takes the square of it."""

TRIES_MAX = 16
"""Amounts that are tried for a refusal to name the nearest one; beyond them it names none."""


def path_block(ratios: Sequence[Ratio]) -> int:
    """The least amount that converts along all these hops without rounding; so does each multiple of it, and no other.

    Rounding down hop by hop is additive over it: a number of blocks and a rest give what the blocks give and what the
    rest gives. For one hop it is `reduced().from_units`. It may be beyond `POINTS_MAX`: then every amount is a rest.
    """
    block, standing = 1, 1
    for ratio in ratios:
        reduced = ratio.reduced()
        times = reduced.from_units // gcd(standing, reduced.from_units)
        block *= times
        standing = standing * times // reduced.from_units * reduced.to_units
    return block


def path_least(ratios: Sequence[Ratio]) -> int:
    """The least amount of which at least one point arrives after every hop; never more than `path_block`.

    It may be beyond `POINTS_MAX`: then nothing that can be sent ever arrives.
    """
    least = Points(1)
    for ratio in reversed(ratios):
        least = ratio.needed_for(least)
    return least


def plan_legs(
    available: Sequence[tuple[AccountKey, int]],
    amount: int,
    block: int,
    *,
    leg_min: int | None = None,
    burned: Callable[[int], int | None] | None = None,
) -> list[tuple[AccountKey, int]]:
    """What each account pays of `amount`, so that the floors of the legs sum to the floor of `amount`.

    `available` is in the order in which points should go (first-expiring first): among all splits that
    hold, the one that takes the most from the first account, then from the second, and so on. Accounts that
    pay nothing are left out. `block` is `path_block` and `leg_min` the least amount that gives one point, `path_least`;
    left out, a whole block, which always gives one but refuses some splits that would do.

    A split holds when it is a single leg below one block, or when all legs but one are whole blocks and none is less
    than `leg_min`. Other splits may happen to sum to the same: at 3 -> 2, two legs of 2 give 1 each and 4 gives 2. They
    are not looked for, since for legs of several odd parts that would be a search over all accounts at once.

    Raises `CannotSplit` when no split holds. `nearest` is the greatest lesser amount of which one does. `burned` says
    what is burned for an amount offered, None for nothing: `nearest` is then the greatest that is burned as it stands.
    """
    held = [there for _, there in available]
    least = block if leg_min is None else leg_min
    assert amount > 0, "only a positive amount is split"
    assert 1 <= least <= block, "a whole block always gives something"
    assert all(there >= 0 for there in held), "no account holds less than nothing"
    assert len(held) <= ACCOUNTS_MAX, "a swap is spread over a bounded number of accounts"
    legs = _best_split(held, amount, block, least)
    if legs is None:
        nearest = _nearest(held, amount - 1, block, least, burned)
        raise CannotSplit(
            "the points lie in several accounts, and taking them would lose a part in rounding",
            field="points",
            limit=nearest,
            nearest=nearest,
        )
    assert sum(legs) == amount, "legs sum to the amount"
    return [(key, leg) for (key, _), leg in zip(available, legs, strict=True) if leg]


def _nearest(
    held: Sequence[int], amount: int, block: int, least: int, burned: Callable[[int], int | None] | None
) -> int | None:
    """The greatest amount up to this one that can be split and, where that is asked for, is burned as it stands."""
    for _ in range(TRIES_MAX):
        found = _greatest_below(held, amount, block, least)
        if found is None or burned is None:
            return found
        standing = burned(found)
        if standing is None:
            return None
        assert standing <= found, "no more is burned than was offered"
        if standing == found or _best_split(held, standing, block, least):
            return standing
        amount = standing - 1
    return None


def _best_split(held: Sequence[int], amount: int, block: int, least: int) -> list[int] | None:
    """The split that takes most from the earliest accounts; each is tried as the one with the odd part."""
    odd = _odd_part(amount, block, least)
    if odd == 0:
        return _fill(held, amount, block)
    best: list[int] | None = None
    for index, there in enumerate(held):
        if there < odd:
            continue
        rest = [*held[:index], there - odd, *held[index + 1 :]]
        legs = _fill(rest, amount - odd, block)
        if legs is not None:
            legs[index] += odd
            best = legs if best is None else max(best, legs)
    return best


def _odd_part(amount: int, block: int, least: int) -> int:
    """The least that the one leg of no whole number of blocks carries; 0 when no leg need be like that."""
    remainder = amount % block
    if remainder == 0 or remainder >= least or amount < block:
        return remainder
    return remainder + block


def _fill(held: Sequence[int], amount: int, block: int) -> list[int] | None:
    """`amount`, whole blocks, taken from the first accounts on; None when they do not hold so many blocks."""
    legs: list[int] = []
    left = amount
    for there in held:
        leg = min(left, there - there % block)
        legs.append(leg)
        left -= leg
    return legs if left == 0 else None


def _greatest_below(held: Sequence[int], amount: int, block: int, least: int) -> int | None:
    """The greatest amount up to `amount` that can be split, None when there is none.

    Blocks can always be combined; only the odd part needs one account that holds all of it. So the answer
    is a number of whole blocks, and on top of it at most what is loose in one account, with or without a
    block beside it there.
    """
    if amount < 1 or _best_split(held, amount, block, least):
        return amount if amount > 0 else None
    loose = max((there % block for there in held), default=0)
    loose_beside_block = max((there % block for there in held if there >= block), default=0)
    whole = sum(there - there % block for there in held)
    candidates = [
        base + min(tail, amount - base)
        for base in (amount - amount % block, whole)
        if base <= amount
        for tail in (0, loose, loose_beside_block)
    ]
    possible = [each for each in candidates if each > 0 and _best_split(held, each, block, least)]
    return max(possible, default=None)
