"""The compiled contracts as committed: ABI and bytecode, so that running the service needs no compiler."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

CONTRACTS = ("PointsToken", "PointsExchange")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One contract: its JSON ABI, and the bytecode that stands before the constructor's arguments."""

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """The ABI entries of one kind: `function`, `event`, `error` or `constructor`."""
        return [entry for entry in self.abi if entry["type"] == kind]


@cache
def artifact(name: str) -> Artifact:
    """The committed artifact of one of `CONTRACTS`."""
    assert name in CONTRACTS, f"no contract is named {name}"
    read = json.loads(files("bridge.chain").joinpath("artifacts", f"{name}.json").read_bytes())
    return Artifact(name, tuple(read["abi"]), bytes.fromhex(read["bytecode"].removeprefix("0x")))


def signature(entry: dict[str, Any]) -> str:
    """An ABI entry's canonical text, such as `post(uint64,bytes32[])`, whose keccak names it on chain."""
    return f"{entry['name']}({','.join(_type(each) for each in entry['inputs'])})"


def _type(parameter: dict[str, Any]) -> str:
    given = str(parameter["type"])
    if not given.startswith("tuple"):
        return given
    return f"({','.join(_type(each) for each in parameter['components'])}){given.removeprefix('tuple')}"
