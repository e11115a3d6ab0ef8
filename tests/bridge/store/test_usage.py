"""Usage: what caps reserve, use and give back, and who counts together."""

import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
import sqlalchemy as sa

from bridge.store import links, outcomes, quotes, swaps, terms, usage
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.quotes import Firmness, Quote, QuoteRequest
from bridge.store.schema import entry, quote, quote_hop, swap_day
from bridge.store.usage import DAY_MS, Customer
from bridge.store.writer import LedgerWriter
from exchange.errors import DirectionClosed, OverCap, SarrafError, TooManyQuotes
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import Bonus, Cap, Period, PointsFee, Rules, Scope, Side, When
from tests.bridge.store.ledgers import FIRMNESS, Ledger

CAP = Points(100)
DAILY = Rules(caps=(Cap(Period.DAY, CAP),))


def _ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type,misc]


@pytest.fixture(autouse=True)
def _clock(ledger: Ledger) -> None:
    """Every test begins an hour before a month ends."""
    ledger.now_ms = _ms(2027, 3, 31, 23, 0)


@pytest.fixture
def customer(ledger: Ledger, air: Program, box: Program, car: Program) -> Callable[[str], Member]:
    """A customer of all three programs, with 1,000 final points of AIR; the membership in AIR."""

    def make(number: str) -> Member:
        joined = ledger.link(*(ledger.member(program, number) for program in (air, box, car)))
        ledger.earn(joined.members[0], 1_000)
        ledger.post(air)
        return joined.members[0]

    return make


@pytest.fixture
def ann(customer: Callable[[str], Member]) -> Member:
    return customer("ann")


def _left(ledger: Ledger, who: Member, to: Program, *, through: tuple[Program, ...] = ()) -> int:
    """What the caps still let the member swap, asked by asking for too much."""
    with pytest.raises(OverCap) as refused:
        ledger.quote(who, to, 900, through=through)
    assert isinstance(refused.value.limit, int)
    return refused.value.limit


def test_create__under_a_daily_cap__reserves_uses_and_begins_anew_at_midnight(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=DAILY)
    ledger.swap(ann, box, 60)
    assert _left(ledger, ann, box) == 40
    offer = ledger.quote(ann, box, 30)
    assert _left(ledger, ann, box) == 10
    ledger.now_ms = offer.expires_ms
    assert _left(ledger, ann, box) == 10
    ledger.now_ms += 1
    assert _left(ledger, ann, box) == 40, "what expired is given back"
    ledger.now_ms = _ms(2027, 4, 1)
    assert _left(ledger, ann, box) == 100


