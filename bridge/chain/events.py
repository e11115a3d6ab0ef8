"""What the contracts said: their events as Python values, and their errors as a line to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeAlias

from eth_hash.auto import keccak

from bridge.chain.artifacts import CONTRACTS, artifact, signature
from bridge.chain.rpc import Log

WORD = 32
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
class TermsProposed:
    """One side proposed terms for a direction."""

    source: bytes
    destination: bytes
    version: int
    from_units: int
    to_units: int
    price: int
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
    effective_at: int


@dataclass(frozen=True, slots=True)
class Suspended:
    """One side's admin closed a direction."""

    source: bytes
    destination: bytes
    by: bytes


@dataclass(frozen=True, slots=True)
class Admitted:
    """The exchange admitted a program's token."""

    program: bytes


@dataclass(frozen=True, slots=True)
class PositionMoved:
    """A program's position changed by `delta` to `position`, in micro-units of the settlement currency."""

    program: bytes
    delta: int
    position: int


Event: TypeAlias = (
    Posted | Skipped | Settled | LegSkipped | TermsProposed | TermsAdopted | Suspended | Admitted | PositionMoved
)

# Each event's canonical signature, and which of its arguments are topics. The names come from the dataclass.
SHAPES: tuple[tuple[type[Event], str, frozenset[str]], ...] = (
    (Posted, "Posted(uint64,bytes32,uint256,uint256)", frozenset({"sequence"})),
    (Skipped, "Skipped(uint64,uint256,address,uint256,uint256)", frozenset({"sequence"})),
    (Settled, "Settled(bytes32,uint64,bytes32,uint256,uint256)", frozenset({"path", "sequence"})),
    (LegSkipped, "LegSkipped(bytes32,uint64,uint256)", frozenset({"path"})),
    (
        TermsProposed,
        "TermsProposed(address,address,uint32,uint48,uint48,uint64,address)",
        frozenset({"source", "destination"}),
    ),
    (
        TermsAdopted,
        "TermsAdopted(address,address,uint32,uint48,uint48,uint64,uint64)",
        frozenset({"source", "destination"}),
    ),
    (Suspended, "Suspended(address,address,address)", frozenset({"source", "destination"})),
    (Admitted, "Admitted(address)", frozenset({"program"})),
    (PositionMoved, "PositionMoved(address,int256,int256)", frozenset({"program"})),
)


@dataclass(frozen=True, slots=True)
class _Reader:
    """How to read one event: for each argument in order, its type and whether it is a topic."""

    event: type[Event]
    arguments: tuple[tuple[str, bool], ...]

    def read(self, log: Log) -> Event:
        topics = iter(log.topics[1:])
        words = iter(_split(log.data))
        values: list[Any] = [_value(kind, next(topics if is_topic else words)) for kind, is_topic in self.arguments]
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


def explain_revert(data: bytes | None) -> str:
    """A contract's refusal as a line to read, such as `WrongSequence(expected=3, given=5)`."""
    if not data:
        return "reverted without a reason"
    selector, arguments = data[:4], data[4:]
    if selector == _selector("Error(string)"):
        length = int.from_bytes(arguments[WORD : 2 * WORD], "big")
        return arguments[2 * WORD : 2 * WORD + length].decode(errors="replace")
    if selector == _selector("Panic(uint256)"):
        code = int.from_bytes(arguments[:WORD], "big")
        return f"Panic({PANIC_REASONS.get(code, hex(code))})"
    entry = _errors().get(selector)
    if entry is None:
        return f"0x{data.hex()}"
    return f"{entry['name']}({_arguments(entry['inputs'], arguments)})"


@cache
def _readers() -> dict[bytes, _Reader]:
    readers = {}
    for event, text, topics in SHAPES:
        kinds = text[text.index("(") + 1 : -1].split(",")
        arguments = zip(kinds, (field.name in topics for field in fields(event)), strict=True)
        readers[topic_of(text)] = _Reader(event, tuple(arguments))
    return readers


@cache
def _errors() -> dict[bytes, dict[str, Any]]:
    entries = [entry for name in CONTRACTS for entry in artifact(name).entries("error")]
    return {_selector(signature(entry)): entry for entry in entries}


def _arguments(inputs: Sequence[dict[str, Any]], data: bytes) -> str:
    shown = []
    for given, word in zip(inputs, _split(data), strict=False):
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


def _split(data: bytes) -> list[bytes]:
    return [data[at : at + WORD] for at in range(0, len(data), WORD)]


def _selector(text: str) -> bytes:
    return topic_of(text)[:4]
