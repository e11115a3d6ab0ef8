"""`sarraf terms check --live`, `diff --live`, `propose --file` and `simulate`: a file against the service."""

from pathlib import Path
from typing import Any

import pytest

from tests.bridge.cli.conftest import Market, Sarraf, Write
from tests.bridge.fake_market import Refused
from tests.bridge.fake_service import OPERATOR_KEY, FakeService

PLAIN = """
terms:
  - {from: Alfa, to: beta, ratio: "3:1", minimum: 30, price: USD 0.01, wallet_cap: 500,
     bonuses: [{name: spring, share: 10%}]}
  - {from: BETA, to: ALFA, ratio: "1:2", price: USD 0.003, starts: 2999-01-01, confirmed: true}
"""


@pytest.fixture(autouse=True)
def _as_operator(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    assert market.keys
    monkeypatch.setenv("SARRAF_API_KEY", OPERATOR_KEY)


def test_propose__a_file__then_proposes_each_entry_with_its_rules(sarraf: Sarraf, market: Market, file: Write) -> None:
    made = sarraf("terms", "propose", "--file", file(PLAIN), "--json").json

    assert [terms["ratio"] for terms in made] == [{"from_units": 3, "to_units": 1}, {"from_units": 1, "to_units": 2}]
    first, second = made
    assert (first["from_program_id"], first["to_program_id"]) == (market.ids["ALFA"], market.ids["BETA"])
    assert first["rules"] == {"bonuses": [{"name": "spring", "share": "10%"}]}
    assert (first["minimum"], first["wallet_cap"], first["settlement_price_micro"]) == (30, 500, 10_000)
    # What the file does not say is the service's own.
    assert first["managed_cap"] == 10_000_000
    assert (second["starts_at"], second["confirm_ratio"]) == ("2999-01-01T00:00:00Z", True)
    assert "starts_at" not in first
    assert "ALFA > BETA" not in made


def test_propose__a_file_for_people__then_has_a_row_for_each(sarraf: Sarraf, file: Write) -> None:
    shown = sarraf("terms", "propose", "--file", file(PLAIN)).out

    assert "Alfa > beta" in shown
    assert "BETA > ALFA" in shown


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("price: USD 0.003, ", ""), "add a price, such as USD 0.01, to the entries on line 5"),
        (("BETA, to: ALFA", "BETA, to: OMEGA"), "no program called 'OMEGA'; there are: ALFA, BETA, GAMA"),
    ],
)
def test_propose__a_file_that_lacks_something__then_proposes_nothing(
    sarraf: Sarraf, market: Market, file: Write, change: tuple[str, str], reason: str
) -> None:
    before = len(market.service.terms)
    refused = sarraf("terms", "propose", "--file", file(PLAIN.replace(*change)))

    assert refused.code == 1
    assert reason in refused.err
    assert len(market.service.terms) == before


def test_propose__a_file_of_which_the_service_refuses_an_entry__then_names_its_line(
    sarraf: Sarraf, market: Market, file: Write
) -> None:
    propose = market.service._post_terms

    def refusing(ask: Any) -> Any:
        if ask.body["ratio"]["to_units"] == 2:
            raise Refused(409, "gaining-cycle", "points could gain", field="ratio", nearest="1:1")
        return propose(ask)

    market.service._post_terms = refusing  # type: ignore[method-assign]
    refused = sarraf("terms", "propose", "--file", file(PLAIN))

    assert refused.code == 1
    assert "1 of 2 proposed" in refused.out
    assert "line 5, BETA > ALFA: points could gain" in refused.err


def test_check__live__then_adds_what_the_service_says(sarraf: Sarraf, market: Market, file: Write) -> None:
    def vetted(body: dict[str, Any]) -> tuple[Refused | None, list[dict[str, str]]]:
        if body["to_program_id"] == market.ids["ALFA"]:
            return Refused(409, "gaining-cycle", "points could gain", field="ratio", nearest="1:1"), []
        return None, [{"type": "high-ratio", "detail": "a member receives much"}]

    market.service.vetted = vetted
    result = sarraf("terms", "check", file(PLAIN), "--live")

    assert result.code == 1
    assert "error: line 5, ratio: points could gain (nearest: 1:1) [gaining-cycle]" in result.out
    assert "warning: line 3: a member receives much [high-ratio]" in result.out
    offline = sarraf("terms", "check", file(PLAIN))
    assert (offline.code, "high-ratio" in offline.out) == (0, False)


