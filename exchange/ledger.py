"""Ledger rules: pending and posted counters of one account, and double entries.

A counter only ever says what was: pending is what the ledger has accepted, posted is what is final on the chain. What a
till has authorised and not captured yet is held. Each step gives a new `Balance`. What stands in a block that may still
be reorganised away is pending, so that no block needs to be undone here.

Two orders matter on chain. One program's entries are posted in the order in which they were accepted, so a
debit of the own stream may count on credits that stand in the queue before it. A swap leaves by another
stream that may overtake the queue, so it counts on nothing but what is final. What a swap brings counts once it
is final.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from exchange.errors import InsufficientPoints, PointsNotFinal
from exchange.points import POINTS_MAX, ZERO, Points


@dataclass(frozen=True, slots=True)
class Balance:
    """The counters of one account, in points.

    They never fall below zero, nor does what is posted: a step that would make them do so is a bug and fails an
    assertion. Holds never exceed what is there, but for an account of which the chain tells that somebody else took
    points that are held here: nothing of it is available.
    """

    credits_pending: Points = ZERO
    credits_posted: Points = ZERO
    debits_pending: Points = ZERO
    debits_posted: Points = ZERO
    incoming_pending: Points = ZERO
    held: Points = ZERO

    def __post_init__(self) -> None:
        assert self.credits_pending >= 0, "more credits left the queue than entered it"
        assert self.debits_pending >= 0, "more debits left the queue than entered it"
        assert self.debits_posted >= 0, "a debit took less than nothing"
        assert self.incoming_pending >= 0, "more swaps came in than were expected"
        assert self.held >= 0, "more was captured or let go than a till held"
        assert self.credits_posted >= self.debits_posted, "the posted balance is never negative"

    @property
    def posted(self) -> Points:
        """What the chain's `balanceOf` says at the newest final block."""
        return Points(self.credits_posted - self.debits_posted)

    @property
    def available(self) -> Points:
        """What the own stream may still take: queued credits count, pending debits and what tills hold do not."""
        return Points(max(0, self.posted + self.credits_pending - self._taken))

    @property
    def swappable(self) -> Points:
        """What another stream may still take: only final points that nothing holds."""
        return Points(max(0, self.posted - self._taken))

    @property
    def incoming(self) -> Points:
        """What swaps are about to bring; not to be spent before it is final."""
        return self.incoming_pending

    def pend_credit(self, amount: Points) -> "Balance":
        """A credit of the own stream is accepted."""
        return self._moved(amount, credits_pending=1)

    def pend_debit(self, amount: Points, *, other_stream: bool = False) -> "Balance":
        """A debit is accepted and its points are held; `other_stream` says that it leaves by a swap.

        Raises `InsufficientPoints` when more is asked than is available, and `PointsNotFinal` when a
        swap asks for points that are available but not final.
        """
        self._require_available(amount)
        if other_stream and amount > self.swappable:
            raise PointsNotFinal(
                f"only {self.swappable:,} points are final and free for a swap",
                field="points",
                limit=self.swappable,
                nearest=self.swappable or None,
            )
        return self._moved(amount, debits_pending=1)

    def hold(self, amount: Points) -> "Balance":
        """A till holds points, to capture them later. Raises `InsufficientPoints` when fewer are available."""
        self._require_available(amount)
        return self._moved(amount, held=1)

    def capture(self, amount: Points) -> "Balance":
        """A debit is accepted of points that were held for it."""
        return self._moved(amount, held=-1, debits_pending=1)

    def let_go(self, amount: Points) -> "Balance":
        """Held points are free again."""
        return self._moved(amount, held=-1)

    def pend_incoming(self, amount: Points) -> "Balance":
        """A swap that will bring points here is accepted."""
        return self._moved(amount, incoming_pending=1)

    def post_credit(self, amount: Points) -> "Balance":
        """A pending credit is final."""
        return self._moved(amount, credits_pending=-1, credits_posted=1)

    def post_debit(self, amount: Points) -> "Balance":
        """A pending debit is final."""
        return self._moved(amount, debits_pending=-1, debits_posted=1)

    def post_incoming(self, amount: Points) -> "Balance":
        """What a swap brought is final, and from now on like any posted credit."""
        return self._moved(amount, incoming_pending=-1, credits_posted=1)

    def void_credit(self, amount: Points) -> "Balance":
        """A pending credit will never be posted; not to be done while a hold counts on queued credits.

        The counters do not say which credit a hold counts on, so every hold must be covered by what is
        final: otherwise a debit could come up in its stream before the credit that it still has.
        """
        assert self._taken <= self.posted, "a hold may count on the credit that is voided"
        return self._moved(amount, credits_pending=-1)

    def void_debit(self, amount: Points) -> "Balance":
        """A pending debit will never be posted: its hold is given back."""
        return self._moved(amount, debits_pending=-1)

    def void_incoming(self, amount: Points) -> "Balance":
        """An expected swap will never arrive."""
        return self._moved(amount, incoming_pending=-1)

    def _moved(
        self,
        amount: Points,
        *,
        credits_pending: int = 0,
        credits_posted: int = 0,
        debits_pending: int = 0,
        debits_posted: int = 0,
        incoming_pending: int = 0,
        held: int = 0,
    ) -> "Balance":
        """`amount` added to the counters given as 1 and taken from those given as -1."""
        assert amount > 0, "a step moves a positive amount"
        made = Balance(
            Points(self.credits_pending + credits_pending * amount),
            Points(self.credits_posted + credits_posted * amount),
            Points(self.debits_pending + debits_pending * amount),
            Points(self.debits_posted + debits_posted * amount),
            Points(self.incoming_pending + incoming_pending * amount),
            Points(self.held + held * amount),
        )
        assert made._covered or not self._covered, "more is held than there will be"
        return made

    @property
    def _covered(self) -> bool:
        return self.posted + self.credits_pending >= self._taken

    @property
    def _taken(self) -> int:
        return self.debits_pending + self.held

    def _require_available(self, amount: Points) -> None:
        if amount > self.available:
            raise InsufficientPoints(
                f"{self.available:,} points are available",
                field="points",
                limit=self.available,
                nearest=self.available or None,
            )


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """One account of one program's books: a member's, or one of the program's own such as what it issued."""

    program: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Points that leave one account and reach another, so what is debited is always credited."""

    debit_account: LedgerAccount
    credit_account: LedgerAccount
    amount: Points

    def __post_init__(self) -> None:
        assert 0 < self.amount <= POINTS_MAX, "an entry moves from 1 to POINTS_MAX points"
        assert self.debit_account != self.credit_account, "an entry moves points between two accounts"


def balanced(entries: Iterable[Entry]) -> bool:
    """Whether each program's debits equal its credits: one program's points never make up for another's."""
    sums: Counter[str] = Counter()
    for entry in entries:
        sums[entry.credit_account.program] += entry.amount
        sums[entry.debit_account.program] -= entry.amount
    return not any(sums.values())
