"""Terms with rules: what the ratio does not say, in any currency, checked before anybody agrees."""

from typing import Any

import pytest

from bridge.store import schema, terms

from .trio import RULES, Trio
from .world import World, problem


def _body(trio: Trio, **more: Any) -> dict[str, Any]:
    """A direction that no other test agrees on: CHAR to ALFA."""
    return {
        "from_program_id": trio.charlie.id,
        "to_program_id": trio.alfa.id,
        "ratio": {"from_units": 10, "to_units": 1},
        "settlement_price_micro": 4_000,
    } | more


def test_propose__with_rules__then_answers_them_as_they_were_written(trio: Trio) -> None:
    rules = {
        "bonuses": [
            {"name": "spring", "share": "15%", "when": {"starts": "2027-03-01", "before": "2027-04-01"}, "group": "p"}
        ],
        "caps": [{"per": "day", "count": 2}],
        "eligible": {"age_min_days": 30},
        "received": {"expiry": "shortens", "days": 90, "onward": False},
        "notice_days": 14,
    }
    starts = "2027-01-01T00:00:00Z"

    made = trio.charlie.post("/v1/terms", _body(trio, rules=rules, starts_at=starts)).json()

    assert made["rules"] == rules
    assert (made["starts_at"], made["confirmed_ratio"], made["fx"]) == ("2027-01-01T00:00:00.000Z", False, None)
    assert (made["settlement_price_micro"], made["currency"], made["warnings"]) == (4_000, "USD", [])
    assert trio.alfa.get(f"/v1/terms/{made['id']}").json()["rules"] == rules
    assert trio.direct["rules"] == RULES | {"fees": [{"points": 5}, {"flat": "USD 0.50"}]}


def test_propose__with_a_price_in_another_currency__then_it_is_converted_and_says_how(trio: Trio) -> None:
    made = trio.charlie.post("/v1/terms", _body(trio, settlement_price_micro=10_000, currency="EUR")).json()

    fx = made["fx"]
    assert (fx["price_micro"], fx["base"], fx["quote"]) == (10_000, "EUR", "USD")
    numerator, _, denominator = fx["rate"].partition("/")
    assert made["settlement_price_micro"] == 10_000 * int(numerator) // int(denominator or 1)
    assert made["currency"] == "USD" and fx["date"] and fx["source"]


def test_propose__with_a_price_in_a_currency_without_a_rate__then_409(trio: Trio) -> None:
    refusal = problem(trio.charlie.post("/v1/terms", _body(trio, currency="XTS")), 409, "no-rate")

    assert refusal["field"] == "currency" and "XTS" in refusal["detail"]


@pytest.mark.parametrize(
    ("rules", "slug", "field", "nearest"),
    [
        ({"bonuses": [{"name": "b", "share": "15%", "flat": 3}]}, "invalid-terms", "rules.bonuses.0", None),
        ({"bonuses": [{"name": "b", "flat": 0}]}, "invalid-terms", "rules.bonuses.0.flat", 1),
        ({"bonuses": [{"name": "b", "flat": 1.0}]}, "invalid-request", "rules.bonuses.0.flat", None),
        ({"bonuses": [{"name": "b", "share": "much"}]}, "invalid-ratio", "rules.bonuses.0.share", None),
        ({"caps": [{"per": "year"}]}, "invalid-terms", "rules.caps.0.points", None),
        ({"caps": [{"per": "hour", "points": 1}]}, "invalid-request", "rules.caps.0.per", None),
        ({"fees": [{"points": 1, "flat": "USD 1"}]}, "invalid-terms", "rules.fees.0.points", None),
        ({"received": {"expiry": "shortens"}}, "invalid-terms", "rules.received.days", None),
        ({"blocks": True}, "uneven-minimum", "minimum", 120),
        ({"speed": 1}, "unknown-field", "rules.speed", None),
    ],
)
def test_propose__with_rules_that_cannot_be__then_422_that_names_the_field_and_nothing_changes(
    trio: Trio, rules: dict[str, Any], slug: str, field: str, nearest: Any
) -> None:
    trio.world.quiet()
    before = trio.world.ledger()
    for path in ("/v1/terms", "/v1/terms/check"):
        body = _body(trio, minimum=100, increment=30, rules=rules)
        refusal = problem(trio.charlie.post(path, body), 422, slug)

        assert (refusal["field"], refusal.get("nearest")) == (field, nearest)
    assert trio.world.ledger() == before


def test_check__then_answers_what_proposing_would_and_changes_nothing(trio: Trio) -> None:
    rules = {"bonuses": [{"name": "welcome", "flat": 5}]}
    body = _body(trio, minimum=10_000, settlement_price_micro=10_000, currency="EUR", rules=rules)
    trio.world.quiet()
    before = trio.world.ledger()

    checked = trio.charlie.post("/v1/terms/check", body)

    assert checked.status_code == 200 and trio.world.ledger() == before
    proposed = trio.charlie.post("/v1/terms", body).json()
    assert checked.json() == {name: proposed[name] for name in checked.json()}
    assert [each["type"] for each in proposed["warnings"]] == ["splitting-pays"]


