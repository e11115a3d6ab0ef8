"""The contracts' calling convention, as far as they use it: values into call data.

An array of words is given and written as joined bytes: a general encoder that looks at each word needs 36 microseconds
for it, which at 20,000 entries is most of a second.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from eth_hash.auto import keccak

WORD = 32
ADDRESS_BYTES = 20
#: An array of words, which is given as their bytes joined.
WORDS = "bytes32[]"


@cache
def selector(signature: str) -> bytes:
    """The four bytes by which call data names a function or an error."""
    return bytes(keccak(signature.encode()))[:4]


def encode_call(signature: str, *values: Any) -> bytes:
    """The call data of a function with this canonical signature.

    Numbers are ints, addresses and fixed bytes are bytes of their length, structs and arrays are sequences; only
    `bytes32[]` is the bytes of its words joined. A value that does not fit its type is a bug.
    """
    return selector(signature) + encode_values(signature[signature.index("(") :], values)


def encode_values(kinds: str, values: Sequence[Any]) -> bytes:
    """The values of these types, such as `(address,uint48)`, as arguments of a function or a constructor."""
    members = _members(kinds)
    assert len(members) == len(values), f"{len(values)} values for {kinds}"
    parts = [(_is_dynamic(kind), _value(kind, value)) for kind, value in zip(members, values, strict=True)]
    tail_at = sum(WORD if dynamic else len(data) for dynamic, data in parts)
    head, tail = bytearray(), bytearray()
    for dynamic, data in parts:
        if dynamic:
            head += uint(tail_at + len(tail))
            tail += data
        else:
            head += data
    return bytes(head + tail)


def uint(value: int) -> bytes:
    """A number that is not negative, as one word."""
    return value.to_bytes(WORD, "big")


def address(value: bytes) -> bytes:
    """An address as one word."""
    assert len(value) == ADDRESS_BYTES, f"an address has 20 bytes, not {len(value)}"
    return value.rjust(WORD, b"\0")


def split(data: bytes) -> list[bytes]:
    """The data as words."""
    return [data[at : at + WORD] for at in range(0, len(data), WORD)]


@cache
def _members(kinds: str) -> tuple[str, ...]:
    """The types inside the brackets of a tuple."""
    members, depth, began = [], 0, 1
    for at, letter in enumerate(kinds):
        depth += (letter == "(") - (letter == ")")
        if (letter == "," and depth == 1) or depth == 0:
            members.append(kinds[began:at])
            began = at + 1
    return tuple(member for member in members if member)


@cache
def _is_dynamic(kind: str) -> bool:
    if kind.startswith("("):
        return any(_is_dynamic(member) for member in _members(kind))
    return kind in ("bytes", "string") or kind.endswith("[]")


def _value(kind: str, value: Any) -> bytes:
    if kind == WORDS:
        count, rest = divmod(len(value), WORD)
        assert rest == 0, f"{len(value)} bytes are not whole words"
        return uint(count) + bytes(value)
    if kind.endswith("[]"):
        return uint(len(value)) + b"".join(_value(kind.removesuffix("[]"), each) for each in value)
    if kind.startswith("("):
        return encode_values(kind, value)
    return _WRITERS.get(kind, _fixed)(kind, value)


def _text(_: str, value: str) -> bytes:
    return _counted(_, value.encode())


def _counted(_: str, value: bytes) -> bytes:
    return uint(len(value)) + value.ljust(-(-len(value) // WORD) * WORD, b"\0")


def _address(_: str, value: bytes) -> bytes:
    return address(value)


def _bool(_: str, value: bool) -> bytes:
    return uint(int(value))


def _fixed(kind: str, value: Any) -> bytes:
    """Numbers and bytes of a fixed size."""
    size = int(kind.removeprefix("uint").removeprefix("bytes"))
    if kind.startswith("bytes"):
        assert len(value) == size, f"{len(value)} bytes given as {kind}"
        return bytes(value).ljust(WORD, b"\0")
    assert value >> size == 0, f"{value} is no {kind}"
    return uint(value)


_WRITERS: dict[str, Callable[[str, Any], bytes]] = {
    "string": _text,
    "bytes": _counted,
    "address": _address,
    "bool": _bool,
}
