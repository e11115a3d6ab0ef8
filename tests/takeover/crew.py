"""Several services on one ledger and one node, each with a data directory of its own."""

import itertools
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from bridge.answers import Status
from bridge.client import Client, ClientError
from tests.end_to_end.running import READY_S_MAX, ServiceProcess, until

OPERATOR_KEY = "operator.key"
#: How long it may take until somebody leads everything.
LED_S_MAX = 60.0


class Crew:
    """The services, each with its own way to the node; asked like one of them, each that runs answers in its turn."""

    def __init__(self, directory: Path, database_url: str, rpc_urls: Sequence[str], **environment: str) -> None:
        self.services = [
            ServiceProcess(
                directory / f"process-{number}",
                SARRAF_DATABASE_URL=database_url,
                SARRAF_RPC_URL=rpc_url,
                SARRAF_FINALITY="depth:0",
                SARRAF_DELAY_S="0",
                **environment,
            )
            for number, rpc_url in enumerate(rpc_urls)
        ]
        self._turns = itertools.cycle(range(len(rpc_urls)))

    def start(self) -> None:
        """Start them all; returns when each is ready. The operator's key is the first one's, who made it."""
        first, *others = self.services
        first.launch()
        until((first.data / OPERATOR_KEY).exists, f"there is a key; the log ends:\n{first.log_end()}", READY_S_MAX)
        for one in others:
            one.data.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(first.data / OPERATOR_KEY, one.data / OPERATOR_KEY)
            one.launch()
        for one in self.services:
            one.wait_until_ready()

    def stop(self) -> None:
        """Nothing of them is left afterwards."""
        for one in self.services:
            one.end()

    # -- asked like one service ---------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where one of those that run listens, the next one each time."""
        for number in itertools.islice(self._turns, len(self.services)):
            if self.services[number].is_running:
                return self.services[number].url
        raise OSError("none of the services runs")

    def client(self, key: str | None = None) -> Client:
        """A client of one of those that run."""
        found = next(one for one in self.services if one.is_running)
        return found.client(key)

    def log_end(self) -> str:
        """The last lines that each of them wrote."""
        return "\n".join(f"-- {one.data.name}\n{one.log_end()}" for one in self.services)

    # -- who leads ----------------------------------------------------------------------------

    def status(self) -> Status:
        """As one of those that run tells it."""
        with self.client() as operator:
            return operator.status()

    def leader(self, what: str = "chain") -> ServiceProcess | None:
        """Who leads the chain, or what else is named; None while it is none of those that run."""
        try:
            leaders = self.status()["leaders"]
        except (ClientError, OSError, ValueError):
            return None
        found = next((one["process"] for one in leaders if one[what]), None)  # type: ignore[literal-required]
        return None if found is None else self.by_name(found)

    def by_name(self, process: str) -> ServiceProcess | None:
        """The one that calls itself so in the ledger: its name holds its process id."""
        pid = int(process.rsplit("-", 2)[1])
        return next((one for one in self.services if one.is_running and one.pid == pid), None)

    def wait_until_led(self) -> None:
        """Returns when all is led, and by services that run."""

        def led() -> bool:
            try:
                leaders = self.status()["leaders"]
            except (ClientError, OSError, ValueError):
                return False
            running = [one for one in self.services if one.is_running]
            if any(self.by_name(one["process"]) is None for one in leaders):
                return False
            return bool(leaders) and all(metric(one, "sarraf_leases_unled") == 0 for one in running)

        until(led, f"everything is led; the logs end:\n{self.log_end()}", LED_S_MAX)


def metric(of: ServiceProcess, name: str) -> int | None:
    """A number of a service's metrics; None while it does not answer."""
    try:
        text = httpx2.get(f"{of.url}/metrics", timeout=10).text
    except (OSError, ValueError, httpx2.TransportError):
        return None
    return next((int(float(line.split()[1])) for line in text.splitlines() if line.startswith(f"{name} ")), None)


@contextmanager
def frozen(service: ServiceProcess) -> Iterator[None]:
    """SIGSTOP: the process stands still and knows nothing of it, and goes on afterwards."""
    os.kill(service.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.pid, signal.SIGCONT)
