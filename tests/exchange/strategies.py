"""Made-up amounts, ratios and terms for the property tests."""

from hypothesis import strategies as st

from exchange.points import POINTS_MAX, MicroUnits, Points
from exchange.ratio import Ratio
from exchange.terms import Terms

SMALL_MAX = 400


def amounts(most: int = POINTS_MAX) -> st.SearchStrategy[Points]:
    """Amounts that move, small ones as often as large ones."""
    return st.one_of(st.integers(1, min(most, SMALL_MAX)), st.integers(1, most)).map(Points)


def ratios(most: int = POINTS_MAX) -> st.SearchStrategy[Ratio]:
    """Ratios of any size, in lowest terms or not."""
    return st.builds(Ratio, amounts(most), amounts(most))


def make_terms(
    ratio: Ratio, minimum: int = 1, increment: int = 1, settlement_price: int = 0, version: int = 1
) -> Terms:
    """Terms between two programs whose names do not matter."""
    return Terms(
        id="trm_1",
        source="prg_a",
        destination="prg_b",
        version=version,
        ratio=ratio,
        minimum=Points(minimum),
        increment=Points(increment),
        settlement_price=MicroUnits(settlement_price),
        effective_at=None,
    )


def small_terms() -> st.SearchStrategy[Terms]:
    """Terms in which every number is small, so that rounding shows and all amounts can be tried."""
    return st.builds(
        make_terms,
        ratio=ratios(12),
        minimum=st.integers(1, 40),
        increment=st.integers(1, 15),
        settlement_price=st.integers(0, 20_000),
    )


@st.composite
def whole_step_terms(draw: st.DrawFn) -> Terms:
    """Small terms whose minimum is a multiple of their increment."""
    increment = draw(st.integers(1, 15))
    return make_terms(draw(ratios(12)), increment * draw(st.integers(1, 4)), increment)
