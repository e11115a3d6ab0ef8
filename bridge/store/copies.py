"""Copies of a ledger: one file that holds a ledger as it was at one moment, and what can be said of it.

A copy is read here as a plain SQLite file and never written: opening it as a ledger would change its bytes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.store.database import revisions
from bridge.store.sqlite import BUSY_TIMEOUT_MS
from exchange.errors import Conflict, Unavailable

#: What SQLite puts beside a database in write-ahead mode.
SIDE_FILES = ("-wal", "-shm")


class CopyFailed(Unavailable):
    """Raised when a copy cannot be made: the disk is full, or the ledger cannot be read."""

    type = "copy-failed"


class CopyUnfit(Conflict):
    """Raised when a file is no sound copy of a ledger, or not of one that belongs here."""

    type = "copy-unfit"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a ledger's file holds: the revision of its schema, its chain, how far it followed that, how many operations.

    The chain is None before the service was ever started on it.
    """

    schema: str
    chain_id: int | None
    genesis_hash: bytes | None
    exchange: bytes | None
    final_number: int | None
    final_hash: bytes | None
    operations: int


def copy_into(ledger: Path, copy: Path) -> None:
    """Write the ledger as it is now into the empty file `copy`, while others go on reading and writing it.

    All of it in one step, since a copy in parts begins anew whenever somebody writes. Raises CopyFailed.
    """
    try:
        with _open(ledger, "rw") as source, _open(copy, "rw") as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except sqlite3.Error as failure:
        raise CopyFailed(f"{ledger} cannot be copied to {copy}: {failure}") from failure


def examine(file: Path, called: Path | None = None) -> Contents:
    """What a copy holds, after a check of all its pages; `called` is its name for the user. Raises CopyUnfit."""
    named = called or file
    try:
        with _open(file, "ro") as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            if found != ["ok"]:
                raise CopyUnfit(f"{named} is damaged: {found[0]}")
            return _contents(connection)
    except sqlite3.Error as failure:
        raise CopyUnfit(f"{named} is no copy of a ledger: {failure}") from failure


def require_known_schema(file: Path, contents: Contents) -> None:
    """Raises CopyUnfit unless this version can read the ledger, or bring it to its own schema."""
    if contents.schema not in revisions():
        raise CopyUnfit(
            f"{file} has schema {contents.schema}, which this version does not know: it was made by a newer one",
            limit=", ".join(sorted(revisions())),
        )


def settle(ledger: Path) -> None:
    """Bring everything that stands beside a ledger's file into it, while nobody else has it open. Raises CopyFailed."""
    try:
        with _open(ledger, "rw") as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise CopyFailed(f"{ledger} is in use")
    except sqlite3.Error as failure:
        raise CopyFailed(f"{ledger} cannot be brought to rest: {failure}") from failure


def close_up(file: Path) -> None:
    """Make a finished ledger a copy: one file with nothing beside it. Raises CopyFailed."""
    try:
        with _open(file, "rw") as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as failure:
        raise CopyFailed(f"{file} cannot be closed up: {failure}") from failure


def block_hash(file: Path, number: int) -> bytes | None:
    """The hash of a block that the ledger in this file took in, or None."""
    with _open(file, "ro") as connection:
        row = connection.execute("SELECT hash FROM block WHERE number = ?", (number,)).fetchone()
    return None if row is None else bytes(row[0])


@contextmanager
def _open(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
    uri = f"{file.resolve().as_uri()}?mode={mode}"  # never made where there is none
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None)) as connection:
        yield connection


def _contents(connection: sqlite3.Connection) -> Contents:
    def one(query: str) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = connection.execute(query).fetchone()
        return found

    schema = one("SELECT version_num FROM alembic_version")
    if schema is None:
        raise CopyUnfit("the file has no ledger's schema")
    chain_id, genesis_hash, exchange = one("SELECT chain_id, genesis_hash, exchange FROM deployment") or (None,) * 3
    number, hashed = one("SELECT number, hash FROM block WHERE final ORDER BY number DESC LIMIT 1") or (None,) * 2
    (count,) = one("SELECT COUNT(*) FROM operation") or (0,)
    return Contents(schema[0], chain_id, genesis_hash, exchange, number, hashed, count)
