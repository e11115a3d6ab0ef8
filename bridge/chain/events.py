"""What the contracts said: their events as Python values, and their errors as a line to read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeAlias

from eth_hash.auto import keccak

from bridge.chain.abi import WORD, selector, split
from bridge.chain.artifacts import CONTRACTS, artifact, signature
from bridge.chain.rpc import Log

PANIC_REASONS = {
    0x01: "assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x32: "index out of range",
}


@dataclass(frozen=True, slots=True)
class Posted:
    """A token took a batch: what it credited and debited in points, and the digest of its words."""

    sequence: int
    digest: bytes
    credited: int
    debited: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A token skipped the debit at `index` of a batch, because the account held only `balance`."""

    sequence: int
    index: int
    account: bytes
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The exchange took a batch of swaps along `path` (an id): `burned` at its start, `minted` at its end."""

    path: bytes
    sequence: int
    digest: bytes
    burned: int
    minted: int


@dataclass(frozen=True, slots=True)
class LegSkipped:
    """The swap leg at `index` moved nothing, because its source account was short."""

    path: bytes
    sequence: int
    index: int


@dataclass(frozen=True, slots=True)
class Bound:
    """A reference's wallet was announced: releases reach it from `effective_at` on, in unix seconds.

    A zero wallet: the binding was taken away.
    """

    reference: bytes
    wallet: bytes
    effective_at: int


@dataclass(frozen=True, slots=True)
class Released:
    """Points moved from a managed account to its bound wallet."""

    reference: bytes
    wallet: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Deposited:
    """Points moved from a wallet to its managed account."""

    reference: bytes
    wallet: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A holder burned points for an order."""

    holder: bytes
    order: int
    amount: int


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """A token's limit is now this; `limit` is a `contracts.Limit`, `available` what it lets through right now."""

    limit: int
    capacity: int
    refill: int
    available: int


@dataclass(frozen=True, slots=True)
class PauseChanged:
    """Posting and swaps of managed accounts stopped (1) or go on (0)."""

    paused: int
    by: bytes


@dataclass(frozen=True, slots=True)
class IssuerChanged:
    """Who may post changed; zero means nobody."""

    issuer: bytes


@dataclass(frozen=True, slots=True)
class StandbyChanged:
    """Who takes over when issuer or operator is retired changed; zero means nobody."""

    standby: bytes


@dataclass(frozen=True, slots=True)
class GuardianChanged:
    """Who may pause and lower changed."""

    guardian: bytes


@dataclass(frozen=True, slots=True)
class Announced:
    """An admin will make `call`, not before `ready_at` and not after `until`, both in unix seconds."""

    id: bytes
    call: bytes
    ready_at: int
    until: int


@dataclass(frozen=True, slots=True)
class Closed:
    """An announced call was made (1) or withdrawn (0)."""

    id: bytes
    made: int


@dataclass(frozen=True, slots=True)
class Nominated:
    """A nominee may now accept the admin's powers; zero takes a nomination back."""

    nominee: bytes


@dataclass(frozen=True, slots=True)
class AdminChanged:
    """The admin's powers changed hands."""

    admin: bytes


@dataclass(frozen=True, slots=True)
class NonceUsed:
    """A holder's nonce was used or cancelled."""

    holder: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class TermsProposed:
    """One side proposed terms for a direction; the caps are source points per period."""

    source: bytes
    destination: bytes
    version: int
    from_units: int
    to_units: int
    price: int
    managed_cap: int
    wallet_cap: int
    proposer: bytes


@dataclass(frozen=True, slots=True)
class TermsAdopted:
    """The other side consented: the terms hold from `effective_at`, in unix seconds."""

    source: bytes
    destination: bytes
    version: int
    from_units: int
    to_units: int
    price: int
    managed_cap: int
    wallet_cap: int
    effective_at: int


@dataclass(frozen=True, slots=True)
class Suspended:
    """One side closed a direction: no version proposed or adopted so far holds any longer."""

    source: bytes
    destination: bytes
    by: bytes


@dataclass(frozen=True, slots=True)
class CapsLowered:
    """One side lowered the caps of a version, in source points per period."""

    source: bytes
    destination: bytes
    version: int
    managed_cap: int
    wallet_cap: int
    by: bytes


