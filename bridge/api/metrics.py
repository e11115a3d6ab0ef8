"""Metrics for Prometheus: requests as they pass, the state of ledger and chain when it is asked for."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Methods that have a label of their own; callers can make up any number of others.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

#: Names and help of the gauges that are read from the service at each scrape.
GAUGES = {
    "sarraf_operations_waiting": "accepted operations that wait for a batch",
    "sarraf_batches_in_flight": "batches frozen or sent and in no canonical block",
    "sarraf_batches_throttled": "frozen batches that wait for room under a limit of the chain",
    "sarraf_writer_queue": "requests that wait for the ledger's writer",
    "sarraf_chain_head": "the newest block that the node told of",
    "sarraf_chain_indexed": "the newest block taken into the ledger",
    "sarraf_chain_final": "the newest final block",
    "sarraf_breaker_tripped": "1 while posting is stopped",
    "sarraf_recovering": "1 while a restored ledger takes in what it lacks",
    "sarraf_lanes_in_trouble": "signing accounts whose transactions something keeps from being mined",
    "sarraf_accounts_frozen": "accounts barred from spending because ledger and chain disagree",
    "sarraf_leases_held": "leases that this process holds: chain, keeper, and one for each lane",
    "sarraf_leases_unled": "leases that no process holds",
    "sarraf_writes_fenced": "writes of this process that were refused since another had taken its lease",
    "sarraf_keeper_behind_s": "for how long what is due by time (points that come, holds, expiry, notices) has waited",
    "sarraf_reconciled_block": "the final block at which ledger and chain were last compared",
    "sarraf_reconciled_differences": "how many differences that comparison found",
}


class Metrics:
    """One registry for one app."""

    def __init__(self, gauges: Callable[[], dict[str, float]]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "sarraf_http_requests",
            "requests answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "sarraf_http_seconds",
            "seconds to answer",
            ["method", "route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._registry.register(_Gauges(gauges))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered; `route` is the pattern, so that ids do not become labels."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self, gauges: Callable[[], dict[str, float]]) -> None:
        self._gauges = gauges

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(name, GAUGES[name]) for name in GAUGES]

    def collect(self) -> Iterable[Metric]:
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(name, GAUGES[name], value=value)
