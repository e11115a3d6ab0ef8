"""Every row of the published directions and of the dated changes prices as it says."""

import datetime
from collections import Counter, defaultdict
from typing import Any

import pytest

from bridge.forms.spelling import moment_of
from exchange.errors import BelowMinimum, OverCap
from exchange.terms import Terms
from tests.bridge.forms.published import Row, file_of, in_force, priced, rows

EDGES = rows("transfer_edges.csv")
CHANGES = rows("rate_changes_real.csv")


def test_directions__all_of_them__price_by_their_two_integers() -> None:
    # Several tables say the same direction: each is a file of its own. Where no minimum or increment is said, it is 1.
    by_table = defaultdict(list)
    for row in EDGES:
        by_table[row["provenance"]].append(row)
    done = 0
    for table in by_table.values():
        file = file_of([edge_entry(row) for row in table])
        assert len(file.terms()) == len(table)
        for row, entry in zip(table, file.entries, strict=True):
            assert entry.direction == (row["source"], row["dest"])
            assert str(entry.ratio) == f"{row['src_units']}:{row['dst_units']}"
            check_edge(row, entry.terms())
            done += 1
    assert done == len(EDGES) == 237
    assert sum(not row["minimum"] for row in EDGES) == 137


def edge_entry(row: Row) -> Row:
    return {
        "from": row["source"],
        "to": row["dest"],
        "ratio": f"{row['src_units']}:{row['dst_units']}",
        "minimum": row["minimum"],
        "increment": row["increment"],
        "source": row["provenance"],
    }


def check_edge(row: Row, terms: Terms) -> None:
    from_units, to_units = int(row["src_units"]), int(row["dst_units"])
    minimum, step = int(row["minimum"] or 1), int(row["increment"] or 1)
    for amount in (60_000, 61_000, 60_000 + step - 1, minimum + 60_000):
        valid = minimum + (amount - minimum) // step * step
        result = priced(terms, amount)
        out = valid * to_units // from_units
        assert result.amount_out == out, row
        assert result.amount_in + result.remainder == amount
        least = next(each for each in range(valid, 0, -step) if (each - step) * to_units // from_units < out)
        assert result.amount_in == least, row
    if minimum > 1:
        with pytest.raises(BelowMinimum) as refusal:
            priced(terms, minimum - 1)
        assert refusal.value.nearest == minimum


# The last column: what 1,000 points gave on the day before, and what they give on the first day.
READ = [
    ("Avios -> Nectar", "2022-11-16", 1600, 1333),
    ("Avios -> Nectar", "2024-03-11", 1333, 1000),
    ("Amex UK -> Emirates", "2024-08-19", 1000, 750),
    ("Amex UK -> Emirates", "2026-02-01", 750, 500),
    ("Citi US -> Emirates", "2025-07-27", 1000, 800),
    ("Amex US -> Emirates", "2025-09-16", 1000, 800),
    # Only the month is published, and it is read as its first day; the partner went, so nothing is let through.
    ("Chase -> Emirates", "2025-10-01", 1000, None),
    ("Capital One -> Emirates", "2026-01-13", 1000, 750),
    ("Amex US -> Cathay", "2026-03-01", 1000, 800),
    ("Amex SG (Plat) -> KrisFlyer", "2026-02-23", 625, 500),
    ("Amex SG (other) -> KrisFlyer", "2026-02-23", 555, 454),
    # The new ratio is not published; 5:2 is what a forum says, and is read from there.
    ("Axis Magnus -> partners", "2023-09-01", 800, 400),
]


def test_changes__all_of_them__count_from_their_first_second() -> None:
    file = file_of(change_entries())
    assert len(file.terms()) == 2 * len(CHANGES) - 2  # two of the directions changed twice
    checked: Counter[str] = Counter()
    for (pair, day, before, after), row in zip(READ, CHANGES, strict=True):
        assert (pair, first_day(row)) == (row["pair"], day)
        source, destination = pair.split(" -> ")
        last_second = f"{previous(day)}T23:59:59Z"
        assert priced(in_force(file, source, destination, last_second).terms(), 1000, last_second).amount_out == before
        new = in_force(file, source, destination, day).terms()
        assert new.effective_at == moment_of(day)
        if after is None:
            with pytest.raises(OverCap):
                priced(new, 1000, day)
        else:
            assert priced(new, 1000, day).amount_out == after
        checked[pair] += 1
    assert checked.total() == len(CHANGES) == 12


def change_entries() -> list[dict[str, Any]]:
    """For each pair what stood before its first change, then each change."""
    entries: list[dict[str, Any]] = []
    seen = set()
    for row in CHANGES:
        source, destination = row["pair"].split(" -> ")
        direction = {"from": source, "to": destination}
        if row["pair"] not in seen:
            entries.append({**direction, "ratio": f"{row['old_from']}:{row['old_to']}"})
        seen.add(row["pair"])
        closed = {} if row["new_from"] else {"caps": [{"per": "transfer", "points": 0}]}
        entries.append(
            {**direction, "ratio": new_ratio(row), "starts": first_day(row), "source": row["source"], **closed}
        )
    return entries


def new_ratio(row: Row) -> str:
    if "forum: 5:2" in row["new_from"]:
        return "5:2"
    # A partner that goes keeps its last ratio, and `change_entries` closes the direction.
    return f"{row['new_from'] or row['old_from']}:{row['new_to'] or row['old_to']}"


def first_day(row: Row) -> str:
    return row["effective"] if len(row["effective"]) == 10 else f"{row['effective']}-01"


def previous(day: str) -> str:
    return (datetime.date.fromisoformat(day) - datetime.timedelta(days=1)).isoformat()