@dataclass(frozen=True, slots=True)
class Admitted:
    """The exchange admitted a program's token, which may owe up to `credit_limit` micro-units."""

    program: bytes
    credit_limit: int


@dataclass(frozen=True, slots=True)
class CreditRequested:
    """A program asks to be allowed to owe up to `limit` micro-units."""

    program: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class CreditChanged:
    """What a program may owe changed, in micro-units."""

    program: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class Swapped:
    """A holder swapped points of a wallet from the path's first program to its last."""

    holder: bytes
    source: bytes
    destination: bytes
    amount_in: int
    amount_out: int


@dataclass(frozen=True, slots=True)
class PositionMoved:
    """A program's position changed by `delta` to `position`, in micro-units of the settlement currency."""

    program: bytes
    delta: int
    position: int


@dataclass(frozen=True, slots=True)
class OperatorChanged:
    """Who may settle changed; zero means nobody."""

    operator: bytes


@dataclass(frozen=True, slots=True)
class Transfer:
    """Points moved between two addresses; zero stands for created and destroyed."""

    source: bytes
    destination: bytes
    amount: int


Event: TypeAlias = (
    Posted
    | Skipped
    | Settled
    | LegSkipped
    | Bound
    | Released
    | Deposited
    | Redeemed
    | Swapped
    | LimitChanged
    | PauseChanged
    | IssuerChanged
    | StandbyChanged
    | GuardianChanged
    | OperatorChanged
    | Announced
    | Closed
    | Nominated
    | AdminChanged
    | NonceUsed
    | TermsProposed
    | TermsAdopted
    | Suspended
    | CapsLowered
    | Admitted
    | CreditRequested
    | CreditChanged
    | PositionMoved
)

TERMS = "(uint48,uint48,uint48,uint48,uint48)"
# Each event's canonical signature, and which of its arguments are topics. The names come from the dataclass.
SHAPES: tuple[tuple[type[Event], str, frozenset[str]], ...] = (
    (Posted, "Posted(uint64,bytes32,uint256,uint256)", frozenset({"sequence"})),
    (Skipped, "Skipped(uint64,uint256,address,uint256,uint256)", frozenset({"sequence"})),
    (Settled, "Settled(bytes32,uint64,bytes32,uint256,uint256)", frozenset({"path", "sequence"})),
    (LegSkipped, "LegSkipped(bytes32,uint64,uint256)", frozenset({"path"})),
    (Bound, "Bound(bytes20,address,uint256)", frozenset({"reference", "wallet"})),
    (Released, "Released(bytes20,address,uint256)", frozenset({"reference", "wallet"})),
    (Deposited, "Deposited(bytes20,address,uint256)", frozenset({"reference", "wallet"})),
    (Redeemed, "Redeemed(address,uint256,uint256)", frozenset({"holder", "order"})),
    (Swapped, "Swapped(address,address,address,uint256,uint256)", frozenset({"holder", "source", "destination"})),
    (LimitChanged, "LimitChanged(uint8,uint48,uint48,uint256)", frozenset({"limit"})),
    (PauseChanged, "PauseChanged(bool,address)", frozenset()),
    (IssuerChanged, "IssuerChanged(address)", frozenset({"issuer"})),
    (StandbyChanged, "StandbyChanged(address)", frozenset({"standby"})),
    (GuardianChanged, "GuardianChanged(address)", frozenset({"guardian"})),
    (OperatorChanged, "OperatorChanged(address)", frozenset({"operator"})),
    (Announced, "Announced(bytes32,bytes,uint256,uint256)", frozenset({"id"})),
    (Closed, "Closed(bytes32,bool)", frozenset({"id"})),
    (Nominated, "Nominated(address)", frozenset({"nominee"})),
    (AdminChanged, "AdminChanged(address)", frozenset({"admin"})),
    (NonceUsed, "NonceUsed(address,uint256)", frozenset({"holder"})),
    (TermsProposed, f"TermsProposed(address,address,uint32,{TERMS},address)", frozenset({"source", "destination"})),
    (TermsAdopted, f"TermsAdopted(address,address,uint32,{TERMS},uint64)", frozenset({"source", "destination"})),
    (Suspended, "Suspended(address,address,address)", frozenset({"source", "destination"})),
    (CapsLowered, "CapsLowered(address,address,uint32,uint48,uint48,address)", frozenset({"source", "destination"})),
    (Admitted, "Admitted(address,uint256)", frozenset({"program"})),
    (CreditRequested, "CreditRequested(address,uint256)", frozenset({"program"})),
    (CreditChanged, "CreditChanged(address,uint256)", frozenset({"program"})),
    (PositionMoved, "PositionMoved(address,int256,int256)", frozenset({"program"})),
)
TRANSFER = "Transfer(address,address,uint256)"


