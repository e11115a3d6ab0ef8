"""Terms: what contradicts itself is refused by name."""

from dataclasses import replace
from typing import Any

import pytest

from exchange.errors import InvalidTerms
from exchange.points import POINTS_MAX, Points
from exchange.ratio import Ratio
from exchange.rules import TIME_MAX
from exchange.terms import PRICE_MAX, VERSION_MAX
from tests.exchange.strategies import make_terms

TERMS = make_terms(Ratio(Points(4), Points(3)), minimum=1000, increment=100, settlement_price=9_000)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"version": 0},
        {"version": VERSION_MAX},
        {"minimum": 1, "increment": 1},
        {"minimum": POINTS_MAX, "increment": POINTS_MAX},
        {"settlement_price": 0},
        {"settlement_price": PRICE_MAX},
        {"effective_at": 0},
        {"effective_at": TIME_MAX},
    ],
)
def test_terms__within_bounds__are_accepted(changes: dict[str, Any]) -> None:
    assert replace(TERMS, **changes).source == "prg_a"


@pytest.mark.parametrize(
    ("field", "value", "bound"),
    [
        ("version", -1, 0),
        ("version", VERSION_MAX + 1, VERSION_MAX),
        ("minimum", 0, 1),
        ("minimum", POINTS_MAX + 1, POINTS_MAX),
        ("increment", 0, 1),
        ("increment", POINTS_MAX + 1, POINTS_MAX),
        ("settlement_price", -1, 0),
        ("settlement_price", PRICE_MAX + 1, PRICE_MAX),
        ("managed_cap", -1, 0),
        ("managed_cap", POINTS_MAX + 1, POINTS_MAX),
        ("wallet_cap", -1, 0),
        ("wallet_cap", POINTS_MAX + 1, POINTS_MAX),
        ("effective_at", -1, 0),
        ("effective_at", TIME_MAX + 1, TIME_MAX),
    ],
)
def test_terms__beyond_a_bound__name_field_limit_and_nearest(field: str, value: int, bound: int) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        replace(TERMS, **{field: value})  # type: ignore[arg-type]
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == (field, bound, bound)


@pytest.mark.parametrize(
    "field", ["version", "minimum", "increment", "settlement_price", "managed_cap", "wallet_cap", "effective_at"]
)
def test_terms__with_a_float__are_refused(field: str) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        replace(TERMS, **{field: 1.0})  # type: ignore[arg-type]
    assert refusal.value.field == field


def test_terms__of_a_program_with_itself__are_refused() -> None:
    with pytest.raises(InvalidTerms) as refusal:
        replace(TERMS, destination=TERMS.source)
    assert refusal.value.field == "destination"
