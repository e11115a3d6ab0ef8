"""The operator's commands against a real service: status, breaker, lanes, reconcile."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge.cli.main import main
from bridge.store import breaker, lanes
from bridge.store.lanes import Trouble, TroubleType

from .test_audit import falsified
from .world import World

Sarraf = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sarraf(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sarraf:
    assert world.operator.key is not None
    monkeypatch.setenv("SARRAF_URL", world.url)
    monkeypatch.setenv("SARRAF_API_KEY", world.operator.key)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err  # type: ignore[return-value]

    return run


def test_breaker__tripped_shown_and_reset__then_exit_codes_and_the_page_to_read(world: World, sarraf: Sarraf) -> None:
    world.quiet()
    assert sarraf("breaker", "show")[0] == 0
    assert sarraf("breaker", "trip", "--reason", "a node is odd")[0] == 0
    try:
        code, out, _ = sarraf("breaker", "show")
        assert code == 1 and "by-hand" in out and "a node is odd" in out and "docs/runbook/by-hand.md" in out
        assert json.loads(sarraf("breaker", "show", "--json")[1])["alarm"] == "by-hand"
        code, out, _ = sarraf("status")
        assert code == 1 and "stopped, by-hand: a node is odd" in out and "not ok breaker" in out
    finally:
        assert sarraf("breaker", "reset", "--reason", "it was sound")[0] == 0
    assert not world.service.read(breaker.is_tripped)
    code, out, _ = sarraf("status")
    assert code == 0 and f"{world.service.posting.leadership.holder} (answered)" in out and "chain keeper" in out


def test_reset__while_the_books_differ__then_fails_and_says_which_account(world: World, sarraf: Sarraf) -> None:
    member = world.books.member()
    world.final(world.books.earn(member["id"], 40)["id"])
    with world.posting_stopped(), falsified(world, member["account"], 7):
        code, _, err = sarraf("breaker", "reset", "--reason", "x")
        assert code == 1 and member["account"] in err
        assert world.service.read(breaker.is_tripped)


def test_reconcile__of_books_that_agree_and_differ__then_0_and_1(world: World, sarraf: Sarraf) -> None:
    member = world.books.member()
    world.final(world.books.earn(member["id"], 40)["id"])
    world.quiet()
    assert sarraf("reconcile")[0] == 0
    with world.posting_stopped(), falsified(world, member["account"], 7):
        code, out, _ = sarraf("reconcile")
        assert code == 1 and f"{member['account']}: ledger 47, chain 40" in out


def test_lanes__with_one_in_trouble__then_1_and_the_page_to_read(
    world: World, sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.quiet()
    code, out, _ = sarraf("lanes")
    assert code == 0 and "exchange-operator" in out and world.service.posting.leadership.holder in out
    well = world.service.read(lanes.status)
    for kind, expected in ((TroubleType.EMPTY_SIGNER, 1), (TroubleType.LOW_FUNDS, 0)):
        told = [replace(one, trouble=Trouble(kind, "no gas money", 1_000)) for one in well]
        monkeypatch.setattr(lanes, "status", lambda _, told=told: told)
        code, out, _ = sarraf("lanes")
        assert code == expected and "no gas money" in out and f"docs/runbook/{kind}.md" in out
