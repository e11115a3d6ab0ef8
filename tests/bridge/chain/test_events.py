from dataclasses import astuple, dataclass, fields
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak

from bridge.chain import contracts, events
from bridge.chain.artifacts import CONTRACTS, artifact, signature
from bridge.chain.errors import RpcRefused
from bridge.chain.events import decode_event, decode_transfer, explain_revert
from bridge.chain.rpc import Log, Receipt, Rpc
from exchange.points import Points
from exchange.words import EntryKind, EntryWord, account_address, binding_words, digest

from .helpers import Sender, existing

ALICE, BOB, CAROL = (bytes([each]) * 20 for each in (0xA1, 0xB2, 0xC3))
TAG = b"tag45"
FOREVER = 2**64 - 1
NOTICE_S = 1000
GAS = 3_000_000
RENAMED = {"from": "source", "to": "destination", "reference_": "reference"}
WIDE = contracts.Bounds(10_000, 5)
TERMS = contracts.TermsOnChain(from_units=3, to_units=2, price=10_000, managed_cap=1000, wallet_cap=500)
TERMS_MEMBERS = ("from_units", "to_units", "price", "managed_cap", "wallet_cap")
ORDER = 77


def snake(name: str) -> str:
    return RENAMED.get(name) or "".join(f"_{each.lower()}" if each.isupper() else each for each in name)


def word(reference: bytes, kind: EntryKind, amount: int) -> bytes:
    return EntryWord(reference, kind, Points(amount), TAG).pack()


@dataclass
class World:
    """An exchange between two programs; one account plays every role."""

    rpc: Rpc
    sender: Sender
    exchange: bytes
    one: bytes
    two: bytes

    def call(self, to: bytes, data: bytes) -> int:
        return contracts.decode_uint(self.rpc.call(to, data))

    def told(self, to: bytes, data: bytes) -> list[events.Event]:
        """What the contracts say to one transaction."""
        receipt = self.sender.send(to, data, GAS)
        assert receipt.status == 1
        return self.said(receipt)

    def said(self, receipt: Receipt) -> list[events.Event]:
        logs = self.rpc.logs(receipt.block_hash, [self.exchange, self.one, self.two])
        return [event for event in map(decode_event, logs) if event is not None]

    def refusal(self, to: bytes, data: bytes, sender: bytes | None = None) -> str:
        with pytest.raises(RpcRefused) as refused:
            self.rpc.call(to, data, sender=sender or self.sender.address)
        return explain_revert(refused.value.data)


@pytest.fixture
def world(rpc: Rpc) -> World:
    sender = Sender(rpc)
    me = sender.address

    def deployed(code: bytes) -> bytes:
        address = sender.send(None, code, 8_000_000).contract_address
        assert address is not None
        return address

    times = contracts.Times(delay=0, notice=NOTICE_S, longest_quote=60, longest_batch=600, cap_period=86_400)
    exchange = deployed(contracts.exchange_init_code(me, me, BOB, times))
    tokens = [deployed(contracts.token_init_code(setup(name, me, exchange))) for name in ("One", "Two")]
    return World(rpc, sender, exchange, *tokens)


def setup(name: str, me: bytes, exchange: bytes) -> contracts.TokenSetup:
    return contracts.TokenSetup(name, name[:3], me, BOB, me, me, exchange, True, 0, WIDE, WIDE, WIDE)


def test_every_event__that_we_follow__is_the_committed_abis() -> None:
    entries = {each["name"]: each for name in CONTRACTS for each in artifact(name).entries("event")}
    assert {event.__name__ for event, _, _ in events.SHAPES} == entries.keys() - {"Transfer", "Approval"}
    for event, text, topics in events.SHAPES:
        entry = entries[event.__name__]
        assert signature(entry) == text
        assert events.topic_of(text) == keccak(text=text)
        inputs = [(name, each["indexed"]) for each in entry["inputs"] for name in members(each)]
        assert [(field.name, field.name in topics) for field in fields(event)] == inputs


def members(given: dict[str, Any]) -> list[str]:
    """The names under which an argument, or what a struct is made of, is decoded."""
    return [snake(each["name"]) for each in given.get("components") or [given]]


