"""`make takeover`: kill the leader of several services again and again under load, then count."""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median

from bridge.chain.rpc import Rpc
from bridge.store.leases import LIFE_MS
from tests.end_to_end.running import fresh_node, until
from tests.postgres import Server
from tests.soak.customers import Customer
from tests.soak.record import Record
from tests.soak.rest import rest
from tests.soak.town import Town, open_town
from tests.soak.verdict import Verdict, judge
from tests.takeover.crew import Crew
from tests.takeover.ledger import LedgerView, Takeover

SERVICES = 3
#: How long the services may work between two kills.
WORK_S_MAX = 3.0
#: How long a takeover may take before the run has failed: far longer than it ever should.
TAKEOVER_S_MAX = 60.0


def main() -> int:
    """Run what the arguments say; 1 when the count does not come out."""
    parser = argparse.ArgumentParser(prog="make takeover", description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="how often the leader is killed")
    parser.add_argument("--seed", type=int, default=1, help="what the moments and the requests are drawn from")
    chosen = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="sarraf-takeover-"))
    server = Server.fresh().start()
    try:
        report = takeover(data, server.address.make(), chosen.kills, chosen.seed, say=_say)
    except BaseException:
        _say(f"it was broken off; the logs are kept in {data}")
        raise
    finally:
        server.remove()
    _say(report.told())
    if report.verdict.violations:
        _say(f"FAILED. The logs are kept in {data}")
        return 1
    shutil.rmtree(data)
    return 0


class Report:
    """What came of it."""

    def __init__(self, takeovers: list[Takeover], verdict: Verdict, record: Record) -> None:
        self.takeovers = takeovers
        self.verdict = verdict
        self.record = record

    def told(self) -> str:
        """In a few lines."""
        times = sorted(one.next_batch_ms for one in self.takeovers)
        waited = sorted(one.operations_waited for one in self.takeovers)
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self.record.counts().items()))
        lost = sum("was accepted, and is" in one for one in self.verdict.violations)
        wrong = len(self.verdict.violations) - lost
        return (
            f"{len(times)} kills of the leader; a lease lives {LIFE_MS / 1000:.1f} s\n"
            f"until another signed the next batch: median {median(times) / 1000:.1f} s,"
            f" worst {times[-1] / 1000:.1f} s\n"
            f"operations that waited for it: median {median(waited):.0f}, most {waited[-1]};"
            f" {lost or 'none'} lost, {wrong or 'none'} doubled or wrong\n"
            f"requests: {counts}; sent again: {dict(sorted(self.record.repeated.items()))}\n"
            f"verdict: {self.verdict.told()}"
        )


def takeover(data: Path, database_url: str, kills: int, seed: int, *, say: Callable[[str], None]) -> Report:
    """Kill the leader so often under load, and judge all that was promised."""
    dice, record, found = Random(f"{seed} takeovers"), Record(), []
    ledger = LedgerView(database_url)
    with fresh_node() as node:
        crew = Crew(data, database_url, [node.url] * SERVICES)
        try:
            crew.start()
            town = open_town(crew)
            customers = [Customer(number, town, record, seed) for number in town.members]
            for one in customers:
                one.begin()
            for number in range(1, kills + 1):
                # Not a wait for anything: the moment of the kill is what is drawn.
                threading.Event().wait(dice.random() * WORK_S_MAX)
                found.append(strike(crew, ledger))
                told = found[-1]
                say(
                    f"{number:>3}: next batch after {told.next_batch_ms} ms, {told.operations_waited} operations waited"
                )
            for one in customers:
                one.end()
            return Report(found, _verdict(town, record, node), record)
        finally:
            crew.stop()


def strike(crew: Crew, ledger: LedgerView) -> Takeover:
    """Kill -9 the process that leads the most lanes, see another go on, and start the killed one again."""
    crew.wait_until_led()
    name = ledger.busiest()
    lanes, leader = ledger.lanes_of(name), crew.by_name(name)
    assert leader is not None, "the leader is one of those that run"
    killed_ms = time.time_ns() // 1_000_000
    leader.kill()
    signed_ms = until(lambda: ledger.next_batch(lanes, killed_ms), "another process signs", TAKEOVER_S_MAX)
    measured = ledger.takeover(killed_ms, signed_ms)
    leader.start()
    return measured


def _verdict(town: Town, record: Record, node: Rpc) -> Verdict:
    rest(town)
    return judge(town, record, node)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
