"""The soak from the command line: so many kills under load, then the count."""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bridge.chain.rpc import Rpc
from tests.end_to_end.running import ServiceProcess, fresh_node
from tests.faults.answers import Kind
from tests.faults.faults import SEND, Faults
from tests.faults.proxy import FaultProxy
from tests.soak.customers import Customer
from tests.soak.kills import Killer
from tests.soak.record import Record
from tests.soak.rest import rest
from tests.soak.town import open_town
from tests.soak.verdict import Verdict, judge

#: Kills between two lines of progress.
TOLD_EVERY = 5
#: With `--proxy`, one request to the node in so many meets each of these.
ONE_IN = 150
WIRE = (
    Kind.LOSE_REQUEST,
    Kind.LOSE_ANSWER,
    Kind.DOUBLE_REQUEST,
    Kind.EMPTY_LOGS,
    Kind.HIDE_RECEIPT,
    Kind.HIDE_TRANSACTION,
    Kind.HTTP_STATUS,
    Kind.HTML_PAGE,
    Kind.TRUNCATED,
    Kind.WRONG_ID,
)


def main() -> int:
    """Run what the arguments say; 1 when the count does not come out."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many kills")
    parser.add_argument("--seed", type=int, default=1, help="what the kills and the requests are drawn from")
    parser.add_argument("--proxy", action="store_true", help="a node behind a network that loses and spoils answers")
    chosen = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="sarraf-soak-"))
    again = f"make soak KILLS={chosen.kills} SEED={chosen.seed}" + (" PROXY=1" if chosen.proxy else "")
    try:
        verdict = _soak(data, chosen.kills, chosen.seed, proxy=chosen.proxy)
    except BaseException:
        _say(f"it was broken off; ledger and log are kept in {data}; again: {again}")
        raise
    if verdict.violations:
        _say(f"FAILED. Ledger and log are kept in {data}. The same kills and requests again: {again}")
        return 1
    shutil.rmtree(data)
    return 0


def _soak(data: Path, kills: int, seed: int, *, proxy: bool) -> Verdict:
    began_s = time.monotonic()
    with _ground(data, seed, proxy=proxy) as (service, faults, node):
        killer, record = Killer(service, seed, embedded=not proxy), Record()
        killer.bring_up()
        town = open_town(service)
        customers = [Customer(number, town, record, seed) for number in town.members]
        for one in customers:
            one.begin()
        _disturb(faults)
        for number in range(1, kills + 1):
            killer.strike()
            if number % TOLD_EVERY == 0 or number == kills:
                _say(f"{number:>4} of {kills} kills, {time.monotonic() - began_s:.0f} s: {_counts(record)}")
        for one in customers:
            one.end()
        if faults is not None:
            faults.clear()
        rest(town)
        verdict = judge(town, record, node or _embedded_node(service))
    _say(f"kills: {', '.join(f'{count} {kind}' for kind, count in sorted(killer.kills.items()))}")
    if faults is not None:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(faults.injected.items()))
        _say(f"faults of the network: {told}; {killer.failed_starts} starts failed and were repeated")
    _say(
        f"requests: {_counts(record)}; sent again: {dict(sorted(record.repeated.items()))}; swaps failed:"
        f" {verdict.failed}"
    )
    _say(f"verdict: {verdict.told()}")
    return verdict


@contextmanager
def _ground(data: Path, seed: int, *, proxy: bool) -> Iterator[tuple[ServiceProcess, Faults | None, Rpc | None]]:
    """The service that will be killed: on its own chain, or on a node behind the fault proxy."""
    if not proxy:
        service = ServiceProcess(data)
        with _stopped(service):
            yield service, None, None
        return
    faults = Faults(seed)
    with fresh_node() as node, FaultProxy(node.url, faults) as between:
        service = ServiceProcess(data, SARRAF_RPC_URL=between.url, SARRAF_FINALITY="depth:0", SARRAF_DELAY_S="0")
        with _stopped(service):
            yield service, faults, node


@contextmanager
def _stopped(service: ServiceProcess) -> Iterator[None]:
    """Nothing of the service is left afterwards."""
    try:
        yield
    finally:
        try:
            service.stop()
        except subprocess.TimeoutExpired:
            service.kill()


def _disturb(faults: Faults | None) -> None:
    if faults is None:
        return
    for kind in WIRE:
        faults.plan(kind, times=None, chance=(1, ONE_IN))
    faults.plan(Kind.LOSE_ANSWER, SEND, times=None, chance=(1, 10))


def _embedded_node(service: ServiceProcess) -> Rpc:
    """The chain itself, asked past the service."""
    with service.client() as operator:
        told: Mapping[str, object] = operator.status()["chain"]
        return Rpc(str(told["url"]))


def _counts(record: Record) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(record.counts().items()))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
