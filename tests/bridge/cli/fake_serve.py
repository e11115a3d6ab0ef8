"""Run by tests in place of `sarraf serve`: a fake service as a process of its own.

Arguments: the data directory, and how it behaves: `well`, `dies`, `silent`, `stubborn` or `wrong` (its audit
finds a difference).
"""

import fcntl
import json
import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.bridge.fake_service import OPERATOR_KEY, FakeService, listening

LIFE_S_MAX = 120.0


def serve(data: Path, behaviour: str) -> None:
    """Until SIGTERM, and never longer than LIFE_S_MAX."""
    sys.stdout.write("the fake service begins\n")
    sys.stdout.flush()
    if behaviour == "dies":
        sys.stdout.write("it has no ledger\n")
        sys.exit(3)
    ended = threading.Event()
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
    fake = FakeService()
    if behaviour == "wrong":
        fake.chain_error = 3
    with listening(fake) as url, (data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if behaviour != "silent":
            (data / "operator.key").write_text(OPERATOR_KEY + "\n")
            (data / "service.json").write_text(json.dumps({"url": url, "pid": os.getpid()}))
        ended.wait(LIFE_S_MAX)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
