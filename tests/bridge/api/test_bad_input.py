"""Bad input to swaps: each its own problem type, with field, limit and nearest, and nothing changed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from exchange.eligibility import DAY_S
from exchange.points import POINTS_MAX

from .trio import Traveller, Trio
from .world import hasty_clock, problem, unique

#: What a customer has: enough for each case.
Case = Callable[[Trio, Traveller], Any]


def _terms(trio: Trio, **more: Any) -> Any:
    body = {
        "from_program_id": trio.charlie.id,
        "to_program_id": trio.alfa.id,
        "ratio": {"from_units": 10, "to_units": 1},
        "settlement_price_micro": 1,
    }
    return trio.charlie.post("/v1/terms", body | more)


def _gaining(trio: Trio, _: Traveller) -> Any:
    return _terms(trio, ratio={"from_units": 2, "to_units": 3}, confirm_ratio=True)


def _expired(trio: Trio, who: Traveller) -> Any:
    quote_id = trio.quote(who, amount_in=100).json()["id"]
    with trio.world.later(trio.world.service.settings.quote_life_s + 1) as caller:
        return caller(trio.alfa.key).post("/v1/swaps", {"quote_id": quote_id}, key=unique())


def _used(trio: Trio, who: Traveller) -> Any:
    quote_id = trio.quote(who, amount_in=100).json()["id"]
    assert trio.swap(quote_id, wait_s=30).status_code == 200
    return trio.swap(quote_id)


def _too_many(trio: Trio, who: Traveller) -> Any:
    while (answer := trio.quote(who, amount_in=100)).status_code == 201:
        pass
    return answer


CASES: dict[str, tuple[Case, int, str, str, int | str | None, int | str | None]] = {
    "an inverted ratio": (
        lambda trio, _: _terms(trio, ratio={"from_units": 1, "to_units": 10}),
        422, "inverted-ratio", "ratio", "1:10", "10:1",
    ),
    "zero": (lambda trio, who: trio.quote(who, amount_in=0), 422, "invalid-amount", "amount_in", 1, 100),
    "less than zero": (lambda trio, who: trio.quote(who, amount_out=-7), 422, "invalid-amount", "amount_out", 1, 1),
    "2^48 in": (
        lambda trio, who: trio.quote(who, amount_in=2**48), 422, "invalid-amount", "amount_in", POINTS_MAX, 8_000
    ),
    "2^48 out": (
        lambda trio, who: trio.quote(who, amount_out=2**48),
        422, "invalid-amount", "amount_out", POINTS_MAX, 2_400,
    ),
    "a minimum that is no number of blocks": (
        lambda trio, _: _terms(trio, minimum=100, increment=30, rules={"blocks": True}),
        422, "uneven-minimum", "minimum", 30, 120,
    ),
    "an unknown program": (
        lambda trio, who: trio.quote(who, amount_in=100, to_program_id="prg_nowhere"),
        404, "unknown-program", "program_id", None, None,
    ),
    "a closed direction": (
        lambda trio, who: trio.quote(who, amount_in=100, to_program_id=trio.closed_to.id),
        409, "direction-closed", "to_program_id", None, None,
    ),
    "a tier that the terms are not for": (
        lambda trio, who: trio.quote(who, amount_in=100, to_program_id=trio.tiered_to.id, tier="silver"),
        409, "direction-closed", "tier", "gold", "gold",
    ),
    "an expired quote": (_expired, 409, "quote-expired", "quote_id", None, None),
    "a quote accepted twice": (_used, 409, "quote-used", "quote_id", None, None),
    "over a cap": (lambda trio, who: trio.quote(who, amount_in=8_004), 409, "over-cap", "amount_in", 8_000, 8_000),
    "out of what a cap lets in": (
        lambda trio, who: trio.quote(who, amount_out=3_000), 409, "over-cap", "amount_out", 2_400, 2_400
    ),
    "too many open quotes": (_too_many, 409, "too-many-quotes", "member_id", 5, None),
    "below the minimum": (lambda trio, who: trio.quote(who, amount_in=99), 422, "below-minimum", "amount_in", 100, 100),
    "a cycle that gains": (_gaining, 409, "gaining-cycle", "ratio", "3:2", "3:2"),
}  # fmt: skip

#: Cases that need quotes or swaps first, which they make themselves.
PREPARED = {"an expired quote", "a quote accepted twice", "too many open quotes"}


@pytest.mark.parametrize("name", [each for each in CASES if each not in PREPARED])
def test_bad_input__then_has_its_own_problem_and_changes_nothing(trio: Trio, name: str) -> None:
    case, status, slug, field, limit, nearest = CASES[name]
    who = trio.traveller()
    trio.world.quiet()
    before = trio.world.ledger()

    refusal = problem(case(trio, who), status, slug)

    assert (refusal["field"], refusal.get("limit"), refusal.get("nearest")) == (field, limit, nearest)
    assert trio.world.ledger() == before


@pytest.mark.parametrize("name", sorted(PREPARED))
def test_bad_input__behind_what_was_right__then_has_its_own_problem_and_changes_nothing(
    trio: Trio, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger just before the refused request is the one just behind it."""
    case, status, slug, field, limit, nearest = CASES[name]
    who = trio.traveller(points=1_000)
    ledgers: list[Any] = []
    send = type(trio.alfa).send

    def noting(self: Any, method: str, *given: Any, **more: Any) -> Any:
        if method == "POST":
            trio.world.quiet()
            ledgers.append(trio.world.ledger())
        return send(self, method, *given, **more)

    for caller in (type(trio.alfa), type(trio.world.operator)):
        monkeypatch.setattr(caller, "send", noting)

    refusal = problem(case(trio, who), status, slug)

    assert (refusal["field"], refusal.get("limit"), refusal.get("nearest")) == (field, limit, nearest)
    assert trio.world.ledger() == ledgers[-1]


