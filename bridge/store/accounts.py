"""Accounts and their counters: members' managed accounts, holders' wallets and each program's system accounts.

The counters are those of `exchange.ledger.Balance`. Every change goes through `apply`, which adds to one account of a
program and takes from another the same amount, so that each program's accounts always sum to zero.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import debts, lots, pages
from bridge.store.schema import account, entry, operation, program, swap
from exchange.errors import LinkConflict, NotFound
from exchange.ledger import Balance
from exchange.words import account_address

MEMBER = "member"
ORPHAN = "orphan"
#: Not a kind but a state: barred from spending.
FROZEN = "frozen"
WALLET = "wallet"
ISSUED = "issued"
REDEEMED = "redeemed"
SWAPPED = "swapped"
SYSTEM = (ISSUED, REDEEMED, SWAPPED)
COUNTERS = ("credits_pending", "credits_posted", "debits_pending", "debits_posted", "incoming_pending", "held")


class UnknownAccount(NotFound):
    """Raised when a member or a program has no such managed account."""

    type = "unknown-account"


@dataclass(frozen=True, slots=True)
class Account:
    """One managed account of a member, with its counters."""

    id: int
    program_id: str
    member_id: str
    reference: bytes
    address: bytes
    frozen: bool
    balance: Balance


@dataclass(frozen=True, slots=True)
class OddAccount:
    """A managed account that somebody has to look at: it is frozen, or nobody's."""

    id: int
    program_id: str
    member_id: str | None
    reference: bytes
    address: bytes
    frozen: bool
    balance: Balance


# Written once: building a statement anew costs more than running it.
_ADD = (
    account.update()
    .where(account.c.id == sa.bindparam("account"))
    .values({name: account.c[name] + sa.bindparam(f"add_{name}") for name in COUNTERS})
)


class Changes:
    """Sums of changes to counters, gathered first and written in one statement."""

    def __init__(self) -> None:
        self._sums: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COUNTERS, 0))

    def add(self, account_id: int, counter: str, amount: int) -> None:
        """Add `amount`, which may be negative, to a counter of an account."""
        self._sums[account_id][counter] += amount

    def apply(self, connection: sa.Connection) -> None:
        """Write the sums. A counter below zero, or an overdraft, is a bug and fails the transaction."""
        if not self._sums:
            return
        connection.execute(
            _ADD,
            [
                {"account": account_id} | {f"add_{name}": amount for name, amount in sums.items()}
                for account_id, sums in self._sums.items()
            ],
        )


def add_system_accounts(connection: sa.Connection, program_id: str) -> None:
    """The accounts that stand against a new program's members."""
    connection.execute(account.insert(), [{"program_id": program_id, "kind": kind} for kind in SYSTEM])


def system_account(connection: sa.Connection, program_id: str, kind: str) -> int:
    """The id of a program's system account."""
    return int(
        connection.execute(
            sa.select(account.c.id).where(
                account.c.program_id == program_id, account.c.kind == kind, account.c.address.is_(None)
            )
        ).scalar_one()
    )


def add_member_account(
    connection: sa.Connection, *, program_id: str, token: bytes, member_id: str, reference: bytes
) -> int:
    """A managed account for a member under this reference."""
    inserted = connection.execute(
        account.insert().values(
            program_id=program_id,
            kind=MEMBER,
            member_id=member_id,
            reference=reference,
            address=account_address(token, reference),
        )
    )
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])


def add_orphan(connection: sa.Connection, *, program_id: str, token: bytes, reference: bytes) -> int:
    """A managed account of which only the chain tells, so that nobody knows whose its reference is."""
    inserted = connection.execute(
        account.insert().values(
            program_id=program_id, kind=ORPHAN, reference=reference, address=account_address(token, reference)
        )
    )
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])


def may_adopt(connection: sa.Connection, account_id: int, member_id: str) -> bool:
    """Whether an orphan can be this member's: it turned up before the member was enrolled, with an account, here."""
    newest = connection.scalar(
        sa.select(sa.func.max(account.c.id)).where(account.c.member_id == member_id, account.c.kind == MEMBER)
    )
    return newest is None or newest > account_id


def adopt(connection: sa.Connection, account_id: int, member_id: str) -> None:
    """It has come to light whose an orphan is, and with it what was done there; any other account is left as it is."""
    done = connection.execute(
        account.update()
        .where(account.c.id == account_id, account.c.kind == ORPHAN)
        .values(kind=MEMBER, member_id=member_id)
        .returning(account.c.program_id)
    ).one_or_none()
    if done is None:
        return
    lots.look_again(connection, account_id)
    there = sa.select(entry.c.operation_id).where(entry.c.account_id == account_id)
    theirs = connection.execute(
        operation.update()
        .where(operation.c.id.in_(there), operation.c.program_id == done.program_id, operation.c.member_id.is_(None))
        .values(member_id=member_id)
        .returning(operation.c.id)
    )
    debts.adopt(connection, list(theirs.scalars()), member_id)
    connection.execute(
        swap.update()
        .where(swap.c.operation_id.in_(there), swap.c.to_program_id == done.program_id, swap.c.to_member_id.is_(None))
        .values(to_member_id=member_id)
    )


