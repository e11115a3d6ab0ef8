"""Lanes over HTTP: every signing account, what it has under way, and its trouble."""

from bridge.store import lanes
from bridge.store.lanes import TroubleType

from .world import World


def test_lanes__of_a_quiet_service__then_every_signer_and_nothing_under_way(world: World) -> None:
    world.quiet()
    found = world.operator.get("/v1/lanes").json()["items"]
    assert {"exchange-admin", "exchange-operator", "relayer"} <= {one["role"] for one in found}
    assert all(one["unmined"] == 0 and one["oldest"] is None and one["trouble"] is None for one in found)
    assert [one["next_nonce"] for one in found] == [
        world.service.rpc.transaction_count(bytes.fromhex(one["address"][2:])) for one in found
    ]


def test_lanes__of_which_one_is_in_trouble__then_type_text_and_since_when(world: World) -> None:
    world.quiet()
    (relayer,) = [one for one in world.service.read(lanes.all_lanes) if one.role == lanes.RELAYER]
    writer = world.service.writer
    with world.posting_stopped():
        writer.run(lambda connection: lanes.tell(connection, relayer.id, TroubleType.FOREIGN_NONCE, "no reason", 1_000))
        (told,) = [one for one in world.operator.get("/v1/lanes").json()["items"] if one["role"] == "relayer"]
        metrics = world.caller(None).get("/metrics").text
        writer.run(lambda connection: lanes.clear(connection, relayer.id))
    assert told["trouble"] == {"type": "foreign-nonce", "text": "no reason", "since": "1970-01-01T00:00:01.000Z"}
    assert "sarraf_lanes_in_trouble 1.0" in metrics


def test_lanes__then_tell_which_process_posts_on_them(world: World) -> None:
    answer = world.operator.get("/v1/lanes").json()
    told = {one["leader"]["process"] for one in answer["items"]}
    assert told == {world.service.posting.leadership.holder}