def test_posted_and_skipped__on_chain__are_decoded(world: World) -> None:
    credits = word(ALICE, EntryKind.EARN, 500) + word(BOB, EntryKind.BONUS, 20)
    debits = word(ALICE, EntryKind.REDEMPTION, 100) + word(BOB, EntryKind.EXPIRY, 21)
    said = world.told(world.one, contracts.encode_post(1, FOREVER, credits + debits))
    account = account_address(world.one, BOB)
    assert sorted(said, key=repr) == sorted(
        [
            events.Skipped(sequence=1, index=3, account=account, amount=21, balance=20),
            events.Posted(sequence=1, digest=digest(credits + debits), credited=520, debited=100),
        ],
        key=repr,
    )
    assert world.call(world.one, contracts.encode_sequence()) == 1
    assert world.call(world.one, contracts.encode_total_supply()) == 420
    assert world.call(world.one, contracts.encode_balance_of(account_address(world.one, ALICE))) == 400
    assert world.call(world.one, contracts.encode_balance_of(account)) == 20


def test_terms_and_swaps__on_chain__are_decoded(world: World) -> None:
    me, one, two = world.sender.address, world.one, world.two
    for program in (one, two):
        admit = contracts.encode_admit(program, 10**12)
        (announced,) = world.told(world.exchange, contracts.encode_announce(admit))
        assert isinstance(announced, events.Announced)
        assert (announced.id, announced.call) == (contracts.announcement_id(admit), admit)
        assert announced.until == announced.ready_at + 14 * 86_400
        assert world.call(world.exchange, contracts.encode_ready_at(admit)) == announced.ready_at
        closed, admitted = world.told(world.exchange, admit)
        assert (closed, admitted) == (events.Closed(announced.id, 1), events.Admitted(program, 10**12))
        assert world.call(world.exchange, contracts.encode_admitted(program)) == 1
    proposed = world.told(world.exchange, contracts.encode_propose(one, two, TERMS))
    assert proposed == [events.TermsProposed(*(one, two, 1, *astuple(TERMS), me))]
    receipt = world.sender.send(world.exchange, contracts.encode_consent(one, two, 1), GAS)
    now = existing(world.rpc.block(receipt.block_hash)).timestamp
    assert world.said(receipt) == [events.TermsAdopted(*(one, two, 1, *astuple(TERMS), now))]
    assert world.call(world.exchange, contracts.encode_in_force(one, two)) == 1
    kept = contracts.decode_terms(world.rpc.call(world.exchange, contracts.encode_terms_of(one, two, 1)))
    assert kept == TERMS

    world.told(one, contracts.encode_post(1, FOREVER, word(ALICE, EntryKind.EARN, 500)))
    legs = word(ALICE, EntryKind.SWAP, 300) + word(CAROL, EntryKind.SWAP, 30)
    path = contracts.path_id([one, two])
    said = world.told(world.exchange, contracts.encode_settle([one, two], [1], 1, now + 300, legs))
    assert set(said) == {
        events.LegSkipped(path, sequence=1, index=1),
        events.PositionMoved(one, -200 * 10_000, -200 * 10_000),
        events.PositionMoved(two, 200 * 10_000, 200 * 10_000),
        events.Settled(path, sequence=1, digest=digest(legs), burned=300, minted=200),
    }
    assert contracts.decode_int(world.rpc.call(world.exchange, contracts.encode_position(one))) == -2_000_000
    assert world.call(world.exchange, contracts.encode_sequence_of(path)) == 1
    used = world.rpc.call(world.exchange, contracts.encode_used_of(one, two))
    assert contracts.decode_used(used) == contracts.Used(managed=300, wallet=0)
    lowered = world.told(world.exchange, contracts.encode_lower_caps(one, two, 1, 900, 400))
    assert lowered == [events.CapsLowered(one, two, 1, 900, 400, me)]
    assert world.told(world.exchange, contracts.encode_suspend(one, two)) == [events.Suspended(one, two, me)]


def test_a_wallets_story__on_chain__is_decoded(world: World) -> None:
    me, one = world.sender.address, world.one
    binding = binding_words(ALICE, me, TAG)
    words = word(ALICE, EntryKind.EARN, 500) + binding
    bound = [each for each in world.told(one, contracts.encode_post(1, FOREVER, words)) if type(each) is events.Bound]
    assert [(each.reference, each.wallet) for each in bound] == [(ALICE, me)]
    kept = contracts.decode_binding(world.rpc.call(one, contracts.encode_wallet_of(ALICE)))
    assert kept == contracts.Binding(me, bound[0].effective_at)
    released = world.told(one, contracts.encode_post(2, FOREVER, word(ALICE, EntryKind.RELEASE, 300)))
    assert events.Released(ALICE, me, 300) in released
    limit = contracts.decode_limit(world.rpc.call(one, contracts.encode_limit_of(contracts.Limit.RELEASE)))
    assert (limit.capacity, limit.refill) == (WIDE.capacity, WIDE.refill)
    assert limit.available <= WIDE.capacity
    redeemed = world.told(one, contracts.encode_redeem(20, ORDER))
    assert redeemed == [events.NonceUsed(me, ORDER), events.Redeemed(me, ORDER, 20)]
    assert world.call(one, contracts.encode_is_spent(me, ORDER)) == 1
    assert world.told(one, contracts.encode_deposit(ALICE, 30)) == [events.Deposited(ALICE, me, 30)]
    assert world.told(one, contracts.encode_cancel(5)) == [events.NonceUsed(me, 5)]
    assert world.told(one, contracts.encode_unbind(ALICE)) == [events.Bound(ALICE, bytes(20), 0)]


