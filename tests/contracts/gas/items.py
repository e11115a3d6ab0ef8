"""What is measured: each kind of item in batches, and each call that a holder makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from web3.contract import Contract

from ..typed_data import EXCHANGE_NAME, HOLDER, sign, typed_data
from . import floor
from .chain import VALID_UNTIL, Sent
from .floor import Floor
from .words import BIND, REDEMPTION, RELEASE, SWAP, bindings, earn_amount, earns, move_amount, moves, reference, word
from .world import World

SIZES: Final = (1, 10, 100, 500)
HOPS: Final = (1, 2, 3)
PREPARED_AT_ONCE: Final = 100  # so that preparing stays below a transaction's gas
WARMING: Final = 1_000_000  # a holder who is there only so that a path or a slot was used before
MEMBER: Final = 2_000_000  # the holder with a wallet
DEPOSITED, REDEEMED, SWAPPED = 70_001, 80_002, 90_003  # points, with three bytes that count
NONCES_IN_A_SLOT: Final = 256


@dataclass(frozen=True, slots=True)
class Measured:
    """What a transaction with `size` items of one kind cost, and the least that it could have."""

    item: str
    size: int
    gas: int
    floor: Floor
    fixed: int | None = None  # the fixed floor of one item, where it has one

    @property
    def per_item(self) -> float:
        return self.gas / self.size

    @property
    def ratio(self) -> float:
        """To the computed floor."""
        return self.gas / self.floor.gas

    @property
    def fixed_ratio(self) -> float | None:
        return None if self.fixed is None else self.per_item / self.fixed


def measure_batches(world: World, sizes: Sequence[int] = SIZES) -> list[Measured]:
    """Every kind of item, in batches of these sizes, all holders known before but for a first earn."""
    _warm(world)
    return [measured for size in sizes for measured in _batches_of(world, size)]


def _warm(world: World) -> None:
    """Makes the first batch of every path, which writes the path's sequence anew."""
    holders = [WARMING]
    for token in world.tokens[: max(HOPS) + 1]:
        world.post(token, earns(holders))
    for hops in HOPS:
        world.settle(hops, moves(holders, SWAP))


def _batches_of(world: World, size: int) -> Iterator[Measured]:
    token = world.tokens[0]
    holders = range(size * 1_000, size * 1_000 + size)  # nobody else's, since sizes differ
    taken = 0

    words = earns(holders)
    yield _batch("first earn", words, world.post(token, words), floor.earn(words, first=True))
    yield _batch("repeat earn", words, world.post(token, words), floor.earn(words, first=False))

    words = moves(holders, REDEMPTION)
    yield _batch("redemption, part", words, world.post(token, words), floor.redemption(words, to_zero=False))
    taken += 1

    for destination in world.tokens[1 : max(HOPS) + 1]:
        world.post(destination, earns(holders))
    words = moves(holders, SWAP)
    for hops in HOPS:
        name = f"swap, {hops} hop{'s' if hops > 1 else ''}"
        yield _batch(name, words, world.settle(hops, words), floor.swap(words))
        taken += 1

    _prepare_wallets(world, holders)
    words = moves(holders, RELEASE)
    yield _batch("release", words, world.post(token, words), floor.release(words))
    taken += 2  # with the one that prepared

    left = [2 * earn_amount(holder) - taken * move_amount(holder) for holder in holders]
    words = [word(holder, REDEMPTION, amount) for holder, amount in zip(holders, left, strict=True)]
    yield _batch("redemption to zero", words, world.post(token, words), floor.redemption(words, to_zero=True))


def _prepare_wallets(world: World, holders: Sequence[int]) -> None:
    """Gives each holder a wallet that holds something."""
    for begin in range(0, len(holders), PREPARED_AT_ONCE):
        some = holders[begin : begin + PREPARED_AT_ONCE]
        world.post(world.tokens[0], bindings(some))
        world.post(world.tokens[0], moves(some, RELEASE))


def _batch(item: str, words: Sequence[bytes], sent: Sent, least: Floor) -> Measured:
    return Measured(item, len(words), sent.gas, least, floor.FIXED.get(item) if len(words) == floor.AT else None)


