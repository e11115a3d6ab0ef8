"""What holders of wallets sign (EIP-712), as the JSON that `eth_signTypedData_v4` takes.

The field names and their order are the contracts' own: another spelling gives another hash, and the contract says no.
Every number here is below 2^53, so that also a wallet written in JavaScript shows it exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.chain.signin import checksummed

#: Name and version of the exchange's domain; a token's name is its program's.
EXCHANGE_NAME = "Sarraf Exchange"
VERSION = "1"

_DOMAIN = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


@dataclass(frozen=True, slots=True)
class Domain:
    """For which contract on which chain a signature counts."""

    name: str
    chain_id: int
    contract: bytes


def redeem(domain: Domain, *, holder: bytes, amount: int, order: int, deadline: int) -> dict[str, Any]:
    """To burn points of the holder for an order. The domain is the token's; `deadline` is unix seconds."""
    return _typed(
        domain,
        "Redeem",
        ("address holder", checksummed(holder)),
        ("uint256 amount", amount),
        ("uint256 order", order),
        ("uint256 deadline", deadline),
    )


def deposit(
    domain: Domain, *, holder: bytes, reference: bytes, amount: int, nonce: int, deadline: int
) -> dict[str, Any]:
    """To bring points of the holder to a managed account. The domain is the token's."""
    return _typed(
        domain,
        "Deposit",
        ("address holder", checksummed(holder)),
        ("bytes20 reference", f"0x{reference.hex()}"),
        ("uint256 amount", amount),
        ("uint256 nonce", nonce),
        ("uint256 deadline", deadline),
    )


def swap(
    domain: Domain,
    *,
    holder: bytes,
    path: Sequence[bytes],
    amount_in: int,
    min_out: int,
    nonce: int,
    deadline: int,
) -> dict[str, Any]:
    """To swap points of the holder along a path of tokens. The domain is the exchange's."""
    return _typed(
        domain,
        "Swap",
        ("address holder", checksummed(holder)),
        ("address[] path", [checksummed(each) for each in path]),
        ("uint256 amountIn", amount_in),
        ("uint256 minOut", min_out),
        ("uint256 nonce", nonce),
        ("uint256 deadline", deadline),
    )


def _typed(domain: Domain, primary: str, *fields: tuple[str, Any]) -> dict[str, Any]:
    named = [(*declared.split(" "), value) for declared, value in fields]
    return {
        "types": {
            "EIP712Domain": _DOMAIN,
            primary: [{"name": name, "type": kind} for kind, name, _ in named],
        },
        "primaryType": primary,
        "domain": {
            "name": domain.name,
            "version": VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": checksummed(domain.contract),
        },
        "message": {name: value for _, name, value in named},
    }