def test_the_powers__on_chain__are_decoded(world: World) -> None:
    me, one = world.sender.address, world.one
    assert world.told(one, contracts.encode_pause()) == [events.PauseChanged(1, me)]
    world.told(one, contracts.encode_announce(contracts.encode_unpause()))
    assert events.PauseChanged(0, me) in world.told(one, contracts.encode_unpause())
    call = contracts.encode_set_limit(contracts.Limit.ISSUANCE, contracts.Bounds(50, 1))
    assert world.told(one, call) == [events.LimitChanged(0, 50, 1, 50)]
    announcement = contracts.encode_announce(contracts.encode_set_guardian(CAROL))
    world.told(one, announcement)
    withdrawn = world.told(one, contracts.encode_withdraw(contracts.encode_set_guardian(CAROL)))
    assert withdrawn == [events.Closed(contracts.announcement_id(contracts.encode_set_guardian(CAROL)), 0)]
    world.told(one, announcement)
    assert events.GuardianChanged(CAROL) in world.told(one, contracts.encode_set_guardian(CAROL))
    assert contracts.decode_address(world.rpc.call(one, contracts.encode_guardian())) == CAROL
    retired = world.told(one, contracts.encode_retire_issuer())
    assert retired == [events.IssuerChanged(BOB), events.StandbyChanged(bytes(20))]
    assert contracts.decode_address(world.rpc.call(one, contracts.encode_issuer())) == BOB
    retired = world.told(world.exchange, contracts.encode_retire_operator())
    assert retired == [events.OperatorChanged(BOB), events.StandbyChanged(bytes(20))]


def test_decode_transfer__of_a_tokens_log__is_the_movement() -> None:
    account, topic = ALICE.rjust(32, b"\0"), events.topic_of(events.TRANSFER)
    moved = Log(BOB, (topic, bytes(32), account), (7).to_bytes(32, "big"), b"", 0, b"", 0)
    assert decode_transfer(moved) == events.Transfer(bytes(20), ALICE, 7)
    assert decode_transfer(Log(BOB, (topic,), b"", b"", 0, b"", 0)) is None
    assert decode_transfer(Log(BOB, (topic[::-1], account, account), b"", b"", 0, b"", 0)) is None


def test_refusals__of_the_contracts__are_readable(world: World) -> None:
    earn = word(ALICE, EntryKind.EARN, 5)
    assert world.refusal(world.one, contracts.encode_post(5, FOREVER, earn)) == "WrongSequence(expected=1, given=5)"
    stranger = b"\x77" * 20
    assert (
        world.refusal(world.one, contracts.encode_post(1, FOREVER, earn), stranger)
        == f"NotIssuer(caller=0x{stranger.hex()})"
    )
    assert world.refusal(world.exchange, contracts.encode_suspend(world.one, world.two)) != ""


def test_decode_event__of_a_transfer_or_a_strangers_log__is_none() -> None:
    def log(*topics: bytes) -> Log:
        return Log(ALICE, topics, b"", b"", 0, b"", 0)

    assert decode_event(log()) is None
    assert decode_event(log(events.topic_of("Transfer(address,address,uint256)"))) is None
    assert decode_event(log(b"\x01" * 32)) is None


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (None, "reverted without a reason"),
        (b"", "reverted without a reason"),
        (keccak(text="Error(string)")[:4] + abi_encode(["string"], ["not today"]), "not today"),
        (keccak(text="Panic(uint256)")[:4] + (0x11).to_bytes(32, "big"), "Panic(arithmetic overflow)"),
        (keccak(text="Panic(uint256)")[:4] + (0x99).to_bytes(32, "big"), "Panic(0x99)"),
        (b"\x01\x02\x03\x04\x05", "0x0102030405"),
        (b"\x01", "0x01"),
        (keccak(text="EmptyBatch()")[:4], "EmptyBatch()"),
    ],
)
def test_explain_revert__of_any_data__is_a_line(data: bytes | None, line: str) -> None:
    assert explain_revert(data) == line
