"""Wallets: which addresses members bound to their managed accounts, and how far each binding has come.

A binding is posted in the program's stream like an entry, and holds from a time that the chain says. What the chain
says counts when it is final; so nothing here needs to be undone after a reorganisation.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import accounts, blocks, challenges, events, programs, streams
from bridge.store.ids import new_id
from bridge.store.members import Member
from bridge.store.schema import account, operation, wallet
from exchange.errors import Conflict, NotFound
from exchange.operations import OperationKind, OperationState
from exchange.words import entry_tag

BINDING, BOUND, UNBINDING, UNBOUND = "binding", "bound", "unbinding", "unbound"
#: How a bound wallet stands at a moment; derived, not stored.
ANNOUNCED, ACTIVE = "announced", "active"
#: Wallets that one answer lists.
WALLETS_LISTED_MAX = 200
#: How far the chain's clock may be behind ours: a release that arrived before a binding's time would be skipped.
CLOCK_SLACK_MS = 15_000


class UnknownWallet(NotFound):
    """Raised when no such wallet belongs to a member of the caller's program."""

    type = "unknown-wallet"


class AccountBound(Conflict):
    """Raised when an account is to be bound that has a wallet."""

    type = "account-bound"


class WalletTaken(Conflict):
    """Raised when an address is to be bound that is another member's wallet."""

    type = "wallet-taken"


class WalletNotBound(Conflict):
    """Raised when a wallet is used in a way for which it must be bound."""

    type = "wallet-not-bound"


class BindingNotEffective(Conflict):
    """Raised when points are to be released to a wallet whose time has not come; `nearest` says when it does."""

    type = "binding-not-effective"


@dataclass(frozen=True, slots=True)
class Wallet:
    """A member's wallet; `state` is the stored one. `points` is what it holds at the newest final block."""

    id: str
    program_id: str
    member_id: str
    account_id: int
    reference: bytes
    account: bytes
    holding_id: int
    address: bytes
    state: str
    effective_ms: int | None
    bind_operation_id: str
    unbind_operation_id: str | None
    created_ms: int
    points: int

    def standing(self, now_ms: int) -> str:
        """The state that callers see."""
        if self.state != BOUND:
            return self.state
        assert self.effective_ms is not None
        return ACTIVE if self.effective_ms <= now_ms else ANNOUNCED


def _select() -> sa.Select[Any]:
    managed, holding = account.alias("managed"), account.alias("holding")
    return (
        sa.select(
            wallet,
            managed.c.reference,
            managed.c.address.label("account"),
            (holding.c.credits_posted - holding.c.debits_posted).label("points"),
        )
        .join(managed, managed.c.id == wallet.c.account_id)
        .join(holding, holding.c.id == wallet.c.holding_id)
    )


def by_id(
    connection: sa.Connection, wallet_id: str, program_id: str | None = None, member_id: str | None = None
) -> Wallet:
    """The wallet with this id, of this program and member where they are named. Raises UnknownWallet."""
    row = connection.execute(_select().where(wallet.c.id == wallet_id)).one_or_none()
    if row is None or program_id not in (None, row.program_id) or member_id not in (None, row.member_id):
        raise UnknownWallet(f"there is no wallet {wallet_id} here", field="wallet_id")
    return Wallet(**row._mapping)


def of_member(connection: sa.Connection, member_id: str) -> list[Wallet]:
    """A member's wallets, the newest first."""
    rows = connection.execute(
        _select().where(wallet.c.member_id == member_id).order_by(wallet.c.id.desc()).limit(WALLETS_LISTED_MAX)
    )
    return [Wallet(**row._mapping) for row in rows]


def member_of(connection: sa.Connection, program_id: str, address: bytes) -> str | None:
    """The member of a program to whom this address was bound last, or None."""
    return connection.scalar(
        sa.select(wallet.c.member_id)
        .where(wallet.c.program_id == program_id, wallet.c.address == address)
        .order_by(wallet.c.id.desc())
        .limit(1)
    )


# -- accepting --------------------------------------------------------------------------------


def bind(connection: sa.Connection, member: Member, nonce: str, now_ms: int) -> Wallet:
    """Use up a challenge that was answered rightly, and queue the binding of its address to its account.

    Raises ProgramNotActive, AccountBound, WalletTaken and what using the challenge raises.
    """
    assert programs.by_id(connection, member.program_id).deployed_token
    answered = challenges.use(connection, nonce, member.id, now_ms)
    address, account_id = answered.address, answered.account_id
    _require_free(connection, member, account_id, address)
    operation_id = _queue(connection, OperationKind.BIND, member.program_id, member.id, now_ms)
    wallet_id = new_id("wallet")
    connection.execute(
        wallet.insert().values(
            id=wallet_id,
            program_id=member.program_id,
            member_id=member.id,
            account_id=account_id,
            holding_id=accounts.wallet_account(connection, member.program_id, address),
            address=address,
            state=BINDING,
            bind_operation_id=operation_id,
            created_ms=now_ms,
        )
    )
    return by_id(connection, wallet_id)


