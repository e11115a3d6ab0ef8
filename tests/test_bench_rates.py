"""The bench of rates: on small markets it agrees with its baseline, and says so where it does not."""

import json
from dataclasses import replace
from typing import Any

import pytest

import bench_rates
import routes_bench
from bench_rates import Effort, as_json, as_text, main, measure
from market_maker import make_market
from routes_bench import Answer, agree, questions_on, route_times

TINY = Effort(((4, 1),), questions=4, baseline_questions=2, changes=5, searches=1)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_rates, "QUICK", TINY)


def test_measure__of_small_markets__agrees_with_the_baseline() -> None:
    measured = measure(TINY)
    assert [(each.market, each.programs, each.directions) for each in measured] == [
        ("plain", 4, 12),
        ("hubs", 4, 12),
        ("ruled", 4, 12),
        ("ruled", 4, 12),
        ("even", 4, 12),
    ]
    for each in measured:
        assert each.routes.questions == each.routes.complete == 4
        assert (each.routes.baseline_questions, each.routes.cut_off, each.routes.disagreements) == (2, 0, ())
        assert each.index.changes == len(each.gate.change.sorted_us) == 5
    text = as_text(measured, TINY)
    assert [line.split()[:2] for line in text.splitlines() if line.startswith("even")] == [["even", "4"]] * 3
    assert as_json(measured)["markets"][0]["routes"]["questions"] == 4


def test_questions__of_a_seed__are_the_same_again() -> None:
    assert questions_on(10, 20) == questions_on(10, 20) != questions_on(10, 20, seed=2)


def test_baseline__at_its_limit__is_cut_off_and_asked_no_more() -> None:
    times = route_times(make_market(4), questions_on(4, 4), baseline_questions=4, routes_max=3)
    assert (times.baseline_questions, times.cut_off, times.disagreements) == (1, 1, ())


def test_main__with_json__prints_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--json"]) == 0
    assert [each["market"] for each in json.loads(capsys.readouterr().out)["markets"]] == [
        "plain",
        "hubs",
        "ruled",
        "ruled",
        "even",
    ]


@pytest.mark.parametrize("more", [-1, 1])
def test_main__where_an_answer_differs__fails_and_names_it(
    more: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true_search = routes_bench.searched

    def wrong(*arguments: Any) -> Answer:
        answer = true_search(*arguments)
        return replace(answer, amount=answer.amount + more)

    monkeypatch.setattr(routes_bench, "searched", wrong)
    assert main(["--quick"]) == 1
    assert "the search found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "tried", "agreed"),
    [
        (Answer(5, True, 1), Answer(5, True, 1), True),
        (Answer(5, True, 1), Answer(4, True, 1), False),
        (Answer(5, True, 1), Answer(4, False, 1), True),
        (Answer(4, True, 1), Answer(5, False, 1), False),
        (Answer(4, False, 1), Answer(5, True, 1), True),
    ],
)
def test_agree__where_one_is_cut_off__only_that_one_may_have_less(found: Answer, tried: Answer, agreed: bool) -> None:
    assert agree(found, tried) is agreed
