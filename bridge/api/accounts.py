"""Accounts that somebody has to look at: those that are frozen, and those of which nobody knows whose they are."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from bridge.api.access import Reader
from bridge.api.context import TheService
from bridge.api.shapes import Answer, PageAsk, hex_of, problem_answers
from bridge.store import accounts
from bridge.store.accounts import OddAccount

router = APIRouter(prefix="/v1/accounts", tags=["adjustments"])


class AccountAnswer(Answer):
    """A managed account; without a member only the chain told of it."""

    address: str
    reference: str
    program_id: str
    member_id: str | None
    frozen: bool
    posted: int
    available: int


class AccountPage(Answer):
    """One page of accounts."""

    items: list[AccountAnswer]
    next: str | None
    previous: str | None


@router.get("", responses=problem_answers(401, 403, 422))
def list_all(
    service: TheService,
    caller: Reader,
    ask: PageAsk,
    state: Annotated[
        Literal["frozen", "orphan"] | None, Query(description="barred from spending; or nobody's; both if left out")
    ] = None,
) -> AccountPage:
    """Accounts of the caller's program that are frozen or nobody's, oldest first."""
    page = service.read(lambda connection: accounts.odd_page(connection, caller.program_id, state, ask))
    return AccountPage(items=[_answer(one) for one in page.items], next=page.next, previous=page.previous)


def _answer(one: OddAccount) -> AccountAnswer:
    return AccountAnswer(
        address=hex_of(one.address),
        reference=hex_of(one.reference),
        program_id=one.program_id,
        member_id=one.member_id,
        frozen=one.frozen,
        posted=one.balance.posted,
        available=0 if one.frozen else one.balance.available,
    )
