"""Links: one customer's proof that memberships in several programs are theirs.

Each side gives a one-time code; whoever holds the codes of several memberships joins them. Points can then be swapped
between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import members
from bridge.store.ids import new_id, new_secret, secret_hash
from bridge.store.members import Member
from bridge.store.schema import link, link_code, member
from exchange.errors import LinkCodeInvalid, LinkConflict, NotLinked, UnknownLink

LINK_CODE_LIFE_MS = 15 * 60 * 1000
#: Memberships that one link may join.
LINK_MEMBERS_MAX = 16


@dataclass(frozen=True, slots=True)
class Link:
    """Memberships that are one customer's, at most one in each program."""

    id: str
    members: list[Member]
    created_ms: int


def new_code(connection: sa.Connection, member_id: str, now_ms: int) -> tuple[str, int]:
    """A one-time code by which this membership can be linked, and when it expires (milliseconds)."""
    code = new_secret(10)
    expires_ms = now_ms + LINK_CODE_LIFE_MS
    connection.execute(
        link_code.insert().values(code_hash=secret_hash(code), member_id=member_id, expires_ms=expires_ms)
    )
    return code, expires_ms


def join(connection: sa.Connection, codes: Sequence[str], program_id: str | None, now_ms: int) -> Link:
    """Join the memberships that these codes stand for, together with what they were linked to before.

    `program_id` is the caller's program, one of whose members must be among them. Of two links that meet, the
    memberships of one move to the other, and are linked from now on only. Raises LinkCodeInvalid for a code
    that is unknown, used or expired, LinkConflict where two memberships of one program would meet.
    """
    found = [_redeem(connection, code, index, now_ms) for index, code in enumerate(codes)]
    if program_id is not None and program_id not in {one.program_id for one in found}:
        raise LinkCodeInvalid("none of these codes is of a member of the calling program", field="codes")
    joined = {one.id: one for one in found}
    for before in {one.link_id for one in found if one.link_id is not None}:
        joined |= {one.id: one for one in members.in_link(connection, before)}
    if len({one.program_id for one in joined.values()}) < len(joined):
        raise LinkConflict("a link holds at most one membership of each program", field="codes", limit=1)
    if not 2 <= len(joined) <= LINK_MEMBERS_MAX:
        raise LinkConflict(
            f"a link joins 2 to {LINK_MEMBERS_MAX} memberships, not {len(joined)}",
            field="codes",
            limit=LINK_MEMBERS_MAX,
        )
    kept = next((one.link_id for one in found if one.link_id is not None), None)
    link_id = kept or new_id("link")
    if kept is None:
        connection.execute(link.insert().values(id=link_id, created_ms=now_ms))
    new = [one.id for one in joined.values() if one.link_id != link_id]
    connection.execute(member.update().where(member.c.id.in_(new)).values(link_id=link_id, linked_ms=now_ms))
    return by_id(connection, link_id)


def by_id(connection: sa.Connection, link_id: str) -> Link:
    """The link with this id. Raises UnknownLink."""
    row = connection.execute(sa.select(link).where(link.c.id == link_id)).one_or_none()
    if row is None:
        raise UnknownLink(f"there is no link {link_id}", field="link_id")
    return Link(row.id, members.in_link(connection, link_id), row.created_ms)


def leave(connection: sa.Connection, link_id: str, member_id: str) -> None:
    """Take one membership out of a link. Raises UnknownLink where it is not in it."""
    done = connection.execute(
        member.update()
        .where(member.c.id == member_id, member.c.link_id == link_id)
        .values(link_id=None, linked_ms=None)
    )
    if done.rowcount == 0:
        raise UnknownLink(f"member {member_id} is not in link {link_id}", field="member_id")


def counterpart(connection: sa.Connection, source: Member, to_program_id: str) -> Member:
    """The same customer's membership in another program. Raises NotLinked."""
    if source.link_id is not None:
        for one in members.in_link(connection, source.link_id):
            if one.program_id == to_program_id:
                return one
    raise NotLinked(
        f"member {source.id} is not linked to a membership in {to_program_id}: join them by a code from each side",
        field="to_program_id",
    )


def since_ms(one: Member, other: Member) -> int:
    """Since when two memberships are in one link."""
    assert one.link_id == other.link_id and one.linked_ms is not None and other.linked_ms is not None, "they are linked"
    return max(one.linked_ms, other.linked_ms)


def _redeem(connection: sa.Connection, code: str, index: int, now_ms: int) -> Member:
    done = connection.execute(
        link_code.update()
        .where(
            link_code.c.code_hash == secret_hash(code),
            link_code.c.used_ms.is_(None),
            link_code.c.expires_ms >= now_ms,
        )
        .values(used_ms=now_ms)
        .returning(link_code.c.member_id)
    ).one_or_none()
    if done is None:
        raise LinkCodeInvalid("this link code is unknown, used or expired; ask for a new one", field=f"codes.{index}")
    return members.by_id(connection, done.member_id)
