"""Accepting releases: points are held in the managed account, and move to the member's bound wallet on the chain."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, adoption, events, limits, members, operations, programs, spending, streams, wallets
from bridge.store.adoption import Asked
from bridge.store.ids import new_id, request_hash
from bridge.store.schema import entry, operation
from bridge.store.wallets import Wallet
from exchange.errors import InsufficientPoints
from exchange.operations import OperationKind, OperationState
from exchange.points import Points, points
from exchange.words import EntryKind, entry_tag


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A release as it was asked for."""

    key: str
    member_id: str
    wallet_id: str
    points: int

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        return request_hash("release", self.member_id, self.wallet_id, self.points)


def accept(connection: sa.Connection, program_id: str, request: ReleaseRequest, now_ms: int) -> tuple[str, bool]:
    """Hold the points and queue their release. Answers the operation's id and whether it was accepted before.

    Raises IdempotencyKeyReused, UnknownMember, UnknownWallet, ProgramNotActive, InvalidAmount, OverLimit,
    WalletNotBound, BindingNotEffective, InsufficientPoints.
    """
    before = operations.known(connection, program_id, [request.key]).get(request.key)
    if before is not None:
        before.require_same(request.fingerprint())
        return before.id, True
    assert programs.by_id(connection, program_id).deployed_token
    amount = points(request.points)
    found = members.by_id(connection, request.member_id, program_id)
    asked = Asked(request.key, OperationKind.RELEASE, request.fingerprint(), amount, found.id)
    restored = adoption.adopt(connection, program_id, asked)
    if restored is not None:
        return restored.id, True
    limits.require(limits.capacity(connection, program_id, limits.RELEASE), amount, limits.RELEASE)
    to = wallets.by_id(connection, request.wallet_id, program_id, found.id)
    wallets.require_active(connection, to, now_ms)
    purse = spending.purse(connection, found.id, now_ms)
    held = purse.held.get(to.account_id, Points(0))  # nothing where the account is frozen
    if amount > held:
        raise InsufficientPoints(
            f"{amount:,} points were asked for, {held:,} are available in the account that this wallet is bound to",
            field="points",
            limit=held,
            nearest=held or None,
        )
    operation_id = new_id("operation")
    connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=OperationKind.RELEASE.value,
            program_id=program_id,
            member_id=found.id,
            points=amount,
            state=OperationState.ACCEPTED.value,
            idempotency_key=request.key,
            request_hash=request.fingerprint(),
            tag=entry_tag(program_id, request.key),
            stream_id=streams.for_program(connection, program_id).id,
            created_ms=now_ms,
        )
    )
    _write(connection, program_id, operation_id, to, amount)
    spending.hold(connection, operation_id, [(to.account_id, purse.take_from(to.account_id, amount))])
    events.operations_changed(connection, [(program_id, operation_id)], OperationState.ACCEPTED, now_ms)
    return operation_id, False


def _write(connection: sa.Connection, program_id: str, operation_id: str, to: Wallet, amount: Points) -> None:
    changes = accounts.Changes()
    changes.add(to.account_id, "debits_pending", amount)
    changes.add(to.holding_id, "credits_pending", amount)
    connection.execute(
        entry.insert().values(
            operation_id=operation_id,
            program_id=program_id,
            leg=0,
            kind=EntryKind.RELEASE.value,
            credit=False,
            amount=amount,
            account_id=to.account_id,
            contra_id=to.holding_id,
            state="pending",
        )
    )
    changes.apply(connection)
