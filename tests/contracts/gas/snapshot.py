"""The reviewed gas of every item: any change of it is seen, and kept only on purpose."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .items import Measured

FILE: Final = Path(__file__).resolve().parents[1] / "gas_snapshot.json"
SIZES: Final = (1, 10, 100)

# Gas of the whole transaction, by item and by its number of items.
Snapshot = dict[str, dict[str, int]]


def snapshot_of(measured: Iterable[Measured]) -> Snapshot:
    """What these items cost."""
    snapshot: Snapshot = {}
    for it in measured:
        if it.size in SIZES:
            snapshot.setdefault(it.item, {})[str(it.size)] = it.gas
    return snapshot


def reviewed(file: Path = FILE) -> Snapshot:
    """The snapshot that was last written and reviewed."""
    snapshot: Snapshot = json.loads(file.read_text(encoding="utf-8"))
    return snapshot


def write(snapshot: Snapshot, file: Path = FILE) -> None:
    file.write_text(json.dumps(snapshot, indent=2) + "\n", encoding="utf-8")


def differences(before: Snapshot, now: Snapshot) -> list[str]:
    """A sentence for each number that grew, shrank, came or went; none when nothing changed."""
    said = []
    both = {(item, size) for each in (before, now) for item, sizes in each.items() for size in sizes}
    for item, size in sorted(both, key=lambda pair: (pair[0], int(pair[1]))):
        old, new = before.get(item, {}).get(size), now.get(item, {}).get(size)
        if old == new:
            continue
        what = f"{item}, {size} at once"
        if old is None or new is None:
            said.append(f"{what}: {'new' if old is None else 'gone'}")
        else:
            said.append(f"{what}: {'grew' if new > old else 'shrank'} from {old:,} to {new:,} ({new - old:+,})")
    return said
