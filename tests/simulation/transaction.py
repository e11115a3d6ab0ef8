"""Transactions as the simulated network reads them, and the keystore that signs in clear."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bridge.chain.keystore import Signed
from bridge.chain.transactions import TransactionFields
from exchange.words import digest

#: Who does what no service does: programs' guardians and admins at their own desks.
ADMIN = b"\xad" * 20
#: Raw transactions of which the fields are remembered.
READ_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed transaction; `deed` is what the admin's own do, None for a call of a contract."""

    raw: bytes
    hash: bytes
    sender: bytes
    nonce: int
    to: bytes | None
    data: bytes
    gas: int
    max_fee: int
    tip: int
    value: int
    deed: dict[str, Any] | None


@lru_cache(READ_MAX)
def read(raw: bytes) -> Transaction:
    """The fields of a signed transaction. Raises ValueError for bytes that are none."""
    told = json.loads(raw)
    return Transaction(
        raw=raw,
        hash=digest(raw),
        sender=bytes.fromhex(told["from"]),
        nonce=told["nonce"],
        to=None if told["to"] is None else bytes.fromhex(told["to"]),
        data=bytes.fromhex(told["data"]),
        gas=told["gas"],
        max_fee=told["max_fee"],
        tip=told["tip"],
        value=told["value"],
        deed=told.get("deed"),
    )


def deed_of(nonce: int, deed: dict[str, Any]) -> bytes:
    """The admin's next transaction; miners always want it."""
    told = {"from": ADMIN.hex(), "nonce": nonce, "to": ADMIN.hex(), "data": "", "gas": 0, "value": 0, "deed": deed}
    return json.dumps(told | {"max_fee": 10**30, "tip": 10**20}).encode()


class OpenKeystore:
    """Signs in clear: the bytes are the fields, so that the chain can read them. It signs the same way each time."""

    def address(self, index: int) -> bytes:
        return bytes([index]) * 20

    def sign_transaction(self, index: int, fields: TransactionFields) -> Signed:
        told = {
            "from": self.address(index).hex(),
            "nonce": fields.nonce,
            "to": None if fields.to is None else fields.to.hex(),
            "data": fields.data.hex(),
            "gas": fields.gas,
            "max_fee": fields.fees.max_fee,
            "tip": fields.fees.priority_fee,
            "value": fields.value,
        }
        raw = json.dumps(told).encode()
        return Signed(raw, digest(raw))

    def sign_typed_data(self, index: int, message: dict[str, Any]) -> bytes:
        return digest(self.address(index) + json.dumps(message).encode()) * 2 + b"\x1b"
