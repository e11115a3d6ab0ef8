"""One running service for all tests of the API; each test takes members that no other test knows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from bridge.api.app import create_app
from bridge.bootstrap import OPERATOR_KEY_FILE, Running
from bridge.posting import service as posting
from bridge.settings import Settings
from exchange.points import POINTS_MAX

from .trio import Trio, make_trio
from .world import CUSTOMER_POINTS, CUSTOMERS, Caller, Customer, Description, World, hasty_clock, listening

#: As much as one amount can be, and all of it again a second later.
NO_LIMIT = {"issuance": {"capacity": POINTS_MAX, "refill_per_second": POINTS_MAX}}


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # By itself the reconciler works once at the most: tests that make the books wrong must not be found out.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posting, "RECONCILE_REST_S", 3_600.0)
        yield from _world(tmp_path_factory)


def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data = tmp_path_factory.mktemp("service")
    settings = Settings(data=data, block_interval_ms=50, batch_linger_ms=20, log_level="warning")
    with Running(settings, clock=hasty_clock) as service:
        app = create_app(service)
        with listening(app) as url, httpx2.Client(base_url=url, timeout=60.0, trust_env=False) as http:
            operator = Caller(http, Description(app), (data / OPERATOR_KEY_FILE).read_text().strip())
            world = World(service, app, url, http, operator)
            _populate(world)
            yield world


@pytest.fixture(scope="package")
def trio(world: World) -> Trio:
    """Three more programs, with rules between them."""
    return make_trio(world)


def _populate(world: World) -> None:
    world.until(lambda: world.operator.get("/v1/status").json()["chain"]["exchange"] is not None)
    ids = [
        world.create("Coffee", "BEAN", 30),
        world.create("Airline", "MILE"),
        world.create("Books", "PAGE", limits=NO_LIMIT),
    ]
    world.coffee, world.airline, world.books = (world.program(program_id) for program_id in ids)
    with ThreadPoolExecutor(4) as pool:
        world.customers = list(pool.map(lambda _: _customer(world), range(CUSTOMERS)))
    items = [
        {"event_id": f"start-{one.coffee}", "member_id": one.coffee, "points": CUSTOMER_POINTS}
        for one in world.customers
    ]
    assert world.coffee.post("/v1/earns/bulk", {"items": items}).json()["counts"]["accepted"] == CUSTOMERS
    world.terms = world.agree(world.coffee, world.airline)
    world.quiet()
    assert world.service.reconciler.reconcile().differences == 0


def _customer(world: World) -> Customer:
    here, there = world.coffee.member()["id"], world.airline.member()["id"]
    joined = world.coffee.post("/v1/links", {"codes": [world.coffee.code(here), world.airline.code(there)]})
    return Customer(here, there, joined.json()["id"])
