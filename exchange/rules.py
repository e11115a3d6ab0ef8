"""Rules: what terms say beyond their ratio, and what nobody but the service needs to know.

The contract holds a direction's ratio, settlement price and caps. Everything here narrows which amounts may go, or
gives more than the ratio: that is the least that anybody gets, and whatever is better is a bonus with its condition.
Amounts are whole points of the source unless they say otherwise, times are Unix seconds, days are 86,400 seconds, and
the periods of caps and counts are those of the calendar in UTC.

Where a rule is for some tiers, it names them; where it is for all but some, it names those in `except_tiers`. A member
of no tier is in none: what is for some tiers is never for them, and what is for all but some always is. So no rule can
tell a member of no tier from one in a tier that is named nowhere.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from exchange.checks import check_currency, check_name, check_names, check_whole
from exchange.errors import InvalidTerms, UnevenMinimum
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, MicroUnits, Points
from exchange.ratio import Ratio

DAYS_MAX = 36_500
COUNT_MAX = 1_000_000
TIME_MAX = 2**63 - 1
"""Unix seconds, as a database keeps them: a signed 64-bit integer."""

PARTS_MAX = 32
"""Caps, bonuses, fees or single minimums that one direction may have."""

AMOUNTS_MAX = 1_000
"""Amounts that a direction may list one by one."""

FEE_MAX = MicroUnits(2**48)
"""The flat part and the rate of a fee in money: 281 million of the currency's unit."""

_NO_COUNT = "transfers are counted by day, week, month or year, or ever"
_NO_POINTS = Points(0)
_NO_MONEY = MicroUnits(0)
_ONE_POINT = Points(1)


class Rounding(StrEnum):
    """What becomes of an amount that does not convert to a whole number of points."""

    FLOOR = "floor"
    """The fraction is dropped."""
    WHOLE = "whole"
    """The amount is not valid: only those that convert without a fraction are."""


class Period(StrEnum):
    """How long a cap or a count goes on before it begins anew."""

    TRANSFER = "transfer"
    DAY = "day"
    WEEK = "week"
    """From Monday to Sunday, as ISO 8601 has it."""
    MONTH = "month"
    YEAR = "year"
    EVER = "ever"
    """It never begins anew."""

    @property
    def spoken(self) -> str:
        """When, in the words of a sentence: `in a day`, or `ever`."""
        return "ever" if self is Period.EVER else f"in a {self}"


COUNTED = (Period.DAY, Period.WEEK, Period.MONTH, Period.YEAR, Period.EVER)
"""The periods in which there can be several transfers, each longer than the one before."""


class Side(StrEnum):
    """Which points a cap counts: those that leave the source, or those that arrive at the destination."""

    OUT = "out"
    IN = "in"


class Scope(StrEnum):
    """Whose transfers a cap counts together: one member's, or everybody's."""

    MEMBER = "member"
    EVERYONE = "everyone"


class Expiry(StrEnum):
    """When received points expire."""

    RESTARTS = "restarts"
    """As points expire at the destination, counted from their arrival."""
    INHERITS = "inherits"
    """When the points that were given would have; as above where those never would."""
    SHORTENS = "shortens"
    """So many days after their arrival, or as above where that is earlier."""


def is_for(tier: str | None, tiers: frozenset[str], except_tiers: frozenset[str]) -> bool:
    """Whether a rule for `tiers` (empty: all), but not for `except_tiers`, is for a member of this tier."""
    return (not tiers or tier in tiers) and tier not in except_tiers


def _check_tiers(field_name: str, tiers: frozenset[str], except_tiers: frozenset[str]) -> None:
    check_names(f"{field_name}tiers", tiers)
    check_names(f"{field_name}except_tiers", except_tiers)
    if tiers and except_tiers:
        raise InvalidTerms(
            "either the tiers are named or those that are left out, not both", field=f"{field_name}except_tiers"
        )


