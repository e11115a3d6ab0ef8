"""Reversals against a twin that counts point by point: whatever is earned, spent, taken back, expired or owed.

The twin has no lots and no sums. Each point is a thing of its own that knows from which earn it is and where it went.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bridge.store import audit, debts, freezing, programs, spending
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import account, lot
from exchange.errors import InsufficientPoints, MoreThanOriginal, NotReversible, PointsSpent, SarrafError
from tests.bridge.store.databases import SqliteTemplate
from tests.bridge.store.ledgers import DAY_MS, Ledger, earn_of

EXPIRY_DAYS = 30
#: Where a point is: spendable by its owner unless it is too old, spent by a redemption, expired and taken, or burned.
HERE, EXPIRED, BURNED = "here", "expired", "burned"


@dataclass
class Point:
    """One point: of which earn, when its time is over, and where it is."""

    earn: str
    owner: str
    expires_ms: int
    at: str = HERE
    #: expired, and a reversal of its earn has counted it as taken back
    counted: bool = False


@dataclass
class Twin:
    """All points there ever were, what members owe, and of each operation how much there was and is reversed."""

    points: list[Point] = field(default_factory=list)
    debt: dict[str, int] = field(default_factory=dict)
    limit: int = 0
    whole: dict[str, int] = field(default_factory=dict)
    reversed: dict[str, int] = field(default_factory=dict)
    #: of each earn what its reversals made a debt, but for what expired of it since
    owed: Counter[str] = field(default_factory=Counter)
    final: set[str] = field(default_factory=set)

    def spendable(self, who: str, now_ms: int) -> list[Point]:
        """First-expiring first; points of one earn are as good as each other."""
        alive = [one for one in self.points if one.owner == who and one.at == HERE and one.expires_ms > now_ms]
        return sorted(alive, key=lambda one: one.expires_ms)

    def earn(self, earn_id: str, who: str, amount: int, now_ms: int) -> None:
        self.whole[earn_id] = amount
        for _ in range(amount):
            owing = self.debt.get(who, 0) > 0
            self.debt[who] = self.debt.get(who, 0) - owing
            at = BURNED if owing else HERE
            self.points.append(Point(earn_id, who, now_ms + EXPIRY_DAYS * DAY_MS, at))

    def redeem(self, redemption_id: str, who: str, amount: int, now_ms: int) -> None:
        self.whole[redemption_id] = amount
        for one in self.spendable(who, now_ms)[:amount]:
            one.at = redemption_id

    def expire(self, now_ms: int) -> None:
        for one in self.points:
            if one.at == HERE and one.expires_ms <= now_ms:
                one.at = EXPIRED
                if self.owed[one.earn] and self.debt.get(one.owner, 0) > 0:
                    one.counted = True
                    self.owed[one.earn] -= 1
                    self.debt[one.owner] -= 1

    def left(self, operation_id: str) -> int:
        return self.whole[operation_id] - self.reversed.get(operation_id, 0)

    def give_back(self, redemption_id: str, who: str, amount: int, now_ms: int) -> None:
        spent = [one for one in self.points if one.at == redemption_id]
        back = sorted(spent, key=lambda one: one.expires_ms, reverse=True)[:amount]
        assert len(back) == amount
        self.reversed[redemption_id] = self.reversed.get(redemption_id, 0) + amount
        for one in back:
            one.at = HERE
        for one in sorted(back, key=lambda one: one.expires_ms):
            if one.expires_ms > now_ms and self.debt.get(who, 0) > 0:
                one.at = BURNED
                self.debt[who] -= 1

    def can_take(self, earn_id: str, who: str, now_ms: int) -> int:
        """How many points of an earn could be taken back at the most, were they all to be."""
        sources = self._sources(earn_id, who, now_ms)
        return len(sources) + max(0, self.limit - max(0, self.debt.get(who, 0)))

    def take_back(self, earn_id: str, who: str, amount: int, now_ms: int) -> None:
        sources = self._sources(earn_id, who, now_ms)[:amount]
        self.reversed[earn_id] = self.reversed.get(earn_id, 0) + amount
        for one in sources:
            if one.at == EXPIRED:
                one.counted = True
            else:
                one.at = BURNED
        self.debt[who] = self.debt.get(who, 0) + amount - len(sources)
        self.owed[earn_id] += amount - len(sources)

    def _sources(self, earn_id: str, who: str, now_ms: int) -> list[Point]:
        own = [one for one in self.points if one.earn == earn_id]
        expired = [one for one in own if one.at == EXPIRED and not one.counted]
        there = [one for one in own if one.at == HERE]
        return expired + there + [one for one in self.spendable(who, now_ms) if one.earn != earn_id]


ACTIONS = st.sampled_from(
    [
        "earn",
        "earn",
        "bulk",
        "redeem",
        "redeem",
        "reverse",
        "reverse",
        "reverse",
        "wait",
        "keep",
        "limit",
        "post",
        "post",
    ]
)
some = st.integers(0, 1_000)


class Play:
    """The ledger and its twin, side by side."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.air: Program = ledger.named("AIR")
        self.members: list[Member] = [ledger.member(self.air, name) for name in ("ann", "ben")]
        self.twin = Twin()
        self.owner: dict[str, Member] = {}
        self.redemptions: set[str] = set()
        self.limit(40)

    def earn(self, who: int, amount: int, _: int) -> None:
        chosen, wanted = self.members[who % 2], 1 + amount % 40
        earn_id = self.ledger.earn(chosen, wanted)
        self.owner[earn_id] = chosen
        self.twin.earn(earn_id, chosen.id, wanted, self.ledger.now_ms)

    def bulk(self, many: int, amount: int, _: int) -> None:
        requests = [
            earn_of(self.members[place % 2], 1 + (amount + place) % 9, self.ledger.key()) for place in range(many % 5)
        ]
        for asked, answer in zip(requests, self.ledger.earn_many(self.air.id, requests), strict=True):
            assert answer.operation_id is not None and asked.points is not None and asked.member_id is not None
            self.owner[answer.operation_id] = next(one for one in self.members if one.id == asked.member_id)
            self.twin.earn(answer.operation_id, asked.member_id, asked.points, self.ledger.now_ms)

    def redeem(self, who: int, amount: int, _: int) -> None:
        chosen = self.members[who % 2]
        there = len(self.twin.spendable(chosen.id, self.ledger.now_ms))
        wanted = there if amount % 3 == 0 and there else 1 + amount % (there + 2)
        if wanted > there:
            with pytest.raises(InsufficientPoints):
                self.ledger.redeem(chosen, wanted)
            return
        redemption_id = self.ledger.redeem(chosen, wanted)
        self.owner[redemption_id] = chosen
        self.redemptions.add(redemption_id)
        self.twin.redeem(redemption_id, chosen.id, wanted, self.ledger.now_ms)

    def reverse(self, which: int, amount: int, whole: int) -> None:
        """Any earn or redemption, in part or whole, and seldom more than is left."""
        found = [one for one in self.owner if (one in self.redemptions) == bool(which % 2)]
        if not found:
            return
        operation_id = found[which // 2 % len(found)]
        left = self.twin.left(operation_id)
        if which % 2 and operation_id not in self.twin.final:
            with pytest.raises(NotReversible):
                self.ledger.reverse(operation_id)
            return
        asked = None if whole % 3 == 0 else 1 + amount % (left + 1)
        wanted = left if asked is None else asked
        who, now_ms = self.owner[operation_id].id, self.ledger.now_ms
        is_earn = operation_id not in self.redemptions
        most = min(left, self.twin.can_take(operation_id, who, now_ms)) if is_earn else left
        if wanted > most or left == 0:
            refusal: type[SarrafError] = MoreThanOriginal if wanted > left or left == 0 else PointsSpent
            with pytest.raises(refusal) as refused:
                self.ledger.reverse(operation_id, asked)
            assert refused.value.limit == (left if refusal is MoreThanOriginal else most)
            return
        key = self.ledger.key()
        made = self.ledger.reverse(operation_id, asked, key)
        (self.twin.take_back if is_earn else self.twin.give_back)(operation_id, who, wanted, now_ms)
        assert (made.points, self.ledger.reverse(operation_id, asked, key).id) == (wanted, made.id)

    def wait(self, days: int, *_: int) -> None:
        self.ledger.now_ms += (1 + days % 17) * DAY_MS

    def keep(self, *_: int) -> None:
        self.ledger.keep()
        self.twin.expire(self.ledger.now_ms)

    def limit(self, limit: int, *_: int) -> None:
        self.twin.limit = limit % 60
        self.ledger.do(programs.may_be_owed, self.air.id, self.twin.limit)

    def post(self, *_: int) -> None:
        if self.ledger.ask(freezing.waiting_streams):
            self.ledger.post(self.air)
        self.twin.final |= self.redemptions

    def agrees(self) -> None:
        for who in self.members:
            purse = self.ledger.ask(spending.purse, who.id, self.ledger.now_ms)
            assert purse.spendable == len(self.twin.spendable(who.id, self.ledger.now_ms))
            here = Counter(one.expires_ms for one in self.twin.points if one.owner == who.id and one.at == HERE)
            assert self.ledger.ask(_by_expiry, who) == here
            assert self.ledger.owed(who) == self.twin.debt.get(who.id, 0)

    def ends(self) -> None:
        """Once all is on the chain, it has what is here, and nobody owes what is not owed."""
        self.post()
        snapshot = self.ledger.ask(audit.snapshot)
        assert snapshot is not None
        books = next(one for one in snapshot.books if one.program.id == self.air.id)
        assert books.ledger == sum(one.at == HERE for one in self.twin.points)
        assert books.owed == self.ledger.ask(debts.of_program, self.air.id) == sum(self.twin.debt.values())


def _by_expiry(connection: sa.Connection, who: Member) -> Counter[int]:
    found: Counter[int] = Counter()
    query = sa.select(lot.c.expires_ms, lot.c.remaining).join(account, account.c.id == lot.c.account_id)
    for row in connection.execute(query.where(account.c.member_id == who.id, lot.c.remaining > 0)):
        found[row.expires_ms] += row.remaining
    return found


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(acts=st.lists(st.tuples(ACTIONS, some, some, some), min_size=20, max_size=40))
def test_ledger__whatever_is_earned_spent_and_taken_back__agrees_with_the_twin_point_by_point(
    template: Path, acts: list[tuple[str, int, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        copy = SqliteTemplate.copy(template, Path(directory))
        ledger = Ledger(copy.open())
        try:
            play = Play(ledger)
            for action, *drawn in acts:
                getattr(play, action)(*drawn)
                play.agrees()
            play.ends()
        finally:
            ledger.close()
            copy.close()
