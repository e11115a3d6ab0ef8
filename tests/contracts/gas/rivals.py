"""What else one could deploy, measured in the same way: ordinary ERC-20s, and trials for the choice of library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eth_utils.crypto import keccak
from web3 import Web3
from web3.contract import Contract

from .chain import Artifact, Chain
from .words import EARN, earn_amount, move_amount, word

SIZE: Final = 100
FIRST: Final = 3_000_000  # holders are numbers; these are nobody else's
WARMING: Final = 4_000_000

Give = Callable[[Chain, Contract, Sequence[int]], int]


@dataclass(frozen=True, slots=True)
class Rival:
    """What an item costs with a rival, in a batch of SIZE or in a transaction of its own."""

    rival: str
    item: str
    per_item: float


def measure_rivals(chain: Chain, artifacts: Mapping[str, Artifact]) -> list[Rival]:
    """All of them; fails when one of them does not keep the books right."""
    return list(_measure(chain, artifacts))


def _measure(chain: Chain, artifacts: Mapping[str, Artifact]) -> Iterator[Rival]:
    loops: tuple[tuple[str, str, Give], ...] = (
        ("OpenZeppelin, one mint a transaction", "OpenZeppelinToken", _mint_each),
        ("OpenZeppelin, airdrop loop", "OpenZeppelinToken", _airdrop),
        ("Solady, airdrop loop", "SoladyToken", _airdrop),
        ("trial: words over OpenZeppelin's mint", "OpenZeppelinWords", _post("postByMint")),
        ("trial: words over Solady's mint", "SoladyWords", _post("postByMint")),
        ("trial: words into OpenZeppelin's storage", "OpenZeppelinWords", _post("postDirectly")),
        ("trial: words into Solady's storage", "SoladyWords", _post("postDirectly")),
    )
    for rival, name, give in loops:
        contract = chain.deploy(artifacts[name], chain.accounts[0])
        yield from _earns(chain, contract, rival, give)
    contract = chain.deploy(artifacts["OpenZeppelinToken"], chain.accounts[0])
    yield from _burns(chain, contract, "OpenZeppelin, one burn a transaction")


def _earns(chain: Chain, contract: Contract, rival: str, give: Give) -> Iterator[Rival]:
    give(chain, contract, [WARMING])  # the supply is not zero any longer
    holders = range(FIRST, FIRST + SIZE)
    yield Rival(rival, "first earn", give(chain, contract, holders) / SIZE)
    yield Rival(rival, "repeat earn", give(chain, contract, holders) / SIZE)
    supply = earn_amount(WARMING) + 2 * sum(earn_amount(holder) for holder in holders)
    assert _number(chain.call(contract, "totalSupply")) == supply
    assert all(_balance(chain, contract, holder) == 2 * earn_amount(holder) for holder in holders)


def _burns(chain: Chain, contract: Contract, rival: str) -> Iterator[Rival]:
    holders = range(FIRST, FIRST + SIZE)
    _mint_each(chain, contract, [WARMING, *holders])
    part = [(holder, move_amount(holder)) for holder in holders]
    rest = [(holder, earn_amount(holder) - amount) for holder, amount in part]
    for item, burns in (("redemption, part", part), ("redemption to zero", rest)):
        gas = sum(
            chain.send(chain.accounts[0], contract, "burn", _account(holder), amount).gas for holder, amount in burns
        )
        yield Rival(rival, item, gas / SIZE)
    assert _number(chain.call(contract, "totalSupply")) == earn_amount(WARMING)


def _mint_each(chain: Chain, contract: Contract, holders: Sequence[int]) -> int:
    issuer = chain.accounts[0]
    return sum(chain.send(issuer, contract, "mint", _account(h), earn_amount(h)).gas for h in holders)


def _airdrop(chain: Chain, contract: Contract, holders: Sequence[int]) -> int:
    accounts = [_account(holder) for holder in holders]
    amounts = [earn_amount(holder) for holder in holders]
    return chain.send(chain.accounts[0], contract, "airdrop", accounts, amounts).gas


def _post(function: str) -> Give:
    def give(chain: Chain, contract: Contract, holders: Sequence[int]) -> int:
        words = [bytes.fromhex(_account(h)[2:]) + word(h, EARN, earn_amount(h))[20:] for h in holders]
        return chain.send(chain.accounts[0], contract, function, words).gas

    return give


def _account(holder: int) -> str:
    return Web3.to_checksum_address(keccak(text=f"rival {holder}")[12:])


def _balance(chain: Chain, contract: Contract, holder: int) -> int:
    return _number(chain.call(contract, "balanceOf", _account(holder)))


def _number(answer: bytes) -> int:
    return int.from_bytes(answer, "big")
