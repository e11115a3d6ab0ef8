"""Explanations: what a price is made of, line by line, and what it is worth in money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from math import floor

from exchange.conversion import MoneyDue, Yield
from exchange.points import ZERO, MicroUnits, Points
from exchange.rules import Bonus, Period, When
from exchange.situation import PLAIN_SITUATION, Situation
from exchange.terms import Terms

BASIS = 10_000
"""Basis points: hundredths of a percent."""

LAST_SECOND = 253_402_300_799
"""The last second of the year 9999: dates that can be written end there."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a price's explanation.

    `points` is the amount that the line is about and `program` whose points they are; `micro` is money, in micro-units
    of `currency`, where the line is about money.
    """

    label: str
    detail: str
    points: Points = ZERO
    micro: MicroUnits | None = None
    currency: str | None = None
    program: str | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """What one point is worth when it is redeemed at home, in micro-units of `currency`.

    `note` says where the numbers come from, such as a rate of exchange and its date.
    """

    source: Fraction
    destination: Fraction
    currency: str
    note: str


@dataclass(frozen=True, slots=True)
class Value:
    """What a swap gives and takes in money, in micro-units of `currency`, and what is lost against redeeming at home.

    `lost_bp` is in basis points of what is given, rounded down: 6,250 are 62.5%; below zero the swap gains.
    """

    given: MicroUnits
    received: MicroUnits
    currency: str
    lost_bp: int


def value_of(worth: Worth, given: int, received: int) -> Value:
    """What points given and received are worth in money, each rounded down."""
    exact_given, exact_received = given * worth.source, received * worth.destination
    lost = 0 if exact_given == 0 else (1 - exact_received / exact_given) * BASIS
    return Value(MicroUnits(int(exact_given)), MicroUnits(int(exact_received)), worth.currency, floor(lost))


def lines_of_hop(terms: Terms, amount: int) -> list[Line]:
    """What a hop that is not the last makes of what stands before it."""
    out = terms.ratio.convert(Points(amount))
    lines = [Line("through", f"{amount:,} at {terms.ratio}", out, program=terms.destination)]
    if lost := _fraction(terms, amount, out):
        detail = f"{lost} of a point is gone: nothing is created on the way"
        lines.append(Line("rounding", detail, program=terms.destination))
    return lines


def lines_of_yield(terms: Terms, amount: Points, given: Yield, situation: Situation = PLAIN_SITUATION) -> list[Line]:
    """What the last hop's ratio gives, what each bonus adds, and what rounding takes."""
    lines = [Line("base", f"{amount:,} at {terms.ratio}", given.base, program=terms.destination)]
    bonuses = {bonus.name: bonus for bonus in terms.rules.bonuses}
    lost = _fraction(terms, amount, given.base)
    for each in given.bonuses:
        bonus = bonuses[each.name]
        detail = f"{bonus.name}: {reason_of(bonus)}"
        if had := situation.had.get(bonus.name):
            detail += f", of which {had:,} were given before"
        lines.append(Line("bonus", detail, each.points, program=terms.destination))
        if bonus.ratio is not None:
            lost = amount * bonus.ratio.exact - given.base - each.points
    if lost:
        detail = f"{lost} of a point is left out: only whole points are created"
        lines.append(Line("rounding", detail, program=terms.destination))
    return lines


def reason_of(bonus: Bonus) -> str:
    """How much a bonus is and under which conditions, such as `15 for 100 more, from 1,000 points on, for Gold`."""
    if bonus.ratio is not None:
        much = f"{bonus.ratio} instead of the ratio that all get"
    elif bonus.share is not None:
        much = f"{bonus.share.to_units:,} more for each {bonus.share.from_units:,} received"
    elif bonus.per is not None:
        much = f"{bonus.per.to_units:,} more for each {bonus.per.from_units:,} sent"
    else:
        much = f"{bonus.flat:,} more for the transfer"
    most = [] if bonus.most is None else [f"at most {bonus.most:,}"]
    group = [] if bonus.group is None else [f"the best of {bonus.group}"]
    member_most = []
    if bonus.member_most is not None:
        member_most = [f"at most {bonus.member_most:,} for one member {bonus.member_per.spoken}"]
    return ", ".join([much, *most, *group, *_conditions(bonus.when), *member_most])


def _conditions(when: When) -> list[str]:
    said = []
    if when.at_least is not None:
        said.append(f"from {when.at_least:,} points on")
    if when.tiers:
        said.append("for " + " or ".join(sorted(when.tiers)))
    if when.except_tiers:
        said.append("for all but " + " and ".join(sorted(when.except_tiers)))
    if when.starts is not None:
        said.append(f"from {_moment(when.starts)}")
    if when.ends is not None:
        said.append(f"until {_moment(when.ends)}")
    if when.nth_per is not None:
        numbers = f"from number {when.nth_from} on" if when.nth_to is None else f"numbers {when.nth_from}-{when.nth_to}"
        of_period = "ever" if when.nth_per is Period.EVER else f"of the {when.nth_per}"
        said.append(f"transfers {of_period}: {numbers}")
    return said


def _moment(seconds: int) -> str:
    if seconds > LAST_SECOND:
        return f"second {seconds:,}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _fraction(terms: Terms, amount: int, out: int) -> Fraction:
    return amount * terms.ratio.exact - out


def lines_of_fees(fee_points: Points, fees: Sequence[MoneyDue], source: str) -> list[Line]:
    """What is paid on top, in points of the source and in money."""
    lines = [Line("fee", f"{fee_points:,} points are burned on top", fee_points, program=source)] if fee_points else []
    for fee in fees:
        detail = f"{money(fee.micro)} {fee.currency} are owed to the source program"
        lines.append(Line("fee", detail, micro=fee.micro, currency=fee.currency))
    return lines


def lines_of_rest(remainder: Points, source: str) -> list[Line]:
    """What was offered beyond what is burned, in points of the source."""
    if not remainder:
        return []
    return [Line("remainder", f"{remainder:,} points would add nothing and stay", remainder, program=source)]


def lines_of_value(value: Value | None, worth: Worth | None) -> list[Line]:
    """What is given and received in money, and what is lost by it."""
    if value is None or worth is None:
        return []
    verb = "lost" if value.lost_bp >= 0 else "gained"
    given = f"{money(value.given)} {value.currency} at home"
    received = f"{money(value.received)} {value.currency}; {worth.note}"
    return [
        Line("value given", given, micro=value.given, currency=value.currency),
        Line("value received", received, micro=value.received, currency=value.currency),
        Line("loss", f"{percent(abs(value.lost_bp))} {verb} against redeeming at home"),
    ]


def money(micro: int) -> str:
    """Micro-units as a decimal number, with two places at least: 1,500,000 are 1.50."""
    whole, rest = divmod(micro, 1_000_000)
    return f"{whole:,}." + f"{rest:06}".rstrip("0").ljust(2, "0")


def percent(basis_points: int) -> str:
    """Basis points as a percentage: 6,250 are 62.50%."""
    return f"{basis_points // 100}.{basis_points % 100:02}%"
