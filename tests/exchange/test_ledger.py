"""Ledger rules: each step by itself, and all in any order against a chain that never lends."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange.errors import InsufficientPoints, PointsNotConfirmed
from exchange.ledger import Balance, Entry, LedgerAccount, balanced
from exchange.points import POINTS_MAX, Points

Step = Callable[[Balance, Points], Balance]


def balance(
    credits_pending: int = 0,
    credits_posted: int = 0,
    debits_pending: int = 0,
    debits_posted: int = 0,
    incoming_pending: int = 0,
) -> Balance:
    return Balance(
        Points(credits_pending),
        Points(credits_posted),
        Points(debits_pending),
        Points(debits_posted),
        Points(incoming_pending),
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
        (balance(0, 3, 5, 0, 4), 3, 0, 0, 4),
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
    ],
)
def test_step__of_each_kind__moves_exactly_its_counters(step: Step, before: Balance, after: Balance) -> None:
    assert step(before, Points(3)) == after


@pytest.mark.parametrize(
    ("post", "unpost"),
    [
        (Balance.post_credit, Balance.unpost_credit),
        (Balance.post_debit, Balance.unpost_debit),
        (Balance.post_incoming, Balance.unpost_incoming),
    ],
)
def test_unpost__after_post__is_the_balance_before(post: Step, unpost: Step) -> None:
    before = balance(5, 9, 4, 2, 6)
    assert unpost(post(before, Points(3)), Points(3)) == before


@pytest.mark.parametrize("amount", [0, -1])
@pytest.mark.parametrize(
    "step",
    [
        getattr(Balance, f"{verb}_{what}")
        for verb in ("pend", "post", "void", "unpost")
        for what in ("credit", "debit", "incoming")
    ],
)
def test_step__of_no_points__is_a_bug(step: Step, amount: int) -> None:
    with pytest.raises(AssertionError):
        step(balance(50, 90, 40, 20, 60), Points(amount))


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
        (Balance.unpost_credit, balance(credits_posted=2)),
        (Balance.unpost_credit, balance(credits_posted=9, debits_posted=7)),
        (Balance.unpost_debit, balance(credits_posted=9, debits_posted=2)),
        (Balance.unpost_incoming, balance(credits_posted=9, debits_posted=7)),
    ],
)
def test_step__that_would_go_below_nothing__is_a_bug(step: Step, before: Balance) -> None:
    with pytest.raises(AssertionError):
        step(before, Points(3))


@pytest.mark.parametrize(
    "counters",
    [{"credits_pending": -1}, {"debits_pending": -1}, {"debits_posted": 1}, {"incoming_pending": -1}],
)
def test_balance__with_a_counter_below_nothing__is_a_bug(counters: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        balance(**counters)


@pytest.mark.parametrize("other_stream", [False, True])
@pytest.mark.parametrize(("before", "nearest"), [(balance(2, 5, 1), 6), (balance(), None)])
def test_pend_debit__of_more_than_available__names_what_is(
    before: Balance, nearest: int | None, other_stream: bool
) -> None:
    with pytest.raises(InsufficientPoints) as refusal:
        before.pend_debit(Points(7), other_stream=other_stream)
    error = refusal.value
    assert (error.field, error.limit, error.nearest) == ("points", before.available, nearest)


@pytest.mark.parametrize(("before", "nearest"), [(balance(2, 5, 1), 4), (balance(9), None)])
def test_pend_debit__of_queued_points_by_a_swap__names_what_is_confirmed(before: Balance, nearest: int | None) -> None:
    with pytest.raises(PointsNotConfirmed) as refusal:
        before.pend_debit(Points(5), other_stream=True)
    error = refusal.value
    assert (error.field, error.limit, error.nearest) == ("points", before.swappable, nearest)
    assert before.pend_debit(Points(5)).debits_pending == before.debits_pending + 5


def test_available__when_a_swap_already_spent_is_taken_back__is_nothing_until_it_returns() -> None:
    spent = balance(incoming_pending=5).post_incoming(Points(5)).pend_debit(Points(5))
    undone = spent.unpost_incoming(Points(5))
    assert (undone.available, undone.swappable, undone.incoming) == (0, 0, 5)
    assert undone.post_incoming(Points(5)).post_debit(Points(5)).posted == 0


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
    ],
)
def test_balanced__of_entries__looks_at_each_program_alone(entries: list[Entry], verdict: bool) -> None:
    assert balanced(entries) is verdict


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

    def on(self, balance: Balance, verb: str) -> Balance:
        counter = "debit" if self.kind == "swap" else self.kind
        step: Step = getattr(Balance, f"{verb}_{counter}")
        return step(balance, self.amount)


few = st.integers(1, 4).map(Points)


class LedgerMachine(RuleBasedStateMachine):
    """One account's counters beside a chain that posts what was accepted.

    The own stream is posted in order, a few entries at a time, credits first. Swaps overtake it as they
    like. The chain refuses to lend: a debit that finds too little fails the run. Blocks can be undone, and
    come back in the order they had.
    """

    def __init__(self) -> None:
        super().__init__()
        self.balance = Balance()
        self.chain = 0
        self.queue: list[Item] = []
        self.swaps: list[Item] = []
        self.blocks: list[list[Item]] = []
        self.undone: list[list[Item]] = []

    @rule(amount=few)
    def accept_credit(self, amount: Points) -> None:
        self.balance = self.balance.pend_credit(amount)
        self.queue.append(Item("credit", amount))

    @initialize(amount=few)
    def begin_with_confirmed_points(self, amount: Points) -> None:
        self.accept_credit(amount)
        self.mine([self.queue.pop()])

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
        except (InsufficientPoints, PointsNotConfirmed):
            assert amount > swappable
        else:
            self.swaps.append(Item("swap", amount))

    @rule(amount=few)
    def accept_swap_in(self, amount: Points) -> None:
        self.balance = self.balance.pend_incoming(amount)
        self.swaps.append(Item("incoming", amount))

    @precondition(lambda self: self.queue and not self.undone)
    @rule(data=st.data())
    def post_own_stream(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(1, len(self.queue)))
        batch, self.queue = self.queue[:size], self.queue[size:]
        self.mine(sorted(batch, key=lambda item: -item.sign))

    @precondition(lambda self: self.swaps and not self.undone)
    @rule(data=st.data())
    def post_swaps(self, data: st.DataObject) -> None:
        order = data.draw(st.permutations(self.swaps))
        size = data.draw(st.integers(1, len(order)))
        self.swaps = order[size:]
        for item in order[:size]:
            self.mine([item])

    @precondition(lambda self: self.blocks and not self.undone)
    @rule(data=st.data())
    def reorganise(self, data: st.DataObject) -> None:
        depth = data.draw(st.integers(1, min(3, len(self.blocks))))
        for _ in range(depth):
            block = self.blocks.pop()
            for item in reversed(block):
                self.balance = item.on(self.balance, "unpost")
                self.chain -= item.sign * item.amount
            self.undone.insert(0, block)

    @precondition(lambda self: self.undone)
    @rule()
    def mine_again(self) -> None:
        self.mine(self.undone.pop(0))

    @precondition(lambda self: self.queue or self.swaps)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.queue + self.swaps))
        if item.kind == "credit" and self.balance.debits_pending > self.balance.posted:
            with pytest.raises(AssertionError):
                item.on(self.balance, "void")
            return
        self.balance = item.on(self.balance, "void")
        (self.swaps if item in self.swaps else self.queue).remove(item)

    def mine(self, block: list[Item]) -> None:
        for item in block:
            self.chain += item.sign * item.amount
            assert self.chain >= 0, f"{item} finds too little"
            self.balance = item.on(self.balance, "post")
        self.blocks.append(block)

    @invariant()
    def counters_say_what_was_accepted_and_what_the_chain_has(self) -> None:
        waiting = self.queue + self.swaps + [item for block in self.undone for item in block]
        mined = [item for block in self.blocks for item in block]
        assert self.balance == balance(
            sum(item.amount for item in waiting if item.kind == "credit"),
            sum(item.amount for item in mined if item.sign > 0),
            sum(item.amount for item in waiting if item.sign < 0),
            sum(item.amount for item in mined if item.sign < 0),
            sum(item.amount for item in waiting if item.kind == "incoming"),
        )
        assert self.balance.posted == self.chain

    @invariant()
    def nothing_is_negative_and_a_swap_gets_no_more_than_the_own_stream(self) -> None:
        assert 0 <= self.balance.swappable <= self.balance.available
        assert self.balance.swappable <= self.balance.posted


LedgerMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase
