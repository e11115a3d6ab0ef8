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
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise, zip_longest
from math import gcd
from typing import Final

from exchange.best_rate import Best, best_situations
from exchange.conversion import fees_on
from exchange.cycle import Cycle
from exchange.path import Hop, Path
from exchange.points import POINTS_MAX, Points
from exchange.pricing import price
from exchange.reach import live_bonuses
from exchange.rules import Bonus
from exchange.situation import Situation
from exchange.terms import Terms

WORK_MAX: Final = 100_000
"""How much a search works out: an amount converted in one direction is 1, and 1 more for each bonus or fee in it."""

DIRECTIONS_MAX: Final = 12
"""Directions of a cycle on which amounts are looked for."""

SITUATIONS_MAX: Final = 6
"""Situations in which one direction is tried, those with the greatest bounds."""

SITUATIONS_WORK_MAX: Final = 2_000
"""How much is worked out to find them (`exchange.best_rate`)."""

LISTED_MAX: Final = 32
"""Amounts of a table that are tried, from its beginning and from its end together."""

FEE_ROUNDS_MAX: Final = 3
"""Times that an amount is lessened so that it and the fee on it fit."""

TOO_LONG: Final = f"amounts are tried on cycles of up to {DIRECTIONS_MAX} directions"
NO_WAY_ROUND: Final = "what is received there may not go on all the way round, so no amount was tried"
GIVEN_UP: Final = "the search was given up"

_POINTS: Final = range(1, POINTS_MAX + 1)
"""All amounts, which a search halves that is given no list of them."""

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
    """A gain; or None where none was found among so many amounts tried, which does not say that there is none.

    `cut_short` is why not all of the likely amounts were tried, where they were not.
    """

    gain: Gain | None
    tried: int
    cut_short: str | None = None

    def describe(self, names: Mapping[str, str]) -> str:
        """What is known, in one sentence."""
        if self.gain is not None:
            return f"An amount that gains: {self.gain.describe(names)}"
        if not self.tried:
            return f"Whether an amount gains is not known: {self.cut_short}"
        amounts = "amount" if self.tried == 1 else "amounts"
        known = f"No amount that gains was found among {self.tried:,} {amounts} tried, with one swap in each direction"
        return known if self.cut_short is None else f"{known}; then {self.cut_short}"


def explain_refusal(cycle: Cycle, search: Search, names: Mapping[str, str]) -> str:
    """Why a cycle is refused, and whether an amount is known that gains; two sentences."""
    return f"{cycle.describe(names)}. {search.describe(names)}."


def gaining_amount(cycle_terms: Sequence[Terms], now: int, work_max: int = WORK_MAX) -> Search:
    """Looks for an amount that gains on a cycle of these terms from `now` (Unix seconds) on.

    Each terms' destination is the next one's source, and the last one's the first's. Where only ratios count, and the
    least number of whole blocks of them all may go, a cycle whose ratios multiply to more than one is found to gain.
    """
    if len(cycle_terms) > DIRECTIONS_MAX:
        return Search(None, 0, TOO_LONG)
    work = _Work(work_max)
    directions = [_Direction(terms, now, work) for terms in cycle_terms]
    rounds = [_Round([*directions[place:], *directions[:place]]) for place in range(len(directions))]
    passable = [each for each in rounds if each.is_open]
    tried = 0
    for each, amount in _in_turn(passable):
        gain = each.gain_from(amount)
        if gain is not None:
            return Search(gain, tried + 1)
        if work.is_spent:
            return Search(None, tried, GIVEN_UP)
        tried += 1
    return Search(None, tried, None if passable else NO_WAY_ROUND)


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

    @property
    def is_spent(self) -> bool:
        return self.left <= 0


