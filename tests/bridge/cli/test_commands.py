"""Commands that ask a running service, for people and as JSON."""

import json
import os
from pathlib import Path

import pytest

from tests.bridge.cli.conftest import Sarraf
from tests.bridge.fake_service import OPERATOR_KEY, FakeService, Reply


def _two_programs(sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Basket and Octane, each with a key; gives the keys by symbol."""
    keys = {}
    for name, symbol in (("Basket", "BSKT"), ("Octane", "OCTN")):
        made = sarraf("program", "create", name, "--symbol", symbol, "--currency", f"{name} points", "--json")
        assert made.code == 0, made.err
        keys[symbol] = sarraf("program", "key", symbol, "--json").json["key"]
    monkeypatch.setenv("SARRAF_API_KEY", OPERATOR_KEY)
    return keys


def test_program_create__when_waited_for__then_is_active(sarraf: Sarraf, service: FakeService) -> None:
    made = sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points", "--per", "50", "--json")

    assert made.code == 0
    assert made.json["state"] == "active"
    assert made.json["earning_rate"] == {"points": 1, "per_minor_units": 50}
    shown = sarraf("program", "list")
    assert "BSKT" in shown.out
    assert "1 for 50 cents" in shown.out
    assert len(service.programs) == 1


@pytest.mark.usefixtures("service")
def test_program_create__when_the_symbol_is_taken__then_says_so_on_one_line(sarraf: Sarraf) -> None:
    create = ("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points")
    sarraf(*create)

    refused = sarraf(*create, "--json")

    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "sarraf: BSKT is taken (field: symbol) [symbol-taken] request req_1\n"


@pytest.mark.usefixtures("service")
def test_program_show__by_symbol_in_any_case__then_is_found(sarraf: Sarraf) -> None:
    sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points")

    assert sarraf("program", "show", "bskt", "--json").json["symbol"] == "BSKT"
    missing = sarraf("program", "show", "NONE")
    assert missing.code == 1
    assert "there are: BSKT" in missing.err


@pytest.mark.usefixtures("service")
def test_program_create__with_a_value__then_sends_exact_micro_units(sarraf: Sarraf) -> None:
    create = ("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points", "--json")

    made = sarraf(*create, "--point-value", "0.008", "--money", "EUR").json

    assert (made["money"], made["point_value_micro"]) == ("EUR", 8_000)


@pytest.mark.parametrize(
    ("text", "micro"),
    [("0.01", 10_000), ("1", 1_000_000), ("12.000001", 12_000_001), ("0.29", 290_000), ("unknown", None)],
)
@pytest.mark.usefixtures("service")
def test_program_value__then_is_changed_and_keeps_its_money(sarraf: Sarraf, text: str, micro: int | None) -> None:
    sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points", "--money", "SAR")

    changed = sarraf("program", "value", "BSKT", text, "--json").json

    assert (changed["money"], changed["point_value_micro"]) == ("SAR", micro)
    assert sarraf("program", "value", "BSKT", text, "--money", "EUR", "--json").json["money"] == "EUR"
    assert sarraf("program", "show", "BSKT", "--json").json["point_value_micro"] == micro


@pytest.mark.parametrize("text", ["0.0000001", "1e3", "a cent", "1,5", ".5", "5.", "٣", ""])
@pytest.mark.usefixtures("service")
def test_program_value__that_is_no_number__then_is_refused_and_nothing_sent(sarraf: Sarraf, text: str) -> None:
    sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points")

    refused = sarraf("program", "value", "BSKT", text)

    assert refused.code == 1 and "is no value of a point" in refused.err
    assert sarraf("program", "show", "BSKT", "--json").json["point_value_micro"] is None


@pytest.mark.usefixtures("service")
def test_program_notices__then_are_as_said(sarraf: Sarraf) -> None:
    made = sarraf(
        "program", "create", "Basket", "--symbol", "BSKT", "--currency", "points", "--notice-days", "9", "--json"
    ).json
    assert made["notice_days"] == [9]
    assert sarraf("program", "notices", "BSKT", "7", "30", "--json").json["notice_days"] == [30, 7]
    assert sarraf("program", "notices", "BSKT", "--json").json["notice_days"] == []


@pytest.mark.usefixtures("service")
def test_program_debt_limit__then_is_as_said(sarraf: Sarraf) -> None:
    create = ("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points", "--debt-limit", "50")
    assert sarraf(*create, "--json").json["debt_limit"] == 50
    assert sarraf("program", "debt-limit", "BSKT", "0", "--json").json["debt_limit"] == 0


def test_program_key__then_revoked__then_is_deleted(sarraf: Sarraf, service: FakeService) -> None:
    sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points")
    made = sarraf("program", "key", "BSKT", "--scope", "read", "--json").json
    assert made["scopes"] == ["read"]
    service.broken = lambda method, _path: Reply(204, None) if method == "DELETE" else None

    assert sarraf("program", "revoke", made["id"], "--json").json == {"revoked": made["id"]}
    assert ("DELETE", f"/v1/keys/{made['id']}") in service.calls


@pytest.mark.usefixtures("service")
def test_members_terms_quote_swap__from_end_to_end__then_points_move(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: FakeService
) -> None:
    keys = _two_programs(sarraf, monkeypatch)
    codes = []
    for symbol, key in keys.items():
        monkeypatch.setenv("SARRAF_API_KEY", key)
        member = sarraf("member", "enrol", "900", "--json").json
        service.points[member["id"]] = 1_000
        codes.append(sarraf("member", "link", "900", "--json").json["code"])
        assert symbol in sarraf("member", "show", "900").out
    linked = sarraf("member", "link", "--code", codes[0], "--code", codes[1], "--json")
    assert len(linked.json["members"]) == 2
    proposed = sarraf(
        "terms",
        "propose",
        "OCTN",
        "BSKT",
        "--ratio",
        "5:2",
        "--price-micro",
        "100",
        "--minimum",
        "25",
        "--json",
    )
    assert proposed.json["ratio"] == {"from_units": 5, "to_units": 2}
    monkeypatch.setenv("SARRAF_API_KEY", keys["BSKT"])
    assert sarraf("terms", "consent", proposed.json["id"], "--json").code == 0
    assert "5:2" in sarraf("terms", "list", "--from", "OCTN", "--state", "in_force").out
    (tmp_path / "octane.key").write_text(keys["OCTN"] + "\n")
    octane = ("--key-file", str(tmp_path / "octane.key"))

    quoted = sarraf(*octane, "quote", "OCTN", "BSKT", "--member", "900", "--in", "101", "--json")
    assert (quoted.json["amount_in"], quoted.json["amount_out"], quoted.json["remainder"]) == (100, 40, 1)
    swapped = sarraf(*octane, "swap", quoted.json["id"], "--wait", "5", "--json")
    again = sarraf(*octane, "swap", quoted.json["id"])

    assert swapped.json["state"] == "final"
    assert "had been accepted before" in again.out
    monkeypatch.setenv("SARRAF_API_KEY", OPERATOR_KEY)
    balances = sarraf("balance", "900", "--json").json
    assert {row["posted"] for row in balances} == {1_040, 900}
    table = sarraf("balance", "900").out
    assert "1,040" in table
    assert "OCTN" in table
    one = sarraf("balance", "900", "--program", "OCTN", "--json").json
    assert [row["posted"] for row in one] == [900]
    days = sarraf("member", "expirations", "900", "--program", "OCTN", "--json").json
    assert [(one["day"], one["points"]) for one in days] == [("2026-12-01", 450), ("2026-12-11", 450)]
    assert sarraf("terms", "suspend", proposed.json["id"], "--json").json["state"] == "suspended"


@pytest.mark.usefixtures("service")
def test_quote__below_the_minimum__then_names_field_limit_and_nearest(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = _two_programs(sarraf, monkeypatch)
    codes = []
    for key in keys.values():
        monkeypatch.setenv("SARRAF_API_KEY", key)
        sarraf("member", "enrol", "900")
        codes.append(sarraf("member", "link", "900", "--json").json["code"])
    sarraf("member", "link", "--code", codes[0], "--code", codes[1])
    sarraf("terms", "propose", "OCTN", "BSKT", "--ratio", "5:2", "--price-micro", "1", "--minimum", "25")

    refused = sarraf("quote", "OCTN", "BSKT", "--member", "900", "--in", "7")

    assert refused.code == 1
    assert "(field: to_program_id, limit: 25, nearest: 25) [no-route]" in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.usefixtures("service")
def test_member__in_two_programs__then_asks_which(sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in _two_programs(sarraf, monkeypatch).values():
        monkeypatch.setenv("SARRAF_API_KEY", key)
        sarraf("member", "enrol", "900")
    monkeypatch.setenv("SARRAF_API_KEY", OPERATOR_KEY)

    unclear = sarraf("member", "link", "900")

    assert unclear.code == 1
    assert "several programs (BSKT, OCTN)" in unclear.err
    assert "'901' is no member of OCTN" in sarraf("member", "show", "901", "--program", "OCTN").err


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("quote", "A", "B", "--member", "900"), "exactly one of --in and --out"),
        (("quote", "A", "B", "--member", "900", "--in", "1", "--out", "1"), "exactly one of --in and --out"),
        (("quote", "A", "B", "--member", "9", "--in", "1", "--via", "C", "--best", "hops"), "--via or --best"),
        (("route", "A", "B"), "exactly one of --in and --out"),
        (("terms", "propose", "A", "B", "--ratio", "1:1"), "--price-micro, or a --file"),
        (("terms", "propose", "A", "--file", "x.yaml"), "no other terms beside it"),
        (("terms", "simulate", "x.yaml", "--limit", "20001"), "at most 20,000 swaps"),
        (("member", "link"), "either a member"),
        (("member", "link", "--code", "a"), "at least 2"),
        (("--url", "ftp://x", "program", "list"), "http://"),
        (("--key-file", "nowhere", "program", "list"), "cannot be read"),
    ],
)
def test_command__when_called_wrongly__then_says_what_is_right(
    sarraf: Sarraf, arguments: tuple[str, ...], reason: str
) -> None:
    result = sarraf(*arguments)

    assert result.code == 1
    assert reason in result.err


@pytest.mark.usefixtures("service")
def test_terms_propose__with_a_ratio_that_is_none__then_is_refused(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_programs(sarraf, monkeypatch)

    refused = sarraf("terms", "propose", "OCTN", "BSKT", "--ratio", "2.5", "--price-micro", "1")

    assert refused.code == 1
    assert "'2.5' is no ratio" in refused.err


def _operation(service: FakeService, state: str) -> str:
    operation = service._operation("earn", "prg_1", "mbr_1", 5, "e1")
    operation["state"] = state
    return str(operation["id"])


def test_operation_list__with_a_limit__then_shows_no_more(sarraf: Sarraf, service: FakeService) -> None:
    for _ in range(3):
        _operation(service, "final")

    assert len(sarraf("operation", "list", "--limit", "2", "--json").json) == 2
    assert "earn" in sarraf("operation", "list").out


def test_operation_watch__until_done__then_has_a_line_for_each_state(sarraf: Sarraf, service: FakeService) -> None:
    operation = _operation(service, "accepted")
    states = iter(["submitted", "submitted", "confirmed", "final"])

    def go_on(_method: str, path: str) -> None:
        if path.endswith(operation):
            service.operations[operation]["state"] = next(states, "final")

    service.broken = go_on

    watched = sarraf("operation", "watch", operation)

    assert [row.split()[-1] for row in watched.out.splitlines()] == ["submitted", "confirmed", "final"]
    assert sarraf("operation", "show", operation, "--json").json["state"] == "final"


def test_operation_watch__of_all__then_prints_events_as_lines_of_json(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch, service: FakeService
) -> None:
    del service
    event = {"operation_id": "op_1", "program_id": "p", "kind": "earn", "state": "final", "at": "now"}
    monkeypatch.setattr("bridge.client.Client.watch", lambda _self, after: iter([(str(after), event)] * 9))

    watched = sarraf("operation", "watch", "--after", "7", "--limit", "2", "--json")

    rows = [json.loads(row) for row in watched.out.splitlines()]
    assert rows == [{"cursor": "7", **event}] * 2


@pytest.mark.usefixtures("service")
def test_audit__when_equal__then_exits_0(sarraf: Sarraf) -> None:
    sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points")

    assert sarraf("audit").code == 0
    assert sarraf("audit", "--json").json["verdict"] == "ok"


def test_audit__when_anything_differs__then_exits_1_and_names_it(sarraf: Sarraf, service: FakeService) -> None:
    sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points")
    service.chain_error = 3

    result = sarraf("audit")

    assert result.code == 1
    assert "BSKT 0xacc: ledger 5, chain 8" in result.out
    assert sarraf("audit", "--json").code == 1


def test_audit__when_it_cannot_be_had__then_exits_2(
    sarraf: Sarraf, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.broken = lambda _method, _path: Reply(
        500, {"type": "urn:sarraf:problem:chain-unreachable", "detail": "the node is away"}
    )
    assert sarraf("audit").code == 2
    monkeypatch.delenv("SARRAF_API_KEY")

    result = sarraf("audit", "--json")

    assert (result.code, result.out) == (2, "")
    assert "no API key" in result.err


def test_commands__when_the_data_directory_says_where__then_need_no_environment(
    sarraf: Sarraf, service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del service
    url = os.environ["SARRAF_URL"]
    monkeypatch.delenv("SARRAF_URL")
    monkeypatch.delenv("SARRAF_API_KEY")
    data = tmp_path / "data"
    data.mkdir()
    (data / "service.json").write_text(f'{{"url": "{url}", "pid": 1}}')
    (data / "operator.key").write_text(OPERATOR_KEY)

    assert sarraf("--data", str(data), "program", "list", "--json").json == []


def test_command__when_nobody_listens__then_is_one_line_and_code_1(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARRAF_API_KEY", "k")
    monkeypatch.setattr("bridge.client.BACKOFF_S_FIRST", 0.0)

    result = sarraf("--url", "http://127.0.0.1:9", "program", "list")

    assert result.code == 1
    assert "http://127.0.0.1:9 cannot be reached" in result.err
    assert result.err.count("\n") == 1
