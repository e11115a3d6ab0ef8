"""What each guard costs: the contracts with it against the contracts without it, in the same batch.

A guard is taken out by exact changes to the sources' text. When the sources change, a patch may no longer fit; it then
fails and must follow. Each guard is taken out alone: what several share, like the one slot that keeps sequence, limits,
pause and supply, is paid by whichever remains. A few gas up or down are the compiler's, who arranges the rest anew.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .chain import Artifact, private_chain
from .compiler import Patch, apply, committed, patched, sources_of_all
from .items import Member
from .words import REDEMPTION, SWAP, earns, moves
from .world import World, build_world

SIZE: Final = 100
FIRST: Final = 5_000_000  # holders are numbers; these are nobody else's
DEAR_SHARE: Final = 0.05  # of what an item costs

TOKEN: Final = "src/PointsToken.sol"
EXCHANGE: Final = "src/PointsExchange.sol"
POSITIONS: Final = "src/Positions.sol"
POSTINGS: Final = "src/libraries/Postings.sol"


@dataclass(frozen=True, slots=True)
class Removal:
    """A guard, what it protects from, and how it is taken out: by patches, or by words without tags."""

    guard: str
    protects: str
    patches: tuple[Patch, ...] = ()
    tagged: bool = True


@dataclass(frozen=True, slots=True)
class Guard:
    """What a guard adds to each item in a batch of SIZE, and to a holder's own swap."""

    guard: str
    protects: str
    per_item: Mapping[str, float]
    item: str  # which it burdens most
    share: float  # of that item's gas

    @property
    def is_dear(self) -> bool:
        return self.share > DEAR_SHARE


REMOVALS: Final = (
    Removal(
        "sequence",
        "no batch is posted twice, left out or overtaken",
        (
            Patch(TOKEN, "        state = state.advanced();\n", ""),
            Patch(
                TOKEN,
                "if (sequence_ != state.sequence()) revert WrongSequence(uint64(state.sequence()), sequence_);",
                "",
            ),
            Patch(EXCHANGE, "        _advance(id, sequence);\n", ""),
        ),
    ),
    Removal(
        "batch event with digest",
        "anybody can hold the batch against the ledger by one log",
        (
            Patch(TOKEN, "        emit Posted(sequence_, EntryWords.digest(words), credited, debited);\n", ""),
            Patch(EXCHANGE, "        bytes32 digest = words.digest();\n", ""),
            Patch(EXCHANGE, "        (uint256 burned, uint256 minted) = _walk(", "        _walk("),
            Patch(EXCHANGE, "        emit Settled(id, sequence, digest, burned, minted);\n", ""),
        ),
    ),
    Removal(
        "issuance limit",
        "a stolen issuer key issues no more than the bucket holds",
        (Patch(TOKEN, "        if (credited != 0) state = _chargeIssuance(state, issuer_, credited);\n", ""),),
    ),
    Removal(
        "redemption limit",
        "a stolen issuer key burns no more than the bucket holds",
        (Patch(TOKEN, "        if (debited != 0) state = _chargeRedemption(state, debited);\n", ""),),
    ),
    Removal("tag", "an entry finds its operation again in a ledger that forgot it", tagged=False),
    Removal(
        "account derived from the reference",
        "no issuer can reach a wallet, and the ledger's references can be rebuilt from call data",
        (
            Patch(POSTINGS, "mstore(0x14, word)\n", "\n", times=4),
            Patch(
                POSTINGS,
                "let account := shl(96, keccak256(0x00, 0x28))",
                "let account := shl(96, shr(96, word))",
                times=4,
            ),
            Patch(POSTINGS, "account := shr(96, shl(96, keccak256(0x00, 0x28)))", "account := shr(96, entry)"),
        ),
    ),
    Removal(
        "pause",
        "a guardian stops a stolen issuer key or operator at once",
        (Patch(TOKEN, "        if (state.paused()) revert Paused();\n", "", times=3),),
    ),
    Removal(
        "caps",
        "a stolen operator key or a bad program moves no more than was agreed in a period",
        (
            Patch(EXCHANGE, "            _charge(path[i], path[i + 1], terms.managedCap, left, false);\n", ""),
            Patch(EXCHANGE, "            _charge(path[i], path[i + 1], terms.walletCap, amount, true);\n", ""),
        ),
    ),
    Removal(
        "credit limits",
        "no program comes to owe more than it was granted",
        (
            Patch(POSITIONS, "        uint256 limit = account.creditLimit();\n", ""),
            Patch(POSITIONS, "if (delta < 0 && moved < -int256(limit)) revert OverCredit(program, moved, limit);", ""),
        ),
    ),
    Removal(
        "positions, with their limits and events",
        "what programs owe each other stands on the chain, for clearing",
        (
            Patch(
                POSITIONS,
                "    function _movePosition(address program, int256 delta) internal {\n",
                "    function _movePosition(address program, int256 delta) internal {\n"
                "        if (program != address(0)) return;\n",
            ),
        ),
    ),
)


def measure_guards() -> list[Guard]:
    """Every guard, one taken out at a time. Raises PatchFailed."""
    check_patches()
    whole = committed()
    with_all = _costs(whole, tagged=True)
    # The compiler is a process of its own: threads only wait for it.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        variants = list(pool.map(lambda it: patched(it.patches) if it.patches else whole, REMOVALS))
    return [
        _guard(it, with_all, _costs(without, tagged=it.tagged)) for it, without in zip(REMOVALS, variants, strict=True)
    ]


def check_patches() -> None:
    """Compiles nothing. Raises PatchFailed when one of the patches no longer fits the sources."""
    sources = sources_of_all()
    for removal in REMOVALS:
        apply(removal.patches, sources)


def _guard(removal: Removal, with_all: Mapping[str, float], without: Mapping[str, float]) -> Guard:
    added = {item: gas - without[item] for item, gas in with_all.items()}
    item, share = max(((item, gas / with_all[item]) for item, gas in added.items()), key=lambda pair: pair[1])
    return Guard(removal.guard, removal.protects, added, item, share)


def _costs(artifacts: Mapping[str, Artifact], *, tagged: bool) -> dict[str, float]:
    """Gas per item with these contracts."""
    with tempfile.TemporaryDirectory() as directory, private_chain(Path(directory)) as chain:
        return _measure(build_world(chain, artifacts), tagged=tagged)


def _measure(world: World, *, tagged: bool) -> dict[str, float]:
    holders = range(FIRST, FIRST + SIZE)
    a, b = world.tokens[:2]
    for token in (a, b):
        world.post(token, earns(holders))
    world.settle(1, moves(holders, SWAP))
    member = Member(world)
    member.swap()
    return {
        "repeat earn": world.post(a, earns(holders, tagged=tagged)).gas / SIZE,
        "redemption, part": world.post(a, moves(holders, REDEMPTION, tagged=tagged)).gas / SIZE,
        "swap, 1 hop": world.settle(1, moves(holders, SWAP, tagged=tagged)).gas / SIZE,
        "swap alone": float(member.swap().gas),
    }
