"""Lattices: the point of one that lies in a box and has the greatest last coordinate, found exactly on integers.

Whole numbers that keep several congruences and inequalities at once are the points of a lattice in a box. In a basis of
short vectors that lean on each other little, few combinations can reach into the box, however large the numbers are.
Such a basis is found as A. K. Lenstra, H. W. Lenstra and L. Lovász do ("Factoring polynomials with rational
coefficients", 1982; on integers alone as in H. Cohen, "A Course in Computational Algebraic Number Theory", algorithm
2.6.7). The points are then enumerated as R. Kannan does ("Minkowski's convex body theorem and integer programming",
1987): the last combined vector first, and each only as often as what is left of the box allows.
"""

from collections.abc import Iterator, Sequence
from math import gcd

Vector = list[int]

NODES_MAX = 2_000
"""Partial combinations that one search looks at, so that none takes longer than some milliseconds."""


class TooManyNodes(Exception):
    """The search met `NODES_MAX`. `exchange.chain` says so in words of its own."""


class Lattice:
    """The lattice of the sums of some rows, to be searched in boxes of about these widths."""

    def __init__(self, rows: Sequence[Sequence[int]], widths: Sequence[int]) -> None:
        # Every coordinate counts as much as its part of the box is narrow.
        longest = max(widths).bit_length()
        shifts = [longest - each.bit_length() for each in widths]
        scaled = reduced([[each << shift for each, shift in zip(row, shifts, strict=True)] for row in rows])
        self.rows = [[each >> shift for each, shift in zip(row, shifts, strict=True)] for row in scaled]
        self._across = [[each << shift for each, shift in zip(row, shifts, strict=True)] for row in _across(scaled)]

    def greatest(self, origin: Sequence[int], low: Sequence[int], high: Sequence[int]) -> int | None:
        """The greatest last coordinate of a point of the lattice, moved by `origin`, in a box; None: none is in it.

        Raises `TooManyNodes`.
        """
        return _Box(self.rows, self._across, low, high).greatest(origin)

    def least(self, origin: Sequence[int], low: Sequence[int], high: Sequence[int]) -> int | None:
        """The least one: the greatest in a mirror. Raises `TooManyNodes`."""
        box = _Box(
            [_mirrored(row) for row in self.rows],
            [_mirrored(row) for row in self._across],
            [*low[:-1], -high[-1]],
            [*high[:-1], -low[-1]],
        )
        found = box.greatest(_mirrored(origin))
        return None if found is None else -found


