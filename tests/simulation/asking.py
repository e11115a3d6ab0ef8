"""What partners ask, as requests: each says how the ledger is asked, and how it is asked otherwise under the same key.

A request about another one names it by the id that its partner was answered last. But a capture names the hold that it
was made for: a hold that is authorised anew is another.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from bridge.store import (
    adjustments,
    approvals,
    captures,
    earns,
    holds,
    pending_earns,
    redemptions,
    releases,
    reversals,
    swaps,
)
from bridge.store.adjustments import Proposal
from bridge.store.captures import CaptureRequest
from bridge.store.earns import EarnRequest
from bridge.store.holds import HoldRequest
from bridge.store.keys import ApiKey
from bridge.store.members import Member
from bridge.store.pending_earns import Cancellation, Change
from bridge.store.programs import Program
from bridge.store.quotes import Quote
from bridge.store.redemptions import RedemptionRequest
from bridge.store.releases import ReleaseRequest
from bridge.store.reversals import ReversalRequest
from bridge.store.wallets import Wallet
from exchange.words import capture_tag, entry_tag
from tests.simulation.request import Ask, Request

#: Why who rejects a proposal does so, and why it was made.
WHY, WHY_NOT = "a stay that was not credited", "it was credited"


def earn(program: Program, who: Member, key: str, points: int, release_ms: int | None = None) -> Request:
    """Points outright for a member, now or later."""

    def asking(wanted: EarnRequest) -> Ask:
        def ask(connection: sa.Connection, now_ms: int) -> str:
            (answer,) = earns.accept(connection, program.id, [wanted], now_ms)
            if answer.refusal is not None:
                raise answer.refusal
            assert answer.operation_id is not None
            return answer.operation_id

        return ask

    body, other = (
        EarnRequest(key, who.id, None, None, amount, None, release_ms=release_ms) for amount in (points, points + 1)
    )
    kind = "earn" if release_ms is None else "pending"
    return Request(kind, program, key, points, asking(body), asking(other), who.id, body=body, at_ms=release_ms)


def change(of: Request, key: str, points: int, release_ms: int | None) -> Request:
    """A pending earn is to bring other points, at another time if one is named."""

    def asking(amount: int) -> Ask:
        def ask(connection: sa.Connection, now_ms: int) -> str:
            wanted = Change(key, _id(of), amount, release_ms)
            pending_earns.change(connection, of.program.id, wanted, now_ms)
            return wanted.operation_id

        return ask

    asked, other = asking(points), asking(points + 1)
    return Request("change", of.program, key, points, asked, other, of.member_id, of=of, at_ms=release_ms)


def cancellation(of: Request, key: str) -> Request:
    """A pending earn is not to come."""

    def asking(more: str) -> Ask:
        def ask(connection: sa.Connection, now_ms: int) -> str:
            wanted = Cancellation(key, _id(of) + more)
            pending_earns.cancel(connection, of.program.id, wanted, now_ms)
            return wanted.operation_id

        return ask

    return Request("cancellation", of.program, key, 0, asking(""), asking("x"), of.member_id, of=of)


def redemption(program: Program, who: Member, key: str, points: int) -> Request:
    """Points to be burned at once."""

    def asking(amount: int) -> Ask:
        wanted = RedemptionRequest(key, who.id, None, amount)
        return lambda connection, now_ms: redemptions.accept(connection, program.id, wanted, now_ms)[0]

    return Request("redemption", program, key, points, asking(points), asking(points + 1), who.id)


def hold(program: Program, who: Member, key: str, points: int, life_s: int) -> Request:
    """Points to be captured later."""

    def asking(amount: int) -> Ask:
        wanted = HoldRequest(key, who.id, None, amount, life_s)
        return lambda connection, now_ms: holds.authorise(connection, program.id, wanted, now_ms)[0].id

    return Request("hold", program, key, points, asking(points), asking(points + 1), who.id, at_ms=life_s * 1000)


def capture(of: Request, key: str, points: int | None, *, final: bool) -> Request:
    """Points of a hold, which has been answered, to be burned; None: all that is left."""
    hold_id = _id(of)

    def asking(amount: int | None) -> Ask:
        wanted = CaptureRequest(key, hold_id, amount, final)
        return lambda connection, now_ms: captures.accept(connection, of.program.id, wanted, now_ms)[0]

    return Request(
        "capture",
        of.program,
        key,
        of.points if points is None else points,
        asking(points),
        asking(1 if points is None else points + 1),
        of.member_id,
        of=of,
        whole=points is None,
        final=final,
        hold_id=hold_id,
        tag=capture_tag(of.program.id, hold_id, key),
    )


def void(of: Request, key: str) -> Request:
    """What is left of a hold is to be free."""
    hold_id = _id(of)

    def asking(named: str) -> Ask:
        return lambda connection, now_ms: holds.void(connection, of.program.id, key, named, now_ms)[0].id

    asked, other = asking(hold_id), asking(f"{hold_id}x")
    return Request("void", of.program, key, 0, asked, other, of.member_id, of=of, hold_id=hold_id)


def reversal(of: Request, key: str, points: int | None) -> Request:
    """An earn or a redemption is to be taken back, so much of it or all that is left."""

    def asking(amount: int | None) -> Ask:
        return lambda connection, now_ms: reversals.accept(
            connection, of.program.id, ReversalRequest(key, _id(of), amount), now_ms
        )[0]

    wanted = of.points if points is None else points
    other = 1 if points is None else points + 1
    whole = points is None
    return Request("reversal", of.program, key, wanted, asking(points), asking(other), of.member_id, of=of, whole=whole)


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


def proposal(program: Program, who: Member, key: str, points: int, persons: Sequence[ApiKey], person: int) -> Request:
    """Points to be given or taken by hand, as one person proposes."""

    def asking(amount: int) -> Ask:
        wanted = Proposal(key, who.id, None, None, amount, WHY)
        return lambda connection, now_ms: adjustments.propose(connection, persons[person], wanted, now_ms)[0].id

    tag = entry_tag(program.id, key)
    asked, other = asking(points), asking(points * 2)
    return Request("proposal", program, key, points, asked, other, who.id, person=person, tag=tag)


def approval(of: Request, key: str, persons: Sequence[ApiKey], person: int) -> Request:
    """A proposal approved; its answer is the operation that it becomes."""

    def asking(connection: sa.Connection, now_ms: int) -> str:
        made, _ = approvals.approve(connection, persons[person], _id(of), key, now_ms)
        assert made.operation_id is not None
        return made.operation_id

    other = _rejecting(of, key, persons, person)
    return Request("approval", of.program, key, of.points, asking, other, of.member_id, of=of, person=person)


def rejection(of: Request, key: str, persons: Sequence[ApiKey], person: int) -> Request:
    """A proposal refused."""

    def otherwise(connection: sa.Connection, now_ms: int) -> str:
        return approvals.approve(connection, persons[person], _id(of), key, now_ms)[0].id

    asked = _rejecting(of, key, persons, person)
    return Request("rejection", of.program, key, 0, asked, otherwise, of.member_id, of=of, person=person)


def _rejecting(of: Request, key: str, persons: Sequence[ApiKey], person: int) -> Ask:
    return lambda connection, now_ms: approvals.reject(connection, persons[person], _id(of), key, WHY_NOT, now_ms)[0].id


def _id(of: Request) -> str:
    assert of.operation_id is not None, "who asks about something was told its id"
    return of.operation_id