def test_create__at_midnight__counts_an_open_quote_in_the_day_that_runs(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.now_ms = _ms(2027, 4, 1) - 1_000
    ledger.agree(air, box, rules=DAILY)
    offer = ledger.quote(ann, box, 70)
    ledger.now_ms += 1_000
    assert _left(ledger, ann, box) == 30
    ledger.accept(offer)
    assert _left(ledger, ann, box) == 30


@pytest.mark.parametrize(
    ("period", "later", "is_anew"),
    [
        (Period.MONTH, (2028, 2, 29, 23, 59), False),
        (Period.MONTH, (2028, 3, 1), True),
        (Period.YEAR, (2028, 12, 31, 23, 59), False),
        (Period.YEAR, (2029, 1, 1), True),
        (Period.WEEK, (2028, 2, 6, 23, 59), False),
        (Period.WEEK, (2028, 2, 7), True),
        (Period.EVER, (2061, 1, 1), False),
    ],
)
def test_create__under_a_cap_of_a_longer_period__counts_by_the_calendar(
    ledger: Ledger,
    ann: Member,
    air: Program,
    box: Program,
    period: Period,
    later: tuple[int, ...],
    is_anew: bool,
) -> None:
    ledger.now_ms = _ms(2028, 2, 1)
    for scope in (Scope.MEMBER, Scope.EVERYONE):
        ledger.agree(
            air, box, rules=Rules(caps=(Cap(period, CAP, scope=scope),)), version=1 + (scope is Scope.EVERYONE)
        )
        if scope is Scope.MEMBER:
            ledger.earn(ann, 100)
            ledger.post(air)
            ledger.swap(ann, box, 60)
        now_ms, ledger.now_ms = ledger.now_ms, _ms(*later)
        assert _left(ledger, ann, box) == (100 if is_anew else 40)
        ledger.now_ms = now_ms


@pytest.mark.parametrize(
    ("period", "begins"),
    [
        (Period.DAY, (2027, 5, 6)),
        (Period.WEEK, (2027, 5, 3)),
        (Period.MONTH, (2027, 5, 1)),
        (Period.YEAR, (2027, 1, 1)),
        (Period.EVER, (1970, 1, 1)),
    ],
)
def test_begin__of_a_period__is_midnight_in_utc(period: Period, begins: tuple[int, ...]) -> None:
    assert usage.begin_ms(period, _ms(2027, 5, 6, 23, 59, 59) + 999) == _ms(*begins)
    assert usage.begin_ms(period, _ms(*begins)) == _ms(*begins)


def test_begin__of_every_day_for_a_year__is_on_the_monday_of_its_iso_week() -> None:
    for day in range(20_000, 20_366):
        begins = usage.begin_ms(Period.WEEK, day * DAY_MS + 7)
        assert datetime.fromtimestamp(begins // 1000, UTC).isocalendar() == (
            *datetime.fromtimestamp(day * DAY_MS // 1000, UTC).isocalendar()[:2],
            1,
        )
    assert usage.begin_ms(Period.WEEK, 3 * DAY_MS) == 0, "the first week began before the first day"
    assert usage.begin_ms(Period.WEEK, 4 * DAY_MS) == 4 * DAY_MS


def test_create__under_a_cap_of_count__counts_transfers(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=Rules(caps=(Cap(Period.DAY, count=2),)))
    ledger.swap(ann, box, 1)
    offer = ledger.quote(ann, box, 1)
    with pytest.raises(OverCap, match="2 transfers in a day"):
        ledger.quote(ann, box, 1)
    ledger.now_ms = offer.expires_ms + 1
    assert ledger.quote(ann, box, 1).amount_in == 1


def test_create__under_a_members_cap__counts_each_customer_alone(
    ledger: Ledger, customer: Callable[[str], Member], air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=DAILY)
    ann, bob = customer("ann"), customer("bob")
    ledger.swap(ann, box, 80)
    assert (_left(ledger, ann, box), _left(ledger, bob, box)) == (20, 100)


def test_create__under_everybodys_cap__counts_swaps_and_quotes_of_all(
    ledger: Ledger, customer: Callable[[str], Member], air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=Rules(caps=(Cap(Period.YEAR, CAP, scope=Scope.EVERYONE),)))
    ann, bob = customer("ann"), customer("bob")
    ledger.swap(ann, box, 30)
    offer = ledger.quote(bob, box, 30)
    assert (_left(ledger, ann, box), _left(ledger, bob, box)) == (40, 40)
    ledger.now_ms = offer.expires_ms + 1
    assert _left(ledger, ann, box) == 70


def test_create__under_a_cap_of_what_arrives__counts_bonuses_with_it(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    rules = Rules(
        caps=(Cap(Period.DAY, CAP, side=Side.IN, scope=Scope.EVERYONE), Cap(Period.DAY, CAP, side=Side.IN)),
        bonuses=(Bonus("half", share=Ratio(Points(100), Points(50))),),
    )
    ledger.agree(air, box, (2, 1), rules=rules)
    assert ledger.quote(ann, box, 80).amount_out == 60
    with pytest.raises(OverCap) as refused:
        ledger.quote(ann, box, 80)
    assert refused.value.nearest == 54, "which becomes 27 and 13"


def test_create__under_a_shared_cap__counts_all_directions_of_the_group(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    shared = Cap(Period.DAY, CAP, shared=True)
    ledger.agree(air, box, rules=Rules(group="hotels", caps=(shared,)))
    ledger.agree(air, car, rules=Rules(group="hotels", caps=(shared,)))
    ledger.swap(ann, box, 70)
    assert _left(ledger, ann, car) == 30
    ledger.agree(air, car, rules=Rules(group="banks", caps=(shared,)), version=2)
    assert _left(ledger, ann, car) == 100


def test_create__under_a_shared_cap_of_what_arrives__counts_all_sources_of_the_customer(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    shared = Rules(group="in", caps=(Cap(Period.DAY, CAP, side=Side.IN, shared=True),))
    ledger.agree(air, car, rules=shared)
    ledger.agree(box, car, rules=shared)
    ledger.swap(ann, car, 70)
    ben = ledger.ask(links.counterpart, ann, box.id)
    ledger.earn(ben, 500)
    ledger.post(box)
    assert _left(ledger, ben, car) == 30


def test_create__along_a_path__counts_at_every_hop(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ledger.agree(air, box, (2, 1), rules=Rules(caps=(Cap(Period.DAY, Points(500)),)))
    ledger.agree(box, car, rules=DAILY)
    ledger.swap(ann, car, 120, through=[box])
    assert _left(ledger, ann, car, through=(box,)) == 81, "which becomes 40 in BOX"
    assert _left(ledger, ann, box) == 380


def test_accept__of_a_quote__neither_prices_nor_looks_at_caps_again(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ends = ledger.now_ms // 1000 + 10
    promotion = Bonus("promotion", flat=Points(5), when=When(ends=ends))
    ledger.agree(air, box, rules=Rules(caps=DAILY.caps, bonuses=(promotion,)))
    offer = ledger.quote(ann, box, 100)
    ledger.now_ms += 20_000
    swap_id = ledger.accept(offer)
    assert ledger.extras(swap_id)["bonus"].points == 5


def test_fail__of_a_swap__gives_its_caps_back_once(ledger: Ledger, ann: Member, air: Program, box: Program) -> None:
    everyone = Cap(Period.DAY, CAP, scope=Scope.EVERYONE)
    agreed = ledger.agree(air, box, rules=Rules(caps=(*DAILY.caps, everyone)))
    ledger.swap(ann, box, 100)
    assert _left(ledger, ann, box) == 0
    ledger.do(outcomes.fail_swaps, ledger.stream(air, box).id, [agreed.id], "replaced", ledger.now_ms)
    assert _left(ledger, ann, box) == 100
    with ledger.database.read() as connection:
        (row,) = connection.execute(sa.select(swap_day))
    assert (row.day, row.points_out, row.points_in, row.swaps) == (ledger.now_ms // DAY_MS, 0, 0, 0)


def test_accept__of_a_swap_that_failed_on_another_day__gives_back_where_it_was_counted(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    agreed = ledger.agree(air, box, rules=Rules(caps=(Cap(Period.DAY, CAP, scope=Scope.EVERYONE),)))
    ledger.swap(ann, box, 100)
    ledger.now_ms += DAY_MS
    ledger.swap(ann, box, 40)
    first = ledger.ask(lambda connection: quotes.by_id(connection, _quotes(connection)[0]))
    assert first.amount_in == 100
    ledger.do(outcomes.fail_swaps, ledger.stream(air, box).id, [agreed.id], "replaced", ledger.now_ms)
    assert _left(ledger, ann, box) == 100


def _quotes(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(quote.c.id).order_by(quote.c.id)).scalars())


def test_create__by_many_threads_for_the_last_of_a_cap__has_exactly_one_winner(
    ledger: Ledger, customer: Callable[[str], Member], air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=Rules(caps=(Cap(Period.DAY, CAP, scope=Scope.EVERYONE),)))
    racers = [customer(f"racer {number}") for number in range(8)]
    writer = LedgerWriter(ledger.database)
    writer.start()
    barrier = threading.Barrier(len(racers))
    answers: list[Quote | SarrafError] = []

    def race(who: Member) -> None:
        request = QuoteRequest(who.id, None, box.id, 60, None)
        barrier.wait()
        try:
            offer = writer.run(
                partial(quotes.create, program_id=air.id, request=request, firmness=FIRMNESS, now_ms=ledger.now_ms)
            )
            writer.run(partial(swaps.accept, program_id=air.id, key=who.id, quote_id=offer.id, now_ms=ledger.now_ms))
            answers.append(offer)
        except SarrafError as refusal:
            answers.append(refusal)

    threads = [threading.Thread(target=race, args=(who,)) for who in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.stop()
    assert sum(isinstance(one, Quote) for one in answers) == 1
    lost = [one for one in answers if isinstance(one, OverCap)]
    assert len(lost) == len(racers) - 1
    assert {one.nearest for one in lost} == {40}


def test_create__of_more_quotes_than_a_member_may_have__is_refused_until_one_expires(
    ledger: Ledger, customer: Callable[[str], Member], air: Program, box: Program
) -> None:
    ledger.agree(air, box)
    ann, bob = customer("ann"), customer("bob")
    few = Firmness(60_000, 120_000, open_quotes_max=2)

    def ask(who: Member) -> Quote:
        return ledger.do(quotes.create, air.id, QuoteRequest(who.id, None, box.id, 10, None), few, ledger.now_ms)

    first = ask(ann)
    ledger.now_ms += 1_000
    second = ask(ann)
    with pytest.raises(TooManyQuotes, match="the next one expires in 59 s") as refused:
        ask(ann)
    assert refused.value.limit == 2
    ask(bob)
    ledger.accept(second)
    third = ask(ann)
    with pytest.raises(TooManyQuotes):
        ask(ann)
    ledger.now_ms = first.expires_ms + 1
    assert third.expires_ms >= ledger.now_ms
    ask(ann)


def test_create__where_a_later_transfer_gives_less__counts_open_quotes_as_made(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    first_only = Bonus("first of the year", flat=Points(50), when=When(nth_per=Period.YEAR, nth_to=1))
    ledger.agree(air, box, rules=Rules(bonuses=(first_only,)))
    offer = ledger.quote(ann, box, 10)
    assert offer.amount_out == 60
    assert ledger.quote(ann, box, 10).amount_out == 10
    ledger.now_ms = offer.expires_ms + 1
    assert ledger.quote(ann, box, 10).amount_out == 60


def test_create__where_a_later_transfer_gives_more__counts_no_quote_that_may_yet_expire(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    from_the_second = Bonus("from the second", flat=Points(50), when=When(nth_per=Period.MONTH, nth_from=2))
    ledger.agree(air, box, rules=Rules(bonuses=(from_the_second,)))
    offer = ledger.quote(ann, box, 10)
    assert ledger.quote(ann, box, 10).amount_out == 10
    ledger.accept(offer)
    assert ledger.quote(ann, box, 10).amount_out == 60


def test_customer__of_a_member__is_all_linked_memberships(ledger: Ledger, ann: Member, air: Program) -> None:
    alone = ledger.member(air, "alone")
    with ledger.database.read() as connection:
        assert len(Customer.of(connection, ann, "gold").member_ids) == 3
        assert Customer.of(connection, alone, None) == Customer((alone.id,), None)


# -- what stays counted -----------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("scope", list(Scope))
def test_create__under_a_shared_cap__counts_what_was_made_in_the_group_before_terms_left_it(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program, side: Side, scope: Scope
) -> None:
    hotels = Rules(group="hotels", caps=(Cap(Period.YEAR, CAP, side=side, scope=scope, shared=True),))
    ben = ledger.ask(links.counterpart, ann, box.id)
    ledger.earn(ben, 1_000)
    ledger.post(box)
    first, second, who = ((air, box), (air, car), ann) if side is Side.OUT else ((air, car), (box, car), ben)
    ledger.agree(*first, rules=hotels)
    ledger.agree(*second, rules=hotels)
    ledger.swap(ann, first[1], 70)
    ledger.quote(ann, first[1], 10)
    ledger.agree(*first, rules=Rules(group="banks", caps=hotels.caps), version=2)
    assert _left(ledger, who, car) == 20
    assert _left(ledger, ann, first[1]) == 20, "a direction that goes to another group begins nothing anew"
    ledger.do(terms.suspended, first[0].id, first[1].id, ledger.now_ms)
    assert _left(ledger, who, car) == 20
    ledger.now_ms += FIRMNESS.quote_life_ms + 1
    assert _left(ledger, who, car) == 30


@pytest.mark.parametrize("scope", list(Scope))
def test_create__under_a_shared_cap__counts_what_its_direction_did_before_it_joined_the_group_and_nothing_twice(
    ledger: Ledger, ann: Member, air: Program, box: Program, scope: Scope
) -> None:
    """As the simulator counts; see `test_simulation.py`."""
    ledger.agree(air, box)
    ledger.swap(ann, box, 50)
    ledger.agree(air, box, rules=Rules(group="air", caps=(Cap(Period.YEAR, CAP, scope=scope, shared=True),)), version=2)
    assert _left(ledger, ann, box) == 50
    ledger.swap(ann, box, 20)
    assert _left(ledger, ann, box) == 30


def test_create__after_leaving_the_link__still_counts_what_the_customer_swapped(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    ledger.agree(air, box)
    ledger.agree(box, car, rules=DAILY)
    ben = ledger.ask(links.counterpart, ann, box.id)
    ledger.earn(ben, 1_000)
    ledger.post(box)
    ledger.swap(ann, car, 60, through=[box])
    ledger.quote(ann, car, 10, through=[box])
    assert ann.link_id is not None
    ledger.do(links.leave, ann.link_id, ann.id)
    assert _left(ledger, ben, car) == 30
    ledger.link(ledger.member(air, "another"), ben)
    assert _left(ledger, ben, car) == 30
    ledger.now_ms = _ms(2027, 4, 1, 12)
    assert _left(ledger, ben, car) == 100


# -- tiers ------------------------------------------------------------------------------------


def test_create__with_a_tier__counts_it_only_on_the_hop_of_the_program_that_says_it(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program
) -> None:
    gold = Bonus("gold", flat=Points(7), when=When(tiers=frozenset({"gold"})))
    ledger.agree(air, box, rules=Rules(bonuses=(gold,)))
    ledger.agree(box, car, rules=Rules(bonuses=(gold,)))
    assert ledger.quote(ann, box, 50, tier="gold").amount_out == 57
    assert ledger.quote(ann, car, 50, through=[box], tier="gold").amount_out == 50
    ledger.agree(box, car, rules=Rules(tiers=frozenset({"gold"})), version=2)
    with pytest.raises(DirectionClosed):
        ledger.quote(ann, car, 50, through=[box], tier="gold")


# -- bonuses of which a member gets so much in all ---------------------------------------------


SPRING = Bonus("spring", share=Ratio(Points(10), Points(3)), member_most=Points(50))


def test_create__with_a_bonus_bounded_for_a_member__gives_what_is_left_and_then_none(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=Rules(bonuses=(SPRING, Bonus("other", flat=Points(1)))))
    ledger.swap(ann, box, 100)
    offer = ledger.quote(ann, box, 100)
    assert [(one["name"], one["points"]) for one in offer.bonuses] == [("spring", 20), ("other", 1)]
    assert "of which 30 were given before" in str(offer.explanation)
    assert ledger.quote(ann, box, 100).bonus == 1, "an open quote has all that was left"
    ledger.now_ms = offer.expires_ms + 1
    assert ledger.quote(ann, box, 50).bonus == 16, "what expired is given back"
    ledger.now_ms += 3_600_000
    ledger.accept(ledger.quote(ann, box, 300))
    ledger.now_ms = _ms(2061, 1, 1)
    ledger.earn(ann, 100)
    ledger.post(air)
    assert ledger.quote(ann, box, 100).bonus == 1, "ever is ever"


def test_create__with_a_bonus_bounded_in_a_period__begins_anew_and_counts_each_customer_and_direction_alone(
    ledger: Ledger, customer: Callable[[str], Member], air: Program, box: Program, car: Program
) -> None:
    yearly = Rules(bonuses=(replace(SPRING, member_per=Period.YEAR),))
    ledger.now_ms = _ms(2027, 12, 31, 12)
    ann, bob = customer("ann"), customer("bob")
    for to in (box, car):
        ledger.agree(air, to, rules=yearly)
    ledger.swap(ann, box, 200)
    assert [ledger.quote(*who, 200).bonus for who in ((ann, box), (bob, box), (ann, car))] == [0, 50, 50]
    ledger.now_ms = _ms(2028, 1, 1)
    assert ledger.quote(ann, box, 200).bonus == 50


def test_fail__of_a_swap__gives_back_what_it_had_of_a_bonus(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    agreed = ledger.agree(air, box, rules=Rules(bonuses=(SPRING,)))
    ledger.swap(ann, box, 200)
    assert ledger.quote(ann, box, 10).bonus == 0
    ledger.do(outcomes.fail_swaps, ledger.stream(air, box).id, [agreed.id], "replaced", ledger.now_ms)
    assert ledger.quote(ann, box, 100).bonus == 30


def test_create__by_many_threads_for_the_last_of_a_bonus__gives_it_once(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    ledger.agree(air, box, rules=Rules(bonuses=(SPRING,)))
    request, many = QuoteRequest(ann.id, None, box.id, 100, None), Firmness(60_000, 120_000, open_quotes_max=8)
    writer = LedgerWriter(ledger.database)
    writer.start()
    made: list[int] = []
    barrier = threading.Barrier(6)

    def race() -> None:
        barrier.wait()
        create = partial(quotes.create, program_id=air.id, request=request, firmness=many, now_ms=ledger.now_ms)
        made.append(writer.run(create).bonus)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.stop()
    assert sorted(made) == [0, 0, 0, 0, 20, 30]


# -- how much is looked at --------------------------------------------------------------------


def test_situations__of_many_open_quotes__are_only_those_between_which_an_answer_changes(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    bonuses = tuple(
        Bonus(str(first), flat=Points(1), when=When(nth_per=Period.DAY, nth_from=first, nth_to=last))
        for first, last in ((1, 3), (4, None), (20, None))
    )
    agreed = ledger.agree(air, box, rules=Rules(bonuses=bonuses))
    many = Firmness(60_000, 120_000, open_quotes_max=8)
    for _ in range(8):
        ledger.do(quotes.create, air.id, QuoteRequest(ann.id, None, box.id, 10, None), many, ledger.now_ms)
    who = ledger.ask(Customer.of, ann, None)
    found = ledger.ask(usage.situations, agreed, agreed.agreed().rules, who, ledger.now_ms)
    assert [one.before for one in found] == [{Period.DAY: 0}, {Period.DAY: 3}]


def test_situations__of_many_caps__ask_once_for_what_is_counted_alike(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    caps = tuple(Cap(Period.YEAR, Points(10 + each), shared=True) for each in range(32))
    agreed = ledger.agree(air, box, rules=Rules(group="hotels", caps=caps))
    rules, who = agreed.agreed().rules, ledger.ask(Customer.of, ann, None)
    with ledger.database.read() as connection:
        asked: list[str] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *what: asked.append(what[2]))
        (found,) = usage.situations(connection, agreed, rules, who, ledger.now_ms)
    assert len(found.used) == 32
    assert sum(one.startswith("SELECT") for one in asked) == 2


# -- what parked quotes gain ------------------------------------------------------------------


def test_create__where_later_transfers_give_and_cost_more__gives_the_least_and_costs_the_most(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    third = When(nth_per=Period.YEAR, nth_from=3)
    rules = Rules(bonuses=(Bonus("third", flat=Points(9), when=third),), fees=(PointsFee(Points(50), third),))
    ledger.agree(air, box, rules=rules)
    made = [ledger.quote(ann, box, 100) for _ in range(4)]
    assert [(one.amount_out, one.fee_points) for one in made] == [(100, 0), (100, 0), (100, 50), (100, 50)]
    assert made[-1].explanation[-1]["points"] == 50


def test_create__of_an_amount_out__asks_what_suffices_in_every_situation(
    ledger: Ledger, ann: Member, air: Program, box: Program
) -> None:
    rules = Rules(
        bonuses=(
            Bonus("first", flat=Points(60), when=When(nth_per=Period.YEAR, nth_to=1)),
            Bonus("later", share=Ratio(Points(1), Points(1)), when=When(nth_per=Period.YEAR, nth_from=2)),
        )
    )
    ledger.agree(air, box, rules=rules)
    ledger.quote(ann, box, 10)
    for wanted, needed in ((70, 35), (160, 100)):
        request = QuoteRequest(ann.id, None, box.id, None, wanted)
        offer = ledger.do(quotes.create, air.id, request, FIRMNESS, ledger.now_ms)
        assert (offer.amount_in, offer.amount_out) == (needed, wanted)


# -- a swap of which the chain carried a part -------------------------------------------------


def test_finalise__of_a_swap_with_one_leg_skipped__gives_back_only_what_did_not_move(
    ledger: Ledger, ann: Member, air: Program, box: Program, car: Program, caplog: pytest.LogCaptureFixture
) -> None:
    """Of 200 points out of two accounts of BOX, one's 80 move."""
    ledger.agree(air, box)
    ledger.swap(ann, box, 80)
    ledger.post(air, box)
    ben = ledger.ask(links.counterpart, ann, box.id)
    ledger.earn(ben, 120)
    ledger.post(box)
    ledger.agree(car, air)
    everyone = Cap(Period.YEAR, Points(200), scope=Scope.EVERYONE)
    bonus = Bonus("welcome", flat=Points(30), member_most=Points(30))
    ledger.agree(box, car, (2, 1), rules=Rules(caps=(Cap(Period.YEAR, Points(200)), everyone)))
    agreed = ledger.agree(car, air, rules=Rules(bonuses=(bonus,)), version=2)
    swap_id = ledger.swap(ben, air, 200, through=[car])
    frozen = ledger.freeze(ledger.stream(box, car, air))
    skipped = next(place for place in (0, 1) if _leg_amount(ledger, frozen.entry_ids, place) == 120)
    ledger.finalise(ledger.mine(frozen, skipped=[skipped]))
    assert ledger.operation(swap_id).reason == f"{outcomes.SHORT_ON_CHAIN}; 80 points of the swap were carried"
    assert "80 points of it were swapped" in caplog.text
    failed = ledger.extras(swap_id)["bonus"]
    assert (failed.state, failed.reason) == ("failed", outcomes.SWAP_FAILED_PARTLY)
    with ledger.database.read() as connection:
        query = sa.select(swap_day).where(swap_day.c.from_program_id != air.id).order_by(swap_day.c.points_out)
        rows = connection.execute(query).all()
        used = connection.execute(sa.select(quote_hop.c.used_out, quote_hop.c.used_in).order_by(quote_hop.c.used_in))
        assert [(row.points_out, row.points_in, row.swaps) for row in rows] == [(40, 40, 1), (80, 40, 1)]
        assert sorted(tuple(row) for row in used) == [(40, 40), (80, 40), (80, 80)]
        who = Customer.of(connection, ben, None)
        (situation,) = usage.situations(connection, agreed, agreed.agreed().rules, who, ledger.now_ms)
        assert situation.had == {"welcome": 0}, "the bonus failed with the swap"


def _leg_amount(ledger: Ledger, entry_ids: bytes, place: int) -> int:
    (wanted,) = struct.unpack_from(">Q", entry_ids, place * 8)
    with ledger.database.read() as connection:
        return int(connection.execute(sa.select(entry.c.amount).where(entry.c.id == wanted)).scalar_one())
