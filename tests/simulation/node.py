"""The node: answers JSON-RPC about the simulated network, as of the head that it shows."""

from collections.abc import Callable
from typing import Any

from bridge.chain.bloom import bloom_of
from bridge.chain.errors import RpcRefused
from bridge.chain.rpc import Log, Receipt
from tests.bridge.posting.fake_chain import Mined
from tests.simulation.chain import FUNDS_WEI, GWEI, Network, NetworkState, Refusal

TIP_WEI = GWEI
#: For how long, and for how many requests, a block is in the making at most.
MAKING_MS_MAX, MAKING_REQUESTS_MAX = 500, 40


class Node:
    """One node, whose clock is the network's; what it says goes through `tests.faults` before anybody hears it."""

    def __init__(self, network: Network, clock: Callable[[], int]) -> None:
        self.network = network
        self._clock = clock
        self._making_until_ms = 0
        self._making_requests = 0
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(31337),
            "eth_blockNumber": lambda: hex(self._head),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getLogs": self._logs,
            "eth_sendRawTransaction": self._send,
            "eth_getTransactionCount": self._count,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getTransactionByHash": self._transaction,
            "eth_getRawTransactionByHash": self._raw,
            "eth_call": self._call,
            "eth_getBalance": self._balance,
            "eth_maxPriorityFeePerGas": lambda: hex(TIP_WEI),
            "eth_gasPrice": lambda: hex(self.network.base_fee_wei + TIP_WEI),
        }

    def request(self, method: str, *params: Any) -> Any:
        """The result of a request. Raises RpcRefused, as a client does for an error object."""
        self._making_requests -= self._making_requests > 0
        return self._methods[method](*params)

    def make_slowly(self, ms: int, requests: int) -> None:
        """The newest block is not shown for so long or so many requests, though the newest state is that block's.

        anvil answers like that for some milliseconds: of the block before, it tells the state of the one in the making.
        """
        self._making_until_ms = self._clock() + ms
        self._making_requests = requests

    def make_known(self) -> None:
        """No block is in the making any more."""
        self._making_requests = 0

    @property
    def is_making(self) -> bool:
        """Whether the newest block is in the making."""
        return self._making_requests > 0 and self._clock() < self._making_until_ms

    @property
    def _head(self) -> int:
        return self.network.head - (self.is_making and self.network.head > 0)

    def _shown(self) -> list[Mined]:
        return self.network.blocks[: self._head + 1]

    def _number(self, block: Any) -> int | None:
        """The number of the block that a tag, a number or a hash names, or None."""
        if isinstance(block, dict):
            return self._number_of_hash(block["blockHash"])
        if block in ("latest", "pending"):
            return self._head
        if block in ("safe", "finalized"):
            return min(self.network.final_number, self._head)
        number = int(block, 16)
        return number if number <= self._head else None

    def _number_of_hash(self, block_hash: str) -> int | None:
        wanted = bytes.fromhex(block_hash[2:])
        shown = self._shown()
        return next((at for at in range(len(shown) - 1, -1, -1) if shown[at].block.hash == wanted), None)

    def _known(self, block: Any, method: str) -> int:
        number = self._number(block)
        if number is None:
            raise RpcRefused(-32000, "header not found", method=method)
        return number

    def _stated(self, block: Any, method: str) -> int:
        """The block whose state is told for this one: of the newest, that may be the next."""
        number = self._known(block, method)
        return self.network.head if number == self._head else number

    # -- blocks, logs, receipts -------------------------------------------------------------------

    def _block_by_number(self, block: str, whole: bool) -> Any:
        made = self._block(self._number(block), whole)
        if block == "pending":
            later_s = max(self._clock() // 1000, int(made["timestamp"], 16) + 1)
            return made | {"number": hex(self._head + 1), "hash": None, "timestamp": hex(later_s), "transactions": []}
        return made

    def _block_by_hash(self, block_hash: str, whole: bool) -> Any:
        return self._block(self._number_of_hash(block_hash), whole)

    def _block(self, number: int | None, whole: bool) -> Any:
        if number is None:
            return None
        mined = self.network.blocks[number]
        one = mined.block
        return {
            "number": hex(one.number),
            "hash": _hex(one.hash),
            "parentHash": _hex(one.parent_hash),
            "timestamp": hex(one.timestamp),
            "gasUsed": hex(one.gas_used),
            "gasLimit": hex(one.gas_limit),
            "baseFeePerGas": hex(one.base_fee),
            "logsBloom": _hex(bloom_of({each.address for each in mined.logs})),
            "transactions": [self._transaction(_hex(each)) if whole else _hex(each) for each in one.transactions],
        }

    def _logs(self, span: dict[str, Any]) -> Any:
        if "blockHash" in span:
            number = self._number_of_hash(span["blockHash"])
            if number is None:
                raise RpcRefused(-32000, "unknown block", method="eth_getLogs")
            numbers = range(number, number + 1)
        else:
            numbers = range(int(span["fromBlock"], 16), min(int(span["toBlock"], 16), self._head) + 1)
        wanted = {bytes.fromhex(each[2:]) for each in span["address"]}
        return [
            _log(each, place)
            for number in numbers
            for place, each in enumerate(self.network.blocks[number].logs)
            if each.address in wanted
        ]

    def _mined(self, transaction_hash: str) -> tuple[int, int] | None:
        """The block of a transaction that is shown, and its place there."""
        wanted = bytes.fromhex(transaction_hash[2:])
        number = self.network.where.get(wanted)
        if number is None or number > self._head:
            return None
        return number, self.network.blocks[number].block.transactions.index(wanted)

    def _receipt(self, transaction_hash: str) -> Any:
        at = self._mined(transaction_hash)
        if at is None:
            return None
        mined = self.network.blocks[at[0]]
        one = mined.receipts[at[1]]
        logs = [{"address": _hex(each.address)} for each in mined.logs if each.transaction_hash == one.transaction_hash]
        return _receipt(one) | {"logs": logs}

    def _raw(self, transaction_hash: str) -> Any:
        at = self._mined(transaction_hash)
        return None if at is None else _hex(self.network.blocks[at[0]].raw[at[1]])

    def _transaction(self, transaction_hash: str) -> Any:
        at = self._mined(transaction_hash)
        wanted = bytes.fromhex(transaction_hash[2:])
        one = self.network.heard.get(wanted)
        pooled = one is not None and self.network.pool.get((one.sender, one.nonce)) is one
        if one is None or (at is None and not pooled):
            return None
        number = None if at is None else at[0]
        return {
            "hash": transaction_hash,
            "from": _hex(one.sender),
            "nonce": hex(one.nonce),
            "to": None if one.to is None else _hex(one.to),
            "input": _hex(one.data),
            "value": hex(one.value),
            "gas": hex(one.gas),
            "maxFeePerGas": hex(one.max_fee),
            "maxPriorityFeePerGas": hex(one.tip),
            "blockNumber": None if number is None else hex(number),
            "blockHash": None if number is None else _hex(self.network.blocks[number].block.hash),
        }

    # -- state and sending ------------------------------------------------------------------------

    def _send(self, raw: str) -> str:
        try:
            return _hex(self.network.take(bytes.fromhex(raw[2:])))
        except Refusal as why:
            raise RpcRefused(-32000, str(why), method="eth_sendRawTransaction") from None

    def _count(self, address: str, block: Any) -> str:
        sender, number = bytes.fromhex(address[2:]), self._stated(block, "eth_getTransactionCount")
        found = self.network.blocks[number].state.nonces[sender]
        while block == "pending" and (sender, found) in self.network.pool:
            found += 1
        return hex(found)

    def _balance(self, address: str, block: Any) -> str:
        state = self.network.blocks[self._stated(block, "eth_getBalance")].state
        assert isinstance(state, NetworkState)
        return hex(state.powers.wei.get(bytes.fromhex(address[2:]), FUNDS_WEI))

    def _call(self, message: dict[str, str], block: Any) -> str:
        number = self._stated(block, "eth_call")
        to, data = (bytes.fromhex(message[each][2:]) for each in ("to", "data"))
        return _hex(self.network.try_out(to, data, number))


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _log(one: Log, place: int) -> dict[str, Any]:
    return {
        "address": _hex(one.address),
        "topics": [_hex(each) for each in one.topics],
        "data": _hex(one.data),
        "transactionHash": _hex(one.transaction_hash),
        "logIndex": hex(place),
        "blockHash": _hex(one.block_hash),
        "blockNumber": hex(one.block_number),
    }


def _receipt(one: Receipt) -> dict[str, Any]:
    return {
        "transactionHash": _hex(one.transaction_hash),
        "status": hex(one.status),
        "gasUsed": hex(one.gas_used),
        "effectiveGasPrice": hex(one.gas_price),
        "blockHash": _hex(one.block_hash),
        "blockNumber": hex(one.block_number),
        "contractAddress": None,
    }
