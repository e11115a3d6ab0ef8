"""What was asked for and what the service answered: the clients' own record, which nothing else can change."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

EARN, REDEMPTION, SWAP, CAPTURE, REVERSAL = "earn", "redemption", "swap", "capture", "reversal"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request under its own key; of a swap, `points` go in and `points_out` come out at the other program.

    A reversal takes back all of an operation of the kind `of`; a capture is from the hold `of`.
    """

    kind: str
    program: str
    member: str
    key: str
    points: int
    to_program: str = ""
    points_out: int = 0
    of: str = ""


@dataclass
class Record:
    """Every request, and its answer; for many threads."""

    accepted: dict[Asked, str] = field(default_factory=dict)
    refused: dict[Asked, str] = field(default_factory=dict)
    #: answers that contradict each other
    wrong: list[str] = field(default_factory=list)
    #: requests sent again under the same key: since no answer came, or just so
    repeated: Counter[str] = field(default_factory=Counter)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, asked: Asked, operation_id: str) -> None:
        """The request was answered with this operation; whatever is answered later must be the same."""
        with self._guard:
            before = self.accepted.setdefault(asked, operation_id)
            if before != operation_id:
                self.wrong.append(f"{asked} was answered by {before}, and later by {operation_id}")

    def refuse(self, asked: Asked, why: str) -> None:
        """The request was refused for good."""
        with self._guard:
            if asked in self.accepted:
                self.wrong.append(f"{asked} was accepted as {self.accepted[asked]}, and later refused: {why}")
            self.refused[asked] = why

    def repeat(self, why: str) -> None:
        """A request was sent again."""
        with self._guard:
            self.repeated[why] += 1

    def counts(self) -> Mapping[str, int]:
        """How many were accepted by kind, and how many refused."""
        with self._guard:
            counted = Counter(f"{one.kind}s" for one in self.accepted)
            return counted | Counter({"refused": len(self.refused)})
