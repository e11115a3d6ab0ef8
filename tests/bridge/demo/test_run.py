"""The demo as a whole, against a fake service."""

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from bridge.client import Client
from bridge.demo import setup
from bridge.demo.errors import ForeignData, Stuck
from bridge.demo.events import ALL, MAY, Coupon, Period, Purchase
from bridge.demo.households import member_number
from bridge.demo.replay import BUFFER_ITEMS_MAX, in_order
from bridge.demo.report import Report, show
from bridge.demo.run import Options, run
from tests.bridge.demo.conftest import coupon, purchase, write_rows
from tests.bridge.fake_market import Refused
from tests.bridge.fake_service import OPERATOR_KEY, FakeService, Reply

Clients = Callable[[str | None], Client]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "POLL_S", 0.0)
    monkeypatch.setattr("bridge.demo.settle.POLL_S", 0.0)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    data = tmp_path / "data"
    data.mkdir()
    rows = [
        purchase(1, "1", "2017-05-01 10:00:00", 30_000),
        purchase(2, "1", "2017-05-01 10:00:00", 10_000, "drugstore"),
        purchase(3, "2", "2017-05-01 11:00:00", 0),
        purchase(4, "1", "2017-05-02 09:00:00", 50),
        purchase(5, "3", "2017-05-02 09:00:00", 40_000, "fuel"),
        purchase(6, "3", "2017-05-03 09:00:00", 20_000),
        purchase(7, "1", "2017-06-03 09:00:00", 60_000),
    ]
    write_rows(data / "earn_events.csv.gz", rows)
    coupons = [
        coupon("1", "2017-05-01"),
        coupon("1", "2017-05-02"),
        coupon("9", "2017-05-02"),
        coupon("3", "2017-05-03"),
    ]
    write_rows(data / "coupon_redemptions.csv.gz", coupons)
    return Options(tmp_path / "state", OPERATOR_KEY, Period(MAY), workers=2, data=data)


def _points(service: FakeService, number: str) -> dict[str, int]:
    symbols = {program["id"]: program["symbol"] for program in service.programs.values()}
    return {
        symbols[member["program_id"]]: service.points[member["id"]]
        for member in service.members.values()
        if member["member_number"] == number
    }


