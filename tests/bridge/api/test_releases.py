"""Releases: from the member's account to the bound wallet, whole or not at all."""

from bridge.store.limits import DEFAULTS, RELEASE

from .purses import bind, purse
from .world import World, problem, unique, until


def test_release__then_the_points_stand_in_the_wallet_and_keep_their_expiry(world: World) -> None:
    member = world.coffee.member(points=100)
    own = purse(world.coffee, member["id"])
    world.quiet()
    (lot,) = world.coffee.get(f"/v1/members/{member['id']}/lots").json()["items"]

    operation = world.coffee.get(f"/v1/operations/{own.release(60)}").json()

    assert (operation["kind"], operation["points"], operation["tag"] is None) == ("release", 60, False)
    assert own.show()["points"] == 60
    assert world.coffee.balance(member["id"])["posted"] == 40
    back = own.call("deposit", 60)
    assert own.hand_in(back).status_code == 202
    own.done(back)
    lots = world.coffee.get(f"/v1/members/{member['id']}/lots").json()["items"]
    assert {(one["earned_at"], one["expires_at"]) for one in lots} == {(lot["earned_at"], lot["expires_at"])}
    assert sum(one["remaining"] for one in lots) == world.coffee.balance(member["id"])["available"] == 100


def test_release__of_points_that_are_still_on_their_way__then_follows_them(world: World) -> None:
    member = world.coffee.member()
    own = purse(world.coffee, member["id"])
    with world.posting_stopped():
        world.coffee.earn(member["id"], 30)
        body = {"wallet_id": own.wallet_id, "points": 30}
        response = world.coffee.post(f"/v1/members/{member['id']}/releases", body, key=unique())
        assert response.status_code == 202
        assert world.coffee.balance(member["id"])["available"] == 0

    world.final(response.json()["id"])
    assert own.show()["points"] == 30


def test_release__the_same_again__then_is_replayed_and_another_under_its_key_refused(world: World) -> None:
    member = world.coffee.member(points=10)
    own = purse(world.coffee, member["id"])
    path, key = f"/v1/members/{member['id']}/releases", unique()
    body = {"wallet_id": own.wallet_id, "points": 4}

    first, second = (world.coffee.post(path, body, key=key) for _ in range(2))

    assert first.json()["id"] == second.json()["id"] and second.headers["idempotency-replayed"] == "true"
    problem(world.coffee.post(path, body | {"points": 5}, key=key), 422, "idempotency-key-reused")
    problem(world.coffee.post(path, body), 400, "idempotency-key-missing")


def test_release__before_the_binding_is_final__then_409(world: World) -> None:
    member = world.coffee.member(points=10)
    with world.posting_stopped():
        own = bind(world.coffee, member["id"])
        body = {"wallet_id": own.wallet_id, "points": 1}
        response = world.coffee.post(f"/v1/members/{member['id']}/releases", body, key=unique())
        assert problem(response, 409, "binding-not-effective")["field"] == "wallet_id"
        assert own.show()["state"] == "binding"


def test_release__to_a_wallet_whose_binding_ends__then_409(world: World) -> None:
    member = world.coffee.member(points=10)
    own = purse(world.coffee, member["id"])
    world.coffee.delete(f"/v1/members/{member['id']}/wallets/{own.wallet_id}")

    body = {"wallet_id": own.wallet_id, "points": 1}
    response = world.coffee.post(f"/v1/members/{member['id']}/releases", body, key=unique())

    problem(response, 409, "wallet-not-bound")
    until(lambda: own.show()["state"] == "unbound")


def test_release__of_more_than_the_account_has__then_409_with_what_there_is(world: World) -> None:
    member = world.coffee.member(points=10)
    own = purse(world.coffee, member["id"])

    body = {"wallet_id": own.wallet_id, "points": 11}
    response = world.coffee.post(f"/v1/members/{member['id']}/releases", body, key=unique())

    assert problem(response, 409, "insufficient-points")["nearest"] == 10


def test_release__of_more_than_any_batch_can_carry__then_422_with_the_limit(world: World) -> None:
    member = world.coffee.member()
    own = purse(world.coffee, member["id"])
    most = DEFAULTS[RELEASE].capacity

    body = {"wallet_id": own.wallet_id, "points": most + 1}
    response = world.coffee.post(f"/v1/members/{member['id']}/releases", body, key=unique())

    refusal = problem(response, 422, "over-limit")
    assert (refusal["field"], refusal["limit"]) == ("points", most)


def test_release__to_a_wallet_of_another_member__then_404(world: World) -> None:
    other = purse(world.coffee, world.coffee.member()["id"])
    member = world.coffee.member(points=10)

    body = {"wallet_id": other.wallet_id, "points": 1}
    response = world.coffee.post(f"/v1/members/{member['id']}/releases", body, key=unique())

    problem(response, 404, "unknown-wallet")
