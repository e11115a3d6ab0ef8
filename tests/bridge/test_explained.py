"""A price's lines, for people."""

import pytest

from bridge.answers import ExplanationLine
from bridge.explained import explained, money, percent


def line(label: str, detail: str = "", **more: object) -> ExplanationLine:
    empty = {"points": 0, "micro": None, "currency": None, "program": None}
    return {"label": label, "detail": detail, **empty, **more}  # type: ignore[typeddict-item]


def test_explained__of_points_and_money__then_is_aligned_and_has_symbols() -> None:
    lines = [
        line("burned", "1,200 points leave", points=1_200, program="prg_1"),
        line("fee", "owed to the source program", micro=99_000_000, currency="USD"),
        line("loss", "12.00% lost against redeeming at home"),
    ]

    assert explained(lines, {"prg_1": "BSKT"}) == [
        "burned  1,200 BSKT  1,200 points leave",
        "fee      99.00 USD  owed to the source program",
        "loss                12.00% lost against redeeming at home",
    ]


def test_explained__where_a_detail_begins_with_the_money__then_is_said_once() -> None:
    given = line("value given", "0.85 USD; a point is 0.005 USD", micro=850_000, currency="USD")

    assert explained([given], {}) == ["value given  0.85 USD  a point is 0.005 USD"]
    assert explained([line("base", "5 at 1:1", points=5)], {}) == ["base  5  5 at 1:1"]


def test_explained__of_a_program_nobody_named__then_has_its_id() -> None:
    assert explained([line("base", points=5, program="prg_9")], {}) == ["base  5 prg_9"]
    assert explained([line("base", points=5)], {}) == ["base  5"]
    assert explained([], {}) == []


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0.00"), (1, "0.000001"), (1_500_000, "1.50"), (-2_000_001, "-2.000001"), (1_234_567_890_000, "1,234,567.89")],
)
def test_money__of_micro_units__then_is_exact_with_two_places_at_least(micro: int, text: str) -> None:
    assert money(micro) == text


@pytest.mark.parametrize(("points", "text"), [(0, "0.00%"), (7, "0.07%"), (6_250, "62.50%"), (-2_501, "-25.01%")])
def test_percent__of_basis_points__then_has_two_places(points: int, text: str) -> None:
    assert percent(points) == text
