"""Which way a quote takes: the best that the member, the contract's caps and the gate leave."""

import pytest

from bridge.fx.ecb import EcbRates
from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.market import MarketKeeper
from bridge.posting.quoting import DIRECT, HOPS, POINTS, Quoting, Search, Wish
from bridge.posting.vetting import Vetting
from bridge.store import members, programs, terms
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.quotes import Quote
from bridge.store.usage import Customer
from exchange.errors import DirectionClosed, NoRoute, UnknownProgram
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.routes import Routes
from exchange.rules import Bonus, Cap, Period, Rules, When
from exchange.search import Best
from tests.bridge.store.ledgers import FIRMNESS, Ledger


class Counter:
    """Where members ask for routes and quotes from AIR to CAR."""

    def __init__(self, ledger: Ledger, air: Program, car: Program) -> None:
        self.ledger, self.air, self.car = ledger, air, car
        gatekeeper = Gatekeeper()
        self.quoting = Quoting(MarketKeeper(gatekeeper), gatekeeper, Vetting(gatekeeper, EcbRates()))
        self.ann = ledger.link(ledger.member(air, "ann"), ledger.member(car, "ann")).members[0]
        ledger.earn(self.ann, 100_000)

    def routes(
        self, amount_in: int | None, amount_out: int | None = None, who: Member | None = None, **more: object
    ) -> Routes:
        customer = None if who is None else self.ledger.ask(Customer.of, who, None)
        search = Search(self.air.id, self.car.id, amount_in, amount_out, who=customer, **more)  # type: ignore[arg-type]
        return self.ledger.ask(self.quoting.routes, search, self.ledger.now_ms)

    def quote(self, amount_in: int, route: str = DIRECT, path: tuple[str, ...] = ()) -> Quote:
        wish = Wish(self.ann.id, None, self.car.id, amount_in, None, path, route)
        plan = self.ledger.ask(self.quoting.plan, self.air.id, wish, self.ledger.now_ms)
        return self.ledger.do(self.quoting.quote, self.air.id, wish, plan, FIRMNESS, self.ledger.now_ms)


@pytest.fixture
def counter(ledger: Ledger, air: Program, car: Program) -> Counter:
    return Counter(ledger, air, car)


def paths(found: Routes) -> list[int]:
    """How many hops each route has."""
    return [len(route.hops) for route in found]


def test_routes__over_the_cap_that_the_contract_holds__then_are_left_out(
    counter: Counter, air: Program, box: Program, car: Program
) -> None:
    counter.ledger.agree(air, car, (4, 1))
    counter.ledger.agree(air, box, (1, 1))
    counter.ledger.agree(box, car, (2, 1), managed_cap=500)

    assert paths(counter.routes(500, count=2)) == [2, 1]
    assert paths(counter.routes(502, count=2)) == [1], "502 are more than BOX lets through in a period"
    assert paths(counter.routes(502)) == [1], "the best that is left, though only one was asked for"
    counter.ledger.do(terms.suspended, air.id, car.id, counter.ledger.now_ms)
    with pytest.raises(NoRoute, match="over the cap") as refusal:
        counter.routes(503)
    assert (refusal.value.limit, refusal.value.nearest) == (500, 500)
    with pytest.raises(NoRoute, match="over the cap") as refusal:
        counter.routes(None, 251)
    assert (refusal.value.limit, refusal.value.nearest) == (250, 250)
    counter.ledger.do(terms.lower_caps, box.id, car.id, 1, managed_cap=1, wallet_cap=0)
    with pytest.raises(NoRoute, match="over the cap") as refusal:
        counter.routes(503)
    assert refusal.value.nearest is None


def test_routes__for_an_amount_out__then_take_the_least(
    counter: Counter, air: Program, box: Program, car: Program
) -> None:
    counter.ledger.agree(air, car, (4, 1))
    counter.ledger.agree(air, box, (1, 1))
    counter.ledger.agree(box, car, (2, 1))

    found = counter.routes(None, 10, count=2)

    assert [(len(route.hops), route.price.amount_in) for route in found] == [(2, 20), (1, 40)]
    assert paths(counter.routes(None, 10, count=2, best=Best.HOPS)) == [1, 2]


