"""API keys: `sarraf_<id>_<secret>`, shown once, stored as a hash."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.ids import new_id, new_secret, secret_hash
from bridge.store.schema import api_key
from exchange.errors import Conflict, NotFound, Unauthenticated

SCOPES = ("earn", "redeem", "swap", "terms", "members", "powers", "read", "operator")
#: Live keys of one program with the same scopes: two, so that one can be replaced without a gap.
LIVE_KEYS_MAX = 2

_MARK = "sarraf"


class TooManyKeys(Conflict):
    """Raised when a program has LIVE_KEYS_MAX live keys with the same scopes already."""

    type = "too-many-keys"


class UnknownKey(NotFound):
    """Raised when no live key has this id."""

    type = "unknown-key"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who calls: the key's id, the program it is bound to (None: an operator's), and what it may do."""

    id: str
    program_id: str | None
    scopes: frozenset[str]


def create(
    connection: sa.Connection, *, program_id: str | None, scopes: Iterable[str], now_ms: int
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown once. Raises TooManyKeys."""
    chosen = " ".join(sorted(scopes))
    live = connection.scalar(
        sa.select(sa.func.count()).where(
            api_key.c.program_id.is_not_distinct_from(program_id),
            api_key.c.scopes == chosen,
            api_key.c.revoked_ms.is_(None),
        )
    )
    if live is not None and live >= LIVE_KEYS_MAX:
        raise TooManyKeys(
            f"{LIVE_KEYS_MAX} live keys with these scopes exist; revoke one first",
            field="scopes",
            limit=LIVE_KEYS_MAX,
        )
    key_id, secret = new_id("key"), new_secret()
    connection.execute(
        api_key.insert().values(
            id=key_id,
            program_id=program_id,
            scopes=chosen,
            secret_hash=secret_hash(secret),
            created_ms=now_ms,
        )
    )
    return ApiKey(key_id, program_id, frozenset(chosen.split())), f"{_MARK}_{key_id.removeprefix('key_')}_{secret}"


def authenticate(connection: sa.Connection, text: str) -> ApiKey:
    """Whose key this is. Raises Unauthenticated, in the same words whatever is wrong with it."""
    mark, _, rest = text.partition("_")
    short_id, _, secret = rest.partition("_")
    row = connection.execute(sa.select(api_key).where(api_key.c.id == f"key_{short_id}")).one_or_none()
    # Compared also where there is no such key, so that the time taken does not tell whether it exists.
    right = hmac.compare_digest(secret_hash(secret), row.secret_hash if row is not None else bytes(32))
    if mark != _MARK or row is None or not right or row.revoked_ms is not None:
        raise Unauthenticated("the API key is unknown, wrong or revoked")
    return ApiKey(row.id, row.program_id, frozenset(row.scopes.split()))


def revoke(connection: sa.Connection, key_id: str, now_ms: int) -> None:
    """End a key at once. Raises UnknownKey."""
    done = connection.execute(
        api_key.update().where(api_key.c.id == key_id, api_key.c.revoked_ms.is_(None)).values(revoked_ms=now_ms)
    )
    if done.rowcount == 0:
        raise UnknownKey(f"there is no live key {key_id}", field="key_id")


def any_operator(connection: sa.Connection) -> bool:
    """Whether a live operator key exists."""
    live = sa.select(api_key.c.id).where(api_key.c.program_id.is_(None), api_key.c.revoked_ms.is_(None))
    return connection.execute(live.limit(1)).one_or_none() is not None