def test_check__of_a_ratio_that_gives_more_value_than_it_takes__then_warns(trio: Trio) -> None:
    """Three points of CHAR for USD 0.015, where one of BRAV is worth EUR 0.012."""
    body = {
        "from_program_id": trio.bravo.id,
        "to_program_id": trio.charlie.id,
        "ratio": {"from_units": 1, "to_units": 3},
        "settlement_price_micro": 1,
        "confirm_ratio": True,
    }

    warnings = trio.bravo.post("/v1/terms/check", body).json()["warnings"]

    assert [each["type"] for each in warnings] == ["high-ratio"]
    assert "at best a member receives" in warnings[0]["detail"] and "(ECB" in warnings[0]["detail"]


def test_propose__of_a_ratio_that_looks_inverted__then_is_refused_unless_confirmed(trio: Trio) -> None:
    """A point of CHAR is worth half one of ALFA: 1:10 would give twenty times the value."""
    body = _body(trio, ratio={"from_units": 1, "to_units": 10})
    gains = "gaining-cycle"  # with the directions of the trio, once the inversion is confirmed

    for path in ("/v1/terms", "/v1/terms/check"):
        refusal = problem(trio.charlie.post(path, body), 422, "inverted-ratio")
        assert (refusal["field"], refusal["limit"], refusal["nearest"]) == ("ratio", "1:10", "10:1")
        problem(trio.charlie.post(path, body | {"confirm_ratio": True}), 409, gains)


def test_propose__of_a_cycle_that_gains__then_shows_it_by_symbol_with_rates_product_and_amount(trio: Trio) -> None:
    body = _body(trio, ratio={"from_units": 1, "to_units": 1}, confirm_ratio=True)

    detail = problem(trio.charlie.post("/v1/terms", body), 409, "gaining-cycle")["detail"]

    assert "CHAR to ALFA at 1:1, ALFA to BRAV at 2:1, BRAV to CHAR at 1:3: 3/2 of what went in" in detail
    assert "An amount that gains:" in detail
    assert "prg_" not in detail


def test_status__then_says_how_many_directions_are_quoted_and_which_are_not(trio: Trio) -> None:
    market = trio.world.operator.get("/v1/status").json()["market"]

    assert market["directions"] >= 3 and market["barred"] == []


def test_terms__that_two_programs_agreed_on_past_us_and_that_gain__then_are_not_quoted_and_the_status_says_so(
    world: World,
) -> None:
    """Adopted on the chain without this service: it goes on, and quotes all but the direction that gains."""
    ids = [world.create(name, name.upper()) for name in ("Xray", "Yankee")]
    xray, yankee = (world.program(each) for each in ids)
    world.agree(xray, yankee, ratio={"from_units": 1, "to_units": 2}, minimum=1, increment=1)
    here, there = xray.member(points=50)["id"], yankee.member()["id"]
    xray.post("/v1/links", {"codes": [xray.code(here), yankee.code(there)]})
    body = {"from_program_id": yankee.id, "to_program_id": xray.id, "settlement_price_micro": 1}
    harmless = yankee.post("/v1/terms", body | {"ratio": {"from_units": 2, "to_units": 1}}).json()
    world.terms_in(harmless["id"], "proposed")
    assert xray.post(f"/v1/terms/{harmless['id']}/consent").json()["warnings"][0]["type"] == "narrow-cycle"
    world.terms_in(harmless["id"], "in_force")

    def gain(connection: Any) -> None:
        connection.execute(
            schema.terms.update()
            .where(schema.terms.c.id == harmless["id"])
            .values(from_units=1, revision=terms.last_revision(connection) + 1)
        )

    world.service.writer.run(gain)
    try:
        (barred,) = world.operator.get("/v1/status").json()["market"]["barred"]
        asked = {"member_id": there, "to_program_id": xray.id, "amount_in": 10}
        refusal = problem(yankee.post("/v1/quotes", asked), 409, "direction-closed")
        problem(
            yankee.get("/v1/routes", from_program_id=yankee.id, to_program_id=xray.id, amount_in=10), 409, "no-route"
        )
        board = yankee.get("/v1/board", program_id=yankee.id).json()["partners"]
        other = xray.post("/v1/quotes", {"member_id": here, "to_program_id": yankee.id, "amount_in": 10})
    finally:
        assert yankee.post(f"/v1/terms/{harmless['id']}/suspend").status_code == 202
        world.terms_in(harmless["id"], "suspended")

    assert (barred["from_program_id"], barred["to_program_id"]) == (yankee.id, xray.id)
    assert "2/1 of what went in" in barred["detail"] and "2/1" in refusal["detail"]
    assert [each["out"]["state"] for each in board] == ["barred"]
    assert other.status_code == 201
    assert world.operator.get("/v1/status").json()["market"]["barred"] == []
