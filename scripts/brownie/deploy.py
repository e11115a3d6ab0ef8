"""Deploys an exchange with two programs by Brownie, agrees on terms between them, and posts a first earn.

    brownie run deploy --network NAME

The accounts are the node's own unlocked ones: for local chains. The service deploys by itself; this is for whoever
works with the contracts in Brownie, and shows each step that the service takes.
"""

import sys
from typing import Any, NamedTuple

from brownie import PointsExchange, PointsToken, accounts, chain

#: Seconds: announced calls wait for the first; a quote and a batch live no longer than the third and the fourth.
DELAY, NOTICE, LONGEST_QUOTE, LONGEST_BATCH, CAP_PERIOD = 0, 900, 300, 600, 86_400
#: What a program may issue, redeem and release at once, and how much of it comes back each second.
BOUNDS = (10_000_000, 100)
CREDIT_LIMIT_MICRO = 1_000_000_000_000
NOBODY = "0x" + 40 * "0"
#: The first byte of an entry's kind, its amount and its tag stand behind the 20 bytes of the reference.
EARN = 1


class World(NamedTuple):
    """What was deployed, and who may do what."""

    exchange: Any
    tokens: list[Any]
    admin: Any
    operator: Any
    issuers: list[Any]


def word(reference: bytes, kind: int, amount: int, tag: bytes) -> bytes:
    """One entry as the contracts read it: 32 bytes."""
    return reference + kind.to_bytes(1, "big") + amount.to_bytes(6, "big") + tag


def announced(contract: Any, method: Any, *arguments: Any, by: Any) -> Any:
    """Makes a call that must have been announced before, after the delay that the contract was deployed with."""
    call = method.encode_input(*arguments)
    contract.announce(call, {"from": by})
    if DELAY:
        chain.sleep(DELAY)
    return method(*arguments, {"from": by})


def deploy() -> World:
    """The exchange, and two programs that are admitted and have agreed on terms from the first to the second."""
    admin, operator, guardian, *issuers = accounts[:5]
    exchange = PointsExchange.deploy(
        admin, operator, NOBODY, (DELAY, NOTICE, LONGEST_QUOTE, LONGEST_BATCH, CAP_PERIOD), {"from": admin}
    )
    tokens = [
        PointsToken.deploy(
            (name, symbol, issuer, NOBODY, guardian, admin, exchange, False, DELAY, BOUNDS, BOUNDS, BOUNDS),
            {"from": admin},
        )
        for (name, symbol), issuer in zip((("Air Miles", "AIR"), ("Box Points", "BOX")), issuers, strict=True)
    ]
    for token in tokens:
        announced(exchange, exchange.admit, token, CREDIT_LIMIT_MICRO, by=admin)
    return World(exchange, tokens, admin, operator, issuers)


def earn(world: World, reference: bytes, points: int, tag: bytes) -> Any:
    """Posts one earn in the first program; answers the transaction."""
    token = world.tokens[0]
    valid_until = chain.time() + LONGEST_BATCH
    return token.post(
        token.sequence() + 1, valid_until, [word(reference, EARN, points, tag)], {"from": world.issuers[0]}
    )


def main() -> None:
    """Deploys, posts, and says where everything stands."""
    world = deploy()
    posted = earn(world, b"\x01" * 20, 250, b"first")
    told = [f"exchange {world.exchange.address}"]
    told += [f"{token.symbol()} {token.address}: {token.totalSupply()} points" for token in world.tokens]
    told.append(f"posted in block {posted.block_number}: {posted.events['Posted']['credited']} points")
    sys.stdout.write("\n".join(told) + "\n")
