"""The simulation from the command line: many seeds, one of them again, or a planted bug to be found."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from tests import postgres
from tests.postgres import Address
from tests.simulation.crashes import POINTS, step_of
from tests.simulation.plants import PLANTS
from tests.simulation.scenario import KINDS
from tests.simulation.world import STEPS, Result, run

#: Lines of the history that a violation shows.
SHOWN_MAX = 25


def main() -> int:
    """Run what the arguments say; 1 when anything that must always hold did not."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--start", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="replay this one, with its whole history")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each run before all faults end")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="plant this bug, and stop where it is found")
    parser.add_argument("--backend", choices=("sqlite", "postgres"), default="sqlite", help="the ledger's database")
    chosen = parser.parse_args()
    if chosen.backend == "sqlite":
        return _run_all(chosen, None)
    with postgres.running() as server:
        return _run_all(chosen, server.address)


def _run_all(chosen: argparse.Namespace, server: Address | None) -> int:
    if chosen.seed is not None:
        return _replay(chosen, server)
    began_s = time.monotonic()
    results = []
    with suppress(KeyboardInterrupt):  # what was done until then is told
        for one in _results(chosen, server):
            results.append(one)
            if one.violation is not None:
                sys.stdout.write(_failure(one, chosen))
                sys.stdout.flush()
                if chosen.plant is not None:
                    break
    sys.stdout.write(_summary(results, time.monotonic() - began_s))
    return int(any(one.violation for one in results))


def _results(chosen: argparse.Namespace, server: Address | None) -> Iterator[Result]:
    """The seeds one after another."""
    for seed in range(chosen.start, chosen.start + chosen.seeds):
        yield run(seed, steps=chosen.steps, plant=chosen.plant, server=server)


def _replay(chosen: argparse.Namespace, server: Address | None) -> int:
    result = run(chosen.seed, steps=chosen.steps, plant=chosen.plant, echo=True, server=server)
    sys.stdout.write("\n".join(result.last) + f"\nseed {chosen.seed}: history {result.digest}\n")
    return int(result.violation is not None)


def _failure(one: Result, chosen: argparse.Namespace) -> str:
    again = f"make simulate SEED={one.seed}"
    again += "" if chosen.steps == STEPS else f" STEPS={chosen.steps}"
    again += "" if chosen.plant is None else f" PLANT={chosen.plant}"
    again += "" if chosen.backend == "sqlite" else f" BACKEND={chosen.backend}"
    shown = "\n".join(f"    {line}" for line in one.last[-SHOWN_MAX:])
    return f"\nseed {one.seed} failed at step {one.steps}: {one.violation}\n{shown}\n  replay it: {again}\n\n"


def _summary(results: list[Result], seconds: float) -> str:
    faults, counts = Counter[str](), Counter[str]()
    visited, crashed = Counter[str](), Counter[str]()
    for one in results:
        faults.update(one.faults)
        counts.update(one.counts)
        visited.update(one.visited)
        crashed.update(one.crashed)
    failed = [one.seed for one in results if one.violation]
    lines = [
        f"{len(results)} seeds, {sum(one.steps for one in results)} steps, {seconds:.0f} s",
        "what came of it:",
        *(f"  {number:>7} {name}" for name, number in sorted(counts.items())),
        f"{crashed.total()} crashes at {len(crashed)} of {len({*POINTS, *visited})} fault points:",
        *(f"  {crashed[point]:>7} of {visited[point]:>7} {point}" for point in sorted(crashed, key=_by_step)),
        "never crashed at: " + (", ".join(sorted({*POINTS, *visited} - crashed.keys(), key=_by_step)) or "none"),
        "injected faults:",
        *(f"  {faults[kind]:>7} {kind}" for kind in sorted({*KINDS, *faults})),
        f"violations: {len(failed)}" + (f" (seeds {', '.join(map(str, failed))})" if failed else ""),
    ]
    return "\n".join(lines) + "\n"


def _by_step(point: str) -> tuple[str, str]:
    return step_of(point), point


if __name__ == "__main__":
    sys.exit(main())
