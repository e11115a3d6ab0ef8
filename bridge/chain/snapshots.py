"""Snapshots of the embedded chain: one file holding all of it, so that only the newest blocks need replaying.

A snapshot is a convenience and never the truth: one that is torn, or that does not load, is moved aside.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from bridge.chain.files import sync_directory, write_durably

NAME = re.compile(r"snapshot-(?P<number>\d{12})-(?P<digest>[0-9a-f]{64})\.json\.gz")
ASIDE_SUFFIX = ".unreadable"
ASIDE_MAX = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot file: the block that it was taken at, and the SHA-256 that its bytes must have."""

    path: Path
    number: int
    digest: str

    def is_whole(self) -> bool:
        """Whether the bytes are those that were written."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.digest


class SnapshotStore:
    """The snapshots of one chain's directory: at most one good one, and the last few that were no good."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unpacked = directory / "loading.json"

    def newest(self) -> Snapshot | None:
        """The newest whole snapshot; torn ones are moved aside on the way."""
        for snapshot in self._all():
            if snapshot.is_whole():
                return snapshot
            self.set_aside(snapshot)
        return None

    def save(self, number: int, packed: bytes) -> Snapshot:
        """Keeps the chain as of block `number` (gzip of what anvil loads), and drops what was there."""
        digest = hashlib.sha256(packed).hexdigest()
        snapshot = Snapshot(self._directory / f"snapshot-{number:012d}-{digest}.json.gz", number, digest)
        write_durably(snapshot.path, packed)
        for older in self._all():
            if older.path != snapshot.path:
                older.path.unlink()
        return snapshot

    def unpack(self, snapshot: Snapshot) -> Path:
        """Writes the snapshot out as anvil reads it; `discard_unpacked` removes that file again."""
        self._unpacked.write_bytes(gzip.decompress(snapshot.path.read_bytes()))
        return self._unpacked

    def discard_unpacked(self) -> None:
        """Removes what `unpack` wrote, once anvil has read it."""
        self._unpacked.unlink(missing_ok=True)

    def set_aside(self, snapshot: Snapshot) -> None:
        """Keeps a bad snapshot for whoever wants to look, out of the way of the next start."""
        logger.warning("moving the unreadable snapshot %s aside", snapshot.path.name)
        snapshot.path.replace(snapshot.path.with_name(snapshot.path.name + ASIDE_SUFFIX))
        sync_directory(self._directory)
        aside = sorted(self._directory.glob(f"snapshot-*{ASIDE_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
        for oldest in aside[:-ASIDE_MAX]:
            oldest.unlink()

    def _all(self) -> list[Snapshot]:
        found = [(path, NAME.fullmatch(path.name)) for path in self._directory.iterdir()]
        snapshots = [Snapshot(path, int(name["number"]), name["digest"]) for path, name in found if name]
        return sorted(snapshots, key=lambda each: each.number, reverse=True)
