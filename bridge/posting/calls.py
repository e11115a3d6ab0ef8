"""The contract calls that carry frozen batches, and how much gas each may use.

Pure: words and numbers in, call data out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.chain import contracts
from bridge.chain.contracts import Bounds, Limit, Times, TokenSetup
from bridge.chain.transactions import TRANSACTION_GAS_MAX
from bridge.store import chainstate, limits
from bridge.store.batches import Control
from bridge.store.freezing import WEIGHTS, Frozen, Item
from bridge.store.lanes import Lane, LaneId
from bridge.store.programs import NewProgram
from exchange.pricing import HOPS_MAX
from exchange.words import digest

#: Entries that one batch of a program carries: at GAS_PER_ENTRY they fit the chain's limit for a transaction.
POST_ENTRIES_MAX = 500
#: Legs that one batch of swaps carries.
SETTLE_LEGS_MAX = 350

# Upper bounds, not estimates: a batch is frozen before the one in front of it is mined, so no node could simulate it.
GAS_BASE = 200_000
GAS_PER_ENTRY = 32_000
GAS_PER_LEG = 46_000
GAS_PER_FURTHER_HOP = 100_000
GAS_DEPLOY = 9_000_000
GAS_CALL = 500_000
GAS_TRANSFER = 21_000
#: The most that carrying a holder's signed call may use; a contract wallet's own check of the signature is part of it.
GAS_RELAY_MAX = 1_000_000

#: The purpose of a call that a holder signed.
RELAY = "relay"
#: The purpose of a transaction that does nothing.
TICK = "tick"

assert GAS_BASE + POST_ENTRIES_MAX * GAS_PER_ENTRY <= TRANSACTION_GAS_MAX
assert GAS_BASE + (HOPS_MAX - 1) * GAS_PER_FURTHER_HOP + SETTLE_LEGS_MAX * GAS_PER_LEG <= TRANSACTION_GAS_MAX


def entries_max(stream_kind: str) -> int:
    """How many entries a batch of this kind of stream carries at most."""
    return POST_ENTRIES_MAX if stream_kind == "program" else SETTLE_LEGS_MAX


def words(items: Sequence[Item]) -> bytes:
    """The items as the contract reads them, one word after another."""
    return b"".join(item.words for item in items)


def post(token: bytes, items: Sequence[Item], sequence: int, valid_until: int) -> Frozen:
    """A program's entries as one call of its token."""
    packed = words(items)
    return Frozen(
        purpose="post",
        sequence=sequence,
        valid_until=valid_until,
        digest=digest(packed),
        target=token,
        calldata=contracts.encode_post(sequence, valid_until, packed),
        gas_limit=GAS_BASE + sum(WEIGHTS.get(item.kind, 1) for item in items) * GAS_PER_ENTRY,
    )


def settle(exchange: bytes, path: Sequence[bytes], items: Sequence[Item], sequence: int, valid_until: int) -> Frozen:
    """Swap legs along one path as one call of the exchange; the items share the versions of their terms, one a hop."""
    versions = items[0].versions
    assert versions is not None and all(item.versions == versions for item in items)
    packed = words(items)
    return Frozen(
        purpose="settle",
        sequence=sequence,
        valid_until=valid_until,
        digest=digest(packed),
        target=exchange,
        calldata=contracts.encode_settle(path, versions, sequence, valid_until, packed),
        gas_limit=GAS_BASE + (len(versions) - 1) * GAS_PER_FURTHER_HOP + len(items) * GAS_PER_LEG,
    )


def fund(lane_id: int, from_lane: int, to: bytes, wei: int) -> Control:
    """Gas money for a new lane."""
    return Control("fund", f"lane {lane_id}", from_lane, to, b"", GAS_TRANSFER, wei)


def tick(lane: Lane) -> Control:
    """A transaction that does nothing but be mined."""
    return Control(TICK, None, lane.id, lane.address, b"", GAS_TRANSFER)


def deploy_exchange(
    from_lane: LaneId, *, admin: bytes, operator: bytes, standby: bytes, times: chainstate.Times
) -> Control:
    """The creation of the exchange."""
    fixed = Times(times.delay_s, times.notice_s, times.longest_quote_s, times.longest_batch_s, times.cap_period_s)
    init_code = contracts.exchange_init_code(admin, operator, standby, fixed)
    return Control("deploy-exchange", None, from_lane, None, init_code, GAS_DEPLOY)


def relay(call_id: str, from_lane: LaneId, contract: bytes, calldata: bytes) -> Control:
    """What a holder signed, sent by the relayer."""
    return Control(RELAY, call_id, from_lane, contract, calldata, GAS_RELAY_MAX)


@dataclass(frozen=True, slots=True)
class Signers:
    """The addresses that a program's token begins with."""

    issuer: bytes
    standby: bytes
    guardian: bytes
    admin: bytes


def deploy_token(new: NewProgram, from_lane: LaneId, signers: Signers, *, exchange: bytes, delay_s: int) -> Control:
    """The creation of a program's token."""
    issuance, redemption, release = (_bounds(new.limits[name]) for name in limits.NAMES)
    setup = TokenSetup(
        name=new.name,
        symbol=new.symbol,
        issuer=signers.issuer,
        standby=signers.standby,
        guardian=signers.guardian,
        admin=signers.admin,
        exchange=exchange,
        transferable=new.transferable,
        delay=delay_s,
        issuance=issuance,
        redemption=redemption,
        release=release,
    )
    return Control("deploy-token", new.id, from_lane, None, contracts.token_init_code(setup), GAS_DEPLOY)


def _bounds(given: limits.Bounds) -> Bounds:
    return Bounds(given.capacity, given.refill_per_second)


def limit_name(limit: int) -> str:
    """What the ledger calls a token's limit."""
    return Limit(limit).name.lower()


def admit(program_id: str, from_lane: LaneId, exchange: bytes, token: bytes, credit_limit_micro: int) -> Control:
    """The exchange admits a program; to be announced."""
    call = contracts.encode_admit(token, credit_limit_micro)
    return Control("admit", program_id, from_lane, exchange, call, GAS_CALL)


def announcement(of: Control) -> Control:
    """What must be said before an admin makes this call."""
    assert of.target is not None
    call = contracts.encode_announce(of.calldata)
    return Control("announce", of.subject, of.lane_id, of.target, call, GAS_CALL)


assert tuple(limit_name(limit) for limit in Limit) == limits.NAMES
