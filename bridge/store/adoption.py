"""Adoption: a request that is repeated after its operation was restored from the chain gets that operation.

The chain keeps five bytes of a request's key. What has the same tag, kind, points and member was the same request: the
restored operation takes the key and answers for it from now on, and accounts that were nobody's are the member's who is
named. The same tag, kind and member with other points is another request under a used key. Where another kind or
another member has the tag, two keys met by chance (one pair in 2^40 does): the request is a new one.

Nothing on the chain says who an account that is nobody's belongs to. It cannot be a member's who was known here when it
turned up, as what was posted for that member names the account that is known. So a key that a partner uses again for
such a member takes no other's account; used for one who was enrolled since, it does. Keys are the partner's to keep.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store import accounts, links, members
from bridge.store.database import IN_LIST_MAX
from bridge.store.requests import Known
from bridge.store.schema import account, entry, operation, swap
from exchange.errors import NotLinked
from exchange.operations import OperationKind
from exchange.words import entry_tag


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under a key that is not known here. `points` and `member_id` are None where it does not say them."""

    key: str
    kind: OperationKind
    request_hash: bytes
    points: int | None
    member_id: str | None
    field: str = "Idempotency-Key"


# Written once: building a statement anew costs more than running it. The condition is the index's own.
_RESTORED = sa.select(
    operation.c.id,
    operation.c.kind,
    operation.c.points,
    operation.c.state,
    operation.c.reason,
    operation.c.tag,
).where(
    operation.c.program_id == sa.bindparam("program"),
    operation.c.tag.in_(sa.bindparam("tags", expanding=True)),
    sa.text("restored AND idempotency_key IS NULL"),
)


_ANY_RESTORED = (
    sa.select(operation.c.id)
    .where(operation.c.program_id == sa.bindparam("program"), sa.text("restored AND idempotency_key IS NULL"))
    .limit(1)
)


def candidates(connection: sa.Connection, program_id: str, keys: Iterable[str]) -> dict[str, list[Any]]:
    """For each of these keys whose tag they have, the restored operations that no request has claimed yet."""
    if connection.execute(_ANY_RESTORED, {"program": program_id}).first() is None:
        return {}  # as in every ledger that was never restored: a thousand tags cost more than the question
    return tagged(connection, program_id, {entry_tag(program_id, key): key for key in keys})


def tagged(connection: sa.Connection, program_id: str, tags: Mapping[bytes, str]) -> dict[str, list[Any]]:
    """Like `candidates`, for keys whose tag is not that of the key alone."""
    found: dict[str, list[Any]] = {}
    names = list(tags)
    for start in range(0, len(names), IN_LIST_MAX):
        asked = {"program": program_id, "tags": names[start : start + IN_LIST_MAX]}
        for row in connection.execute(_RESTORED, asked):
            found.setdefault(tags[row.tag], []).append(row)
    return found


def adopt(connection: sa.Connection, program_id: str, asked: Asked, found: Iterable[Any] | None = None) -> Known | None:
    """The restored operation that the request was accepted as, which is its own from now on; None: it is a new one.

    `found` are its candidates, where they were read already. Raises IdempotencyKeyReused.
    """
    rows = candidates(connection, program_id, [asked.key]).get(asked.key, ()) if found is None else found
    for row in rows:
        holders = _holders(connection, program_id, row.id)
        if row.kind != asked.kind.value or not _may_be_of(connection, holders, asked.member_id):
            continue
        known = Known(row.id, row.points, row.state, row.reason, asked.request_hash)
        if asked.points not in (None, row.points):
            # Told apart by the hash, which no request has that said other points.
            Known(row.id, row.points, row.state, row.reason, b"").require_same(asked.request_hash, asked.field)
        connection.execute(
            operation.update()
            .where(operation.c.id == row.id)
            .values(idempotency_key=asked.key, request_hash=asked.request_hash)
        )
        if asked.member_id is not None:
            for one in holders:
                accounts.adopt(connection, one.id, asked.member_id)
        if asked.kind is OperationKind.SWAP:
            _adopt_landing(connection, program_id, row.id)
        return known
    return None


def _may_be_of(connection: sa.Connection, holders: Iterable[Any], member_id: str | None) -> bool:
    """Whether the accounts of an operation can be this member's; None: any member's."""
    if member_id is None:
        return True
    return all(
        one.member_id == member_id or (one.member_id is None and accounts.may_adopt(connection, one.id, member_id))
        for one in holders
    )


def _holders(connection: sa.Connection, program_id: str, operation_id: str) -> list[Any]:
    """The managed accounts of the program that an operation moved points to or from."""
    rows = connection.execute(
        sa.select(account.c.id, account.c.member_id)
        .distinct()
        .join(entry, entry.c.account_id == account.c.id)
        .where(
            entry.c.operation_id == operation_id,
            account.c.program_id == program_id,
            account.c.reference.is_not(None),
        )
        .order_by(account.c.id)
    )
    return list(rows)


def _adopt_landing(connection: sa.Connection, program_id: str, operation_id: str) -> None:
    """Where a restored swap landed is the linked member's, as it would be if the swap were accepted now."""
    to_program_id: str = connection.execute(
        sa.select(swap.c.to_program_id).where(swap.c.operation_id == operation_id)
    ).scalar_one()
    owners = {one.member_id for one in _holders(connection, program_id, operation_id)} - {None}
    for owner in owners:
        try:
            other = links.counterpart(connection, members.by_id(connection, owner), to_program_id)
        except NotLinked:
            continue
        for one in _holders(connection, to_program_id, operation_id):
            if accounts.may_adopt(connection, one.id, other.id):
                accounts.adopt(connection, one.id, other.id)
