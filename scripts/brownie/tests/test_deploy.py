"""What Brownie builds and deploys is what the service deploys, and behaves like it."""

import json
import os
from pathlib import Path

import brownie
import pytest
from brownie import PointsExchange, PointsToken
from brownie.exceptions import VirtualMachineError
from scripts.deploy import World, deploy, earn, word

#: Where the repo keeps what the service deploys.
ARTIFACTS = Path(os.environ["SARRAF_ARTIFACTS"])


#: The compiler's note behind the code, two digits a byte: INVALID, and 53 bytes.
METADATA_HEX = 2 * 54


@pytest.fixture(scope="module")
def world() -> World:
    return deploy()


@pytest.mark.parametrize("contract", [PointsToken, PointsExchange], ids=lambda one: one._name)
def test_bytecode__built_by_brownie__is_that_of_the_service(contract: object) -> None:
    kept = json.loads((ARTIFACTS / f"{contract._name}.json").read_text())["deployedBytecode"].removeprefix("0x")
    built = contract._build["deployedBytecode"]
    assert built.startswith(kept)
    # Behind the code Brownie lets the compiler add a hash of the sources, which the repo's build leaves out.
    assert len(built) - len(kept) == METADATA_HEX


def test_deploy__of_an_exchange_with_two_programs__admits_both(world: World) -> None:
    assert all(world.exchange.admitted(token) for token in world.tokens)


def test_post__of_an_earn__mints_into_the_account_of_its_reference(world: World) -> None:
    token, reference = world.tokens[0], b"\x07" * 20
    before = token.totalSupply()
    posted = earn(world, reference, 40, b"tag-1")
    assert token.balanceOf(posted.events["Transfer"]["to"]) == 40
    assert token.totalSupply() == before + 40
    assert posted.events["Posted"]["credited"] == 40


def test_post__out_of_sequence_or_by_a_stranger__is_refused(world: World) -> None:
    token = world.tokens[0]
    entry = [word(b"\x08" * 20, 1, 1, b"tag-2")]
    valid_until = brownie.chain.time() + 60
    with pytest.raises(VirtualMachineError, match="WrongSequence"):
        token.post(token.sequence() + 2, valid_until, entry, {"from": world.issuers[0]})
    with pytest.raises(VirtualMachineError, match="NotIssuer"):
        token.post(token.sequence() + 1, valid_until, entry, {"from": world.operator})
