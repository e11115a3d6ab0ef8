"""Explanations: a price line by line, for people, with symbols where the API has ids."""

from collections.abc import Mapping, Sequence

from bridge.answers import ExplanationLine

MICRO = 1_000_000


def explained(lines: Sequence[ExplanationLine], symbols: Mapping[str, str]) -> list[str]:
    """One text for each line: what it is about, how much, and how that came about; the columns are aligned."""
    rows = [(line["label"], amount, _detail(line, amount)) for line in lines for amount in [_amount(line, symbols)]]
    label_width = max((len(label) for label, _, _ in rows), default=0)
    amount_width = max((len(amount) for _, amount, _ in rows), default=0)
    return [f"{label:<{label_width}}  {amount:>{amount_width}}  {detail}".rstrip() for label, amount, detail in rows]


def _amount(line: ExplanationLine, symbols: Mapping[str, str]) -> str:
    micro, program = line["micro"], line["program"]
    if micro is not None:
        return f"{money(micro)} {line['currency'] or ''}".strip()
    if not line["points"]:
        return ""
    return f"{line['points']:,} {symbols.get(program, program) if program is not None else ''}".strip()


def _detail(line: ExplanationLine, amount: str) -> str:
    """How it came about, without saying again how much money it is."""
    detail = line["detail"]
    return detail if line["micro"] is None else detail.removeprefix(amount).lstrip(" ;")


def money(micro: int) -> str:
    """Micro-units as a decimal number, with two places at least: 1,500,000 are 1.50."""
    whole, rest = divmod(abs(micro), MICRO)
    sign = "-" if micro < 0 else ""
    return f"{sign}{whole:,}." + f"{rest:06}".rstrip("0").ljust(2, "0")


def percent(basis_points: int) -> str:
    """Hundredths of a percent as a percentage: 6,250 are 62.50%."""
    whole, rest = divmod(abs(basis_points), 100)
    return f"{'-' if basis_points < 0 else ''}{whole}.{rest:02}%"
