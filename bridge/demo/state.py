"""What the demo must remember between two starts: its programs' keys, and what was refused at the till.

A refusal leaves no trace in the service, so the same coupon, asked for again later, might find enough points
by then. At a till the answer stood; remembering it makes a second run end like the first.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from bridge.demo.errors import ForeignData

KEYS_FILE = "demo-keys.json"
REFUSALS_FILE = "demo-refused.txt"


class State:
    """The demo's own small files in the data directory. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._keys_path = directory / KEYS_FILE
        self._refusals_path = directory / REFUSALS_FILE
        self._lock = Lock()
        self._keys = _read_keys(self._keys_path)
        self._refused = _read_lines(self._refusals_path)

    def program_key(self, program_id: str, make: Callable[[], str]) -> str:
        """The key of a program; made, and stored before it is used, when there is none."""
        with self._lock:
            if program_id not in self._keys:
                self._keys[program_id] = make()
                _write_private(self._keys_path, json.dumps(self._keys, indent=2, sort_keys=True) + "\n")
            return self._keys[program_id]

    def was_refused(self, program_id: str, key: str) -> bool:
        """Whether the program refused the redemption under this key, in an earlier run or in this one."""
        with self._lock:
            return f"{program_id} {key}" in self._refused

    def remember_refused(self, program_id: str, key: str) -> None:
        """Keep a refusal."""
        line = f"{program_id} {key}"
        with self._lock:
            self._refused.add(line)
            with self._refusals_path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def _read_keys(path: Path) -> dict[str, str]:
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ForeignData(f"{path} cannot be read ({error}); begin anew with --reset") from error
    return {str(program_id): str(key) for program_id, key in keys.items()}


def _read_lines(path: Path) -> set[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return set()
    # A last line without its end was cut off by a crash.
    return set(text[: text.rfind("\n") + 1].splitlines())


def _write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only from the first byte on."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
