"""A private chain on which the same calls always cost the same gas.

Time is part of the call data and of what limits compute, so the chain's clock is set and each block is a fixed step
later: the wall clock has no say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from web3 import Web3
from web3.contract import Contract

from bridge.chain.anvil import Anvil, find_anvil, free_port, running

TRANSACTION_GAS_MAX: Final = 2**24  # EIP-7825, which Osaka brought
BLOCK_STEP_S: Final = 12
# Four bytes that are not zero, so that this time costs the same in every call's data.
VALID_UNTIL: Final = 0x6C6F6E67
START: Final = VALID_UNTIL - 40_000

Artifact = Mapping[str, Any]


class CallFailed(AssertionError):
    """A transaction that was to be measured reverted or was refused; the message says which."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Transactions of anvil's own accounts, one in a block each."""

    anvil: Anvil
    accounts: tuple[str, ...]

    def deploy(self, artifact: Artifact, *arguments: Any) -> Contract:
        """A new contract of the last account, which does nothing else: so addresses depend on the order only."""
        factory = Web3().eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
        receipt = self._transact(
            {"from": self.accounts[-1], "data": factory.constructor(*arguments).data_in_transaction}
        )
        return Web3().eth.contract(address=Web3.to_checksum_address(receipt["contractAddress"]), abi=artifact["abi"])

    def send(self, sender: str, contract: Contract, function: str, *arguments: Any) -> Sent:
        """Makes the call; raises CallFailed when it does not succeed."""
        data = contract.encode_abi(function, list(arguments))
        receipt = self._transact({"from": sender, "to": contract.address, "data": data})
        return Sent(int(receipt["gasUsed"], 16), bytes.fromhex(data[2:]))

    def call(self, contract: Contract, function: str, *arguments: Any) -> bytes:
        """What a view answers, not decoded."""
        data = contract.encode_abi(function, list(arguments))
        answer: str = self.anvil.rpc.request("eth_call", {"to": contract.address, "data": data}, "latest")
        return bytes.fromhex(answer[2:])

    def _transact(self, transaction: dict[str, str]) -> dict[str, Any]:
        filled = {**transaction, "gas": hex(TRANSACTION_GAS_MAX)}
        receipt: dict[str, Any] = self.anvil.rpc.request("eth_sendTransactionSync", filled)
        if int(receipt["status"], 16) != 1:
            raise CallFailed(f"the call {transaction['data'][:10]} of {transaction.get('to', 'a deployment')} reverted")
        return receipt


@dataclass(frozen=True, slots=True)
class Sent:
    """What a transaction cost and the call data that it carried."""

    gas: int
    data: bytes


@contextmanager
def private_chain(directory: Path) -> Iterator[Chain]:
    """A fresh chain by Osaka's rules, its transaction limit included; its files are in `directory`."""
    arguments = ["--hardfork", "osaka", "--enable-tx-gas-limit", "--timestamp", str(START)]
    with running(Anvil(find_anvil(), directory, free_port(), arguments)) as anvil:
        anvil.wait_until_answering()
        anvil.rpc.request("anvil_setBlockTimestampInterval", BLOCK_STEP_S)
        accounts = anvil.rpc.request("eth_accounts")
        yield Chain(anvil, tuple(Web3.to_checksum_address(account) for account in accounts))
