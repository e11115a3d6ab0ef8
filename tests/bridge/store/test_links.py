"""Links: codes from each side, used once, and one membership of each program."""

import pytest
import sqlalchemy as sa

from bridge.store import links, members
from bridge.store.members import Member
from bridge.store.programs import Program
from exchange.errors import LinkCodeInvalid, LinkConflict, NotLinked, UnknownLink
from tests.bridge.store.ledgers import Ledger


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


@pytest.fixture
def ben(ledger: Ledger, box: Program) -> Member:
    return ledger.member(box, "ben")


@pytest.fixture
def cat(ledger: Ledger, car: Program) -> Member:
    return ledger.member(car, "cat")


def _codes(ledger: Ledger, *of: Member) -> list[str]:
    return [ledger.do(links.new_code, one.id, ledger.now_ms)[0] for one in of]


def test_join__of_a_code_from_each_side__links_them(ledger: Ledger, ann: Member, ben: Member, box: Program) -> None:
    made = ledger.link(ann, ben)
    assert [one.id for one in made.members] == [ann.id, ben.id]
    linked = made.members[0]
    assert ledger.ask(links.counterpart, linked, box.id).id == ben.id
    assert ledger.ask(links.by_id, made.id) == made


def test_join__of_a_third_side__keeps_the_link(ledger: Ledger, ann: Member, ben: Member, cat: Member) -> None:
    made = ledger.link(ann, ben)
    more = ledger.link(ben, cat)
    assert more.id == made.id
    assert {one.id for one in more.members} == {ann.id, ben.id, cat.id}


def test_since__of_two_memberships__is_when_the_later_of_them_came_into_their_link(
    ledger: Ledger, ann: Member, ben: Member, cat: Member
) -> None:
    began_ms = ledger.now_ms
    ledger.link(ann, ben)
    ledger.now_ms += 5_000
    first, second, third = ledger.link(ben, cat).members
    assert links.since_ms(first, second) == began_ms
    assert links.since_ms(first, third) == links.since_ms(third, second) == began_ms + 5_000


def test_join__of_two_links__makes_them_one(ledger: Ledger, ann: Member, ben: Member, cat: Member) -> None:
    dan = ledger.member(ledger.program("DOT"), "dan")
    ledger.link(ann, ben)
    ledger.link(cat, dan)
    joined = ledger.link(ann, cat)
    assert {one.id for one in joined.members} == {ann.id, ben.id, cat.id, dan.id}


def test_join__of_two_members_of_one_program__is_a_conflict(ledger: Ledger, ann: Member, ben: Member) -> None:
    ledger.link(ann, ben)
    other = ledger.member(ledger.named("AIR"), "other")
    with pytest.raises(LinkConflict):
        ledger.link(ben, other)
    with pytest.raises(LinkConflict):
        ledger.link(ann, other)


def test_join__of_one_member_with_itself__is_a_conflict(ledger: Ledger, ann: Member) -> None:
    with pytest.raises(LinkConflict):
        ledger.link(ann, ann)


def test_join__of_a_used_code__is_refused(ledger: Ledger, ann: Member, ben: Member, cat: Member) -> None:
    codes = _codes(ledger, ann, ben)
    ledger.do(links.join, codes, None, ledger.now_ms)
    with pytest.raises(LinkCodeInvalid) as refused:
        ledger.do(links.join, [*_codes(ledger, cat), codes[1]], None, ledger.now_ms)
    assert refused.value.field == "codes.1"


def test_join__that_is_refused__does_not_use_up_the_codes(ledger: Ledger, ann: Member, ben: Member) -> None:
    codes = _codes(ledger, ann, ben)
    with pytest.raises(LinkCodeInvalid):
        ledger.do(links.join, [codes[0], "no code"], None, ledger.now_ms)
    ledger.do(links.join, codes, None, ledger.now_ms)


def test_join__of_an_expired_code__is_refused(ledger: Ledger, ann: Member, ben: Member) -> None:
    codes = _codes(ledger, ann, ben)
    ledger.now_ms += links.LINK_CODE_LIFE_MS
    ledger.do(links.join, codes, None, ledger.now_ms)
    ledger.do(links.leave, ledger.do(_link_of, ann), ann.id)
    codes = _codes(ledger, ann, ben)
    ledger.now_ms += links.LINK_CODE_LIFE_MS + 1
    with pytest.raises(LinkCodeInvalid):
        ledger.do(links.join, codes, None, ledger.now_ms)


def _link_of(connection: sa.Connection, of: Member) -> str:
    link_id = members.by_id(connection, of.id).link_id
    assert link_id is not None
    return link_id


def test_join__by_a_program_with_no_member_among_them__is_refused(
    ledger: Ledger, ann: Member, ben: Member, air: Program, car: Program
) -> None:
    codes = _codes(ledger, ann, ben)
    with pytest.raises(LinkCodeInvalid):
        ledger.do(links.join, codes, car.id, ledger.now_ms)
    assert ledger.do(links.join, codes, air.id, ledger.now_ms).members


def test_leave__of_one_side__ends_its_link_only(
    ledger: Ledger, ann: Member, ben: Member, cat: Member, box: Program, car: Program
) -> None:
    made = ledger.link(ann, ben, cat)
    ledger.do(links.leave, made.id, ben.id)
    left = ledger.ask(links.by_id, made.id)
    assert [one.id for one in left.members] == [ann.id, cat.id]
    assert ledger.ask(links.counterpart, left.members[0], car.id).id == cat.id
    with pytest.raises(NotLinked):
        ledger.ask(links.counterpart, left.members[0], box.id)
    with pytest.raises(UnknownLink):
        ledger.do(links.leave, made.id, ben.id)


def test_counterpart__of_a_member_without_a_link__is_refused(ledger: Ledger, ann: Member, box: Program) -> None:
    with pytest.raises(NotLinked):
        ledger.ask(links.counterpart, ann, box.id)


def test_link__that_nobody_made__is_unknown(ledger: Ledger) -> None:
    with pytest.raises(UnknownLink):
        ledger.ask(links.by_id, "lnk_none")


def test_code__is_stored__only_as_a_hash(ledger: Ledger, ann: Member) -> None:
    (code,) = _codes(ledger, ann)
    assert code.encode() not in repr(ledger.everything()).encode()
