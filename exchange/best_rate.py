"""Best rates: what one source point could become at most, over everything that terms can still give.

The bound is for the number of points that arrive, divided by the number of source points that are given for them: for
every valid amount, every tier, moment and n-th transfer from now on. Why it holds:

1. Take any transfer of `a` points, and the bonuses that count for it. Go back with its moment, its numbers and its
   amount to the last beginning of a bonus (`exchange.reach`). All that counted still does, for all of it had begun.
2. At the amount `a` what arrives is at most `a` times

       R (1 + sum of shares) + sum of (to/from of each `per`) + sum of (flat / a)

   where R is the best of the ratio and the better ratios that count, each bonus is at most its `most / a`, and of each
   group only the greatest counts: rounding down only takes away.
3. The sum falls, or stays, as the amount rises while no other bonus begins. So it is greatest at the beginnings: at the
   least valid amount from `when.at_least` on, and for `per` from the first block on.

Where a direction only converts, the bound is the ratio, and every amount of whole blocks reaches it. Fees, in points
or in money, only take away, and are left out of it; so are the counts of caps.
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Final

from exchange.amounts import Amounts, valid_amounts
from exchange.caps import room_in
from exchange.points import Points
from exchange.reach import live_bonuses, reach_of
from exchange.rules import Bonus
from exchange.situation import Situation
from exchange.terms import Terms

CASES_MAX: Final = 10_000
"""Bonuses times amounts times situations that are looked at. Terms with more are bounded more coarsely, never lower."""


def best_rate(terms: Terms, now: int) -> Fraction:
    """The bound, in destination points for one source point; `now` is in Unix seconds.

    What ends at or before `now` is over. What begins later counts, since points can wait for it.
    """
    if not live_bonuses(terms, now):
        return terms.ratio.exact
    coarse = _prepared(terms, now)
    for relax in (_whichever_transfer, _whenever, _whoever):
        if len(reach_of(coarse, now)) <= _situations_max(coarse):
            break
        coarse = relax(coarse)
    return max(_bound_in(coarse, situation) for situation in reach_of(coarse, now).situations())


def best_situations(terms: Terms, now: int, most: int) -> list[Situation]:
    """The situations from `now` on in which most could be reached, the best first; `most` of them at the most.

    Of terms with very many situations only the first are compared.
    """
    prepared = _prepared(terms, now)
    compared = islice(reach_of(terms, now).situations(), _situations_max(prepared))
    return sorted(compared, key=lambda situation: _bound_in(prepared, situation), reverse=True)[:most]


def _prepared(terms: Terms, now: int) -> Terms:
    """The terms without what is over, and without fees."""
    bonuses = tuple(_from_first_block(each) for each in live_bonuses(terms, now))
    return replace(terms, rules=replace(terms.rules, bonuses=bonuses, fees=()))


def _situations_max(terms: Terms) -> int:
    bonuses = len(terms.rules.bonuses)
    return CASES_MAX // (bonuses * (bonuses + 1) + 1)


def _bound_in(terms: Terms, situation: Situation) -> Fraction:
    """The greatest rate of all amounts that may go in one situation; the ratio where there is none."""
    rates = (_rate_at(terms, amount, situation) for amount in _beginnings(terms, situation))
    return max(rates, default=terms.ratio.exact)


def _from_first_block(bonus: Bonus) -> Bonus:
    """The same bonus, saying aloud that it gives nothing below the first block."""
    if bonus.per is None:
        return bonus
    least = max(bonus.per.from_units, bonus.when.at_least or bonus.per.from_units)
    return replace(bonus, when=replace(bonus.when, at_least=least))


def _beginnings(terms: Terms, situation: Situation) -> set[int]:
    """The amounts from which on some bonus counts, the least valid amount among them; only those that may go."""
    amounts = valid_amounts(terms, situation.tier)
    room_out, room_into = room_in(terms, situation)
    most = min(room_out, terms.ratio.needed_for(Points(room_into + 1)) - 1)
    wanted = {1, *(each.when.at_least or 1 for each in terms.rules.bonuses)}
    first = (_first_from(amounts, each) for each in wanted)
    return {each for each in first if each is not None and each <= most}


def _first_from(amounts: Amounts, wanted: int) -> int | None:
    index = amounts.count_up_to(wanted - 1)
    return amounts[index] if index < len(amounts) else None


def _rate_at(terms: Terms, amount: int, situation: Situation) -> Fraction:
    """Step 2 of the proof, at one amount."""
    counting = [each for each in terms.rules.bonuses if situation.meets(each.when, amount)]
    rated = max([terms.ratio.exact, *(each.ratio.exact for each in counting if each.ratio is not None)])
    alone, by_group = Fraction(0), dict[str, Fraction]()
    for bonus in counting:
        if bonus.ratio is not None:
            continue
        extra = _extra(bonus, amount, rated)
        if bonus.group is None:
            alone += extra
        else:
            by_group[bonus.group] = max(extra, by_group.get(bonus.group, extra))
    return rated + alone + sum(by_group.values())


def _extra(bonus: Bonus, amount: int, rated: Fraction) -> Fraction:
    if bonus.share is not None:
        extra = bonus.share.exact * rated
    elif bonus.per is not None:
        extra = bonus.per.exact
    else:
        assert bonus.flat is not None, "a bonus is one of four kinds"
        extra = Fraction(bonus.flat, amount)
    return extra if bonus.most is None else min(extra, Fraction(bonus.most, amount))


def _whichever_transfer(terms: Terms) -> Terms:
    """Terms that give at least as much: what an n-th transfer gets, each gets."""
    return _with_bonuses(
        terms,
        (replace(each, when=replace(each.when, nth_per=None, nth_from=1, nth_to=None)) for each in terms.rules.bonuses),
    )


def _whenever(terms: Terms) -> Terms:
    """Terms that give at least as much: what is given at some time is given at all times."""
    return _with_bonuses(
        terms, (replace(each, when=replace(each.when, starts=None, ends=None)) for each in terms.rules.bonuses)
    )


def _whoever(terms: Terms) -> Terms:
    """Terms that give at least as much: everybody is treated as those in the best tier are, from the least minimum on.

    Amounts that do not stand in a table go in steps of one, for another minimum has other multiples above it.
    """
    rules = terms.rules
    minimum = min([terms.minimum, *(each.minimum for each in rules.minimums)])
    caps = tuple(each for each in rules.caps if not each.tiers)
    open_to_all = replace(rules, tiers=frozenset(), minimums=(), caps=caps)
    return _with_bonuses(
        replace(terms, minimum=minimum, increment=Points(1), rules=open_to_all),
        (replace(each, when=replace(each.when, tiers=frozenset())) for each in rules.bonuses),
    )


def _with_bonuses(terms: Terms, bonuses: Iterable[Bonus]) -> Terms:
    return replace(terms, rules=replace(terms.rules, bonuses=tuple(bonuses)))
