"""Members: one customer's enrolment in one program."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, pages
from bridge.store.ids import new_id, new_reference
from bridge.store.programs import Program
from bridge.store.schema import account, member
from exchange.errors import UnknownMember
from exchange.words import account_address


@dataclass(frozen=True, slots=True)
class Member:
    """An enrolment, with the reference and address of its first account.

    `linked_ms` is since when it is in its link.
    """

    id: str
    program_id: str
    member_number: str
    link_id: str | None
    reference: bytes
    account: bytes
    created_ms: int
    linked_ms: int | None = None


def _select() -> sa.Select[tuple[object, ...]]:
    first = (
        sa.select(sa.func.min(account.c.id))
        .where(account.c.member_id == member.c.id)
        .correlate(member)
        .scalar_subquery()
    )
    return sa.select(member, account.c.reference, account.c.address.label("account")).join(
        account, account.c.id == first
    )


def by_id(connection: sa.Connection, member_id: str, program_id: str | None = None) -> Member:
    """The member with this id, of this program where one is named. Raises UnknownMember."""
    row = connection.execute(_select().where(member.c.id == member_id)).one_or_none()
    if row is None or (program_id is not None and row.program_id != program_id):
        raise UnknownMember(f"there is no member {member_id} in this program", field="member_id")
    return Member(**row._mapping)


def by_number(connection: sa.Connection, program_id: str, member_number: str) -> Member:
    """The member whom the program knows under this number. Raises UnknownMember."""
    found = _numbered(connection, program_id, member_number)
    if found is None:
        raise UnknownMember(f"the program has no member with the number {member_number!r}", field="member_number")
    return found


def _numbered(connection: sa.Connection, program_id: str, member_number: str) -> Member | None:
    row = connection.execute(
        _select().where(member.c.program_id == program_id, member.c.member_number == member_number)
    ).one_or_none()
    return None if row is None else Member(**row._mapping)


def in_link(connection: sa.Connection, link_id: str) -> list[Member]:
    """The memberships that a link joins, oldest first."""
    rows = connection.execute(_select().where(member.c.link_id == link_id).order_by(member.c.id))
    return [Member(**row._mapping) for row in rows]


def find(connection: sa.Connection, program_id: str, *, member_id: str | None, member_number: str | None) -> Member:
    """A member by id or by the program's own number. Raises UnknownMember."""
    if member_id is not None:
        return by_id(connection, member_id, program_id)
    assert member_number is not None
    return by_number(connection, program_id, member_number)


def enrol(connection: sa.Connection, program: Program, member_number: str, now_ms: int) -> tuple[Member, bool]:
    """Enrol a customer; the same number again gives the same member. Answers whether it is new.

    Raises ProgramNotActive before the program's token is admitted.
    """
    token = program.deployed_token
    existing = _numbered(connection, program.id, member_number)
    if existing is not None:
        return existing, False
    member_id, reference = new_id("member"), new_reference()
    connection.execute(
        member.insert().values(id=member_id, program_id=program.id, member_number=member_number, created_ms=now_ms)
    )
    accounts.add_member_account(
        connection, program_id=program.id, token=token, member_id=member_id, reference=reference
    )
    address = account_address(token, reference)
    return Member(member_id, program.id, member_number, None, reference, address, now_ms), True


def page(
    connection: sa.Connection, program_id: str | None, ask: pages.Ask, member_number: str | None = None
) -> pages.Page[Member]:
    """Members of a program (None: of all), oldest first; those of one number where one is given."""
    query = _select()
    if program_id is not None:
        query = query.where(member.c.program_id == program_id)
    if member_number is not None:
        query = query.where(member.c.member_number == member_number)
    return pages.read(connection, query, member.c.id, ask, lambda row: Member(**row._mapping))


def count(connection: sa.Connection) -> int:
    """How many members there are, over all programs."""
    return connection.scalar(sa.select(sa.func.count()).select_from(member)) or 0
