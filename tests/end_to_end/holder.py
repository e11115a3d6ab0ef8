"""Somebody with a wallet: a key that the service never sees, or a contract that decides for itself."""

from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data

from bridge.answers import HolderCall, Transaction
from bridge.chain.rpc import Rpc
from bridge.chain.signin import checksummed, compact
from tests.end_to_end.running import until

ETHER = 10**18
GAS = 500_000
#: A contract wallet that accepts every signature whose first byte is 1 (ERC-1271), in the fewest bytes:
#: return 0x1626ba7e, shifted to the left end of a word, times (first byte of the signature == 1).
_WALLET_CODE = bytes.fromhex("6064355f1a600114631626ba7e0260e01b5f5260205ff3")
#: Copies the code behind it to memory and returns it.
_DEPLOYER = bytes.fromhex("60178060095f395ff3")


class Holder:
    """A wallet with a key of its own, and coins for gas."""

    def __init__(self, node: Rpc) -> None:
        self.account = Account.create()
        self.address = str(self.account.address)
        self._node = node
        node.request("anvil_setBalance", self.address, hex(ETHER))

    def sign_text(self, text: str) -> str:
        """65 bytes under a message."""
        return _hex(self.account.sign_message(encode_defunct(text=text)).signature)

    def sign(self, call: HolderCall) -> str:
        """65 bytes under a call."""
        return _hex(self.account.sign_message(encode_typed_data(full_message=call["typed_data"])).signature)

    def sign_compact(self, call: HolderCall) -> str:
        """The same in 64 bytes (EIP-2098)."""
        return _hex(compact(bytes.fromhex(self.sign(call)[2:])))

    def send(self, transaction: Transaction) -> None:
        """Make the call as the wallet's own transaction; the node mines it at once."""
        self.transact(bytes.fromhex(transaction["to"][2:]), bytes.fromhex(transaction["data"][2:]))

    def transact(self, to: bytes | None, data: bytes) -> bytes | None:
        """Any transaction, which must succeed; answers the contract that it created."""
        sender = bytes.fromhex(self.address[2:])
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._node.chain_id(),
            "nonce": self._node.transaction_count(sender),
            "data": data,
            "gas": GAS,
            "value": 0,
            "maxFeePerGas": self._node.base_fee() * 2 + 10**9,
            "maxPriorityFeePerGas": 10**9,
        }
        signed = self.account.sign_transaction(fields if to is None else fields | {"to": checksummed(to)})
        self._node.send_raw(bytes(signed.raw_transaction))
        receipt = until(lambda: self._node.receipt(bytes(signed.hash)), "the holder's transaction is mined")
        assert receipt.status == 1, receipt
        return receipt.contract_address


def contract_wallet(by: Holder) -> str:
    """The address of a new contract wallet that stands by whatever begins with the byte 1."""
    created = by.transact(None, _DEPLOYER + _WALLET_CODE)
    assert created is not None
    return checksummed(created)


def _hex(value: bytes) -> str:
    return f"0x{bytes(value).hex()}"
