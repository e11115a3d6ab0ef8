"""The history of one run: every step as a line, a hash over all of them, and counts of what was injected."""

import hashlib
from collections import Counter, deque

#: Lines that are kept to be shown; all are hashed.
KEPT_MAX = 60


class History:
    """What happened, in order. The same seed must give the same `digest`."""

    def __init__(self, *, echo: bool = False) -> None:
        self.last = deque[str](maxlen=None if echo else KEPT_MAX)
        self.faults = Counter[str]()
        #: how often each fault point was reached, and how often it was the last
        self.visited = Counter[str]()
        self.crashed = Counter[str]()
        #: counts of what is not a fault, by name
        self.met = Counter[str]()
        #: the time of the network, as everybody outside the service has it
        self.now_ms = 0
        self.lines = 0
        self._sum = hashlib.sha256()

    def note(self, line: str) -> None:
        """Add a line, which must say nothing that another process would say otherwise."""
        self.lines += 1
        self._sum.update(line.encode() + b"\n")
        self.last.append(line)

    def fault(self, kind: str, told: str = "") -> None:
        """A fault was injected."""
        self.faults[kind] += 1
        self.note(f"  fault: {kind} {told}".rstrip())

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()[:16]
