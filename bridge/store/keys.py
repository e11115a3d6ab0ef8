"""API keys: `sarraf_<id>_<secret>`, shown once, stored as a hash.

A key may say who holds it. Those must that propose or approve what one person alone may not do; two keys of one person
are still one person.
"""

import hmac
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.ids import new_id, new_secret, secret_hash
from bridge.store.schema import api_key
from bridge.store.texts import plain
from exchange.errors import Conflict, Invalid, NotFound, Unauthenticated

#: What one person proposes and another approves: a key with one of these says whose it is.
SCOPES_OF_PERSONS = ("adjust", "approve")
#: What a program's key may be given.
SCOPES_OF_PROGRAMS = ("earn", "redeem", "swap", "terms", "members", "powers", "read", *SCOPES_OF_PERSONS)
#: What the operator's first key has, which is nobody's in person.
SCOPES_OF_OPERATOR = (*(one for one in SCOPES_OF_PROGRAMS if one not in SCOPES_OF_PERSONS), "operator")
#: Live keys of one program and person with the same scopes: two, so that one can be replaced without a gap.
LIVE_KEYS_MAX = 2
#: Characters of a person's name.
PERSON_LENGTH_MAX = 64

_MARK = "sarraf"


class TooManyKeys(Conflict):
    """Raised when a program has LIVE_KEYS_MAX live keys of the same scopes and person already."""

    type = "too-many-keys"


class UnknownKey(NotFound):
    """Raised when no live key has this id."""

    type = "unknown-key"


class PersonNeeded(Invalid):
    """Raised when a key is to propose or approve and does not say who holds it."""

    type = "person-needed"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who calls: the key's id, the program it is bound to (None: an operator's), what it may do, and who holds it."""

    id: str
    program_id: str | None
    scopes: frozenset[str]
    person: str | None = None


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's: case, spaces and ways of writing one character make no difference."""
    return _folded(one) == _folded(other)


def _folded(person: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", person).casefold()).split())


def create(
    connection: sa.Connection,
    *,
    program_id: str | None,
    scopes: Iterable[str],
    now_ms: int,
    person: str | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown once. Raises PersonNeeded, UnfitText, TooManyKeys."""
    chosen = " ".join(sorted(scopes))
    holder = None if person is None else plain(person, "person", PERSON_LENGTH_MAX)
    if holder is None and not set(SCOPES_OF_PERSONS).isdisjoint(chosen.split()):
        raise PersonNeeded("say who holds a key that may propose or approve", field="person")
    _require_room(connection, program_id, chosen, holder)
    key_id, secret = new_id("key"), new_secret()
    connection.execute(
        api_key.insert().values(
            id=key_id,
            program_id=program_id,
            scopes=chosen,
            secret_hash=secret_hash(secret),
            created_ms=now_ms,
            person=holder,
        )
    )
    made = ApiKey(key_id, program_id, frozenset(chosen.split()), holder)
    return made, f"{_MARK}_{key_id.removeprefix('key_')}_{secret}"


def _require_room(connection: sa.Connection, program_id: str | None, chosen: str, holder: str | None) -> None:
    live = connection.execute(
        sa.select(api_key.c.person).where(
            api_key.c.program_id.is_not_distinct_from(program_id),
            api_key.c.scopes == chosen,
            api_key.c.revoked_ms.is_(None),
        )
    ).scalars()
    if sum(_folded(one or "") == _folded(holder or "") for one in live) >= LIVE_KEYS_MAX:
        raise TooManyKeys(
            f"{LIVE_KEYS_MAX} live keys with these scopes exist; revoke one first",
            field="scopes",
            limit=LIVE_KEYS_MAX,
        )


def authenticate(connection: sa.Connection, text: str) -> ApiKey:
    """Whose key this is. Raises Unauthenticated, in the same words whatever is wrong with it."""
    mark, _, rest = text.partition("_")
    short_id, _, secret = rest.partition("_")
    row = connection.execute(sa.select(api_key).where(api_key.c.id == f"key_{short_id}")).one_or_none()
    # Compared also where there is no such key, so that the time taken does not tell whether it exists.
    right = hmac.compare_digest(secret_hash(secret), row.secret_hash if row is not None else bytes(32))
    if mark != _MARK or row is None or not right or row.revoked_ms is not None:
        raise Unauthenticated("the API key is unknown, wrong or revoked")
    return ApiKey(row.id, row.program_id, frozenset(row.scopes.split()), row.person)


def is_live(connection: sa.Connection, key_id: str) -> bool:
    """Whether a key was not revoked: asked where a moment counts, since recognised keys are remembered elsewhere."""
    return (
        connection.scalar(sa.select(api_key.c.id).where(api_key.c.id == key_id, api_key.c.revoked_ms.is_(None)))
        is not None
    )


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
