"""Who may do what: every route of the API under no key, a wrong one, one scope too few, another program's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.api.app import create_app

from .purses import purse
from .world import SCOPES, Caller, Customer, World, problem, unique

OPEN = {("get", "/livez"), ("get", "/readyz"), ("get", "/metrics")}


@dataclass(frozen=True)
class Sample:
    """What the coffee program owns, by which a path or a body names it."""

    ids: dict[str, str]
    quote_id: str
    airline_id: str
    airline_code: str

    def path(self, pattern: str) -> str:
        """The path with the coffee program's ids in it."""
        return pattern.format(**self.ids)


Make = Callable[[Sample], dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """How a route is called; `scope` None: any key will do. `shared`: every program may read it, and why."""

    scope: str | None
    body: Make | None = None
    query: Make | None = None
    shared: str | None = None
    #: what the owner of the sample is answered; None where the owner's call has its own test and would disturb others
    owner: int | None = 200
    #: only a program's key can make the call, not an operator's
    programs_only: bool = False


CALLS: dict[tuple[str, str], Call] = {
    ("post", "/v1/programs"): Call(
        "operator",
        lambda _: {
            "name": "No",
            "symbol": "NO",
            "currency": "no",
            "earning_rate": {"points": 1, "per_minor_units": 1},
        },
        owner=None,
    ),
    ("get", "/v1/programs"): Call("read"),
    ("get", "/v1/programs/{program_id}"): Call("read", shared="partners need to find one another"),
    ("put", "/v1/programs/{program_id}/value"): Call("terms", lambda _: {"money": "USD", "point_value_micro": 10_000}),
    ("put", "/v1/programs/{program_id}/notices"): Call("terms", lambda _: {"notice_days": []}),
    ("put", "/v1/programs/{program_id}/debt-limit"): Call("terms", lambda _: {"points": 0}),
    ("post", "/v1/programs/{program_id}/keys"): Call("operator", lambda _: {"scopes": ["read"]}, owner=None),
    ("delete", "/v1/keys/{key_id}"): Call("operator", owner=None),
    ("get", "/v1/programs/{program_id}/chain"): Call("read"),
    ("post", "/v1/programs/{program_id}/pause"): Call("powers", owner=None),
    ("post", "/v1/programs/{program_id}/unpause"): Call("powers", owner=None),
    ("post", "/v1/programs/{program_id}/limits"): Call(
        "powers", lambda _: {"release": {"capacity": 1, "refill_per_second": 0}}, owner=None
    ),
    ("post", "/v1/members"): Call(
        "members", lambda _: {"member_number": unique("table")}, owner=201, programs_only=True
    ),
    ("get", "/v1/members"): Call("read"),
    ("get", "/v1/members/{member_id}"): Call("read"),
    ("get", "/v1/members/{member_id}/balance"): Call("read"),
    ("get", "/v1/members/{member_id}/lots"): Call("read"),
    ("get", "/v1/members/{member_id}/expirations"): Call("read"),
    ("post", "/v1/members/{member_id}/link-codes"): Call("members", owner=201, programs_only=True),
    ("post", "/v1/members/{member_id}/wallet-challenges"): Call(
        "members", lambda _: {"address": f"0x{'ab' * 20}"}, owner=201, programs_only=True
    ),
    ("post", "/v1/members/{member_id}/wallets"): Call(
        "members", lambda _: {"message": "m", "signature": "0x00"}, owner=None, programs_only=True
    ),
    ("get", "/v1/members/{member_id}/wallets"): Call("read"),
    ("get", "/v1/members/{member_id}/wallets/{wallet_id}"): Call("read"),
    ("delete", "/v1/members/{member_id}/wallets/{wallet_id}"): Call("members", owner=202, programs_only=True),
    ("post", "/v1/members/{member_id}/releases"): Call(
        "redeem", lambda sample: {"wallet_id": sample.ids["wallet_id"], "points": 1}, owner=202, programs_only=True
    ),
    ("post", "/v1/wallets/{wallet_id}/calls"): Call(
        "redeem", lambda _: {"kind": "redeem", "points": 1}, owner=201, programs_only=True
    ),
    ("get", "/v1/wallets/{wallet_id}/calls/{call_id}"): Call("read"),
    ("post", "/v1/wallets/{wallet_id}/calls/{call_id}/signature"): Call(
        "redeem", lambda _: {"signature": "0x00"}, owner=None, programs_only=True
    ),
    ("delete", "/v1/wallets/{wallet_id}/calls/{call_id}"): Call("redeem", programs_only=True),
    ("post", "/v1/links"): Call(
        "members", lambda sample: {"codes": [sample.airline_code, unique("code")]}, owner=None, programs_only=True
    ),
    ("get", "/v1/links/{link_id}"): Call("read"),
    ("delete", "/v1/links/{link_id}/members/{member_id}"): Call("members", owner=204, programs_only=True),
    ("post", "/v1/earns"): Call(
        "earn", lambda sample: {"member_id": sample.ids["member_id"], "points": 1}, owner=202, programs_only=True
    ),
    ("post", "/v1/earns/bulk"): Call(
        "earn",
        lambda sample: {"items": [{"event_id": unique(), "member_id": sample.ids["member_id"], "points": 1}]},
        programs_only=True,
    ),
    ("patch", "/v1/earns/{earn_id}"): Call("earn", lambda _: {"points": 1}, owner=409, programs_only=True),
    ("post", "/v1/earns/{earn_id}/cancel"): Call("earn", owner=409, programs_only=True),
    ("post", "/v1/redemptions"): Call(
        "redeem", lambda sample: {"member_id": sample.ids["member_id"], "points": 1}, owner=202, programs_only=True
    ),
    ("post", "/v1/reversals"): Call(
        "earn", lambda sample: {"operation_id": sample.ids["earn_id"], "points": 1}, owner=202, programs_only=True
    ),
    ("post", "/v1/adjustments"): Call(
        "adjust",
        lambda sample: {"member_id": sample.ids["member_id"], "points": 1, "reason": "table"},
        owner=201,
        programs_only=True,
    ),
    ("get", "/v1/adjustments"): Call("read"),
    ("get", "/v1/adjustments/{adjustment_id}"): Call("read"),
    ("post", "/v1/adjustments/{adjustment_id}/approve"): Call("approve", owner=None, programs_only=True),
    ("post", "/v1/adjustments/{adjustment_id}/reject"): Call(
        "approve", lambda _: {"reason": "table"}, owner=None, programs_only=True
    ),
    ("get", "/v1/accounts"): Call("read"),
    ("post", "/v1/holds"): Call(
        "redeem", lambda sample: {"member_id": sample.ids["member_id"], "points": 1}, owner=201, programs_only=True
    ),
    ("get", "/v1/holds/{hold_id}"): Call("read"),
    ("post", "/v1/holds/{hold_id}/captures"): Call("redeem", lambda _: {"points": 1}, owner=202, programs_only=True),
    ("post", "/v1/holds/{hold_id}/void"): Call("redeem", owner=None, programs_only=True),
    ("get", "/v1/members/{member_id}/holds"): Call("read"),
    ("post", "/v1/terms"): Call(
        "terms",
        lambda sample: {
            "from_program_id": sample.ids["program_id"],
            "to_program_id": sample.airline_id,
            "ratio": {"from_units": 1, "to_units": 1},
            "settlement_price_micro": 1,
        },
        owner=None,
    ),
    ("post", "/v1/terms/check"): Call(
        "terms",
        lambda sample: {
            "from_program_id": sample.ids["program_id"],
            "to_program_id": sample.airline_id,
            "ratio": {"from_units": 3, "to_units": 1},
            "settlement_price_micro": 1,
        },
    ),
    ("get", "/v1/board"): Call(
        "read",
        shared="as public as the terms that it is made of",
        query=lambda sample: {"program_id": sample.ids["program_id"]},
    ),
    ("get", "/v1/routes"): Call(
        "read",
        query=lambda sample: {
            "from_program_id": sample.ids["program_id"],
            "to_program_id": sample.airline_id,
            "amount_in": 30,
            "member_id": sample.ids["member_id"],
        },
    ),
    ("get", "/v1/terms"): Call("read"),
    ("get", "/v1/terms/{terms_id}"): Call("read", shared="terms are public, like the chain that keeps them"),
    ("post", "/v1/terms/{terms_id}/consent"): Call("terms", owner=None),
    ("post", "/v1/terms/{terms_id}/suspend"): Call("terms", owner=None),
    ("post", "/v1/quotes"): Call(
        "swap",
        lambda sample: {
            "member_id": sample.ids["member_id"],
            "to_program_id": sample.airline_id,
            "amount_in": 30,
        },
        owner=201,
        programs_only=True,
    ),
    ("get", "/v1/quotes/{quote_id}"): Call("read"),
    ("post", "/v1/swaps"): Call("swap", lambda sample: {"quote_id": sample.quote_id}, owner=202, programs_only=True),
    ("get", "/v1/swaps/{operation_id}"): Call("read"),
    ("get", "/v1/operations"): Call("read"),
    ("get", "/v1/operations/{operation_id}"): Call("read"),
    ("get", "/v1/audit"): Call("read"),
    ("get", "/v1/events"): Call("read", owner=None),
    ("get", "/v1/status"): Call(None),
    ("post", "/v1/audit"): Call("operator", owner=None),
    ("get", "/v1/breaker"): Call("operator", owner=None),
    ("put", "/v1/breaker"): Call("operator", lambda _: {"reason": "table"}, owner=None),
    ("delete", "/v1/breaker"): Call("operator", query=lambda _: {"reason": "table"}, owner=None),
    ("get", "/v1/lanes"): Call("operator", owner=None),
}
ROUTES = sorted(CALLS)


def _named(route: tuple[str, str]) -> str:
    return f"{route[0].upper()} {route[1]}"


def _ask(caller: Caller, route: tuple[str, str], sample: Sample) -> Any:
    method, pattern = route
    body, query = CALLS[route].body, CALLS[route].query
    return caller.send(
        method.upper(),
        sample.path(pattern),
        None if body is None else body(sample),
        params=None if query is None else query(sample),
        key=unique("table") if method in ("post", "patch") else None,
    )


def _sample_of(world: World, customer: Customer) -> Sample:
    asked = {"member_id": customer.coffee, "to_program_id": world.airline.id, "amount_in": 30}
    used, quote = (world.coffee.post("/v1/quotes", asked).json()["id"] for _ in range(2))
    swap = world.coffee.post("/v1/swaps", {"quote_id": used}, key=unique()).json()["id"]
    wallet = purse(world.coffee, customer.coffee, 10)
    asked = {"member_id": customer.coffee, "points": 1, "reason": "a sample"}
    adjustment = world.coffee.post("/v1/adjustments", asked, key=unique()).json()["id"]
    asked = {"member_id": customer.coffee, "points": 2}
    hold = world.coffee.post("/v1/holds", asked, key=unique()).json()["id"]
    ids = {
        "program_id": world.coffee.id,
        "adjustment_id": adjustment,
        "member_id": customer.coffee,
        "link_id": customer.link_id,
        "quote_id": quote,
        "operation_id": swap,
        "earn_id": world.coffee.earn(customer.coffee, 3)["id"],
        "terms_id": world.terms["id"],
        "wallet_id": wallet.wallet_id,
        "hold_id": hold,
        "call_id": wallet.call("redeem", 1)["id"],
        "key_id": f"key_{world.coffee.key.split('_')[1]}",
    }
    return Sample(ids, quote, world.airline.id, world.airline.code(customer.airline))


@pytest.fixture(scope="module")
def sample(world: World) -> Sample:
    """What others are refused."""
    return _sample_of(world, world.customer())


@pytest.fixture(scope="module")
def owned(world: World) -> Sample:
    """What its owner uses up."""
    return _sample_of(world, world.customer())


@pytest.fixture(scope="module")
def lacking(world: World) -> Callable[[str], Caller]:
    """A caller of the coffee program that has every scope but one."""
    made: dict[str, Caller] = {}

    def caller(scope: str) -> Caller:
        if scope not in made:
            others = tuple(one for one in SCOPES if one != scope)
            made[scope] = world.caller(world.key(world.coffee.id, others)["key"])
        return made[scope]

    return caller


@pytest.fixture(scope="module")
def revoked(world: World) -> Caller:
    made = world.key(world.books.id, ("read", "members"))
    caller = world.caller(made["key"])
    assert caller.get("/v1/status").status_code == 200
    assert world.operator.delete(f"/v1/keys/{made['id']}").status_code == 204
    return caller


def test_table__then_has_every_route_of_the_api() -> None:
    document = create_app(None).openapi()
    routes = {(method, path) for path, operations in document["paths"].items() for method in operations}

    assert routes == set(CALLS) | OPEN, "add the new route to the table"
    keyed = {
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("security")
    }
    assert keyed == set(CALLS)


@pytest.mark.parametrize("route", ROUTES, ids=_named)
def test_call__without_a_live_key__then_401(
    world: World, sample: Sample, revoked: Caller, route: tuple[str, str]
) -> None:
    mark, key_id, secret = world.coffee.key.split("_")
    wrong = [
        None,
        "nonsense",
        f"{mark}_{key_id}_{secret[:-1]}{'0' if secret[-1] != '0' else '1'}",
        f"{mark}_{key_id}_",
        f"other_{key_id}_{secret}",
        f"{mark}_{'0' * len(key_id)}_{secret}",
        revoked.key,
    ]
    answers = [_ask(world.caller(key), route, sample) for key in wrong]

    for answer in answers:
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert len({answer.json()["detail"] for answer in answers[1:]}) == 1, "it does not tell what is wrong with a key"


@pytest.mark.parametrize("route", [one for one in ROUTES if CALLS[one].scope], ids=_named)
def test_call__without_the_scope__then_403_that_names_it(
    world: World, sample: Sample, lacking: Callable[[str], Caller], route: tuple[str, str]
) -> None:
    scope = CALLS[route].scope
    assert scope is not None
    caller = world.coffee if scope == "operator" else lacking(scope)

    assert f"'{scope}'" in problem(_ask(caller, route, sample), 403, "forbidden")["detail"]


@pytest.mark.parametrize("route", [one for one in ROUTES if CALLS[one].programs_only], ids=_named)
def test_call__that_only_a_program_makes__then_an_operator_is_refused(
    world: World, sample: Sample, route: tuple[str, str]
) -> None:
    assert "program" in problem(_ask(world.operator, route, sample), 403, "forbidden")["detail"]


#: Routes on which something of another program can be named, in the path or in the body.
NAMING = [one for one in ROUTES if "{" in one[1] or CALLS[one].body or CALLS[one].query]
#: What such a call may still do for its own program, since it names nobody else's.
_OWN_ONLY = {("post", "/v1/members")}


@pytest.mark.parametrize("route", [one for one in NAMING if one not in _OWN_ONLY], ids=_named)
def test_call__about_another_programs_things__then_is_refused_and_changes_nothing(
    world: World, sample: Sample, route: tuple[str, str]
) -> None:
    world.quiet()
    before = world.ledger()

    answer = _ask(world.books, route, sample)

    if CALLS[route].shared:
        assert answer.status_code == 200
    elif route == ("post", "/v1/earns/bulk"):
        (result,) = answer.json()["results"]
        assert result["status"] == "refused" and result["problem"]["status"] == 404
    elif route == ("post", "/v1/links"):
        problem(answer, 422, "link-code-invalid")
    else:
        assert answer.status_code in (403, 404)
    assert world.ledger() == before


@pytest.mark.parametrize("route", [one for one in ROUTES if CALLS[one].owner], ids=_named)
def test_call__by_the_owner__then_is_answered(world: World, owned: Sample, route: tuple[str, str]) -> None:
    """So that the refusals above are for the caller's sake and not for the request's."""
    if route[0] == "delete":  # the calls after it still need what it takes away
        owned = _sample_of(world, world.customer())

    answer = _ask(world.coffee, route, owned)

    assert answer.status_code == CALLS[route].owner, answer.text


def test_lists__then_hold_what_is_the_callers(world: World) -> None:
    theirs = world.coffee.member(points=3)
    mine = world.books.member(points=4)

    members = world.books.get("/v1/members", limit=200).json()["items"]
    operations = world.books.get("/v1/operations", limit=200).json()["items"]

    assert {one["program_id"] for one in members} == {world.books.id}
    assert mine["id"] in {one["id"] for one in members}
    assert {one["program_id"] for one in operations} == {world.books.id}
    problem(world.books.get("/v1/operations", member_id=theirs["id"]), 404, "unknown-member")
    assert world.books.get("/v1/members", member_number=theirs["member_number"]).json()["items"] == []


def test_operator__then_reads_every_program(world: World) -> None:
    member = world.books.member(points=1)

    assert world.operator.get(f"/v1/members/{member['id']}/balance").json()["available"] == 1
    (operation,) = world.operator.get("/v1/operations", member_id=member["id"]).json()["items"]
    assert operation["program_id"] == world.books.id


def test_ids__of_one_program_in_another_ones_path__then_do_not_mix(world: World) -> None:
    customer, mine = world.customer(), world.books.member()
    path = f"/v1/links/{customer.link_id}/members"

    problem(world.books.delete(f"{path}/{mine['id']}"), 404, "unknown-link")
    problem(world.coffee.delete(f"{path}/{customer.airline}"), 404, "unknown-link")
    assert len(world.coffee.get(f"/v1/links/{customer.link_id}").json()["members"]) == 2
