"""The simulated network: a chain with a mempool, miners who choose by fee, and reorganisations.

The contracts are those of the posting tests' chain in memory. Here stands what surrounds them: nonces and fees, what
admins do at their own desks, and the count of what every word did, straight from the words of the canonical chain.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from random import Random
from typing import Any

from bridge.chain import contracts
from bridge.chain.abi import selector
from bridge.chain.contracts import Bounds, Limit
from bridge.chain.errors import RpcRefused
from bridge.chain.events import (
    SHAPES,
    CapsLowered,
    CreditChanged,
    Event,
    LegSkipped,
    LimitChanged,
    PauseChanged,
    Skipped,
    Suspended,
    TermsAdopted,
    topic_of,
)
from bridge.chain.rpc import Block, Receipt
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.words import EntryKind, EntryWord, digest
from tests.bridge.posting.fake_chain import (
    GAS_USED,
    REVERT_DATA,
    FakeChain,
    Mined,
    Reverted,
    State,
    _log,
)
from tests.bridge.store.ledgers import EXCHANGE
from tests.simulation.transaction import ADMIN, Transaction, deed_of, read

GWEI = 10**9
#: What a signer has unless it was emptied.
FUNDS_WEI = 10**24
#: The least raise with which a node takes another transaction under the same nonce, in percent, as geth has it.
REPLACEMENT_PERCENT = 10
#: Transactions that one block can hold.
BLOCK_MAX = 8
GAS_LIMIT = 30_000_000


class Refusal(Exception):
    """Raised when the node does not take a transaction; says why, in a node's words."""


@dataclass
class Powers:
    """What admins decide, as of a block."""

    limits: dict[tuple[bytes, Limit], Bounds] = field(default_factory=dict)
    paused: set[bytes] = field(default_factory=set)
    credit_limits: dict[bytes, int] = field(default_factory=dict)
    caps: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    terms: dict[tuple[bytes, bytes], tuple[Ratio, int, int]] = field(default_factory=dict)
    #: what signers have to pay with, where it is not FUNDS_WEI
    wei: dict[bytes, int] = field(default_factory=dict)

    def copy(self) -> "Powers":
        return Powers(**{each.name: getattr(self, each.name).copy() for each in fields(self)})


@dataclass
class NetworkState(State):
    """A state with what admins decided."""

    powers: Powers = field(default_factory=Powers)

    def copy(self) -> "NetworkState":
        return NetworkState(**{each.name: getattr(self, each.name).copy() for each in fields(self)})


@dataclass(frozen=True, slots=True)
class Effect:
    """What one word did: so many points came to a reference's account, or (below zero) left it."""

    tag: bytes
    token: bytes
    kind: EntryKind
    reference: bytes
    change: int


