"""JSON-RPC to one EVM node: typed questions, answers decoded by hand.

Not built on web3: decoding through its formatters costs ten times the request, its own retries would send a
transaction again behind our back, and it does not look whether an answer belongs to what was asked. Every request is
made once; who asked decides on trying again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from bridge.chain.errors import ChainUnreachable, RpcRefused, WrongChain
from bridge.chain.messages import TOO_MANY_LOGS, Meaning
from bridge.chain.wire import Wire

RPC_TIMEOUT_S = 30.0
CALLS_PER_REQUEST_MAX = 200
LOG_BLOCKS_MAX = 10_000
"""Blocks whose logs are asked for at once, unless the node takes fewer."""

Named: TypeAlias = Literal["latest", "pending", "safe", "finalized", "earliest"]
BlockId: TypeAlias = int | bytes | Named
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Block:
    """One block; `transactions` are hashes, `timestamp` is unix seconds, `base_fee` is wei a gas.

    `logs_bloom` tells what may have logged in it, see `bloom`; empty where nobody said.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    gas_used: int
    gas_limit: int
    base_fee: int
    transactions: tuple[bytes, ...]
    logs_bloom: bytes = b""


@dataclass(frozen=True, slots=True)
class Log:
    """One log of a mined transaction, not yet understood; `log_index` counts within the block."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    transaction_hash: bytes
    log_index: int
    block_hash: bytes
    block_number: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a mined transaction: `status` 1 is success, 0 is reverted; the price is wei a gas.

    `loggers` are the contracts whose logs it has.
    """

    transaction_hash: bytes
    status: int
    gas_used: int
    gas_price: int
    block_hash: bytes
    block_number: int
    contract_address: bytes | None
    loggers: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class SentCall:
    """What a transaction called, and with what; `to` None: it created a contract."""

    to: bytes | None
    data: bytes


@dataclass(frozen=True, slots=True)
class MinedCall:
    """A transaction of a block: who sent it under which nonce, what it called and with what; `to` as in SentCall."""

    transaction_hash: bytes
    sender: bytes
    nonce: int
    to: bytes | None
    data: bytes
    value_wei: int


