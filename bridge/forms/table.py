"""Tables: amounts and what each of them gives, where no ratio says it, as the rules that say the same.

A ratio is the least that anybody gets, and bonuses only grow with the amount. So the ratio of a table is the least that
a row, or the way from one row to the next, gives for a point; and each row adds what it gives beyond that. A bonus that
is a share counts what the ratio gives, and not what the rows add.
"""

from collections.abc import Sequence
from itertools import pairwise

from exchange.errors import InvalidTerms
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import PARTS_MAX, Bonus, When

ROWS_MAX = PARTS_MAX
"""Each row may need a bonus of its own."""


def table_ratio(rows: Sequence[Ratio]) -> Ratio:
    """The ratio that stands behind a table; each row is an amount in and what it gives.

    Raises `InvalidTerms` unless both sides rise from row to row, and where they rise so unevenly that this ratio would
    give nothing for the first amount: the contract mints a point at least.
    """
    _check(rows)
    ways = [rows[0], *(_way(before, after) for before, after in pairwise(rows))]
    ratio = min(ways, key=lambda each: each.exact).reduced()
    if ratio.convert(rows[0].from_units) == 0:
        least = ratio.needed_for(Points(1))
        raise InvalidTerms(
            f"the least that this table gives is {ratio}, which is nothing for its first amount",
            field="table.0",
            limit=least,
        )
    return ratio


def table_amounts(rows: Sequence[Ratio]) -> tuple[Points, ...]:
    """The amounts of a table: no others are valid."""
    return tuple(row.from_units for row in rows)


def table_bonuses(rows: Sequence[Ratio]) -> tuple[Bonus, ...]:
    """What each row adds to what the ratio and the rows before it give."""
    ratio = table_ratio(rows)
    given, bonuses = 0, []
    for row in rows:
        extra = row.to_units - ratio.convert(row.from_units) - given
        assert extra >= 0, "the ratio gives no more on the way to a row than the table does"
        if extra:
            at_least = When(at_least=row.from_units)
            bonuses.append(Bonus(name=f"table from {row.from_units:,}", flat=Points(extra), when=at_least))
        given += extra
    return tuple(bonuses)


def _check(rows: Sequence[Ratio]) -> None:
    if len(rows) > ROWS_MAX:
        raise InvalidTerms(f"a table has at most {ROWS_MAX} rows", field="table", limit=ROWS_MAX)
    for place, (before, after) in enumerate(pairwise(rows), start=1):
        if after.from_units <= before.from_units or after.to_units <= before.to_units:
            nearest = f"{max(after.from_units, before.from_units + 1)}:{max(after.to_units, before.to_units + 1)}"
            raise InvalidTerms("both sides of a table rise from row to row", field=f"table.{place}", nearest=nearest)


def _way(before: Ratio, after: Ratio) -> Ratio:
    return Ratio(Points(after.from_units - before.from_units), Points(after.to_units - before.to_units))