class Network(FakeChain):
    """The chain and the mempool of the node that is asked. Times are the network's own, in milliseconds."""

    def __init__(self, genesis: bytes, now_ms: int, dice: Random, final_depth: int) -> None:
        self._at_ms = now_ms
        super().__init__(genesis, lambda: self._at_ms)
        self.dice = dice
        self.final_depth = final_depth
        self.base_fee_wei = GWEI
        self.blocks[0].state = NetworkState()
        self.pool: dict[tuple[bytes, int], Transaction] = {}
        #: everything that any node ever took: miners may still have what ours forgot
        self.heard: dict[bytes, Transaction] = {}
        #: the effects of every word of each block, and what each did over the whole canonical chain
        self.effects: list[list[Effect]] = [[]]
        self.counted = Counter[tuple[bytes, bytes, EntryKind, bytes, bool]]()
        #: debits that the canonical chain was short of, by block
        self.short: list[int] = [0]
        self.where: dict[bytes, int] = {}
        self.final_number = 0
        #: whether no block becomes final for now
        self.finality_waits = False
        #: whether a transaction reverts for no reason that anybody could know before
        self.revert_in = 0
        #: every version of terms that was ever adopted
        self.versions: dict[tuple[bytes, bytes, int], tuple[int, ...]] = {}
        #: what admins had decided as of every block that was ever made, and where it stands in that list
        self.decided: list[Powers] = [self.network_state.powers]
        self.made_at: dict[bytes, int] = {genesis: 0}
        self._deeds = 0
        self._making: list[Effect] = []
        self._hashes = 0

    def copy(self, now_ms: int, dice: Random, final_depth: int) -> "Network":
        """A network that goes on from here by itself. What is in blocks is shared: nobody changes it any more."""
        other = Network(self.blocks[0].block.hash, now_ms, dice, final_depth)
        for name in (
            "blocks",
            "pool",
            "heard",
            "effects",
            "counted",
            "short",
            "where",
            "versions",
            "decided",
            "made_at",
        ):
            setattr(other, name, getattr(self, name).copy())
        other.final_number, other._deeds, other._hashes = self.final_number, self._deeds, self._hashes
        return other

    # -- what the network does --------------------------------------------------------------------

    @property
    def network_state(self) -> NetworkState:
        state = self.state
        assert isinstance(state, NetworkState)
        return state

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    def take(self, raw: bytes) -> bytes:
        """A node hears a transaction. Raises Refusal; answers its hash."""
        one = read(raw)
        state = self.network_state
        if one.hash in self.where or one.hash in {each.hash for each in self.pool.values()}:
            raise Refusal("already known")
        if one.nonce < state.nonces[one.sender]:
            raise Refusal(f"nonce too low: next nonce {state.nonces[one.sender]}, tx nonce {one.nonce}")
        if self._funds(state, one) < one.gas * one.max_fee + one.value:
            raise Refusal("insufficient funds for gas * price + value")
        there = self.pool.get((one.sender, one.nonce))
        if there is not None and not _outbids(one, there):
            raise Refusal("replacement transaction underpriced")
        self.heard[one.hash] = one
        self.pool[one.sender, one.nonce] = one
        return one.hash

    def decide(self, deed: dict[str, Any]) -> None:
        """An admin does something at the next opportunity."""
        one = read(deed_of(self._deeds, deed))
        self._deeds += 1
        self.heard[one.hash] = one
        self.pool[one.sender, one.nonce] = one

    def has_points(self, reference: bytes) -> bool:
        """Whether any word of the canonical chain gave this reference points."""
        return any(number and came for (*_, who, came), number in self.counted.items() if who == reference)

    def anything_to_mine(self) -> bool:
        """Whether a block would hold anything."""
        return self._best(self.state, list(self.pool.values())) is not None

    def next_block(self, now_ms: int, most: int = BLOCK_MAX, *, old: Sequence[Transaction] = ()) -> Block:
        """A block of the best-paying transactions; `old` are such as only this miner remembers."""
        before = self.blocks[-1]
        self._at_ms = max(now_ms, (before.block.timestamp + 1) * 1000)
        state = before.state.copy()
        mined = Mined(before.block, [], [], [], state)
        number, block_hash = len(self.blocks), self._new_hash()
        self._making = []
        waiting = [*self.pool.values(), *old]
        while len(mined.raw) < most and (one := self._best(state, waiting)) is not None:
            waiting = [each for each in waiting if each.hash != one.hash]
            self._execute(mined, one.raw, number, block_hash)
        mined.block = Block(
            number,
            block_hash,
            before.block.hash,
            self._at_ms // 1000,
            len(mined.raw) * GAS_USED,
            GAS_LIMIT,
            self.base_fee_wei,
            tuple(digest(one) for one in mined.raw),
        )
        self.blocks.append(mined)
        self.effects.append(self._making)
        self.made_at[block_hash] = len(self.decided)
        self.decided.append(mined.state.powers)  # type: ignore[attr-defined]
        self.short.append(sum(1 for log in mined.logs if log.topics[0] in _SKIPPING))
        self._count(self._making, 1)
        self.where |= dict.fromkeys(mined.block.transactions, number)
        self._forget_used(mined.state)
        if not self.finality_waits:
            self.finalise_from_now_on()
        return mined.block

    def finalise_from_now_on(self) -> None:
        """All blocks that are deep enough are final, and so will others be."""
        self.finality_waits = False
        self.final_number = max(self.final_number, self.head - self.final_depth)

    def fork(self, depth: int, forgotten: Iterable[int] = ()) -> list[Transaction]:
        """The newest blocks are no longer canonical. Answers what the node does not put back into its mempool.

        `forgotten` are the places of these, among all that the blocks held. Admins always send theirs again.
        """
        depth = min(depth, self.head - self.final_number)
        if depth <= 0:
            return []
        gone = self.blocks[-depth:]
        for each in self.effects[-depth:]:
            self._count(each, -1)
        del self.blocks[-depth:], self.effects[-depth:], self.short[-depth:]
        held = [read(raw) for mined in gone for raw in mined.raw]
        lost = set(forgotten)
        away = []
        for place, one in enumerate(held):
            del self.where[one.hash]
            if place in lost and one.sender != ADMIN:
                away.append(one)
            else:
                self.pool[one.sender, one.nonce] = one
        return away

    def forget(self, place: int) -> Transaction | None:
        """The node drops a transaction from its mempool."""
        ours = [each for each in self.pool.values() if each.sender != ADMIN]
        if not ours:
            return None
        one = ours[place % len(ours)]
        del self.pool[one.sender, one.nonce]
        return one

    # -- inside -----------------------------------------------------------------------------------

    def _new_hash(self) -> bytes:
        self._hashes += 1
        return digest(b"block" + self._hashes.to_bytes(8))

    def _best(self, state: State, waiting: Sequence[Transaction]) -> Transaction | None:
        assert isinstance(state, NetworkState)
        ready = [
            one
            for one in waiting
            if state.nonces[one.sender] == one.nonce
            and one.max_fee >= self.base_fee_wei
            and self._funds(state, one) >= one.gas * one.max_fee + one.value
        ]
        return max(ready, key=lambda one: (min(one.tip, one.max_fee - self.base_fee_wei), one.hash), default=None)

    def _funds(self, state: State, one: Transaction) -> int:
        assert isinstance(state, NetworkState)
        return state.powers.wei.get(one.sender, FUNDS_WEI)

    def _forget_used(self, state: State) -> None:
        for key in [key for key in self.pool if key[1] < state.nonces[key[0]]]:
            del self.pool[key]

    def _count(self, effects: Sequence[Effect], sign: int) -> None:
        for one in effects:
            self.counted[one.tag, one.token, one.kind, one.reference, one.change > 0] += sign

    def _look_at(self, state: State) -> None:
        assert isinstance(state, NetworkState)
        for each in ("limits", "paused", "credit_limits", "caps", "terms"):
            setattr(self, each, getattr(state.powers, each))

    def _execute(self, mined: Mined, raw: bytes, number: int, block_hash: bytes) -> None:
        one = read(raw)
        before, done = mined.state.copy(), len(self._making)
        mined.state.nonces[one.sender] += 1
        before.nonces[one.sender] += 1
        status = 1
        try:
            if self.revert_in and one.sender != ADMIN:
                self.revert_in -= 1
                raise Reverted
            self._look_at(mined.state)
            to = EXCHANGE if one.to is None else one.to
            if one.deed:
                events = self._deed(mined, one.deed)
            else:
                events = [(to, each) for each in self._call(mined.state, to, one.data)]
            mined.logs += [_log(of, each, one.hash, number, block_hash) for of, each in events]
        except Reverted:
            mined.state, status = before, 0
            del self._making[done:]
        mined.raw.append(raw)
        price = min(one.max_fee, self.base_fee_wei + one.tip)
        mined.receipts.append(Receipt(one.hash, status, GAS_USED, price, block_hash, number, None))

    def _call(self, state: State, to: bytes, data: bytes) -> list[Event]:
        self._look_at(state)
        return super()._call(state, to, data)

    def _post(self, state: State, token: bytes, sequence: int, valid_until: int, words: list[bytes]) -> list[Event]:
        events = super()._post(state, token, sequence, valid_until, words)
        skipped = {each.index for each in events if isinstance(each, Skipped)}
        index = 0
        while index < len(words):
            if words[index][20] == EntryKind.BIND:
                index += 2
                continue
            word = EntryWord.unpack(words[index])
            if index not in skipped:
                change = word.amount if word.kind.is_credit else -word.amount
                self._making.append(Effect(word.tag, token, word.kind, word.reference, change))
            index += 1
        return events

    def _settle(
        self,
        state: State,
        path: list[bytes],
        versions: list[int],
        sequence: int,
        valid_until: int,
        words: list[bytes],
    ) -> list[Event]:
        if any(hop not in self.terms for hop in pairwise(path)):
            raise Reverted
        events = super()._settle(state, path, versions, sequence, valid_until, words)
        skipped = {each.index for each in events if isinstance(each, LegSkipped)}
        for index, packed in enumerate(words):
            if index in skipped:
                continue
            word = EntryWord.unpack(packed)
            amount = word.amount
            for hop in pairwise(path):
                amount = self.terms[hop][0].convert(Points(amount))
            self._making.append(Effect(word.tag, path[0], word.kind, word.reference, -word.amount))
            self._making.append(Effect(word.tag, path[-1], word.kind, word.reference, amount))
        return events

    # -- what admins do ---------------------------------------------------------------------------

    def _deed(self, mined: Mined, deed: dict[str, Any]) -> list[tuple[bytes, Event]]:
        powers = mined.state.powers  # type: ignore[attr-defined]
        kind = deed["kind"]
        if kind == "fund":
            powers.wei[bytes.fromhex(deed["who"])] = deed["wei"]
            return []
        token = bytes.fromhex(deed["token"])
        if kind == "pause":
            (powers.paused.add if deed["on"] else powers.paused.discard)(token)
            return [(token, PauseChanged(int(deed["on"]), ADMIN))]
        if kind == "limit":
            limit, bounds = Limit(deed["limit"]), Bounds(deed["capacity"], deed["refill"])
            left = self._let_through(mined.state, token, limit, self._at_ms // 1000)
            mined.state.levels[token, limit] = (min(left, bounds.capacity), self._at_ms // 1000)
            powers.limits[token, limit] = bounds
            return [(token, LimitChanged(limit, bounds.capacity, bounds.refill, min(left, bounds.capacity)))]
        if kind == "credit":
            powers.credit_limits[token] = deed["micro"]
            return [(EXCHANGE, CreditChanged(token, deed["micro"]))]
        return self._about_terms(powers, token, bytes.fromhex(deed["other"]), deed)

    def _about_terms(
        self, powers: Powers, source: bytes, destination: bytes, deed: dict[str, Any]
    ) -> list[tuple[bytes, Event]]:
        hop = source, destination
        if deed["kind"] == "suspend":
            powers.terms.pop(hop, None)
            return [(EXCHANGE, Suspended(*hop, ADMIN))]
        if deed["kind"] == "cap":
            if hop not in powers.terms or powers.terms[hop][2] != deed["version"]:
                return []
            powers.caps[hop] = deed["managed"]
            return [(EXCHANGE, CapsLowered(*hop, deed["version"], deed["managed"], 0, ADMIN))]
        assert deed["kind"] == "adopt"
        ratio = Ratio(Points(deed["from_units"]), Points(deed["to_units"]))
        self.agree(powers, hop, deed["version"], ratio, deed["price"], deed["managed"])
        powers.caps.pop(hop, None)
        agreed = (deed["version"], ratio.from_units, ratio.to_units, deed["price"], deed["managed"], 0)
        return [(EXCHANGE, TermsAdopted(*hop, *agreed, self._at_ms // 1000))]

    def agree(
        self, powers: Powers, hop: tuple[bytes, bytes], version: int, ratio: Ratio, price: int, managed: int
    ) -> None:
        """From now on these are the terms of a direction."""
        powers.terms[hop] = (ratio, price, version)
        self.versions[*hop, version] = (int(ratio.from_units), int(ratio.to_units), price, managed, 0)

    # -- what the node is asked -------------------------------------------------------------------

    def try_out(self, to: bytes, data: bytes, number: int) -> bytes:
        """What a call answers as of a block. Raises RpcRefused where the contract reverts."""
        mined = self.blocks[number]
        self._at_ms, now_ms = mined.block.timestamp * 1000, self._at_ms
        self._look_at(mined.state)
        keep, self._making = self._making, []
        try:
            if data[:4] in _WRITING:
                self._call(mined.state.copy(), to, data)
                return b""
            return self._view(mined, to, data) if data else b""
        except Reverted:
            raise RpcRefused(3, "execution reverted", REVERT_DATA, method="eth_call") from None
        finally:
            self._at_ms, self._making = now_ms, keep

    def _view(self, mined: Mined, to: bytes, data: bytes) -> bytes:
        if data[:4] == selector(contracts.TERMS_OF):
            source, destination, version = data[16:36], data[48:68], int.from_bytes(data[68:100], "big")
            return b"".join(each.to_bytes(32, "big") for each in self.versions[source, destination, version])
        if data[:4] == selector(contracts.SEQUENCE_OF):
            return mined.state.sequences[data[4:36]].to_bytes(32, "big")
        if data[:4] == selector(contracts.SEQUENCE):
            return mined.state.sequences[to].to_bytes(32, "big")
        return super()._view(mined, to, data)

    def held(self, number: int) -> dict[tuple[bytes, bytes], int]:
        """Every balance that is not zero as of a block, by token and address."""
        return {key: amount for key, amount in self.blocks[number].state.balances.items() if amount}


def _outbids(one: Transaction, there: Transaction) -> bool:
    return all(
        new * 100 >= old * (100 + REPLACEMENT_PERCENT)
        for new, old in ((one.max_fee, there.max_fee), (one.tip, there.tip))
    )


_WRITING = {selector(each) for each in (contracts.POST, contracts.SETTLE)}
_SKIPPING = {topic_of(text) for kind, text, _ in SHAPES if kind in (Skipped, LegSkipped)}