def measure_calls(world: World) -> list[Measured]:
    """Every call that the holder of a wallet makes, by transaction and by signature."""
    return list(Member(world).calls())


class Member:
    """A holder with a wallet at two programs, whose signatures somebody else relays.

    A nonce or an order is dearer when it is the first of its slot of 256.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._relayer = world.chain.accounts[6]
        self._nonce = 0
        for token in world.tokens[:2]:
            binding = [word(MEMBER, BIND, 0), bytes(12) + bytes.fromhex(HOLDER[2:])]
            world.post(token, earns([MEMBER]) + binding + [word(MEMBER, RELEASE, earn_amount(MEMBER) // 2)])

    def calls(self) -> Iterator[Measured]:
        token, exchange = self._world.tokens[0], self._world.exchange
        # One of each before: nothing that is measured is the first of its kind.
        for sent in (self.swap(), self._deposit()):
            assert sent.gas
        swap = self.swap()
        yield Measured(
            "swap alone, by transaction", 1, swap.gas, floor.holders_swap(swap.data), floor.FIXED_HOLDERS_SWAP
        )
        for slot, cost in self._slots():
            swap = self._swap_for(exchange)
            yield Measured(
                f"swap alone, by signature, {slot} nonce slot", 1, swap.gas, floor.holders_swap(swap.data, cost)
            )
        for slot, _ in self._slots():
            redeemed = self._world.chain.send(HOLDER, token, "redeem", REDEEMED, self._nonce)
            least = floor.wallet_redemption(redeemed.data)
            yield Measured(f"wallet redemption, by transaction, {slot} order slot", 1, redeemed.gas, least)
        for slot, cost in self._slots():
            redeemed = self._redeem_for(token)
            least = floor.wallet_redemption(redeemed.data, cost)
            yield Measured(f"wallet redemption, by signature, {slot} order slot", 1, redeemed.gas, least)
        deposited = self._deposit()
        yield Measured("deposit, by transaction", 1, deposited.gas, floor.deposit(deposited.data))
        for slot, cost in self._slots():
            deposited = self._deposit_for(token)
            yield Measured(
                f"deposit, by signature, {slot} nonce slot", 1, deposited.gas, floor.deposit(deposited.data, cost)
            )

    def _slots(self) -> Iterator[tuple[str, int]]:
        """Sets the next nonce: first one whose slot was never used, then its neighbour."""
        self._nonce = (self._nonce // NONCES_IN_A_SLOT + 1) * NONCES_IN_A_SLOT + 1
        yield "new", floor.NEW_SLOT
        self._nonce += 1
        yield "used", floor.SLOT

    def swap(self) -> Sent:
        """One hop, by the holder's own transaction."""
        path = self._world.path(1)
        return self._world.chain.send(HOLDER, self._world.exchange, "swap", path, SWAPPED, SWAPPED // 2, VALID_UNTIL)

    def _deposit(self) -> Sent:
        return self._world.chain.send(HOLDER, self._world.tokens[0], "deposit", reference(MEMBER), DEPOSITED)

    def _swap_for(self, exchange: Contract) -> Sent:
        message = {
            "holder": HOLDER,
            "path": self._world.path(1),
            "amountIn": SWAPPED,
            "minOut": SWAPPED // 2,
            "nonce": self._nonce,
            "deadline": VALID_UNTIL,
        }
        return self._relay("swapFor", exchange, EXCHANGE_NAME, "Swap", message)

    def _redeem_for(self, token: Contract) -> Sent:
        message = {"holder": HOLDER, "amount": REDEEMED, "order": self._nonce, "deadline": VALID_UNTIL}
        return self._relay("redeemFor", token, "Program A", "Redeem", message)

    def _deposit_for(self, token: Contract) -> Sent:
        message = {
            "holder": HOLDER,
            "reference": reference(MEMBER),
            "amount": DEPOSITED,
            "nonce": self._nonce,
            "deadline": VALID_UNTIL,
        }
        return self._relay("depositFor", token, "Program A", "Deposit", message)

    def _relay(self, function: str, contract: Contract, name: str, kind: str, message: dict[str, Any]) -> Sent:
        signature = sign(typed_data(name, contract, kind, message))
        return self._world.chain.send(self._relayer, contract, function, *message.values(), signature)
