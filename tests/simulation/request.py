"""One request of a partner's system, as the partner remembers it: the same key and body whenever it is asked again."""

from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from bridge.store import earns, redemptions, releases, swaps
from bridge.store.earns import EarnRequest
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.quotes import Quote
from bridge.store.redemptions import RedemptionRequest
from bridge.store.releases import ReleaseRequest
from bridge.store.wallets import Wallet
from exchange.words import entry_tag

#: Asks the ledger at a time and answers the operation's id.
Ask = Callable[[sa.Connection, int], str]


@dataclass(eq=False)
class Request:
    """What was asked, and what the partner was answered.

    `operation_id` and `refused` are the last answer that arrived; neither is set while none did. `ask_otherwise` asks
    for something else under the same key.
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
    operation_id: str | None = None
    refused: str | None = None
    asked: int = 0
    tag: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.tag = entry_tag(self.program.id, self.key)

    def ask_anew(self) -> None:
        """It is asked once more: a refusal that was told before counts no longer."""
        self.asked += 1
        self.refused = None

    @property
    def taken_max(self) -> int:
        """What it takes from the member if it is accepted, or may have taken for all that the partner knows."""
        if self.kind == "earn" or self.refused is not None:
            return 0
        return self.points + (0 if self.offer is None else self.offer.fee_points)

    def lose_answer(self) -> None:
        """An answer came that did not arrive: whatever was refused before may be accepted now."""
        self.refused = None

    @property
    def open(self) -> bool:
        """Whether the partner does not know what became of it."""
        return self.operation_id is None and self.refused is None


def earn(program: Program, who: Member, key: str, points: int) -> Request:
    """Points outright for a member."""

    def asking(wanted: EarnRequest) -> Ask:
        def ask(connection: sa.Connection, now_ms: int) -> str:
            (answer,) = earns.accept(connection, program.id, [wanted], now_ms)
            if answer.refusal is not None:
                raise answer.refusal
            assert answer.operation_id is not None
            return answer.operation_id

        return ask

    body, other = (EarnRequest(key, who.id, None, None, amount, None) for amount in (points, points + 1))
    return Request("earn", program, key, points, asking(body), asking(other), who.id, body=body)


def redemption(program: Program, who: Member, key: str, points: int) -> Request:
    """Points to be burned at once."""

    def asking(amount: int) -> Ask:
        wanted = RedemptionRequest(key, who.id, None, amount)
        return lambda connection, now_ms: redemptions.accept(connection, program.id, wanted, now_ms)[0]

    return Request("redemption", program, key, points, asking(points), asking(points + 1), who.id)


def release(program: Program, to: Wallet, key: str, points: int) -> Request:
    """Points to a member's own wallet."""

    def asking(amount: int) -> Ask:
        wanted = ReleaseRequest(key, to.member_id, to.id, amount)
        return lambda connection, now_ms: releases.accept(connection, program.id, wanted, now_ms)[0]

    return Request("release", program, key, points, asking(points), asking(points + 1), to.member_id)


def swap(program: Program, offer: Quote, key: str) -> Request:
    """An offer accepted."""

    def asking(quote_id: str) -> Ask:
        return lambda connection, now_ms: swaps.accept(connection, program.id, key, quote_id, now_ms)[0]

    return Request(
        "swap", program, key, offer.amount_in, asking(offer.id), asking(f"{offer.id}x"), offer.member_id, offer
    )
