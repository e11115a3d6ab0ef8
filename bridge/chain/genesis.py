"""How the embedded chain began: its first second, and everything else that its block hashes depend on.

The same genesis, flags and anvil give the same chain, block hash for block hash, whenever the same
transactions are mined at the same times. So these are written down once and never changed under a chain.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bridge.chain.errors import ChainChanged
from bridge.chain.files import write_durably

CHAIN_ID = 31337
ACCOUNTS = 200  # well-known accounts with coins for gas
BLOCK_GAS_MAX = 400_000_000

# Flags that influence block hashes or what a block contains.
FLAGS: tuple[str, ...] = (
    *("--chain-id", str(CHAIN_ID)),
    *("--hardfork", "osaka"),
    *("--accounts", str(ACCOUNTS)),
    *("--gas-limit", str(BLOCK_GAS_MAX)),
    *("--order", "fifo"),
    "--no-mining",
)


@dataclass(frozen=True, slots=True)
class Genesis:
    """One chain's beginning: unix seconds, the flags, the node's version, and the hash of block 0 in hex."""

    timestamp: int
    flags: tuple[str, ...]
    node: str
    hash: str

    @classmethod
    def read(cls, path: Path) -> Genesis | None:
        """The genesis at `path`, None when there is none; raises `ChainChanged` when it cannot be read."""
        try:
            read = json.loads(path.read_bytes())
            return cls(int(read["timestamp"]), tuple(read["flags"]), str(read["node"]), str(read["hash"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as failure:
            raise ChainChanged(
                f"{path} does not say how the chain began. Move it away: the journal knows it too."
            ) from failure

    def write(self, path: Path) -> None:
        """Writes it down durably."""
        write_durably(path, json.dumps(asdict(self), indent=2).encode() + b"\n")

    def require(self, found: Genesis) -> None:
        """Raises `ChainChanged` when what runs now (`found`) is not what this chain began with."""
        for name in ("flags", "node", "timestamp", "hash"):
            began, now = getattr(self, name), getattr(found, name)
            if began != now:
                raise ChainChanged(
                    f"The chain here began with {name} {_shown(began)}; now it is {_shown(now)}, "
                    "and its blocks would not come out the same. Run it with what it began with."
                )


def _shown(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
