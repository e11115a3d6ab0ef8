"""What the chain alone says of an exchange: since when it stands, its times, its programs, and whose keys they are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bridge.chain import contracts
from bridge.chain.contracts import NOBODY
from bridge.chain.events import AdminChanged, Admitted, decode_event
from bridge.chain.keystore import Keystore
from bridge.chain.rpc import LOG_BLOCKS_MAX, Log, Rpc
from bridge.posting.setup import OPERATOR_KEY, RELAYER_KEY
from bridge.store.chainstate import Times
from exchange.errors import Conflict, NotFound

#: Keys of the keystore that are held against the addresses in the contracts: those of some five hundred programs.
KEYS_SCANNED_MAX = 2_048

Progress = Callable[[int, int], None]
"""Told (blocks done, blocks to do)."""


class NoExchange(NotFound):
    """Raised when no exchange stands at the address that was named."""

    type = "no-exchange"


class KeysMissing(Conflict):
    """Raised when the keystore has no key for an account without which nothing can be posted."""

    type = "keys-missing"


@dataclass(frozen=True, slots=True)
class FoundKey:
    """An account of the contracts, and which key of the keystore it is."""

    address: bytes
    index: int


@dataclass(frozen=True, slots=True)
class FoundProgram:
    """A program as its token tells of it."""

    token: bytes
    name: str
    symbol: str
    transferable: bool
    issuer: FoundKey
    admin: FoundKey
    guardian: FoundKey
    standby: FoundKey | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A program that is not made anew, and why not."""

    token: bytes
    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class FoundExchange:
    """An exchange as the chain tells of it, up to block `until`, which is final.

    It was created in block `number` by `transaction_hash`.
    """

    address: bytes
    number: int
    transaction_hash: bytes
    until: int
    times: Times
    admin: FoundKey
    operator: FoundKey
    relayer: FoundKey
    programs: list[FoundProgram]
    left_out: list[LeftOut]


class _Keys:
    """The keystore's keys by their addresses, derived only as far as they are asked for."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore
        self._known: dict[bytes, int] = {}

    def find(self, address: bytes) -> FoundKey | None:
        while address not in self._known and len(self._known) < KEYS_SCANNED_MAX:
            self._known[self._keystore.address(len(self._known))] = len(self._known)
        return FoundKey(address, self._known[address]) if address in self._known else None

    def of(self, index: int) -> FoundKey:
        return FoundKey(self._keystore.address(index), index)


def find_exchange(
    rpc: Rpc, keystore: Keystore, exchange: bytes, *, first: int, until: int, progress: Progress
) -> FoundExchange:
    """Read the exchange and its programs as of block `until`; it was not created before block `first`.

    Raises NoExchange, KeysMissing, ChainError.
    """
    if not rpc.code(exchange, until):
        raise NoExchange(f"there is no contract at 0x{exchange.hex()} at block {until}", field="--exchange")
    logs = _telling(rpc, exchange, first, until, progress)
    if first and not _begins(logs):
        logs = _telling(rpc, exchange, 0, until, progress)
    if not _begins(logs):
        raise NoExchange(f"what stands at 0x{exchange.hex()} is no exchange", field="--exchange")
    created = logs[0]
    tokens = [event.program for event in map(decode_event, logs) if isinstance(event, Admitted)]
    keys = _Keys(keystore)
    asked = [contracts.encode_admin(), contracts.encode_operator(), *contracts.encode_times()]
    admin, operator, *times = rpc.call_many([(exchange, each) for each in asked], until)
    programs, left_out = _programs(rpc, keys, dict.fromkeys(tokens), until)
    return FoundExchange(
        address=exchange,
        number=created.block_number,
        transaction_hash=created.transaction_hash,
        until=until,
        times=Times(*map(contracts.decode_uint, times)),
        admin=_required(keys, contracts.decode_address(admin), "admin"),
        operator=_required(keys, _operator(keys, contracts.decode_address(operator)), "operator"),
        relayer=keys.of(RELAYER_KEY),
        programs=programs,
        left_out=left_out,
    )


def _telling(rpc: Rpc, exchange: bytes, first: int, until: int, progress: Progress) -> list[Log]:
    """The exchange's first log, and those that admit programs: it logs every swap, so the rest is dropped at once."""
    kept: list[Log] = []
    for start in range(first, until + 1, LOG_BLOCKS_MAX):
        end = min(until, start + LOG_BLOCKS_MAX - 1)
        for log in rpc.logs_in_range(start, end, [exchange]):
            if not kept or isinstance(decode_event(log), Admitted):
                kept.append(log)
        progress(end - first + 1, until - first + 1)
    return kept


def _begins(logs: Sequence[Log]) -> bool:
    """Whether the first log is the first that the exchange ever made."""
    return bool(logs) and isinstance(decode_event(logs[0]), AdminChanged)


def _operator(keys: _Keys, address: bytes) -> bytes:
    """Who settles; where nobody may any more, the key that did at first."""
    return keys.of(OPERATOR_KEY).address if address == NOBODY else address


def _required(keys: _Keys, address: bytes, role: str) -> FoundKey:
    found = keys.find(address)
    if found is None:
        raise KeysMissing(
            f"the exchange's {role} 0x{address.hex()} is none of the keystore's first {KEYS_SCANNED_MAX} keys:"
            " name the keystore of this exchange",
            field="SARRAF_KEYSTORE",
        )
    return found


def _programs(rpc: Rpc, keys: _Keys, tokens: Iterable[bytes], until: int) -> tuple[list[FoundProgram], list[LeftOut]]:
    found: list[FoundProgram] = []
    left_out: list[LeftOut] = []
    symbols: set[str] = set()
    for token in tokens:
        one = _program(rpc, keys, token, until)
        if isinstance(one, FoundProgram) and one.symbol in symbols:
            one = LeftOut(token, one.symbol, "its symbol is another program's")
        if isinstance(one, LeftOut):
            left_out.append(one)
        else:
            symbols.add(one.symbol)
            found.append(one)
    return found, left_out


def _program(rpc: Rpc, keys: _Keys, token: bytes, until: int) -> FoundProgram | LeftOut:
    asked = (
        contracts.encode_name(),
        contracts.encode_symbol(),
        contracts.encode_transferable(),
        contracts.encode_issuer(),
        contracts.encode_admin(),
        contracts.encode_guardian(),
        contracts.encode_standby(),
    )
    name, symbol, transferable, *addresses = rpc.call_many([(token, each) for each in asked], until)
    called = contracts.decode_text(symbol)
    *signers, standby = (contracts.decode_address(each) for each in addresses)
    held = [keys.find(each) for each in signers]
    for role, address, key in zip(("issuer", "admin", "guardian"), signers, held, strict=True):
        if key is None:
            return LeftOut(token, called, f"its {role} 0x{address.hex()} is no key of this keystore")
    issuer, admin, guardian = (key for key in held if key is not None)
    return FoundProgram(
        token=token,
        name=contracts.decode_text(name),
        symbol=called,
        transferable=bool(contracts.decode_uint(transferable)),
        issuer=issuer,
        admin=admin,
        guardian=guardian,
        standby=None if standby == NOBODY else keys.find(standby),
    )
