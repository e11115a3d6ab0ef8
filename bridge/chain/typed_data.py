"""What holders of wallets sign, and what the exchange promises (EIP-712): the JSON that `eth_signTypedData_v4` takes.

The field names and their order are the contracts' own: another spelling gives another hash, and the contract says no.
A promise is read by no contract: whoever was given it shows it to whom they like. Every number here is below 2^53, so
that also a wallet written in JavaScript shows it exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

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


@dataclass(frozen=True, slots=True)
class Promise:
    """What a firm quote promises: `amount_in` and `fee_points` are burned, `amount_out` arrives, `bonus` of it apart.

    `path` is the tokens from first to last and `versions` those of the terms of each hop. Until `deadline`, in unix
    seconds, the quote can be accepted. `fees` are what the member owes in money: currencies with micro-units.
    """

    id: str
    path: Sequence[bytes]
    versions: Sequence[int]
    member_id: str
    to_member_id: str
    amount_in: int
    amount_out: int
    bonus: int
    fee_points: int
    fees: Sequence[tuple[str, int]]
    deadline: int


def quote(domain: Domain, promise: Promise) -> dict[str, Any]:
    """A firm quote, signed by the exchange's operator. The domain is the exchange's.

    Members stand in it by the hash of their id, so that it can be shown around without saying whose it is; the fees in
    money by the hash of their text, since a number of micro-units may be beyond what JavaScript counts.
    """
    return _typed(
        domain,
        "Quote",
        ("string id", promise.id),
        ("address[] path", [checksummed(each) for each in promise.path]),
        ("uint256[] versions", list(promise.versions)),
        ("bytes32 member", _hashed(promise.member_id)),
        ("bytes32 receiver", _hashed(promise.to_member_id)),
        ("uint256 amountIn", promise.amount_in),
        ("uint256 amountOut", promise.amount_out),
        ("uint256 bonus", promise.bonus),
        ("uint256 feePoints", promise.fee_points),
        ("bytes32 fees", _hashed(fees_text(promise.fees))),
        ("uint256 deadline", promise.deadline),
    )


def fees_text(fees: Sequence[tuple[str, int]]) -> str:
    """Fees in money as the one text that is hashed: such as EUR:250000,USD:500000; empty where there are none."""
    return ",".join(sorted(f"{currency}:{micro}" for currency, micro in fees))


def _hashed(text: str) -> str:
    return f"0x{keccak(text.encode()).hex()}"


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
