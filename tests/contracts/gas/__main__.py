"""Measures the contracts' gas and prints it: `make bench-gas`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from . import snapshot
from .chain import CallFailed, private_chain
from .compiler import ArtifactsOld, PatchFailed, committed, rivals
from .guards import measure_guards
from .items import SIZES, Measured, measure_batches, measure_calls
from .report import Report, as_json, as_text
from .rivals import measure_rivals
from .world import build_world


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-gas", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--snapshot", action="store_true", help=f"only write {snapshot.FILE.name}, to be reviewed")
    parser.add_argument("--quick", action="store_true", help="neither rivals nor guards: nothing is compiled")
    arguments = parser.parse_args()
    try:
        if arguments.snapshot:
            return _write_snapshot()
        report = _measure(quick=arguments.quick)
    except (ArtifactsOld, PatchFailed, CallFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(as_json(report), indent=2) + "\n" if arguments.json else as_text(report))
    return 0


def _measure(*, quick: bool) -> Report:
    batches, calls = measure_items(SIZES)
    if quick:
        return Report(batches, calls, [], [])
    with tempfile.TemporaryDirectory() as directory, private_chain(Path(directory)) as chain:
        others = measure_rivals(chain, rivals())
    return Report(batches, calls, others, measure_guards())


def _write_snapshot() -> int:
    batches, calls = measure_items(snapshot.SIZES)
    now = snapshot.snapshot_of([*batches, *calls])
    before = snapshot.reviewed() if snapshot.FILE.exists() else {}
    snapshot.write(now)
    sys.stdout.write("\n".join([*snapshot.differences(before, now), f"wrote {snapshot.FILE}"]) + "\n")
    return 0


def measure_items(sizes: tuple[int, ...]) -> tuple[list[Measured], list[Measured]]:
    """Batches of these sizes and the calls of holders, on a chain of their own."""
    with tempfile.TemporaryDirectory() as directory, private_chain(Path(directory)) as chain:
        world = build_world(chain, committed())
        return measure_batches(world, sizes), measure_calls(world)


if __name__ == "__main__":
    sys.exit(main())
