"""Names and fingerprints: ids that carry their kind and sort by time, hashes of requests, one-time secrets."""

import hashlib
import json
import secrets

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
}


def new_id(kind: str) -> str:
    """A new id of this kind, such as `op_0192…`: UUIDv7, so that later ids sort behind earlier ones."""
    return f"{PREFIXES[kind]}_{uuid_utils.uuid7().hex}"


def new_reference() -> bytes:
    """20 random bytes that name one managed account's owner; never derived from personal data."""
    return secrets.token_bytes(20)


def new_secret(byte_count: int = 24) -> str:
    """A secret to be shown once, in URL-safe hexadecimal."""
    return secrets.token_hex(byte_count)


def secret_hash(secret: str) -> bytes:
    """What is stored of a secret. The secrets are long and random, so one SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).digest()


def request_hash(*parts: str | int | None) -> bytes:
    """The fingerprint by which a repeated request is told from another request under the same key."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).digest()
