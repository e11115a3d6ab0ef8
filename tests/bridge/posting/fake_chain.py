"""A chain in memory: the two contracts as far as posting sees them, behind the methods of `bridge.chain.rpc.Rpc`.

It mines only when told to, can be reorganised, can lag, and can be asked to refuse a transaction.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

from bridge.chain import contracts
from bridge.chain.abi import encode_values, selector
from bridge.chain.bloom import bloom_of
from bridge.chain.contracts import NOBODY, Bounds, Limit
from bridge.chain.errors import ChainUnreachable, RpcRefused
from bridge.chain.events import (
    SHAPES,
    Announced,
    Bound,
    Event,
    LegSkipped,
    Posted,
    Released,
    Settled,
    Skipped,
    topic_of,
)
from bridge.chain.keystore import Signed
from bridge.chain.rpc import Block, BlockId, Log, MinedCall, Receipt, Rpc, SentCall
from bridge.chain.transactions import TransactionFields
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.words import REFERENCE_BYTES, EntryKind, EntryWord, account_address, digest
from tests.bridge.store.ledgers import EXCHANGE, new_hash

WORD = 32
GAS_USED = 50_000
#: The error `WrongSequence` and such are of no matter here: any data that no contract knows.
REVERT_DATA = bytes.fromhex("deadbeef")


#: What a token lets through unless a test says otherwise, in points.
WIDE = Bounds(2**48 - 1, 10**6)
CREDIT_LIMIT_MICRO = 10**12
MANAGED_CAP = 10**7
CAP_PERIOD_S = 86_400
BASE_FEE_WEI = 10**9
PLENTY_WEI = 10**24
#: How much more a transaction must offer than the one of its nonce that waits, in percent.
BUMP_PERCENT = 10


def revert_of(error: str, *numbers: int) -> bytes:
    """What a contract's refusal says."""
    return selector(error) + b"".join(_word(each) for each in numbers)


class FakeKeystore:
    """Signs in clear: the bytes are the fields, so that the chain can read them."""

    def address(self, index: int) -> bytes:
        return bytes([index]) * 20

    def sign_transaction(self, index: int, fields: TransactionFields) -> Signed:
        told = {
            "from": self.address(index).hex(),
            "nonce": fields.nonce,
            "to": None if fields.to is None else fields.to.hex(),
            "data": fields.data.hex(),
            "gas": fields.gas,
            "value": fields.value,
            "max_fee": fields.fees.max_fee,
            "tip": fields.fees.priority_fee,
        }
        raw = json.dumps(told).encode()
        return Signed(raw, digest(raw))

    def sign_typed_data(self, index: int, message: dict[str, Any]) -> bytes:
        return digest(self.address(index) + json.dumps(message).encode()) * 2 + b"\x1b"


@dataclass
class State:
    """What a block leaves behind."""

    balances: Counter[tuple[bytes, bytes]] = field(default_factory=Counter)
    sequences: Counter[bytes] = field(default_factory=Counter)
    positions: Counter[bytes] = field(default_factory=Counter)
    nonces: Counter[bytes] = field(default_factory=Counter)
    #: the wallet of each token's references
    bindings: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    #: source points swapped along a direction in a period of caps
    used: Counter[tuple[bytes, bytes, int]] = field(default_factory=Counter)
    #: how full a token's bucket was, and when
    levels: dict[tuple[bytes, Limit], tuple[int, int]] = field(default_factory=dict)

    def copy(self) -> "State":
        return State(**{each.name: getattr(self, each.name).copy() for each in fields(State)})


@dataclass
class Mined:
    """A block with all that is known of it."""

    block: Block
    logs: list[Log]
    receipts: list[Receipt]
    raw: list[bytes]
    state: State


#: Where each kind stands among a batch's words.
_PLACES = {kind: 1 if kind.is_credit else 2 for kind in EntryKind} | {EntryKind.RELEASE: 3, EntryKind.BIND: 3}


class Reverted(Exception):
    """The contract refuses the call."""


