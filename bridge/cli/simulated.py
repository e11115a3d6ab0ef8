"""What a simulation found, as tables for people and as plain values for programs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console

from bridge.cli.output import table
from exchange.explanation import BASIS, money, percent
from exchange.simulation import Compared, Position, Report, Sum


def show(report: Report, symbols: Mapping[str, str], console: Console) -> None:
    """A table for each path, one of the positions, and what it comes to in one line."""
    for one in report.paths:
        console.print(table(_name(one.path, symbols), ("", "before", "after", "change"), _rows(one), right=_NUMBERS))
        for slug, count in sorted(one.refused.items()):
            console.print(f"  {count:,} would have been refused: {slug}")
    if report.positions:
        rows = (_position_row(symbols.get(program, program), one) for program, one in report.positions.items())
        title = "Positions by these swaps alone, in the settlement currency"
        console.print(table(title, ("program", "before", "after", "change"), rows, right=_NUMBERS))
    console.print(verdict(report))


_NUMBERS = ("before", "after", "change")


def verdict(report: Report) -> str:
    """What it comes to, in one line."""
    swaps = sum(one.before.swaps for one in report.paths)
    if report.changes_nothing:
        return f"{swaps:,} swaps would have gone exactly as they did"
    altered = sum(one.altered for one in report.paths)
    refused = sum(one.refused.total() for one in report.paths)
    return f"Of {swaps:,} swaps {altered:,} would have come out otherwise and {refused:,} would have been refused"


def to_dict(report: Report, symbols: Mapping[str, str]) -> dict[str, Any]:
    """Plain values: amounts are whole points, money is micro-units."""
    return {
        "changes_nothing": report.changes_nothing,
        "paths": [
            {
                "path": [symbols.get(program, program) for program in one.path],
                "currency": one.currency,
                "before": _plain(one.before),
                "after": _plain(one.after),
                "altered": one.altered,
                "refused": dict(sorted(one.refused.items())),
            }
            for one in report.paths
        ],
        "positions": [
            {"program": symbols.get(program, program), "before_micro": one.before, "after_micro": one.after}
            for program, one in report.positions.items()
        ],
    }


def _plain(one: Sum) -> dict[str, Any]:
    return {
        "swaps": one.swaps,
        "burned": one.burned,
        "base": one.base,
        "bonus": one.bonus,
        "out": one.out,
        "fee_points": one.fee_points,
        "fees_micro": dict(sorted(one.fees.items())),
        "given_micro": one.given,
        "received_micro": one.received,
    }


def _name(path: Iterable[str], symbols: Mapping[str, str]) -> str:
    return " > ".join(symbols.get(program, program) for program in path)


_COUNTS: tuple[tuple[str, Callable[[Sum], int]], ...] = (
    ("swaps", lambda one: one.swaps),
    ("points burned", lambda one: one.burned),
    ("points given", lambda one: one.out),
    ("of these bonus", lambda one: one.bonus),
    ("fees in points", lambda one: one.fee_points),
)


def _rows(one: Compared) -> Iterable[tuple[str, str, str, str]]:
    for label, count in _COUNTS:
        before, after = count(one.before), count(one.after)
        if not before and not after:
            continue
        yield label, f"{before:,}", f"{after:,}", f"{after - before:+,}"
    for currency in sorted({*one.before.fees, *one.after.fees}):
        before, after = one.before.fees.get(currency, 0), one.after.fees.get(currency, 0)
        yield _money_row(f"fees in {currency}", before, after)
    if one.currency is not None:
        yield _money_row(f"worth at home, {one.currency}", one.before.given, one.after.given)
        yield _money_row(f"worth there, {one.currency}", one.before.received, one.after.received)
        yield "lost by it", _lost(one.before), _lost(one.after), ""


def _lost(one: Sum) -> str:
    if one.given == 0:
        return "-"
    lost = (one.given - one.received) * BASIS // one.given
    return percent(lost) if lost >= 0 else f"-{percent(-lost)}"


def _position_row(program: str, one: Position) -> tuple[str, str, str, str]:
    return _money_row(program, one.before, one.after)


def _money_row(label: str, before: int, after: int) -> tuple[str, str, str, str]:
    change = after - before
    return label, signed(before), signed(after), f"{'-' if change < 0 else '+'}{money(abs(change))}"


def signed(micro: int) -> str:
    """Micro-units that may be below zero as a decimal number."""
    return money(micro) if micro >= 0 else f"-{money(-micro)}"