class Rpc:
    """One node by URL, usable from several threads at once; `named` is what may be shown of the URL.

    Raises `ChainUnreachable` when no usable answer comes in time, and `RpcRefused` when the node says no.
    """

    def __init__(self, url: str, timeout_s: float = RPC_TIMEOUT_S) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._wire = Wire(url, timeout_s)
        self.named = self._wire.named
        self._log_blocks = LOG_BLOCKS_MAX

    def close(self) -> None:
        """Closes the kept-alive connections; the next request opens new ones."""
        self._wire.close()

    # -- the two ways to ask ------------------------------------------------------------------

    def request(self, method: str, *params: Any) -> Any:
        """The raw result of one request."""
        return _result(method, self._wire.ask(method, params))

    def request_many(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The raw results of many requests, in order; at most `CALLS_PER_REQUEST_MAX` travel together."""
        results: list[Any] = []
        for start in range(0, len(asked), CALLS_PER_REQUEST_MAX):
            part = asked[start : start + CALLS_PER_REQUEST_MAX]
            answers = self._wire.ask_together(part)
            results += [_result(method, answer) for (method, _), answer in zip(part, answers, strict=False)]
        assert len(results) == len(asked), "every request has its result, or one of them was refused"
        return results

    # -- blocks and logs ----------------------------------------------------------------------

    def chain_id(self) -> int:
        return self._read(_number, "eth_chainId")

    def require_chain_id(self, expected: int) -> None:
        """Raises `WrongChain` unless the node serves the chain with this id."""
        served = self.chain_id()
        if served != expected:
            raise WrongChain(f"The node at {self.named} serves chain {served}, but chain {expected} is expected.")

    def head_number(self) -> int:
        return self._read(_number, "eth_blockNumber")

    def block(self, block: BlockId) -> Block | None:
        """The block of this number, hash or name, or None when the node has none."""
        method = "eth_getBlockByHash" if isinstance(block, bytes) else "eth_getBlockByNumber"
        found = self._read(_or_none(_block), method, _hex(block) if isinstance(block, bytes) else _tag(block), False)
        if found is not None and block not in (found.hash, found.number) and not isinstance(block, str):
            raise self._nonsense(method)
        return found

    def pending_time(self) -> int | None:
        """The time of the block that the node would make now, in unix seconds, or None when it makes none."""
        decode = _or_none(lambda raw: _number(raw["timestamp"]) if raw.get("timestamp") else None)
        return self._read(decode, "eth_getBlockByNumber", _tag("pending"), False)

    def logs(self, block_hash: bytes, addresses: Sequence[bytes]) -> list[Log]:
        """The logs of these contracts in exactly this block, in order; no address means no logs."""
        if not addresses:
            return []
        found = self._read(_each(_log), "eth_getLogs", {"blockHash": _hex(block_hash), **_of(addresses)})
        if any(log.block_hash != block_hash for log in found):
            raise self._nonsense("eth_getLogs")
        return found

    def logs_in_range(self, first: int, last: int, addresses: Sequence[bytes]) -> list[Log]:
        """The logs of these contracts in the blocks `first` to `last`, both included, in order.

        Nodes and providers limit the blocks and the results of one request, each in its own words: a refused range is
        halved, down to one block, and a limit on blocks is remembered. Raises RpcRefused when one block is too much,
        and ChainUnreachable when the node does not have block `last`: many nodes answer such a range with the logs of
        the blocks that they have, as if there were no others.
        """
        found: list[Log] = []
        span = self._log_blocks
        while first <= last and addresses:
            until = min(last, first + span - 1)
            try:
                found += self._logs_until(first, until, addresses)
            except RpcRefused as refusal:
                if refusal.meaning not in TOO_MANY_LOGS or until == first:
                    raise
                span = (until - first + 1) // 2
                if refusal.meaning is Meaning.RANGE_TOO_WIDE:
                    self._log_blocks = min(self._log_blocks, span)
                continue
            first = until + 1
            span = min(2 * span, self._log_blocks)
        return found

    # -- transactions -------------------------------------------------------------------------

    def send_raw(self, raw: bytes) -> None:
        """Hands signed bytes to the node. Sending them twice does no harm; either answer is only a hint."""
        self.request("eth_sendRawTransaction", _hex(raw))

    def transaction_count(self, address: bytes, block: BlockId = "latest") -> int:
        """The next nonce of `address` as of `block`."""
        return self._read(_number, "eth_getTransactionCount", _hex(address), _tag(block))

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt, or None while the transaction is in no block of the canonical chain."""
        return self.receipts([transaction_hash])[0]

    def receipts(self, transaction_hashes: Sequence[bytes]) -> list[Receipt | None]:
        """The receipts of many transactions, in their order."""
        method = "eth_getTransactionReceipt"
        found = self._read_many(_or_none(_receipt), [(method, [_hex(each)]) for each in transaction_hashes])
        for asked, receipt in zip(transaction_hashes, found, strict=True):
            if receipt is not None and receipt.transaction_hash != asked:
                raise self._nonsense(method)
        return found

    def raw_transaction(self, transaction_hash: bytes) -> bytes | None:
        """The signed bytes as they were sent, or None when the node does not know the transaction."""
        return self.raw_transactions([transaction_hash])[0]

    def raw_transactions(self, transaction_hashes: Sequence[bytes]) -> list[bytes | None]:
        """The signed bytes of many transactions, in their order."""
        asked = [("eth_getRawTransactionByHash", [_hex(each)]) for each in transaction_hashes]
        return [each or None for each in self._read_many(_or_none(_bytes), asked)]

    def sent_calls(self, transaction_hashes: Sequence[bytes]) -> list[SentCall | None]:
        """What each of these transactions called, in their order; None for one that the node does not know."""
        asked = [("eth_getTransactionByHash", [_hex(each)]) for each in transaction_hashes]
        return self._read_many(_or_none(_sent_call), asked)

    def calls_in(self, block_hash: bytes) -> list[MinedCall] | None:
        """All transactions of exactly this block, in order, or None when the node does not have it."""
        return self._read(_or_none(_mined_calls), "eth_getBlockByHash", _hex(block_hash), True)

    # -- state --------------------------------------------------------------------------------

    def call(self, to: bytes, data: bytes, block: BlockId = "latest", *, sender: bytes | None = None) -> bytes:
        """What the contract answers as of `block`; a revert raises `RpcRefused` with its data."""
        return self._read(_bytes, "eth_call", _message(to, data, sender), _tag(block))

    def call_many(self, calls: Sequence[tuple[bytes, bytes]], block: BlockId = "latest") -> list[bytes]:
        """The answers to many (contract, call data) pairs as of one block, in their order."""
        tag = _tag(block)
        return self._read_many(_bytes, [("eth_call", [_message(to, data), tag]) for to, data in calls])

    def estimate_gas(self, sender: bytes, to: bytes | None, data: bytes, block: BlockId = "latest") -> int:
        """The gas that this transaction would need; a revert raises `RpcRefused` with its data."""
        return self._read(_number, "eth_estimateGas", _message(to, data, sender), _tag(block))

    def balance(self, address: bytes, block: BlockId = "latest") -> int:
        """The native balance in wei, which pays for gas (not points)."""
        return self._read(_number, "eth_getBalance", _hex(address), _tag(block))

    def code(self, address: bytes, block: BlockId = "latest") -> bytes:
        """The contract's code; empty when there is no contract."""
        return self._read(_bytes, "eth_getCode", _hex(address), _tag(block))

    def base_fee(self) -> int:
        """The base fee of the newest block, in wei a gas."""
        newest = self.block("latest")
        if newest is None:  # every chain has a newest block
            raise self._nonsense("eth_getBlockByNumber")
        return newest.base_fee

    def priority_fee(self) -> int:
        """The tip that the node suggests, in wei a gas."""
        return self._read(_number, "eth_maxPriorityFeePerGas")

    # -- inside -------------------------------------------------------------------------------

    def _logs_until(self, first: int, until: int, addresses: Sequence[bytes]) -> list[Log]:
        """The logs of a range, from a node that has the range's last block."""
        span = {"fromBlock": hex(first), "toBlock": hex(until), **_of(addresses)}
        found, end = self.request_many([("eth_getLogs", [span]), ("eth_getBlockByNumber", [hex(until), False])])
        if end is None:
            raise ChainUnreachable(f"The node at {self.named} lags: it does not have block {until} yet.")
        logs = self._decoded(_each(_log), "eth_getLogs", found)
        if any(not first <= log.block_number <= until for log in logs):
            raise self._nonsense("eth_getLogs")
        return logs

    def _read(self, decode: Callable[[Any], _T], method: str, *params: Any) -> _T:
        return self._decoded(decode, method, self.request(method, *params))

    def _read_many(self, decode: Callable[[Any], _T], asked: Sequence[tuple[str, Sequence[Any]]]) -> list[_T]:
        return [self._decoded(decode, asked[0][0], each) for each in self.request_many(asked)]

    def _decoded(self, decode: Callable[[Any], _T], method: str, raw: Any) -> _T:
        try:
            return decode(raw)
        except (TypeError, ValueError, KeyError, AttributeError) as failure:  # the node's fault, and no bug of ours
            raise self._nonsense(method) from failure

    def _nonsense(self, method: str) -> ChainUnreachable:
        return ChainUnreachable(f"The node at {self.named} answered {method} with what cannot be.")


def _or_none(decode: Callable[[Any], _T]) -> Callable[[Any], _T | None]:
    return lambda raw: None if raw is None else decode(raw)


def _each(decode: Callable[[Any], _T]) -> Callable[[Any], list[_T]]:
    def decode_all(raw: Any) -> list[_T]:
        if not isinstance(raw, list):
            raise TypeError("a list is expected")
        return [decode(each) for each in raw]

    return decode_all


def _of(addresses: Sequence[bytes]) -> dict[str, list[str]]:
    return {"address": [_hex(each) for each in addresses]}


def _result(method: str, answer: dict[str, Any]) -> Any:
    error = answer.get("error")
    if error is None:
        return answer["result"]
    if not isinstance(error, dict):
        raise RpcRefused(0, str(error), method=method)
    code, message = error.get("code"), error.get("message")
    raise RpcRefused(code if isinstance(code, int) else 0, str(message or ""), _revert_data(error), method=method)


def _revert_data(error: dict[str, Any]) -> bytes | None:
    data = error.get("data")
    if isinstance(data, dict):  # hardhat wraps it
        data = data.get("data")
    if not isinstance(data, str) or not data.startswith("0x"):
        return None
    try:
        return _bytes(data)
    except ValueError:  # a sentence that happens to begin with 0x
        return None


def _message(to: bytes | None, data: bytes, sender: bytes | None = None) -> dict[str, str]:
    message = {"data": _hex(data)}
    if to is not None:
        message["to"] = _hex(to)
    if sender is not None:
        message["from"] = _hex(sender)
    return message


def _tag(block: BlockId) -> str | dict[str, str]:
    if isinstance(block, bytes):
        return {"blockHash": _hex(block)}
    return hex(block) if isinstance(block, int) else block


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes(value: str) -> bytes:
    if not value.startswith("0x"):
        raise ValueError("bytes begin with 0x")
    return bytes.fromhex(value[2:])


def _number(value: str) -> int:
    return int(value, 16)


def _block(raw: dict[str, Any]) -> Block:
    return Block(
        number=_number(raw["number"]),
        hash=_bytes(raw["hash"]),
        parent_hash=_bytes(raw["parentHash"]),
        timestamp=_number(raw["timestamp"]),
        gas_used=_number(raw["gasUsed"]),
        gas_limit=_number(raw["gasLimit"]),
        base_fee=_number(raw.get("baseFeePerGas") or "0x0"),
        transactions=tuple(_bytes(each) for each in raw["transactions"]),
        logs_bloom=_bytes(raw.get("logsBloom") or "0x"),
    )


def _log(raw: dict[str, Any]) -> Log:
    return Log(
        address=_bytes(raw["address"]),
        topics=tuple(_bytes(each) for each in raw["topics"]),
        data=_bytes(raw["data"]),
        transaction_hash=_bytes(raw["transactionHash"]),
        log_index=_number(raw["logIndex"]),
        block_hash=_bytes(raw["blockHash"]),
        block_number=_number(raw["blockNumber"]),
    )


def _receipt(raw: dict[str, Any]) -> Receipt:
    created = raw.get("contractAddress")
    return Receipt(
        transaction_hash=_bytes(raw["transactionHash"]),
        status=_number(raw["status"]),
        gas_used=_number(raw["gasUsed"]),
        gas_price=_number(raw.get("effectiveGasPrice") or "0x0"),
        block_hash=_bytes(raw["blockHash"]),
        block_number=_number(raw["blockNumber"]),
        contract_address=None if created is None else _bytes(created),
        loggers=frozenset(_bytes(each["address"]) for each in raw.get("logs") or ()),
    )


def _sent_call(raw: dict[str, Any]) -> SentCall:
    to = raw.get("to")
    return SentCall(None if to is None else _bytes(to), _bytes(raw["input"]))


def _mined_calls(raw: dict[str, Any]) -> list[MinedCall]:
    return [_mined_call(each) for each in raw["transactions"]]


def _mined_call(raw: dict[str, Any]) -> MinedCall:
    sent = _sent_call(raw)
    return MinedCall(
        transaction_hash=_bytes(raw["hash"]),
        sender=_bytes(raw["from"]),
        nonce=_number(raw["nonce"]),
        to=sent.to,
        data=sent.data,
        value_wei=_number(raw["value"]),
    )
