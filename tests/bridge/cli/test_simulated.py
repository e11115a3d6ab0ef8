"""What a simulation found, as people and programs read it."""

import io
from collections import Counter

from rich.console import Console

from bridge.cli.simulated import show, signed, to_dict, verdict
from exchange.simulation import Compared, Position, Report, Sum

SYMBOLS = {"prg_1": "BSKT", "prg_2": "OCTN"}


def _report() -> Report:
    before = Sum(3, 137, 137, 0, 0, {}, given=1_370_000, received=1_096_000)
    after = Sum(2, 1_300, 650, 65, 4, {"USD": 2_500_000}, given=1_000_000, received=1_250_000)
    one = Compared(("prg_1", "prg_2"), "USD", before, after, Counter({"below-minimum": 1}), altered=2)
    return Report((one,), {"prg_1": Position(-1_370, -650), "prg_2": Position(1_370, 650)})


def _shown(report: Report) -> str:
    out = io.StringIO()
    show(report, SYMBOLS, Console(file=out, width=160))
    return out.getvalue()


def test_show__of_a_report__then_has_before_after_and_change() -> None:
    rows = {line.split("│")[1].strip(): line.split("│")[2:5] for line in _shown(_report()).splitlines() if "│" in line}
    numbers = {label: [cell.strip() for cell in cells] for label, cells in rows.items()}

    assert numbers["swaps"] == ["3", "2", "-1"]
    assert numbers["points burned"] == ["137", "1,300", "+1,163"]
    assert numbers["points given"] == ["137", "715", "+578"]
    assert numbers["of these bonus"] == ["0", "65", "+65"]
    assert numbers["fees in USD"] == ["0.00", "2.50", "+2.50"]
    assert numbers["worth there, USD"] == ["1.096", "1.25", "+0.154"]
    assert numbers["lost by it"] == ["20.00%", "-25.00%", ""]
    assert numbers["BSKT"] == ["-0.00137", "-0.00065", "+0.00072"]


def test_show__of_a_report__then_names_programs_by_symbol_and_reasons_by_type() -> None:
    shown = _shown(_report())

    assert "BSKT > OCTN" in shown
    assert "1 would have been refused: below-minimum" in shown
    assert "Of 3 swaps 2 would have come out otherwise and 1 would have been refused" in shown
    assert "prg_" not in shown


def test_verdict__where_nothing_changes__then_says_so() -> None:
    report = Report((Compared(("prg_1", "prg_2"), None, Sum(3), Sum(3)),), {})

    assert verdict(report) == "3 swaps would have gone exactly as they did"
    assert "lost by it" not in _shown(report)


def test_to_dict__of_a_report__then_has_whole_points_and_micro_units() -> None:
    value = to_dict(_report(), SYMBOLS)

    assert value["changes_nothing"] is False
    (path,) = value["paths"]
    assert (path["path"], path["refused"], path["altered"]) == (["BSKT", "OCTN"], {"below-minimum": 1}, 2)
    assert (path["after"]["out"], path["after"]["fees_micro"]) == (715, {"USD": 2_500_000})
    assert value["positions"][0] == {"program": "BSKT", "before_micro": -1_370, "after_micro": -650}


def test_signed__of_money_below_zero__then_has_its_sign_in_front() -> None:
    assert [signed(micro) for micro in (-1_500_000, -1, 0, 10)] == ["-1.50", "-0.000001", "0.00", "0.00001"]
