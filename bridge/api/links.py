"""Links: one customer's memberships, joined by a one-time code from each side."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import Field

from bridge.api.access import EnrollingProgram, Reader
from bridge.api.context import TheService
from bridge.api.shapes import Answer, Body, problem_answers, time_of
from bridge.store import links
from bridge.store.links import LINK_MEMBERS_MAX, Link
from exchange.errors import UnknownLink

CODE_LENGTH_MAX = 64

router = APIRouter(prefix="/v1/links", tags=["links"])


class LinkBody(Body):
    """The codes of the memberships to join."""

    codes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=CODE_LENGTH_MAX)]],
        Field(min_length=2, max_length=LINK_MEMBERS_MAX),
    ]


class LinkedMember(Answer):
    """One side of a link."""

    member_id: str
    program_id: str


class LinkAnswer(Answer):
    """Memberships that are one customer's."""

    id: str
    members: list[LinkedMember]
    created_at: str


@router.post("", status_code=201, responses=problem_answers(401, 403, 409, 422))
async def join(body: LinkBody, service: TheService, program_id: EnrollingProgram) -> LinkAnswer:
    """Join memberships. Each code is used up."""
    made = await service.write(lambda connection: links.join(connection, body.codes, program_id, service.clock()))
    return _answer(made)


@router.get("/{link_id}", responses=problem_answers(401, 403, 404))
def show(link_id: str, service: TheService, caller: Reader) -> LinkAnswer:
    """One link, for a program that has a member in it."""
    found = service.read(lambda connection: links.by_id(connection, link_id))
    _require_side(found, caller.program_id)
    return _answer(found)


@router.delete("/{link_id}/members/{member_id}", status_code=204, responses=problem_answers(401, 403, 404))
async def leave(link_id: str, member_id: str, service: TheService, program_id: EnrollingProgram) -> None:
    """Take the caller's own member out of a link."""

    def remove(connection: sa.Connection) -> None:
        found = links.by_id(connection, link_id)
        if not any(one.id == member_id and one.program_id == program_id for one in found.members):
            raise UnknownLink(f"your program has no member {member_id} in this link", field="member_id")
        links.leave(connection, link_id, member_id)

    await service.write(remove)


def _require_side(found: Link, program_id: str | None) -> None:
    if program_id is not None and program_id not in {one.program_id for one in found.members}:
        raise UnknownLink(f"there is no link {found.id}", field="link_id")


def _answer(one: Link) -> LinkAnswer:
    return LinkAnswer(
        id=one.id,
        members=[LinkedMember(member_id=member.id, program_id=member.program_id) for member in one.members],
        created_at=time_of(one.created_ms),
    )
