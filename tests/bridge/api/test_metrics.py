"""Metrics for Prometheus."""

import re

from bridge.api.metrics import GAUGES

from .world import World


def _values(text: str) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_metrics__then_counts_requests_by_pattern_and_not_by_id(world: World) -> None:
    name = 'sarraf_http_requests_total{method="GET",route="/v1/members/{member_id}",status="404"}'
    before = _values(world.operator.get("/metrics").text).get(name, 0)
    world.coffee.get("/v1/members/mbr_not_a_label")
    world.coffee.get("/v1/path_not_a_label")

    response = world.operator.get("/metrics")

    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    values = _values(response.text)
    assert values[name] == before + 1
    assert values['sarraf_http_requests_total{method="GET",route="none",status="404"}'] >= 1
    assert "not_a_label" not in response.text and "mbr_" not in response.text
    seconds = 'sarraf_http_seconds_count{method="GET",route="/v1/members/{member_id}"}'
    assert values[seconds] >= 1


def test_metrics__for_methods_that_do_not_exist__then_one_label_for_all(world: World) -> None:
    with world.other() as caller:
        for method in ("BREW", "WHEN"):
            assert caller(None).send(method, "/v1/members").status_code == 405

    labels = set(re.findall('method="([A-Z]+)"', world.operator.get("/metrics").text, re.IGNORECASE))
    assert "other" in labels and not labels & {"BREW", "WHEN"}


def test_metrics__then_have_every_gauge(world: World) -> None:
    with world.posting_stopped():
        world.coffee.earn(world.coffee.member()["id"], 1)
        values = _values(world.operator.get("/metrics").text)

    assert set(GAUGES) <= set(values)
    assert values["sarraf_operations_waiting"] == 1 and values["sarraf_breaker_tripped"] == 1
    assert values["sarraf_chain_final"] > 0
