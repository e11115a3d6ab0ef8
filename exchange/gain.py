"""Gains: whether some actual amount ends a cycle with more than it began.

The gate compares rates before anything is rounded. Floors, minimums, steps and caps may leave nothing of a gain that
the rates allow. So amounts are tried at which a gain is most likely: whole blocks of all ratios, the edges of minimums,
thresholds, listed amounts and caps, and round amounts of every size, each begun at every program of the cycle. What is
claimed was priced step by step, as a member's swaps would be. What was not found may still be there.

Each direction is one swap, in the situation that gives most for it: any tier, any n-th transfer, any moment from now
on. Moments need not rise along the cycle, since whoever holds points of several programs swaps each when it pays.
Fees in points count, fees in money do not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, zip_longest
from math import gcd
from typing import Final

from exchange.best_rate import best_rate, best_situations
from exchange.conversion import fees_on
from exchange.cycle import Cycle
from exchange.path import Hop, Path
from exchange.points import POINTS_MAX, Points
from exchange.pricing import price
from exchange.reach import live_bonuses
from exchange.rules import Bonus
from exchange.situation import Situation
from exchange.terms import Terms

WORK_MAX: Final = 10_000
"""How much a search works out: a plain pricing of an amount is 1, and `BONUS_WORK` more for each bonus."""

DIRECTIONS_MAX: Final = 12
"""Directions of a cycle on which amounts are looked for."""

SITUATIONS_MAX: Final = 6
"""Situations in which one direction is tried, those with the greatest bounds."""

LISTED_MAX: Final = 32
"""Amounts of a table that are tried, from its beginning and from its end together."""

BONUS_WORK: Final = 2
"""Amounts are searched by halves where there are bonuses, which takes as long as two plain pricings for each."""

FEE_ROUNDS_MAX: Final = 3
"""Times that an amount is lessened so that it and the fee on it fit."""

_ROUND: Final = tuple(digit * 10**zeros for zeros in range(15) for digit in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Step:
    """One swap of a cycle: what is burned, the fee on top, what arrives, and the bonuses in it."""

    terms: Terms
    situation: Situation
    amount_in: Points
    fee_points: Points
    amount_out: Points
    bonuses: tuple[str, ...]

    @property
    def taken(self) -> int:
        """Everything that leaves the source."""
        return self.amount_in + self.fee_points


@dataclass(frozen=True, slots=True)
class Gain:
    """Swaps one after another, of which the last brings more than the first took."""

    steps: tuple[Step, ...]

    @property
    def began(self) -> int:
        """What leaves the program where the cycle begins."""
        return self.steps[0].taken

    @property
    def ended(self) -> int:
        """What comes back to it."""
        return self.steps[-1].amount_out

    def describe(self, names: Mapping[str, str]) -> str:
        """The swaps in one sentence."""
        first = self.steps[0].terms.source
        said = [f"{self.began:,} {names.get(first, first)} become {_received(self.steps[0], names)}"]
        said += [f"{each.taken:,} of these become {_received(each, names)}" for each in self.steps[1:]]
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class Search:
    """A gain, or None where none was found among so many amounts tried; none are where the cycle is too long."""

    gain: Gain | None
    tried: int


def explain_refusal(cycle: Cycle, search: Search, names: Mapping[str, str]) -> str:
    """Why a cycle is refused, and whether an amount is known that gains; two sentences."""
    if search.gain is None:
        amounts = "amount" if search.tried == 1 else "amounts"
        known = (
            f"No amount that gains was found among {search.tried:,} {amounts} tried, with one swap in each direction"
        )
        if not search.tried:
            known = "No amount was tried on so long a cycle"
    else:
        known = f"An amount that gains: {search.gain.describe(names)}"
    return f"{cycle.describe(names)}. {known}."


def gaining_amount(cycle_terms: Sequence[Terms], now: int, work_max: int = WORK_MAX) -> Search:
    """Looks for an amount that gains on a cycle of these terms from `now` (Unix seconds) on.

    Each terms' destination is the next one's source, and the last one's the first's. Where only ratios count, and the
    least number of whole blocks of them all may go, a cycle whose ratios multiply to more than one is found to gain.
    """
    if len(cycle_terms) > DIRECTIONS_MAX:
        return Search(None, 0)
    work = _Work(work_max)
    directions = [_Direction(terms, now, work) for terms in cycle_terms]
    rounds = [_Round([*directions[place:], *directions[:place]]) for place in range(len(directions))]
    tried = 0
    for each, amount in _in_turn([each for each in rounds if each.is_open]):
        if work.left <= 0:
            break
        tried += 1
        if gain := each.gain_from(amount):
            return Search(gain, tried)
    return Search(None, tried)


def _in_turn(rounds: Sequence["_Round"]) -> Iterator[tuple["_Round", int]]:
    """One amount of each round after another, none of a round twice."""
    seen: list[set[int]] = [set() for _ in rounds]
    for amounts in zip_longest(*(each.amounts() for each in rounds)):
        for each, known, amount in zip(rounds, seen, amounts, strict=True):
            if amount is not None and 1 <= amount <= POINTS_MAX and amount not in known:
                known.add(amount)
                yield each, amount


@dataclass(slots=True)
class _Work:
    """How much the search may still work out."""

    left: int


class _Direction:
    """One direction of the cycle, in each situation that is tried."""

    def __init__(self, terms: Terms, now: int, work: _Work) -> None:
        self.terms = terms
        self.rates = (terms.ratio.exact, best_rate(terms, now))
        self._bonuses = live_bonuses(terms, now)
        self._paths = [Path([Hop(terms, situation)]) for situation in best_situations(terms, now, SITUATIONS_MAX)]
        self._work = work
        self._cost = 1 + BONUS_WORK * len(terms.rules.bonuses)

    def best(self, standing: int) -> Step | None:
        """The swap of up to so many points that gives most, and burns least for it."""
        steps = [step for path in self._paths if (step := self._step(path, standing))]
        return max(steps, key=lambda step: (step.amount_out, -step.taken), default=None)

    def least(self, total: int) -> int | None:
        """The fewest points that, with the fee on them, give so many."""
        self._work.left -= len(self._paths) * self._cost
        amounts = [(path, path.least_for(total)) for path in self._paths]
        return min(
            (amount + self._fee(path, amount) for path, amount in amounts if amount and amount <= path.most),
            default=None,
        )

    def edges(self) -> Iterator[int]:
        """Amounts at which something begins or ends."""
        for path in self._paths:
            yield from (each for each in (path.at_least(1), path.at_most(path.most)) if each)
        for bonus in self._bonuses:
            yield from _edges_of(bonus)
        listed = self.terms.rules.amounts
        yield from listed[: LISTED_MAX // 2]
        yield from listed[-LISTED_MAX // 2 :]

    def _step(self, path: Path, standing: int) -> Step | None:
        self._work.left -= self._cost
        amount = self._affordable(path, standing)
        if amount is None or path.yield_of(amount).base == 0:
            return None
        least = path.least_for(path.yield_of(amount).total)
        assert least is not None and least <= amount, "what is burned gives as much"
        fee = self._fee(path, least)
        assert least + fee <= standing, "fees do not fall with the amount"
        given = path.yield_of(least)
        names = tuple(each.name for each in given.bonuses)
        return Step(self.terms, path.hops[0].situation, least, fee, Points(given.total), names)

    def _affordable(self, path: Path, standing: int) -> Points | None:
        """The greatest valid amount found that leaves enough for the fee on it."""
        amount = path.at_most(min(standing, path.most))
        for _ in range(FEE_ROUNDS_MAX):
            if amount is None or amount + self._fee(path, amount) <= standing:
                return amount
            amount = path.at_most(min(standing - self._fee(path, amount), path.most))
        return None

    def _fee(self, path: Path, amount: Points) -> Points:
        return fees_on(self.terms, amount, path.hops[0].situation)[0]


def _edges_of(bonus: Bonus) -> Iterator[int]:
    if bonus.when.at_least is not None:
        yield bonus.when.at_least
    if bonus.per is not None:
        most = 1 if bonus.most is None else -(-bonus.most // bonus.per.to_units)
        yield from (bonus.per.from_units, bonus.per.from_units * most)
    if bonus.share is not None and bonus.most is not None:
        yield bonus.share.needed_for(bonus.most)


class _Round:
    """The cycle, begun at one of its programs."""

    def __init__(self, directions: Sequence[_Direction]) -> None:
        self._directions = directions

    @property
    def is_open(self) -> bool:
        """Whether what one direction brings may go on with the next, the last one's apart."""
        return all(
            before.terms.rules.received.onward and not after.terms.rules.eligible.earned_only
            for before, after in pairwise(self._directions)
        )

    def amounts(self) -> Iterator[int]:
        """What to begin with, the most promising first."""
        for number in (0, 1):
            block = _whole_block([each.rates[number] for each in self._directions])
            yield from (block * times for times in _ROUND if block * times <= POINTS_MAX)
        for place, direction in enumerate(self._directions):
            for edge in direction.edges():
                amount = self._back(place, edge)
                if amount is not None:
                    yield amount
        yield from _ROUND

    def gain_from(self, amount: int) -> Gain | None:
        """The gain that this amount makes, or the least one from which as much comes."""
        steps = self._swap(amount)
        if not steps:
            return None
        ended = steps[-1].amount_out
        if ended <= steps[0].taken:
            least = self._back(len(self._directions), ended)
            steps = [] if least is None or least >= ended else self._swap(least)
        return _verified(Gain(tuple(steps))) if steps and steps[-1].amount_out > steps[0].taken else None

    def _swap(self, amount: int) -> list[Step]:
        """Every swap in turn, each of all that the one before brought; none where one of them cannot be made."""
        steps: list[Step] = []
        for direction in self._directions:
            step = direction.best(steps[-1].amount_out if steps else amount)
            if step is None:
                return []
            steps.append(step)
        return steps

    def _back(self, place: int, wanted: int) -> int | None:
        """The least amount to begin with of which so many come before the direction at `place`."""
        amount: int | None = wanted
        for direction in reversed(self._directions[:place]):
            if amount is None or amount > POINTS_MAX:
                return None
            amount = direction.least(amount)
        return amount


def _whole_block(rates: Sequence[Fraction]) -> int:
    """The least amount of which, at these rates, every direction makes a whole number."""
    block = 1
    for rate in reversed(rates):
        block = rate.denominator * (block // gcd(block, rate.numerator))
    return block


def _verified(gain: Gain) -> Gain:
    """The same gain, priced once more as a member's swaps would be."""
    for step in gain.steps:
        priced = price(step.terms, step.amount_in, step.situation)
        assert (priced.amount_in, priced.remainder) == (step.amount_in, 0), "the amount is burned as it is"
        assert (priced.fee_points, priced.amount_out) == (step.fee_points, step.amount_out), "and gives what was found"
    assert all(before.amount_out >= after.taken for before, after in pairwise(gain.steps)), (
        "nothing is added on the way"
    )
    assert gain.ended > gain.began, "a gain ends with more"
    return gain


def _received(step: Step, names: Mapping[str, str]) -> str:
    destination = step.terms.destination
    bonuses = f" (with {', '.join(step.bonuses)})" if step.bonuses else ""
    return f"{step.amount_out:,} {names.get(destination, destination)}{bonuses}"