class _Box:
    """One search of one box."""

    def __init__(
        self, rows: Sequence[Vector], across: Sequence[Vector], low: Sequence[int], high: Sequence[int]
    ) -> None:
        self._rows, self._across = rows, across
        self._sizes = [_dot(one, row) for one, row in zip(across, rows, strict=True)]
        self._low, self._high = list(low), high
        self._nodes = 0

    def greatest(self, origin: Sequence[int]) -> int | None:
        before = self._low[-1]
        self._descend(len(self._rows) - 1, list(origin))
        return None if self._low[-1] == before else self._low[-1] - 1

    def _descend(self, level: int, point: Vector) -> None:
        """Tries how often the row of this level may count, those before it still open; what is found raises the box."""
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise TooManyNodes
        row = self._rows[level]
        if level:
            for times in self._counts(level, point):
                self._descend(level - 1, [at + times * each for at, each in zip(point, row, strict=True)])
            return
        first, last = self._fitting(row, point)
        if first <= last:
            self._low[-1] = point[-1] + (last if row[-1] > 0 else first) * row[-1] + 1

    def _counts(self, level: int, point: Vector) -> Iterator[int]:
        """How often the row can count at all, whatever those before it do: they lie across what is measured here."""
        most = least = 0
        for each, at, low, high in zip(self._across[level], point, self._low, self._high, strict=True):
            one, other = each * (low - at), each * (high - at)
            least, most = (least + one, most + other) if each > 0 else (least + other, most + one)
        size = self._sizes[level]
        counts = range(-(-least // size), most // size + 1)
        return iter(counts if self._rows[level][-1] <= 0 else reversed(counts))

    def _fitting(self, row: Vector, point: Vector) -> tuple[int, int]:
        """From how often to how often the row brings every coordinate into the box."""
        first, last = None, None
        for each, at, low, high in zip(row, point, self._low, self._high, strict=True):
            if each == 0:
                if not low <= at <= high:
                    return 1, 0
                continue
            near, far = (low - at, high - at) if each > 0 else (high - at, low - at)
            least, most = -(-near // each), far // each
            first = least if first is None or least > first else first
            last = most if last is None or most < last else last
        assert first is not None, "no row of a basis is zero"
        assert last is not None, "no row of a basis is zero"
        return first, last


def reduced(rows: Sequence[Sequence[int]]) -> list[Vector]:
    """A basis of the same lattice whose rows are short and lean on each other little."""
    basis = [list(row) for row in rows]
    sizes, leaning = _leaning(basis)
    at = 1
    while at < len(basis):
        _straighten(basis, sizes, leaning, at, at - 1)
        lean = leaning[at][at - 1]
        if 4 * (sizes[at + 1] * sizes[at - 1] + lean * lean) < 3 * sizes[at] * sizes[at]:
            _swap(basis, sizes, leaning, at)
            at = max(1, at - 1)
            continue
        for other in range(at - 2, -1, -1):
            _straighten(basis, sizes, leaning, at, other)
        at += 1
    return basis


def _leaning(basis: Sequence[Vector]) -> tuple[list[int], list[Vector]]:
    """How large the first rows are together, squared, and how much each row leans on those before it, times that."""
    sizes, leaning = [1], [[0] * len(basis) for _ in basis]
    for at, row in enumerate(basis):
        for other in range(at + 1):
            lean = _dot(row, basis[other])
            for before in range(other):
                lean = (sizes[before + 1] * lean - leaning[at][before] * leaning[other][before]) // sizes[before]
            if other < at:
                leaning[at][other] = lean
            else:
                assert lean > 0, "the rows of a basis are independent"
                sizes.append(lean)
    return sizes, leaning


def _straighten(basis: list[Vector], sizes: list[int], leaning: list[Vector], at: int, other: int) -> None:
    """Takes the other row off as often as brings this one nearest to across it."""
    size = sizes[other + 1]
    times = (2 * leaning[at][other] + size) // (2 * size)
    if times:
        basis[at] = [one - times * each for one, each in zip(basis[at], basis[other], strict=True)]
        leaning[at][other] -= times * size
        for before in range(other):
            leaning[at][before] -= times * leaning[other][before]


def _swap(basis: list[Vector], sizes: list[int], leaning: list[Vector], at: int) -> None:
    """Changes places of a row and the one before it."""
    basis[at], basis[at - 1] = basis[at - 1], basis[at]
    for before in range(at - 1):
        leaning[at][before], leaning[at - 1][before] = leaning[at - 1][before], leaning[at][before]
    lean, size = leaning[at][at - 1], sizes[at]
    other_size = (sizes[at - 1] * sizes[at + 1] + lean * lean) // size
    for row in leaning[at + 1 :]:
        kept = row[at]
        row[at] = (sizes[at + 1] * row[at - 1] - lean * kept) // size
        row[at - 1] = (other_size * kept + lean * row[at]) // sizes[at + 1]
    sizes[at] = other_size


def _across(basis: Sequence[Vector]) -> list[Vector]:
    """For each row what of it lies across all rows before it, in whole numbers and as short as they can say it."""
    across = list[Vector]()
    for row in basis:
        rest = list(row)
        for one in across:
            size, lean = _dot(one, one), _dot(rest, one)
            rest = [size * each - lean * other for each, other in zip(rest, one, strict=True)]
        common = gcd(*rest)
        across.append([each // common for each in rest])
    return across


def _mirrored(row: Sequence[int]) -> Vector:
    return [*row[:-1], -row[-1]]


def _dot(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(map(int.__mul__, one, other))
