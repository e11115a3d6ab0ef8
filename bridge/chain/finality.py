"""When a block counts as final: so many blocks deep, or when the chain itself says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.chain.errors import FinalityUnknown
from bridge.chain.rpc import Rpc

DEPTH_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Final:
    """The newest final block; `hash` None: the rule only counts, and asked nobody."""

    number: int
    hash: bytes | None


@dataclass(frozen=True, slots=True)
class FinalityRule:
    """The rule that one network is read by. `depth` counts blocks on top, and only the depth rule uses it."""

    kind: Literal["depth", "safe", "finalized"]
    depth: int = 0

    @classmethod
    def parse(cls, text: str) -> FinalityRule:
        """Reads `depth:0`, `depth:12`, `safe` or `finalized`; anything else raises `FinalityUnknown`."""
        if text in ("safe", "finalized"):
            return cls("safe" if text == "safe" else "finalized")
        kind, _, depth = text.partition(":")
        if kind != "depth" or not (depth.isascii() and depth.isdigit()) or int(depth) > DEPTH_MAX:
            raise FinalityUnknown(
                f"'{text}' is not a finality rule. Use depth:N (N from 0 to {DEPTH_MAX}), safe or finalized."
            )
        return cls("depth", int(depth))

    def __str__(self) -> str:
        return f"depth:{self.depth}" if self.kind == "depth" else self.kind

    def final_number(self, rpc: Rpc, head: int) -> int:
        """The number of the newest final block, never above `head`. Block 0 is always final.

        `head` is the newest block that the asker has seen, so that nothing is final that it has not read.
        """
        return self.final(rpc, head).number

    def final(self, rpc: Rpc, head: int) -> Final:
        """The same block with its hash, where the node was asked for it.

        Behind one address there may be several nodes, and the one that answers need not be of the asker's branch.
        """
        if self.kind == "depth":
            return Final(max(0, head - self.depth), None)
        block = rpc.block(self.kind)
        if block is not None and block.number > head:
            block = rpc.block(head)
        return Final(0, None) if block is None else Final(block.number, block.hash)
