"""JSON-RPC to one EVM node: typed questions, answers decoded by hand.

Built on web3's HTTP provider and nothing above it: decoding through web3's formatters costs ten times the
request, and its own retries would send a transaction again behind our back. Every request is made once; who
asked decides on trying again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from bridge.chain.errors import ChainUnreachable, RpcRefused, WrongChain

if TYPE_CHECKING:
    from web3.providers.rpc import HTTPProvider

RPC_TIMEOUT_S = 30.0
CALLS_PER_REQUEST_MAX = 200
CONNECTIONS_MAX = 16

Named: TypeAlias = Literal["latest", "pending", "safe", "finalized", "earliest"]
BlockId: TypeAlias = int | bytes | Named


@dataclass(frozen=True, slots=True)
class Block:
    """One block; `transactions` are hashes, `timestamp` is unix seconds, `base_fee` is wei a gas."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    gas_used: int
    gas_limit: int
    base_fee: int
    transactions: tuple[bytes, ...]


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
    """What became of a mined transaction: `status` 1 is success, 0 is reverted; the price is wei a gas."""

    transaction_hash: bytes
    status: int
    gas_used: int
    gas_price: int
    block_hash: bytes
    block_number: int
    contract_address: bytes | None


class Rpc:
    """One node by URL, usable from several threads at once.

    Raises `ChainUnreachable` when no usable answer comes in time, and `RpcRefused` when the node says no.
    """

    def __init__(self, url: str, timeout_s: float = RPC_TIMEOUT_S) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._opening = threading.Lock()
        self._provider_opened: HTTPProvider | None = None
        self._close_session: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Closes the kept-alive connections; the next request opens new ones."""
        with self._opening:
            self._provider_opened = None
            self._close_session()
            self._close_session = lambda: None

    # -- the two ways to ask ------------------------------------------------------------------

    def request(self, method: str, *params: Any) -> Any:
        """The raw result of one request."""
        from web3.types import RPCEndpoint

        provider = self._provider()
        answer = self._ask(method, lambda: provider.make_request(RPCEndpoint(method), list(params)))
        return _result(method, answer)

    def request_many(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The raw results of many requests, in order; at most `CALLS_PER_REQUEST_MAX` travel together."""
        return [_result(method, answer) for method, answer in self._answers(asked)]

    # -- blocks and logs ----------------------------------------------------------------------

    def chain_id(self) -> int:
        return _number(self.request("eth_chainId"))

    def require_chain_id(self, expected: int) -> None:
        """Raises `WrongChain` unless the node serves the chain with this id."""
        served = self.chain_id()
        if served != expected:
            raise WrongChain(f"The node at {self.url} serves chain {served}, but chain {expected} is expected.")

    def head_number(self) -> int:
        return _number(self.request("eth_blockNumber"))

    def block(self, block: BlockId) -> Block | None:
        """The block of this number, hash or name, or None when the node has none."""
        if isinstance(block, bytes):
            found = self.request("eth_getBlockByHash", _hex(block), False)
        else:
            found = self.request("eth_getBlockByNumber", _tag(block), False)
        return None if found is None else _block(found)

    def logs(self, block_hash: bytes, addresses: Sequence[bytes]) -> list[Log]:
        """The logs of these contracts in exactly this block, in order; no address means no logs."""
        return self._logs({"blockHash": _hex(block_hash)}, addresses)

    def logs_in_range(self, first: int, last: int, addresses: Sequence[bytes]) -> list[Log]:
        """The logs of these contracts in the blocks `first` to `last`, both included."""
        return self._logs({"fromBlock": hex(first), "toBlock": hex(last)}, addresses)

    # -- transactions -------------------------------------------------------------------------

    def send_raw(self, raw: bytes) -> None:
        """Hands signed bytes to the node. Sending them twice does no harm; either answer is only a hint."""
        self.request("eth_sendRawTransaction", _hex(raw))

    def transaction_count(self, address: bytes, block: BlockId = "latest") -> int:
        """The next nonce of `address` as of `block`."""
        return _number(self.request("eth_getTransactionCount", _hex(address), _tag(block)))

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt, or None while the transaction is in no block of the canonical chain."""
        return self.receipts([transaction_hash])[0]

    def receipts(self, transaction_hashes: Sequence[bytes]) -> list[Receipt | None]:
        """The receipts of many transactions, in their order."""
        found = self.request_many([("eth_getTransactionReceipt", [_hex(each)]) for each in transaction_hashes])
        return [_receipt(each) if each is not None else None for each in found]

    def raw_transaction(self, transaction_hash: bytes) -> bytes | None:
        """The signed bytes as they were sent, or None when the node does not know the transaction."""
        return self.raw_transactions([transaction_hash])[0]

    def raw_transactions(self, transaction_hashes: Sequence[bytes]) -> list[bytes | None]:
        """The signed bytes of many transactions, in their order."""
        found = self.request_many([("eth_getRawTransactionByHash", [_hex(each)]) for each in transaction_hashes])
        return [_bytes(each) if each not in (None, "0x") else None for each in found]

    # -- state --------------------------------------------------------------------------------

    def call(self, to: bytes, data: bytes, block: BlockId = "latest", *, sender: bytes | None = None) -> bytes:
        """What the contract answers as of `block`; a revert raises `RpcRefused` with its data."""
        return _bytes(self.request("eth_call", _message(to, data, sender), _tag(block)))

    def call_many(self, calls: Sequence[tuple[bytes, bytes]], block: BlockId = "latest") -> list[bytes]:
        """The answers to many (contract, call data) pairs as of one block, in their order."""
        tag = _tag(block)
        return [
            _bytes(each) for each in self.request_many([("eth_call", [_message(to, data), tag]) for to, data in calls])
        ]

    def estimate_gas(self, sender: bytes, to: bytes | None, data: bytes, block: BlockId = "latest") -> int:
        """The gas that this transaction would need; a revert raises `RpcRefused` with its data."""
        return _number(self.request("eth_estimateGas", _message(to, data, sender), _tag(block)))

    def balance(self, address: bytes, block: BlockId = "latest") -> int:
        """The native balance in wei, which pays for gas (not points)."""
        return _number(self.request("eth_getBalance", _hex(address), _tag(block)))

    def code(self, address: bytes, block: BlockId = "latest") -> bytes:
        """The contract's code; empty when there is no contract."""
        return _bytes(self.request("eth_getCode", _hex(address), _tag(block)))

    def base_fee(self) -> int:
        """The base fee of the newest block, in wei a gas."""
        newest = self.block("latest")
        assert newest is not None, "every chain has a newest block"
        return newest.base_fee

    def priority_fee(self) -> int:
        """The tip that the node suggests, in wei a gas."""
        return _number(self.request("eth_maxPriorityFeePerGas"))

    # -- inside -------------------------------------------------------------------------------

    def _logs(self, span: dict[str, str], addresses: Sequence[bytes]) -> list[Log]:
        if not addresses:
            return []
        found = self.request("eth_getLogs", {**span, "address": [_hex(each) for each in addresses]})
        return [_log(each) for each in found]

    def _answers(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[tuple[str, Any]]:
        answers: list[tuple[str, Any]] = []
        for start in range(0, len(asked), CALLS_PER_REQUEST_MAX):
            part = asked[start : start + CALLS_PER_REQUEST_MAX]
            methods = [method for method, _ in part]
            answers += zip(methods, self._ask_together(part), strict=True)
        return answers

    def _ask_together(self, part: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        provider = self._provider()
        method = part[0][0]
        batch: Any = [(each, list(params)) for each, params in part]
        answer = self._ask(method, lambda: provider.make_batch_request(batch))
        if isinstance(answer, dict):
            _result(method, answer)
        if not isinstance(answer, list) or len(answer) != len(part):
            raise ChainUnreachable(f"The node at {self.url} left out answers to requests sent together.")
        return answer

    def _ask(self, method: str, ask: Callable[[], Any]) -> Any:
        import requests

        try:
            return ask()
        except (requests.RequestException, OSError) as failure:
            raise ChainUnreachable(f"The node at {self.url} did not answer {method}: {failure}.") from failure
        except (ValueError, KeyError, TypeError) as failure:  # not JSON, or a batch answer without ids
            raise ChainUnreachable(
                f"The node at {self.url} answered {method} with something else than JSON-RPC."
            ) from failure

    def _provider(self) -> HTTPProvider:
        with self._opening:
            if self._provider_opened is None:
                self._provider_opened, self._close_session = _open(self.url, self.timeout_s)
            return self._provider_opened


def _open(url: str, timeout_s: float) -> tuple[HTTPProvider, Callable[[], None]]:
    import requests
    from requests.adapters import HTTPAdapter
    from web3.providers.rpc import HTTPProvider

    session = requests.Session()
    # A proxy from the environment must not stand between the service and its own machine.
    session.trust_env = urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS_MAX, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    provider = HTTPProvider(
        url, request_kwargs={"timeout": timeout_s}, session=session, exception_retry_configuration=None
    )
    return provider, session.close


def _result(method: str, answer: Any) -> Any:
    error = answer.get("error") if isinstance(answer, dict) else None
    if error is None:
        if not isinstance(answer, dict) or "result" not in answer:
            raise ChainUnreachable(f"The node did not answer {method} in JSON-RPC.")
        return answer["result"]
    if not isinstance(error, dict):
        raise RpcRefused(0, str(error), method=method)
    raise RpcRefused(int(error.get("code", 0)), str(error.get("message", "")), _revert_data(error), method=method)


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
    )