def test_bad_input__of_who_is_too_new__then_names_when_they_may_and_changes_nothing(trio: Trio) -> None:
    """A member for 30 days, and linked for 90: both hold from the later moment on."""
    who = trio.traveller()
    asked = {"member_id": who.echo, "to_program_id": trio.alfa.id, "amount_in": 100}
    trio.world.quiet()
    before = trio.world.ledger()

    refusal = problem(trio.tiered_to.post("/v1/quotes", asked), 409, "not-eligible")

    assert (refusal["field"], refusal["limit"]) == ("amount_in", 90)
    assert trio.world.ledger() == before
    left_s = datetime.fromisoformat(refusal["nearest"]).timestamp() - hasty_clock() / 1000
    assert 89 < left_s / DAY_S <= 90
    with trio.world.later(left_s - 3_600) as caller:
        refused_still = problem(caller(trio.tiered_to.key).post("/v1/quotes", asked), 409, "not-eligible")
        assert refused_still["nearest"] == refusal["nearest"]
    with trio.world.later(left_s + 1) as caller:
        problem(caller(trio.tiered_to.key).post("/v1/quotes", asked), 409, "insufficient-points")


def test_cap__raced_for_by_many__then_is_promised_once(trio: Trio) -> None:
    """8,000 a year: of ten quotes of 5,000 at once, and of ten swaps of the one that was given, exactly one wins."""
    who = trio.traveller()

    with ThreadPoolExecutor(10) as pool:
        quotes = list(pool.map(lambda _: trio.quote(who, amount_in=5_000), range(10)))
    won = [each.json()["id"] for each in quotes if each.status_code == 201]
    for each in quotes:
        if each.status_code != 201:
            assert problem(each, 409, "over-cap")["nearest"] == 3_000
    with ThreadPoolExecutor(10) as pool:
        swaps = list(pool.map(lambda _: trio.swap(won[0]), range(10)))

    assert len(won) == 1
    assert sorted(each.status_code for each in swaps) == [202] + [409] * 9
    for each in swaps:
        if each.status_code != 202:
            problem(each, 409, "quote-used")