def test_routes__of_a_member_with_open_quotes__then_count_what_these_reserve(
    counter: Counter, air: Program, car: Program
) -> None:
    counter.ledger.agree(air, car, (4, 1), rules=Rules(caps=(Cap(Period.DAY, Points(100)),)))
    counter.quote(60)

    assert counter.routes(100)[0].price.amount_in == 100
    assert counter.routes(40, who=counter.ann)[0].price.amount_in == 40
    with pytest.raises(NoRoute):
        counter.routes(100, who=counter.ann)


def test_routes__of_a_tier__then_count_its_bonus(counter: Counter, air: Program, car: Program) -> None:
    bonus = Bonus("gold", ratio=Ratio(Points(2), Points(1)), when=When(tiers=frozenset({"gold"})))
    counter.ledger.agree(air, car, (4, 1), rules=Rules(bonuses=(bonus,)))

    assert counter.routes(40)[0].price.amount_out == 10
    assert counter.routes(40, tier="gold")[0].price.amount_out == 20


def test_quote__by_a_route__then_takes_the_best_path_and_directly_where_nothing_is_said(
    counter: Counter, air: Program, box: Program, car: Program
) -> None:
    counter.ledger.agree(air, car, (4, 1))
    counter.ledger.agree(air, box, (1, 1))
    counter.ledger.agree(box, car, (2, 1))

    assert counter.quote(40, POINTS).path == [air.id, box.id, car.id]
    assert counter.quote(40, HOPS).path == counter.quote(40).path == [air.id, car.id]
    assert counter.quote(40, path=(air.id, box.id, car.id)).amount_out == 20


def test_quote__through_a_direction_in_which_points_could_gain__then_is_refused_and_routes_go_round_it(
    counter: Counter, air: Program, box: Program, car: Program
) -> None:
    counter.ledger.agree(air, car, (4, 1))
    counter.ledger.agree(box, air, (1, 1))
    counter.ledger.agree(box, car, (2, 1))
    counter.ledger.agree(air, box, (1, 2))  # adopted on the chain, where nobody asked the gate

    with pytest.raises(DirectionClosed, match="AIR to BOX at 1:2, BOX to AIR at 1:1: 2/1"):
        counter.quote(40, path=(air.id, box.id, car.id))
    assert counter.quote(40, POINTS).path == [air.id, car.id]


def test_worth__where_both_say_what_points_are_worth__then_stands_in_the_quote(
    counter: Counter, air: Program, car: Program
) -> None:
    counter.ledger.agree(air, car, (4, 1))
    assert counter.quote(40).value is None
    counter.ledger.do(programs.worth_at_home, air.id, "USD", 10_000)
    assert counter.quote(40).value is None, "one that nobody knows leaves nothing to compare"
    counter.ledger.do(programs.worth_at_home, car.id, "USD", 30_000)

    value = counter.quote(40).value

    assert value is not None
    assert (value["given"], value["received"], value["currency"]) == (400_000, 300_000, "USD")
    assert value["note"] == "a point is 0.01 USD there and 0.03 USD here"


def test_worth__in_a_currency_that_has_no_rate__then_the_quote_is_made_without_it(
    counter: Counter, air: Program, car: Program
) -> None:
    counter.ledger.agree(air, car, (4, 1))
    counter.ledger.do(programs.worth_at_home, air.id, "USD", 10_000)
    counter.ledger.do(programs.worth_at_home, car.id, "XTS", 30_000)

    assert counter.quote(40).value is None


def test_routes__from_or_to_no_program__then_404(counter: Counter) -> None:
    with pytest.raises(UnknownProgram):
        counter.ledger.ask(counter.quoting.routes, Search("prg_none", counter.car.id, 1, None), counter.ledger.now_ms)
    assert counter.ledger.ask(members.by_id, counter.ann.id).id == counter.ann.id


def test_routes__with_a_tier__then_count_it_only_in_terms_of_the_first_program(
    counter: Counter, air: Program, box: Program, car: Program
) -> None:
    gold = Rules(bonuses=(Bonus("gold", flat=Points(7), when=When(tiers=frozenset({"gold"}))),))
    counter.ledger.agree(air, box)
    counter.ledger.agree(box, car, rules=gold)
    for who in (None, counter.ann):
        assert counter.routes(50, who=who, tier="gold")[0].price.amount_out == 50
    counter.ledger.agree(air, car, rules=gold)
    for who in (None, counter.ann):
        tier = "gold" if who is None else None
        assert counter.routes(50, who=who, tier=tier)[0].price.amount_out == (57 if who is None else 50)