@dataclass(frozen=True, slots=True)
class When:
    """Under which circumstances a bonus or a fee counts; what is left out always holds.

    `starts` is the first second, `ends` the first second after. `at_least` is source points in one transfer.
    `nth_from` and `nth_to` say which transfers of `nth_per` (a member's, in this direction, from 1 on): 3 and None are
    the third and all later ones.
    """

    tiers: frozenset[str] = frozenset()
    except_tiers: frozenset[str] = frozenset()
    starts: int | None = None
    ends: int | None = None
    at_least: Points | None = None
    nth_per: Period | None = None
    nth_from: int = 1
    nth_to: int | None = None

    def __post_init__(self) -> None:
        _check_tiers("when.", self.tiers, self.except_tiers)
        for name in ("starts", "ends"):
            value = getattr(self, name)
            if value is not None:
                check_whole(f"when.{name}", value, 0, TIME_MAX)
        if self.starts is not None and self.ends is not None and self.ends <= self.starts:
            nearest = self.starts + 1 if self.starts < TIME_MAX else None
            raise InvalidTerms("what ends must begin before", field="when.ends", limit=nearest, nearest=nearest)
        if self.at_least is not None:
            check_whole("when.at_least", self.at_least, 1, POINTS_MAX)
        self._check_nth()

    def _check_nth(self) -> None:
        check_whole("when.nth_from", self.nth_from, 1, COUNT_MAX)
        if self.nth_to is not None:
            check_whole("when.nth_to", self.nth_to, self.nth_from, COUNT_MAX)
        if self.nth_per is Period.TRANSFER:
            raise InvalidTerms(_NO_COUNT, field="when.nth_per")
        if self.nth_per is None and (self.nth_from, self.nth_to) != (1, None):
            raise InvalidTerms("which period are the transfers counted in?", field="when.nth_per")


