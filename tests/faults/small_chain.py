"""A chain of blocks with one log each, as JSON: enough of a node to prove faults on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.faults.answers import Refused

TOKEN = "0x" + "aa" * 20


class SmallChain:
    """Blocks 0 to `head`. Block n has the hash n+1 in 32 bytes and one transaction with the same hash."""

    def __init__(self, head: int) -> None:
        self.head = head
        self.asked: Counter[str] = Counter()
        self.taken: list[str] = []

    def forward(self, method: str, params: list[Any]) -> Any:
        """The node's JSON result. Raises Refused."""
        self.asked[method] += 1
        answer: Any = getattr(self, method)(*params)
        return answer

    def eth_blockNumber(self) -> str:
        return hex(self.head)

    def eth_getBlockByNumber(self, block: str, _: bool = False) -> dict[str, Any] | None:
        number = self.head if block in ("latest", "safe", "finalized") else int(block, 16)
        return _block(number) if number <= self.head else None

    def eth_getBlockByHash(self, block: str, _: bool = False) -> dict[str, Any] | None:
        number = int(block, 16) - 1
        return _block(number) if 0 <= number <= self.head else None

    def eth_getLogs(self, span: dict[str, Any]) -> list[dict[str, Any]]:
        if "blockHash" in span:
            return [_log(int(span["blockHash"], 16) - 1)]
        return [_log(each) for each in range(int(span["fromBlock"], 16), int(span["toBlock"], 16) + 1)]

    def eth_getTransactionReceipt(self, transaction: str) -> dict[str, Any] | None:
        number = int(transaction, 16) - 1
        if number > self.head:
            return None
        return {
            "transactionHash": transaction,
            "status": "0x1",
            "gasUsed": "0x1",
            "effectiveGasPrice": "0x1",
            "blockHash": transaction,
            "blockNumber": hex(number),
            "contractAddress": None,
        }

    def eth_getRawTransactionByHash(self, transaction: str) -> str | None:
        return "0x01" if int(transaction, 16) - 1 <= self.head else None

    def eth_getTransactionCount(self, _: str, block: str) -> str:
        return hex(self.head if block == "latest" else int(block, 16))

    def eth_call(self, message: dict[str, str], block: Any = "latest") -> str:
        return message["data"] if block == "latest" else "0x" + f"{int(block, 16):064x}"

    def eth_sendRawTransaction(self, raw: str) -> str:
        if raw in self.taken:
            raise Refused(-32000, "already known")
        self.taken.append(raw)
        return "0x" + "00" * 32


def word(number: int) -> str:
    return f"0x{number:064x}"


def _block(number: int) -> dict[str, Any]:
    return {
        "number": hex(number),
        "hash": word(number + 1),
        "parentHash": word(number),
        "timestamp": hex(number),
        "gasUsed": "0x1",
        "gasLimit": "0x1",
        "baseFeePerGas": "0x1",
        "transactions": [word(number + 1)],
    }


def _log(number: int) -> dict[str, Any]:
    return {
        "address": TOKEN,
        "topics": [],
        "data": "0x",
        "transactionHash": word(number + 1),
        "logIndex": "0x0",
        "blockHash": word(number + 1),
        "blockNumber": hex(number),
    }