class FakeChain(Rpc):
    """The node. `clock` gives milliseconds; `on_send` sees every transaction before the node does."""

    def __init__(self, genesis: bytes, clock: Callable[[], int]) -> None:
        super().__init__("http://127.0.0.1:1")
        self.clock = clock
        self.on_send: Callable[[bytes], None] = lambda _: None
        self.mempool: dict[bytes, bytes] = {}
        self.sent: list[bytes] = []
        #: the terms of each direction: ratio, price and version in force
        self.terms: dict[tuple[bytes, bytes], tuple[Ratio, int, int]] = {}
        #: what tokens let through, where it is not WIDE, and which of them are paused
        self.limits: dict[tuple[bytes, Limit], Bounds] = {}
        self.paused: set[bytes] = set()
        self.credit_limits: dict[bytes, int] = {}
        self.caps: dict[tuple[bytes, bytes], int] = {}
        #: why every call that is only tried out is refused, None for none
        self.reason: bytes | None = None
        self.binding_delay_s = 0
        #: transactions to refuse
        self.refused: set[bytes] = set()
        #: how many blocks above the genesis the node shows, None for all
        self.shown: int | None = None
        #: the block that the node calls final, where the rule asks for it by that name
        self.finalized = 0
        #: whether the index of logs lags behind the blocks
        self.logs_lag = False
        self.down = False
        self.refuses_to_take: str | None = None
        #: what the next block asks for a unit of gas: what offers less waits
        self.base_fee_wei = BASE_FEE_WEI
        #: gas money of the accounts that do not have plenty
        self.funds: dict[bytes, int] = {}
        #: how many transactions the mempool holds, None for any number; whether it takes none behind a gap
        self.pool_max: int | None = None
        self.takes_no_gaps = False
        #: whether the node says what time the next block would have
        self.tells_pending = True
        #: how many answers of how many nonces are used, as of the newest block's hash, will be of the next block
        self.counts_ahead = 0
        start = Block(0, genesis, bytes(32), clock() // 1000, 0, 30_000_000, 10**9, ())
        self.blocks = [Mined(start, [], [], [], State())]

    # -- what a test lets happen ----------------------------------------------------------------

    @property
    def state(self) -> State:
        return self.blocks[-1].state

    def mine(self, *raw: bytes, events: Sequence[tuple[bytes, Event]] = (), together: bool = False) -> Block:
        """A block of all that can be mined of these transactions, or of the mempool; and of anybody's own events.

        Each event is of a transaction of its own, or `together` all of one.
        """
        state = self.state.copy()
        number, block_hash = len(self.blocks), new_hash()
        mined = Mined(self.blocks[-1].block, [], [], [], state)
        shared = new_hash()
        for contract, event in events:
            mined.logs.append(_log(contract, event, shared if together else new_hash(), number, block_hash))
        waiting = list(raw) if raw else list(self.mempool.values())
        while (one := self._minable(state, waiting)) is not None:
            waiting.remove(one)
            self._execute(mined, one, number, block_hash)
        mined.block = Block(
            number,
            block_hash,
            self.blocks[-1].block.hash,
            self.clock() // 1000,
            0,
            30_000_000,
            self.base_fee_wei,
            tuple(digest(one) for one in mined.raw),
            bloom_of({log.address for log in mined.logs}),
        )
        self.blocks.append(mined)
        for one in mined.raw:
            self.mempool.pop(digest(one), None)
        return mined.block

    def foreign(self, sender: bytes, to: bytes = NOBODY, data: bytes = b"") -> bytes:
        """A transaction that somebody else signs with this account's key, under its next nonce."""
        nonce = self.state.nonces[sender]
        told = {"from": sender.hex(), "nonce": nonce, "to": to.hex(), "data": data.hex(), "value": 0}
        return json.dumps(told | {"gas": 21_000, "max_fee": 10**15, "tip": 10**15}).encode()

    def reorganise(self, depth: int, *, forget: bool = True) -> None:
        """Take the newest blocks away; the node forgets their transactions, or keeps them for the next block."""
        gone = self.blocks[-depth:]
        del self.blocks[-depth:]
        if not forget:
            self.mempool |= {digest(one): one for mined in gone for one in mined.raw}

    def _minable(self, state: State, waiting: Sequence[bytes]) -> bytes | None:
        for one in waiting:
            told = json.loads(one)
            if state.nonces[bytes.fromhex(told["from"])] == told["nonce"] and told["max_fee"] >= self.base_fee_wei:
                return one
        return None

    def _execute(self, mined: Mined, raw: bytes, number: int, block_hash: bytes) -> None:
        told = json.loads(raw)
        sender, transaction_hash = bytes.fromhex(told["from"]), digest(raw)
        mined.state.nonces[sender] += 1
        before = mined.state.copy()
        created, logged = None, len(mined.logs)
        try:
            if transaction_hash in self.refused:
                raise Reverted
            if told["to"] is None:
                created = digest(sender + told["nonce"].to_bytes(8))[-20:]
                events = []
            else:
                to = bytes.fromhex(told["to"])
                events = self._call(mined.state, to, bytes.fromhex(told["data"]))
            mined.logs += [_log(to, event, transaction_hash, number, block_hash) for event in events]
            status = 1
        except Reverted:
            mined.state, status = before, 0
        mined.raw.append(raw)
        loggers = frozenset(log.address for log in mined.logs[logged:])
        mined.receipts.append(Receipt(transaction_hash, status, GAS_USED, 1, block_hash, number, created, loggers))

    # -- the contracts --------------------------------------------------------------------------

    def _call(self, state: State, to: bytes, data: bytes) -> list[Event]:
        words = [data[at : at + WORD] for at in range(4, len(data), WORD)]
        if data[:4] == selector(contracts.POST):
            return self._post(state, to, _number(words[0]), _number(words[1]), words[4:])
        if data[:4] == selector(contracts.SETTLE):
            length = _number(words[5])
            path = [word[12:] for word in words[6 : 6 + length]]
            versions = [_number(word) for word in words[7 + length : 6 + 2 * length]]
            count = _number(words[6 + 2 * length])
            return self._settle(state, path, versions, _number(words[2]), _number(words[3]), words[-count:])
        return []

    def _post(self, state: State, token: bytes, sequence: int, valid_until: int, words: list[bytes]) -> list[Event]:
        self._take_sequence(state, token, sequence, valid_until)
        events: list[Event] = []
        sums = Counter[bool]()
        for index, word in self._entries(state, token, words, events):
            holder = (token, account_address(token, word.reference))
            if word.kind is EntryKind.RELEASE:
                events.append(self._release(state, token, sequence, index, word))
                continue
            if not word.kind.is_credit and state.balances[holder] < word.amount:
                events.append(Skipped(sequence, index, holder[1], word.amount, state.balances[holder]))
                continue
            sums[word.kind.is_credit] += word.amount
            state.balances[holder] += word.amount if word.kind.is_credit else -word.amount
        self._charge(state, token, Limit.ISSUANCE, sums[True])
        self._charge(state, token, Limit.REDEMPTION, sums[False])
        self._charge(state, token, Limit.RELEASE, sum(one.amount for one in events if isinstance(one, Released)))
        return [*events, Posted(sequence, digest(b"".join(words)), sums[True], sums[False])]

    def _entries(
        self, state: State, token: bytes, words: list[bytes], events: list[Event]
    ) -> Iterator[tuple[int, EntryWord]]:
        """The words that move points, with their places; those that bind wallets are carried out on the way."""
        index = place = 0
        while index < len(words):
            kind = EntryKind(words[index][20])
            if _PLACES[kind] < place:
                raise Reverted  # credits first, then debits, then what concerns wallets
            place = _PLACES[kind]
            if kind is EntryKind.BIND:
                reference, wallet = words[index][:20], words[index + 1][12:]
                state.bindings[token, reference] = wallet
                events.append(Bound(reference, wallet, self.clock() // 1000 + self.binding_delay_s))
                index += 2
                continue
            yield index, EntryWord.unpack(words[index])
            index += 1

    def _release(self, state: State, token: bytes, sequence: int, index: int, word: EntryWord) -> Event:
        managed, wallet = account_address(token, word.reference), state.bindings.get((token, word.reference), NOBODY)
        if wallet == NOBODY or state.balances[token, managed] < word.amount:
            return Skipped(sequence, index, managed, word.amount, state.balances[token, managed])
        state.balances[token, managed] -= word.amount
        state.balances[token, wallet] += word.amount
        return Released(word.reference, wallet, word.amount)

    def _settle(
        self,
        state: State,
        path: list[bytes],
        versions: list[int],
        sequence: int,
        valid_until: int,
        words: list[bytes],
    ) -> list[Event]:
        source, destination = path[0], path[-1]
        if {source, destination} & self.paused:
            raise Reverted
        name = contracts.path_id(path)
        self._take_sequence(state, name, sequence, valid_until)
        events: list[Event] = []
        legs = [EntryWord.unpack(word) for word in words]
        amounts = [0] * len(legs)
        for index, word in enumerate(legs):
            payer = (source, account_address(source, word.reference))
            if state.balances[payer] < word.amount:
                events.append(LegSkipped(name, sequence, index))
                continue
            state.balances[payer] -= word.amount
            amounts[index] = word.amount
        burned, received = sum(amounts), 0
        for hop, version in zip(pairwise(path), versions, strict=True):
            amounts, paid = self._cross(state, hop, version, amounts)
            self._move_position(state, hop[0], received - paid)
            received = paid
        self._move_position(state, destination, received)
        for word, out in zip(legs, amounts, strict=True):
            state.balances[destination, account_address(destination, word.reference)] += out
        return [*events, Settled(name, sequence, digest(b"".join(words)), burned, sum(amounts))]

    def _cross(self, state: State, hop: tuple[bytes, bytes], version: int, amounts: list[int]) -> tuple[list[int], int]:
        """What the legs become over one hop, and what its source comes to owe for that."""
        ratio, price, in_force = self.terms[hop]
        used, at = state.used, (*hop, self.clock() // 1000 // CAP_PERIOD_S)
        used[at] += sum(amounts)
        arrived = [ratio.convert(Points(amount)) for amount in amounts]
        nothing = any(before and not after for before, after in zip(amounts, arrived, strict=True))
        if version != in_force or used[at] > self.caps.get(hop, MANAGED_CAP) or nothing:
            raise Reverted
        return list(arrived), sum(arrived) * price

    def _move_position(self, state: State, program: bytes, delta: int) -> None:
        state.positions[program] += delta
        if delta < 0 and -state.positions[program] > self.credit_limits.get(program, CREDIT_LIMIT_MICRO):
            raise Reverted

    def _charge(self, state: State, token: bytes, limit: Limit, amount: int) -> None:
        left = self._let_through(state, token, limit, self.clock() // 1000) - amount
        if left < 0 or token in self.paused:
            raise Reverted
        state.levels[token, limit] = (left, self.clock() // 1000)

    def _let_through(self, state: State, token: bytes, limit: Limit, at_s: int) -> int:
        bounds = self.limits.get((token, limit), WIDE)
        level, since = state.levels.get((token, limit), (bounds.capacity, at_s))
        return min(bounds.capacity, level + (at_s - since) * bounds.refill)

    def _take_sequence(self, state: State, of: bytes, sequence: int, valid_until: int) -> None:
        if state.sequences[of] + 1 != sequence or self.clock() // 1000 > valid_until:
            raise Reverted
        state.sequences[of] = sequence

    # -- what the service asks ------------------------------------------------------------------

    def _visible(self) -> list[Mined]:
        if self.down:
            raise ChainUnreachable("The node is down.")
        return self.blocks if self.shown is None else self.blocks[: self.shown + 1]

    def chain_id(self) -> int:
        return 31337

    def head_number(self) -> int:
        return len(self._visible()) - 1

    def block(self, block: BlockId) -> Block | None:
        visible = self._visible()
        if isinstance(block, int):
            return visible[block].block if block < len(visible) else None
        if block == "finalized":
            return visible[self.finalized].block
        return visible[-1].block

    def pending_time(self) -> int | None:
        head = self._visible()[-1].block
        return max(self.clock() // 1000, head.timestamp + 1) if self.tells_pending else None

    def logs(self, block_hash: bytes, addresses: Sequence[bytes]) -> list[Log]:
        logs = [] if self.logs_lag else self._by_hash(block_hash).logs
        return [log for log in logs if log.address in addresses]

    def receipts(self, transaction_hashes: Sequence[bytes]) -> list[Receipt | None]:
        known = {one.transaction_hash: one for mined in self._visible() for one in mined.receipts}
        return [known.get(each) for each in transaction_hashes]

    def raw_transactions(self, transaction_hashes: Sequence[bytes]) -> list[bytes | None]:
        known = {digest(one): one for mined in self._visible() for one in mined.raw}
        return [known.get(each) for each in transaction_hashes]

    def sent_calls(self, transaction_hashes: Sequence[bytes]) -> list[SentCall | None]:
        return [None if raw is None else _sent_call(raw) for raw in self.raw_transactions(transaction_hashes)]

    def calls_in(self, block_hash: bytes) -> list[MinedCall] | None:
        found = next((mined for mined in self._visible() if mined.block.hash == block_hash), None)
        return None if found is None else [_mined_call(raw) for raw in found.raw]

    def send_raw(self, raw: bytes) -> None:
        if self.down:
            raise ChainUnreachable("The node is down.")
        self.on_send(raw)
        self.sent.append(raw)
        refusal = self.refuses_to_take or self._refusal(raw)
        if refusal is not None:
            raise RpcRefused(-32000, refusal, method="eth_sendRawTransaction")
        told = json.loads(raw)
        for known, other in self._waiting(told["from"]).items():
            if other["nonce"] == told["nonce"]:
                del self.mempool[known]
        self.mempool[digest(raw)] = raw

    def _waiting(self, sender: str) -> dict[bytes, dict[str, Any]]:
        waiting = {known: json.loads(one) for known, one in self.mempool.items()}
        return {known: told for known, told in waiting.items() if told["from"] == sender}

    def _refusal(self, raw: bytes) -> str | None:
        """What the mempool says to a transaction, None when it takes it."""
        told, sender = json.loads(raw), json.loads(raw)["from"]
        waiting = {one["nonce"]: one for one in self._waiting(sender).values()}
        used = self.state.nonces[bytes.fromhex(sender)]
        same = waiting.get(told["nonce"])
        if digest(raw) in self.mempool:
            return "already known"
        if told["nonce"] < used:
            return "nonce too low"
        if self.takes_no_gaps and any(nonce not in waiting for nonce in range(used, told["nonce"])):
            return "nonce too high"
        if told["gas"] * told["max_fee"] + told["value"] > self.funds.get(bytes.fromhex(sender), PLENTY_WEI):
            return "insufficient funds for gas * price + value"
        if same is not None:
            dearer = all(told[fee] * 100 >= same[fee] * (100 + BUMP_PERCENT) for fee in ("max_fee", "tip"))
            return None if dearer else "replacement transaction underpriced"
        if self.pool_max is not None and len(self.mempool) >= self.pool_max:
            return "txpool is full"
        return None

    def call(self, to: bytes, data: bytes, block: BlockId = "latest", *, sender: bytes | None = None) -> bytes:
        assert isinstance(block, int) and sender is not None
        if self.reason is not None:
            raise RpcRefused(3, "execution reverted", self.reason, method="eth_call")
        try:
            self._call(self.blocks[block].state.copy(), to, data)
        except Reverted:
            raise RpcRefused(3, "execution reverted", REVERT_DATA, method="eth_call") from None
        return b""

    def call_many(self, calls: Sequence[tuple[bytes, bytes]], block: BlockId = "latest") -> list[bytes]:
        assert isinstance(block, int)
        mined = self._visible()[block]
        return [self._view(mined, to, data) for to, data in calls]

    def _view(self, mined: Mined, to: bytes, data: bytes) -> bytes:
        state, asked, about = mined.state, data[:4], data[-20:]
        if asked == selector(contracts.TOTAL_SUPPLY):
            return _word(sum(amount for (token, _), amount in state.balances.items() if token == to))
        if asked == selector(contracts.BALANCE_OF):
            return _word(state.balances[to, about])
        if asked == selector(contracts.PAUSED):
            return _word(int(to in self.paused))
        if asked == selector(contracts.LIMIT_OF):
            limit = Limit(data[-1])
            bounds = self.limits.get((to, limit), WIDE)
            now = self._let_through(state, to, limit, mined.block.timestamp)
            return b"".join(map(_word, (bounds.capacity, bounds.refill, now)))
        if asked == selector(contracts.SEQUENCE):
            return _word(state.sequences[to])
        assert to == EXCHANGE
        if asked == selector(contracts.SEQUENCE_OF):
            return _word(state.sequences[data[4:36]])
        if asked == selector(contracts.TERMS_OF):
            ratio, price, _ = self.terms[data[16:36], data[48:68]]
            return b"".join(map(_word, (ratio.from_units, ratio.to_units, price, MANAGED_CAP, 0)))
        if asked == selector(contracts.CREDIT_LIMIT):
            return _word(self.credit_limits.get(about, CREDIT_LIMIT_MICRO))
        if asked == selector(contracts.USED_OF):
            period = mined.block.timestamp // CAP_PERIOD_S
            return _word(state.used[data[16:36], about, period]) + _word(0)
        assert asked == selector(contracts.POSITION)
        return _word(state.positions[about])

    def transaction_count(self, address: bytes, block: BlockId = "latest") -> int:
        mined = self._by_hash(block) if isinstance(block, bytes) else self._visible()[-1]
        count = mined.state.nonces[address]
        hasty = self.counts_ahead > 0 and mined is self._visible()[-1] and isinstance(block, bytes)
        self.counts_ahead -= hasty
        if block == "pending" or hasty:
            waiting = {one["nonce"] for one in self._waiting(address.hex()).values()}
            while count in waiting:
                count += 1
        return count

    def balance(self, address: bytes, block: BlockId = "latest") -> int:
        assert block == "latest"
        return self.funds.get(address, PLENTY_WEI)

    def base_fee(self) -> int:
        return self.base_fee_wei

    def priority_fee(self) -> int:
        return 10**9

    def _by_hash(self, block_hash: bytes) -> Mined:
        return next(mined for mined in self._visible() if mined.block.hash == block_hash)


def _log(contract: bytes, event: Event, transaction_hash: bytes, number: int, block_hash: bytes) -> Log:
    """The log that the contract would emit."""
    text, topics = next((text, topics) for kind, text, topics in SHAPES if kind is type(event))
    named = {each.name: _word(getattr(event, each.name)) for each in fields(event)}
    if "reference" in named:  # bytes of a fixed size stand at the left of their word
        named["reference"] = named["reference"][-REFERENCE_BYTES:].ljust(WORD, b"\0")
    data = b"".join(word for name, word in named.items() if name not in topics)
    if isinstance(event, Announced):
        data = encode_values("(bytes,uint256,uint256)", [event.call, event.ready_at, event.until])
    return Log(
        address=contract,
        topics=(topic_of(text), *(word for name, word in named.items() if name in topics)),
        data=data,
        transaction_hash=transaction_hash,
        log_index=0,
        block_hash=block_hash,
        block_number=number,
    )


def _sent_call(raw: bytes) -> SentCall:
    told = json.loads(raw)
    return SentCall(None if told["to"] is None else bytes.fromhex(told["to"]), bytes.fromhex(told["data"]))


def _mined_call(raw: bytes) -> MinedCall:
    told, sent = json.loads(raw), _sent_call(raw)
    return MinedCall(digest(raw), bytes.fromhex(told["from"]), told["nonce"], sent.to, sent.data, told["value"])


def _word(value: int | bytes) -> bytes:
    return value.rjust(WORD, b"\0") if isinstance(value, bytes) else value.to_bytes(WORD, "big", signed=True)


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")
