"""Lattices: reduced bases of the same lattice, and the greatest point in a box as trying all of them finds it."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exchange import lattice
from exchange.lattice import Lattice, TooManyNodes, reduced

Rows = list[list[int]]
REACH = 12


def determinant(rows: Rows) -> int:
    if not rows:
        return 1
    return sum(
        (-1) ** place * each * determinant([[*row[:place], *row[place + 1 :]] for row in rows[1:]])
        for place, each in enumerate(rows[0])
    )


@st.composite
def bases(draw: st.DrawFn, most: int, sizes: tuple[int, ...] = (1, 2, 3, 4)) -> Rows:
    size = draw(st.sampled_from(sizes))
    entry = st.integers(-most, most)
    rows = draw(st.lists(st.lists(entry, min_size=size, max_size=size), min_size=size, max_size=size))
    assume(determinant(rows))
    return rows


def coordinates(rows: Rows, point: list[int]) -> list[Fraction]:
    """By Cramer's rule: how often each row counts."""
    whole = determinant(rows)
    return [Fraction(determinant([*rows[:place], point, *rows[place + 1 :]]), whole) for place in range(len(rows))]


@settings(max_examples=150)
@given(bases(10**9))
def test_reduced__of_any_basis__spans_the_same_lattice_with_short_rows(rows: Rows) -> None:
    short = reduced(rows)
    assert abs(determinant(short)) == abs(determinant(rows))
    assert all(each.denominator == 1 for row in short for each in coordinates(rows, row))
    # What the paper promises: the product of the lengths is at most 2**(n(n-1)/4) times the determinant; here squared.
    product_of_squares = 1
    for row in short:
        product_of_squares *= sum(each * each for each in row)
    size = len(rows)
    assert product_of_squares <= 2 ** (size * (size - 1) // 2) * determinant(rows) ** 2


@settings(max_examples=150)
@given(bases(5, (1, 2, 3)), st.data())
def test_lattice__in_a_box__has_the_greatest_and_the_least_as_tried(rows: Rows, data: st.DataObject) -> None:
    small = st.integers(-REACH, REACH)
    origin = [data.draw(small) for _ in rows]
    low = [data.draw(small) for _ in rows]
    widths = [data.draw(st.integers(1, 9)) for _ in rows]
    high = [one + width - 1 for one, width in zip(low, widths, strict=True)]
    points = product(*(range(one, other + 1) for one, other in zip(low, high, strict=True)))
    there = [
        point[-1]
        for point in points
        if all(
            each.denominator == 1
            for each in coordinates(rows, [at - start for at, start in zip(point, origin, strict=True)])
        )
    ]
    found = Lattice(rows, widths)
    assert found.greatest(origin, low, high) == max(there, default=None)
    assert found.least(origin, low, high) == min(there, default=None)


def test_lattice__beyond_its_limit__says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Lattice([[1, 0], [0, 1]], [5, 5])
    assert found.greatest([0, 0], [0, 0], [4, 4]) == 4
    monkeypatch.setattr(lattice, "NODES_MAX", 1)
    with pytest.raises(TooManyNodes):
        found.greatest([0, 0], [0, 0], [4, 4])
