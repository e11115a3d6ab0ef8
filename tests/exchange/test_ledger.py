"""Ledger rules: each step by itself, and all in any order against a chain that never lends."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange.errors import InsufficientPoints, PointsNotFinal
from exchange.ledger import Balance, Entry, LedgerAccount, balanced
from exchange.points import POINTS_MAX, Points

Step = Callable[[Balance, Points], Balance]


def balance(
    credits_pending: int = 0,
    credits_posted: int = 0,
    debits_pending: int = 0,
    debits_posted: int = 0,
    incoming_pending: int = 0,
    held: int = 0,
) -> Balance:
    return Balance(
        Points(credits_pending),
        Points(credits_posted),
        Points(debits_pending),
        Points(debits_posted),
        Points(incoming_pending),
        Points(held),
    )


@pytest.mark.parametrize(
    ("counters", "posted", "available", "swappable", "incoming"),
    [
        (balance(), 0, 0, 0, 0),
        (balance(credits_pending=5), 0, 5, 0, 0),
        (balance(0, 9, 0, 2), 7, 7, 7, 0),
        (balance(5, 9, 4, 2), 7, 8, 3, 0),
        (balance(5, 9, 10, 2), 7, 2, 0, 0),
        (balance(incoming_pending=6), 0, 0, 0, 6),
        (balance(0, 3, 3, 0, 4), 3, 0, 0, 4),
        (balance(5, 9, 4, 2, held=2), 7, 6, 1, 0),
        (balance(5, 9, 4, 2, held=8), 7, 0, 0, 0),
    ],
)
def test_balance__of_given_counters__says_what_can_be_spent(
    counters: Balance, posted: int, available: int, swappable: int, incoming: int
) -> None:
    assert (counters.posted, counters.available) == (posted, available)
    assert (counters.swappable, counters.incoming) == (swappable, incoming)


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (Balance.pend_credit, balance(), balance(credits_pending=3)),
        (Balance.pend_debit, balance(credits_posted=3), balance(credits_posted=3, debits_pending=3)),
        (Balance.pend_incoming, balance(), balance(incoming_pending=3)),
        (Balance.post_credit, balance(credits_pending=3), balance(credits_posted=3)),
        (
            Balance.post_debit,
            balance(credits_posted=3, debits_pending=3),
            balance(credits_posted=3, debits_posted=3),
        ),
        (Balance.post_incoming, balance(incoming_pending=3), balance(credits_posted=3)),
        (Balance.void_credit, balance(credits_pending=3), balance()),
        (Balance.void_debit, balance(credits_posted=3, debits_pending=3), balance(credits_posted=3)),
        (Balance.void_incoming, balance(incoming_pending=3), balance()),
        (Balance.hold, balance(credits_pending=3), balance(credits_pending=3, held=3)),
        (Balance.capture, balance(credits_pending=4, held=4), balance(credits_pending=4, debits_pending=3, held=1)),
        (Balance.let_go, balance(credits_pending=4, held=4), balance(credits_pending=4, held=1)),
    ],
)
def test_step__of_each_kind__moves_exactly_its_counters(step: Step, before: Balance, after: Balance) -> None:
    assert step(before, Points(3)) == after


@pytest.mark.parametrize("amount", [0, -1])
@pytest.mark.parametrize(
    "step",
    [
        getattr(Balance, f"{verb}_{what}")
        for verb in ("pend", "post", "void")
        for what in ("credit", "debit", "incoming")
    ]
    + [Balance.hold, Balance.capture, Balance.let_go],
)
def test_step__of_no_points__is_a_bug(step: Step, amount: int) -> None:
    with pytest.raises(AssertionError):
        step(balance(50, 90, 40, 20, 60, 10), Points(amount))


@pytest.mark.parametrize(
    ("step", "before"),
    [
        (Balance.post_credit, balance(credits_pending=2)),
        (Balance.post_debit, balance(credits_posted=9, debits_pending=2)),
        (Balance.post_debit, balance(credits_pending=9, debits_pending=3)),
        (Balance.post_incoming, balance(incoming_pending=2)),
        (Balance.void_credit, balance(credits_pending=2)),
        (Balance.void_credit, balance(credits_pending=9, debits_pending=3)),
        (Balance.void_debit, balance(credits_posted=9, debits_pending=2)),
        (Balance.void_incoming, balance(incoming_pending=2)),
        (Balance.void_credit, balance(credits_pending=9, held=3)),
        (Balance.capture, balance(credits_posted=9, held=2)),
        (Balance.let_go, balance(credits_posted=9, held=2)),
    ],
)
def test_step__that_would_go_below_nothing__is_a_bug(step: Step, before: Balance) -> None:
    with pytest.raises(AssertionError):
        step(before, Points(3))


@pytest.mark.parametrize(
    "counters",
    [
        {"credits_pending": -1},
        {"debits_pending": -1},
        {"debits_posted": 1},
        {"debits_posted": -1},
        {"incoming_pending": -1},
        {"held": -1},
    ],
)
def test_balance__with_a_counter_below_nothing__is_a_bug(counters: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        balance(**counters)


def test_balance__of_which_somebody_else_took_what_is_held__has_nothing_available() -> None:
    overdrawn = balance(credits_posted=2, debits_pending=3, incoming_pending=9)
    assert (overdrawn.available, overdrawn.swappable, overdrawn.posted) == (0, 0, 2)
    with pytest.raises(InsufficientPoints):
        overdrawn.pend_debit(Points(1))
    assert overdrawn.post_incoming(Points(1)).available == 0, "what comes in goes to the holds first"
    assert overdrawn.pend_incoming(Points(1)).incoming == 10, "other steps go on while it is overdrawn"


@pytest.mark.parametrize("other_stream", [False, True])
@pytest.mark.parametrize(("before", "nearest"), [(balance(2, 5, 1), 6), (balance(), None)])
def test_pend_debit__of_more_than_available__names_what_is(
    before: Balance, nearest: int | None, other_stream: bool
) -> None:
    with pytest.raises(InsufficientPoints) as refusal:
        before.pend_debit(Points(7), other_stream=other_stream)
    error = refusal.value
    assert (error.field, error.limit, error.nearest) == ("points", before.available, nearest)


@pytest.mark.parametrize(("before", "nearest"), [(balance(2, 5, 1, held=3), 3), (balance(held=0), None)])
def test_hold__of_more_than_available__names_what_is(before: Balance, nearest: int | None) -> None:
    with pytest.raises(InsufficientPoints) as refusal:
        before.hold(Points(4))
    error = refusal.value
    assert (error.field, error.limit, error.nearest) == ("points", before.available, nearest)


@pytest.mark.parametrize(("before", "nearest"), [(balance(2, 5, 1), 4), (balance(2, 5, held=1), 4), (balance(9), None)])
def test_pend_debit__of_queued_points_by_a_swap__names_what_is_final(before: Balance, nearest: int | None) -> None:
    with pytest.raises(PointsNotFinal) as refusal:
        before.pend_debit(Points(5), other_stream=True)
    error = refusal.value
    assert (error.field, error.limit, error.nearest) == ("points", before.swappable, nearest)
    assert before.pend_debit(Points(5)).debits_pending == before.debits_pending + 5


MEMBER_A = LedgerAccount("prg_a", "member")
ISSUED_A = LedgerAccount("prg_a", "issued")
MEMBER_B = LedgerAccount("prg_b", "member")
ISSUED_B = LedgerAccount("prg_b", "issued")


@pytest.mark.parametrize(
    ("entries", "verdict"),
    [
        ([], True),
        ([Entry(ISSUED_A, MEMBER_A, Points(5))], True),
        ([Entry(MEMBER_A, ISSUED_A, Points(4)), Entry(ISSUED_B, MEMBER_B, Points(3))], True),
        ([Entry(MEMBER_A, MEMBER_B, Points(4))], False),
        ([Entry(MEMBER_A, MEMBER_B, Points(4)), Entry(MEMBER_B, MEMBER_A, Points(3))], False),
        ([*(Entry(MEMBER_A, MEMBER_B, Points(each)) for each in (3, 4)), Entry(MEMBER_B, MEMBER_A, Points(7))], True),
    ],
)
def test_balanced__of_entries__looks_at_each_program_alone(entries: list[Entry], verdict: bool) -> None:
    assert balanced(entries) is verdict


@pytest.mark.parametrize("amount", [1, POINTS_MAX])
def test_entry__of_the_least_and_of_the_most__is_made(amount: int) -> None:
    assert Entry(ISSUED_A, MEMBER_A, Points(amount)).amount == amount


@pytest.mark.parametrize("amount", [0, -1, POINTS_MAX + 1])
def test_entry__of_no_amount__is_a_bug(amount: int) -> None:
    with pytest.raises(AssertionError):
        Entry(ISSUED_A, MEMBER_A, Points(amount))


def test_entry__of_an_account_with_itself__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        Entry(MEMBER_A, MEMBER_A, Points(1))


@dataclass(frozen=True)
class Item:
    """One accepted change of the account: a credit or debit of its own stream, a swap out, or a swap in."""

    kind: str
    amount: Points

    @property
    def sign(self) -> int:
        return 1 if self.kind in ("credit", "incoming") else -1

    @property
    def is_own(self) -> bool:
        return self.kind in ("credit", "debit")

    def on(self, balance: Balance, verb: str) -> Balance:
        counter = "debit" if self.kind == "swap" else self.kind
        step: Step = getattr(Balance, f"{verb}_{counter}")
        return step(balance, self.amount)


few = st.integers(1, 4).map(Points)


class LedgerMachine(RuleBasedStateMachine):
    """One account's counters beside a chain that mines what was accepted.

    The own stream is mined in order, a few entries at a time, credits first. Swaps overtake it as they like. The chain
    refuses to lend: a debit that finds too little fails the run. Until they are final, blocks can go: then the own
    stream's come back in their order, and swaps come back whenever they like. What a till holds is on no chain, and
    becomes a debit of the own stream when it is captured.
    """

    def __init__(self) -> None:
        super().__init__()
        self.balance = Balance()
        self.chain = 0
        self.queue: list[Item] = []
        self.swaps: list[Item] = []
        self.returning: list[list[Item]] = []
        self.blocks: list[list[Item]] = []
        self.final: list[Item] = []
        self.held = 0

    @rule(amount=few)
    def accept_credit(self, amount: Points) -> None:
        self.balance = self.balance.pend_credit(amount)
        self.queue.append(Item("credit", amount))

    @initialize(amount=few)
    def begin_with_final_points(self, amount: Points) -> None:
        self.accept_credit(amount)
        self.mine([self.queue.pop()])
        self.make_final(1)

    @rule(data=st.data())
    def accept_debit(self, data: st.DataObject) -> None:
        available = self.balance.available
        amount = Points(data.draw(st.integers(1, available + 1)))
        try:
            self.balance = self.balance.pend_debit(amount)
        except InsufficientPoints:
            assert amount > available
        else:
            self.queue.append(Item("debit", amount))

    @rule(data=st.data())
    def accept_swap_out(self, data: st.DataObject) -> None:
        swappable = self.balance.swappable
        amount = Points(data.draw(st.integers(1, self.balance.available + 1)))
        try:
            self.balance = self.balance.pend_debit(amount, other_stream=True)
        except (InsufficientPoints, PointsNotFinal):
            assert amount > swappable
        else:
            self.swaps.append(Item("swap", amount))

    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        available = self.balance.available
        amount = Points(data.draw(st.integers(1, available + 1)))
        try:
            self.balance = self.balance.hold(amount)
        except InsufficientPoints:
            assert amount > available
        else:
            self.held += amount

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def capture(self, data: st.DataObject) -> None:
        amount = Points(data.draw(st.integers(1, self.held)))
        available = self.balance.available
        self.balance = self.balance.capture(amount)
        assert self.balance.available == available, "a capture takes what was taken already"
        self.held -= amount
        self.queue.append(Item("debit", amount))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        amount = Points(data.draw(st.integers(1, self.held)))
        available = self.balance.available
        self.balance = self.balance.let_go(amount)
        assert self.balance.available == available + amount
        self.held -= amount

    @rule(amount=few)
    def accept_swap_in(self, amount: Points) -> None:
        self.balance = self.balance.pend_incoming(amount)
        self.swaps.append(Item("incoming", amount))

    @precondition(lambda self: self.queue or self.returning)
    @rule(data=st.data())
    def mine_own_stream(self, data: st.DataObject) -> None:
        if self.returning:
            self.mine(self.returning.pop(0))
            return
        size = data.draw(st.integers(1, len(self.queue)))
        batch, self.queue = self.queue[:size], self.queue[size:]
        self.mine(sorted(batch, key=lambda item: -item.sign))

    @precondition(lambda self: self.swaps)
    @rule(data=st.data())
    def mine_swaps(self, data: st.DataObject) -> None:
        order = data.draw(st.permutations(self.swaps))
        size = data.draw(st.integers(1, len(order)))
        self.swaps = order[size:]
        for item in order[:size]:
            self.mine([item])

    @precondition(lambda self: self.blocks)
    @rule(data=st.data())
    def finalise(self, data: st.DataObject) -> None:
        self.make_final(data.draw(st.integers(1, len(self.blocks))))

    @precondition(lambda self: self.blocks)
    @rule(data=st.data())
    def reorganise(self, data: st.DataObject) -> None:
        kept = data.draw(st.integers(0, len(self.blocks) - 1))
        gone, self.blocks = self.blocks[kept:], self.blocks[:kept]
        own = [block for block in gone if block[0].is_own]
        self.returning = own + self.returning
        self.swaps += [item for block in gone if not block[0].is_own for item in block]
        self.chain -= sum(item.sign * item.amount for block in gone for item in block)

    @precondition(lambda self: self.queue or self.swaps)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.queue + self.swaps))
        if item.kind == "credit" and self.balance.debits_pending + self.held > self.balance.posted:
            with pytest.raises(AssertionError):
                item.on(self.balance, "void")
            return
        self.balance = item.on(self.balance, "void")
        (self.swaps if item in self.swaps else self.queue).remove(item)

    def mine(self, block: list[Item]) -> None:
        for item in block:
            self.chain += item.sign * item.amount
            assert self.chain >= 0, f"{item} finds too little"
        self.blocks.append(block)

    def make_final(self, count: int) -> None:
        for block in self.blocks[:count]:
            for item in block:
                self.balance = item.on(self.balance, "post")
                self.final.append(item)
        del self.blocks[:count]

    @invariant()
    def counters_say_what_was_accepted_and_what_is_final(self) -> None:
        waiting = self.queue + self.swaps + [item for block in self.returning + self.blocks for item in block]
        assert self.balance == balance(
            sum(item.amount for item in waiting if item.kind == "credit"),
            sum(item.amount for item in self.final if item.sign > 0),
            sum(item.amount for item in waiting if item.sign < 0),
            sum(item.amount for item in self.final if item.sign < 0),
            sum(item.amount for item in waiting if item.kind == "incoming"),
            self.held,
        )
        mined = sum(item.sign * item.amount for block in self.blocks for item in block)
        assert self.balance.posted + mined == self.chain

    @invariant()
    def nothing_is_negative_and_a_swap_gets_no_more_than_the_own_stream(self) -> None:
        assert 0 <= self.balance.swappable <= self.balance.available
        assert self.balance.swappable <= self.balance.posted


LedgerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase
