"""Challenges: one-time questions to a wallet, by whose signed answer a member proves that it is theirs."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.ids import new_secret
from bridge.store.schema import wallet_challenge
from exchange.errors import Conflict, Invalid

CHALLENGE_LIFE_MS = 10 * 60 * 1000
#: Challenges of one member that may wait for an answer at the same time.
CHALLENGES_OPEN_MAX = 16
#: How long a used or expired one is remembered, so that its second use can be named for what it is.
REMEMBERED_MS = 24 * 3600 * 1000


class ChallengeUnknown(Invalid):
    """Raised when a nonce was never given out for this member."""

    type = "challenge-unknown"


class ChallengeUsed(Conflict):
    """Raised when a challenge is answered a second time."""

    type = "challenge-used"


class ChallengeExpired(Conflict):
    """Raised when a challenge is answered after its time."""

    type = "challenge-expired"


class TooManyChallenges(Conflict):
    """Raised when a member has as many open challenges as may wait."""

    type = "too-many-challenges"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a wallet was asked: to sign `statement` under this nonce, with the key of `address`, for an account."""

    nonce: str
    member_id: str
    account_id: int
    address: bytes
    statement: str
    created_ms: int
    expires_ms: int
    used_ms: int | None


def create(
    connection: sa.Connection, member_id: str, account_id: int, address: bytes, statement: str, now_ms: int
) -> Challenge:
    """A new challenge. Raises TooManyChallenges."""
    connection.execute(
        wallet_challenge.delete().where(
            wallet_challenge.c.member_id == member_id, wallet_challenge.c.expires_ms < now_ms - REMEMBERED_MS
        )
    )
    waiting = connection.scalar(
        sa.select(sa.func.count()).where(
            wallet_challenge.c.member_id == member_id,
            wallet_challenge.c.used_ms.is_(None),
            wallet_challenge.c.expires_ms >= now_ms,
        )
    )
    if waiting is not None and waiting >= CHALLENGES_OPEN_MAX:
        raise TooManyChallenges(
            f"{waiting} challenges of this member wait for an answer; answer one, or let them expire",
            limit=CHALLENGES_OPEN_MAX,
        )
    made = Challenge(
        new_secret(12), member_id, account_id, address, statement, now_ms, now_ms + CHALLENGE_LIFE_MS, None
    )
    connection.execute(wallet_challenge.insert().values({name: getattr(made, name) for name in Challenge.__slots__}))
    return made


def require_open(connection: sa.Connection, nonce: str, member_id: str, now_ms: int) -> Challenge:
    """The challenge with this nonce, to be answered for this member now.

    Raises ChallengeUnknown, ChallengeUsed, ChallengeExpired.
    """
    row = connection.execute(sa.select(wallet_challenge).where(wallet_challenge.c.nonce == nonce)).one_or_none()
    if row is None or row.member_id != member_id:
        raise ChallengeUnknown("this nonce was not given out for this member; ask for one", field="message.nonce")
    found = Challenge(**row._mapping)
    if found.used_ms is not None:
        raise ChallengeUsed("this nonce was used already; ask for a new one", field="message.nonce")
    if now_ms > found.expires_ms:
        raise ChallengeExpired(
            f"this nonce expired {(now_ms - found.expires_ms) / 1000:.0f} s ago; ask for a new one",
            field="message.nonce",
        )
    return found


def use(connection: sa.Connection, nonce: str, member_id: str, now_ms: int) -> Challenge:
    """Use up a challenge. Raises what `require_open` raises."""
    found = require_open(connection, nonce, member_id, now_ms)
    connection.execute(wallet_challenge.update().where(wallet_challenge.c.nonce == nonce).values(used_ms=now_ms))
    return found
