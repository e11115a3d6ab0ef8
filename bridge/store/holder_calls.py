"""Holders' calls: what a wallet is asked to sign or to send, and what became of it.

Each call has a number that the contract takes once. The numbers of a holder at one contract count up, so that many of
them share a storage slot there.
"""

import datetime
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import chainstate, programs, wallet_swaps, wallets
from bridge.store.ids import new_id
from bridge.store.schema import holder_call, holder_event
from bridge.store.wallets import Wallet, WalletNotBound
from exchange.errors import Conflict, InsufficientPoints, NotFound
from exchange.points import Points, points

REDEEM, DEPOSIT, SWAP = "redeem", "deposit", "swap"
OPEN, RELAYED, FINAL, FAILED, CANCELLED = "open", "relayed", "final", "failed", "cancelled"
#: How a call stands at a moment; derived, not stored.
CONFIRMED, EXPIRED = "confirmed", "expired"
CANCELLED_ON_CHAIN = "the holder cancelled its number on the chain"
NUMBER_MISUSED = "its number was used on the chain for something else"
WITHDRAWN = "withdrawn before it was sent"
#: The kind of a chain's event that says that a number was used up and for nothing else.
NONCE_USED = "nonce_used"


class UnknownHolderCall(NotFound):
    """Raised when the wallet has no such call."""

    type = "unknown-holder-call"


class HolderCallState(Conflict):
    """Raised when a call is not in the state from which a step begins: signed a second time, say."""

    type = "holder-call-state"


class HolderCallExpired(Conflict):
    """Raised when a call is signed after its deadline."""

    type = "holder-call-expired"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a holder wants to do. For a swap `path` is ids of programs, the wallet's own first, and `min_out` the least
    that must come of it, None for all that the terms in force give. `deadline` is the last second (Unix) for it.
    """

    kind: str
    points: int
    deadline: int
    path: tuple[str, ...] = ()
    min_out: int | None = None


@dataclass(frozen=True, slots=True)
class HolderCall:
    """A call with its number; `state` is the stored one, `deadline` the last second (Unix) in which it counts."""

    id: str
    wallet_id: str
    kind: str
    contract: bytes
    holder: bytes
    number: int
    points: int
    path: str | None
    min_out: int | None
    deadline: int
    state: str
    reason: str | None
    signature: bytes | None
    operation_id: str | None
    created_ms: int

    @property
    def programs(self) -> list[str]:
        """The programs along a swap's path, source first."""
        return [] if self.path is None else self.path.split(">")


def create(connection: sa.Connection, of: Wallet, wish: Wish, now_ms: int) -> HolderCall:
    """A call for the holder to sign or to send, with a number of its own.

    Raises InvalidAmount, InsufficientPoints when the wallet does not hold so many final points, WalletNotBound for a
    deposit from a wallet that no longer is, and for a swap what `wallet_swaps.outcome` raises.
    """
    amount = points(wish.points)
    if amount > of.points:
        raise InsufficientPoints(
            f"the wallet holds {of.points:,} points that are final on the chain",
            field="points",
            limit=of.points,
            nearest=of.points or None,
        )
    if wish.kind == DEPOSIT and of.state != wallets.BOUND:
        raise WalletNotBound(f"wallet {of.id} is {of.state}: points go back only to a bound account", field="wallet_id")
    contract = _contract(connection, of, wish.kind)
    made = HolderCall(
        id=new_id("holder_call"),
        wallet_id=of.id,
        kind=wish.kind,
        contract=contract,
        holder=of.address,
        number=_next_number(connection, contract, of.address),
        points=amount,
        path=">".join(wish.path) or None,
        min_out=_min_out(connection, of, wish, amount, now_ms),
        deadline=wish.deadline,
        state=OPEN,
        reason=None,
        signature=None,
        operation_id=None,
        created_ms=now_ms,
    )
    connection.execute(holder_call.insert().values({name: getattr(made, name) for name in HolderCall.__slots__}))
    return made


def _contract(connection: sa.Connection, of: Wallet, kind: str) -> bytes:
    """Whose call it is: the exchange's for a swap, else the token's."""
    if kind != SWAP:
        return programs.by_id(connection, of.program_id).deployed_token
    deployment = chainstate.get(connection)
    assert deployment is not None and deployment.exchange is not None, "wallets exist only after the exchange"
    return deployment.exchange


def _min_out(connection: sa.Connection, of: Wallet, wish: Wish, amount: Points, now_ms: int) -> int | None:
    if wish.kind != SWAP:
        return None
    assert wish.path[0] == of.program_id, "a holder's swap begins at the wallet's program"
    promised = wallet_swaps.outcome(connection, wish.path, amount, now_ms)
    return promised if wish.min_out is None else points(wish.min_out, "min_out")