def test_check__live__of_a_file_that_cannot_be_proposed__then_says_why_beside_the_rest(
    sarraf: Sarraf, file: Write
) -> None:
    text = PLAIN.replace("BETA, to: ALFA", "BETA, to: OMEGA") + '  - {from: OMEGA, to: BETA, ratio: "1:1"}\n'
    result = sarraf("terms", "check", file(text), "--live", "--json")

    assert result.code == 1
    assert [each["type"] for each in result.json["findings"]] == ["cannot-be-proposed", "gaining-cycle"]
    assert "'OMEGA'" in result.json["findings"][0]["detail"]


def test_check__live__then_says_nothing_twice(sarraf: Sarraf, market: Market, file: Write) -> None:
    text = PLAIN.replace('"1:2"', '"1:2.6"')
    market.service.vetted = lambda _body: (None, [{"type": "narrow-cycle", "detail": "a cycle loses little"}])

    offline = sarraf("terms", "check", file(text), "--json").json["findings"]
    live = sarraf("terms", "check", file(text), "--live", "--json").json["findings"]
    lines = [(each["type"], each["line"]) for each in live]
    assert len(offline) >= 1
    assert len(set(lines)) == len(lines)


def test_diff__live__then_compares_with_the_terms_of_the_service(sarraf: Sarraf, market: Market, file: Write) -> None:
    in_force(market.service)
    changes = sarraf("terms", "diff", file(PLAIN), "--live", "--json").json

    # Those of the file under its own names; the direction from Beta to Gamma is not in it.
    by_direction = {(each["from"], each["to"]): each for each in changes}
    assert set(by_direction) == {("Alfa", "beta"), ("BETA", "ALFA")}
    fields = {each["field"]: (each["before"], each["after"]) for each in by_direction["Alfa", "beta"]["fields"]}
    assert fields["ratio"] == ("2:1", "3:1")
    assert fields["minimum"] == (1, 30)
    assert fields["bonuses"] == (None, [{"name": "spring", "share": "10%"}])
    assert by_direction["BETA", "ALFA"]["change"] == "added"


def swap_some(sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, *amounts: int) -> None:
    in_force(market.service)
    monkeypatch.setenv("SARRAF_API_KEY", market.keys["ALFA"])
    for amount in amounts:
        quoted = sarraf("quote", "ALFA", "GAMA", "--member", "900", "--in", str(amount), "--json").json
        assert sarraf("swap", quoted["id"]).code == 0
    monkeypatch.setenv("SARRAF_API_KEY", OPERATOR_KEY)


def in_force(service: FakeService) -> None:
    for terms in service.terms.values():
        terms["state"], terms["version"] = "in_force", 1


def test_simulate__the_terms_in_force__then_changes_nothing(
    sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, file: Write
) -> None:
    swap_some(sarraf, market, monkeypatch, 101, 50)
    same = file('terms:\n  - {from: ALFA, to: BETA, ratio: "2:1", price: USD 0.01}\n')

    result = sarraf("terms", "simulate", same, "--json").json
    assert (result["changes_nothing"], result["swaps"], result["complete"]) == (True, 2, True)
    (path,) = result["paths"]
    assert path["path"] == ["ALFA", "BETA", "GAMA"]
    assert path["before"] == path["after"]
    assert (path["before"]["burned"], path["before"]["out"]) == (150, 60)
    # Worth 0.01 USD a point each: 1.50 given and 0.60 received.
    assert (path["currency"], path["before"]["given_micro"]) == ("USD", 1_500_000)
    assert path["before"]["received_micro"] == 600_000
    assert "2 swaps would have gone exactly as they did" in sarraf("terms", "simulate", same).out


def test_simulate__other_terms__then_says_what_they_would_have_done(
    sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, file: Write
) -> None:
    swap_some(sarraf, market, monkeypatch, 101, 50)
    other = file('terms:\n  - {from: BETA, to: GAMA, ratio: "5:3", minimum: 40, price: USD 0.02}\n')

    result = sarraf("terms", "simulate", other, "--json").json
    (path,) = result["paths"]
    assert path["refused"] == {"below-minimum": 1}
    assert (path["after"]["burned"], path["after"]["out"], path["altered"]) == (100, 30, 1)
    positions = {each["program"]: (each["before_micro"], each["after_micro"]) for each in result["positions"]}
    assert positions["ALFA"] == (-750_000, -500_000)
    assert positions["GAMA"] == (600_000, 600_000)
    shown = sarraf("terms", "simulate", other).out
    assert "ALFA > BETA > GAMA" in shown
    assert "1 would have been refused: below-minimum" in shown


