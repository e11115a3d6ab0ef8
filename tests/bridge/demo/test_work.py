"""Threads and progress."""

import io
from threading import Event

import pytest
from rich.console import Console

from bridge.demo.work import progress, spread


def test_spread__given_items__then_results_keep_their_order() -> None:
    assert spread(lambda n: n * n, list(range(50)), workers=4) == [n * n for n in range(50)]


def test_spread__when_one_fails__then_the_rest_is_dropped_and_the_error_raised() -> None:
    begun: list[int] = []
    failed = Event()

    def call(number: int) -> None:
        begun.append(number)
        if number == 0:
            failed.set()
            raise LookupError("first")
        assert failed.wait(10)

    with pytest.raises(LookupError, match="first"):
        spread(call, list(range(10_000)), workers=2)
    assert len(begun) < 10_000


def test_progress__when_not_a_terminal__then_prints_a_line_for_each_tenth() -> None:
    out = io.StringIO()

    with progress(Console(file=out, width=100), "Counting", 1_000) as advance:
        for _ in range(100):
            advance(10)

    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "Counting: 1,000 of 1,000"


def test_progress__when_a_terminal__then_draws_a_bar() -> None:
    out = io.StringIO()

    with progress(Console(file=out, width=100, force_terminal=True), "Counting", 10) as advance:
        advance(10)

    assert "10/10" in out.getvalue()