ALWAYS = When()


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that may go in a period: so many points, so many transfers, or both.

    With `shared` it counts all directions of the same source (on the side `in`: to the same destination) whose terms
    name the same group. With `tiers` it binds only members in one of them, with `except_tiers` all others.
    """

    per: Period
    points: Points | None = None
    count: int | None = None
    side: Side = Side.OUT
    scope: Scope = Scope.MEMBER
    shared: bool = False
    tiers: frozenset[str] = frozenset()
    except_tiers: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.points is None and self.count is None:
            raise InvalidTerms("a cap says how many points or how many transfers", field="caps.points")
        if self.points is not None:
            check_whole("caps.points", self.points, 0, POINTS_MAX)
        if self.count is not None:
            check_whole("caps.count", self.count, 0, COUNT_MAX)
            if self.per is Period.TRANSFER:
                raise InvalidTerms(_NO_COUNT, field="caps.count")
        _check_tiers("caps.", self.tiers, self.except_tiers)


@dataclass(frozen=True, slots=True)
class Bonus:
    """More than the ratio gives, in destination points: exactly one of `ratio`, `share`, `per`, `flat` says how much.

    ratio  the amount converts at this better ratio, never a worse one than that of the terms; among several that apply
           the best counts
    share  so much more of what the ratio (or the better one) gives: 100:15 is 15%
    per    so many more for each so many source points: 60,000:5,000
    flat   so many more for the transfer

    Those that name the same `group` do not add up: only the best of them counts. `most` bounds what one transfer gets,
    `member_most` what one member gets in all transfers of `member_per` in this direction: what is left of it is given,
    and the transfer goes all the same.
    """

    name: str
    ratio: Ratio | None = None
    share: Ratio | None = None
    per: Ratio | None = None
    flat: Points | None = None
    when: When = ALWAYS
    group: str | None = None
    most: Points | None = None
    member_most: Points | None = None
    member_per: Period = Period.EVER

    def __post_init__(self) -> None:
        check_name("bonuses.name", self.name)
        if sum(kind is not None for kind in (self.ratio, self.share, self.per, self.flat)) != 1:
            raise InvalidTerms("a bonus is exactly one of ratio, share, per and flat", field="bonuses")
        if self.flat is not None:
            check_whole("bonuses.flat", self.flat, 1, POINTS_MAX)
        for name in ("most", "member_most"):
            if getattr(self, name) is not None:
                check_whole(f"bonuses.{name}", getattr(self, name), 1, POINTS_MAX)
        if self.group is not None:
            check_name("bonuses.group", self.group)
        if self.ratio is not None and self.group is not None:
            raise InvalidTerms("better ratios never add up, so they are in no group", field="bonuses.group")
        self._check_bounds()

    def _check_bounds(self) -> None:
        for name in ("most", "member_most"):
            if self.ratio is not None and getattr(self, name) is not None:
                raise InvalidTerms("a better ratio has no bound of its own", field=f"bonuses.{name}")
        if self.member_per is Period.TRANSFER:
            raise InvalidTerms("what one transfer gets is bounded by most", field="bonuses.member_per")
        if self.member_most is None and self.member_per is not Period.EVER:
            raise InvalidTerms("how much does one member get in that time?", field="bonuses.member_per")

    @property
    def most_at_once(self) -> Points | None:
        """The most that one transfer brings to a member who had nothing of it before; None where nothing bounds it."""
        return min((each for each in (self.most, self.member_most) if each is not None), default=None)


@dataclass(frozen=True, slots=True)
class PointsFee:
    """Source points, burned on top of what is swapped: `points`, and `rate` for each `per` points begun.

    `ceiling` bounds the sum of both.
    """

    points: Points = _NO_POINTS
    when: When = ALWAYS
    rate: Points = _NO_POINTS
    per: Points = _ONE_POINT
    ceiling: Points | None = None

    def __post_init__(self) -> None:
        check_whole("fees.points", self.points, 0, POINTS_MAX)
        check_whole("fees.points_rate", self.rate, 0, POINTS_MAX)
        check_whole("fees.per", self.per, 1, POINTS_MAX)
        if not self.points and not self.rate:
            raise InvalidTerms("a fee in points has a flat amount, a rate or both", field="fees.points", nearest=1)
        if self.ceiling is not None:
            check_whole("fees.points_ceiling", self.ceiling, 1, POINTS_MAX)

    def of(self, amount: int) -> int:
        """How many points a transfer of `amount` costs on top. It may be beyond `POINTS_MAX`: then none can pay it."""
        fee = self.points + self.rate * -(-amount // self.per)
        return fee if self.ceiling is None else min(fee, self.ceiling)


@dataclass(frozen=True, slots=True)
class MoneyFee:
    """What the member owes the source program in money: `flat`, and `rate` for each `per` points begun.

    Amounts are micro-units of `currency`; `ceiling` bounds the sum of both.
    """

    currency: str
    flat: MicroUnits = _NO_MONEY
    rate: MicroUnits = _NO_MONEY
    per: Points = _ONE_POINT
    ceiling: MicroUnits | None = None
    when: When = ALWAYS

    def __post_init__(self) -> None:
        check_currency("fees.currency", self.currency)
        check_whole("fees.flat", self.flat, 0, FEE_MAX)
        check_whole("fees.rate", self.rate, 0, FEE_MAX)
        check_whole("fees.per", self.per, 1, POINTS_MAX)
        if not self.flat and not self.rate:
            raise InvalidTerms("a fee in money has a flat amount, a rate or both", field="fees.rate")
        if self.ceiling is not None:
            check_whole("fees.ceiling", self.ceiling, 1, MICRO_UNITS_MAX)

    def of(self, amount: int) -> MicroUnits:
        """What `amount` points cost. More than `MICRO_UNITS_MAX` is cut to it, which no real fee reaches."""
        fee = self.flat + self.rate * -(-amount // self.per)
        return MicroUnits(min(fee, MICRO_UNITS_MAX if self.ceiling is None else self.ceiling))


Fee = PointsFee | MoneyFee


@dataclass(frozen=True, slots=True)
class Eligible:
    """Which of a member's points may go, counted in days since they were earned and until they expire.

    `earned_only` leaves out points that were themselves received by a swap. None go before their owner has been a
    member of the source program for `member_min_days`, and had the membership at the destination linked for
    `linked_min_days`.
    """

    age_min_days: int = 0
    age_max_days: int | None = None
    left_min_days: int = 0
    earned_only: bool = False
    member_min_days: int = 0
    linked_min_days: int = 0

    def __post_init__(self) -> None:
        for name in ("age_min_days", "left_min_days", "member_min_days", "linked_min_days"):
            check_whole(f"eligible.{name}", getattr(self, name), 0, DAYS_MAX)
        if self.age_max_days is not None:
            check_whole("eligible.age_max_days", self.age_max_days, self.age_min_days, DAYS_MAX)


@dataclass(frozen=True, slots=True)
class Received:
    """What becomes of received points: when they expire, and whether they may be swapped again."""

    expiry: Expiry = Expiry.RESTARTS
    days: int | None = None
    onward: bool = True

    def __post_init__(self) -> None:
        if (self.days is not None) != (self.expiry is Expiry.SHORTENS):
            raise InvalidTerms("days are said exactly where expiry shortens", field="received.days")
        if self.days is not None:
            check_whole("received.days", self.days, 1, DAYS_MAX)


@dataclass(frozen=True, slots=True)
class TierMinimum:
    """Another minimum for members in some tiers."""

    tiers: frozenset[str]
    minimum: Points

    def __post_init__(self) -> None:
        if not self.tiers:
            raise InvalidTerms("whose minimum is it?", field="minimums.tiers")
        check_names("minimums.tiers", self.tiers)
        check_whole("minimums.minimum", self.minimum, 1, POINTS_MAX)


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that terms say beyond ratio, minimum, increment and price.

    amounts      the only valid amounts, rising, where there is a table of them; then minimum and increment are not used
    rounding     whether amounts that do not convert to whole points are valid
    blocks       the minimum must be a multiple of the increment, and is refused where it is not
    minimums     other minimums by tier
    tiers        only members in one of these may swap; empty: all
    except_tiers all members may swap but those in one of these
    group        the partner group that shared caps count together
    notice_days  other terms must be consented to so long before they begin
    """

    amounts: tuple[Points, ...] = ()
    rounding: Rounding = Rounding.FLOOR
    blocks: bool = False
    minimums: tuple[TierMinimum, ...] = ()
    tiers: frozenset[str] = frozenset()
    except_tiers: frozenset[str] = frozenset()
    group: str | None = None
    caps: tuple[Cap, ...] = ()
    bonuses: tuple[Bonus, ...] = ()
    fees: tuple[Fee, ...] = ()
    eligible: Eligible = field(default=Eligible())
    received: Received = field(default=Received())
    notice_days: int = 0

    def __post_init__(self) -> None:
        for name in ("minimums", "caps", "bonuses", "fees"):
            if len(getattr(self, name)) > PARTS_MAX:
                raise InvalidTerms(
                    f"there are at most {PARTS_MAX} {name}", field=name, limit=PARTS_MAX, nearest=PARTS_MAX
                )
        self._check_amounts()
        self._check_minimums()
        _check_tiers("", self.tiers, self.except_tiers)
        check_whole("notice_days", self.notice_days, 0, DAYS_MAX)
        if self.group is not None:
            check_name("group", self.group)
        elif any(cap.shared for cap in self.caps):
            raise InvalidTerms("a shared cap needs a group that it is shared with", field="group")
        names = [bonus.name for bonus in self.bonuses]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise InvalidTerms(f"two bonuses are called {repeated[0]}", field="bonuses.name")

    def is_open_to(self, tier: str | None) -> bool:
        """Whether members of this tier may swap at all."""
        return is_for(tier, self.tiers, self.except_tiers)

    @property
    def bound_only_here(self) -> tuple[str, ...]:
        """The names of what the contract cannot hold anybody to, and which somebody would lose by.

        Whoever swaps on the chain by themselves is not bound by these. A bonus is no such thing: they go without it.
        """
        narrows = {
            "amounts": bool(self.amounts),
            "rounding": self.rounding is not Rounding.FLOOR,
            "tiers": bool(self.tiers),
            "except_tiers": bool(self.except_tiers),
            "caps": bool(self.caps),
            "fees": bool(self.fees),
            "eligible": self.eligible != Eligible(),
            "received": self.received != Received(),
        }
        return tuple(name for name, says in narrows.items() if says)

    def _check_amounts(self) -> None:
        if len(self.amounts) > AMOUNTS_MAX:
            raise InvalidTerms(
                f"at most {AMOUNTS_MAX} amounts are listed", field="amounts", limit=AMOUNTS_MAX, nearest=AMOUNTS_MAX
            )
        before = 0
        for amount in self.amounts:
            check_whole("amounts", amount, 1, POINTS_MAX)
            if amount <= before:
                nearest = before + 1 if before < POINTS_MAX else None
                raise InvalidTerms(
                    f"listed amounts rise, and {amount:,} follows {before:,}",
                    field="amounts",
                    limit=before,
                    nearest=nearest,
                )
            before = amount

    def _check_minimums(self) -> None:
        named: set[str] = set()
        for each in self.minimums:
            if twice := sorted(named & each.tiers):
                raise InvalidTerms(f"the tier {twice[0]} has two minimums", field="minimums.tiers")
            named |= each.tiers


PLAIN = Rules()
"""Nothing beyond ratio, minimum and increment."""


def check_blocks(rules: Rules, minimum: int, increment: int) -> None:
    """Raises `UnevenMinimum` where whole blocks are demanded and the minimum is no number of them.

    The nearest that is one is the next above, so that nobody lets less through than they meant to; below where that is
    too much. Where amounts are listed there is nothing to ask.
    """
    if rules.amounts or not rules.blocks:
        return
    for field_name, least in [("minimum", minimum), *(("minimums.minimum", each.minimum) for each in rules.minimums)]:
        if beyond := least % increment:
            above = least - beyond + increment
            nearest = above if above <= POINTS_MAX else least - beyond
            raise UnevenMinimum(
                f"whole blocks of {increment:,} are demanded, and {least:,} is no number of them",
                field=field_name,
                limit=increment,
                nearest=nearest,
            )
