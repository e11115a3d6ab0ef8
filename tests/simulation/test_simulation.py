"""The short form of the simulation: a few seeds, an exact replay, and planted bugs that must be found."""

import os
import subprocess
import sys
from itertools import count

import pytest

from tests.simulation.plants import PLANTS
from tests.simulation.world import run, scenario

#: Seeds of the short form; `make simulate` runs as many as one likes.
SEEDS = range(1, 4)
STEPS = 80
#: Seeds that may be tried until a planted bug shows.
HUNT_MAX = 4
#: The invariant that each planted bug breaks first; `bug` is an assertion of the service itself.
SHOWS = {
    "send-before-store": "T",
    "forget-to-undo": "bug",
    "final-at-once": "T",
    "any-digest": "A",
    "any-body": "B",
    "believe-empty-logs": "A",
}


@pytest.mark.parametrize("seed", SEEDS)
def test_run__whatever_the_seed_lets_happen__keeps_every_invariant(seed: int) -> None:
    result = run(seed, steps=STEPS)
    assert result.violation is None, "\n".join([*result.last, f"replay it: make simulate SEED={seed} STEPS={STEPS}"])


def test_run__of_the_same_seed_in_another_process__has_the_same_history() -> None:
    """Another process hashes strings and bytes otherwise: nothing may depend on the order of a set."""
    seed = next(one for one in count(1) if {"crash", "reorganisation"} <= scenario(one).kinds)
    script = f"from tests.simulation.world import run; print(run({seed}, steps=60).digest)"
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    told = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == run(seed, steps=60).digest


@pytest.mark.parametrize("plant", PLANTS)
def test_run__with_a_planted_bug__finds_it(plant: str) -> None:
    found = (run(seed, plant=plant).violation for seed in range(1, 1 + HUNT_MAX))
    told = next((one for one in found if one is not None), "nothing")
    assert told.startswith(SHOWS[plant])
