"""Members: enrolment, balances, lots, and the codes by which they are linked."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import Field

from bridge.api.access import EnrollingProgram, Reader
from bridge.api.context import TheService
from bridge.api.shapes import Answer, Body, PageAsk, hex_of, problem_answers, rfc3339, time_of
from bridge.store import accounts, blocks, debts, links, lots, members, pending_earns, programs, spending
from bridge.store.accounts import Account
from bridge.store.members import Member

MEMBER_NUMBER_LENGTH_MAX = 64

router = APIRouter(prefix="/v1/members", tags=["members"])

MemberNumber = Annotated[str, Field(min_length=1, max_length=MEMBER_NUMBER_LENGTH_MAX)]


class MemberBody(Body):
    """A customer to enrol, under the program's own number; never a name or an address."""

    member_number: MemberNumber


class MemberAnswer(Answer):
    """An enrolment."""

    id: str
    program_id: str
    member_number: str
    reference: str
    account: str
    link_id: str | None
    created_at: str


ENROLLED_BEFORE: dict[int | str, dict[str, Any]] = {200: {"model": MemberAnswer, "description": "Enrolled before"}}


class MemberPage(Answer):
    """One page of members."""

    items: list[MemberAnswer]
    next: str | None
    previous: str | None


class AccountBalance(Answer):
    """The points of one managed account."""

    reference: str
    address: str
    posted: int
    available: int
    held: int


class PendingEarn(Answer):
    """Points that will come."""

    operation_id: str
    points: int
    available_at: str


class Balance(Answer):
    """What a member has: final on the chain, to spend, to swap, held for a till, on the way, and owed."""

    member_id: str
    program_id: str
    posted: int
    available: int
    swappable: int
    held: int
    pending_in: int
    pending_out: int
    incoming: int
    debt: int
    pending_earns: Annotated[
        list[PendingEarn], Field(description="what of `incoming` comes when; the first to come first")
    ]
    accounts: list[AccountBalance]
    block: int | None


class LotAnswer(Answer):
    """The points that are left of one credit."""

    operation_id: str
    amount: int
    remaining: int
    earned_at: str
    expires_at: str | None
    account: str


class Lots(Answer):
    """Lots, the first to expire first."""

    items: list[LotAnswer]


class LinkCode(Answer):
    """A one-time code that proves one membership when a link is made."""

    code: str
    member_id: str
    expires_at: str


@router.post("", status_code=201, responses=ENROLLED_BEFORE | problem_answers(401, 403, 409, 422))
async def enrol(
    body: MemberBody, response: Response, service: TheService, program_id: EnrollingProgram
) -> MemberAnswer:
    """Enrol a customer. The same number again answers 200 with the same member."""
    member, new = await service.write(
        lambda connection: members.enrol(
            connection, programs.by_id(connection, program_id), body.member_number, service.clock()
        )
    )
    if not new:
        response.status_code = 200
    return _answer(member)


@router.get("", responses=problem_answers(401, 403, 422))
def list_all(
    service: TheService,
    caller: Reader,
    ask: PageAsk,
    member_number: Annotated[str | None, Query(max_length=MEMBER_NUMBER_LENGTH_MAX)] = None,
) -> MemberPage:
    """Members of the caller's program, oldest first."""
    page = service.read(lambda connection: members.page(connection, caller.program_id, ask, member_number))
    return MemberPage(items=[_answer(one) for one in page.items], next=page.next, previous=page.previous)


@router.get("/{member_id}", responses=problem_answers(401, 403, 404))
def show(member_id: str, service: TheService, caller: Reader) -> MemberAnswer:
    """One member."""
    return _answer(service.read(lambda connection: members.by_id(connection, member_id, caller.program_id)))


@router.get("/{member_id}/balance", responses=problem_answers(401, 403, 404))
def balance(member_id: str, service: TheService, caller: Reader) -> Balance:
    """What the member has, over all accounts."""
    with service.database.read() as connection:
        member = members.by_id(connection, member_id, caller.program_id)
        purse = spending.purse(connection, member.id, service.clock())
        owned = accounts.of_member(connection, member.id)
        owed = debts.of_member(connection, member.id)
        coming = pending_earns.of_member(connection, member.id)
        tip = blocks.tip(connection)
    return Balance(
        member_id=member.id,
        program_id=member.program_id,
        posted=sum(one.balance.posted for one in owned),
        available=purse.spendable,
        swappable=purse.swappable,
        held=sum(one.balance.held for one in owned),
        pending_in=sum(one.balance.credits_pending for one in owned),
        pending_out=sum(one.balance.debits_pending for one in owned),
        incoming=sum(one.balance.incoming for one in owned),
        debt=max(0, owed),
        pending_earns=[
            PendingEarn(operation_id=one.operation_id, points=one.points, available_at=time_of(one.release_ms))
            for one in coming
        ],
        accounts=[_account(one) for one in owned],
        block=None if tip is None else tip.number,
    )


@router.get("/{member_id}/lots", responses=problem_answers(401, 403, 404))
def list_lots(member_id: str, service: TheService, caller: Reader) -> Lots:
    """The lots that will be spent next."""
    with service.database.read() as connection:
        member = members.by_id(connection, member_id, caller.program_id)
        found = lots.of_member(connection, member.id)
    return Lots(
        items=[
            LotAnswer(
                operation_id=one.operation_id,
                amount=one.amount,
                remaining=one.remaining,
                earned_at=time_of(one.earned_ms),
                expires_at=rfc3339(one.expires_ms),
                account=hex_of(one.account),
            )
            for one in found
        ]
    )


@router.post("/{member_id}/link-codes", status_code=201, responses=problem_answers(401, 403, 404))
async def link_code(member_id: str, service: TheService, program_id: EnrollingProgram) -> LinkCode:
    """A one-time code for the customer to show when the membership is linked."""

    def make(connection: sa.Connection) -> tuple[str, int]:
        member = members.by_id(connection, member_id, program_id)
        return links.new_code(connection, member.id, service.clock())

    code, expires_ms = await service.write(make)
    return LinkCode(code=code, member_id=member_id, expires_at=time_of(expires_ms))


def _answer(one: Member) -> MemberAnswer:
    return MemberAnswer(
        id=one.id,
        program_id=one.program_id,
        member_number=one.member_number,
        reference=hex_of(one.reference),
        account=hex_of(one.account),
        link_id=one.link_id,
        created_at=time_of(one.created_ms),
    )


def _account(one: Account) -> AccountBalance:
    return AccountBalance(
        reference=hex_of(one.reference),
        address=hex_of(one.address),
        posted=one.balance.posted,
        available=one.balance.available,
        held=one.balance.held,
    )
