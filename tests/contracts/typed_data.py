"""What a holder signs, written down a second time: by the standard EIP-712 and not by the project's own code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from web3.contract import Contract

# Anvil's fourth account, whose key the whole world knows.
HOLDER_KEY: Final = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"
HOLDER: Final[str] = Account.from_key(HOLDER_KEY).address
CHAIN_ID: Final = 31337
EXCHANGE_NAME: Final = "Sarraf Exchange"

DOMAIN: Final = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}
REDEEM: Final = {"holder": "address", "amount": "uint256", "order": "uint256", "deadline": "uint256"}
DEPOSIT: Final = {
    "holder": "address",
    "reference": "bytes20",
    "amount": "uint256",
    "nonce": "uint256",
    "deadline": "uint256",
}
SWAP: Final = {
    "holder": "address",
    "path": "address[]",
    "amountIn": "uint256",
    "minOut": "uint256",
    "nonce": "uint256",
    "deadline": "uint256",
}
PERMIT: Final = {
    "owner": "address",
    "spender": "address",
    "value": "uint256",
    "nonce": "uint256",
    "deadline": "uint256",
}
TYPES: Final = {"Redeem": REDEEM, "Deposit": DEPOSIT, "Swap": SWAP, "Permit": PERMIT}

TypedData = dict[str, Any]


def typed_data(name: str, contract: Contract, kind: str, message: Mapping[str, Any]) -> TypedData:
    """The JSON object that wallets show and sign; `name` is the domain's."""
    return {
        "types": {"EIP712Domain": _members(DOMAIN), kind: _members(TYPES[kind])},
        "primaryType": kind,
        "domain": {"name": name, "version": "1", "chainId": CHAIN_ID, "verifyingContract": contract.address},
        "message": dict(message),
    }


def digest(data: TypedData) -> bytes:
    """The 32 bytes that are signed, by eth_account."""
    signable = encode_typed_data(full_message=data)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def sign(data: TypedData, key: str = HOLDER_KEY) -> bytes:
    """The signature of 65 bytes, by eth_account."""
    return bytes(Account.sign_typed_data(key, full_message=data).signature)


def _members(fields: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in fields.items()]
