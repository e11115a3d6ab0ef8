"""Kill -9 of the service, of the chain, and of both, in the middle of a replay of real purchases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from bridge.client import ClientError
from tests.end_to_end.running import ServiceProcess, until
from tests.end_to_end.shop import Shop, open_shop, replay, require_exact

#: How long each call behind the first quarter is held back, so that however fast the machine is, the kill comes first.
PACE_S = 2.0


def begin_replay(service: ServiceProcess, shop: Shop, pool: ThreadPoolExecutor, killed: threading.Event) -> None:
    """Start sending, and return when a quarter is accepted and the rest is under way."""
    quarter = len(shop.purchases) // 4

    def send() -> None:
        # The service may be killed under it, as the test wants.
        with service.client(shop.key) as client, suppress(ClientError):
            replay(client, shop, lambda start: start > quarter and killed.wait(PACE_S))

    pool.submit(send)

    def under_way() -> bool:
        with service.client() as operator:
            return operator.status()["totals"]["operations"] > quarter

    until(under_way, "a quarter of the purchases is accepted")


def test_service__when_killed_in_the_middle_of_a_replay__then_nothing_is_lost_and_nothing_counts_twice(
    service: ServiceProcess,
) -> None:
    shop = open_shop(service)
    with ThreadPoolExecutor(1) as pool:
        killed = threading.Event()
        begin_replay(service, shop, pool, killed)
        service.kill()
        killed.set()
    service.start()
    with service.client(shop.key) as client:
        counts = replay(client, shop)
    assert counts["replayed"] > 0, "the kill came after something was accepted"
    assert counts["accepted"] > 0, "the kill came before everything was accepted"
    assert counts["refused"] == 0
    service.wait_until_quiet()
    require_exact(service, shop)


def test_service__when_killed_again_and_again_while_batches_are_under_way__then_every_batch_is_posted_once(
    service: ServiceProcess,
) -> None:
    shop = open_shop(service)
    with service.client(shop.key) as client:
        replay(client, shop)
    for _ in range(2):
        service.kill()
        service.start()
    service.wait_until_quiet()
    require_exact(service, shop)


def test_chain__when_killed_in_the_middle_of_a_replay__then_the_service_brings_it_back_and_goes_on(
    service: ServiceProcess,
) -> None:
    shop = open_shop(service)
    with ThreadPoolExecutor(1) as pool:
        killed = threading.Event()
        begin_replay(service, shop, pool, killed)
        before = service.kill_chain()
        killed.set()
    until(lambda: service.chain_pid() != before, "another anvil runs")
    with service.client(shop.key) as client:
        replay(client, shop)
    service.wait_until_quiet()
    require_exact(service, shop)


def test_service_and_chain__when_both_are_killed__then_the_chain_is_rebuilt_block_for_block(
    service: ServiceProcess,
) -> None:
    shop = open_shop(service, 120)
    with service.client(shop.key) as client:
        replay(client, shop)
    service.wait_until_quiet()
    with service.client() as operator:
        before = operator.audit()["block"]
    service.kill_chain()
    service.kill()
    service.start()
    with service.client() as operator:
        assert operator.audit()["block"] == before
    require_exact(service, shop)


@pytest.mark.parametrize("wiped", ["snapshot", "everything"])
def test_chain__when_its_files_are_gone__then_it_is_rebuilt_from_the_ledgers_journal(
    service: ServiceProcess, wiped: str
) -> None:
    shop = open_shop(service, 60)
    with service.client(shop.key) as client:
        replay(client, shop)
    service.wait_until_quiet()
    with service.client() as operator:
        before = operator.audit()["block"]
    assert service.stop() == 0
    for file in (service.data / "chain").rglob("*"):
        if file.is_file() and (wiped == "everything" or "snapshot" in file.name):
            file.unlink()
    service.start()
    with service.client() as operator:
        assert operator.audit()["block"] == before
    require_exact(service, shop)
