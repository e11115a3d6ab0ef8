"""One request of a partner's system, as the partner remembers it: the same key and body whenever it is asked again."""

from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from bridge.store.earns import EarnRequest
from bridge.store.programs import Program
from bridge.store.quotes import Quote
from exchange.words import entry_tag

#: Asks the ledger at a time and answers the id of the operation, or of what else came of it.
Ask = Callable[[sa.Connection, int], str]

#: Requests that are an operation, by what the ledger calls it. An approval becomes one whose words name the proposal.
OPERATIONS = {
    "earn": "earn",
    "pending": "earn",
    "redemption": "redemption",
    "capture": "redemption",
    "release": "release",
    "swap": "swap",
    "reversal": "reversal",
    "approval": "adjustment",
}
EARNS, REDEMPTIONS = ("earn", "pending"), ("redemption", "capture")
#: What takes its points from a member once it is accepted. A capture takes what its hold took before.
TAKING = ("redemption", "release", "swap", "hold")


@dataclass(eq=False)
class Request:
    """What was asked, and what the partner was answered.

    `operation_id` and `refused` are the last answer that arrived; neither is set while none did. `ask_otherwise` asks
    for something else under the same key. `of` is the request that this one is about: the hold of a capture, the earn
    of a reversal. `points` of an adjustment are below zero where it takes.
    """

    kind: str
    program: Program
    key: str
    points: int
    ask: Ask
    ask_otherwise: Ask
    #: who asked: the source's membership for a swap
    member_id: str
    offer: Quote | None = None
    #: an earn as a bulk call takes it
    body: EarnRequest | None = None
    of: "Request | None" = None
    #: when a pending earn's points come, or when a hold ends after it was first asked for
    at_ms: int | None = None
    #: a capture or a reversal of all that is left, and a capture after which the rest is free
    whole: bool = False
    final: bool = False
    #: the hold that a capture or a void names, whatever its `of` was answered since
    hold_id: str | None = None
    #: the place of the person who proposes or decides, among those of the program
    person: int = 0
    #: what its words on the chain are named by; None: there are none, or they are another request's
    tag: bytes | None = field(default=None, repr=False)
    operation_id: str | None = None
    refused: str | None = None
    asked: int = 0
    first_ms: int | None = None

    def __post_init__(self) -> None:
        if self.tag is None and self.kind in OPERATIONS and self.kind not in ("approval", "capture"):
            self.tag = entry_tag(self.program.id, self.key)

    def ask_anew(self, now_ms: int) -> None:
        """It is asked once more: a refusal that was told before counts no longer."""
        self.asked += 1
        self.refused = None
        self.first_ms = now_ms if self.first_ms is None else min(self.first_ms, now_ms)

    @property
    def may_stand(self) -> bool:
        """Whether it was asked and may have been accepted, for all that the partner knows."""
        return self.asked > 0 and self.refused is None

    @property
    def taken_max(self) -> int:
        """What it takes from the member if it is accepted, or may have taken for all that the partner knows."""
        if not self.may_stand:
            return 0
        if self.kind == "reversal":
            assert self.of is not None
            return self.points if self.of.kind in EARNS else 0
        if self.kind == "approval":
            return max(0, -self.points)
        if self.kind not in TAKING:
            return 0
        return self.points + (0 if self.offer is None else self.offer.fee_points)

    def lose_answer(self) -> None:
        """An answer came that did not arrive: whatever was refused before may be accepted now."""
        self.refused = None

    @property
    def lacks_its_subject(self) -> bool:
        """Whether it is about something of which the partner does not know the id now."""
        return self.of is not None and self.hold_id is None and self.of.operation_id is None

    @property
    def open(self) -> bool:
        """Whether the partner does not know what became of it."""
        return self.operation_id is None and self.refused is None