def test_run__on_fresh_data__then_everyone_has_what_they_earned_less_what_they_spent(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    report = run(clients, options, console)

    assert report.is_clean, report.faults
    assert report.tally.earned["grocery"].sent == 4
    assert report.tally.earned["grocery"].nothing_earned == 2
    assert report.tally.earned["grocery"].zero_cents == 1
    redeemed = report.tally.redeemed
    assert (redeemed.accepted, redeemed.short, report.coupons_not_member) == (2, 1, 1)
    assert report.households_linked == 2
    # Household 1 had 500 Remedy points and swapped half of them, 250, of which 246 divide by 6.
    assert _points(service, member_number("1")) == {"BSKT": 100 + 41, "RMDY": 254}
    assert report.swaps.made == 2
    assert report.members == report.members_created == 5


def test_run__a_second_time__then_everything_is_replayed_and_nothing_changes(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    run(clients, options, console)
    before = dict(service.points)
    operations = len(service.operations)

    report = run(clients, options, console)

    assert report.is_clean, report.faults
    assert service.points == before
    assert len(service.operations) == operations
    assert len(service.programs) == 3
    assert len(service.terms) == 5
    assert sum(earned.replayed for earned in report.tally.earned.values()) == 6
    assert sum(earned.accepted for earned in report.tally.earned.values()) == 0
    assert (report.tally.redeemed.accepted, report.tally.redeemed.replayed) == (0, 2)
    assert report.tally.redeemed.short == 1
    assert (report.swaps.made, report.swaps.replayed) == (0, 2)
    assert report.members_created == 0


def test_run__when_points_come_after_a_refused_coupon__then_a_second_run_does_not_redeem_it(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    run(clients, options, console)
    for member_id in service.points:
        service.points[member_id] += 10_000

    report = run(clients, options, console)

    assert report.tally.redeemed.short == 1
    assert report.tally.redeemed.accepted == 0


def test_run__with_the_year_after_may__then_only_the_rest_is_new(
    clients: Clients, options: Options, console: Console
) -> None:
    run(clients, options, console)

    report = run(
        clients,
        Options(options.directory, OPERATOR_KEY, Period(ALL), workers=3, data=options.data),
        console,
    )

    assert report.is_clean, report.faults
    assert report.tally.earned["grocery"].accepted == 1
    assert report.tally.earned["grocery"].replayed == 4


def test_run__when_stopped_in_the_middle__then_the_next_start_finishes_the_work(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    def down(_method: str, path: str) -> Reply | None:
        if path == "/v1/quotes":
            return Reply(500, {"type": "urn:sarraf:problem:internal", "detail": "down"})
        return None

    service.broken = down
    first = run(clients, options, console)
    assert not first.is_clean
    assert "2 swaps refused (internal)" in first.faults
    service.broken = lambda _method, _path: None

    report = run(clients, options, console)

    assert report.is_clean
    assert report.swaps.made == 2


def test_run__with_the_purchases_of_may__then_each_household_is_in_file_order(
    service: FakeService, clients: Clients, tmp_path: Path, console: Console
) -> None:
    report = run(clients, Options(tmp_path, OPERATOR_KEY, Period(MAY)), console)

    assert report.is_clean, report.faults
    earned = report.tally.earned
    assert {kind: part.sent for kind, part in earned.items()} == {
        "grocery": 11_520,
        "drugstore": 6_205,
        "fuel": 1_271,
    }
    assert sum(part.zero_cents for part in earned.values()) == 72
    assert (report.tally.redeemed.accepted, report.tally.redeemed.short) == (62, 206)
    assert report.members == 4_257
    assert report.swaps.made > 500
    by_household: dict[str, list[str]] = {}
    for number, event_id in service.order:
        if event_id.startswith("grocery-"):
            by_household.setdefault(number, []).append(event_id)
    wanted: dict[str, list[str]] = {}
    for bought in _real_purchases():
        if bought.kind == "grocery":
            wanted.setdefault(member_number(bought.household), []).append(bought.event_id)
    assert by_household == wanted
    bulk = sum(path == "/v1/earns/bulk" for _, path in service.calls)
    assert bulk < 18_996 / BUFFER_ITEMS_MAX + 300


def _real_purchases() -> list[Purchase]:
    from bridge.demo.events import read_purchases

    return read_purchases(Period(MAY))


def test_in_order__when_a_coupon_has_a_date__then_it_follows_that_days_purchases() -> None:
    days = ("2017-05-02", "2017-05-02", "2017-05-04")
    purchases = [Purchase(f"e{n}", "grocery", "1", f"{day}T10:00:00Z", 5) for n, day in enumerate(days)]
    coupons = [Coupon("1", "77", "26", day, 1) for day in ("2017-05-01", "2017-05-02", "2017-05-03", "2017-05-05")]

    steps = [s.event_id if isinstance(s, Purchase) else s.date for s in in_order(purchases, coupons)]

    assert steps == ["2017-05-01", "e0", "e1", "2017-05-02", "2017-05-03", "e2", "2017-05-05"]


def test_run__when_ledger_and_chain_differ__then_the_report_is_not_clean_and_names_the_account(
    service: FakeService, clients: Clients, options: Options
) -> None:
    service.chain_error = 3

    report = run(clients, options, Console(file=io.StringIO()))

    assert not report.is_clean
    out = _shown(report)
    assert "NOT OK" in out
    assert "0xacc: ledger 5, chain 8" in out


def test_run__when_an_award_is_not_what_the_rate_gives__then_the_report_is_not_clean(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    honest = service._earn_item
    service._earn_item = lambda caller, item: {**honest(caller, item), "points": 1}  # type: ignore[method-assign]

    report = run(clients, options, console)

    assert "6 purchases with another award than the rate gives" in report.faults


def test_run__when_items_are_refused__then_they_are_counted_by_reason(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    problem = Refused(409, "account-frozen", "the account is frozen").body
    refused = {"status": "refused", "operation_id": None, "points": 0, "problem": problem}
    service._earn_item = lambda _caller, item: {"event_id": item["event_id"], **refused}  # type: ignore[method-assign,assignment]

    report = run(clients, options, console)

    assert report.tally.earned["grocery"].refused == Counter({"account-frozen": 4})
    assert not report.is_clean


def test_run__when_posting_stops__then_raises_with_the_reason(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    service.breaker = {"reason": "foreign use of the key"}

    with pytest.raises(Stuck, match="foreign use"):
        run(clients, options, console)


def test_run__when_the_program_has_other_rates__then_refuses_to_go_on(
    service: FakeService, clients: Clients, options: Options, console: Console
) -> None:
    run(clients, options, console)
    for program in service.programs.values():
        program["earning_rate"] = {"points": 9, "per_minor_units": 1}

    with pytest.raises(ForeignData, match="--reset"):
        run(clients, options, console)


def test_run__when_the_keys_file_is_lost_twice__then_says_that_no_key_can_be_made(
    clients: Clients, options: Options, console: Console
) -> None:
    run(clients, options, console)
    run(clients, Options(options.directory / "b", OPERATOR_KEY, Period(MAY), data=options.data), console)

    with pytest.raises(ForeignData, match="no key can be made"):
        run(clients, Options(options.directory / "c", OPERATOR_KEY, Period(MAY), data=options.data), console)


def test_show__of_a_clean_report__then_has_a_row_for_each_program_and_the_verdict(
    clients: Clients, options: Options, console: Console
) -> None:
    out = _shown(run(clients, options, console))

    for expected in ("Basket (BSKT)", "Remedy (RMDY)", "Octane (OCTN)", "gas per item", "25,000"):
        assert expected in out
    assert "2 earned nothing (1 of 0 cents" in out
    assert "2 redeemed, 0 replayed, 1 refused (too few points)" in out
    assert "OK 5 accounts compared, 0 differences" in out


def test_to_dict__of_a_report__then_is_plain_json(clients: Clients, options: Options, console: Console) -> None:
    value = json.loads(json.dumps(run(clients, options, console).to_dict()))

    assert value["clean"] is True
    assert value["coupons"]["not_member"] == 1
    assert value["purchases"]["grocery"]["sent"] == 4


def _shown(report: Report) -> str:
    out = io.StringIO()
    show(report, Console(file=out, width=200))
    return out.getvalue()
