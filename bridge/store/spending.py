"""Holding points: which accounts and lots a debit takes from, and the rows that hold them.

Redemptions and swaps share this. A member may own several accounts; the points that expire first go first, whichever
account they are in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from bridge.store import accounts, lots
from bridge.store.accounts import Account
from exchange.eligibility import may_go
from exchange.errors import CannotSplit, InsufficientPoints, NotEligible
from exchange.legs import ACCOUNTS_MAX
from exchange.lots import Lot, Take, spend, spendable
from exchange.points import Points
from exchange.rules import Eligible


@dataclass(frozen=True, slots=True)
class Purse:
    """A member's accounts that are not frozen, with their spendable lots and what each account has to spend."""

    accounts: list[Account]
    lots: dict[int, list[Lot[int]]]
    held: dict[int, Points]
    now_s: int

    @property
    def spendable(self) -> Points:
        """What the program's own stream may take: neither expired nor held."""
        return Points(sum(self.held.values()))

    @property
    def swappable(self) -> Points:
        """What a swap may take: final on the chain as well."""
        return Points(sum(self.swappable_in(one) for one in self.accounts))

    def swappable_in(self, one: Account) -> Points:
        """What a swap may take from one account."""
        return Points(min(one.balance.swappable, self.held[one.id]))

    def going(self, eligible: Eligible) -> "Purse":
        """Only what the terms let go in a swap, and what may be swapped on at all."""
        left = {account_id: may_go(held, eligible, self.now_s) for account_id, held in self.lots.items()}
        return replace(self, lots=left, held={each: spendable(held, self.now_s) for each, held in left.items()})

    def first_expiring(self) -> list[Account]:
        """The accounts in the order in which their points expire."""
        return sorted(self.accounts, key=lambda one: (self._first_expiry(one), one.id))

    def take(self, amount: Points) -> dict[int, list[Take[int]]]:
        """What `amount` is made of, by account. Raises InsufficientPoints."""
        owner = {lot.id: account_id for account_id, held in self.lots.items() for lot in held}
        taken: dict[int, list[Take[int]]] = {}
        try:
            takes = spend([lot for held in self.lots.values() for lot in held], amount, self.now_s)
        except InsufficientPoints:
            raise self.short(amount) from None
        for one in takes:
            taken.setdefault(owner[one.lot_id], []).append(one)
        if len(taken) > ACCOUNTS_MAX:
            nearest = sum(one.amount for takes in list(taken.values())[:ACCOUNTS_MAX] for one in takes)
            raise CannotSplit(
                f"the points lie in {len(taken)} accounts, and one operation takes from {ACCOUNTS_MAX} at the most",
                field="points",
                limit=ACCOUNTS_MAX,
                nearest=nearest,
            )
        return taken

    def take_from(self, account_id: int, amount: Points) -> list[Take[int]]:
        """What `amount` is made of within one account."""
        return spend(self.lots[account_id], amount, self.now_s)

    def short(self, amount: int, field: str = "points") -> InsufficientPoints:
        """The refusal of more than is there."""
        there = self.spendable
        return InsufficientPoints(
            f"{amount:,} points were asked for, {there:,} are available",
            field=field,
            limit=there,
            nearest=there or None,
        )

    def too_few(self, amount: int, field: str) -> NotEligible:
        """The refusal of more than may go, of a purse that holds only what may."""
        there = self.spendable
        return NotEligible(
            f"{amount:,} points are needed, and only {there:,} may be swapped under these terms: others are too young,"
            " too old, or were received by a swap",
            field=field,
            limit=there,
            nearest=there or None,
        )

    def _first_expiry(self, one: Account) -> float:
        live = [
            lot.expires_at for lot in self.lots[one.id] if lot.expires_at is not None and lot.expires_at > self.now_s
        ]
        return min(live, default=float("inf"))


def purse(connection: sa.Connection, member_id: str, now_ms: int) -> Purse:
    """What a member has to spend now."""
    now_s = now_ms // 1000
    usable = [one for one in accounts.of_member(connection, member_id) if not one.frozen]
    found = lots.spendable(connection, [one.id for one in usable])
    for one in usable:
        assert sum(lot.remaining for lot in found[one.id]) == one.balance.available, (
            f"the lots of account {one.id} do not sum to its available balance"
        )
    return Purse(usable, found, {one.id: spendable(found[one.id], now_s) for one in usable}, now_s)


def hold(connection: sa.Connection, operation_id: str, taken: Sequence[tuple[int, list[Take[int]]]]) -> None:
    """Take these points out of their lots, remembered for the operation."""
    lots.take(connection, operation_id, [one for _, takes in taken for one in takes])
