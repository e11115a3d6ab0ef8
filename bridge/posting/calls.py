"""The contract calls that carry frozen batches, and how much gas each may use.

Pure: words and numbers in, call data out.
"""

from collections.abc import Sequence

from bridge.chain import contracts
from bridge.chain.transactions import TRANSACTION_GAS_MAX
from bridge.store.batches import Control
from bridge.store.freezing import Frozen, Item
from bridge.store.lanes import Lane, LaneId
from exchange.points import Points
from exchange.words import EntryWord, digest

#: Entries that one batch of a program carries: at GAS_PER_ENTRY they fit the chain's limit for a transaction.
POST_ENTRIES_MAX = 500
#: Legs that one batch of swaps carries.
SETTLE_LEGS_MAX = 350

# Upper bounds, not estimates: a batch is frozen before the one in front of it is mined, so no node could simulate it.
GAS_BASE = 200_000
GAS_PER_ENTRY = 32_000
GAS_PER_LEG = 46_000
GAS_DEPLOY = 8_000_000
GAS_CALL = 500_000
GAS_TRANSFER = 21_000

assert GAS_BASE + POST_ENTRIES_MAX * GAS_PER_ENTRY <= TRANSACTION_GAS_MAX
assert GAS_BASE + SETTLE_LEGS_MAX * GAS_PER_LEG <= TRANSACTION_GAS_MAX


def entries_max(stream_kind: str) -> int:
    """How many entries a batch of this kind of stream carries at most."""
    return POST_ENTRIES_MAX if stream_kind == "program" else SETTLE_LEGS_MAX


def words(items: Sequence[Item]) -> bytes:
    """The items as the contract reads them, one word after another."""
    return b"".join(EntryWord(item.reference, item.kind, Points(item.amount), item.tag).pack() for item in items)


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
        gas_limit=GAS_BASE + len(items) * GAS_PER_ENTRY,
    )


def settle(exchange: bytes, path: Sequence[bytes], items: Sequence[Item], sequence: int, valid_until: int) -> Frozen:
    """Swap legs along one path as one call of the exchange; the items share the version of their terms."""
    version = items[0].terms_version
    assert version is not None and all(item.terms_version == version for item in items)
    packed = words(items)
    return Frozen(
        purpose="settle",
        sequence=sequence,
        valid_until=valid_until,
        digest=digest(packed),
        target=exchange,
        calldata=contracts.encode_settle(path, [version], sequence, valid_until, packed),
        gas_limit=GAS_BASE + len(items) * GAS_PER_LEG,
    )


def fund(lane_id: int, from_lane: LaneId, to: bytes, wei: int) -> Control:
    """Gas money for a new lane."""
    return Control("fund", f"lane {lane_id}", from_lane, to, b"", GAS_TRANSFER, wei)


def tick(lane: Lane) -> Control:
    """A transaction that does nothing but be mined."""
    return Control("tick", None, lane.id, lane.address, b"", GAS_TRANSFER)


def deploy_exchange(from_lane: LaneId, admin: bytes, operator: bytes, notice_s: int) -> Control:
    """The creation of the exchange."""
    return Control(
        "deploy-exchange",
        None,
        from_lane,
        None,
        contracts.exchange_init_code(admin, operator, notice_s),
        GAS_DEPLOY,
    )


def deploy_token(
    program_id: str,
    from_lane: LaneId,
    *,
    name: str,
    symbol: str,
    issuer: bytes,
    admin: bytes,
    exchange: bytes,
) -> Control:
    """The creation of a program's token, whose holders may not pass points to one another."""
    init_code = contracts.token_init_code(name, symbol, issuer, admin, exchange, False)
    return Control("deploy-token", program_id, from_lane, None, init_code, GAS_DEPLOY)


def admit(program_id: str, from_lane: LaneId, exchange: bytes, token: bytes) -> Control:
    """The exchange admits a program."""
    return Control("admit", program_id, from_lane, exchange, contracts.encode_admit(token), GAS_CALL)
