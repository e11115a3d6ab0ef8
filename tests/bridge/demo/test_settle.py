"""Waiting for finality."""

from collections.abc import Callable

import pytest
from rich.console import Console

from bridge.client import Client
from bridge.demo.errors import Stuck
from bridge.demo.settle import STALL_S_MAX, wait_until_final
from tests.bridge.fake_service import OPERATOR_KEY, FakeService

Clients = Callable[[str | None], Client]


class _Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_wait__when_work_is_left__then_returns_after_two_quiet_looks(
    service: FakeService, clients: Clients, console: Console
) -> None:
    service.waiting = [(500, 3), (0, 0), (10, 1), (0, 1)]
    time = _Time()

    with clients(OPERATOR_KEY) as client:
        wait_until_final(client, console, clock=time, sleep=time.sleep)

    assert service.calls.count(("GET", "/v1/status")) == 6


def test_wait__when_the_breaker_is_open__then_says_why(
    service: FakeService, clients: Clients, console: Console
) -> None:
    service.breaker = {"reason": "account 0x01 differs by 5"}

    with clients(OPERATOR_KEY) as client, pytest.raises(Stuck, match="0x01 differs"):
        wait_until_final(client, console)


def test_wait__when_nothing_moves__then_gives_up(service: FakeService, clients: Clients, console: Console) -> None:
    service.waiting = [(5, 1)] * 10_000
    time = _Time()

    with clients(OPERATOR_KEY) as client, pytest.raises(Stuck, match="5 operations wait, 1 batches"):
        wait_until_final(client, console, clock=time, sleep=time.sleep)
    assert STALL_S_MAX < time.now < STALL_S_MAX + 10


def test_wait__when_operations_are_in_blocks_short_of_finality__then_goes_on_waiting(
    service: FakeService, clients: Clients, console: Console
) -> None:
    operation = service._operation("earn", "prg_1", "mbr_1", 5, "e1")
    operation["state"] = "confirmed"
    time = _Time()

    def become_final(seconds: float) -> None:
        time.sleep(seconds)
        if time.now > 5:
            operation["state"] = "final"

    with clients(OPERATOR_KEY) as client:
        wait_until_final(client, console, clock=time, sleep=become_final)

    assert time.now > 5
