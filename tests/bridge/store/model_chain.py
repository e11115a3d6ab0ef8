"""A chain to hold the ledger against: a dict of balances, and the frozen words executed in order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from bridge.store.batches import Batch
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.words import EntryKind, EntryWord

WORD = 32

#: A program's id, and the reference that owns the account in it or a wallet's address.
Holder = tuple[str, bytes]
Direction = tuple[str, str]


@dataclass(frozen=True)
class Agreed:
    """One version of a direction's terms."""

    version: int
    ratio: Ratio
    price: int


@dataclass(frozen=True)
class State:
    """All that a block leaves behind."""

    balances: Counter[Holder] = field(default_factory=Counter)
    sequences: Counter[str] = field(default_factory=Counter)
    positions: Counter[str] = field(default_factory=Counter)
    #: what every word did: (tag, program, amount), debits below zero
    effects: Counter[tuple[bytes, str, int]] = field(default_factory=Counter)

    def copy(self) -> "State":
        return replace(self, **{name: Counter(getattr(self, name)) for name in State.__dataclass_fields__})


class ModelChain:
    """Takes batches exactly as the contracts do: in sequence, skipping debits that are short."""

    def __init__(self, *, skips: bool = False) -> None:
        self.states = [State()]
        self.agreed: dict[Direction, Agreed] = {}
        #: the wallets of references, bound for good
        self.wallets: dict[Holder, bytes] = {}
        #: debits that it had to skip, over all
        self.short = 0
        self._skips = skips

    @property
    def number(self) -> int:
        return len(self.states) - 1

    @property
    def now(self) -> State:
        return self.states[-1]

    def takes(self, state: State, stream_key: str, batch: Batch, versions: Sequence[int]) -> bool:
        """Whether the contract would accept the batch: the next sequence, under the terms in force at every hop."""
        if batch.sequence != state.sequences[stream_key] + 1:
            return False
        return [one.version for one in self._hops(stream_key)] == list(versions)

    def _hops(self, stream_key: str) -> list[Agreed]:
        """The terms along a path; none for a program's own stream."""
        return [self.agreed[direction] for direction in pairwise(stream_key.split(">"))]

    def mine(self, taken: Sequence[tuple[str, Batch]]) -> list[set[int]]:
        """A block of these batches, each with its stream's key; which words were skipped of each."""
        state = self.now.copy()
        skipped = [self._execute(state, key, batch) for key, batch in taken]
        self.states.append(state)
        return skipped

    def hold(self, holder: Holder, amount: int, to: Holder | None, arriving: int) -> None:
        """A block in which a holder moves points of a wallet, to nowhere or elsewhere."""
        state = self.now.copy()
        state.balances[holder] -= amount
        assert state.balances[holder] >= 0, "the contract lets nobody move what is not there"
        if to is not None:
            state.balances[to] += arriving
        if to is not None and to[0] != holder[0]:
            owed = arriving * self.agreed[holder[0], to[0]].price
            state.positions[holder[0]] -= owed
            state.positions[to[0]] += owed
        self.states.append(state)

    def undo_above(self, number: int) -> None:
        del self.states[number + 1 :]

    def _execute(self, state: State, stream_key: str, batch: Batch) -> set[int]:
        state.sequences[stream_key] += 1
        assert batch.sequence == state.sequences[stream_key]
        words = [EntryWord.unpack(batch.calldata[at : at + WORD]) for at in range(0, len(batch.calldata), WORD)]
        do = _settle_leg if ">" in stream_key else _post_entry
        return {
            index for index, word in enumerate(words) if self._fancies(word) or not do(self, state, stream_key, word)
        }

    def _fancies(self, word: EntryWord) -> bool:
        """Whether it skips a debit for no reason: one in four, and another when it is mined again."""
        return self._skips and not word.kind.is_credit and (word.tag[0] + word.amount + len(self.states)) % 4 == 0


def _post_entry(chain: ModelChain, state: State, program_id: str, word: EntryWord) -> bool:
    change = word.amount if word.kind.is_credit else -word.amount
    moved = _move(chain, state, word, program_id, change)
    if moved and word.kind is EntryKind.RELEASE:
        state.balances[program_id, chain.wallets[program_id, word.reference]] += word.amount
    return moved


def _settle_leg(chain: ModelChain, state: State, path: str, word: EntryWord) -> bool:
    programs = path.split(">")
    if not _move(chain, state, word, programs[0], -word.amount):
        return False
    amount = word.amount
    for source, destination in pairwise(programs):
        agreed = chain.agreed[source, destination]
        amount = agreed.ratio.convert(amount)
        assert amount > 0, "the contract refuses a batch with a leg that gives nothing"
        state.positions[source] -= amount * agreed.price
        state.positions[destination] += amount * agreed.price
    _move(chain, state, word, programs[-1], amount)
    return True


def _move(chain: ModelChain, state: State, word: EntryWord, program_id: str, change: int) -> bool:
    holder = (program_id, word.reference)
    if state.balances[holder] + change < 0:
        chain.short += 1
        return False
    state.balances[holder] += change
    state.effects[word.tag, program_id, change] += 1
    return True


def agreed(version: int, ratio: tuple[int, int], price: int) -> Agreed:
    """Terms as the chain keeps them."""
    return Agreed(version, Ratio(Points(ratio[0]), Points(ratio[1])), price)
