"""One exchange and five admitted programs, with terms along A -> B -> C -> D and every limit wide but in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from eth_utils.crypto import keccak
from web3.contract import Contract

from .chain import VALID_UNTIL, Artifact, Chain, Sent

PROGRAMS: Final = "ABCDE"
RATIOS: Final = ((3, 2), (2, 3), (5, 4))
PRICE: Final = 4_000  # micro-units a destination point
# Limits are wide, and their buckets are not full while anything is measured, as in daily life.
WIDE: Final = (2**45, 1_000)
CAP: Final = 2**45
CREDIT: Final = 2**100
DAY_S: Final = 86_400
NO_DELAY: Final = 0


@dataclass
class World:
    """The contracts, and the keys of those who may call them."""

    chain: Chain
    exchange: Contract
    tokens: Sequence[Contract]
    _sequences: dict[str, int] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return self.chain.accounts[0]

    @property
    def operator(self) -> str:
        return self.chain.accounts[1]

    @property
    def holder(self) -> str:
        """A member who has a wallet at every program."""
        return self.chain.accounts[3]

    def post(self, token: Contract, words: Sequence[bytes]) -> Sent:
        """One batch of a program's issuer."""
        sequence = self._next(token.address)
        return self.chain.send(self.issuer, token, "post", sequence, VALID_UNTIL, words)

    def settle(self, hops: int, words: Sequence[bytes]) -> Sent:
        """One batch of swaps from the first program over so many hops."""
        path = self.path(hops)
        sequence = self._next(f"path of {hops}")
        return self.chain.send(self.operator, self.exchange, "settle", path, [1] * hops, sequence, VALID_UNTIL, words)

    def path(self, hops: int) -> list[str]:
        return [str(token.address) for token in self.tokens[: hops + 1]]

    def _next(self, of: str) -> int:
        self._sequences[of] = self._sequences.get(of, 0) + 1
        return self._sequences[of]


def build_world(chain: Chain, artifacts: Mapping[str, Artifact]) -> World:
    """Deploys and admits; `artifacts` are by the contracts' names."""
    issuer, operator, admin = chain.accounts[:3]
    times = (NO_DELAY, 2 * DAY_S, DAY_S, DAY_S, DAY_S)  # the notice is as long as a quote and a batch together
    exchange = chain.deploy(artifacts["PointsExchange"], admin, operator, chain.accounts[4], times)
    keys = (issuer, chain.accounts[5], admin, admin)
    choices = (exchange.address, False, NO_DELAY, WIDE, WIDE, WIDE)
    tokens = [chain.deploy(artifacts["PointsToken"], (f"Program {it}", it, *keys, *choices)) for it in PROGRAMS]
    for token in tokens:
        admission = exchange.encode_abi("admit", [token.address, CREDIT])
        chain.send(admin, exchange, "announce", bytes.fromhex(admission[2:]))
        chain.send(admin, exchange, "admit", token.address, CREDIT)
    for source, destination, ratio in zip(tokens, tokens[1:], RATIOS, strict=False):
        direction = (source.address, destination.address)
        chain.send(admin, exchange, "propose", *direction, (*ratio, PRICE, CAP, CAP))
        chain.send(admin, exchange, "consent", *direction, 1)
    return World(chain, exchange, tokens)


def account(token: Contract, reference: bytes) -> bytes:
    """The managed account of a reference at a token."""
    return keccak(bytes.fromhex(token.address[2:]) + reference)[12:]
