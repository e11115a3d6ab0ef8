"""Which service runs on a data directory: what it wrote into its `service.json`, and the lock that it holds."""

import fcntl
import json
from dataclasses import dataclass
from pathlib import Path

SERVICE_FILE = "service.json"
OPERATOR_KEY_FILE = "operator.key"
LOCK_FILE = "lock"


@dataclass(frozen=True, slots=True)
class Running:
    """A service's own words about itself. It may have ended since without a word: `is_served` knows."""

    url: str
    pid: int


def read_running(data: Path) -> Running | None:
    """The record of the last service on this data, or None."""
    try:
        record = json.loads((data / SERVICE_FILE).read_text(encoding="utf-8"))
        return Running(str(record["url"]), int(record["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_served(data: Path) -> bool:
    """Whether a process serves this data now: its lock ends with it, however it ends."""
    try:
        with (data / LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_operator_key(data: Path) -> str | None:
    """The key that the service left for this machine's user, or None."""
    try:
        return (data / OPERATOR_KEY_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
