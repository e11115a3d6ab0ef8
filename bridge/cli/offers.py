"""What prices look like on a terminal: in a sentence, line by line, and side by side."""

from collections.abc import Callable, Mapping, Sequence

from rich.table import Table

from bridge.answers import Board, BoardDirection, Price, Ratio
from bridge.cli.output import table
from bridge.explained import money, percent

Symbols = Mapping[str, str]


def way(price: Price, symbols: Symbols) -> str:
    """The programs along the way."""
    return " > ".join(symbols.get(program, program) for program in price["path"])


def sentence(price: Price, symbols: Symbols) -> str:
    """What is burned, what arrives, and by which way."""
    source, destination = price["from_program_id"], price["to_program_id"]
    fee = f" and {price['fee_points']:,} as a fee" if price["fee_points"] else ""
    kept = f", {price['remainder']:,} kept" if price["remainder"] else ""
    return (
        f"{price['amount_in']:,} {symbols.get(source, source)} in{fee},"
        f" {price['amount_out']:,} {symbols.get(destination, destination)} out{kept}; by {way(price, symbols)}"
    )


def side_by_side(prices: Sequence[Price], symbols: Symbols) -> Table:
    """A column for each price, the best first."""
    headings = ["", *(f"{place}. {way(price, symbols)}" for place, price in enumerate(prices, start=1))]
    rows = [[label, *map(cell, prices)] for label, cell in _ROWS]
    shown = [row for row in rows if set(row[1:]) != {"-"}]
    return table("", headings, shown, right=headings[1:])


def _value(price: Price, name: str) -> str:
    value = price["value"]
    if value is None:
        return "-"
    micro = value["given_micro"] if name == "given" else value["received_micro"]
    return f"{money(micro)} {value['currency']}"


def _lost(price: Price) -> str:
    return "-" if price["value"] is None else percent(price["value"]["lost_bp"])


def _fees(price: Price) -> str:
    return ", ".join(f"{money(fee['micro'])} {fee['currency']}" for fee in price["fees_money"]) or "-"


def _count(number: int | None) -> str:
    return "-" if not number else f"{number:,}"


_ROWS: tuple[tuple[str, Callable[[Price], str]], ...] = (
    ("points in", lambda price: f"{price['amount_in']:,}"),
    ("points out", lambda price: f"{price['amount_out']:,}"),
    ("of these bonus", lambda price: _count(price["amount_out"] - price["base_out"])),
    ("kept", lambda price: _count(price["remainder"])),
    ("fee in points", lambda price: _count(price["fee_points"])),
    ("fee in money", _fees),
    ("next that gives more", lambda price: _count(price["nearest_above"])),
    ("worth at home", lambda price: _value(price, "given")),
    ("worth there", lambda price: _value(price, "received")),
    ("lost", _lost),
)


def board_table(board: Board) -> Table:
    """A row for each partner: what points become there, and what comes back."""
    title = f"{board['symbol']} at {board['at']}"
    rows = (
        (
            partner["symbol"],
            *_direction(partner["out"]),
            "-" if partner["back"] is None else ratio(partner["back"]["ratio"]),
            partner["round_trip"],
        )
        for partner in board["partners"]
    )
    headings = ("partner", "gives", "inverse", "from", "steps", "bonuses", "lost", "changed", "coming", "back", "round")
    return table(title, headings, rows, right=("from", "steps", "lost"))


def _direction(one: BoardDirection | None) -> tuple[str, ...]:
    if one is None:
        return ("-",) * 8
    changed, coming = one["changed"], one["coming"]
    before = "" if changed["before"] is None else f", was {ratio(changed['before'])}"
    state = "" if one["state"] == "in_force" else f" ({one['state']})"
    return (
        f"{ratio(one['ratio'])}{state}",
        ratio(one["inverse"]),
        f"{one['minimum']:,}",
        f"{one['increment']:,}",
        ", ".join(str(bonus.get("name", "")) for bonus in one["bonuses"]) or "-",
        "-" if one["value"] is None else percent(one["value"]["lost_bp"]),
        f"{changed['at'][:10]}{before}",
        "-" if coming is None else f"{ratio(coming['after'])} on {coming['at'][:10]}",
    )


def ratio(value: Ratio) -> str:
    """Points given to points received."""
    return f"{value['from_units']}:{value['to_units']}"
