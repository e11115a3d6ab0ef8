"""Contracts to measure: the committed ones, ones with a guard taken out, and the rivals.

All are compiled by the compiler and with the settings of what is deployed.
"""

from __future__ import annotations

import hashlib
import json
import runpy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from ..tools import ARTIFACTS, CONTRACTS, ROOT
from .chain import Artifact

NAMES: Final = ("PointsToken", "PointsExchange")
RIVALS: Final = Path(__file__).resolve().parents[1] / "rivals"

Sources = dict[str, str]


class PatchFailed(Exception):
    """A patch no longer fits the sources: they changed, and the patch must follow."""


class ArtifactsOld(Exception):
    """The committed artifacts are not those of the sources: run `make contracts`."""


@dataclass(frozen=True, slots=True)
class Patch:
    """In one source file, a text that stands there exactly so many times, and what stands there instead."""

    file: str
    old: str
    new: str
    times: int = 1


def committed() -> dict[str, Artifact]:
    """The artifacts that are deployed, by the contracts' names. Raises ArtifactsOld."""
    artifacts = {name: json.loads((ARTIFACTS / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES}
    now = {file: hashlib.sha256(text.encode()).hexdigest() for file, text in sources_of_all().items()}
    for name, artifact in artifacts.items():
        if now != artifact["sourceHashes"]:
            raise ArtifactsOld(f"{name}.json is not what contracts/src gives: run `make contracts`")
    return artifacts


def patched(patches: Sequence[Patch]) -> dict[str, Artifact]:
    """The artifacts with these changes to the sources; untouched ones are the committed. Raises PatchFailed."""
    files = {patch.file for patch in patches}
    changed = [name for name in NAMES if files & set(_sources((name,)))]
    output = _compile(apply(patches, _sources(changed)))
    return {**committed(), **{name: _artifact(output, f"src/{name}.sol", name) for name in changed}}


def apply(patches: Iterable[Patch], sources: Sources) -> Sources:
    """The sources with the changes. Raises PatchFailed when an old text does not stand there just so often."""
    sources = dict(sources)
    for patch in patches:
        found = sources[patch.file].count(patch.old)
        if found != patch.times:
            raise PatchFailed(f"{patch.file} has this {found} times, not {patch.times}:\n{patch.old}")
        sources[patch.file] = sources[patch.file].replace(patch.old, patch.new)
    return sources


def sources_of_all() -> Sources:
    """Every source of the deployed contracts, by its name for the compiler."""
    return _sources(NAMES)


def rivals() -> dict[str, Artifact]:
    """The contracts of tests/contracts/rivals, by their names."""
    script = _script()
    own = {f"rivals/{path.name}": path.read_text(encoding="utf-8") for path in sorted(RIVALS.glob("*.sol"))}
    imported = {found["path"] for text in own.values() for found in script["IMPORT"].finditer(text)}
    packages = [ROOT / "node_modules" / path for path in imported if not path.startswith(".")]
    output = _compile({**own, **script["collect_sources"](packages)})
    return {
        name: _artifact(output, file, name)
        for file in own
        for name in output["contracts"].get(file, {})
        if name + ".sol" in file
    }


def _sources(names: Iterable[str]) -> Sources:
    entries = [CONTRACTS / "src" / f"{name}.sol" for name in names]
    sources: Sources = _script()["collect_sources"](entries)
    return sources


def _compile(sources: Sources) -> dict[str, Any]:
    output: dict[str, Any] = _script()["compile_sources"](sources)
    return output


def _artifact(output: dict[str, Any], file: str, name: str) -> Artifact:
    compiled = output["contracts"][file][name]
    return {"abi": compiled["abi"], "bytecode": "0x" + compiled["evm"]["bytecode"]["object"]}


@cache
def _script() -> dict[str, Any]:
    """What scripts/build_contracts.py defines."""
    return runpy.run_path(str(ROOT / "scripts" / "build_contracts.py"))