@dataclass(frozen=True, slots=True)
class _Reader:
    """How to read one event: for each argument in order, its type and whether it is a topic."""

    event: type[Event]
    arguments: tuple[tuple[str, bool], ...]

    def read(self, log: Log) -> Event:
        topics = iter(log.topics[1:])
        words = iter(split(log.data))
        values: list[Any] = []
        for kind, is_topic in self.arguments:
            word = next(topics if is_topic else words)
            values.append(_counted(log.data, word) if kind == "bytes" else _value(kind, word))
        return self.event(*values)


def topic_of(event_signature: str) -> bytes:
    """The first topic of every log of this event."""
    return bytes(keccak(event_signature.encode()))


def decode_event(log: Log) -> Event | None:
    """The event, or None for a log that the service does not follow (such as Transfer and Approval).

    Whose event it is says `log.address`: the asker must have chosen logs of contracts that it trusts.
    """
    reader = _readers().get(log.topics[0]) if log.topics else None
    return None if reader is None else reader.read(log)


def decode_transfer(log: Log) -> Transfer | None:
    """The movement of points that a token's log tells, or None for any other log.

    Kept apart from the other events: each entry of a batch makes one, and most askers have no use for them.
    """
    if len(log.topics) != 3 or log.topics[0] != _TRANSFER_TOPIC:
        return None
    source, destination = (topic[12:] for topic in log.topics[1:])
    return Transfer(source, destination, int.from_bytes(log.data, "big"))


def explain_revert(data: bytes | None) -> str:
    """A contract's refusal as a line to read, such as `WrongSequence(expected=3, given=5)`."""
    if not data:
        return "reverted without a reason"
    name, arguments = data[:4], data[4:]
    if name == selector("Error(string)"):
        length = int.from_bytes(arguments[WORD : 2 * WORD], "big")
        return arguments[2 * WORD : 2 * WORD + length].decode(errors="replace")
    if name == selector("Panic(uint256)"):
        code = int.from_bytes(arguments[:WORD], "big")
        return f"Panic({PANIC_REASONS.get(code, hex(code))})"
    entry = _errors().get(name)
    if entry is None:
        return f"0x{data.hex()}"
    return f"{entry['name']}({_arguments(entry['inputs'], arguments)})"


@cache
def _readers() -> dict[bytes, _Reader]:
    readers = {}
    for event, text, topics in SHAPES:
        # A struct of numbers stands in the data as its members do, one after another.
        kinds = re.sub(r"[()]", "", text[text.index("(") :]).split(",")
        arguments = zip(kinds, (field.name in topics for field in fields(event)), strict=True)
        readers[topic_of(text)] = _Reader(event, tuple(arguments))
    return readers


@cache
def _errors() -> dict[bytes, dict[str, Any]]:
    entries = [entry for name in CONTRACTS for entry in artifact(name).entries("error")]
    return {selector(signature(entry)): entry for entry in entries}


def _arguments(inputs: Sequence[dict[str, Any]], data: bytes) -> str:
    shown = []
    for given, word in zip(inputs, split(data), strict=False):
        value = _value(given["type"], word)
        shown.append(f"{given['name']}={'0x' + value.hex() if isinstance(value, bytes) else value}")
    return ", ".join(shown)


def _value(kind: str, word: bytes) -> int | bytes:
    """One static ABI value; anything that is not a number or an address stays the bytes that it is."""
    if kind == "address":
        return word[12:]
    if kind.startswith("bytes"):
        return word[: int(kind.removeprefix("bytes"))]
    return int.from_bytes(word, "big", signed=kind.startswith("int"))


def _counted(data: bytes, offset: bytes) -> bytes:
    """The bytes that stand at `offset` of the data, after their length."""
    at = int.from_bytes(offset, "big")
    length = int.from_bytes(data[at : at + WORD], "big")
    return data[at + WORD : at + WORD + length]


_TRANSFER_TOPIC = topic_of(TRANSFER)