def count_orphans(connection: sa.Connection) -> int:
    """How many accounts are nobody's."""
    return connection.scalar(sa.select(sa.func.count()).where(account.c.kind == ORPHAN)) or 0


def landing_account(
    connection: sa.Connection, *, program_id: str, token: bytes, member_id: str, reference: bytes
) -> int:
    """Where swapped points land: the destination's account under the source's reference, made at its first use.

    One that only the chain told of is the member's from now on: only swaps from the source's account, which is the same
    customer's, ever brought anything there. Raises LinkConflict when an earlier link gave it to another member.
    """
    row = connection.execute(
        sa.select(account.c.id, account.c.member_id).where(
            account.c.program_id == program_id, account.c.reference == reference
        )
    ).one_or_none()
    if row is None:
        return add_member_account(
            connection, program_id=program_id, token=token, member_id=member_id, reference=reference
        )
    if row.member_id is None:
        adopt(connection, row.id, member_id)
    elif row.member_id != member_id:
        raise LinkConflict(
            "the account in which these points would land belongs to another membership that was linked before",
            field="quote_id",
        )
    return int(row.id)


def wallet_account(connection: sa.Connection, program_id: str, address: bytes) -> int:
    """The account of what a wallet holds of a program's points, made at its first use."""
    query = sa.select(account.c.id).where(
        account.c.program_id == program_id, account.c.kind == WALLET, account.c.address == address
    )
    found: int | None = connection.scalar(query)
    if found is not None:
        return found
    inserted = connection.execute(account.insert().values(program_id=program_id, kind=WALLET, address=address))
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])


def by_reference(connection: sa.Connection, program_id: str, reference: bytes) -> int | None:
    """The managed account of a reference, or None."""
    return connection.scalar(
        sa.select(account.c.id).where(account.c.program_id == program_id, account.c.reference == reference)
    )


def odd_page(
    connection: sa.Connection, program_id: str | None, state: str | None, ask: pages.Ask
) -> pages.Page[OddAccount]:
    """A program's managed accounts (None: all programs') that are FROZEN or ORPHAN (None: either), oldest first."""
    is_in = {FROZEN: account.c.frozen.is_(True), ORPHAN: account.c.kind == ORPHAN}
    query = sa.select(account).where(sa.or_(*is_in.values()) if state is None else is_in[state])
    if program_id is not None:
        query = query.where(account.c.program_id == program_id)
    return pages.read(connection, query, account.c.id, ask, _odd)


def odd_at(connection: sa.Connection, program_id: str, address: bytes) -> OddAccount | None:
    """The managed account at an address, or None."""
    row = connection.execute(
        sa.select(account).where(
            account.c.program_id == program_id, account.c.address == address, account.c.kind.in_((MEMBER, ORPHAN))
        )
    ).one_or_none()
    return None if row is None else _odd(row)


def _odd(row: Any) -> OddAccount:
    named = {name: getattr(row, name) for name in OddAccount.__slots__ if name != "balance"}
    return OddAccount(**named, balance=balance_of(row))


def on_chain(connection: sa.Connection, account_id: int) -> tuple[bytes, bytes]:
    """Where an account stands on the chain: its program's token, and its address there."""
    row = connection.execute(
        sa.select(program.c.token, account.c.address)
        .join(program, program.c.id == account.c.program_id)
        .where(account.c.id == account_id)
    ).one()
    return row.token, row.address


def posted(connection: sa.Connection, account_id: int) -> int:
    """What an account holds on the chain at the newest final block."""
    return int(
        connection.execute(
            sa.select(account.c.credits_posted - account.c.debits_posted).where(account.c.id == account_id)
        ).scalar_one()
    )


def of_member(connection: sa.Connection, member_id: str) -> list[Account]:
    """A member's accounts, the first one made first."""
    return _accounts(connection, [account.c.member_id == member_id])


def freeze(connection: sa.Connection, account_id: int) -> None:
    """Bar an account from spending, because ledger and chain disagree about it."""
    connection.execute(account.update().where(account.c.id == account_id).values(frozen=True))


def thaw(connection: sa.Connection, account_id: int) -> None:
    """Let a frozen account spend again; see `thaws` for what must be so before."""
    connection.execute(account.update().where(account.c.id == account_id).values(frozen=False))
    lots.look_again(connection, account_id)


def count_frozen(connection: sa.Connection) -> int:
    """How many accounts are barred from spending."""
    return connection.scalar(sa.select(sa.func.count()).select_from(account).where(account.c.frozen.is_(True))) or 0


def balance_of(row: sa.Row[tuple[object, ...]]) -> Balance:
    """The counters in a row of the account table."""
    return Balance(**{name: row._mapping[name] for name in COUNTERS})


def _accounts(connection: sa.Connection, where: list[sa.ColumnElement[bool]]) -> list[Account]:
    return [
        Account(
            id=row.id,
            program_id=row.program_id,
            member_id=row.member_id,
            reference=row.reference,
            address=row.address,
            frozen=row.frozen,
            balance=balance_of(row),
        )
        for row in connection.execute(sa.select(account).where(*where).order_by(account.c.id))
    ]
