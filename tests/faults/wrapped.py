"""The fault core before an RPC object of the same process: no server, no thread, and so the same again each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from bridge.chain.errors import ChainUnreachable, RpcRefused
from bridge.chain.rpc import Block, BlockId, Log, Receipt, Rpc
from exchange.words import digest
from tests.faults.answers import Forward, Lost, Odd, Refused
from tests.faults.faults import Faults


class FaultyRpc(Rpc):
    """The service's own client over `forward`, each request through the faults.

    Requests that travel together are asked one by one, in order; when one of them is lost, the asker hears of none.
    """

    def __init__(self, faults: Faults, forward: Forward, url: str = "http://127.0.0.1:1") -> None:
        super().__init__(url)
        self._faults = faults
        self._forward = forward

    def request(self, method: str, *params: Any) -> Any:
        try:
            return self._faults.apply(method, list(params), self._forward)
        except Refused as said:
            raise RpcRefused(said.code, said.message, _data(said.data), method=method) from said
        except (Lost, Odd) as failure:
            raise ChainUnreachable(f"The node gave no answer to {method}: {failure!r}.") from failure

    def request_many(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [self.request(method, *params) for method, params in asked]


class Asked(Protocol):
    """A node that is asked by the name of the method."""

    def request(self, method: str, *params: Any) -> Any:
        """The node's answer. Raises ChainError."""
        ...


def by_request(rpc: Asked) -> Forward:
    """Asks a client of a real node."""

    def forward(method: str, params: list[Any]) -> Any:
        try:
            return rpc.request(method, *params)
        except RpcRefused as refusal:
            raise _said(refusal) from refusal

    return forward


def by_methods(rpc: Rpc) -> Forward:
    """Asks an object that stands for a node with the methods of `Rpc`, such as a chain in memory."""

    def forward(method: str, params: list[Any]) -> Any:
        try:
            return _METHODS[method](rpc, *params)
        except RpcRefused as refusal:
            raise _said(refusal) from refusal

    return forward


def _said(refusal: RpcRefused) -> Refused:
    return Refused(refusal.code, refusal.message, None if refusal.data is None else "0x" + refusal.data.hex())


def _data(raw: Any) -> bytes | None:
    return bytes.fromhex(raw[2:]) if isinstance(raw, str) else None


# -- JSON to the methods of Rpc and back ----------------------------------------------------------


def _send(rpc: Rpc, raw: str) -> str:
    rpc.send_raw(_bytes(raw))
    return "0x" + digest(_bytes(raw)).hex()


def _call(rpc: Rpc, message: dict[str, str], block: Any = "latest") -> str:
    to, data = _bytes(message["to"]), _bytes(message["data"])
    if "from" in message:
        return "0x" + rpc.call(to, data, _block_id(block), sender=_bytes(message["from"])).hex()
    return "0x" + rpc.call_many([(to, data)], _block_id(block))[0].hex()


def _estimate(rpc: Rpc, message: dict[str, str], block: Any = "latest") -> str:
    to = _bytes(message["to"]) if "to" in message else None
    return hex(rpc.estimate_gas(_bytes(message["from"]), to, _bytes(message["data"]), _block_id(block)))


def _logs(rpc: Rpc, span: dict[str, Any]) -> list[dict[str, Any]]:
    addresses = [_bytes(one) for one in span["address"]]
    if "blockHash" in span:
        hashes = [_bytes(span["blockHash"])]
    else:
        numbers = range(int(span["fromBlock"], 16), int(span["toBlock"], 16) + 1)
        hashes = [found.hash for number in numbers if (found := rpc.block(number)) is not None]
    return [_log(log) for one in hashes for log in rpc.logs(one, addresses)]


def _raw(rpc: Rpc, transaction_hash: str) -> str | None:
    found = rpc.raw_transactions([_bytes(transaction_hash)])[0]
    return None if found is None else "0x" + found.hex()


def _receipt(rpc: Rpc, transaction_hash: str) -> dict[str, Any] | None:
    found = rpc.receipts([_bytes(transaction_hash)])[0]
    return None if found is None else _receipt_json(found)


_METHODS: Final[dict[str, Any]] = {
    "eth_chainId": lambda rpc: hex(rpc.chain_id()),
    "eth_blockNumber": lambda rpc: hex(rpc.head_number()),
    "eth_getBlockByNumber": lambda rpc, block, _=False: _block(rpc.block(_block_id(block))),
    "eth_getBlockByHash": lambda rpc, block, _=False: _block(rpc.block(_bytes(block))),
    "eth_getLogs": _logs,
    "eth_getTransactionReceipt": _receipt,
    "eth_getRawTransactionByHash": _raw,
    "eth_getTransactionCount": lambda rpc, who, block="latest": hex(
        rpc.transaction_count(_bytes(who), _block_id(block))
    ),
    "eth_getBalance": lambda rpc, who, block="latest": hex(rpc.balance(_bytes(who), _block_id(block))),
    "eth_getCode": lambda rpc, who, block="latest": "0x" + rpc.code(_bytes(who), _block_id(block)).hex(),
    "eth_sendRawTransaction": _send,
    "eth_call": _call,
    "eth_estimateGas": _estimate,
    "eth_maxPriorityFeePerGas": lambda rpc: hex(rpc.priority_fee()),
}


def _bytes(raw: str) -> bytes:
    return bytes.fromhex(raw[2:])


def _block_id(raw: Any) -> BlockId:
    if isinstance(raw, dict):
        return _bytes(raw["blockHash"])
    return int(raw, 16) if raw.startswith("0x") else raw


def _block(block: Block | None) -> dict[str, Any] | None:
    if block is None:
        return None
    return {
        "number": hex(block.number),
        "hash": "0x" + block.hash.hex(),
        "parentHash": "0x" + block.parent_hash.hex(),
        "timestamp": hex(block.timestamp),
        "gasUsed": hex(block.gas_used),
        "gasLimit": hex(block.gas_limit),
        "baseFeePerGas": hex(block.base_fee),
        "transactions": ["0x" + one.hex() for one in block.transactions],
        "logsBloom": "0x" + block.logs_bloom.hex(),
    }


def _log(log: Log) -> dict[str, Any]:
    return {
        "address": "0x" + log.address.hex(),
        "topics": ["0x" + one.hex() for one in log.topics],
        "data": "0x" + log.data.hex(),
        "transactionHash": "0x" + log.transaction_hash.hex(),
        "logIndex": hex(log.log_index),
        "blockHash": "0x" + log.block_hash.hex(),
        "blockNumber": hex(log.block_number),
    }


def _receipt_json(receipt: Receipt) -> dict[str, Any]:
    created = receipt.contract_address
    return {
        "transactionHash": "0x" + receipt.transaction_hash.hex(),
        "status": hex(receipt.status),
        "gasUsed": hex(receipt.gas_used),
        "effectiveGasPrice": hex(receipt.gas_price),
        "blockHash": "0x" + receipt.block_hash.hex(),
        "blockNumber": hex(receipt.block_number),
        "contractAddress": None if created is None else "0x" + created.hex(),
        "logs": [{"address": "0x" + one.hex()} for one in sorted(receipt.loggers)],
    }