def unbind(connection: sa.Connection, found: Wallet, now_ms: int) -> Wallet:
    """Queue the end of a binding; one that ends or has ended is left as it is."""
    if found.state in (BINDING, BOUND):
        operation_id = _queue(connection, OperationKind.UNBIND, found.program_id, found.member_id, now_ms)
        connection.execute(
            wallet.update().where(wallet.c.id == found.id).values(state=UNBINDING, unbind_operation_id=operation_id)
        )
    return by_id(connection, found.id)


def require_active(connection: sa.Connection, found: Wallet, now_ms: int) -> None:
    """Raises WalletNotBound, or BindingNotEffective with the time from which releases are taken."""
    if found.state in (UNBINDING, UNBOUND):
        raise WalletNotBound(f"wallet {found.id} is {found.state}", field="wallet_id")
    if found.effective_ms is None:
        raise BindingNotEffective(
            "the binding of this wallet is not final on the chain yet; ask again shortly", field="wallet_id"
        )
    tip = blocks.tip(connection)
    assert tip is not None
    if found.effective_ms > max(tip.timestamp * 1000, now_ms - CLOCK_SLACK_MS):
        at_s = (found.effective_ms + CLOCK_SLACK_MS) // 1000
        raise BindingNotEffective(
            f"the binding of this wallet takes effect at {found.effective_ms // 1000} (Unix time); releases are taken"
            f" from {at_s} on",
            field="wallet_id",
            limit=found.effective_ms // 1000,
            nearest=at_s,
        )


def _require_free(connection: sa.Connection, member: Member, account_id: int, address: bytes) -> None:
    bound = connection.scalar(
        sa.select(wallet.c.id).where(wallet.c.account_id == account_id, wallet.c.state.in_((BINDING, BOUND)))
    )
    if bound is not None:
        raise AccountBound(f"this account of the member is bound to wallet {bound}; unbind that first")
    owner = connection.scalar(
        sa.select(wallet.c.member_id).where(
            wallet.c.program_id == member.program_id,
            wallet.c.address == address,
            wallet.c.member_id != member.id,
            wallet.c.state != UNBOUND,
        )
    )
    if owner is not None:
        raise WalletTaken("this address is another member's wallet", field="message.address")


def _queue(connection: sa.Connection, kind: OperationKind, program_id: str, member_id: str, now_ms: int) -> str:
    operation_id = new_id("operation")
    connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=kind.value,
            program_id=program_id,
            member_id=member_id,
            points=0,
            state=OperationState.ACCEPTED.value,
            tag=entry_tag(program_id, operation_id),
            stream_id=streams.for_program(connection, program_id).id,
            created_ms=now_ms,
        )
    )
    events.operations_changed(connection, [(program_id, operation_id)], OperationState.ACCEPTED, now_ms)
    return operation_id


def restore(connection: sa.Connection, operation_id: str, account_id: int, address: bytes, now_ms: int) -> None:
    """The wallet of a binding that was posted for a member's account, and that only the chain tells of."""
    owner = connection.execute(
        sa.select(account.c.program_id, account.c.member_id).where(account.c.id == account_id)
    ).one()
    connection.execute(
        wallet.insert().values(
            id=new_id("wallet"),
            program_id=owner.program_id,
            member_id=owner.member_id,
            account_id=account_id,
            holding_id=accounts.wallet_account(connection, owner.program_id, address),
            address=address,
            state=BINDING,
            bind_operation_id=operation_id,
            created_ms=now_ms,
        )
    )


# -- what the chain says ----------------------------------------------------------------------


def bound(connection: sa.Connection, account_id: int, address: bytes, effective_ms: int) -> None:
    """The chain announced this wallet for an account; a wallet that it replaces is no longer bound."""
    unbound(connection, account_id)
    waiting = connection.execute(
        sa.select(wallet.c.id, wallet.c.state)
        .where(
            wallet.c.account_id == account_id,
            wallet.c.address == address,
            wallet.c.effective_ms.is_(None),
            wallet.c.state.in_((BINDING, UNBINDING)),
        )
        .order_by(wallet.c.id)
        .limit(1)
    ).one_or_none()
    if waiting is not None:  # None: bound by somebody who has the issuer's key, which trips the breaker elsewhere
        state = BOUND if waiting.state == BINDING else UNBINDING  # its end is under way already
        connection.execute(
            wallet.update().where(wallet.c.id == waiting.id).values(state=state, effective_ms=effective_ms)
        )


def unbound(connection: sa.Connection, account_id: int) -> None:
    """The chain took away the binding of an account: by our word, a guardian's, or the holder's own."""
    connection.execute(
        wallet.update()
        .where(
            wallet.c.account_id == account_id,
            wallet.c.effective_ms.is_not(None),
            wallet.c.state.in_((BOUND, UNBINDING)),
        )
        .values(state=UNBOUND)
    )
