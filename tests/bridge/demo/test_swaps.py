"""The demo's swaps: who wants what, and the route where no terms lead there."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from bridge.answers import Member
from bridge.client import Client
from bridge.demo.events import MAY, Period
from bridge.demo.households import member_number, share
from bridge.demo.report import Report, show
from bridge.demo.run import Options, run
from bridge.demo.scheme import DEALS
from bridge.demo.swaps import Wish, wishes
from tests.bridge.demo.conftest import coupon, purchase, write_rows
from tests.bridge.fake_service import OPERATOR_KEY, FakeService, Reply

Clients = Callable[[str | None], Client]


def household_in(part: int) -> str:
    """A household that falls into this part of four."""
    return next(str(number) for number in range(100, 200) if share(str(number), 4) == part)


GROCERS_FUEL, ROUTED, OTHERS = household_in(0), household_in(1), household_in(2)
WITHOUT_GROCERY = "4"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.demo.setup.POLL_S", 0.0)
    monkeypatch.setattr("bridge.demo.settle.POLL_S", 0.0)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """A household without grocery, and one with all three whose part it is to take the route."""
    data = tmp_path / "data"
    data.mkdir()
    rows = [
        purchase(1, WITHOUT_GROCERY, "2017-05-01 10:00:00", 20_000, "drugstore"),
        purchase(2, WITHOUT_GROCERY, "2017-05-01 10:00:00", 1_000, "fuel"),
        purchase(3, ROUTED, "2017-05-01 10:00:00", 3_500, "drugstore"),
        purchase(4, ROUTED, "2017-05-01 10:00:00", 1_000, "fuel"),
        purchase(5, ROUTED, "2017-05-01 10:00:00", 1_000),
    ]
    write_rows(data / "earn_events.csv.gz", rows)
    write_rows(data / "coupon_redemptions.csv.gz", [coupon("9", "2017-05-02")])
    return Options(tmp_path / "state", OPERATOR_KEY, Period(MAY), workers=2, data=data)


def members(*kinds: str) -> dict[str, Member]:
    return {kind: {"id": f"mbr_{kind}"} for kind in kinds}  # type: ignore[typeddict-item]


def planned(household: str, *kinds: str) -> list[tuple[str, str]]:
    plan = wishes({household: members(*kinds)}, frozenset({household}))
    assert all(isinstance(wish, Wish) and wish.household == household for wish in plan)
    return [(wish.source, wish.destination) for wish in plan]


def test_wishes__of_each_part_of_households__then_no_program_gives_and_receives() -> None:
    everywhere = ("grocery", "drugstore", "fuel")

    assert planned(GROCERS_FUEL, *everywhere) == [("grocery", "fuel")]
    assert planned(ROUTED, *everywhere) == [("drugstore", "fuel")]
    assert planned(OTHERS, *everywhere) == [("drugstore", "grocery"), ("fuel", "grocery")]
    assert planned(OTHERS, "drugstore", "fuel") == [("drugstore", "fuel")]
    assert planned(ROUTED, "grocery", "fuel") == [("fuel", "grocery")]
    assert planned(ROUTED, "grocery", "drugstore") == [("drugstore", "grocery")]
    assert wishes({"1": members(*everywhere)}, frozenset()) == []


def points_of(service: FakeService, household: str) -> dict[str, int]:
    symbols = {program["id"]: program["symbol"] for program in service.programs.values()}
    return {
        symbols[member["program_id"]]: service.points[member["id"]]
        for member in service.members.values()
        if member["member_number"] == member_number(household)
    }


def test_run__where_no_terms_lead_there__then_swaps_over_the_grocery_with_a_bonus(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    report = run(clients, options, console)

    assert report.is_clean, report.faults
    # Half of 1,000 is 500: 486 suit both hops, 81 pass through the grocery, 135 and a tenth more arrive.
    assert points_of(service, WITHOUT_GROCERY) == {"RMDY": 514, "OCTN": 20 + 135 + 13}
    # Half of 175 is 87, and the route takes no less than 90.
    assert points_of(service, ROUTED) == {"RMDY": 175, "OCTN": 20, "BSKT": 10}
    assert (report.swaps.made, report.swaps.too_few, report.swaps.bonuses) == (1, 1, 1)
    assert report.swaps.refused.total() == 0
    assert len(service.terms) == len(DEALS)
    assert [terms["rules"] for terms in service.terms.values() if terms["rules"]] == [
        {"bonuses": [{"name": "full tank", "share": "10%", "when": {"at_least": 45}}]}
    ]


def shown(report: Report) -> str:
    out = io.StringIO()
    show(report, Console(file=out, width=200))
    return out.getvalue()


def test_show__of_a_swap_over_a_route__then_explains_it_line_by_line_with_symbols(
    clients: Clients, options: Options, console: Console
) -> None:
    report = run(clients, options, console)
    again = run(clients, options, console)

    out = shown(report)
    start = out.index("The largest swap over a route, RMDY > BSKT > OCTN: 486 RMDY became 148 OCTN")
    lines = [" ".join(line.split()) for line in out[start:].splitlines()[1:9]]
    assert lines == [
        "burned 486 RMDY 486 points leave",
        "through 81 BSKT 486 at 6:1",
        "base 135 OCTN 81 at 3:5",
        "bonus 13 OCTN full tank",
        "remainder 14 RMDY would add nothing",
        "value given 0.972 USD at home",
        "value received 0.74 USD as the programs say",
        "loss 2386 basis points",
    ]
    assert again.route == report.route == report.to_dict()["route"]
    assert "1 made" not in shown(again)


def test_run__without_a_swap_over_a_route__then_the_report_has_none(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    def closed(_method: str, path: str) -> Reply | None:
        if path == "/v1/quotes":
            return Reply(409, {"type": "urn:sarraf:problem:no-route", "detail": "nothing leads there"})
        return None

    service.broken = closed
    report = run(clients, options, console)

    assert report.route is None
    assert "over a route" not in shown(report)
    assert "2 swaps refused (no-route)" in report.faults


def test_run__where_a_bonus_failed__then_is_a_fault(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    run(clients, options, console)
    for operation in service.operations.values():
        if operation["kind"] == "bonus":
            operation["state"] = "failed"

    assert "1 bonuses failed" in run(clients, options, console).faults