def test_simulate__of_a_swap_that_left_something__then_offers_that_again(
    sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, file: Write
) -> None:
    swap_some(sarraf, market, monkeypatch, 101)
    finer = file('terms:\n  - {from: ALFA, to: BETA, ratio: "1:2", price: USD 0.01, confirmed: true}\n')

    (path,) = sarraf("terms", "simulate", finer, "--json").json["paths"]
    assert (path["before"]["burned"], path["after"]["burned"], path["after"]["out"]) == (100, 101, 161)


def test_simulate__with_a_limit__then_takes_the_newest_and_says_so(
    sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, file: Write
) -> None:
    swap_some(sarraf, market, monkeypatch, 100, 50)
    # The fake service lists the oldest first, and the command takes what comes first.
    same = file('terms:\n  - {from: ALFA, to: BETA, ratio: "2:1", price: USD 0.01}\n')

    result = sarraf("terms", "simulate", same, "--limit", "1", "--json").json
    assert (result["swaps"], result["complete"]) == (1, False)
    assert "Only the newest 1 swaps" in sarraf("terms", "simulate", same, "--limit", "1").out


def test_simulate__of_directions_nobody_swapped_in__then_finds_none(
    sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, file: Write
) -> None:
    swap_some(sarraf, market, monkeypatch, 100)
    other = file('terms:\n  - {from: GAMA, to: BETA, ratio: "5:3", price: USD 0.02}\n')

    assert sarraf("terms", "simulate", other, "--json").json["swaps"] == 0
    one = file('terms:\n  - {from: ALFA, to: BETA, ratio: "2:1", price: USD 0.01}\n')
    assert sarraf("terms", "simulate", one, "--program", "GAMA", "--json").json["swaps"] == 0
    assert sarraf("terms", "simulate", one, "--program", "ALFA", "--json").json["swaps"] == 1


def test_simulate__with_a_promotion_to_come__then_days_bring_it_and_the_swaps_together(
    sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, file: Write
) -> None:
    swap_some(sarraf, market, monkeypatch, 100)
    # The fake service's swaps are all of 2026-11-21.
    promotion = "{name: spring, share: 10%, when: {starts: 2026-12-01, before: 2026-12-31}}"
    text = f'terms:\n  - {{from: BETA, to: GAMA, ratio: "5:4", price: USD 0.01, bonuses: [{promotion}]}}\n'

    def bonus(*arguments: str) -> int:
        result = sarraf("terms", "simulate", file(text), *arguments, "--json").json
        return int(result["paths"][0]["after"]["bonus"])

    assert (bonus(), bonus("--shift-days", "10"), bonus("--shift-days", "40")) == (0, 4, 0)


def test_simulate__with_a_key_that_may_not_see_a_quote__then_counts_it_as_hidden(
    sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, file: Write
) -> None:
    swap_some(sarraf, market, monkeypatch, 100)
    market.service.quotes.clear()
    same = file('terms:\n  - {from: ALFA, to: BETA, ratio: "2:1", price: USD 0.01}\n')

    result = sarraf("terms", "simulate", same, "--json").json
    assert (result["swaps"], result["hidden"]) == (0, 1)
    assert "1 swaps of other programs could not be read" in sarraf("terms", "simulate", same).out


def test_simulate__at_a_price_in_another_currency__then_asks_the_service_to_convert(
    sarraf: Sarraf, market: Market, monkeypatch: pytest.MonkeyPatch, file: Write
) -> None:
    swap_some(sarraf, market, monkeypatch, 100)
    euros = file('terms:\n  - {from: ALFA, to: BETA, ratio: "2:1", price: EUR 0.02}\n')

    assert sarraf("terms", "simulate", euros).code == 0
    assert ("POST", "/v1/terms/check") in market.service.calls


def test_files__that_are_none__then_are_refused_before_anything_is_asked(sarraf: Sarraf, market: Market) -> None:
    asked = len(market.service.calls)
    for command in ("simulate", "diff", "propose"):
        arguments = (
            ("--file", "none.yaml") if command == "propose" else ("none.yaml", "none.yaml")[: 1 + (command == "diff")]
        )
        assert "none.yaml cannot be read" in sarraf("terms", command, *arguments).err
    assert len(market.service.calls) == asked
    assert not Path("none.yaml").exists()