def _next_number(connection: sa.Connection, contract: bytes, holder: bytes) -> int:
    """The least number above all that were given out, and which the holder has not used up without us."""
    given = connection.scalar(
        sa.select(sa.func.max(holder_call.c.number)).where(
            holder_call.c.contract == contract, holder_call.c.holder == holder
        )
    )
    number = 0 if given is None else int(given) + 1
    used = sa.select(holder_event.c.number).where(
        holder_event.c.contract == contract, holder_event.c.holder == holder, holder_event.c.number.is_not(None)
    )
    # Each used number cost the holder a transaction: there are never many.
    taken = {int.from_bytes(one, "big") for one in connection.execute(used).scalars() if one is not None}
    while number in taken:
        number += 1
    return number


def by_id(connection: sa.Connection, call_id: str, wallet_id: str | None = None) -> HolderCall:
    """The call with this id, of this wallet where one is named. Raises UnknownHolderCall."""
    row = connection.execute(sa.select(holder_call).where(holder_call.c.id == call_id)).one_or_none()
    if row is None or wallet_id not in (None, row.wallet_id):
        raise UnknownHolderCall(f"this wallet has no call {call_id}", field="call_id")
    return HolderCall(**row._mapping)


def by_number(connection: sa.Connection, contract: bytes, holder: bytes, number: bytes | None) -> HolderCall | None:
    """The call to which this number was given, or None."""
    asked = None if number is None else int.from_bytes(number, "big")
    if asked is None or asked >= 2**63:
        return None
    row = connection.execute(
        sa.select(holder_call).where(
            holder_call.c.contract == contract, holder_call.c.holder == holder, holder_call.c.number == asked
        )
    ).one_or_none()
    return None if row is None else HolderCall(**row._mapping)


def standing(connection: sa.Connection, found: HolderCall, now_ms: int) -> str:
    """The state that callers see: confirmed while its effect is in a block that is not final, expired when unused."""
    if found.state == FINAL:
        return FINAL
    seen = connection.scalar(
        sa.select(holder_event.c.id).where(
            holder_event.c.contract == found.contract,
            holder_event.c.holder == found.holder,
            holder_event.c.number == found.number.to_bytes(32, "big"),
            holder_event.c.kind != NONCE_USED,
            holder_event.c.booked_ms.is_(None),
        )
    )
    if seen is not None:
        return CONFIRMED
    return EXPIRED if found.state == OPEN and now_ms > found.deadline * 1000 else found.state


def require_open(found: HolderCall, now_ms: int) -> None:
    """Raises HolderCallState or HolderCallExpired unless the call can still be signed and sent."""
    if found.state != OPEN:
        raise HolderCallState(f"call {found.id} is {found.state}; only an open one can be signed", field="call_id")
    if now_ms > found.deadline * 1000:
        raise HolderCallExpired(
            f"the deadline of call {found.id} was {now_ms // 1000 - found.deadline} s ago; ask for a new one",
            field="call_id",
        )


def relayed(connection: sa.Connection, found: HolderCall, signature: bytes, now_ms: int) -> None:
    """The holder's signature is to be sent. Raises what `require_open` raises."""
    require_open(by_id(connection, found.id), now_ms)
    _set(connection, found.id, state=RELAYED, signature=signature)


def cancel(connection: sa.Connection, call_id: str) -> HolderCall:
    """Withdraw a call that was not sent; one that is withdrawn stays so. Raises HolderCallState."""
    found = by_id(connection, call_id)
    if found.state not in (OPEN, CANCELLED):
        raise HolderCallState(f"call {call_id} is {found.state}; only an open one can be withdrawn", field="call_id")
    if found.state == OPEN:
        _set(connection, call_id, state=CANCELLED, reason=WITHDRAWN)
    return by_id(connection, call_id)


def refused(connection: sa.Connection, call_id: str, reason: str) -> None:
    """The chain refused what was sent. What the holder made of the call meanwhile counts more.

    What is refused uses up no number, and everybody can read the signature on the chain: the reason says for how long
    it can still be sent.
    """
    found = by_id(connection, call_id)
    if found.state == RELAYED:
        until = datetime.datetime.fromtimestamp(found.deadline, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        still = f"the signature stays valid until {until}; cancel it on chain before signing another"
        _set(connection, call_id, state=FAILED, reason=f"{reason}; {still}")


def sent_again(connection: sa.Connection, call_id: str) -> None:
    """The block that refused it is gone, and it is sent again."""
    if by_id(connection, call_id).state == FAILED:
        _set(connection, call_id, state=RELAYED, reason=None)


def used(connection: sa.Connection, found: HolderCall, operation_id: str) -> None:
    """Its effect is final."""
    _set(connection, found.id, state=FINAL, reason=None, operation_id=operation_id)


def void(connection: sa.Connection, found: HolderCall, reason: str) -> None:
    """Its number is used up and it has no effect."""
    _set(connection, found.id, state=CANCELLED, reason=reason)


def _set(connection: sa.Connection, call_id: str, **values: object) -> None:
    connection.execute(holder_call.update().where(holder_call.c.id == call_id).values(values))
