"""`sarraf adjust`, and keys that say who holds them."""

import pytest

from tests.bridge.cli.conftest import Sarraf
from tests.bridge.fake_service import FakeService

ADDRESS = f"0x{'ab' * 20}"


def test_propose_and_approve__then_list_and_show_say_who_and_why(sarraf: Sarraf, service: FakeService) -> None:
    up = sarraf("adjust", "propose", "900", "--up", "40", "--reason", "counted twice", "--json")
    down = sarraf("adjust", "propose", "mbr_1", "--down", "15", "--reason", "never bought", "--json")
    nobodys = sarraf("adjust", "propose", "--account", ADDRESS, "--down", "9", "--reason", "a theft", "--json")
    assert [one.json["points"] for one in (up, down, nobodys)] == [40, -15, -9]
    assert [one.json["member_id"] for one in (up, down, nobodys)] == ["900", "mbr_1", None]
    assert nobodys.json["account"] == ADDRESS

    approved = sarraf("adjust", "approve", up.json["id"])
    rejected = sarraf("adjust", "reject", down.json["id"], "--reason", "it was bought", "--json")

    assert "approved" in approved.out and "Bob" in approved.out
    assert (rejected.json["state"], rejected.json["note"]) == ("rejected", "it was bought")
    assert ("POST", f"/v1/adjustments/{up.json['id']}/approve") in service.calls
    assert [one["points"] for one in sarraf("adjust", "list", "--state", "proposed", "--json").json] == [-9]
    listed = sarraf("adjust", "list").out
    assert "counted twice" in listed and "-15" in listed
    assert "counted twice" in sarraf("adjust", "show", up.json["id"]).out


def test_thaw__then_proposes_it_and_the_list_calls_it_so(sarraf: Sarraf, service: FakeService) -> None:
    frozen = {"address": ADDRESS, "member_id": "mbr_1", "frozen": True, "posted": 7, "available": 0}
    nobodys = {**frozen, "address": f"0x{'cd' * 20}", "member_id": None, "frozen": False}
    service.odd_accounts = [frozen, nobodys]
    assert ADDRESS in sarraf("adjust", "accounts").out
    assert sarraf("adjust", "accounts", "--state", "frozen", "--json").json == [frozen]

    made = sarraf("adjust", "thaw", ADDRESS, "--reason", "looked at the chain", "--json")

    assert (made.json["kind"], made.json["account"], made.json["points"]) == ("thaw", ADDRESS, 0)
    assert "thaw" in sarraf("adjust", "list").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--up", "1"), "name either a member"),
        (("900", "--account", ADDRESS, "--up", "1"), "name either a member"),
        (("900",), "say either how many points to give"),
        (("900", "--up", "1", "--down", "1"), "say either how many points to give"),
    ],
)
@pytest.mark.usefixtures("service")
def test_propose__of_nothing_or_of_two_things__then_says_what_to_write(
    sarraf: Sarraf, arguments: tuple[str, ...], said: str
) -> None:
    wrong = sarraf("adjust", "propose", *arguments, "--reason", "why")

    assert (wrong.code, wrong.out) == (1, "") and said in wrong.err
    assert sarraf("adjust", "propose", "900", "--up", "0", "--reason", "why").code == 2
    assert sarraf("adjust", "propose", "900", "--up", "1").code == 2


@pytest.mark.usefixtures("service")
def test_key__of_a_person__then_says_whose_it_is(sarraf: Sarraf) -> None:
    sarraf("program", "create", "Basket", "--symbol", "BSKT", "--currency", "points")

    made = sarraf("program", "key", "BSKT", "--scope", "adjust", "--scope", "read", "--person", "Ann Lee", "--json")

    assert (made.json["person"], made.json["scopes"]) == ("Ann Lee", ["adjust", "read"])
