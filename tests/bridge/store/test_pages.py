"""Pages: both ways through a list, and cursors that are none."""

import base64

import pytest

from bridge.store import members, operations
from bridge.store.members import Member
from bridge.store.operations import Filter
from bridge.store.pages import Ask, InvalidCursor, Page
from bridge.store.programs import Program
from tests.bridge.store.ledgers import Ledger

COUNT = 7


@pytest.fixture
def numbers(ledger: Ledger, air: Program) -> list[str]:
    """Seven members, oldest first."""
    numbers = [f"m{number}" for number in range(COUNT)]
    for number in numbers:
        ledger.member(air, number)
    return numbers


def _page(ledger: Ledger, air: Program, limit: int, cursor: str | None = None) -> Page[Member]:
    return ledger.ask(members.page, air.id, Ask(limit, cursor))


def _numbers(page: Page[Member]) -> list[str]:
    return [one.member_number for one in page.items]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages__there_and_back__show_each_item_once_in_the_lists_order(
    ledger: Ledger, air: Program, numbers: list[str], limit: int
) -> None:
    there = [_page(ledger, air, limit)]
    assert there[0].previous is None
    while there[-1].next is not None:
        there.append(_page(ledger, air, limit, there[-1].next))
    assert [number for page in there for number in _numbers(page)] == numbers
    assert [len(page.items) for page in there[:-1]] == [limit] * (len(there) - 1)
    back = [there[-1]]
    while back[-1].previous is not None:
        back.append(_page(ledger, air, limit, back[-1].previous))
    assert [_numbers(page) for page in reversed(back)] == [_numbers(page) for page in there]
    assert all(page.next is not None for page in back[1:])


def test_pages__newest_first__go_both_ways_as_well(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    newest = [ledger.earn(ann, amount) for amount in range(1, COUNT + 1)][::-1]

    def page(cursor: str | None) -> Page[operations.Operation]:
        return ledger.ask(operations.page, Filter(member_id=ann.id), Ask(3, cursor))

    first = page(None)
    second = page(first.next)
    third = page(second.next)
    assert [one.id for each in (first, second, third) for one in each.items] == newest
    assert (first.previous, third.next) == (None, None)
    assert [one.id for one in page(third.previous).items] == newest[3:6]
    again = page(page(third.previous).previous)
    assert [one.id for one in again.items] == newest[:3]
    assert again.previous is None


def test_page__while_items_are_added__does_not_move(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    for amount in (1, 2, 3):
        ledger.earn(ann, amount)
    first = ledger.ask(operations.page, Filter(program_id=air.id), Ask(2))
    ledger.earn(ann, 4)
    second = ledger.ask(operations.page, Filter(program_id=air.id), Ask(2, first.next))
    assert [one.points for one in second.items] == [1]


def test_page__of_nothing__has_no_cursors(ledger: Ledger, air: Program) -> None:
    assert _page(ledger, air, 5) == Page([], None, None)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "nonsense", "====", "ä", "YQ", base64.urlsafe_b64encode(b"c12").decode(), "\x00", "YTEy" * 40, "YQB4"],
)
@pytest.mark.parametrize("kind", ["number", "text"])
def test_page__with_a_cursor_that_no_list_gave__is_refused_or_empty(
    ledger: Ledger, air: Program, cursor: str, kind: str
) -> None:
    """A list by number refuses all of these; one by text may take what looks like a place behind its end."""
    if kind == "number":
        with pytest.raises(InvalidCursor) as refused:
            ledger.ask(operations.page, Filter(program_id=air.id), Ask(5, cursor))
        assert refused.value.field == "cursor"
        return
    try:
        assert _page(ledger, air, 5, cursor).items == []
    except InvalidCursor as refused_too:
        assert refused_too.type == "invalid-cursor"  # noqa: PT017 - either answer is right


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_page__with_a_number_that_no_database_holds__is_refused(ledger: Ledger, air: Program, number: int) -> None:
    cursor = base64.urlsafe_b64encode(f"a{number}".encode()).decode().rstrip("=")
    with pytest.raises(InvalidCursor):
        ledger.ask(operations.page, Filter(program_id=air.id), Ask(5, cursor))


def test_page__of_another_lists_cursor__is_refused(ledger: Ledger, air: Program, numbers: list[str]) -> None:
    cursor = _page(ledger, air, 2).next
    assert cursor is not None and numbers
    with pytest.raises(InvalidCursor):
        ledger.ask(operations.page, Filter(program_id=air.id), Ask(2, cursor))
