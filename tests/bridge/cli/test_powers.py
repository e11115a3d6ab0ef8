"""`sarraf program status|pause|unpause|limits`."""

import pytest

from tests.bridge.cli.conftest import Sarraf
from tests.bridge.fake_service import FakeService


@pytest.fixture
def basket(sarraf: Sarraf, service: FakeService) -> str:
    """The id of a program."""
    sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points")
    return next(iter(service.programs))


def test_pause__then_status_says_so_until_the_unpause(sarraf: Sarraf, service: FakeService, basket: str) -> None:
    stopped = sarraf("program", "pause", "BSKT", "--json")

    assert stopped.code == 0
    assert [one["call"] for one in stopped.json["calls"]] == ["pause"]
    assert sarraf("program", "status", "bskt", "--json").json["paused"] is True
    assert "at once" in sarraf("program", "status", "BSKT").out
    assert "2026-11-23T21:00:00.000Z" in sarraf("program", "unpause", "BSKT").out
    assert sarraf("program", "status", basket, "--json").json["paused"] is False
    assert ("POST", f"/v1/programs/{basket}/unpause") in service.calls


@pytest.mark.usefixtures("basket")
def test_limits__then_the_named_ones_are_sent_and_status_shows_them(sarraf: Sarraf) -> None:
    changed = sarraf("program", "limits", "BSKT", "--limit", "issuance=5000:2", "--limit", "release=0:0", "--json")

    assert [(one["limit"], one["capacity"], one["refill_per_second"]) for one in changed.json["calls"]] == [
        ("issuance", 5000, 2),
        ("release", 0, 0),
    ]
    shown = sarraf("program", "status", "BSKT").out
    assert "5,000" in shown and "set-limit" in shown
    assert set(sarraf("program", "status", "BSKT", "--json").json["limits"]) == {"issuance", "release"}


@pytest.mark.usefixtures("basket")
def test_limits__without_a_limit_or_with_no_such_limit__then_says_what_to_write(
    sarraf: Sarraf, service: FakeService
) -> None:
    assert sarraf("program", "limits", "BSKT").code == 2
    wrong = sarraf("program", "limits", "BSKT", "--limit", "speed=1:1")

    assert (wrong.code, wrong.out) == (1, "")
    assert "'speed=1:1' is no limit" in wrong.err
    assert not service.powers
