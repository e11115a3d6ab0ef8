"""Names and fingerprints: ids that carry their kind and sort by time, hashes of requests, one-time secrets."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import uuid_utils

#: What stands before the underscore of an id.
PREFIXES = {
    "program": "prg",
    "member": "mbr",
    "link": "lnk",
    "operation": "op",
    "quote": "quo",
    "terms": "trm",
    "batch": "bat",
    "key": "key",
    "wallet": "wal",
    "holder_call": "hcl",
    "hold": "hld",
    "adjustment": "adj",
}


class Source(Protocol):
    """Where what is new and unguessable comes from."""

    def uuid7(self) -> str:
        """The 32 hexadecimal digits of a new UUIDv7."""
        ...

    def token(self, byte_count: int) -> bytes:
        """Random bytes that nobody can guess."""
        ...


class SystemSource:
    """The machine's clock and its secure randomness."""

    def uuid7(self) -> str:
        return uuid_utils.uuid7().hex

    def token(self, byte_count: int) -> bytes:
        return secrets.token_bytes(byte_count)


_source: Source = SystemSource()


@contextmanager
def taken_from(source: Source) -> Iterator[None]:
    """Within the block, ids and secrets come from another source: a simulation's, which replays them."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before


def new_id(kind: str) -> str:
    """A new id of this kind, such as `op_0192…`: UUIDv7, so that later ids sort behind earlier ones."""
    return f"{PREFIXES[kind]}_{_source.uuid7()}"


def new_reference() -> bytes:
    """20 random bytes that name one managed account's owner; never derived from personal data."""
    return _source.token(20)


def new_secret(byte_count: int = 24) -> str:
    """A secret to be shown once, in URL-safe hexadecimal."""
    return _source.token(byte_count).hex()


def secret_hash(secret: str) -> bytes:
    """What is stored of a secret. The secrets are long and random, so one SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).digest()


def request_hash(*parts: str | int | None) -> bytes:
    """The fingerprint by which a repeated request is told from another request under the same key."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).digest()