class _Way:
    """One direction in one situation: which amounts go, and what each becomes."""

    def __init__(self, terms: Terms, best: Best, work: _Work) -> None:
        self.terms, self.bound = terms, best.bound
        self._path = Path([Hop(_counting(terms, best.situation), best.situation)])
        self._work = work
        rules = self._path.hops[0].terms.rules
        halvings = len(rules.amounts or _POINTS).bit_length()
        self._conversion = 1 + len(rules.bonuses)
        self._search = self._conversion * (halvings if rules.bonuses else 1)
        self._fees = len(rules.fees)

    @cached_property
    def _most(self) -> int:
        """The most that goes, valid or not. To find it out takes two searches, and one more for the fees."""
        self._work.left -= 2 * self._search + self._fees * len(_POINTS).bit_length()
        return self._path.most

    def step(self, standing: int) -> Step | None:
        """The swap of up to so many points that gives most, and burns least for it."""
        self._work.left -= self._search + 3 * self._conversion + (1 + FEE_ROUNDS_MAX) * self._fees
        amount = self._affordable(standing)
        if amount is None or self._path.yield_of(amount).base == 0:
            return None
        least = self._path.least_for(self._path.yield_of(amount).total)
        assert least is not None and least <= amount, "what is burned gives as much"
        fee = self._fee(least)
        assert least + fee <= standing, "fees do not fall with the amount"
        given = self._path.yield_of(least)
        names = tuple(each.name for each in given.bonuses)
        return Step(self.terms, self._path.hops[0].situation, least, fee, Points(given.total), names)

    def least(self, total: int) -> int | None:
        """The fewest points that, with the fee on them, give so many."""
        self._work.left -= self._search + self._fees
        amount = self._path.least_for(total)
        return amount + self._fee(amount) if amount and amount <= self._most else None

    def edges(self) -> Iterator[int]:
        """The least and the greatest amount that goes."""
        yield from (each for each in (self._path.at_least(1), self._path.at_most(self._most)) if each)

    def _affordable(self, standing: int) -> Points | None:
        """The greatest valid amount found that leaves enough for the fee on it."""
        path = self._path
        amount = path.at_most(min(standing, self._most))
        for _ in range(FEE_ROUNDS_MAX):
            if amount is None or amount + self._fee(amount) <= standing:
                return amount
            amount = path.at_most(min(standing - self._fee(amount), self._most))
        return None

    def _fee(self, amount: Points) -> Points:
        hop = self._path.hops[0]
        return fees_on(hop.terms, amount, hop.situation)[0]


def _counting(terms: Terms, situation: Situation) -> Terms:
    """The terms with only the bonuses and fees that can count in the situation: the same, and worked out sooner."""
    rules = terms.rules
    return replace(
        terms,
        rules=replace(
            rules,
            bonuses=tuple(each for each in rules.bonuses if situation.meets(each.when, POINTS_MAX)),
            fees=tuple(each for each in rules.fees if situation.meets(each.when, POINTS_MAX)),
        ),
    )


class _Direction:
    """One direction of the cycle, in each situation that is tried."""

    def __init__(self, terms: Terms, now: int, work: _Work) -> None:
        self.terms = terms
        bests = best_situations(terms, now, SITUATIONS_MAX, SITUATIONS_WORK_MAX)
        self.rates = (terms.ratio.exact, bests[0].bound)
        self._bonuses = live_bonuses(terms, now)
        self._ways = [_Way(terms, best, work) for best in bests]
        self._work = work

    def best(self, standing: int) -> Step | None:
        """The swap of up to so many points that gives most, and burns least for it."""
        best: Step | None = None
        for way in self._ways:
            if self._work.is_spent:
                return None
            if best is not None and way.bound * standing < best.amount_out:
                continue
            step = way.step(standing)
            if step is not None and (best is None or (step.amount_out, -step.taken) > (best.amount_out, -best.taken)):
                best = step
        return best

    def least(self, total: int) -> int | None:
        """The fewest points that, with the fee on them, give so many."""
        least: int | None = None
        for way in self._ways:
            if self._work.is_spent:
                return None
            if least is not None and way.bound * least < total:
                continue
            amount = way.least(total)
            if amount is not None and (least is None or amount < least):
                least = amount
        return least

    def edges(self) -> Iterator[int]:
        """Amounts at which something begins or ends."""
        for way in self._ways:
            yield from way.edges()
        for bonus in self._bonuses:
            yield from _edges_of(bonus)
        listed = self.terms.rules.amounts
        yield from listed[: LISTED_MAX // 2]
        yield from listed[-LISTED_MAX // 2 :]


def _edges_of(bonus: Bonus) -> Iterator[int]:
    if bonus.when.at_least is not None:
        yield bonus.when.at_least
    if bonus.per is not None:
        most = 1 if bonus.most_at_once is None else -(-bonus.most_at_once // bonus.per.to_units)
        yield from (bonus.per.from_units, bonus.per.from_units * most)
    if bonus.share is not None and bonus.most_at_once is not None:
        yield bonus.share.needed_for(bonus.most_at_once)


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
